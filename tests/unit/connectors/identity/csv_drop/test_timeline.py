"""Rosters and orders as one story: what holds on which day, and that nothing closes too late."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity.csv_drop.settings import ORDERS, FeedMapping
from connectors.identity.csv_drop.table import Record
from connectors.identity.csv_drop.timeline import Orders, Roster, people
from pdp.directory.files.words import KINDS
from pdp.model.directory import JST
from pdp.model.input import SubjectKind

if TYPE_CHECKING:
    from pdp.model.directory import User

MAPPING = FeedMapping()
TODAY = date(2026, 3, 20)
APRIL = date(2026, 4, 1)
ALL = frozenset({"id", "kind", "department", "concurrent", "status"})


def row(id_: str = "1001", **said) -> Record:
    return Record(1, id_, **{"kind": "staff", "department": "soumu", "concurrent": (), **said})


def order(what: str, day: date = APRIL, id_: str = "1001", **said) -> Record:
    return Record(2, id_, what, effective=day, **said)


def told(
    *records: Record, orders: tuple[Record, ...] = (), today: date = TODAY, id_: str = "1001", older: bool = False
) -> User:
    users, _ = people(Roster(TODAY, records, ALL), [Orders(not older, orders)], MAPPING, today)
    return next(user for user in users if user.id == id_)


def departments(user: User, day: date) -> list[str]:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=JST)
    return [post.department for post in user.posts if post.period.holds(noon)]


def employed(user: User, day: date) -> bool:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=JST)
    return user.status == "active" and user.employment.holds(noon)


def test_a_transfer_ahead_ends_the_present_post_the_day_before():
    for user in (
        told(row(), row(effective=APRIL, department="zaisei")),
        told(row(next_department="zaisei", effective=APRIL)),
        told(row(), orders=(order("transfer", department="zaisei"),)),
    ):
        assert departments(user, APRIL - timedelta(days=1)) == ["soumu"]
        assert departments(user, APRIL) == ["zaisei"]
        assert user.posts[0].period.end == datetime(2026, 4, 1, tzinfo=JST)  # midnight in Japan, no run needed
        assert employed(user, TODAY)


def test_a_further_post_lasts_until_it_is_taken_back():
    user = told(row(concurrent=("jinji",)), orders=(order("concurrent_end", department="jinji"),))
    assert departments(user, TODAY) == ["soumu", "jinji"]
    assert departments(user, APRIL) == ["soumu"]


def test_a_further_post_that_is_given_with_an_end_ends_by_itself():
    user = told(row(), orders=(order("concurrent", department="jinji", until=date(2026, 6, 30)),))
    assert departments(user, TODAY) == ["soumu"]
    assert departments(user, date(2026, 6, 30)) == ["soumu", "jinji"]
    assert departments(user, date(2026, 7, 1)) == ["soumu"]


def test_the_last_day_of_a_retirement_is_still_a_working_day():
    user = told(row(), orders=(order("retirement", date(2026, 3, 31)),))
    assert employed(user, date(2026, 3, 31))
    assert not employed(user, APRIL)


def test_of_retirement_and_end_of_term_the_earlier_counts():
    user = told(row(retires=date(2030, 3, 31), term_until=date(2026, 3, 31)))
    assert not employed(user, APRIL)


def test_somebody_hired_ahead_is_not_there_before():
    user = told(row(), orders=(order("hire", id_="2001", kind="staff", department="zaisei", name="新人"),), id_="2001")
    assert (user.name, user.kind) == ("新人", "staff")
    assert not employed(user, APRIL - timedelta(days=1))
    assert employed(user, APRIL)


def test_a_roster_row_of_somebody_yet_to_come_starts_the_employment_with_it():
    user = told(row(effective=APRIL))
    assert not employed(user, TODAY)
    assert employed(user, APRIL)


def test_a_leave_ahead_closes_on_its_day_without_another_run():
    user = told(row(), orders=(order("leave"),))
    assert employed(user, APRIL - timedelta(days=1))
    assert not employed(user, APRIL)


def test_on_leave_is_suspended_and_the_return_opens():
    orders = (order("leave"), order("return", date(2026, 7, 1)))
    assert told(row(), orders=orders, today=date(2026, 5, 1)).status == "suspended"
    back = told(row(), orders=orders, today=date(2026, 7, 1))
    assert employed(back, date(2026, 7, 1))
    assert back.employment.end is None


def test_the_rosters_own_word_of_a_leave_suspends():
    assert told(row(status="suspended")).status == "suspended"
    assert told(row(leave_from=date(2026, 3, 1), leave_until=date(2026, 3, 31))).status == "suspended"
    assert told(row(leave_from=date(2026, 3, 1), leave_until=date(2026, 3, 10))).status == "active"
    assert told(row(status="ended")).status == "ended"


def test_a_reemployment_after_retirement_is_an_employment_of_its_own():
    orders = (order("rehire", department="kikaku", kind="fixed_term_staff"),)
    before = told(row(retires=date(2026, 3, 31)), orders=orders)
    assert (before.kind, employed(before, TODAY)) == ("staff", True)
    assert not employed(before, APRIL)  # closes by itself; what opens waits for the run of the day
    after = told(row(retires=date(2026, 3, 31)), orders=orders, today=APRIL)
    assert after.kind == "fixed_term_staff"
    assert employed(after, APRIL)
    assert departments(after, APRIL) == ["kikaku"]


def test_a_promotion_keeps_the_post_where_it_names_none():
    user = told(row(), orders=(order("promotion", roles=("manager",)),), today=APRIL)
    assert departments(user, APRIL) == ["soumu"]
    assert user.roles == ("manager",)
    assert told(row(), orders=(order("promotion", roles=("manager",)),)).roles == ()


def test_an_order_of_before_the_roster_is_in_it_already():
    old = order("transfer", date(2026, 3, 1), department="zaisei")
    assert departments(told(row(), orders=(old,), older=True), TODAY) == ["soumu"]
    assert departments(told(row(), orders=(old,)), TODAY) == ["zaisei"]  # it came later, and knows better
    ahead = order("transfer", department="zaisei")
    assert departments(told(row(), orders=(ahead,), older=True), APRIL) == ["zaisei"]


def test_a_leave_of_before_the_roster_counts_where_the_roster_tells_of_no_leaves():
    leave = Orders(newer=False, records=(order("leave", date(2026, 3, 1)),))
    silent = Roster(TODAY, (row(),), frozenset({"id", "kind", "department"}))
    speaking = Roster(TODAY, (row(),), ALL)
    assert people(silent, [leave], MAPPING, TODAY)[0][0].status == "suspended"
    assert people(speaking, [leave], MAPPING, TODAY)[0][0].status == "active"


def test_an_order_for_somebody_unknown_makes_nobody_and_is_told():
    users, refused = people(Roster(TODAY, (row(),), ALL), [Orders(newer=True, records=(order("transfer", id_="9", department="x"),))], MAPPING, TODAY)  # fmt: skip
    assert [user.id for user in users] == ["1001"]
    assert [(note.code, note.key) for note in refused] == [("order_without_person", "9")]


@pytest.mark.parametrize("what", ["return", "concurrent_end"])
def test_an_order_that_ends_nothing_is_told(what):
    _, refused = people(Roster(TODAY, (row(),), ALL), [Orders(newer=True, records=(order(what, department="jinji"),))], MAPPING, TODAY)  # fmt: skip
    assert [note.code for note in refused] == ["order_without_effect"]


def test_a_word_outside_the_table_gives_nothing_and_is_told():
    users, refused = people(Roster(TODAY, (row(kind="unknown", department=None, unknown=(("unknown_kind", "臨時"), ("unknown_department", "999"))),), ALL), [], MAPPING, TODAY)  # fmt: skip
    assert (users[0].kind, users[0].posts) == ("unknown", ())
    assert sorted(note.code for note in refused) == ["unknown_department", "unknown_kind"]


def test_the_words_of_kinds_and_orders_are_words_of_ours():
    assert set(KINDS.values()) <= set(get_args(SubjectKind))
    assert {"採用", "異動", "昇任", "兼務", "兼務解除", "休職", "復職", "退職", "再任用"} <= ORDERS.keys()


days = st.dates(date(2026, 1, 1), date(2026, 12, 31))
orders_of_one = st.lists(
    st.builds(
        order,
        st.sampled_from(
            ["hire", "rehire", "transfer", "promotion", "concurrent", "concurrent_end", "leave", "return", "retirement"]
        ),
        days,
        kind=st.just("staff"),
        department=st.sampled_from(["soumu", "zaisei", "jinji"]),
        until=st.none() | days,
    ),
    max_size=8,
)


@given(orders_of_one, days, days)
def test_any_story_gives_a_user_whose_periods_run_forwards(orders, today, other):
    user = told(row(), orders=tuple(orders), today=today)
    for period in (user.employment, *(post.period for post in user.posts)):
        assert period.start is None or period.end is None or period.start <= period.end
    assert departments(user, other) is not None


@given(orders_of_one, days, st.integers(0, 200))
def test_what_was_told_earlier_never_holds_longer_than_what_is_told_on_the_day(orders, today, later):
    """INVARIANT (closing needs no run): if the connector stood still since `today`, nobody who is out by then is in."""
    day = min(today + timedelta(days=later), date(2026, 12, 31))
    if employed(told(row(), orders=tuple(orders), today=today), day):
        assert employed(told(row(), orders=tuple(orders), today=day), day)


@given(orders_of_one, days, st.integers(0, 200))
def test_a_post_that_was_told_earlier_is_there_on_the_day(orders, today, later):
    day = min(today + timedelta(days=later), date(2026, 12, 31))
    early = set(departments(told(row(), orders=tuple(orders), today=today), day))
    assert early == set(departments(told(row(), orders=tuple(orders), today=day), day))
