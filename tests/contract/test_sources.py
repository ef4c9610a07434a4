"""Runs of sources, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from connectors.port import Page
from pdp.directory.changes import change
from pdp.directory.registers import Alias
from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.model.directory import Device, Post, PostureReport
from pdp.sources import register
from pdp.sources.approval import approve, forget, waiting
from pdp.sources.runner import Source, enrol_all
from pdp.store.store import Store, open_store, upgrade
from tests.contract.stores import Databases, postgres_databases, sqlite_databases
from tests.postgres_server import postgres_server
from tests.unit.sources.simulated import NOW, Simulated, Stage, report, settings, user

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    else:
        with postgres_server() as server:
            yield postgres_databases(server)


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    opened = open_store(databases.migrated())
    with change(opened, NOW) as inside:
        inside.add("devices", {f"d-{n}": Device(f"d-{n}", "managed_pc") for n in range(60)})
        inside.add("aliases", {f"serial sn-{n}": Alias(f"d-{n}") for n in range(60)})
    yield opened
    opened.close()


def reports(numbers: range, **facts: Any) -> Page[Any]:
    return Page(tuple(report({"serial": f"SN-{n}"}, **facts) for n in numbers))


def enrolled(store: Store, source: Source) -> Source:
    enrol_all(store, [(source.settings, source.brings)], NOW)
    return source


async def test_posture_comes_is_changed_goes_and_is_served_at_each_step(store: Store) -> None:
    stage = Stage(store)
    scripts = [[reports(range(60))], [reports(range(1), tampered=True, age=timedelta(0))], [reports(range(30))]]
    source = enrolled(store, Source(settings(learn_aliases=["vendor_id"]), "posture", Simulated(scripts)))
    runner = stage.runner(source)
    snapshot = load_snapshot(store)
    await runner.run(source)
    await runner.run(source)
    snapshot = refresh_snapshot(store, snapshot)
    assert snapshot.devices["d-0"].posture.tampered is True
    assert (await runner.run(source, full=True)).outcome == "stopped"
    plan, digest, _ = waiting(store, "mdm")
    assert plan.gone == 30
    approve(store, "mdm", by="operator", now=NOW, digest=digest)
    assert (await runner.run(source)).outcome == "applied"
    snapshot = refresh_snapshot(store, snapshot)
    assert sum(device.posture.observed_at is not None for device in snapshot.devices.values()) == 30
    assert (snapshot.devices, snapshot.sources) == (load_snapshot(store).devices, load_snapshot(store).sources)
    assert forget(store, "mdm", NOW) == 30


async def test_people_come_change_and_are_ended(store: Store) -> None:
    stage = Stage(store)
    first = Page(tuple(user(f"u-{n}", posts=(Post("soumu"), Post("zaisei")), roles=("data_user",)) for n in range(50)))
    later = Page(tuple(user(f"u-{n}", posts=(Post("kankyo"),)) for n in range(45)))
    source = Source(settings(name="ldap", kind="ldap"), "identity", Simulated([[first], [later]], "ldap"))
    enrolled(store, source)
    for _ in range(2):
        ending = await stage.runner(source).run(source, full=True)
    assert {what: ending.counts[what] for what in ("changed", "removed")} == {"changed": 45, "removed": 5}
    found = load_snapshot(store).users
    assert found["u-0"].posts == (Post("kankyo"),)
    assert found["u-49"].status == "ended"


async def test_of_two_processes_that_start_together_one_runs_the_source(store: Store) -> None:
    stage = Stage(store)
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reading.set()
        await go_on.wait()

    source = enrolled(store, Source(settings(), "posture", Simulated([[wait, reports(range(2))]])))
    first = asyncio.create_task(stage.runner(source).run(source))
    await reading.wait()
    others = [stage.runner(source, holder=f"runner-{n}").run(source) for n in range(2, 5)]
    assert [ending.outcome for ending in await asyncio.gather(*others)] == ["busy"] * 3
    go_on.set()
    assert (await first).outcome == "applied"


def test_a_registers_lease_is_taken_in_one_statement(store: Store) -> None:
    enrol_all(store, [(settings(), "posture")], NOW)
    with store.write() as connection:
        assert register.claim(connection, "mdm", "a", NOW)
    with store.write() as connection:
        assert not register.claim(connection, "mdm", "b", NOW)


def test_reports_from_before_there_were_sources_keep_what_they_say(databases: Databases) -> None:
    store = open_store(databases.empty())
    try:
        with store.write() as connection:
            upgrade(connection, "0002")
            connection.execute(
                text(
                    "INSERT INTO devices (id, class, shared, state, takeout, returned_from_outside)"
                    " VALUES ('d-1', 'managed_pc', false, 'in_service', 'unknown', false)"
                )
            )
            connection.execute(
                text(
                    "INSERT INTO posture_reports (device_id, tampered, edr_running, edr_risk, patch_age_days, observed_at, source)"
                    " VALUES ('d-1', false, 'not_managed', 'low', 3, '2023-08-01T00:00:00.000000Z', 'asset')"
                )
            )
        store.migrate()
        assert load_snapshot(store).devices["d-1"].posture == PostureReport(
            tampered=False,
            edr_running="not_managed",
            edr_risk="low",
            patch_age_days=3,
            observed_at=NOW - timedelta(hours=1),
            source="asset",
        )
        with change(store, NOW) as inside:
            assert inside.report_posture("d-1", PostureReport(edr_risk="none", observed_at=NOW, source="asset"))
            inside.remove("devices", {"d-1": None})
        assert load_snapshot(store).devices == {}
    finally:
        store.close()
