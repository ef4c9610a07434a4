from __future__ import annotations

import pytest

from pdp.identity.levels import LevelTable


@pytest.mark.parametrize(
    ("acr", "amr", "level"),
    [
        (None, [], 0),
        ("urn:sekisho:auth-level:0", ["pwd", "otp"], 0),
        ("urn:sekisho:auth-level:1", [], 1),
        ("urn:sekisho:auth-level:2", [], 2),
        ("urn:sekisho:auth-level:3", [], 3),
        ("phr", ["pwd"], 3),
        ("somebody:elses", [], 0),
        ("somebody:elses", ["pwd"], 1),
        (None, ["pwd"], 1),
        (None, ["otp"], 1),
        (None, ["hwk"], 1),
        (None, ["pwd", "pin"], 1),
        (None, ["pwd", "otp"], 2),
        (None, ["mfa"], 2),
        (None, ["pwd", "hwk"], 3),
        (None, ["mfa", "sc"], 3),
        (None, ["face", "geo"], 0),
        (None, ["PWD"], 0),
    ],
)
def test_the_level_is_what_the_claims_prove(acr: str | None, amr: list[str], level: int) -> None:
    assert LevelTable().level(acr, amr) == level


def test_a_deployment_may_name_its_own_classes() -> None:
    table = LevelTable({"https://idp.example/silver": 2})
    assert table.level("https://idp.example/silver", []) == 2
    assert table.level("urn:sekisho:auth-level:3", []) == 0
