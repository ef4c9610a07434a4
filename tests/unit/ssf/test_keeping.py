"""Who polls, how often, and what an operator sees of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pdp.model.signal_stream import SignalStream
from pdp.ssf.receiving import keeping, register
from pdp.ssf.receiving.keeping import Keeper, troubles
from pdp.ssf.receiving.metrics import ReceivingMetrics
from pdp.store.store import Store
from tests.signal_house import IDP, NOW, TX, House, stream_of, until, working
from tests.ssf_transmitter import CAEP, SSF, Lie, Transmitter, id_of, signed_set

pytestmark = pytest.mark.anyio
PERSON = {"format": "iss_sub", "iss": IDP, "sub": "u-1"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(keeping, "LOOK_S", 0.05)
    monkeypatch.setattr(keeping, "RENEW_S", 0.05)
    yield


def polled(transmitter: Transmitter, folder: Path, **members: Any) -> SignalStream:
    given = {
        "issuer": transmitter.url,
        "delivery": "poll",
        "endpoint_url": f"{transmitter.url}/poll?stream_id=stream-1",
        "jwks_file": "",
        "poll_wait_s": 1,
        "poll_pause_s": 0.1,
    }
    return stream_of(folder, **{**given, **members})


@asynccontextmanager
async def keeping_at(store: Store, holder: str, *streams: SignalStream) -> AsyncIterator[tuple[House, Keeper]]:
    async with working(store, *streams) as house:
        begun = time.monotonic()
        house_clock = lambda: house.now + timedelta(seconds=time.monotonic() - begun)  # noqa: E731
        house.now = datetime.now(UTC)
        keeper = Keeper(
            store,
            list(house.incoming.values()),
            house.desk,
            clock=house_clock,
            new_state=lambda: "state-1",
            chance=lambda: 0.5,
            holder=holder,
            metrics=ReceivingMetrics(CollectorRegistry()),
        )
        await keeper.start()
        try:
            yield house, keeper
        finally:
            await keeper.close()


async def test_one_of_two_workers_polls_and_the_other_takes_over(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    stream = polled(transmitter, tmp_path)
    async with keeping_at(store, "b", stream) as (other, _):
        async with keeping_at(store, "a", stream) as (house, _):
            transmitter.offer(text := transmitter.set(f"{CAEP}session-revoked", PERSON))
            await until(lambda: id_of(text) in transmitter.acked)
            await until(house.marks)
            held = house.reception()
            assert held.lease_holder in ("a", "b") and held.polled_at is not None
        transmitter.offer(again := transmitter.set(f"{CAEP}session-revoked", PERSON))
        await until(lambda: id_of(again) in transmitter.acked)
        assert other.reception().lease_holder == "b", "who ends well lets go at once"
    assert other.reception().lease_holder is None


async def test_polls_come_later_after_faults_and_a_restart_is_no_way_around(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.lies["/poll"] = Lie(status=500)
    stream = polled(transmitter, tmp_path)
    async with keeping_at(store, "a", stream) as (house, keeper):
        await until(lambda: house.reception().failures >= 2)
        await until(lambda: "cannot be polled (it answered 500)" in keeper.status())
        after = house.reception().poll_after
    with store.write() as connection:
        register.note_fault(connection, "idp", "x", datetime.now(UTC) + timedelta(seconds=3))
    transmitter.lies.clear()
    begun, before = time.monotonic(), len(transmitter.polls)
    async with keeping_at(store, "b", stream) as (house, keeper):
        await until(lambda: len(transmitter.polls) > before)
        assert time.monotonic() - begun > 2.5 and after is not None
        await until(lambda: keeper.status() == "1 ok")
        assert house.reception().failures == 0 and house.reception().fault == ""


async def test_what_a_transmitter_asks_for_is_waited_for(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.lies["/poll"] = Lie(status=429, headers={"Retry-After": "60"})
    async with keeping_at(store, "a", polled(transmitter, tmp_path)) as (house, _):
        await until(lambda: house.reception().failures)
        after = house.reception().poll_after
        assert after is not None and after - datetime.now(UTC) > timedelta(seconds=50)


async def test_an_answer_that_brings_nothing_at_once_is_no_reason_to_hurry(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.lies["/poll"] = Lie(body=b'{"sets":{}}')
    async with keeping_at(store, "a", polled(transmitter, tmp_path, poll_pause_s=600)) as (house, _):
        await until(lambda: house.reception().polled_at)
        first = house.reception().polled_at
        transmitter.lies.clear()
        await asyncio.sleep(0.5)
        assert house.reception().polled_at == first and transmitter.polls == []


@pytest.mark.parametrize("same", [False, True], ids=["more, it says", "the same again"])
async def test_answers_without_end_that_bring_nothing_new_are_no_reason_to_hurry(
    store: Store, tmp_path: Path, transmitter: Transmitter, same: bool
) -> None:
    """The attack: a transmitter that keeps a worker asking, verifying and writing as fast as it can."""
    text = transmitter.set(f"{CAEP}session-revoked", PERSON)
    body = json.dumps({"sets": {id_of(text): text} if same else {}, "moreAvailable": True})
    transmitter.lies["/poll"] = Lie(body=body.encode())
    polls: list[object] = []
    async with keeping_at(store, "a", polled(transmitter, tmp_path, poll_pause_s=600)) as (house, keeper):
        ask = house.incoming["idp"].fetch.ask

        async def counted(method: Any, url: str, **more: Any) -> Any:
            polls.append(url)
            return await ask(method, url, **more)

        object.__setattr__(house.incoming["idp"].fetch, "ask", counted)
        await until(lambda: house.reception().polled_at)
        await asyncio.sleep(1.0)
        assert len([url for url in polls if "/poll" in str(url)]) <= 1 + same, (
            "the first is new, and its thanks are due"
        )
        assert keeper.status()


async def test_a_verification_is_asked_for_when_it_is_time_and_its_answer_counts(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    stream = polled(transmitter, tmp_path, verify_every_s=3_600)
    async with keeping_at(store, "a", stream) as (house, _):
        await until(lambda: transmitter.verifications)
        assert house.reception().asked_state == "state-1"
        own = {"format": "opaque", "id": "stream-1"}
        transmitter.offer(transmitter.set(f"{SSF}verification", own, members={"state": "state-1"}))
        await until(lambda: house.reception().verified_at)
        assert house.reception().asked_state is None and len(transmitter.verifications) == 1


def test_what_an_operator_should_know_of_a_stream() -> None:
    well = register.Reception(
        "idp", None, None, NOW, NOW, None, None, 0, "", "enabled", "", None, None, None, 0, None, ""
    )
    later = NOW + timedelta(hours=2)
    assert troubles(None, 60, NOW) == "has never been looked at"
    assert troubles(well, 86_400, later) == "" and troubles(well, 0, NOW + timedelta(days=365)) == ""
    assert troubles(well, 3_600, later) == "has been silent for 7200 s"
    assert troubles(replace(well, polled_at=later), 3_600, later) == "", "an answer to a poll is a sign of life"
    assert troubles(replace(well, status="paused"), 0, later) == "is paused by its transmitter"
    assert "cannot be polled" in troubles(replace(well, failures=1, fault="it answered 500"), 0, later)
    asked = replace(well, asked_state="s", asked_at=NOW)
    assert "has not answered the verification" in troubles(asked, 0, later)
    assert troubles(asked, 0, NOW + timedelta(seconds=5)) == ""


def test_an_operator_reads_it_in_japanese_too() -> None:
    """Every trouble has its words in both languages."""
    well = register.Reception(
        "idp", None, None, NOW, NOW, None, None, 0, "", "enabled", "", None, None, None, 0, None, ""
    )
    unwell = (
        None,
        replace(well, failures=1, fault="it answered 500"),
        replace(well, status="paused"),
        replace(well, status="disabled"),
        replace(well, asked_state="s", asked_at=NOW),
        well,
    )
    later = NOW + timedelta(hours=2)
    for silent_after_s, one in zip((0, 0, 0, 0, 0, 60), unwell, strict=True):
        said = troubles(one, silent_after_s, later, lambda japanese, _: japanese)
        assert any("\u3040" <= letter <= "\u9fff" for letter in said), said


async def test_a_transmitter_that_does_not_answer_holds_up_no_look(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    """What another worker left is done by the next look, whatever a verification waits for."""
    transmitter.lies["/verify"] = Lie(wait_s=9.0)
    stream = polled(transmitter, tmp_path, verify_every_s=1)
    (tmp_path / "dead").mkdir()
    async with keeping_at(store, "a", stream) as (house, _):
        await until(lambda: house.reception().asked_at)
        dead = House(store, stream_of(tmp_path / "dead"))
        dead.now = house.now
        begun = time.monotonic()
        await dead.take(signed_set(TX, f"{CAEP}session-revoked", PERSON, at=house.now.timestamp()))
        await until(house.marks)
        assert time.monotonic() - begun < 6.0
