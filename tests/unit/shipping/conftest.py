"""A decision log in a temporary state directory, and shippers on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pdp.declog.layout import Layout
from pdp.declog.segments import SegmentLog
from pdp.model.log_target import LogTarget
from pdp.shipping.ledger import Ledger
from pdp.shipping.masking import Mask
from pdp.shipping.shaping import Shaper
from pdp.shipping.shipper import Shipper
from tests.unit.declog.samples import QUICK, wall_clock

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.shipping.port import Carrier, Event


class Box:
    """A receiver in memory. `answers` holds what it does with the next batches: None takes one."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.batches: list[int] = []
        self.answers: list[Exception | None] = []
        self.odd: set[int] = set()
        self.refuses: type[Exception] | None = None

    def send(self, events: Sequence[Event]) -> None:
        self.batches.append(len(events))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        if self.refuses is not None and any(event.seq in self.odd for event in events):
            raise self.refuses("odd")
        self.taken.extend(events)

    def close(self) -> None:
        return None


class World:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.layout = Layout(state / "decisions")
        (state / "shipping").mkdir(parents=True)
        self.ledger = Ledger(state / "shipping")
        self.target = LogTarget(name="siem", to="file:/unused", format="json")

    def write(self, *lives: Sequence[bytes], worker: str = "w0", **options: Any) -> None:
        """Each list of records is one life of the worker."""

        async def live(records: Sequence[bytes]) -> None:
            log = SegmentLog(self.state / "decisions", worker, clock=wall_clock, limits=QUICK, **options)
            for record in records:
                await log.append(record)
            await log.close()

        for records in lives:
            asyncio.run(live(records))

    def shipper(self, carrier: Carrier, **options: Any) -> Shipper:
        target = LogTarget(**({"name": "siem", "to": "file:/unused", "format": "json"} | options))
        return Shipper(
            target,
            carrier,
            Shaper(target, Mask((), b"")),
            self.layout,
            self.ledger,
            clock=lambda: "2026-11-23T08:00:00.000000Z",
            chance=lambda: 1.0,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def box() -> Box:
    return Box()
