from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pdp.errors import EngineError
from pdp.obligations import OBLIGATIONS, check_obligations, expiry

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
TTL = timedelta(minutes=5)


@pytest.mark.parametrize(
    "obligations",
    [
        {},
        {"clipboard": "off", "save": "off"},
        {"session_max_minutes": 60},
        {"end_at": "2023-08-07T02:00:00+09:00"},
        {"warn": "PATCH_OVERDUE_WARN"},
        {"terminate_sessions": "on", "wipe": "request"},
    ],
)
def test_obligations_of_the_contract_are_readable(obligations: dict[str, str | int]) -> None:
    check_obligations(obligations)


@pytest.mark.parametrize(
    "obligations",
    [
        {"clipboard": "on"},
        {"clipbord": "off"},
        {"session_max_minutes": "60"},
        {"session_max_minutes": 0},
        {"session_max_minutes": True},
        {"end_at": "2023-08-07T02:00:00"},
        {"end_at": "soon"},
        {"end_at": "none"},
        {"warn": "patch"},
        {"wipe": "on"},
    ],
)
def test_an_obligation_that_nobody_can_read_is_an_error(obligations: dict[str, str | int]) -> None:
    with pytest.raises(EngineError):
        check_obligations(obligations)


def test_every_word_that_a_gateway_can_declare_is_an_obligation() -> None:
    assert {"clipboard", "print", "save", "download", "browser_only", "record_session"} <= set(OBLIGATIONS)


@pytest.mark.parametrize(
    ("changes", "obligations", "minutes"),
    [
        (None, {}, 5),
        (NOW + timedelta(minutes=2), {}, 2),
        (NOW + timedelta(hours=2), {}, 5),
        (None, {"end_at": "2023-08-01T10:01:00+09:00"}, 1),
        (None, {"end_at": "2023-08-01T09:00:00+09:00"}, 0),
        (None, {"session_max_minutes": 3}, 3),
    ],
)
def test_an_answer_ends_with_the_first_thing_that_ends(
    changes: datetime | None, obligations: dict[str, str | int], minutes: int
) -> None:
    assert expiry(NOW, TTL, changes, obligations) == NOW + timedelta(minutes=minutes)
