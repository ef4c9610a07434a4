"""Pushing: in order, until it is taken, and no receiver holds up another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from pdp.model.ssf_transmitter import SsfTransmitter
from pdp.parts import new_id
from pdp.ssf.events import SESSION_REVOKED, VERIFICATION
from pdp.ssf.sending import register, sender
from pdp.ssf.sending.happenings import Happening
from pdp.ssf.sending.naming import Names, Person
from pdp.ssf.sending.outbox import Post, standings
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
