"""How soon a password may be tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pdp.console.attempts import FORGOTTEN, FREE, LONGEST, MOST_PAIRS, Attempts
from pdp.errors import TooManyRequestsError

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def pause(attempts: Attempts, name: str = "duty", address: str | None = "192.0.2.1", now: datetime = NOW) -> int:
    try:
        attempts.admit(name, address, now)
    except TooManyRequestsError as fault:
        return fault.retry_after_s or 0
    return 0


def test_the_pause_doubles_and_stays_below_its_bound() -> None:
    attempts, found = Attempts(), []
    for _ in range(12):
        attempts.failed("duty", "192.0.2.1", NOW)
        found.append(pause(attempts))
    assert found[: FREE + 5] == [0, 0, 1, 2, 4, 8, 15, 15]
    assert max(found) == LONGEST.total_seconds()
    assert pause(attempts, now=NOW + LONGEST) == 0


def test_other_accounts_and_other_addresses_do_not_wait() -> None:
    attempts = Attempts()
    for _ in range(9):
        attempts.failed("duty", "192.0.2.1", NOW)
    assert pause(attempts) > 0
    assert (pause(attempts, "other"), pause(attempts, address="192.0.2.2"), pause(attempts, address=None)) == (0, 0, 0)


def test_a_login_and_a_while_without_failures_are_a_new_beginning() -> None:
    attempts = Attempts()
    for _ in range(9):
        attempts.failed("duty", None, NOW)
    attempts.failed("duty", None, NOW + FORGOTTEN)
    assert pause(attempts, address=None, now=NOW + FORGOTTEN) == 0
    for _ in range(9):
        attempts.failed("duty", None, NOW + FORGOTTEN)
    attempts.succeeded("duty", None)
    assert pause(attempts, address=None, now=NOW + FORGOTTEN) == 0


def test_invented_names_do_not_make_it_forget_the_one_that_is_tried_in_earnest() -> None:
    attempts = Attempts()
    for _ in range(6):
        attempts.failed("duty", "192.0.2.1", NOW)
    for number in range(2 * MOST_PAIRS):
        attempts.failed(f"nobody-{number}", "192.0.2.1", NOW + timedelta(milliseconds=number))
    assert pause(attempts) > 0


@pytest.mark.parametrize("name", ["x" * 64, "x" * 65, "x" * 10_000])
def test_a_name_without_end_is_one_name(name: str) -> None:
    attempts = Attempts()
    for _ in range(6):
        attempts.failed(name, None, NOW)
    assert pause(attempts, "x" * 64, None) > 0
