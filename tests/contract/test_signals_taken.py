"""What signals of other houses do to the registers, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from pdp.directory.changes import change
from pdp.directory.holds import Hold, lift_by_hand, list_holds, read_held, set_hold
from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.errors import NotReadyError
from pdp.identity.revocations import EVERY
from pdp.model.directory import User
from pdp.ssf import events
from pdp.ssf.receiving import inbox, register
from pdp.ssf.receiving.acting import OUTCOMES, act
from pdp.ssf.token import SetRefusedError
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.contract.stores import Databases, postgres_databases, sqlite_databases
from tests.postgres_server import postgres_server
from tests.signal_house import IDP, NOW, TX, House, furnish, stream_of, until, working
from tests.ssf_transmitter import id_of, signed_set

pytestmark = pytest.mark.anyio
PERSON = {"format": "iss_sub", "iss": IDP, "sub": "u-1"}
OPAQUE = {"format": "opaque", "id": "u-1"}
DEVICE = {"format": "opaque", "id": "d-1"}


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
    furnish(opened)
    yield opened
    opened.close()


def result(event: Any) -> str:
    assert event.parameters["result"] in OUTCOMES
    return str(event.parameters["result"])


def status(store: Store, user: str = "u-1") -> str:
    return load_snapshot(store).users[user].status


def state(store: Store, device: str = "d-1") -> str:
    return load_snapshot(store).devices[device].state


@pytest.mark.parametrize(
    ("subject", "mark"),
    [
        (PERSON, ("subject", "u-1", IDP)),
        ({**PERSON, "sub": "nobody-here"}, ("subject", "nobody-here", IDP)),
        (OPAQUE, ("subject", "u-1", EVERY)),
        ({"format": "email", "email": "U-1@pref.example.jp"}, ("subject", "u-1", EVERY)),
        ({"format": "account", "uri": "acct:u-1@pref.example.jp"}, ("subject", "u-1", EVERY)),
        ({"format": "aliases", "identifiers": [{"format": "phone_number", "phone_number": "+8159"}, PERSON]}, ("subject", "u-1", IDP)),
        ({"format": "complex", "user": PERSON, "session": {"format": "opaque", "id": "s"}}, ("subject", "u-1", IDP)),
        ({"format": "complex", "user": PERSON, "device": DEVICE}, ("subject", "u-1", IDP)),
        ({"format": "opaque", "id": "some-session"}, ("session", "some-session", EVERY)),
        ({"format": "jwt_id", "iss": IDP, "jti": "t-1"}, ("token", "t-1", IDP)),
    ],
    ids=str,
)  # fmt: skip
async def test_a_revoked_session_is_a_mark(store: Store, tmp_path: Path, subject: Any, mark: Any) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        event = await house.send(events.SESSION_REVOKED, subject, {"event_timestamp": NOW.timestamp() - 60})
        assert result(event) == "acted" and house.looked == [{"revocations"}]
        assert house.marks() == {mark}
        if mark[0] == "subject":
            assert house.all_marks()[0].not_before == NOW - timedelta(seconds=60)


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ({"format": "email", "email": "u-1@elsewhere.example"}, "subject_unknown"),
        ({"format": "iss_sub", "iss": "https://other.example", "sub": "u-1"}, "subject_unknown"),
        ({"format": "phone_number", "phone_number": "+81"}, "subject_unknown"),
        ({"format": "catalog_item", "id": "u-1"}, "subject_unknown"),
        ({"format": "complex", "device": DEVICE}, "subject_unknown"),
        ({"format": "complex", "tenant": OPAQUE}, "subject_unknown"),
        ({"format": "jwt_id", "iss": "https://other.example", "jti": "t-1"}, "subject_unknown"),
    ],
    ids=str,
)
async def test_nobody_we_know_is_written_down_and_ends_nothing(
    store: Store, tmp_path: Path, subject: Any, why: str
) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        assert result(await house.send(events.SESSION_REVOKED, subject)) == why
        assert house.marks() == set() and house.looked == []
        assert house.counted("sekisho_ssf_events_total", stream="idp", outcome=why) == 1


async def test_a_session_ends_by_its_own_name_where_the_settings_know_that_name(store: Store, tmp_path: Path) -> None:
    subject = {"format": "complex", "user": PERSON, "session": {"format": "opaque", "id": "s-1"}}
    async with working(store, stream_of(tmp_path, session_ids="sid")) as house:
        await house.send(events.SESSION_REVOKED, subject)
        assert house.marks() == {("session", "s-1", EVERY)}
    with store.write() as connection:
        register.enrol(connection, ["other"], NOW)
    async with working(store, stream_of(tmp_path, session_ids="sid")) as house:
        await house.send(events.SESSION_REVOKED, {"format": "opaque", "id": "u-2"})
        assert {("session", "u-2", EVERY), ("subject", "u-2", EVERY)} <= house.marks()


async def test_a_set_counts_once_however_often_it_is_sent(store: Store, tmp_path: Path) -> None:
    text = signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp())
    async with working(store, stream_of(tmp_path)) as house:
        await asyncio.gather(*(house.take(text) for _ in range(4)))
        await until(lambda: house.trail.events)
        await house.take(text)
        again = await house.send(events.SESSION_REVOKED, {**PERSON, "sub": "u-2"})
        assert len(house.trail.events) == 2 and again.parameters["jti"] != id_of(text)
        assert len(house.latest()) == 2
        assert house.counted("sekisho_ssf_sets_taken_total", stream="idp", event="caep/session-revoked") == 2


def test_two_workers_that_take_one_set_at_once_keep_it_once(store: Store, tmp_path: Path) -> None:
    first, second = House(store, stream_of(tmp_path)), House(store, stream_of(tmp_path))
    texts = [signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()) for _ in range(10)]

    async def all_of(house: House) -> None:
        for text in texts:
            await house.take(text)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(asyncio.run, all_of(house)) for house in (first, second)]:
            done.result(60)
    assert sorted(one.jti for one in first.latest()) == sorted(map(id_of, texts))


async def test_an_event_is_acted_on_once_by_whoever_is_first(store: Store, tmp_path: Path) -> None:
    house = House(store, stream_of(tmp_path))  # nobody works: it is taken, and no more
    await house.take(signed_set(TX, events.ACCOUNT_DISABLED, PERSON, at=NOW.timestamp()))
    (taken,) = house.latest()
    with ThreadPoolExecutor(4) as pool:
        acted = list(pool.map(lambda _: act(store, taken.id, house.acting, NOW), range(4)))
    (once,) = [one for one in acted if one is not None]
    assert once[1].outcome == "acted" and len(once[1].done) == 2
    assert status(store) == "suspended"


async def test_what_was_taken_before_a_worker_died_is_done_by_the_next_one(store: Store, tmp_path: Path) -> None:
    dead = House(store, stream_of(tmp_path))
    await dead.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    assert dead.marks() == set()
    async with working(store, stream_of(tmp_path)) as house:
        await until(lambda: house.trail.events)
        assert house.marks() == {("subject", "u-1", IDP)}
        assert house.trail.events[0].parameters["received_at"].startswith("2026-11-24T01:00:00")
    async with working(store, stream_of(tmp_path)) as later:
        later.now += timedelta(minutes=5)
        await later.send(events.SESSION_ESTABLISHED, PERSON)
        assert len(later.trail.events) == 1, "what was done is not done again"


async def test_what_cannot_be_written_down_is_in_force_and_is_written_down_later(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        house.trail.full = True
        await house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
        await until(house.marks)
        house.trail.full = False
        house.now += timedelta(minutes=1)
        house.desk.wake()
        await until(lambda: house.trail.events)
        assert result(house.trail.events[0]) == "acted"
        house.desk.wake()
        await house.send(events.SESSION_ESTABLISHED, PERSON)
        assert len(house.trail.events) == 2


async def test_a_disabled_account_is_held_until_the_same_house_enables_it(store: Store, tmp_path: Path) -> None:
    held = load_snapshot(store)
    async with working(store, stream_of(tmp_path)) as house:
        await house.send(events.ACCOUNT_DISABLED, PERSON)
        assert house.looked == [{"revocations", "directory"}]
        caught_up = refresh_snapshot(store, held)
        assert caught_up.users["u-1"].status == status(store) == "suspended"
        assert caught_up.users["u-2"].status == "active"
        with change(store, NOW) as inside:
            inside.put_user(User("u-1", "staff", name="an import"))
        assert status(store) == "suspended", "an import is no way around a hold"
        house.now += timedelta(minutes=1)
        assert result(await house.send(events.ACCOUNT_ENABLED, PERSON)) == "acted"
        assert status(store) == refresh_snapshot(store, caught_up).users["u-1"].status == "active"
        assert house.marks() == {("subject", "u-1", IDP)}, "what was ended stays ended"


async def test_no_signal_gives_back_what_the_registers_have_taken(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        gone, lost = {**PERSON, "sub": "u-gone"}, {"format": "opaque", "id": "d-lost"}
        assert result(await house.send(events.ACCOUNT_ENABLED, gone)) == "unchanged"
        assert (
            result(await house.send(events.DEVICE_COMPLIANCE_CHANGE, lost, {"current_status": "compliant"}))
            == "unchanged"
        )
        assert (status(store, "u-gone"), state(store, "d-lost")) == ("ended", "lost")
        await house.send(events.DEVICE_COMPLIANCE_CHANGE, lost, {"current_status": "not-compliant"})
        assert state(store, "d-lost") == "lost", "lost is stricter than quarantined"


async def test_one_house_does_not_lift_what_another_holds(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = stream_of(tmp_path / "other", name="mdm", issuer="https://mdm.example.com")
    async with working(store, stream_of(tmp_path), other) as house:
        await house.send(events.ACCOUNT_DISABLED, PERSON)
        house.now += timedelta(minutes=1)
        text = signed_set(other.issuer, events.ACCOUNT_ENABLED, PERSON, at=house.now.timestamp())
        await house.take(text, "mdm")
        await until(lambda: len(house.trail.events) == 2)
        assert result(house.trail.events[1]) == "unchanged" and status(store) == "suspended"


async def test_events_count_in_the_order_of_their_own_time(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        new, old = {"event_timestamp": NOW.timestamp() - 10}, {"event_timestamp": NOW.timestamp() - 20}
        await house.send(events.ACCOUNT_ENABLED, PERSON, new)
        await house.send(events.ACCOUNT_DISABLED, PERSON, old)
        assert status(store) == "active", "the older event came later"
        await house.send(events.ACCOUNT_DISABLED, PERSON, new)
        assert status(store) == "suspended", "of two of one instant the hold stands"
        assert result(await house.send(events.ACCOUNT_ENABLED, PERSON, new)) == "unchanged"
        assert status(store) == "suspended"


async def test_a_device_is_held_by_each_cause_for_itself(store: Store, tmp_path: Path) -> None:
    risk = {"principal": "DEVICE", "current_level": "HIGH"}
    async with working(store, stream_of(tmp_path)) as house:
        for members, kind in (
            ({"current_status": "not-compliant"}, events.DEVICE_COMPLIANCE_CHANGE),
            (risk, events.RISK_LEVEL_CHANGE),
        ):
            assert result(await house.send(kind, DEVICE, members)) == "acted"
        assert state(store) == "quarantined"
        house.now += timedelta(minutes=1)
        await house.send(events.DEVICE_COMPLIANCE_CHANGE, DEVICE, {"current_status": "compliant"})
        assert state(store) == "quarantined", "its risk is still high"
        await house.send(events.RISK_LEVEL_CHANGE, DEVICE, {**risk, "current_level": "LOW"})
        assert state(store) == "in_service" and house.marks() == set()


async def test_an_operator_may_lift_a_hold_and_an_older_event_does_not_put_it_back(
    store: Store, tmp_path: Path
) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        await house.send(events.ACCOUNT_DISABLED, PERSON)
        with store.read() as connection:
            assert [(one.id, one.source, one.cause) for one in list_holds(connection)] == [
                ("u-1", "ssf:idp", "account")
            ]
        with change(store, NOW) as inside:
            assert lift_by_hand(inside, "users", "u-1", NOW + timedelta(minutes=5)) == 1
        assert status(store) == "active"
        house.now += timedelta(minutes=1)
        await house.send(events.ACCOUNT_DISABLED, PERSON)
        assert status(store) == "active"
        house.now += timedelta(minutes=10)
        await house.send(events.ACCOUNT_DISABLED, PERSON)
        assert status(store) == "suspended"


@pytest.mark.parametrize(
    ("members", "event", "subject", "more", "why"),
    [
        ({"effects": ()}, events.SESSION_REVOKED, PERSON, {}, "not_allowed"),
        ({"effects": ("end_sessions",)}, events.DEVICE_COMPLIANCE_CHANGE, DEVICE, {"current_status": "not-compliant"}, "not_allowed"),
        ({"organisations": ("tsu",)}, events.SESSION_REVOKED, PERSON, {}, "other_organisation"),
        ({"organisations": ("tsu",)}, events.SESSION_REVOKED, {**PERSON, "sub": "nobody"}, {}, "other_organisation"),
        ({"organisations": ("tsu",)}, events.DEVICE_COMPLIANCE_CHANGE, DEVICE, {"current_status": "not-compliant"}, "other_organisation"),
        ({"organisations": ("tsu",)}, events.DEVICE_COMPLIANCE_CHANGE, {"format": "opaque", "id": "d-2"}, {"current_status": "not-compliant"}, "other_organisation"),
        ({"tenants": ("t-1",)}, events.SESSION_REVOKED, {"format": "complex", "user": PERSON, "tenant": {"format": "opaque", "id": "t-2"}}, {}, "other_tenant"),
        ({"critical_members": ("group",)}, events.SESSION_REVOKED, {"format": "complex", "user": PERSON, "group": OPAQUE}, {}, "critical_member"),
        ({"critical_members": ("tenant",)}, events.SESSION_REVOKED, {"format": "complex", "user": PERSON, "tenant": OPAQUE}, {}, "critical_member"),
        ({}, events.SESSION_REVOKED, PERSON, {"event_timestamp": NOW.timestamp() - 32 * 86_400}, "too_old"),
        ({}, events.SESSION_PRESENTED, PERSON, {}, "no_effect"),
        ({}, "https://example.com/own", PERSON, {}, "unknown_type"),
        ({}, events.DEVICE_COMPLIANCE_CHANGE, {"format": "opaque", "id": "d-none"}, {"current_status": "not-compliant"}, "subject_unknown"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_not_for_us_to_act_on_is_written_down_alone(  # one case
    store: Store, tmp_path: Path, members: Any, event: str, subject: Any, more: Any, why: str
) -> None:
    before = load_snapshot(store)
    async with working(store, stream_of(tmp_path, **members)) as house:
        assert result(await house.send(event, subject, more)) == why
        assert house.marks() == set() and load_snapshot(store).epoch == before.epoch
        told = house.trail.events[0]
        assert (told.action, told.actor.id, told.object) == ("ssf.receive", "ssf:idp", "idp")
        assert told.parameters["issuer"] == TX and told.parameters["type"] == event


async def test_a_municipalitys_stream_reaches_its_own_people(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path, organisations=("tsu",))) as house:
        await house.send(events.ACCOUNT_DISABLED, {**PERSON, "sub": "u-2"})
        assert house.marks() == {("subject", "u-2", IDP)} and status(store, "u-2") == "suspended"


async def test_a_clock_that_goes_ahead_shuts_nobody_out_for_later(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        await house.send(events.SESSION_REVOKED, PERSON, {"event_timestamp": NOW.timestamp() + 86_400})
        assert house.all_marks()[0].not_before == NOW


async def test_a_verification_counts_where_it_was_asked_for_or_the_transmitter_began_it(
    store: Store, tmp_path: Path
) -> None:
    own = {"format": "opaque", "id": "stream-1"}
    async with working(store, stream_of(tmp_path)) as house:
        assert result(await house.send(events.VERIFICATION, own)) == "verified"
        assert house.reception().verified_at == NOW
        for state_ in ("never asked", "x" * 500):
            with pytest.raises(SetRefusedError) as refused:
                await house.send(events.VERIFICATION, own, {"state": state_})
            assert refused.value.err == "invalid_state"
        with store.write() as connection:
            register.ask_state(connection, "idp", "s-1", NOW)
        house.now += timedelta(seconds=5)
        text = signed_set(TX, events.VERIFICATION, own, at=NOW.timestamp(), members={"state": "s-1"})
        await house.take(text)
        assert house.reception().verified_at == house.now and house.reception().asked_state is None
        await house.take(text)
        with pytest.raises(SetRefusedError):
            await house.send(events.VERIFICATION, own, {"state": "s-1"})
        with pytest.raises(SetRefusedError) as other:
            await house.send(events.VERIFICATION, {"format": "opaque", "id": "stream-2"})
        assert other.value.reason == "stream_unknown"
        assert house.counted("sekisho_ssf_sets_refused_total", stream="idp", reason="invalid_state") == 3


async def test_what_a_transmitter_says_of_its_stream_is_kept(store: Store, tmp_path: Path) -> None:
    own = {"format": "opaque", "id": "stream-1"}
    async with working(store, stream_of(tmp_path)) as house:
        await house.send(events.STREAM_UPDATED, own, {"status": "paused", "reason": "Internal\nerror"})
        assert (house.reception().status, house.reception().status_reason) == ("paused", "Internalerror")
        await house.send(events.STREAM_UPDATED, own, {"status": "enabled"})
        assert house.reception().status == "enabled"


async def test_refused_sets_are_counted_where_everybody_sees_it(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        for _ in range(3):
            with pytest.raises(SetRefusedError):
                await house.take("garbage")
        await until(lambda: house.reception().refused > 0)
        house.desk.wake()
        await asyncio.sleep(1.1)
        house.desk.wake()
        await until(lambda: house.reception().refused == 3)
        assert house.reception().refusal == "malformed" and house.latest() == []


async def test_too_much_that_waits_is_not_taken(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING", 2)
    house = House(store, stream_of(tmp_path))
    for _ in range(2):
        await house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    with pytest.raises(NotReadyError):
        await house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))


async def test_old_rows_go_and_what_waits_stays(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        await house.send(events.SESSION_REVOKED, PERSON)
        await until(lambda: house.latest()[0].outcome == "acted")
        await house.send(events.SESSION_REVOKED, PERSON)  # by its own trail the first one is done
        house.now += inbox.KEPT + timedelta(days=1)
        await house.send(events.SESSION_REVOKED, PERSON)
        assert len(house.latest()) <= 2


async def test_one_worker_has_the_lease_until_it_lets_go_or_dies(store: Store, tmp_path: Path) -> None:
    House(store, stream_of(tmp_path))

    def claim(holder: str, after: timedelta = timedelta()) -> bool:
        with store.write() as connection:
            return register.claim(connection, "idp", holder, NOW + after)

    assert claim("a") and not claim("b") and claim("a", timedelta(seconds=10))
    assert not claim("b", timedelta(seconds=25)) and claim("b", timedelta(seconds=31))
    with store.write() as connection:
        register.release(connection, "idp", "a")
    assert not claim("a", timedelta(seconds=32))
    with store.write() as connection:
        register.release(connection, "idp", "b")
    assert claim("a", timedelta(seconds=32))


def test_workers_that_start_together_all_find_their_streams(store: Store) -> None:
    def enrol(_: int) -> None:
        with store.write() as connection:
            register.enrol(connection, ["a", "b"], NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(enrol, range(4)))
    with store.read() as connection:
        assert [one.stream for one in register.read_all(connection)] == ["a", "b"]


def test_a_hold_of_a_row_that_comes_later_counts_from_its_coming(store: Store) -> None:
    with change(store, NOW) as inside:
        assert set_hold(inside, Hold("users", "u-new", "ssf:idp", "account", held=True, at=NOW, changed_at=NOW))
    with change(store, NOW) as inside:
        inside.put_user(User("u-new", "staff"))
    assert status(store, "u-new") == "suspended"


async def test_an_event_that_cannot_be_done_holds_up_no_other(store: Store, tmp_path: Path) -> None:
    dead = House(store, stream_of(tmp_path))
    for sub in ("u-1", "u-2"):
        await dead.take(signed_set(TX, events.SESSION_REVOKED, {**PERSON, "sub": sub}, at=NOW.timestamp()))
    first = min(one.id for one in dead.latest())
    with store.write() as connection:
        broken = update(tables.ssf_events).where(tables.ssf_events.c.id == first)
        connection.execute(broken.values(subject='{"format":"no longer"'))
    async with working(store, stream_of(tmp_path)) as house:
        await until(house.marks)
        assert house.marks() == {("subject", "u-2", IDP)}
        with store.write() as connection:
            connection.execute(broken.values(subject=json.dumps(PERSON)))
        house.desk.wake()
        await until(lambda: len(house.marks()) == 2)


async def test_many_at_once_are_done_in_their_order(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        for n in range(45):
            kind = events.ACCOUNT_DISABLED if n % 2 == 0 else events.ACCOUNT_ENABLED
            members = {"event_timestamp": NOW.timestamp() - 100 + n}
            await house.take(signed_set(TX, kind, PERSON, at=NOW.timestamp(), members=members))
        await until(lambda: len(house.trail.events) == 45)
        assert status(store) == "suspended" and len(house.looked) <= 45


async def test_what_one_stream_only_writes_down_another_of_the_same_house_may_do(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    idle = stream_of(tmp_path / "other", name="idle", effects=())
    text = signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp())
    async with working(store, stream_of(tmp_path), idle) as house:
        for name in ("idle", "idp", "idle", "idp"):
            await house.take(text, name)
        await until(lambda: len(house.trail.events) == 2)
        assert [result(one) for one in house.trail.events] == ["not_allowed", "acted"]


async def test_a_trail_whose_disk_hangs_keeps_no_session_alive(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        house.trail.hangs = True
        for sub in ("u-1", "u-2"):
            await house.take(signed_set(TX, events.SESSION_REVOKED, {**PERSON, "sub": sub}, at=NOW.timestamp()))
            await until(lambda sub=sub: ("subject", sub, IDP) in house.marks())  # type: ignore[misc]
        assert house.trail.events == []
        house.trail.hangs = False
        await until(lambda: len(house.trail.events) == 2)


def named(id_: str) -> dict[str, str]:
    return {"format": "opaque", "id": id_}


def together(**members: Any) -> dict[str, Any]:
    return {"format": "complex", **members}


FAILS, PASSES = {"current_status": "not-compliant"}, {"current_status": "compliant"}
STRANGE = {"format": "agreed-elsewhere", "x": "1"}


async def test_an_event_from_the_future_does_not_outrun_one_that_came_after_it(store: Store, tmp_path: Path) -> None:
    """The attack: a lift that is dated ahead, acted on late, so that it counts as newer than the hold behind it."""
    house = House(store, stream_of(tmp_path))
    for kind, ahead in ((events.ACCOUNT_DISABLED, 0), (events.ACCOUNT_ENABLED, 3_600), (events.ACCOUNT_DISABLED, 0)):
        at = house.now.timestamp()
        await house.take(signed_set(TX, kind, PERSON, at=at, members={"event_timestamp": at + ahead}))
        house.now += timedelta(seconds=1)
    for one in reversed(house.latest()):
        act(store, one.id, house.acting, house.now + timedelta(minutes=1))
    assert status(store) == "suspended"


@pytest.mark.parametrize(
    ("members", "held", "lifted", "stays"),
    [
        ({}, together(user=PERSON, tenant=named("t-1")), together(user=PERSON, tenant=named("t-2")), True),
        ({"tenants": ("t-1", "t-2")}, together(user=PERSON, tenant=named("t-1")), together(user=PERSON, tenant=named("t-2")), True),
        ({}, PERSON, together(user=PERSON, tenant=named("t-1")), True),
        ({}, PERSON, together(user=PERSON, application=named("mail")), True),
        ({}, PERSON, together(user=PERSON, group=STRANGE), True),
        ({}, PERSON, together(user=PERSON, device=DEVICE), True),
        ({"tenants": ("t-1",)}, together(user=PERSON, tenant=named("t-1")), together(user=PERSON, tenant=STRANGE), True),
        ({"tenants": ("t-1",)}, PERSON, together(user=PERSON, tenant=named("t-1")), False),
        ({}, together(user=PERSON, tenant=named("t-1")), together(tenant=named("t-1"), user=PERSON), False),
        ({}, PERSON, {"format": "email", "email": "u-1@pref.example.jp"}, False),
        ({}, PERSON, together(user=PERSON), False),
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_enabled_in_a_part_lifts_nothing_of_the_whole(
    store: Store, tmp_path: Path, members: Any, held: Any, lifted: Any, stays: bool
) -> None:
    async with working(store, stream_of(tmp_path, **members)) as house:
        await house.send(events.ACCOUNT_DISABLED, held)
        assert status(store) == "suspended"
        house.now += timedelta(minutes=1)
        await house.send(events.ACCOUNT_ENABLED, lifted)
        assert status(store) == ("suspended" if stays else "active")


@pytest.mark.parametrize(
    ("held", "lifted", "stays"),
    [
        ({"format": "iss_sub", "iss": "https://a.example", "sub": "d-1"}, {"format": "iss_sub", "iss": "https://b.example", "sub": "d-1"}, True),
        (DEVICE, {"format": "iss_sub", "iss": "https://b.example", "sub": "d-1"}, True),
        (DEVICE, {"format": "iss_sub", "iss": TX, "sub": "d-1"}, False),
        (together(device=DEVICE, user=PERSON), together(device=DEVICE, user=named("u-2")), False),
    ],
    ids=str,
)  # fmt: skip
async def test_a_device_of_another_house_of_the_same_name_lifts_nothing(
    store: Store, tmp_path: Path, held: Any, lifted: Any, stays: bool
) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        await house.send(events.DEVICE_COMPLIANCE_CHANGE, held, FAILS)
        assert state(store) == "quarantined"
        house.now += timedelta(minutes=1)
        await house.send(events.DEVICE_COMPLIANCE_CHANGE, lifted, PASSES)
        assert state(store) == ("quarantined" if stays else "in_service")


async def test_a_critical_member_in_a_format_that_nobody_reads_is_not_read(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path, critical_members=("user",))) as house:
        subject = together(device=DEVICE, user=STRANGE)
        assert result(await house.send(events.DEVICE_COMPLIANCE_CHANGE, subject, FAILS)) == "critical_member"


@pytest.mark.parametrize("session", [named("s-1"), {"format": "jwt_id", "iss": IDP, "jti": "t-1"}], ids=str)
@pytest.mark.parametrize("ids", ["sid", "own"])
async def test_a_session_of_somebody_elses_person_does_not_end(
    store: Store, tmp_path: Path, ids: str, session: Any
) -> None:
    async with working(store, stream_of(tmp_path, organisations=("tsu",), session_ids=ids)) as house:
        event = await house.send(events.SESSION_REVOKED, together(user=PERSON, session=session))
        assert result(event) == "other_organisation" and house.marks() == set()


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        (events.CREDENTIAL_COMPROMISE, {"credential_type": "password"}),
        (events.CREDENTIAL_CHANGE, {"credential_type": "password", "change_type": "revoke"}),
        (events.RISK_LEVEL_CHANGE, {"principal": "USER", "current_level": "HIGH"}),
    ],
)
async def test_what_concerns_a_person_ends_all_sessions_though_one_is_named(
    store: Store, tmp_path: Path, kind: str, members: Any
) -> None:
    subject = together(user=PERSON, session=named("s-1"))
    async with working(store, stream_of(tmp_path, session_ids="sid")) as house:
        await house.send(kind, subject, members)
        assert {("subject", "u-1", IDP), ("session", "s-1", EVERY)} <= house.marks()


async def test_capital_letters_in_a_name_keep_no_session_alive(store: Store, tmp_path: Path) -> None:
    with change(store, NOW) as inside:
        inside.put_user(User("T.Suzuki", "staff"))
    async with working(store, stream_of(tmp_path, email_domains=frozenset({"Pref.example.jp"}))) as house:
        await house.send(events.ACCOUNT_DISABLED, {"format": "email", "email": "t.Suzuki@pref.example.jp"})
        assert status(store, "T.Suzuki") == "suspended"
        assert house.marks() == {("subject", "T.Suzuki", EVERY)}
        assert result(await house.send(events.SESSION_REVOKED, named("t.suzuki"))) == "acted"
        assert ("session", "t.suzuki", EVERY) in house.marks(), "what is opaque is compared letter for letter"


async def test_a_worker_that_does_not_know_a_stream_yet_leaves_its_events(store: Store, tmp_path: Path) -> None:
    """While a new stream comes to one host after another, none may throw away what another one took."""
    await House(store, stream_of(tmp_path)).take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    async with working(store, stream_of(tmp_path, name="older")) as older:
        await older.send_to("older", events.SESSION_REVOKED, {**PERSON, "sub": "u-2"})
        assert older.marks() == {("subject", "u-2", IDP)}
    async with working(store, stream_of(tmp_path)) as house:
        await until(lambda: house.trail.events)
        assert result(house.trail.events[0]) == "acted" and ("subject", "u-1", IDP) in house.marks()


async def test_an_event_of_a_stream_that_is_gone_ends_after_a_day(store: Store, tmp_path: Path) -> None:
    await House(store, stream_of(tmp_path)).take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    async with working(store, stream_of(tmp_path, name="other")) as house:
        house.now += inbox.FORSAKEN
        house.desk.wake()
        await until(lambda: house.trail.events)
        assert result(house.trail.events[0]) == "stream_unknown" and house.marks() == set()


async def test_an_event_that_waited_long_is_told_by_one_worker(store: Store, tmp_path: Path) -> None:
    """Whoever acts has its time to tell from then on; another one must not think it gone, and tell it again."""
    stream = stream_of(tmp_path)
    await House(store, stream).take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    async with working(store) as first, working(store) as second:
        assert first.trail.events == second.trail.events == []
    async with working(store, stream) as slow:
        slow.trail.hangs, slow.now = True, NOW + timedelta(minutes=5)
        slow.desk.wake()
        await until(slow.marks)
        async with working(store, stream) as other:
            other.now = slow.now + timedelta(seconds=1)
            await other.send(events.SESSION_ESTABLISHED, PERSON)
            other.desk.wake()
            await other.send(events.SESSION_ESTABLISHED, PERSON)
            assert [result(one) for one in other.trail.events] == ["no_effect", "no_effect"]
        slow.trail.hangs = False
        await until(lambda: slow.trail.events)


def test_what_a_worker_left_untold_is_given_to_one_other(store: Store, tmp_path: Path) -> None:
    house = House(store, stream_of(tmp_path))
    asyncio.run(house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp())))
    (taken,) = house.latest()
    act(store, taken.id, house.acting, NOW)

    def claim(at: Any) -> int:
        with store.write() as connection:
            return len(inbox.claim_untold(connection, at))

    assert claim(NOW + inbox.UNTOLD / 2) == 0
    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(claim, [NOW + inbox.UNTOLD] * 3)) == [0, 0, 1]
    assert claim(NOW + inbox.UNTOLD) == 0
    assert claim(NOW + 2 * inbox.UNTOLD) == 1, "whoever was to tell it may be gone too"


async def test_one_house_that_floods_us_shuts_out_no_other(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING", 1)
    (tmp_path / "other").mkdir()
    house = House(store, stream_of(tmp_path), stream_of(tmp_path / "other", name="other"))
    await house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    with pytest.raises(NotReadyError):
        await house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()))
    assert await house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp()), "other")


def test_workers_that_catch_up_ask_about_what_was_touched(store: Store) -> None:
    """Who left stays held for good: what is read after each report of a device must not grow with them."""
    with change(store, NOW) as inside:
        for id_ in ("u-1", "u-2", *(f"left-{n}" for n in range(30))):
            set_hold(inside, Hold("users", id_, "ssf:idp", "account", held=True, at=NOW, changed_at=NOW))
        set_hold(inside, Hold("devices", "d-1", "ssf:idp", "risk", held=True, at=NOW, changed_at=NOW))
    with store.read() as connection:
        assert read_held(connection, {"u-1", "d-1", "d-2"}) == {"users": {"u-1"}, "devices": {"d-1"}}
        assert read_held(connection, set()) == {}
        assert len(read_held(connection, {str(n) for n in range(501)})["users"]) == 32, "too many to name: all"
        assert len(read_held(connection)["users"]) == 32


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_order_workers_act_in_the_latest_event_decides(store: Store, tmp_path: Path, seed: int) -> None:
    chance, house = random.Random(seed), House(store, stream_of(tmp_path))  # the same each time
    said = [(chance.randrange(20), chance.random() < 0.5) for _ in range(40)]
    for at, enabled in said:
        kind = events.ACCOUNT_ENABLED if enabled else events.ACCOUNT_DISABLED
        when = {"event_timestamp": NOW.timestamp() - 100 + at}
        await house.take(signed_set(TX, kind, PERSON, at=NOW.timestamp(), members=when))
    ids = 2 * [one.id for one in house.latest()]
    chance.shuffle(ids)
    before = load_snapshot(store)
    with ThreadPoolExecutor(4) as pool:
        acted = list(pool.map(lambda id_: act(store, id_, house.acting, NOW), ids))
    assert len([one for one in acted if one is not None]) == 40
    last = max(at for at, _ in said)
    expected = "active" if all(enabled for at, enabled in said if at == last) else "suspended"
    assert status(store) == refresh_snapshot(store, before).users["u-1"].status == expected
