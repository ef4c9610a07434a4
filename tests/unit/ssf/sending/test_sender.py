"""Pushing: in order, until it is taken, and no receiver holds up another."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from pdp.callers.keys import further_key, revoke_caller
from pdp.errors import DirectoryError
from pdp.identity.revocations import list_marks
from pdp.model.ssf_transmitter import SsfTransmitter
from pdp.parts import new_id
from pdp.ssf.events import SESSION_REVOKED, VERIFICATION
from pdp.ssf.sending import outbox, register, sender
from pdp.ssf.sending.happenings import Happening
from pdp.ssf.sending.naming import Names, Person
from pdp.ssf.sending.outbox import Post, standings
from pdp.ssf.sending.push_client import Outcome, PushClient
from pdp.ssf.sending.streams import Wish
from tests.simulators.ssf_receiver import Receiver, receiving
from tests.unit.ssf.sending.conftest import Transmitter, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receivers() -> Iterator[tuple[Receiver, Receiver]]:
    with receiving() as one, receiving() as two:
        yield one, two


@pytest.fixture
def settings(receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch) -> SsfTransmitter:
    monkeypatch.setattr(sender, "FIRST_RETRY_S", 0.05)
    hosts = tuple(f"127.0.0.1:{one.port}" for one in receivers)
    return SsfTransmitter(push_hosts=hosts, http_on_loopback=True, verification_s=0, retry_s=1)


def put(transmitter: Transmitter, *ids: str) -> None:
    post = Post(Names(), 1_000, new_id)
    with transmitter.store.write() as connection:
        now = transmitter.clock()
        post.put(connection, [[Happening(SESSION_REVOKED, Person(one), "ended", now)] for one in ids], now)


def told(receiver: Receiver) -> list[Any]:
    return [one["sub_id"].get("id") for one in receiver.claims()]


def nothing_waits(transmitter: Transmitter) -> Any:
    return lambda: standings(transmitter.store) == {}


async def test_events_arrive_in_order_each_once_and_verify(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver]
) -> None:
    made = await transmitter.stream(delivery=receivers[0].delivery)
    names = [f"u{n:02d}" for n in range(45)]  # more than are read at once
    put(transmitter, *names[:20])
    put(transmitter, *names[20:])
    await until(nothing_waits(transmitter), "not all arrived")
    assert told(receivers[0]) == names
    keys = KeySet.import_key_set((await transmitter.api.get("/ssf/jwks.json")).json())
    for token in receivers[0].taken:
        assert jwt.decode(token, keys, algorithms=["RS256"]).claims["aud"] == "manager"
    held = register.find(transmitter.store, made["stream_id"], None)
    assert (held.delivered, held.failures) == (45, 0)
    assert transmitter.counted("deliveries_total", method="push", outcome="taken") == 45


@pytest.mark.parametrize("mode", ["broken", "ok", "redirect", "unknown_key", "gibberish", "babble"])
async def test_what_is_not_taken_is_tried_again_with_everything_behind_it(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver], mode: str
) -> None:
    receiver = receivers[0]
    receiver.mode = mode
    made = await transmitter.stream(delivery=receiver.delivery)
    put(transmitter, "a", "b", "c")

    def failing() -> bool:
        return register.find(transmitter.store, made["stream_id"], None).failures >= 3

    await until(failing, "it was not tried again")
    first = receiver.seen[0][0]
    assert {json.dumps(token) for token, _ in receiver.seen} == {json.dumps(first)}  # the first, and nothing before it
    receiver.mode = "take"
    await until(nothing_waits(transmitter), "it was not tried to the end")
    assert told(receiver) == ["a", "b", "c"]
    held = register.find(transmitter.store, made["stream_id"], None)
    assert (held.failures, held.failing_since, held.fault, held.refused) == (0, None, "", 0)


async def test_a_receiver_that_hangs_holds_up_nobody_else(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver]
) -> None:
    hanging, well = receivers
    hanging.mode = "slow"
    for receiver in receivers:
        await transmitter.stream(delivery=receiver.delivery)
    put(transmitter, "a")
    await until(lambda: hanging.seen, "nothing was pushed")
    for name in ("b", "c"):
        put(transmitter, name)
    await until(lambda: told(well) == ["a", "b", "c"], "one receiver holds up another")
    assert len(hanging.seen) == 1


async def test_an_event_that_its_receiver_calls_invalid_again_and_again_is_let_go(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver]
) -> None:
    receiver = receivers[0]
    receiver.refuses = "poison"
    made = await transmitter.stream(delivery=receiver.delivery)
    put(transmitter, "a", "poison", "b")
    await until(nothing_waits(transmitter), "one event holds up all others")
    assert told(receiver) == ["a", "b"]
    assert sum("poison" in json.dumps(one) for one in _claims(receiver)) == sender.REFUSALS
    held = register.find(transmitter.store, made["stream_id"], None)
    assert (held.delivered, held.refused) == (2, 1)


def _claims(receiver: Receiver) -> list[Any]:
    from tests.simulators.ssf_receiver import claims_of

    return [claims_of(token) for token, _ in receiver.seen]


async def test_a_paused_stream_is_verified_and_nothing_else_is_pushed(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver]
) -> None:
    receiver = receivers[0]
    at = {"stream_id": (await transmitter.stream(delivery=receiver.delivery))["stream_id"]}
    await transmitter.api.post("/ssf/status", json={**at, "status": "paused"})
    put(transmitter, "a")
    await transmitter.api.post("/ssf/verify", json={**at, "state": "s"})
    await until(lambda: receiver.taken, "nothing arrived")
    assert [one["events"] for one in receiver.claims()] == [{VERIFICATION: {"state": "s"}}]
    await transmitter.api.post("/ssf/status", json={**at, "status": "enabled"})
    await until(nothing_waits(transmitter), "what was kept was not pushed")
    assert told(receiver) == [at["stream_id"], "a"]


async def test_a_changed_stream_is_tried_at_once_and_at_its_new_place(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "FIRST_RETRY_S", 600.0)
    transmitter.sender._longest_retry_s = 600.0
    dead, well = receivers
    dead.mode = "broken"
    at = {"stream_id": (await transmitter.stream(delivery=dead.delivery))["stream_id"]}
    put(transmitter, "a")
    await until(lambda: dead.seen, "nothing was pushed")
    transmitter.clock.forward(0.001)
    await transmitter.api.patch("/ssf/stream", json={**at, "delivery": well.delivery})
    await until(lambda: told(well) == ["a"], "it waits for its next try")


async def test_the_worker_says_what_waits_and_who_does_not_take_it(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver]
) -> None:
    receivers[0].mode = "broken"
    await transmitter.stream(delivery=receivers[0].delivery)
    put(transmitter, "a", "b")

    def seen() -> bool:
        status = transmitter.sender.status()
        return (status.sends, status.streams, status.waiting, status.failing) == (True, 1, 2, 1)

    await until(seen, "the status does not show it")
    await until(lambda: transmitter.counted("outbox_events") == 2, "the metric does not show it")
    assert transmitter.counted("streams_failing") == 1
    assert transmitter.counted("sender") == 1


class Gate:
    """A push that stands still until the test opens it."""

    def __init__(self, transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        push = PushClient.push

        async def held(client: PushClient, wish: Wish, token: str) -> Outcome:
            self.reached.set()
            await self.open.wait()
            return await push(client, wish, token)

        monkeypatch.setattr(PushClient, "push", held)
        assert transmitter.sender.status()


async def test_a_stream_that_was_moved_is_told_nothing_more_where_it_was(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(transmitter, monkeypatch)
    made = await transmitter.stream(delivery=receivers[0].delivery)
    put(transmitter, "a", "b", "c")
    await gate.reached.wait()
    moved = {"stream_id": made["stream_id"], "delivery": receivers[1].delivery}
    assert (await transmitter.api.patch("/ssf/stream", json=moved)).status_code == 200
    gate.open.set()
    await until(nothing_waits(transmitter), "not all arrived")
    assert (told(receivers[0]), told(receivers[1])) == (["a"], ["b", "c"])  # "a" was on its way


async def test_a_stream_that_was_paused_is_told_nothing_more(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(transmitter, monkeypatch)
    made = await transmitter.stream(delivery=receivers[0].delivery)
    put(transmitter, "a", "b", "c")
    await gate.reached.wait()
    paused = {"stream_id": made["stream_id"], "status": "paused"}
    assert (await transmitter.api.post("/ssf/status", json=paused)).status_code == 200
    gate.open.set()
    await until(lambda: standings(transmitter.store)[made["stream_id"]].events == 2, "what was on its way is not taken")
    asked = {"stream_id": made["stream_id"], "state": "x"}
    assert (await transmitter.api.post("/ssf/verify", json=asked)).status_code == 204
    await until(lambda: len(receivers[0].taken) >= 2, "it was not verified")
    assert told(receivers[0]) == ["a", made["stream_id"]]  # the verification went by what is paused


async def test_what_was_taken_and_cannot_be_settled_is_not_sent_without_end(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: reading goes on. Each further try waits longer than the one before."""
    rests: list[float] = []

    def full(*_: object) -> int:
        raise DirectoryError("the database does not answer: OperationalError")

    settled = outbox.acknowledged
    monkeypatch.setattr(outbox, "acknowledged", full)
    monkeypatch.setattr(sender, "FIRST_RETRY_S", 0.5)
    await transmitter.stream(delivery=receivers[0].delivery)
    put(transmitter, "a")
    await until(lambda: len(receivers[0].seen) == 1, "it was not pushed")
    [rest] = await until(lambda: list(transmitter.sender._rests.values()), "it does not rest")
    rests.append(rest.failures)
    monkeypatch.setattr(outbox, "acknowledged", settled)
    await until(nothing_waits(transmitter), "it was not tried again")
    assert rests == [1]
    assert told(receivers[0]) == ["a", "a"]


async def test_who_is_slow_and_told_much_lets_the_others_go_before(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one turn for all: else a few such receivers are all that is ever told."""
    monkeypatch.setattr(transmitter.sender, "_turns", asyncio.Semaphore(1))
    push = PushClient.push

    async def slow(client: PushClient, wish: Wish, token: str) -> Outcome:
        if wish.endpoint_url == receivers[0].url:
            await asyncio.sleep(0.02)
        return await push(client, wish, token)

    monkeypatch.setattr(PushClient, "push", slow)
    await transmitter.stream(delivery=receivers[0].delivery)
    put(transmitter, *[f"x{n}" for n in range(200)])
    await transmitter.stream(delivery=receivers[1].delivery)
    put(transmitter, "urgent")
    await until(lambda: told(receivers[1]), "one receiver held up the other")
    assert len(told(receivers[0])) < 200


async def test_a_caller_that_was_revoked_is_told_nothing_more(
    transmitter: Transmitter, receivers: tuple[Receiver, Receiver]
) -> None:
    await transmitter.stream("other", delivery=receivers[0].delivery)
    await transmitter.stream("manager", delivery=receivers[1].delivery)
    put(transmitter, "a")
    await until(nothing_waits(transmitter), "not all arrived")
    revoke_caller(transmitter.store, "other", now=transmitter.clock())
    put(transmitter, "b")
    await until(lambda: told(receivers[1]) == ["a", "b"], "the other caller is not told")
    assert told(receivers[0]) == ["a"]
    further_key(transmitter.store, "other", now=transmitter.clock())
    await until(nothing_waits(transmitter), "what waited was lost")
    assert told(receivers[0]) == ["a", "b"]


async def test_receivers_that_wait_for_the_store_take_no_thread_of_the_workers(transmitter: Transmitter) -> None:
    """An import holds the lock: whoever acknowledges waits, and revocations are read all the same."""
    made = [await transmitter.stream() for _ in range(9)]
    free, held = threading.Event(), threading.Event()

    def importing() -> None:
        with transmitter.store.write():
            held.set()
            free.wait(14)  # shorter than the store waits for a lock

    lock = threading.Thread(target=importing)
    lock.start()
    assert held.wait(10)
    polls = [asyncio.create_task(transmitter.poll(one["stream_id"], ack=["x"])) for one in made for _ in range(8)]
    try:
        await asyncio.sleep(0.2)  # all of them are waiting by then; where they are not, nothing is proved wrongly
        async with asyncio.timeout(10):
            for _ in range(3):
                await asyncio.to_thread(list_marks, transmitter.store, now=transmitter.clock())
    finally:
        free.set()
        lock.join()
    assert await asyncio.gather(*polls) == [{"sets": {}}] * len(polls)
