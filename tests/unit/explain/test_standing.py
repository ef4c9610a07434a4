from __future__ import annotations

import pytest

from pdp.bundle.annotations import Reason
from pdp.explain.standing import effect
from pdp.model.decision import Outcome, Text, Verdict

TEXT = Text("a", "a")
REASONS = {
    code: Reason(code, group, TEXT, TEXT, "none", "x.rego:1")
    for code, group in {"ENDED": "1", "STALE": "5", "UNKNOWN": "5", "ABROAD": "7"}.items()
}


def deny(*reasons: str) -> Verdict:
    return Verdict(Outcome.DENY, reasons)


def step_up(level: int, *reasons: str) -> Verdict:
    return Verdict(Outcome.STEP_UP, reasons, required_auth_level=level)


ALLOW = Verdict(Outcome.ALLOW, ("OK",))
LIMIT = Verdict(Outcome.LIMIT, ("OK",), {"save": "off"})


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (deny("STALE"), deny("STALE"), None),
        (deny("STALE"), ALLOW, "eases"),
        (deny("STALE"), step_up(3, "WEAK"), "eases"),
        (step_up(3, "WEAK"), LIMIT, "eases"),
        (LIMIT, ALLOW, "eases"),
        (deny("STALE"), deny("ABROAD"), "eases"),  # a later group: everything before it was passed
        (deny("STALE"), deny("ENDED"), "hardens"),
        (deny("STALE", "UNKNOWN"), deny("STALE"), "eases"),
        (deny("STALE"), deny("STALE", "UNKNOWN"), "hardens"),
        (deny("STALE"), deny("UNKNOWN"), "alters"),
        (step_up(3, "WEAK"), step_up(2, "WEAK"), "eases"),
        (step_up(2, "WEAK"), step_up(2, "WEAK", "PUBLIC"), "hardens"),
        (ALLOW, deny("STALE"), "hardens"),
        (ALLOW, Verdict(Outcome.ALLOW, ("OK", "LATE")), "alters"),
        (deny("NOT_IN_THE_BUNDLE"), deny("STALE"), "eases"),
    ],
)
def test_the_nearer_to_an_allow_the_easier(before, after, expected):
    assert effect(before, after, REASONS) == expected
