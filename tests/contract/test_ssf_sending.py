"""Streams, their outboxes and what is told, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text

from pdp.callers.keys import add_caller, further_key, revoke_caller, set_permissions
from pdp.directory.changes import change
from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.errors import ConflictError, NotFoundError, NotPermittedError, TooManyRequestsError
from pdp.identity.revocations import lift, revoke
from pdp.model.directory import Device, Period, PostureReport, User
from pdp.posture.score import Thresholds
from pdp.ssf.events import ACCOUNT_DISABLED, ACCOUNT_ENABLED, DEVICE_COMPLIANCE_CHANGE, SESSION_REVOKED, short_name
from pdp.ssf.sending import lease, outbox, register
from pdp.ssf.sending.happenings import Happening
from pdp.ssf.sending.naming import Names, Person
from pdp.ssf.sending.outbox import Post
from pdp.ssf.sending.streams import Stream, Wish
from pdp.ssf.sending.teller import Teller
from pdp.ssf.subjects import email, opaque
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.contract.stores import Databases, postgres_databases, sqlite_databases
from tests.postgres_server import postgres_server

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HEALTHY = PostureReport(
    certificate=True, disk_encrypted=True, edr_running=True, edr_risk="none", av_current=True, firewall=True,
    screen_lock=True, tampered=False, patch_age_days=3, observed_at=NOW, source="fleet",
)  # fmt: skip


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
    yield opened
    opened.close()


_numbers = itertools.count(1)


def new_id() -> str:
    return f"{next(_numbers):032d}"


def post(most: int = 1_000) -> Post:
    return Post(Names(email_domain="example.jp"), most, new_id)


def stream(store: Store, caller: str = "gw", **wish: Any) -> Stream:
    return register.create(
        store, Stream(new_id(), caller, caller, Wish(**{"subject_format": "opaque", **wish}), NOW, NOW)
    )


def waiting(store: Store, stream_id: str, most: int = 1_000) -> list[outbox.Waiting]:
    held = register.find(store, stream_id, None)
    with store.read() as connection:
        return outbox.waiting(connection, held, most, NOW)


def told(store: Store, stream_id: str) -> list[tuple[str, dict[str, Any]]]:
    return [(short_name(one.type), one.claims["sub_id"]) for one in waiting(store, stream_id)]


def put(store: Store, *user_ids: str, most: int = 1_000) -> None:
    with store.write() as connection:
        happenings = [[Happening(SESSION_REVOKED, Person(one), "ended", NOW)] for one in user_ids]
        post(most).put(connection, happenings, NOW)


class House:
    """One worker over the store, with a clock that the test moves."""

    def __init__(self, store: Store, holder: str = "one") -> None:
        self.store, self.now = store, NOW
        self.stale = False
        self.snapshot = load_snapshot(store)
        self.teller = Teller(store, post(), self.ground, lambda: self.now, holder)

    def ground(self) -> Any:
        return None if self.stale else (self.snapshot, Thresholds())

    def turn(self, after: timedelta = SECOND) -> int:
        """The worker looks at the directory, and then tells."""
        self.now += after
        self.snapshot = refresh_snapshot(self.store, self.snapshot)
        return self.teller.turn()


def write(store: Store, *rows: User | Device) -> None:
    with change(store, NOW) as inside:
        for row in rows:
            if isinstance(row, User):
                inside.put_user(row)
            else:
                inside.put_device(row)


ALICE = User("alice", "staff")
PC = Device("pc-1", "managed_pc", owner="alice", posture=HEALTHY)


# Streams


def test_a_caller_sees_its_own_streams_and_no_others(store: Store) -> None:
    mine, theirs = stream(store, "one"), stream(store, "two")
    assert [one.id for one in register.listed(store, "one")] == [mine.id]
    assert {one.id for one in register.listed(store)} == {mine.id, theirs.id}
    for act in (
        lambda: register.find(store, theirs.id, "one"),
        lambda: register.remove(store, theirs.id, "one"),
        lambda: register.set_status(store, theirs.id, "one", ("disabled", ""), NOW),
        lambda: register.change(store, theirs.id, "one", lambda held: held.wish, NOW),
        lambda: register.remove_subject(store, theirs.id, "one", opaque("x"), NOW),
        lambda: register.add_subject(store, theirs.id, "one", opaque("x")),
    ):
        with pytest.raises(NotFoundError):
            act()
    assert register.find(store, theirs.id, "two") == theirs


def test_a_stream_is_kept_as_it_was_made(store: Store) -> None:
    made = stream(
        store, method="push", endpoint_url="https://gw.example.jp/x?y=1", authorization_header="Bearer s",
        events=(SESSION_REVOKED, "urn:other"), description="ゲートウェイ",
    )  # fmt: skip
    assert register.find(store, made.id, "gw") == made
    assert made.delivers == (SESSION_REVOKED,)
    assert "Bearer s" not in repr(made)


def test_callers_that_race_make_no_more_streams_than_they_may(store: Store) -> None:
    def one(_: int) -> bool:
        try:
            stream(store)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(one, range(register.MAX_OF_CALLER + 6)))
    assert sum(made) == register.MAX_OF_CALLER == len(register.listed(store, "gw"))
    stream(store, "another")


def test_what_an_operator_pauses_a_caller_cannot_let_go_on(store: Store) -> None:
    made = stream(store)
    put(store, "alice")
    register.operate(store, made.id, ("paused", "保守のため"), post(), NOW)
    [first] = waiting(store, made.id)
    assert first.claims["events"] == {first.type: {"status": "paused", "reason": "保守のため"}}
    assert first.claims["sub_id"] == {"format": "opaque", "id": made.id}
    with pytest.raises(NotPermittedError):
        register.set_status(store, made.id, "gw", ("enabled", ""), NOW)
    register.operate(store, made.id, ("enabled", ""), post(), NOW)
    assert [name for name, _ in told(store, made.id)] == [
        "caep/session-revoked", "ssf/stream-updated", "ssf/stream-updated",
    ]  # fmt: skip
    assert register.set_status(store, made.id, "gw", ("paused", ""), NOW).status == "paused"


def test_a_paused_stream_keeps_what_comes_and_a_disabled_one_drops_it(store: Store) -> None:
    paused, disabled = stream(store), stream(store)
    put(store, "alice")
    register.set_status(store, paused.id, "gw", ("paused", "later"), NOW)
    register.set_status(store, disabled.id, "gw", ("disabled", ""), NOW)
    put(store, "bob")
    assert waiting(store, paused.id) == waiting(store, disabled.id) == []
    for one in (paused, disabled):
        register.set_status(store, one.id, "gw", ("enabled", ""), NOW)
    assert [subject["id"] for _, subject in told(store, paused.id)] == ["alice", "bob"]
    assert waiting(store, disabled.id) == []


def test_a_stream_that_gets_fewer_types_forgets_the_others_that_wait(store: Store) -> None:
    made = stream(store)
    with store.write() as connection:
        happenings = [[Happening(one, Person("a"), "ended", NOW) for one in (ACCOUNT_DISABLED, SESSION_REVOKED)]]
        post().put(connection, happenings, NOW)
        post().put_verification(connection, made, "s", NOW)
    register.change(store, made.id, "gw", lambda held: replace(held.wish, events=(ACCOUNT_DISABLED,)), NOW)
    assert [name for name, _ in told(store, made.id)] == ["risc/account-disabled", "ssf/verification"]


def test_a_stream_takes_what_waits_in_it_along_when_it_goes(store: Store) -> None:
    made, other = stream(store), stream(store)
    put(store, "alice")
    register.remove_subject(store, made.id, "gw", opaque("bob"), NOW)
    register.remove(store, made.id, "gw")
    with store.read() as connection:
        left = connection.execute(select(tables.ssf_outbox.c.stream_id)).scalars().all()
        assert left == [other.id]
        assert register.removed_in(connection) == {}


def test_a_stream_is_not_verified_too_often(store: Store) -> None:
    made, shortest = stream(store), timedelta(seconds=30)
    with store.write() as connection:
        register.note_verification(connection, made.id, "gw", NOW, shortest)
    with pytest.raises(TooManyRequestsError) as refused, store.write() as connection:
        register.note_verification(connection, made.id, "gw", NOW + 20 * SECOND, shortest)
    assert refused.value.retry_after_s == 10
    with store.write() as connection:
        register.note_verification(connection, made.id, "gw", NOW + 30 * SECOND, shortest)


# Outboxes


def test_each_stream_gets_what_it_asked_for_about_whom_it_did_not_remove(store: Store) -> None:
    everything, devices, mails = stream(store), stream(store, events=(DEVICE_COMPLIANCE_CHANGE,)), None
    mails = stream(store, subject_format="email")
    register.remove_subject(store, mails.id, "gw", email("Bob@Example.jp"), NOW)
    register.remove_subject(store, mails.id, "gw", email("bob@example.jp"), NOW)  # once more: nothing new
    put(store, "alice", "bob")
    assert [subject["id"] for _, subject in told(store, everything.id)] == ["alice", "bob"]
    assert told(store, devices.id) == []
    assert [subject for _, subject in told(store, mails.id)] == [{"format": "email", "email": "alice@example.jp"}]
    register.add_subject(store, mails.id, "gw", email("bob@example.jp"))
    put(store, "bob")
    assert [subject["email"] for _, subject in told(store, mails.id)] == ["alice@example.jp", "bob@example.jp"]


def test_what_waits_comes_in_order_and_stays_until_it_is_acknowledged(store: Store) -> None:
    made = stream(store)
    put(store, *(f"u{n}" for n in range(5)))
    first = waiting(store, made.id, 2)
    assert [one.claims["sub_id"]["id"] for one in first] == ["u0", "u1"]
    assert waiting(store, made.id, 2) == first
    with store.write() as connection:
        assert outbox.acknowledged(connection, made.id, [first[1].jti, "unknown"], NOW) == 1
        assert outbox.acknowledged(connection, "another", [first[0].jti], NOW) == 0
    assert [subject["id"] for _, subject in told(store, made.id)] == ["u0", "u2", "u3", "u4"]
    with store.write() as connection:
        assert outbox.refused(connection, made.id, {first[0].jti: "invalid_request: no"}) == 1
    held = register.find(store, made.id, None)
    assert (held.delivered, held.refused, held.fault, held.delivered_at) == (1, 1, "invalid_request: no", NOW)


def test_failures_are_counted_from_the_first_until_one_arrives(store: Store) -> None:
    made = stream(store)
    put(store, "alice")
    for n in range(3):
        with store.write() as connection:
            outbox.failed(connection, made.id, f"fault {n}", NOW + n * SECOND)
    held = register.find(store, made.id, None)
    assert (held.failures, held.failing_since, held.fault) == (3, NOW, "fault 2")
    with store.write() as connection:
        outbox.acknowledged(connection, made.id, [waiting(store, made.id)[0].jti], NOW)
    held = register.find(store, made.id, None)
    assert (held.failures, held.failing_since, held.fault) == (0, None, "")


def test_beyond_the_bound_the_oldest_go_and_are_counted(store: Store) -> None:
    made, other = stream(store), stream(store, "other", events=())
    with store.write() as connection:
        post().put_verification(connection, made, None, NOW)
    for n in range(4):
        put(store, f"a{n}", f"b{n}", most=5)
    assert [subject["id"] for _, subject in told(store, made.id)][1:] == ["b1", "a2", "b2", "a3", "b3"]
    assert told(store, made.id)[0][0] == "ssf/verification"
    assert register.find(store, made.id, None).dropped == 3
    assert register.find(store, other.id, None).dropped == 0
    standings = outbox.standings(store)
    assert standings[made.id].events == 6
    assert standings[made.id].oldest == NOW


def test_verifications_that_nobody_fetches_do_not_pile_up(store: Store) -> None:
    made = stream(store)
    with store.write() as connection:
        for n in range(outbox.MAX_FRAMEWORK + 3):
            post().put_verification(connection, made, str(n), NOW)
    kept = [next(iter(one.claims["events"].values()))["state"] for one in waiting(store, made.id)]
    assert kept == [str(n) for n in range(3, outbox.MAX_FRAMEWORK + 3)]


def test_only_streams_in_which_something_may_go_are_pushed(store: Store) -> None:
    def ready() -> list[str]:
        with store.read() as connection:
            return [one.id for one in outbox.to_push(connection)]

    push = {"method": "push", "endpoint_url": "https://gw.example.jp/"}
    add_caller(store, "gw", ["ssf_read"], now=NOW)
    first, second = stream(store, **push), stream(store, **push)
    stream(store)
    assert ready() == []
    put(store, "alice")
    assert ready() == [first.id, second.id]
    register.set_status(store, second.id, "gw", ("paused", ""), NOW)
    assert ready() == [first.id]
    with store.write() as connection:
        post().put_verification(connection, second, None, NOW)
    assert ready() == [first.id, second.id]


def test_only_callers_that_nobody_revoked_are_pushed_to(store: Store) -> None:
    def ready() -> list[str]:
        with store.read() as connection:
            return [one.caller for one in outbox.to_push(connection)]

    push = {"method": "push", "endpoint_url": "https://gw.example.jp/"}
    for caller in ("gone", "narrowed", "lapsed", "unknown"):
        if caller != "unknown":
            expires_at = NOW + SECOND if caller == "lapsed" else None
            add_caller(store, caller, ["ssf_manage", "decide"], now=NOW, expires_at=expires_at)
        stream(store, caller, **push)
    put(store, "alice")
    assert ready() == ["gone", "narrowed", "lapsed"]
    revoke_caller(store, "gone", now=NOW)
    set_permissions(store, "narrowed", ["decide"])
    assert ready() == ["lapsed"]  # a key that runs out ends no stream: nobody decided that
    further_key(store, "gone", now=NOW)
    set_permissions(store, "narrowed", ["ssf_read"])
    assert ready() == ["gone", "narrowed", "lapsed"]


def test_what_a_receiver_cannot_take_yet_is_given_out_again_later_each_time(store: Store) -> None:
    made = stream(store)
    put(store, "alice", "bob")
    first = waiting(store, made.id)[0].jti
    now, gaps = NOW, []
    for _ in range(9):
        with store.write() as connection:
            assert outbox.put_off(connection, made.id, {first: "invalid_key", "nobody": "x"}, now) == 1
        held = register.find(store, made.id, None)
        assert (held.fault, held.failing_since) == ("x", NOW)
        since = now
        while first not in due(store, made, now):
            assert len(due(store, made, now)) == 1  # who is behind it does not wait for it
            now += SECOND * 30
        gaps.append((now - since).total_seconds())
    assert gaps == [60, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    with store.write() as connection:
        assert outbox.put_off(connection, "nobody", {first: "x"}, now) == 0
        assert outbox.acknowledged(connection, made.id, [first], now) == 1


def due(store: Store, made: Stream, now: datetime) -> list[str]:
    with store.read() as connection:
        return [one.jti for one in outbox.waiting(connection, made, 10, now)]


def test_an_acknowledgement_and_a_change_do_not_wait_for_each_other(store: Store, monkeypatch: Any) -> None:
    """Both take the stream's row first. Else PostgreSQL ends one of them, and its caller is told of a broken store."""
    made = stream(store)
    put(store, "alice", "bob")
    jtis = [one.jti for one in waiting(store, made.id)]
    between, further, let_go = threading.Event(), threading.Event(), outbox._let_go

    def halfway(*args: Any) -> int:
        count = let_go(*args)
        between.set()
        further.wait(20)
        return count

    monkeypatch.setattr(outbox, "_let_go", halfway)

    def acknowledge() -> int:
        with store.write() as connection:
            return outbox.acknowledged(connection, made.id, jtis, NOW)

    with ThreadPoolExecutor(2) as pool:
        taken = pool.submit(acknowledge)
        assert between.wait(20)
        changed = pool.submit(register.set_status, store, made.id, "gw", ("disabled", ""), NOW)
        if store.dialect != "sqlite":  # whose writers queue from their start
            until_somebody_waits(store)
        further.set()
        assert taken.result(40) == 2
        assert changed.result(40).status == "disabled"


def until_somebody_waits(store: Store) -> None:
    """For a lock of the database; at the most a while."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    for _ in range(2_000):
        with store.read() as connection:
            if connection.execute(query).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


# The lease


def test_of_workers_that_race_one_is_the_sender_until_its_lease_is_over(store: Store) -> None:
    def claim(holder: str, now: datetime = NOW) -> bool:
        with store.write() as connection:
            return lease.claim(connection, holder, now)

    with ThreadPoolExecutor(4) as threads:
        won = list(threads.map(claim, ["a", "b", "c", "d"]))
    assert sum(won) == 1
    winner = "abcd"[won.index(True)]
    assert claim(winner, NOW + lease.RENEWED_AFTER)
    assert not claim("z", NOW + lease.LEASE)
    with pytest.raises(lease.LeaseLostError), store.write() as connection:
        lease.require(connection, "z", NOW)
    assert claim("z", NOW + lease.RENEWED_AFTER + lease.LEASE)
    with pytest.raises(lease.LeaseLostError), store.write() as connection:
        lease.require(connection, winner, NOW + lease.RENEWED_AFTER + lease.LEASE)
    with store.write() as connection:
        lease.release(connection, winner)  # not its own any more: nothing happens
        lease.require(connection, "z", NOW + lease.LEASE + lease.LEASE)


# What is told


def test_what_was_so_before_anybody_looked_is_nobodys_news(store: Store) -> None:
    write(store, ALICE, replace(PC, state="lost"), User("bob", "staff", status="ended"))
    revoke(store, "subject", "carol", at=NOW, now=NOW)
    made = stream(store)
    house = House(store)
    assert house.turn() == 0
    assert house.turn() == 0
    assert told(store, made.id) == []
    write(store, User("new", "staff", status="suspended"))  # never seen otherwise: nothing ends
    assert house.turn() == 0
    write(store, replace(ALICE, status="suspended"))
    assert house.turn() == 2
    txns = {one.claims["txn"] for one in waiting(store, made.id)}
    assert len(txns) == 1
    assert told(store, made.id) == [
        ("risc/account-disabled", {"format": "opaque", "id": "alice"}),
        ("caep/session-revoked", {"format": "opaque", "id": "alice"}),
    ]


def test_a_leaver_is_told_on_the_day_with_no_change_in_the_register(store: Store) -> None:
    write(store, replace(ALICE, employment=Period(None, NOW + timedelta(days=1))))
    made, house = stream(store), House(store)
    house.turn()
    assert house.turn(timedelta(hours=23)) == 0
    assert house.turn(timedelta(hours=1)) == 2
    assert [name for name, _ in told(store, made.id)] == ["risc/account-disabled", "caep/session-revoked"]


def test_what_changed_while_no_worker_ran_is_told_once(store: Store) -> None:
    write(store, ALICE, User("bob", "staff"), PC)
    made, first = stream(store), House(store)
    first.turn()
    first.teller.close()
    write(store, replace(ALICE, status="ended"), replace(PC, state="lost"))
    with change(store, NOW) as inside:
        inside.remove("users", {"bob": User("bob", "staff")})
    revoke(store, "session", "sid-1", at=NOW, now=NOW, issuer="https://idp.example.jp")
    second = House(store, "two")
    second.now = NOW + timedelta(days=2)
    assert second.turn() > 0
    assert second.turn() == 0
    third = House(store, "three")
    third.now = NOW + timedelta(days=3)
    assert third.turn() == 0
    names = [
        (name, subject.get("id", subject.get("session", subject.get("device"))))
        for name, subject in told(store, made.id)
    ]
    assert names == [
        ("caep/session-revoked", {"format": "opaque", "id": "sid-1"}),
        ("risc/account-disabled", "alice"),
        ("caep/session-revoked", "alice"),
        ("risc/account-disabled", "bob"),
        ("caep/session-revoked", "bob"),
        ("caep/device-compliance-change", {"format": "opaque", "id": "pc-1"}),
        ("caep/session-revoked", "alice"),
    ]


def test_who_comes_back_is_told_too(store: Store) -> None:
    write(store, ALICE)
    made, house = stream(store, events=(ACCOUNT_ENABLED,)), House(store)
    house.turn()
    for status in ("suspended", "ended", "active"):
        write(store, replace(ALICE, status=status))
        house.turn()
    assert told(store, made.id) == [("risc/account-enabled", {"format": "opaque", "id": "alice"})]


def test_a_device_is_judged_as_decisions_judge_it_and_by_the_clock(store: Store) -> None:
    write(store, ALICE, PC)
    made, house = stream(store), House(store)
    house.turn()
    assert house.turn(timedelta(hours=23)) == 0
    assert house.turn(timedelta(hours=2)) == 1  # nothing was reported for more than 24 hours
    with change(store, NOW) as inside:
        inside.report_posture(
            "pc-1", replace(HEALTHY, observed_at=house.now, patch_age_days=20)
        )  # warned of, and allowed
    assert house.turn() == 1
    with change(store, NOW) as inside:
        inside.report_posture("pc-1", replace(HEALTHY, observed_at=house.now, disk_encrypted=False))
    assert house.turn() == 1
    events = [next(iter(one.claims["events"].values())) for one in waiting(store, made.id)]
    assert [(one["previous_status"], one["current_status"]) for one in events] == [
        ("compliant", "not-compliant"), ("not-compliant", "compliant"), ("compliant", "not-compliant"),
    ]  # fmt: skip
    assert {one["initiating_entity"] for one in events} == {"policy"}


def test_a_mark_is_told_once_for_each_instant_and_a_session_only_once(store: Store) -> None:
    write(store, ALICE)
    made, house = stream(store), House(store)
    house.turn()
    house.now = NOW + timedelta(minutes=1)
    revoke(store, "subject", "alice", at=NOW, now=house.now)
    revoke(store, "session", "sid", at=NOW, now=house.now)
    assert house.turn() == 2
    revoke(store, "subject", "alice", at=NOW - SECOND, now=house.now)  # an earlier instant: nothing further ends
    revoke(store, "session", "sid", at=NOW, now=house.now + SECOND)
    assert house.turn() == 0
    revoke(store, "subject", "alice", at=NOW + SECOND, now=house.now)
    assert house.turn() == 1
    lift(store, "session", "sid")
    assert house.turn() == 0
    revoke(store, "session", "sid", at=NOW, now=house.now)
    assert house.turn() == 1
    assert len(waiting(store, made.id)) == 4


def test_nothing_is_told_on_a_directory_that_nobody_could_confirm(store: Store) -> None:
    write(store, ALICE)
    stream(store)
    house = House(store)
    house.turn()
    write(store, replace(ALICE, status="ended"))
    house.stale = True
    assert house.turn() == 0
    house.stale = False
    assert house.turn() == 2


def test_a_sender_that_knows_an_older_directory_does_not_undo_what_was_told(store: Store) -> None:
    write(store, ALICE)
    stream(store)
    first, second = House(store), House(store, "two")
    old = load_snapshot(store)
    first.turn()
    write(store, replace(ALICE, status="ended"))
    assert first.turn() == 2
    first.teller.close()
    second.snapshot, second.now = old, NOW + timedelta(minutes=1)
    assert second.teller.turn() == 0
    assert second.teller.is_sender()
    assert second.turn() == 0


def test_of_two_workers_one_tells(store: Store) -> None:
    write(store, ALICE)
    made, houses = stream(store), (House(store, "one"), House(store, "two"))
    for house in houses:
        house.turn()
    assert [house.teller.is_sender() for house in houses] == [True, False]
    write(store, replace(ALICE, status="ended"))
    assert [house.turn() for house in reversed(houses)] == [0, 2]
    assert len(waiting(store, made.id)) == 2


def test_a_sender_that_was_held_up_for_longer_than_its_lease_writes_nothing(store: Store) -> None:
    write(store, ALICE)
    made, slow, quick = stream(store), House(store, "slow"), House(store, "quick")
    slow.turn()
    write(store, replace(ALICE, status="ended"))
    slow.snapshot = load_snapshot(store)
    ground = slow.ground

    def held_up() -> Any:
        quick.now = slow.now + lease.LEASE + SECOND
        assert quick.turn() == 2
        slow.now = quick.now
        return ground()

    slow.teller._ground = held_up  # where a thread can stand still for as long as it likes
    assert slow.teller.turn() == 0
    assert not slow.teller.is_sender()
    assert len(waiting(store, made.id)) == 2


def test_what_could_not_be_kept_is_told_with_the_next_turn(store: Store) -> None:
    write(store, ALICE)
    made, house = stream(store), House(store)
    house.turn()
    write(store, replace(ALICE, status="ended"))
    good = house.teller._post

    class Failing:
        def put(self, *_: object) -> int:
            raise RuntimeError

    house.teller._post = Failing()  # type: ignore[assignment]
    with pytest.raises(RuntimeError):
        house.turn()
    house.teller._post = good
    assert house.turn() == 2
    assert len(waiting(store, made.id)) == 2


def test_thousands_that_leave_at_once_are_all_told(store: Store) -> None:
    people = {f"u{n:05d}": User(f"u{n:05d}", "staff") for n in range(4_500)}
    with change(store, NOW) as inside:
        inside.add("users", people)
    made, house = stream(store, events=(ACCOUNT_DISABLED,)), House(store)
    house.teller._post = post(10_000)
    house.turn()
    with change(store, NOW) as inside:
        inside.replace("users", {key: replace(user, status="ended") for key, user in people.items()})
    assert house.turn() == 4_500
    assert [subject["id"] for _, subject in told(store, made.id)][:3] == ["u00000", "u00001", "u00002"]
    assert outbox.standings(store)[made.id].events == 4_500


def test_claims_are_whole_but_for_who_sends_to_whom(store: Store) -> None:
    made = stream(store)
    put(store, "alice")
    [one] = waiting(store, made.id)
    assert msgspec.json.decode(msgspec.json.encode(one.claims)) == one.claims
    assert one.claims.keys() == {"jti", "iat", "txn", "sub_id", "events"}
    assert one.claims["jti"] == one.jti
    assert one.claims["iat"] == int(NOW.timestamp())
