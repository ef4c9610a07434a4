"""Real records to fill a log with: questions of the demonstration prefecture over one working day, decided in process.

Sixteen instants of the day (JST), each a part of the stream, through the real checkpoint with its cache. What
`record_of` writes is kept; only what comes from outside a decision is put in as a gateway would send it: an id for
each request, the digest of one token for each session.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
import uuid_utils

from bench.documents import request_of
from bench.prefecture import SEED, stream_of
from pdp.activation import Activation
from pdp.bundle.bundle import read_bundle
from pdp.cache.levels import VerdictCache
from pdp.cache.local import LocalLevel
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.decide import Checkpoint
from pdp.declog.record import encode_record, read_record
from pdp.directory.demo import demonstration as registers_of_the_demonstration
from pdp.engine.regorus import RegorusEngine
from pdp.house import House
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NoIssuer
from pdp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from bench.prefecture import Question
    from pdp.model.decision import Decision
    from pdp.model.directory import Snapshot
    from pdp.model.request import Refusal

DAY: Final = datetime(2026, 4, 14, 15, tzinfo=UTC)  # 15 April 2026 begins in Japan: a Wednesday
JST: Final = timedelta(hours=9)
# How much of a day's requests falls into each hour of it (JST): a working day with a lunch hour, systems at night.
HOURS: Final = (1, 1, 1, 1, 1, 1, 3, 8, 30, 40, 38, 36, 20, 38, 38, 36, 34, 28, 16, 10, 6, 4, 2, 1)
ASKED_AT: Final = tuple(range(7, 23))
_DEADLINE: Final = timedelta(seconds=2)


@dataclass
class _Desk:
    """The parts of a house that a bench needs no real one of. `appended` is what the log was given."""

    snapshot: Snapshot
    now: datetime = DAY
    appended: list[bytes] = field(default_factory=list)

    def current(self) -> Snapshot:
        return self.snapshot

    def is_stale(self) -> bool:
        return False

    @property
    def unrecorded(self) -> int:
        return 0

    @property
    def spilling_since(self) -> datetime | None:
        return None

    async def append(self, record: bytes) -> None:
        self.appended.append(record)

    def begin(self, _: bytes) -> None:
        """`append` keeps it."""

    def find(self, _: str) -> bytes | None:
        return None

    def writable(self) -> bool:
        return True

    async def close(self) -> None:
        """Nothing is held."""

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None:
        """Nobody counts."""

    def refused(self, refusal: Refusal) -> None:
        """Nobody counts."""


def demonstration() -> Snapshot:
    """The full demonstration directory as it stands at noon of that day."""
    return registers_of_the_demonstration(DAY + timedelta(hours=12)).snapshot(1)


def real_records(snapshot: Snapshot, bundle: Path, count: int) -> list[bytes]:
    """About `count` records, in the order of their time."""
    return asyncio.run(_decide_all(_Desk(snapshot), bundle, count))


async def _decide_all(desk: _Desk, bundle: Path, count: int) -> list[bytes]:
    engine = RegorusEngine(deadline=_DEADLINE, children=1)
    try:
        activation = Activation(engine)
        await activation.activate(read_bundle(bundle))
        checkpoint = Checkpoint(
            House(
                clock=lambda: desk.now,
                stopwatch=time.perf_counter_ns,
                new_id=lambda: str(uuid_utils.uuid7(nanoseconds=int(desk.now.timestamp() * 1e6) * 1_000)),
                policies=activation,
                directory=desk,
                levels=LevelTable(),
                tokens=NoIssuer(),
                engine=engine,
                log=desk,
                observer=desk,
                cache=VerdictCache(LocalLevel(Settings().cache_entries)),
            )
        )
        for question, now in _asked(desk.snapshot, count):
            desk.now = now
            await checkpoint.decide(request_of(question), Caller("gateway-1", PERMISSIONS))
            desk.appended[-1] = _as_a_gateway_sends_it(desk.appended[-1], question)
    finally:
        await engine.close()
    return desk.appended


def _asked(snapshot: Snapshot, count: int) -> Iterator[tuple[Question, datetime]]:
    weight = sum(HOURS[hour] for hour in ASKED_AT)
    for hour in ASKED_AT:
        here = max(1, count * HOURS[hour] // weight)
        start = DAY + timedelta(hours=hour)
        questions = stream_of(snapshot, start, here, SEED + hour).questions
        for number, question in enumerate(questions):
            yield question, start + number * timedelta(hours=1) / here


_CHANCE: Final = Random(SEED)


def _as_a_gateway_sends_it(body: bytes, question: Question) -> bytes:
    session = question.session
    of_session = sha256(f"{session.user} {session.device} {session.auth_time}".encode())
    return encode_record(
        msgspec.structs.replace(
            read_record(body),
            request_id=str(UUID(int=_CHANCE.getrandbits(128), version=4)),
            token_sha256=of_session.hexdigest(),
            session_id=f"s-{of_session.hexdigest()[:16]}",
        )
    )
