"""The trail asked by time: what is found, in which order, and how little of it is opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pdp.declog.layout import Layout
from pdp.trail.event import Actor, encode_event, event_of
from pdp.trail.reading import TrailFilter, newest_events, spans_of
from tests.unit.archive.logs import Worker
from tests.unit.declog.samples import uuid7_at

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.trail.event import Event

DAY = datetime(2026, 4, 1, tzinfo=UTC)


def event_at(at: datetime, number: int = 0) -> Event:
    return event_of(uuid7_at(at, number), at, Actor(kind="caller", id="a"), "audit.query", "done")


@pytest.fixture
def days(tmp_path: Path) -> list[datetime]:
    """A service whose segments are a day each, and commands beside it, for ten days."""
    times = [DAY + timedelta(days=day, hours=9) for day in range(10)]
    for day, at in enumerate(times):
        service = Worker(tmp_path, "w0", at)
        service.write([encode_event(event_at(at + timedelta(minutes=n), day * 10 + n)) for n in range(3)])
        service.seal()
        command = Worker(tmp_path, "c0", at + timedelta(hours=3))
        command.write([encode_event(event_at(at + timedelta(hours=3), day * 10 + 9))])
        command.seal()
    return times


def unreadable_but(root: Path, wanted: set[str]) -> None:
    """What is opened although it need not be gives nothing."""
    for name in Layout(root).names():
        if str(name) not in wanted:
            Layout(root).sealed_path(name).write_bytes(b"not to be read\n")


def names_of(root: Path, *created: datetime) -> set[str]:
    return {
        str(name)
        for name in Layout(root).names()
        if any(abs(name.created_at - at) < timedelta(hours=1) for at in created)
    }


def test_a_day_is_found_and_no_other_segment_is_opened(tmp_path: Path, days: list[datetime]) -> None:
    whole = newest_events(tmp_path, 1_000)
    assert len(whole) == 40
    wanted = [event for event in whole if event.time.startswith("2026-04-04")]
    # The segments of the day, and the ones before, which may have gone on until the day's own began.
    fourth, third = days[3], days[2]
    unreadable_but(tmp_path, names_of(tmp_path, fourth, fourth + timedelta(hours=3), third, third + timedelta(hours=3)))
    only = TrailFilter(since=DAY + timedelta(days=3), until=DAY + timedelta(days=4))
    assert newest_events(tmp_path, 1_000, only) == wanted
    assert len(wanted) == 4


def test_the_newest_page_opens_the_newest_segments_alone(tmp_path: Path, days: list[datetime]) -> None:
    wanted = newest_events(tmp_path, 1_000)[:4]
    late = [days[-1], days[-1] + timedelta(hours=3), days[-2], days[-2] + timedelta(hours=3)]
    unreadable_but(tmp_path, names_of(tmp_path, *late))
    assert newest_events(tmp_path, 4) == wanted


def test_pages_by_time_follow_one_another_and_have_each_event_once(tmp_path: Path, days: list[datetime]) -> None:
    only = TrailFilter(since=days[1], until=days[7])
    walked: list[Event] = []
    while page := newest_events(
        tmp_path, 3, TrailFilter(since=only.since, until=only.until, before=walked[-1].id if walked else None)
    ):
        walked += page
    assert walked == newest_events(tmp_path, 1_000, only)
    assert [event.time for event in walked] == sorted((event.time for event in walked), reverse=True)
    assert len(walked) == 24


def test_a_later_page_opens_none_of_the_segments_before_it(tmp_path: Path, days: list[datetime]) -> None:
    whole = newest_events(tmp_path, 1_000)
    newer = names_of(tmp_path, *(at + timedelta(hours=more) for at in days[5:] for more in (0, 3)))
    for name in Layout(tmp_path).names():
        if str(name) in newer:  # cannot be opened: an answer that looks there is none
            Layout(tmp_path).sealed_path(name).unlink()
            Layout(tmp_path).sealed_path(name).mkdir()
    page = newest_events(tmp_path, 4, TrailFilter(before=whole[23].id))
    assert whole[23].time.startswith("2026-04-05")
    assert page == whole[24:28]


def test_the_bounds_are_since_and_before_until(tmp_path: Path, days: list[datetime]) -> None:
    at = days[0]
    for since, until, found in (
        (at, at + timedelta(minutes=1), 1),
        (at + timedelta(microseconds=1), at + timedelta(minutes=1), 0),
        (at, at + timedelta(minutes=1, microseconds=1), 2),
    ):
        assert len(newest_events(tmp_path, 10, TrailFilter(since=since, until=until))) == found


def test_an_event_that_was_made_a_little_before_its_segment_is_found(tmp_path: Path) -> None:
    worker = Worker(tmp_path, "w0", DAY)
    worker.write([encode_event(event_at(DAY - timedelta(seconds=2)))])
    worker.seal()
    only = TrailFilter(since=DAY - timedelta(minutes=1), until=DAY - timedelta(seconds=1))
    assert len(newest_events(tmp_path, 10, only)) == 1


def test_a_clock_that_went_back_makes_no_span_that_ends_before_it_begins(tmp_path: Path) -> None:
    for at in (DAY + timedelta(days=2), DAY):
        worker = Worker(tmp_path, "w0", at)
        worker.write([encode_event(event_at(at))])
        worker.seal()
    assert all(span.first < span.last for span in spans_of(Layout(tmp_path)))
    assert len(newest_events(tmp_path, 10)) == 2
