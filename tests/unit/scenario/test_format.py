"""The format of a story: strict, because a story that cannot fail proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pdp.errors import ScenarioError
from pdp.scenario.files import Misread, read_all
from pdp.scenario.format import Scenario, moment

REQUEST = "{user: u-1, auth_level: 2, resource: mail, action: access, zone: office}"
STEP = f"now: 2023-08-01T10:00:00+09:00, request: {REQUEST}"


def read(folder: Path, text: str) -> Scenario | Misread:
    file = folder / "story.yaml"
    file.write_text(text, encoding="utf-8")
    (one,) = read_all([file])
    return one


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (f"{{id: x, {STEP}, expect: {{}}}}", "expects nothing"),
        (f"{{id: x, {STEP}, expect: {{outcome: null}}}}", "expects nothing"),
        (f"{{id: x, steps: [{{{STEP}, expect: {{outcome: deny}}}}, {{{STEP}, expect: {{}}}}]}}", "expects nothing"),
        (f"{{id: x, {STEP}}}", "are needed"),
        ("{id: x, steps: []}", "is not empty"),
        (f"{{id: x, now: 2023-08-01T10:00:00+09:00, steps: [{{{STEP}, expect: {{outcome: deny}}}}]}}", "replaces"),
        (f"{{id: x, request: {REQUEST}, steps: [{{{STEP}, expect: {{outcome: deny}}}}]}}", "replaces"),
        (f"{{id: x, expect: {{outcome: deny}}, steps: [{{{STEP}, expect: {{outcome: deny}}}}]}}", "replaces"),
        (f"{{id: x, {STEP}, expect: {{outcome: permit}}}}", "permit"),
        (f"{{id: x, {STEP}, expect: {{outcome: deny, reason: X}}}}", "reason"),
        (f"{{{STEP}, expect: {{outcome: deny}}}}", "id"),
        (f"{{id: x, {STEP}, expect: {{outcome: deny}}, directory: {{disaster: [{{form: 2023-08-01}}]}}}}", "form"),
    ],
)
def test_a_story_that_could_not_fail_or_says_two_things_is_refused(tmp_path: Path, text: str, word: str) -> None:
    one = read(tmp_path, text)
    assert isinstance(one, Misread) and word in one.fault


@pytest.mark.parametrize(
    "expect",
    ["{outcome: deny}", "{reasons: [OK]}", "{reasons: []}", "{obligations: {save: off}}", "{required_auth_level: 2}"],
)
def test_one_expectation_is_enough(tmp_path: Path, expect: str) -> None:
    assert isinstance(read(tmp_path, f"{{id: x, {STEP}, expect: {expect}}}"), Scenario)


def test_an_expectation_of_no_obligations_alone_cannot_fail_and_is_refused(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, f"{{id: x, {STEP}, expect: {{obligations: {{}}}}}}"), Misread)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2023-08-01T10:00:00+09:00", datetime(2023, 8, 1, 1, tzinfo=UTC)),
        ("2023-08-01 10:00:00 +09:00", datetime(2023, 8, 1, 1, tzinfo=UTC)),
        ("2023-08-01T01:00:00Z", datetime(2023, 8, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_present_of_a_story_is_an_instant(text: str, instant: datetime) -> None:
    assert moment(text) == instant


@pytest.mark.parametrize("text", ["2023-08-01T10:00:00", "2023-08-01", "now", ""])
def test_the_present_without_its_offset_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError):
        moment(text)
