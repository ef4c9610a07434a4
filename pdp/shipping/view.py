"""What the formats say of a record: the record itself, and the few facts of its input that a SIEM asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from pdp.declog.record import read_record

if TYPE_CHECKING:
    from pdp.declog.record import Record


class SubjectFacts(msgspec.Struct, frozen=True):
    kind: str = "unknown"
    organisation: str = ""
    departments: list[str] = []
    auth_level: int | None = None


class DeviceFacts(msgspec.Struct, frozen=True):
    class_: str = msgspec.field(name="class", default="unknown")
    ownership: str = "unknown"
    registered: bool | None = None


class ResourceFacts(msgspec.Struct, frozen=True):
    group: str = "unknown"
    segment: str = "unknown"


class Facts(msgspec.Struct, frozen=True):
    """A part of `pdp.input/v1`; empty for what is no such document."""

    subject: SubjectFacts = SubjectFacts()
    device: DeviceFacts = DeviceFacts()
    resource: ResourceFacts = ResourceFacts()


_NOTHING = Facts()
_DECODE = msgspec.json.Decoder(Facts).decode


@dataclass(frozen=True, slots=True)
class View:
    """`erased` and `masked`: names of the record's keys that the target does not get, or gets under a pseudonym."""

    record: Record
    facts: Facts
    node: str
    worker: str
    epoch: str
    seq: int
    masked: tuple[str, ...] = ()
    erased: tuple[str, ...] = ()

    @property
    def time_ms(self) -> int:
        return milliseconds(self.record.time)

    @property
    def group(self) -> str:
        return self.facts.resource.group


def view_of(body: bytes, *, node: str, worker: str, epoch: str, seq: int) -> View:
    """Raises RecordDamagedError for a record of another schema."""
    record = read_record(body)
    return View(record, _facts(record), node, worker, epoch, seq)


def _facts(record: Record) -> Facts:
    if record.profile != "zta":  # a plain document is the caller's word, whatever its keys are called
        return _NOTHING
    try:
        return _DECODE(record.input)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOTHING


def milliseconds(time: str) -> int:
    """Of a record's time, which always has six decimals and `Z`; whole, so that no float rounds it."""
    instant = datetime.fromisoformat(time)
    seconds = int(instant.replace(microsecond=0).timestamp())
    return seconds * 1_000 + instant.microsecond // 1_000
