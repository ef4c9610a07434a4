"""Connectors of people through the real runner into a real directory: slapd and a drop folder at one end, SQLite at the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.identity import csv_drop
from pdp.directory.snapshot import load_snapshot
from pdp.model.directory import Post
from pdp.sources.runner import Source, enrol_all
from pdp.store.store import open_store
from tests.slapd_server import BASE, READER, change, group, people, person, slapd_server
from tests.unit.connectors.identity.csv_drop.drops import HEADING, Office, _setup
from tests.unit.connectors.identity.ldap.sources import source as ldap_source
from tests.unit.sources.simulated import Stage, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.store.store import Store
    from tests.slapd_server import SlapdServer

pytestmark = [pytest.mark.anyio, pytest.mark.system]

ROLE = f"cn=disaster,ou=groups,{BASE}"
STAFF = 7_500


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    store: Store = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    store.migrate()
    yield Stage(store)
    store.close()


def enrolled(stage: Stage, connector, **values) -> Source:
    source = Source(settings(name="prefecture-ad", kind="ldap", **values), "identity", connector)
    enrol_all(stage.store, [(source.settings, source.brings)], stage.clock())
    return source


def connector(server: SlapdServer, **values):
    return ldap_source(
        "reader-secret", url=server.ldaps_url, ca_file=server.ca_file, base=BASE, dialect="openldap", bind_dn=READER,
        password_file="password", overlap_s=1,
        user={
            "kinds": [{"kind": "staff", "attribute": "employeeType", "values": ["正規職員"]}],
            "departments": {"main": "departmentNumber"},
            "groups": [{"dn": ROLE, "roles": ["disaster_response"]}],
        },
        **values,
    )  # fmt: skip


def dn(number: int) -> str:
    return f"uid=u-{number:05d},ou=people,{BASE}"


async def test_a_prefecture_of_slapd_stands_in_the_directory_and_follows_its_changes(stage: Stage):
    tree = people(STAFF) + person("u-late", modifyTimestamp="20260402000000Z") + group("disaster", [dn(1)])
    with slapd_server(tree) as server:
        source = enrolled(stage, connector(server))
        stage.clock.now = stage.clock.now.replace(year=2030)  # after slapd's own stamps
        runner = stage.runner(source)
        first = await runner.run(source)
        assert (first.outcome, first.counts["added"]) == ("applied", STAFF + 1)
        assert first.took_s < 30
        server.modify("".join(change(dn(number), "departmentNumber", "kikaku") for number in range(1, 101)))
        second = await runner.run(source)
        assert (second.outcome, second.counts["changed"]) == ("applied", 100)
        assert second.took_s < 10  # 0.2 s on an idle machine
        server.replace(ROLE, "member", dn(2))
        third = await runner.run(source)
        assert third.counts["changed"] == 2
    users = load_snapshot(stage.store).users
    assert users["u-00001"].posts == (Post("kikaku"),)
    assert users["u-00001"].roles == ()
    assert users["u-00002"].roles == ("disaster_response",)


async def test_a_server_that_dies_half_way_changes_nothing(stage: Stage):
    with slapd_server(people(50) + group("disaster", [dn(1)])) as server:
        source = enrolled(stage, connector(server, page_size=10))
        runner = stage.runner(source)
        assert (await runner.run(source)).outcome == "applied"
        before = load_snapshot(stage.store)
        server.modify("".join(change(dn(number), "departmentNumber", "kikaku") for number in range(1, 51)))
        server.freeze()
        slow = enrolled(stage, connector(server, page_size=10, timeout_s=0.3))
        ending = await stage.runner(slow).run(slow)
        server.thaw()
    assert (ending.outcome, ending.fault) == ("failed", "timeout")
    after = load_snapshot(stage.store)
    assert after.users == before.users


async def test_a_roster_that_lost_half_its_people_stops_and_asks(stage: Stage, tmp_path: Path):
    folder = tmp_path / "drop"
    folder.mkdir(mode=0o750)
    office = Office(folder)
    rows = [f"{n:04d},職員{n},正規職員,soumu,,,,\n" for n in range(100)]
    office.drop("職員一覧_20230730.csv", HEADING + "".join(rows), encoding="cp932")
    source = enrolled(stage, csv_drop.connector(_setup(office.settings)))
    runner = stage.runner(source)
    first = await runner.run(source)
    assert (first.outcome, first.counts["added"]) == ("applied", 100)
    assert (await runner.run(source)).outcome == "unchanged"
    office.drop("職員一覧_20230731.csv", HEADING + "".join(rows[:50]), encoding="cp932")
    assert (await runner.run(source)).outcome == "stopped"
    assert len([user for user in load_snapshot(stage.store).users.values() if user.status == "active"]) == 100
    assert (
        await runner.run(source)
    ).outcome == "stopped"  # the file is taken in, and its story is told until it counts
    office.drop("職員一覧_20230801.csv", HEADING + "".join(rows[:99]), encoding="cp932")
    ending = await runner.run(source)
    assert (ending.outcome, ending.counts["removed"]) == ("applied", 1)
    assert load_snapshot(stage.store).users["0099"].status == "ended"
