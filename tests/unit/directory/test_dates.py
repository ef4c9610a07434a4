from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.directory.files.dates import _ERAS, moment
from pdp.directory.files.faults import Wrong
from pdp.model.directory import JST


@pytest.mark.parametrize(
    "text",
    [
        "2023-04-01", "2023-4-1", "2023/4/1", "2023/04/01", "2023年4月1日", "20230401", "令和5年4月1日", "令和05年04月01日",
        "R5.4.1", "R05.04.01", "r5.4.1", "R5/4/1", "R5-4-1", "令和５年４月１日", "２０２３／４／１", "Ｒ５．４．１", "㋿5年4月1日",
    ],
)  # fmt: skip
def test_every_way_of_writing_a_day_means_that_day(text: str) -> None:
    assert moment(text) == date(2023, 4, 1)
    assert type(moment(text)) is date


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("令和元年5月1日", date(2019, 5, 1)),
        ("令和1年5月1日", date(2019, 5, 1)),
        ("平成31年4月30日", date(2019, 4, 30)),
        ("H1.1.8", date(1989, 1, 8)),
        ("昭和64年1月7日", date(1989, 1, 7)),
        ("S64.1.7", date(1989, 1, 7)),
        ("大正15年12月24日", date(1926, 12, 24)),
        ("昭和元年12月25日", date(1926, 12, 25)),
        ("明治45年7月29日", date(1912, 7, 29)),
        ("2024-02-29", date(2024, 2, 29)),
    ],
)
def test_the_borders_of_the_eras(text: str, day: date) -> None:
    assert moment(text) == day


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("令和元年4月30日", "2019-04-30"),  # still 平成
        ("平成31年5月1日", "2019-05-01"),  # already 令和
        ("平成35年3月31日", "2023-03-31"),
        ("昭和64年1月8日", "1989-01-08"),
        ("R0.4.1", "2018-04-01"),
    ],
)
def test_a_day_outside_its_era_is_refused_with_the_day_that_may_be_meant(text: str, says: str) -> None:
    with pytest.raises(Wrong) as wrong:
        moment(text)
    assert says in wrong.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "2023", "2023-13-01", "2023-02-29", "2023-2-30", "23-04-01", "4/1/2023", "2023.4.1", "2023/4-1", " 2023-04-01",
        "2023-04-01 ", "令和5年13月1日", "令和5年4月", "X5.4.1", "45017", "45017.5", "1899-12-31", "3000-01-01", "0001-01-01", "9999-12-30",
        "2023-04-01T", "2023-04-0110:00", "2023-4-110:00", "2023-04-01T25:00+09:00", "2023-04-01T24:01+09:00", "2023-04-01T10:60+09:00",
        "2023-04-01T10:00", "2023-04-01 10:00", "2023-04-01T10:00+15:00", "2023-04-01T10:00+9:00", "2023-04-01T10:00JST", "明日",
        "２０２３−４−１", "2023-04-01\n", "9999-12-31T00:00+09:00",
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(Wrong) as wrong:
        moment(text)
    assert wrong.value.next_step


@pytest.mark.parametrize(
    "text",
    [
        "2023-08-06T22:30:00+09:00", "2023-08-06 22:30+09:00", "2023/8/6 22:30 +09:00", "2023-08-06T13:30:00Z",
        "2023-08-06T13:30:00.000z", "令和5年8月6日22時30分+09:00", "2023-08-06T08:30:00-05:00",
    ],
)  # fmt: skip
def test_a_time_with_its_offset_is_that_instant(text: str) -> None:
    assert moment(text) == datetime(2023, 8, 6, 13, 30, tzinfo=UTC)


def test_a_time_without_offset_is_japans_only_where_the_column_says_so() -> None:
    for text in ("2023-08-06 22:00", "2023/8/6 22:00:00", "R5.8.6 22時", "令和5年8月6日 22時0分"):
        assert moment(text, naive_is_jst=True) == datetime(2023, 8, 6, 22, tzinfo=JST)
        with pytest.raises(Wrong, match="lacks its offset"):
            moment(text)
    assert moment("2023-08-06T22:00Z", naive_is_jst=True) == datetime(2023, 8, 6, 22, tzinfo=UTC)


def test_the_24th_hour_ends_the_day() -> None:
    assert moment("2023-12-31 24:00", naive_is_jst=True) == datetime(2024, 1, 1, tzinfo=JST)


def test_personnel_systems_no_end_is_no_end() -> None:
    assert moment("9999-12-31") is None
    assert moment("9999/12/31") is None


@given(st.dates(date(1900, 1, 1), date(2999, 12, 31)))
def test_every_day_is_read_back_from_every_form(day: date) -> None:
    for text in (
        day.isoformat(),
        f"{day.year}/{day.month}/{day.day}",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%Y%m%d}",
    ):
        assert moment(text) == day
    for era, (letter, first, last) in _ERAS.items():
        year = day.year - first.year + 1
        if first <= day <= last and year < 100:
            assert (
                moment(f"{letter}{year}.{day.month}.{day.day}")
                == moment(f"{era}{year}年{day.month}月{day.day}日")
                == day
            )


@given(st.text(max_size=40), st.booleans())
def test_no_text_crashes_it(text: str, naive: bool) -> None:
    try:
        found = moment(text, naive_is_jst=naive)
    except Wrong:
        return
    assert found is None or isinstance(found, date)
