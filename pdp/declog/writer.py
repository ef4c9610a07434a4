"""The open segment of one worker. Used by one thread; no event loop, no queue.

What it promises, and every caller leans on:

1. A file is written by one life of one process: a name is created, never reopened.
2. INVARIANT (durable before answered): `commit` returns only after the write, and with durability
   `power` after fdatasync.
3. INVARIANT (no second try): after a failed write or sync the file is never written again, and after a failed
   sync never synced again. Linux may mark the pages clean after a failed fsync, so that a second one succeeds
   and the data is gone.
4. A sequence number is given once in an epoch, also to a record that failed; the next header says how
   many were lost that way, and how many of those it holds anew.
5. What was answered before its sync failed (durability `process`) is kept, and written anew into the next segment.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.layout import SegmentName, stamp_of
from pdp.declog.line import GENESIS, frame
from pdp.declog.marks import SEGMENT_SCHEMA, Ended, Footer, Header, LeftBehind, Previous, SealCause, rfc3339
from pdp.declog.sides import Side
from pdp.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout
    from pdp.declog.limits import Durability

_ENCODE: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Epoch:
    """One life of one worker; `stamp` is when it began."""

    node: str
    worker: str
    stamp: str


@dataclass(slots=True)
class _Open:
    """The file under the pen. `chain` and `seq` are of the last line that counts."""

    name: SegmentName
    path: Path
    side: Side
    descriptor: int
    created: datetime
    chain: bytes
    seq: int
    size: int
    records: int = 0
    first_seq: int | None = None
    first_at: datetime | None = None
    unsynced: list[bytes] = field(default_factory=list)  # answered but not yet synced (durability `process`)
    tree: Frontier = field(default_factory=Frontier)  # of the records, for the footer
    unfolded: list[bytes] = field(default_factory=list)  # records that `tree` does not have yet

    def fold(self) -> Frontier:
        for record in self.unfolded:
            self.tree.append(leaf_hash(record))
        self.unfolded.clear()
        return self.tree


class SegmentWriter:
    def __init__(  # noqa: PLR0913  # each is one fact of the composition
        self,
        layout: Layout,
        epoch: Epoch,
        previous: Previous | None,
        *,
        durability: Durability,
        max_segment_bytes: int,
        clock: Callable[[], datetime],
        disk: Disk,
        cut_failed: bool = False,
    ) -> None:
        self._home = Side(layout, disk)
        self._epoch = epoch
        self._previous = previous
        self._durability: Final = durability
        self._max_segment_bytes = max_segment_bytes
        self._clock = clock
        self._cut_failed = cut_failed  # the failed records are going to be written anew: none shall stand twice
        self._number = 0
        self._seq = 0  # the last number given away in this epoch
        self._open: _Open | None = None
        self._orphans: list[bytes] = []

    @property
    def is_open(self) -> bool:
        return self._open is not None

    @property
    def segment(self) -> str | None:
        return None if self._open is None else str(self._open.name)

    @property
    def last_seq(self) -> int:
        return self._seq

    @property
    def segments(self) -> int:
        """How many were begun in this epoch."""
        return self._number

    @property
    def unsynced(self) -> int:
        """Answered records that a power failure would take now."""
        return 0 if self._open is None else len(self._open.unsynced)

    @property
    def orphans(self) -> int:
        """Answered records whose sync failed, and that no segment could be given anew yet."""
        return len(self._orphans)

    @property
    def size(self) -> int:
        """Bytes of the open segment."""
        return 0 if self._open is None else self._open.size

    def age_s(self) -> float:
        """How long the oldest record of the open segment has been in it; 0 where it holds none."""
        if self._open is None or self._open.first_at is None:
            return 0.0
        return (self._clock() - self._open.first_at).total_seconds()

    @property
    def is_full(self) -> bool:
        return self._open is not None and self._open.size >= self._max_segment_bytes

    def open(self, side: Side | None = None, *, again: int = 0, refuge: LeftBehind = "") -> None:
        """Begin the next segment, durably: name, header and directory; orphans are its first records.

        `again` records that failed before will be committed into it; `refuge` as in its header. Raises OSError, and
        leaves no file, or one without a record that no header names.
        """
        side = side or self._home
        disk = side.disk
        created = self._clock()
        number = self._number + 1
        name = SegmentName(self._epoch.node, self._epoch.worker, self._epoch.stamp, number, stamp_of(created))
        path = side.layout.open_path(name)
        header = self._header(name, created, again + len(self._orphans), refuge)
        raw, chain = frame(GENESIS, "header", self._seq, _ENCODE(header))
        descriptor = disk.create(path)
        try:
            disk.write(descriptor, raw)
            disk.sync(descriptor)
            disk.sync_directory(path.parent)
        except OSError:
            with suppress(OSError):
                disk.close(descriptor)
            with suppress(OSError):  # it holds no record; a probe each second must not litter the directory
                disk.remove(path)
            raise
        self._number = number
        self._open = _Open(name, path, side, descriptor, created, chain, self._seq, len(raw))
        self._adopt_orphans()

    def _adopt_orphans(self) -> None:
        orphans, self._orphans = self._orphans, []
        if orphans:
            try:
                self.commit(orphans)
            except OSError:
                self._orphans = orphans
                raise

    def commit(self, records: Sequence[bytes]) -> None:
        """Write the records, in this order, as one group. Raises OSError: then none of them counts."""
        segment = self._open
        if segment is None:
            raise OSError("no segment is open")
        first, chain, lines = self._seq + 1, segment.chain, []
        for seq, record in enumerate(records, first):
            raw, chain = frame(chain, "record", seq, record)
            lines.append(raw)
        self._seq += len(records)
        data = b"".join(lines)
        disk = segment.side.disk
        try:
            self._write(segment, data)
            if self._durability == "power":
                disk.sync(segment.descriptor)
        except OSError:
            self._abandon(segment)
            raise
        if self._durability == "process":
            segment.unsynced.extend(records)
        segment.unfolded.extend(records)
        segment.chain, segment.seq = chain, self._seq
        segment.size += len(data)
        segment.records += len(records)
        if segment.first_seq is None:
            segment.first_seq, segment.first_at = first, self._clock()

    def _write(self, segment: _Open, data: bytes) -> None:
        try:
            segment.side.disk.write(segment.descriptor, data)
        except OSError:
            with suppress(OSError):
                if self._cut_failed:  # else a line that is written anew would stand twice
                    segment.side.disk.cut(segment.descriptor, segment.size)
                if segment.unsynced:  # the first sync since they were written: it tells the truth about them
                    segment.side.disk.sync(segment.descriptor)
                    segment.unsynced.clear()
            raise

    def fold(self) -> None:
        """Take what was committed into the tree of the segment. Not in `commit`: no answer waits for it."""
        if self._open is not None:
            self._open.fold()

    def sync(self) -> None:
        """Bring what is answered to the disk (durability `process`). Raises OSError; the file is then left."""
        segment = self._open
        if segment is None or not segment.unsynced:
            return
        try:
            segment.side.disk.sync(segment.descriptor)
        except OSError:
            self._abandon(segment)
            raise
        segment.unsynced.clear()

    def seal(self, cause: SealCause) -> None:
        """End the segment with a footer and give it its sealed name. Raises OSError where that failed.

        No answered record is at stake with durability `power`: a segment that could not be sealed is
        sealed by a recovery.
        """
        segment = self._open
        if segment is None:
            return
        raw, chain = frame(segment.chain, "footer", segment.seq, _ENCODE(self._footer(segment, cause)))
        disk, layout = segment.side.disk, segment.side.layout
        try:
            disk.write(segment.descriptor, raw)
            disk.sync(segment.descriptor)
        except OSError:
            self._abandon(segment)
            raise
        segment.chain = chain
        self._leave(segment, "sealed")
        disk.rename(segment.path, layout.sealed_path(segment.name))
        disk.sync_directory(layout.segments)

    def _abandon(self, segment: _Open) -> None:
        # INVARIANT (no second try): from here on nobody holds the descriptor.
        self._orphans.extend(segment.unsynced)
        self._leave(segment, "abandoned")

    def _leave(self, segment: _Open, ended: Ended) -> None:
        self._previous = Previous(str(segment.name), segment.seq, segment.chain.hex(), ended)
        self._open = None
        with suppress(OSError):  # close reports a lost write late; the file is synced, or counts as lost already
            segment.side.disk.close(segment.descriptor)

    def _header(self, name: SegmentName, created: datetime, again: int, refuge: LeftBehind) -> Header:
        return Header(
            schema=SEGMENT_SCHEMA,
            segment=str(name),
            node=name.node,
            worker=name.worker,
            epoch=name.epoch,
            number=name.number,
            created=rfc3339(created),
            durability=self._durability,
            last_seq=self._seq,
            previous=self._previous,
            again=again,
            refuge=refuge,
        )

    def _footer(self, segment: _Open, cause: SealCause) -> Footer:
        return Footer(
            schema=SEGMENT_SCHEMA,
            segment=str(segment.name),
            records=segment.records,
            first_seq=segment.first_seq,
            last_seq=segment.seq,
            created=rfc3339(segment.created),
            sealed=rfc3339(self._clock()),
            cause=cause,
            root=segment.fold().root().hex(),
        )
