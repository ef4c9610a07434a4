from __future__ import annotations

import pytest

from pdp.bundle.footprint import WHOLE, Footprint
from pdp.replaying.hidden import hides_what_counts

SEES = Footprint((("device", "class"), ("subject", "roles")))


@pytest.mark.parametrize(
    ("redacted", "masked"),
    [
        (["/device/class"], []),
        (["/device"], []),
        (["/subject/roles/0"], []),
        ([""], []),
        ([], ["/input/subject/roles"]),
        ([], ["/input"]),
        ([], ["/"]),
        ([], [""]),
        ([], ["/reasons"]),
        ([], ["/obligations/end_at"]),
        ([], ["/policy_context"]),
        ([], ["/source_ip", "/input/device/class"]),
    ],
)
def test_what_the_policy_sees_or_answered_counts(redacted: list[str], masked: list[str]):
    assert hides_what_counts(redacted, masked, SEES)


@pytest.mark.parametrize(
    ("redacted", "masked"),
    [
        ([], []),
        (["/subject/id"], []),
        (["/device/class~1x"], []),
        ([], ["/input/subject/id", "/subject_id", "/source_ip", "/token_sha256"]),
        ([], ["/device/class"]),  # not of the input
    ],
)
def test_what_the_policy_cannot_see_does_not(redacted: list[str], masked: list[str]):
    assert not hides_what_counts(redacted, masked, SEES)


def test_a_policy_that_sees_everything_misses_everything():
    assert hides_what_counts(["/subject/id"], [], WHOLE)
    assert not hides_what_counts([], ["/source_ip"], WHOLE)
