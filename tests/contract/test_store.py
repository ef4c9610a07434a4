"""What the store and the directory over it promise, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from pdp.callers.bindings import bind, bound_certificate, bound_client, bound_name, unbind
from pdp.callers.bounds import CallerBounds, KeyBounds, set_bounds
from pdp.callers.budget import CallerLimits
from pdp.callers.caller import Caller
from pdp.callers.certificate import PeerCertificate
from pdp.callers.credentials import Credentials
from pdp.callers.keys import add_caller, further_key, issue_caller, revoke_key, rotate_key
from pdp.callers.listing import list_callers
from pdp.callers.stored import StoredCallers
from pdp.directory.changes import MAX_LOGGED, RETAINED_EPOCHS, change
from pdp.directory.demo import demonstration, write_demonstration
from pdp.directory.importer import import_directory
from pdp.directory.registers import key_of, registers_of
from pdp.directory.runs import latest_runs
from pdp.directory.snapshot import current_epoch, load_snapshot, refresh_snapshot
from pdp.errors import DirectoryError, NotAuthenticatedError
from pdp.identity.proof import Shown
from pdp.identity.revocations import EVERY, Mark, StoredRevocations, lift, list_marks, revoke
from pdp.identity.token import TokenRefusedError
from pdp.model.directory import (
    ALWAYS,
    CatalogueRow,
    Device,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    PostureReport,
    SegmentFrom,
    Snapshot,
    User,
    WorkPermit,
)
from pdp.store.store import HEAD, Store, open_store, upgrade
from pdp.store.tables import metadata
from tests.contract.stores import Databases, child, postgres_databases, quiet, sqlite_databases
from tests.postgres_server import postgres_server
from tests.sheets import write_sheets

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALICE = User("u-1", "staff", posts=(Post("soumu"),), name="三重 花子")
BOB = User("u-2", "staff", posts=(Post("kankyo"), Post("soumu")), roles=("data_user",))
PC = Device("d-1", "managed_pc", owner="u-1", certificate_sha256="a" * 64)
PHONE = Device("d-2", "byod_phone", owner="u-2")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    else:
        with postgres_server() as server:
            yield postgres_databases(server)


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.migrated()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


def put(store: Store, *rows: Any, now: datetime = NOW) -> None:
    with change(store, now) as inside:
        for row in rows:
            kind = {CatalogueRow: "resource", WorkPermit: "work_permit"}.get(type(row), type(row).__name__.lower())
            getattr(inside, f"put_{kind}")(row)


# --- migrations


def test_an_empty_database_is_migrated_to_the_tables_as_the_code_knows_them(databases: Databases) -> None:
    store = open_store(databases.empty())
    try:
        assert not store.is_current()
        store.migrate()
        assert store.is_current()
        with store.read() as connection:
            found = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
            assert compare_metadata(found, metadata) == []
        assert (current_epoch(store), load_snapshot(store)) == (0, registers_of().snapshot(0))
    finally:
        store.close()


def test_migrating_again_changes_nothing(store: Store) -> None:
    put(store, ALICE)
    before = load_snapshot(store)
    store.migrate()
    assert load_snapshot(store) == before


def test_a_database_of_a_newer_version_is_refused_and_left_alone(store: Store) -> None:
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for look in (store.migrate, store.is_current):
        with pytest.raises(DirectoryError, match="newer version") as refused:
            look()
        assert "`9999`" in refused.value.message
    with store.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"


async def test_marks_from_before_they_knew_their_issuer_count_for_every_issuer(databases: Databases) -> None:
    store = open_store(databases.empty())
    try:
        with store.write() as connection:
            upgrade(connection, "0011")
            connection.execute(
                text(
                    "INSERT INTO revocations (kind, id, not_before, created_at)"
                    " VALUES ('session', 's-1', '2023-08-01T01:00:00.000000Z', '2023-08-01T01:00:00.000000Z')"
                )
            )
        store.migrate()
        assert list_marks(store, now=NOW) == (Mark("session", "s-1", NOW, NOW, EVERY),)
        for issuer in ("https://idp.example.jp", "https://idp.city.example.jp"):
            revoke(store, "session", "s-1", at=NOW, now=NOW, issuer=issuer)
        lift(store, "session", "s-1", issuer="https://idp.city.example.jp")
        marks = StoredRevocations(store, lambda: NOW, issuers=["https://idp.city.example.jp"])
        await marks.refresh()
        with pytest.raises(TokenRefusedError):
            marks.refuse_revoked(Shown((), "s-1", issuer="https://idp.city.example.jp"))
        lift(store, "session", "s-1")
        await marks.refresh()
        marks.refuse_revoked(Shown((), "s-1", issuer="https://idp.city.example.jp"))
    finally:
        store.close()


def test_workers_that_start_together_may_all_migrate(databases: Databases) -> None:
    url, ready = databases.empty(), threading.Barrier(4)

    def start(_: int) -> bool:
        ready.wait(10)
        store = open_store(url)  # the file itself is made by one of them too
        try:
            store.migrate()
            return store.is_current()
        finally:
            store.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [True] * 4


# --- what is refused


@pytest.mark.parametrize(
    "row",
    [
        Device("d-9", "managed_pc", owner="u-404"),
        Permit("d-404", "u-1", ALWAYS),
        Loan("d-1", "u-404", ALWAYS),
        WorkPermit("w-1", frozenset(("u-404",)), frozenset(), frozenset(), ALWAYS),
        WorkPermit("w-1", frozenset(), frozenset(), frozenset(("d-404",)), ALWAYS),
    ],
)
def test_a_row_that_names_nobody_is_refused_whole(store: Store, row: Any) -> None:
    put(store, ALICE, PC)
    before = load_snapshot(store)
    with pytest.raises(DirectoryError, match="reference"):
        put(store, BOB, row)
    assert load_snapshot(store) == before


@pytest.mark.parametrize(
    "row",
    [
        replace(ALICE, kind="boss"),
        replace(ALICE, status="tired"),
        replace(PC, class_="toaster"),
        replace(PC, state="sold"),
        replace(PC, posture=PostureReport(edr_risk="severe")),
        replace(PC, posture=PostureReport(edr_running="maybe")),
        CatalogueRow("x", "games", (SegmentFrom("cloud"),)),
        CatalogueRow("x", "data", (SegmentFrom("moon"),)),
    ],
)
def test_a_word_that_the_input_document_does_not_know_never_gets_in(store: Store, row: Any) -> None:
    put(store, ALICE)
    with pytest.raises(DirectoryError):
        put(store, row)
    assert current_epoch(store) == 1


def test_two_devices_never_share_a_certificate(store: Store) -> None:
    put(store, ALICE, PC)
    with pytest.raises(DirectoryError):
        put(store, Device("d-9", "managed_pc", certificate_sha256="a" * 64))


def test_the_message_of_a_refused_change_names_no_value_and_no_statement(store: Store) -> None:
    with pytest.raises(DirectoryError) as refused:
        put(store, Device("d-9", "managed_pc", owner="u-secret"))
    assert "u-secret" not in refused.value.message
    assert "INSERT" not in refused.value.message.upper()


# --- epochs and snapshots


def test_the_epoch_moves_by_one_with_each_change_and_not_otherwise(store: Store) -> None:
    put(store, ALICE, PC, BOB)
    assert current_epoch(store) == 1
    with change(store, NOW) as inside:
        inside.set_source("posture", "ok")  # as it is
        assert not inside.report_posture("d-404", PostureReport())
    assert current_epoch(store) == 1
    with change(store, NOW) as inside:
        inside.set_source("posture", "unavailable")
    assert (current_epoch(store), load_snapshot(store).posture_source) == (2, "unavailable")
    with pytest.raises(ZeroDivisionError), change(store, NOW) as inside:
        inside.put_user(replace(ALICE, name="Alice"))
        raise ZeroDivisionError
    assert current_epoch(store) == 2


def test_the_prefecture_comes_back_from_the_store_as_it_was_written(store: Store) -> None:
    epoch = write_demonstration(store, NOW)
    read = load_snapshot(store, loaded_at=NOW)
    assert read == demonstration(NOW).snapshot(epoch, loaded_at=NOW)
    assert epoch == current_epoch(store) == 1
    assert latest_runs(store)[0].mode == "demonstration"


def test_a_demonstration_never_replaces_real_registers(store: Store) -> None:
    put(store, ALICE)
    with pytest.raises(DirectoryError, match="not the demonstration"):
        write_demonstration(store, NOW)
    assert set(load_snapshot(store).users) == {"u-1"}


def test_a_reader_sees_the_directory_of_one_moment(store: Store) -> None:
    put(store, ALICE, PC)
    with store.read() as connection:
        users = connection.execute(text("SELECT count(*) FROM users")).scalar()
        put(store, BOB, PHONE)
        devices = connection.execute(text("SELECT count(*) FROM devices")).scalar()
    assert (users, devices) == (1, 1)
    assert len(load_snapshot(store).devices) == 2


def test_a_late_report_does_not_hide_a_newer_one(store: Store) -> None:
    put(store, ALICE, PC)
    alarm = PostureReport(edr_running=False, observed_at=NOW)
    with change(store, NOW) as inside:
        assert inside.report_posture("d-1", alarm)
    for late in (PostureReport(edr_running=True, observed_at=NOW - HOUR), PostureReport(edr_running=True)):
        with change(store, NOW) as inside:
            assert not inside.report_posture("d-1", late)
    assert load_snapshot(store).devices["d-1"].posture == alarm
    healed = replace(alarm, edr_running=True, observed_at=NOW + HOUR)
    with change(store, NOW) as inside:
        assert inside.report_posture("d-1", healed)
    assert load_snapshot(store).devices["d-1"].posture == healed


class Hand:
    """Changes one thing after the other, as chance will have it."""

    def __init__(self, store: Store, seed: int) -> None:
        self._store = store
        self._chance = random.Random(seed)

    def change_something(self) -> None:
        chance, user, device = self._chance, f"u-{self._chance.randint(1, 4)}", f"d-{self._chance.randint(1, 4)}"
        held = load_snapshot(self._store)
        span = Period(NOW, NOW + timedelta(days=chance.randint(1, 9)))
        with change(self._store, NOW) as inside:
            inside.put_user(
                User(user, "staff", posts=tuple(Post(chance.choice("abc")) for _ in range(chance.randint(0, 2))))
            )
            match chance.randint(0, 7):
                case 0:
                    inside.put_device(
                        Device(
                            device,
                            "mobile_pc",
                            owner=user,
                            certificate_sha256=f"{device[2]}{chance.randint(0, 9)}" + "0" * 62,
                        )
                    )
                case 1:
                    inside.report_posture(
                        device, PostureReport(tampered=False, observed_at=NOW + HOUR * chance.randint(0, 99))
                    )
                case 2 if device in held.devices:
                    inside.put_permit(Permit(device, user, span, held=chance.random() < 0.5))
                case 3 if device in held.devices:
                    inside.put_loan(Loan(device, user, span))
                case 4:
                    inside.put_emergency(Emergency(span, "訓練"))
                    inside.put_resource(
                        CatalogueRow(
                            f"r-{chance.randint(1, 3)}", "data", (SegmentFrom("lgwan"), SegmentFrom("cloud", NOW))
                        )
                    )
                case 5:
                    known = frozenset(d for d in (device,) if d in held.devices)
                    inside.put_work_permit(
                        WorkPermit(f"w-{chance.randint(1, 2)}", frozenset((user,)), frozenset("xy"), known, span)
                    )
                case 6 if device in held.devices:
                    named = (held.permits, held.loans)
                    if not any(device in rows for rows in named) and not any(
                        device in w.devices for w in held.work_permits
                    ):
                        inside.remove("devices", {device: held.devices[device]})
                case _:
                    inside.set_source("identity", chance.choice(("ok", "unavailable")))


@pytest.mark.parametrize("seed", range(3))
def test_reading_what_changed_gives_the_same_as_reading_everything(store: Store, seed: int) -> None:
    hand = Hand(store, seed)
    held = load_snapshot(store)
    for step in range(40):
        hand.change_something()
        if step % 3 == 0:
            before = repr(held)
            caught_up = refresh_snapshot(store, held)
            assert caught_up == load_snapshot(store)
            assert repr(held) == before  # what a decision holds is never altered under it
            held = caught_up
    assert refresh_snapshot(store, held) == load_snapshot(store)


def test_what_is_taken_away_is_gone_from_the_next_look(store: Store) -> None:
    permit, loan = Permit("d-2", "u-2", ALWAYS), Loan("d-3", "u-2", ALWAYS)
    put(
        store,
        ALICE,
        BOB,
        PC,
        PHONE,
        Device("d-3", "mobile_pc"),
        permit,
        loan,
        CatalogueRow("r", "data", (SegmentFrom("cloud"),)),
    )
    held = load_snapshot(store)
    with change(store, NOW) as inside:
        inside.remove("permits", {key_of(permit): permit})
        inside.remove("loans", {key_of(loan): loan})
        inside.remove("devices", {"d-1": PC})
        inside.remove("users", {"u-1": ALICE})
        inside.remove("resources", held.resources)
    after = refresh_snapshot(store, held)
    assert after == load_snapshot(store)
    assert (set(after.users), set(after.devices), after.permits, after.loans) == ({"u-2"}, {"d-2", "d-3"}, {}, {})
    assert (after.devices_by_certificate, after.resources) == ({}, {})


def test_rows_come_in_the_order_of_their_characters_whatever_the_locale(store: Store) -> None:
    names = ["Z", "a", "B", "_", "あ", "ア", "1"]
    permits = [Permit("d-1", name, ALWAYS) for name in names]
    put(store, *(User(name, "staff") for name in names), Device("d-1", "byod_phone"), *permits)
    held = replace(load_snapshot(store), epoch=0, users={}, devices={}, permits={})
    for found in (load_snapshot(store), refresh_snapshot(store, held)):
        assert [permit.user for permit in found.permits["d-1"]] == sorted(names)


def test_an_unchanged_directory_is_not_read_again(store: Store) -> None:
    put(store, ALICE)
    held = load_snapshot(store)
    assert refresh_snapshot(store, held) is held


def test_a_worker_that_is_far_behind_or_ahead_reads_everything(store: Store) -> None:
    put(store, ALICE)
    behind = load_snapshot(store)
    put(store, *(User(f"u-{n}", "staff") for n in range(MAX_LOGGED + 1)))  # more than the log names one by one
    assert refresh_snapshot(store, behind) == load_snapshot(store)
    with store.write() as connection:  # the log of long ago is forgotten at every hundredth epoch
        connection.execute(text(f"UPDATE directory_meta SET epoch = {2 * RETAINED_EPOCHS - 1}"))
    put(store, BOB)
    stale = replace(behind, epoch=RETAINED_EPOCHS - 1)
    assert refresh_snapshot(store, stale) == load_snapshot(store)
    restored = replace(load_snapshot(store), epoch=10**9)  # a backup was put back under a running worker
    assert refresh_snapshot(store, restored) == load_snapshot(store)


# --- imports


def import_users(store: Store, folder: Path, *ids: str, **more: Any) -> Any:
    folder.mkdir(exist_ok=True)
    (folder / "users.csv").write_text("id,kind\n" + "".join(f"{id_},staff\n" for id_ in ids))
    return import_directory(store, [folder / "users.csv"], now=NOW, actor="operator", **more)


def test_two_importers_at_once_take_turns(store: Store, tmp_path: Path) -> None:
    ready = threading.Barrier(2)

    def one(name: str) -> Any:
        ready.wait(10)
        return import_users(store, tmp_path / name, "u-both", *(f"u-{name}-{n}" for n in range(300)))

    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(one, ("a", "b")))
    assert sorted((r.outcome, r.epoch) for r in reports) == [("imported", 1), ("imported", 2)]
    assert sorted(len(r.differences["users"].added) for r in reports) == [300, 301]  # the second found the first's
    assert len(load_snapshot(store).users) == 601
    assert [run.epoch for run in latest_runs(store)] == [2, 1]


def test_an_importer_that_is_killed_in_the_middle_leaves_the_old_directory(
    databases: Databases, url: str, store: Store, tmp_path: Path
) -> None:
    put(store, ALICE, PC)
    before = load_snapshot(store)
    people = registers_of(users=[User(f"u-{n}", "staff", posts=(Post("soumu"),)) for n in range(4_000)])
    write_sheets(tmp_path, people)
    importing = (
        "from pdp.directory.importer import import_directory\n"
        "import_directory(store, [Path(sys.argv[2]) / n for n in ('users.csv', 'posts.csv')], now=NOW, actor='x')"
    )
    process = subprocess.Popen(child(importing, url, str(tmp_path)), **quiet())
    while not databases.being_changed(url):
        assert process.poll() is None, process.communicate()[1].decode()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert load_snapshot(store) == before
    assert latest_runs(store) == ()
    assert import_users(store, tmp_path / "again", "u-9").outcome == "imported"


def test_a_writer_that_is_killed_with_half_of_its_rows_written_leaves_the_old_directory(url: str, store: Store) -> None:
    put(store, ALICE, PC)
    before = load_snapshot(store)
    writing = (
        "from pdp.directory.changes import change\n"
        "from pdp.model.directory import User\n"
        "with change(store, NOW) as inside:\n"
        "    inside.remove('devices', {'d-1': None})\n"
        "    inside.add('users', {f'u-x{n}': User(f'u-x{n}', 'staff') for n in range(20_000)})\n"
        "    print('half', flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    process = subprocess.Popen(child(writing, url), **{**quiet(), "stdin": subprocess.PIPE})
    assert process.stdout is not None
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)
    assert load_snapshot(store) == before
    put(store, BOB)  # and nothing is left locked
    assert set(load_snapshot(store).users) == {"u-1", "u-2"}


def test_a_refused_import_leaves_no_trace(store: Store, tmp_path: Path) -> None:
    put(store, ALICE)
    before: Snapshot = load_snapshot(store)
    (tmp_path / "users.csv").write_text("id,kind\nu-9,staff\nu-10,boss\n")
    report = import_directory(store, [tmp_path], now=NOW, actor="operator")
    assert (report.outcome, report.epoch, report.fault_count) == ("refused", 1, 1)
    assert (load_snapshot(store), latest_runs(store)) == (before, ())


def test_devices_may_swap_and_hand_on_their_certificates_in_one_import(store: Store, tmp_path: Path) -> None:
    a, b, c = ("a" * 64, "b" * 64, "c" * 64)
    put(
        store,
        ALICE,
        PC,
        replace(PHONE, owner="u-1", certificate_sha256=b),
        Device("d-3", "section_pc", certificate_sha256=c),
    )
    sheet = tmp_path / "devices.csv"
    sheet.write_text(f"id,class,certificate_sha256\nd-1,managed_pc,{b}\nd-2,byod_phone,{a}\nd-4,section_pc,{c}\n")
    report = import_directory(store, [sheet], now=NOW, actor="operator", mode="replace", allow_removals=50)
    assert report.outcome == "imported", report.faults
    assert load_snapshot(store).devices_by_certificate == {a: "d-2", b: "d-1", c: "d-4"}


# --- callers

pytestmark = pytest.mark.anyio


async def test_keys_of_callers_are_stored_rotated_and_revoked(store: Store) -> None:
    now = NOW
    callers = StoredCallers(store, lambda: now)
    first = add_caller(store, "gateway", ["decide", "batch"], now=NOW, expires_at=NOW + 10 * HOUR)
    assert await callers.refresh()
    assert not await callers.refresh()
    assert callers.authenticate(first).permissions == {"decide", "batch"}
    second = rotate_key(store, "gateway", now=NOW, overlap=2 * HOUR)
    assert await callers.refresh()
    assert callers.authenticate(first) == callers.authenticate(second)
    now = NOW + 2 * HOUR
    with pytest.raises(NotAuthenticatedError):
        callers.authenticate(first)
    (listed,) = list_callers(store)
    revoke_key(store, listed.keys[-1].key_id if listed.keys[-1].expires_at is None else listed.keys[0].key_id, now=now)
    assert callers.authenticate(second).id == "gateway"  # until the next look
    await callers.refresh()
    with pytest.raises(NotAuthenticatedError):
        callers.authenticate(second)
    third = issue_caller(store, "gateway", ["decide"], now=now)
    await callers.refresh()
    assert callers.authenticate(third).permissions == {"decide"}


async def test_what_bounds_callers_and_what_is_bound_to_them_is_stored(store: Store) -> None:
    callers = StoredCallers(store, lambda: NOW)
    limits = CallerLimits(requests_per_s=7, burst=9, body_bytes=1_000, batch=3)
    bounds = CallerBounds(("192.0.2.0/24", "2001:db8::/32"), "plain", limits)
    add_caller(store, "gateway", ["decide", "batch"], now=NOW, bounds=bounds)
    narrow = further_key(store, "gateway", now=NOW, bounds=KeyBounds(("decide",), ("192.0.2.1",), "plain"))
    bound = [
        bound_certificate("f1" * 32),
        bound_name("uri:spiffe://関所.example.jp/gw", "ca" * 32),
        bound_client("https://id.example.jp", "client", "利用者"),
    ]
    ids = [bind(store, "gateway", one, now=NOW) for one in bound]
    assert await callers.refresh()
    caller = callers.authenticate(Credentials(narrow, peer="192.0.2.1"))
    assert caller == Caller("gateway", frozenset({"decide"}), "plain", limits)
    certificates = [
        PeerCertificate("f1" * 32),
        PeerCertificate("f2" * 32, names=("uri:spiffe://関所.example.jp/gw",), issuers=("ca" * 32,)),
    ]
    for certificate in certificates:
        assert callers.authenticate(Credentials(certificate=certificate, peer="192.0.2.9")).may("batch")
    (listed,) = list_callers(store)
    assert listed.bounds == bounds
    assert {binding.bound for binding in listed.bindings} == set(bound)
    assert {key.bounds.permissions for key in listed.keys} == {None, ("decide",)}
    unbind(store, "gateway", ids[0], now=NOW)
    bind(store, "gateway", bound[0], now=NOW)  # what has ended may be bound anew
    set_bounds(store, "gateway", CallerBounds())
    assert await callers.refresh()
    assert callers.authenticate(Credentials(certificate=certificates[0], peer=None)).limits == CallerLimits()
    assert list_callers(store)[0].bounds == CallerBounds()


# --- the database itself


def test_the_head_is_the_newest_migration(store: Store) -> None:
    with store.read() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == HEAD
