"""A house that receives signals, over a real store: one worker's desk, its clock and its trail in a test's hands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uuid_utils
from prometheus_client import CollectorRegistry

from pdp.directory.changes import change
from pdp.errors import RecordFailedError
from pdp.identity.revocations import Mark, list_marks
from pdp.model.directory import Device, User
from pdp.model.issuer import Issuer
from pdp.model.signal_stream import SignalStream
from pdp.signals.port import Kind
from pdp.ssf.receiving import inbox, register
from pdp.ssf.receiving.acting import Acting
from pdp.ssf.receiving.incoming import Incoming
from pdp.ssf.receiving.metrics import ReceivingMetrics
from pdp.ssf.receiving.opening import incoming_of
from pdp.ssf.receiving.resolving import Resolver
from pdp.ssf.receiving.taking import Desk
from pdp.store.store import Store
from pdp.trail.event import Event
from tests.ssf_transmitter import AUDIENCE, TOKEN, signed_set
from tests.tokens import jwk, rsa_key

NOW = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
TX = "https://tx.example.com"
IDP = "https://idp.example.com"
ALL = ("end_sessions", "hold_accounts", "hold_devices")


class MemoryTrail:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.full = False
        self.hangs = False

    async def append(self, event: Event) -> None:
        if self.full:
            raise RecordFailedError("the trail is full")
        while self.hangs:  # noqa: ASYNC110  # as a disk does
            await asyncio.sleep(0.01)
        self.events.append(event)


def stream_of(folder: Path, **members: Any) -> SignalStream:
    """A pushed stream whose keys stand in a file, with every effect."""
    token, keys = folder / "token", folder / "jwks.json"
    token.write_text(TOKEN)
    keys.write_text(json.dumps({"keys": [jwk(rsa_key(), "rsa-1", use="sig", alg="RS256")]}))
    given = {
        "name": "idp",
        "issuer": TX,
        "audiences": (AUDIENCE,),
        "delivery": "push",
        "token_file": str(token),
        "jwks_file": str(keys),
        "effects": ALL,
        "stream_id": "stream-1",
        "email_domains": frozenset({"pref.example.jp"}),
    }
    return SignalStream(**{**given, **members})


def furnish(store: Store) -> None:
    with change(store, NOW) as inside:
        inside.put_user(User("u-1", "staff"))
        inside.put_user(User("u-2", "municipal_staff", organisation="tsu"))
        inside.put_user(User("u-gone", "staff", status="ended"))
        inside.put_device(Device("d-1", "managed_pc", owner="u-1"))
        inside.put_device(Device("d-2", "section_pc"))
        inside.put_device(Device("d-lost", "managed_pc", owner="u-1", state="lost"))


class House:
    """`now`: what the clock says. `looked`: what the other workers were told to look at."""

    def __init__(self, store: Store, *streams: SignalStream) -> None:
        self.store = store
        self.now = NOW
        self.trail = MemoryTrail()
        self.looked: list[frozenset[Kind]] = []
        self.registry = CollectorRegistry()
        self.incoming: dict[str, Incoming] = {one.name: incoming_of(one, lambda: self.now) for one in streams}
        issuers = {IDP: Issuer(issuer=IDP, audiences=(AUDIENCE,))}
        self.acting = {one.name: Acting(one, Resolver(one, issuers)) for one in streams}
        self.desk = Desk(
            store,
            self.acting,
            clock=lambda: self.now,
            new_id=lambda: str(uuid_utils.uuid7()),
            trail=self.trail,
            metrics=ReceivingMetrics(self.registry),
            look=self._look,
        )
        with store.write() as connection:
            register.enrol(connection, self.incoming, NOW)

    async def _look(self, kinds: frozenset[Kind]) -> None:
        self.looked.append(kinds)

    async def take(self, text: str, name: str = "idp") -> Any:
        return await self.desk.take(self.incoming[name], text)

    async def send(self, event: str, subject: Any, members: Any = None, **more: Any) -> Event:
        """Take it, wait until it is done, and give what stands in the trail."""
        return await self.send_to("idp", event, subject, members, **more)

    async def send_to(self, name: str, event: str, subject: Any, members: Any = None, **more: Any) -> Event:
        text = signed_set(TX, event, subject, at=self.now.timestamp(), members=members, **more)
        before = len(self.trail.events)
        await self.take(text, name)
        await until(lambda: len(self.trail.events) > before)
        return self.trail.events[-1]

    def reception(self, name: str = "idp") -> register.Reception:
        with self.store.read() as connection:
            held = register.read(connection, name)
        assert held is not None
        return held

    def latest(self, most: int = 100) -> list[inbox.Taken]:
        with self.store.read() as connection:
            return inbox.latest(connection, most)

    def marks(self) -> set[tuple[str, str, str]]:
        return {(mark.kind, mark.id, mark.issuer) for mark in self.all_marks()}

    def all_marks(self) -> tuple[Mark, ...]:
        return list_marks(self.store, now=self.now)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def until(holds: Callable[[], Any], otherwise: str = "it did not come to pass") -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110  # what other threads write can only be looked at
            await asyncio.sleep(0.01)
    assert holds(), otherwise


@asynccontextmanager
async def working(store: Store, *streams: SignalStream) -> AsyncIterator[House]:
    house = House(store, *streams)
    house.desk.start()
    closers: list[Callable[[], Awaitable[None]]] = [
        house.desk.close,
        *(one.keys.close for one in house.incoming.values()),
    ]
    try:
        yield house
    finally:
        for close in closers:
            await close()
