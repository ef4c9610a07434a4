"""A search finds what its filters mean, once, wherever the records lie; counts agree with rows."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.archive.asking import GROUPS, Cursor, Filters, cursor_of
from pdp.archive.search import DuckSearch
from pdp.errors import BadRequestError
from tests.unit.archive.search_world import HOUR, Entry, grouped, lay_down, means, newest_first

NAMES = st.sampled_from(["u-0001", "u-0002", "利用者", "u' OR 1=1 --"])
DEPARTMENTS = st.lists(st.sampled_from(["tax", "disaster", "it"]), max_size=2, unique=True).map(tuple)
REASONS = st.lists(st.sampled_from(["OK_BASE", "DEVICE_LOST", "PATCH_OVERDUE"]), max_size=2, unique=True).map(tuple)
OUTCOMES = st.sampled_from(["allow", "limit", "step_up", "deny"])
SECONDS = st.sampled_from([0, 0, 0, 1, 3_599, 3_600, 7_000, 60_000])  # many at one instant

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "at": SECONDS.map(lambda seconds: HOUR + timedelta(seconds=seconds)),
    "shape": st.sampled_from(["decision"] * 5 + ["refusal", "foreign", "nameless"]),
    "person": NAMES,
    "departments": DEPARTMENTS,
    "device": st.sampled_from(["d-1", "d-2"]),
    "device_class": st.sampled_from(["managed_pc", "byod_phone"]),
    "resource": st.sampled_from(["groupware", "ledger"]),
    "resource_group": st.sampled_from(["communication", "disaster"]),
    "outcome": OUTCOMES,
    "reasons": REASONS,
    "caller": st.sampled_from(["gateway-1", "gateway-2"]),
    "revision": st.sampled_from(["r1", "r2", None]),
    "source_ip": st.sampled_from(["192.0.2.7", None]),
    "action": st.sampled_from(["access", "GET"]),
    "disaster": st.booleans(),
    "subject_kind": st.sampled_from(["staff", "emergency_account"]),
}
ENTRIES = st.lists(st.fixed_dictionaries(VALUES), max_size=30).map(
    lambda drawn: [Entry(number, **values) for number, values in enumerate(drawn)]
)


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), st.none(), values)


FILTERS = st.builds(
    Filters,
    since=st.sampled_from([0, 0, 0, 1, 3_600]).map(lambda s: (HOUR + timedelta(seconds=s)).replace(tzinfo=None)),
    until=st.sampled_from([3_600, 3_601, 86_400, 86_400]).map(
        lambda s: (HOUR + timedelta(seconds=s)).replace(tzinfo=None)
    ),
    person=optional(NAMES),
    department=optional(st.sampled_from(["tax", "it"])),
    device=optional(VALUES["device"]),
    resource=optional(VALUES["resource"]),
    resource_group=optional(VALUES["resource_group"]),
    outcomes=st.one_of(st.just(()), st.lists(OUTCOMES, max_size=2).map(tuple)),
    reasons=st.one_of(st.just(()), REASONS),
    caller=optional(VALUES["caller"]),
    revision=optional(st.sampled_from(["r1", "r2"])),
    source_ip=optional(st.just("192.0.2.7")),
    action=optional(VALUES["action"]),
    kind=optional(st.sampled_from(["decision", "refusal"])),
    exception=optional(st.booleans()),
    disaster_mode=optional(st.booleans()),
    within=optional(DEPARTMENTS),
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data(), entries=ENTRIES, filters=FILTERS, size=st.integers(1, 12))
def test_a_search_finds_what_its_filters_mean(data, entries: list[Entry], filters: Filters, size: int):
    with tempfile.TemporaryDirectory() as place:
        stored = data.draw(st.integers(0, len(entries)))
        published = data.draw(st.integers(0, len(entries) - stored))
        lay_down(Path(place), entries, stored=stored, published=published)
        search = DuckSearch([Path(place)])
        found = [entry for entry in entries if means(filters, entry)]

        assert walk(search, filters, size) == newest_first(found)
        assert search.count(filters) == len(found)
        exported = [row for batch in search.stream(filters, columns=["time", "id"]) for row in batch.to_pylist()]
        assert sorted((row["time"], str(row["id"] or "")) for row in exported) == sorted(newest_first(found))
        assert [row["time"] for row in exported] == sorted(row["time"] for row in exported)

        by = tuple(data.draw(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True)))
        expected = grouped(found, by)
        rows = search.group(filters, by).to_pylist()
        assert {tuple(row[name] for name in by): (row["decisions"], row["people"]) for row in rows} == expected
        assert len(rows) == len(expected)
        quick = search.group(filters, by, people=False).to_pylist()
        assert {tuple(row[name] for name in by): row["decisions"] for row in quick} == {
            key: decisions for key, (decisions, _) in expected.items()
        }


def walk(search: DuckSearch, filters: Filters, size: int) -> list[tuple[Any, str]]:
    """All pages, one after the other; the cursor goes through its text."""
    seen: list[tuple[Any, str]] = []
    before: Cursor | None = None
    while True:
        page = search.page(filters, size=size, before=before)
        rows = page.table.to_pylist()
        seen += [(row["time"], str(row["id"] or "")) for row in rows]
        if page.next is None:
            return seen
        assert len(rows) == size
        before = cursor_of(page.next.text())


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=120))
def test_a_text_is_a_cursor_or_is_refused(text: str):
    try:
        cursor = cursor_of(text)
    except BadRequestError:
        return
    assert cursor.text() == text


@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Cursor,
        time=st.datetimes(),
        id=st.uuids().map(str),
        segment=st.text(max_size=60)
        .filter(lambda name: len(name.encode("utf-8", "ignore")) < 200)
        .map(lambda name: name.encode("utf-8", "ignore").decode()),
        seq=st.integers(0, (1 << 63) - 1),
    )
)
def test_a_cursor_comes_back_from_its_text(cursor: Cursor):
    assert cursor_of(cursor.text()) == cursor
