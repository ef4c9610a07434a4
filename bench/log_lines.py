"""Lines of a log: decided records at other instants, written by the product's own writer."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
import uuid_utils

from pdp.declog.disk import PosixDisk
from pdp.declog.record import encode_record
from pdp.declog.writer import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pdp.declog.layout import Layout
    from pdp.declog.writer import Epoch

SEGMENT_ROWS: Final = 29_000  # of 2,300 bytes in 64 MiB
_AT_ONCE: Final = 1_000


def at_another_instant(record: Any, now: datetime) -> bytes:
    """The same decision then: what differs from record to record is new."""
    new_id = str(uuid_utils.uuid7(nanoseconds=int(now.timestamp() * 1e6) * 1_000))
    changed = msgspec.structs.replace(
        record,
        id=new_id,
        time=_text(now),
        now=_text(now),
        request_id=str(uuid_utils.uuid4()),
        expires_at=_later(record, now),
    )
    return encode_record(changed)


def _later(record: Any, now: datetime) -> str | None:
    if record.expires_at is None:
        return None
    return _text(now + (datetime.fromisoformat(record.expires_at) - datetime.fromisoformat(record.now)))


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def writer_of(layout: Layout, epoch: Epoch) -> SegmentWriter:
    """Segments are opened and sealed by whoever has it; nothing is synced before they are."""
    return SegmentWriter(
        layout,
        epoch,
        None,
        durability="process",
        max_segment_bytes=1 << 30,
        clock=lambda: datetime.now(UTC),
        disk=PosixDisk(),
    )


def write_segments(layout: Layout, epoch: Epoch, bodies: Iterable[bytes]) -> None:
    """As many sealed segments as it takes."""
    writer, left = writer_of(layout, epoch), iter(bodies)
    while bodies_of_one := list(itertools.islice(left, SEGMENT_ROWS)):
        writer.open()
        for first in range(0, len(bodies_of_one), _AT_ONCE):
            writer.commit(bodies_of_one[first : first + _AT_ONCE])
        writer.seal("size")
