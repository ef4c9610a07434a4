"""Logs of many records of many people, written by the real segment writer, for the tests of the store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from pdp.declog.layout import stamp_of
from pdp.declog.record import record_of
from pdp.declog.writer import Epoch, SegmentWriter
from pdp.model.decision import Outcome, Verdict
from pdp.model.input import UNKNOWN_POSTURE, Action, Context, Device, InputV1, Resource, Sources, Subject, encode_input
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.logs import layout_at
from tests.unit.declog.samples import START, Clock, decision, request, uuid7_at

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.layout import SegmentName

PERMIT = Verdict(Outcome.ALLOW, ("OK_BASE",))
DENY = Verdict(Outcome.DENY, ("DEVICE_LOST", "PATCH_OVERDUE"))


def facts(person: str = "u-0001", device: str = "d-00001", **others: Any) -> InputV1:
    """A `pdp.input/v1`; `others` are `part__field` values."""
    document = InputV1(
        schema="pdp.input/v1",
        subject=Subject(
            person, "staff", "pref", ["tax", "disaster"], ["clerk"], "active", "integrated", 2, 30
        ),
        device=Device(
            device, "managed_pc", "organisation", True, False, "own", "none", "none", "permitted", "in_service", False,
            UNKNOWN_POSTURE,
        ),
        resource=Resource("groupware", "communication", "cloud", "in_service", [], [], 2, "own"),
        action=Action("access"),
        context=Context(
            "sase", "home", True, "JP", True, True, [], "none", "none", False, Sources("ok", "ok"), ["save"]
        ),
    )  # fmt: skip
    for path, value in others.items():
        part, _, name = path.partition("__")
        changed = msgspec.structs.replace(getattr(document, part), **{name: value})
        document = msgspec.structs.replace(document, **{part: changed})
    return document


def record(at: datetime, number: int = 0, verdict: Verdict = PERMIT, **others: Any) -> bytes:
    """A canonical record of that instant."""
    document = facts(**others)
    return record_of(
        decision(uuid7_at(at, number), verdict=verdict, document=encode_input(document), at=at),
        request(subject_id=document.subject.id, device_id=document.device.id, resource_id=document.resource.id),
        time=at + timedelta(microseconds=number % 1000),
        caller_id="gateway-1",
        profile="zta",
        steps_us={"facts": 41 + number % 7, "caller": 12, "engine": 640},
    )


def people(number: int) -> str:
    return f"u-{number % 7:04d}"


def some_records(start: datetime, count: int, step: timedelta = timedelta(seconds=1)) -> list[bytes]:
    return [
        record(start + n * step, n, DENY if n % 5 == 0 else PERMIT, person=people(n), device=f"d-{n % 3:05d}")
        for n in range(count)
    ]


class Worker:
    """One worker's life: segments one after the other, with a clock that moves along."""

    def __init__(self, root: Path, name: str = "w0", start: datetime = START, disk: Disk | None = None) -> None:
        self.clock = Clock(start)
        self.written: list[bytes] = []
        self._writer = SegmentWriter(
            layout_at(root),
            Epoch("local", name, stamp_of(start)),
            None,
            durability="power",
            max_segment_bytes=1 << 30,
            clock=self.clock,
            disk=disk or HastyDisk(),
        )

    def write(self, records: list[bytes]) -> None:
        if not self._writer.is_open:
            self._writer.open()
        if records:
            self._writer.commit(records)
        self.written += records

    def seal(self) -> None:
        self._writer.seal("size")
        self.clock.forward(seconds=1)

    def begin(self) -> None:
        """The next segment, as a living worker has one: the newest of a worker is never removed."""
        self._writer.open()

    def segment(self, count: int) -> None:
        """A sealed segment with records of the seconds from now on."""
        self.write(some_records(self.clock.now, count))
        self.clock.forward(seconds=count)
        self.seal()


def names(root: Path) -> list[SegmentName]:
    return layout_at(root).names()
