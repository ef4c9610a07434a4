"""The store in a directory: segments become data files, in steps of which each may be the last.

    1 read the sealed segments           nothing has changed
    2 write rows, then hours, aside      `.tmp`: removed at the next start
    3 sync, rename, sync the directory   a file that the manifest does not name: removed at the next start
    4 read back, derive every segment    a difference ends the run, and the segments stay as they are
    5 enter in the manifest              from here on the store has them; one transaction
    6 remove what was published of their tails, which nobody reads any more
    7 remove the segments themselves, where the setting says so, and later

Only the holder of `compactor.lock` writes here. Readers take files and segments from one transaction of the
manifest, so a record is seen once: in its segment's tail before step 5, in the data file after it.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

import pyarrow.parquet as pq

from pdp.archive.datafile import bounds_of, by_hour, in_order, prove_file, write_table
from pdp.archive.entries import WHOLE, StoredFile
from pdp.archive.intake import Parts
from pdp.archive.manifest import Manifest
from pdp.archive.pieces import Changes, settle
from pdp.archive.place import Place
from pdp.archive.sealed import read_sealed
from pdp.archive.twins import passed_over
from pdp.declog.disk import Disk, PosixDisk
from pdp.declog.layout import SEALED, Layout, stamp_of
from pdp.declog.lock import held_lock
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.transparency.seal import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.sealed import SealedSegment
    from pdp.declog.layout import SegmentName

ROWS_PER_FILE: Final = 1_000_000  # measured: a person's day in 79 ms over 30 such files; a third of a gigabyte to sort


class LocalStore:
    """A `SegmentSink` beside the log. `with LocalStore(...).held():` around every call that writes."""

    def __init__(self, log: Path, *, disk: Disk | None = None, rows_per_file: int = ROWS_PER_FILE) -> None:
        self.layout: Final = Layout(log)
        self.place: Final = Place(log)
        self.manifest: Final = Manifest(self.place.manifest, disk=disk)
        self.disk: Final = disk or PosixDisk()
        self.rows_per_file: Final = rows_per_file

    @contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """The right to write here, and a tidy store. Raises NotReadyError where another has it for so long."""
        if not self.layout.segments.is_dir():
            raise NotReadyError("there is no decision log here", next_step="name its place with `--state-dir`")
        self.place.make(self.disk)
        late = NotReadyError("another process is compacting this decision log")
        with held_lock(self.place.lock, wait_s=wait_s, late=late):
            self.manifest.create()
            self._tidy()
            yield

    def stored(self, names: Iterable[SegmentName]) -> frozenset[str]:
        """See `SegmentSink.stored`."""
        return self.manifest.look(str(name) for name in names)[1]

    def waiting(self) -> list[SegmentName]:
        """Sealed segments that the store does not have yet, the oldest first."""
        names = self.layout.names(SEALED)
        stored = self.stored(names)
        return sorted((name for name in names if str(name) not in stored), key=lambda name: name.created)

    def publish(self, names: Sequence[SegmentName], now: datetime) -> int:
        """See `SegmentSink.publish`. Files are cut at `rows_per_file`, never within a segment."""
        stored = self.stored(names)
        new = [name for name in names if str(name) not in stored]
        batch: list[tuple[SealedSegment, pa.Table]] = []
        parts, twins = Parts(), passed_over(self, new)
        for name in new:
            read = read_sealed(name, self.layout.sealed_path(name), parts, twins.get(name, ()))
            if not read[0].can_be_given_back:  # in a file of its own: it is not rewritten later either
                self._publish([read], now)
                continue
            batch.append(read)
            if sum(segment.records for segment, _ in batch) >= self.rows_per_file:
                self._publish(batch, now)
                batch = []
        if batch:
            self._publish(batch, now)
        return len(new)

    def merge(self, files: Sequence[StoredFile], now: datetime) -> StoredFile:
        """One file in the place of several small ones. Raises as `publish` does."""
        segments = [segment for file in files for segment in self.manifest.segments_of(file.name)]
        tables = [pq.read_table(self.rows_path(file), partitioning=None) for file in files]
        new = self._write(segments, tables)
        self.manifest.replace(files, new, now)
        self._tidy()
        return new

    def removable(self, before: datetime) -> list[SegmentName]:
        """Stored segments that were begun before then, and whose files may go.

        A damaged one stays, and one with twins: the store cannot give it back. So does the newest of each worker, which
        the worker's next start reads to go on with its chain.
        """
        stored = {str(row[0]): row[4] == WHOLE for row in self.manifest.overview()}
        names = self.layout.names(SEALED)
        newest = self.newest()
        return [n for n in names if stored.get(str(n)) and n.created_at < before and n not in newest]

    def newest(self) -> frozenset[SegmentName]:
        """Of each worker the last that lies here: its next start goes on with the chain that ends there."""
        return frozenset({name.owner: name for name in self.layout.names()}.values())

    def remove_segments(self, before: datetime, now: datetime) -> int:
        """Remove all of them. Gives how many."""
        old = self.removable(before)
        self.remove_these(old, now)
        return len(old)

    def remove_these(self, names: Sequence[SegmentName], now: datetime) -> None:
        """Remove the files of stored segments. Raises OSError, NotReadyError."""
        if not names:
            return
        # Entered first: a segment that is missing and not entered as removed was taken by somebody else.
        self.manifest.ndjson_removed([str(name) for name in names], now)
        for name in names:
            self.disk.remove(self.layout.sealed_path(name))
        self.disk.sync_directory(self.layout.segments)

    def remove_torn(self, names: Iterable[SegmentName]) -> None:
        """What was cut off of segments whose records are not kept any more, or not as they were. Raises OSError."""
        gone = [path for name in names for path in self.layout.torn_paths(name)]
        for path in gone:
            self.disk.remove(path)
        if gone:
            self.disk.sync_directory(self.layout.torn)

    def rows_path(self, file: StoredFile) -> Path:
        return self._folder(file) / "rows" / file.name

    def hourly_path(self, file: StoredFile) -> Path:
        return self._folder(file) / "hourly" / file.name

    def _folder(self, file: StoredFile) -> Path:
        return type(self.place.root)(file.folder) if file.folder else self.place.root

    # -- the steps -------------------------------------------------------------------------------------

    def _publish(self, batch: Sequence[tuple[SealedSegment, pa.Table]], now: datetime) -> None:
        segments = [segment for segment, _ in batch]
        file = self._write(segments, [table for _, table in batch])
        for segment in segments:  # nobody may change a segment between its reading and its entry
            if digest_of(self.layout.sealed_path(segment.name)) != segment.sha256:
                raise RecordDamagedError(f"segment `{segment.name}` changed while it was stored")
        self.manifest.add(file, segments, now)
        self._drop_tails(frozenset(str(segment.name) for segment in segments))

    def _write(self, segments: Sequence[SealedSegment], tables: Sequence[pa.Table]) -> StoredFile:
        table = in_order(tables)
        name = _file_name(segments)
        rows, hours = self.place.rows / name, self.place.hourly / name
        size, digest = write_table(self.disk, rows, table)
        _, hourly_digest = write_table(self.disk, hours, by_hour(table))
        earliest, latest, first, last = bounds_of(table)
        del table
        prove_file(rows, segments)
        return StoredFile(
            name=name,
            tier="hot",
            folder="",
            records=sum(segment.records for segment in segments),
            bytes=size,
            sha256=digest,
            hourly_sha256=hourly_digest,
            min_time=cast("datetime | None", earliest),
            max_time=cast("datetime | None", latest),
            min_subject=cast("str | None", first),
            max_subject=cast("str | None", last),
        )

    def _drop_tails(self, stored: frozenset[str]) -> None:
        gone = [path for path in self.place.tail.iterdir() if _segment_of(path) in stored]
        settle(self.disk, self.place, Changes(gone=gone))

    def _tidy(self) -> None:
        """Remove what a process left that died, and what counts no more."""
        tails = {_segment_of(path) for path in self.place.tail.iterdir()}
        files, stored = self.manifest.look(tails)
        counts = {file.name for file in files if not file.folder}
        for folder in (self.place.rows, self.place.hourly):
            for path in folder.iterdir():
                if path.name not in counts:
                    self.disk.remove(path)
        self._drop_tails(stored)
        for path in self.place.tail.glob("*.tmp"):
            self.disk.remove(path)


def _segment_of(path: Path) -> str:
    """The name of the segment that a published tail belongs to."""
    return ".".join(path.name.split(".")[:5])


def _file_name(segments: Sequence[SealedSegment]) -> str:
    first = min(segment.name.created_at for segment in segments)
    digest = sha256("\n".join(sorted(str(segment.name) for segment in segments)).encode()).hexdigest()
    return f"{stamp_of(first)}-{digest[:16]}.parquet"


def due(
    waiting: Sequence[SegmentName], layout: Layout, now: datetime, *, at_latest: timedelta, batch_bytes: int
) -> list[SegmentName]:
    """The segments to store now: all that wait, once they are enough for a file or the oldest has waited long."""
    if not waiting:
        return []
    size = sum(layout.sealed_path(name).stat().st_size for name in waiting)
    return list(waiting) if size >= batch_bytes or now - waiting[0].created_at >= at_latest else []
