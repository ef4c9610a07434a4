"""Periods as registers write them: whole days in Japan, open ends, and what is no period."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from pdp.model.directory import JST, Period, period_of_dates

AT = datetime(2023, 8, 1, 10, tzinfo=JST)


def test_a_day_is_whole_and_japans() -> None:
    day = date(2023, 8, 1)
    assert period_of_dates(day, day) == Period(
        datetime(2023, 7, 31, 15, tzinfo=UTC), datetime(2023, 8, 1, 15, tzinfo=UTC)
    )


@pytest.mark.parametrize("start", [None, date(1, 1, 1), datetime(1, 1, 1), datetime(1, 1, 1, tzinfo=JST)])
def test_the_calendars_first_day_is_no_beginning(start: date | None) -> None:
    assert period_of_dates(start, None) == Period(None, None)


@pytest.mark.parametrize(
    "until",
    [None, date(9999, 12, 31), datetime(9999, 12, 31, 23, 59, 59), datetime(9999, 12, 31, 23, 59, 59, tzinfo=JST)],
)
def test_the_calendars_last_day_is_no_end(until: date | None) -> None:
    assert period_of_dates(None, until) == Period(None, None)


def test_only_the_side_on_which_it_means_nothing_is_open() -> None:
    assert period_of_dates(date(9999, 12, 31), None).start == datetime(9999, 12, 30, 15, tzinfo=UTC)
    assert period_of_dates(None, date(1, 1, 1)).end == datetime(1, 1, 1, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "until", "word"),
    [
        (date(2023, 8, 3), date(2023, 8, 1), "before it starts"),
        (AT, AT - timedelta(microseconds=1), "before it starts"),
        (datetime(2023, 8, 1), None, "offset"),
        (None, datetime(2023, 8, 1), "offset"),
        (datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-9))), None, "outside the calendar"),
        (None, datetime(1, 1, 1, tzinfo=JST), "outside the calendar"),
    ],
)
def test_what_is_no_period_says_why(start: date | None, until: date | None, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        period_of_dates(start, until)


def test_a_period_that_ends_where_it_starts_holds_never() -> None:
    empty = period_of_dates(AT, AT)
    assert [empty.holds(AT + timedelta(microseconds=n)) for n in (-1, 0, 1)] == [False, False, False]


def test_a_period_holds_from_its_start_until_right_before_its_end() -> None:
    end = AT + timedelta(hours=1)
    period, step = Period(AT, end), timedelta(microseconds=1)
    assert [period.holds(now) for now in (AT - step, AT, end - step, end)] == [False, True, True, False]
    assert [period.next_change(now) for now in (AT - step, AT, end - step, end)] == [AT, end, end, None]
