"""Pushed reports over SQLite and PostgreSQL alike, from several workers at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from pdp.directory.aliases import alias_key
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.model.directory import Device, PostureReport
from pdp.posture.ledger import Ledger, Push, held_of, keep_reports
from pdp.posture.message import Name
from pdp.store.store import Store, open_store
from tests.contract.stores import Databases, postgres_databases, sqlite_databases
from tests.postgres_server import postgres_server

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
DEVICES = 40


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    else:
        with postgres_server() as server:
            yield postgres_databases(server)


@pytest.fixture
def url(databases: Databases) -> str:
    url = databases.migrated()
    store = open_store(url)
    with change(store, NOW) as inside:
        inside.add("devices", {f"d-{n}": Device(f"d-{n}", "managed_pc") for n in range(DEVICES)})
        keys = {alias_key("serial", f"SN-{n:04d}") or "": Alias(f"d-{n}") for n in range(DEVICES)}
        inside.add("aliases", keys)
    store.close()
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def push(number: int, seconds: int, risk: str = "none", source: str = "push:edr") -> Push:
    observed = NOW + timedelta(seconds=seconds, microseconds=number)
    report = PostureReport(edr_risk=risk, tampered=False, patch_age_days=seconds, observed_at=observed, source=source)  # type: ignore[arg-type]
    return Push({"serial": f"sn-{number:04d}"}, report)


def test_what_was_kept_is_read_as_it_was_said_to_the_microsecond(store: Store) -> None:
    said = push(7, 3, "medium")
    (outcome,), epoch = keep_reports(store, NOW, [said])
    device, held = held_of(store, Name("id", "d-7"), "push:edr")

    assert (outcome.fate, outcome.device, device) == ("stored", "d-7", "d-7")
    assert held == {"push:edr": said.report}
    assert load_snapshot(store).epoch == epoch
    ((again,), no_epoch) = keep_reports(store, NOW, [said])
    assert (again.fate, no_epoch) == ("same", None)


def test_workers_that_push_at_once_leave_the_latest_report_of_each_device(url: str) -> None:
    """Four workers, each with its own connections, say the same things in four orders."""
    said = [
        push(number, second, "high" if second % 3 == 0 else "low") for number in range(DEVICES) for second in range(8)
    ]

    def work(seed: int) -> None:
        mine = said[:]
        random.Random(seed).shuffle(mine)
        worker = open_store(url)
        try:
            for start in range(0, len(mine), 16):
                keep_reports(worker, NOW, mine[start : start + 16])
        finally:
            worker.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    store = open_store(url)
    try:
        posture = {id_: device.posture for id_, device in load_snapshot(store).devices.items()}
    finally:
        store.close()
    assert posture == {f"d-{number}": push(number, 7, "low").report for number in range(DEVICES)}


async def test_a_worker_that_catches_up_sees_every_report_of_the_other(url: str, store: Store) -> None:
    before = load_snapshot(store)
    other = open_store(url)
    ledger = Ledger(other, lambda: NOW, lambda _: None)
    await asyncio.gather(*(ledger.push([push(number, 1, "high")]) for number in range(DEVICES)))
    await ledger.close()
    other.close()

    seen = refresh_snapshot(store, before).devices
    assert {device.posture.edr_risk for device in seen.values()} == {"high"}


def test_a_device_that_is_removed_while_it_is_reported_leaves_nothing_behind(store: Store) -> None:
    keep_reports(store, NOW, [push(3, 1)])
    with change(store, NOW) as inside:
        inside.remove("devices", {"d-3": None})
    (outcome,), epoch = keep_reports(store, NOW, [push(3, 2)])
    assert (outcome.fate, epoch) == ("unknown_device", None)
    assert held_of(store, Name("serial", "SN-0003"), "push:edr") == (None, {})
