from __future__ import annotations

import asyncio
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pdp.directory.changes import change
from pdp.directory.snapshot import load_snapshot
from pdp.directory.source import DirectorySource
from pdp.errors import DirectoryError, NotReadyError
from pdp.model.directory import Device, Emergency, Period, PostureReport, User
from pdp.store.store import Store

pytestmark = pytest.mark.anyio

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(store: Store, clock: Clock) -> DirectorySource:
    return DirectorySource(store, clock)


def put_user(store: Store, name: str) -> None:
    with change(store, NOW) as inside:
        inside.put_user(User(name, "staff"))


def test_there_is_no_directory_before_the_first_look(source: DirectorySource) -> None:
    with pytest.raises(NotReadyError):
        source.current()
    assert source.age() is None


async def test_a_look_takes_what_changed_and_nothing_else(store: Store, source: DirectorySource, clock: Clock) -> None:
    put_user(store, "u-1")
    assert await source.refresh()
    first = source.current()
    assert (first.epoch, set(first.users), first.loaded_at) == (1, {"u-1"}, NOW)
    clock.now = NOW + HOUR
    assert source.age() == HOUR
    assert not await source.refresh()
    assert source.current() is first
    assert source.age() == timedelta()
    put_user(store, "u-2")
    assert await source.refresh()
    assert (source.current().epoch, source.current().loaded_at) == (2, NOW + HOUR)
    assert set(source.current().users) == {"u-1", "u-2"}
    assert set(first.users) == {"u-1"}


async def test_a_failed_look_keeps_the_good_snapshot_and_lets_it_age(
    store: Store, source: DirectorySource, clock: Clock, tmp_path: Path
) -> None:
    put_user(store, "u-1")
    await source.refresh()
    good = source.current()
    put_user(store, "u-2")
    with sqlite3.connect(tmp_path / "sekisho.db") as connection:
        connection.execute("ALTER TABLE posts RENAME TO lost_posts")  # reading fails after the epoch was seen
    clock.now = NOW + HOUR
    with pytest.raises(DirectoryError):
        await source.refresh()
    assert source.current() is good
    assert source.age() == HOUR
    connection.execute("ALTER TABLE lost_posts RENAME TO posts")
    connection.commit()
    connection.close()
    assert await source.refresh()
    assert set(source.current().users) == {"u-1", "u-2"}
    assert source.age() == timedelta()


async def test_the_age_counts_from_before_the_store_was_asked(store: Store, clock: Clock) -> None:
    class Slow(Store):
        def read(self):  # type: ignore[no-untyped-def]
            clock.now += HOUR  # whatever changes in this hour is not in the snapshot
            return store.read()

    source = DirectorySource(Slow(store._engine), clock)
    await source.refresh()
    assert source.age() == HOUR
    assert source.current().loaded_at == NOW


async def test_looks_at_the_same_time_take_turns(store: Store, source: DirectorySource) -> None:
    put_user(store, "u-1")
    assert sorted(await asyncio.gather(*(source.refresh() for _ in range(5)))) == [False] * 4 + [True]


async def test_the_event_loop_is_free_while_the_directory_is_read(store: Store) -> None:
    loop_thread = threading.get_ident()
    read_in: list[int] = []

    class Watched(Store):
        def read(self):  # type: ignore[no-untyped-def]
            read_in.append(threading.get_ident())
            return store.read()

    await DirectorySource(Watched(store._engine), Clock()).refresh()
    assert read_in
    assert loop_thread not in read_in


async def test_a_posture_change_is_seen_by_the_next_look(store: Store, source: DirectorySource) -> None:
    with change(store, NOW) as inside:
        inside.put_device(Device("d-1", "managed_pc", posture=PostureReport(edr_running=True, observed_at=NOW)))
    await source.refresh()
    with change(store, NOW) as inside:
        assert inside.report_posture("d-1", PostureReport(edr_running=False, observed_at=NOW))
    await source.refresh()
    assert source.current().devices["d-1"].posture.edr_running is False
    assert source.current() == load_snapshot(store, NOW)


def test_an_id_that_looks_like_another_is_refused_at_every_door(store: Store) -> None:
    for id_ in ("", "u 1", "ｕ-1", "u-1\u200b", "u" * 129, "u-1\n"):
        with pytest.raises(DirectoryError):
            put_user(store, id_)
    with pytest.raises(DirectoryError), change(store, NOW) as inside:
        inside.put_user(User("u-1", "staff", roles=("data user",)))
    with pytest.raises(ValueError, match="weather"), change(store, NOW) as inside:
        inside.set_source("weather", "ok")
    assert load_snapshot(store).users == {}


@pytest.mark.parametrize("period", [Period(), Period(NOW), Period(None, NOW)])
def test_a_declaration_of_disaster_is_never_without_its_end(store: Store, period: Period) -> None:
    with pytest.raises(DirectoryError), change(store, NOW) as inside:
        inside.put_emergency(Emergency(period))
    assert load_snapshot(store).emergencies == ()
