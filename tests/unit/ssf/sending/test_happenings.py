"""What is told of which change, and what is not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from pdp.model.input import Employment
from pdp.ssf.events import SESSION_REVOKED, short_name
from pdp.ssf.sending.happenings import ABSENT, Cause, Happening, of_device, of_person
from pdp.ssf.sending.naming import Person, Terminal

NOW = datetime(2026, 11, 24, 1, 2, 3, 400_000, tzinfo=UTC)
GONE = [*(word for word in get_args(Employment) if word != "active"), ABSENT]


def names(found: list[Happening]) -> list[tuple[str, str]]:
    return [(short_name(one.type).partition("/")[2], one.cause) for one in found]


@pytest.mark.parametrize("word", GONE)
def test_whoever_is_not_employed_any_more_loses_account_and_sessions(word: str) -> None:
    assert names(of_person("u", "active", word, NOW)) == [("account-disabled", word), ("session-revoked", word)]
    assert names(of_person("u", word, "active", NOW)) == [("account-enabled", "returned")]
    assert of_person("u", None, word, NOW) == of_person("u", None, "active", NOW) == []
    for other in GONE:
        assert of_person("u", word, other, NOW) == []


STATUS, REVOKED = "device-compliance-change", "session-revoked"


@pytest.mark.parametrize(
    ("before", "now_is", "expected"),
    [
        ("compliant", "not-compliant", [(STATUS, "device_not_compliant")]),
        ("not-compliant", "compliant", [(STATUS, "device_compliant")]),
        ("compliant", "lost", [(STATUS, "device_lost"), (REVOKED, "device_lost")]),
        ("not-compliant", "lost", [(REVOKED, "device_lost")]),
        ("withdrawn", "lost", [(REVOKED, "device_lost")]),
        ("compliant", "withdrawn", [(STATUS, "device_withdrawn"), (REVOKED, "device_withdrawn")]),
        ("not-compliant", "withdrawn", [(REVOKED, "device_withdrawn")]),
        ("lost", "withdrawn", []),
        ("lost", "not-compliant", []),
        ("lost", "compliant", [(STATUS, "device_compliant")]),
        ("withdrawn", "compliant", [(STATUS, "device_compliant")]),
        ("lost", "lost", []),
        (None, "lost", []),
    ],
)
def test_a_device_tells_its_status_and_its_loss_ends_sessions(
    before: str | None, now_is: str, expected: list[tuple[str, str]]
) -> None:
    found = of_device("d", ["u"], before, now_is, NOW)
    assert names(found) == expected
    for one in found:
        if one.type == SESSION_REVOKED:
            assert one.about == (Person("u") if now_is == "lost" else Terminal("d", "u"))
        else:
            assert one.about == Terminal("d")
            assert one.members["previous_status"] != one.members["current_status"]


def test_each_user_of_a_lost_device_is_told_of_and_a_device_of_nobody_ends_no_session() -> None:
    assert [one.about for one in of_device("d", ["a", "b"], "not-compliant", "lost", NOW)] == [Person("a"), Person("b")]
    assert of_device("d", [], "not-compliant", "lost", NOW) == []


@pytest.mark.parametrize("cause", get_args(Cause))
def test_every_cause_has_words_for_both_readers_in_both_languages(cause: Cause) -> None:
    told = Happening(SESSION_REVOKED, Person("u"), cause, NOW).to_json()
    for name in ("reason_admin", "reason_user"):
        assert told[name].keys() == {"ja", "en"}
        assert all(told[name].values())
        assert told[name]["en"].isascii()
    assert told["event_timestamp"] == int(NOW.timestamp()) + 1  # seconds, and not before it happened
