"""The fresh rows of a segment, and what readers of this process remember of them.

To make rows of lines takes 40 microseconds a record, and at three thousand decisions a second thousands of records are
not published yet: most of the time of a question would be theirs. So a question reads on where the one before it has
ended, and an answer is what it would be without the memory.

INVARIANT (no stale rows): what is remembered counts only while the file is the same and its last remembered line stands
where it stood; a segment is only ever appended to, so all that is before it stands there too.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np
import pyarrow as pa

from pdp.archive.arrow_schema import STORED
from pdp.archive.intake import Parts
from pdp.archive.tail import mark_after, pieces_of, read_on, segment_path

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.archive.place import Place
    from pdp.archive.tail import Mark, Piece, Reading
    from pdp.declog.layout import Layout, SegmentName

_MOST_ROWS: Final = 50_000  # in all, of a kilobyte or two: more are there only where nobody publishes
_MOST_PARTS: Final = 20_000  # of documents: people and terminals of an hour
_MOST_CHUNKS: Final = 16


@dataclass(frozen=True, slots=True)
class _Read:
    """Rows of one segment from the mark `first` to the mark `end`, in the stored schema."""

    file: tuple[int, int]  # device and inode: it may have another name by now
    first: Mark
    end: Mark
    rows: pa.Table
    starts: np.ndarray  # where the line of each row begins
    last: tuple[int, bytes]

    def stands_in(self, file: BinaryIO) -> bool:
        at, line = self.last
        return self.file == _identity(file) and os.pread(file.fileno(), len(line), at) == line

    def after(self, mark: Mark) -> _Read | None:
        """The same from a mark on; None where it is none of the places between two rows."""
        if mark == self.first:
            return self
        if mark == self.end:
            row = len(self.starts)
        else:
            row = int(np.searchsorted(self.starts, mark.at))
            if row == len(self.starts) or self.starts[row] != mark.at:
                return None
        return _Read(self.file, mark, self.end, self.rows.slice(row), self.starts[row:], self.last)

    def and_then(self, more: _Read) -> _Read:
        rows = pa.concat_tables([self.rows, more.rows])
        if rows.column(0).num_chunks > _MOST_CHUNKS:
            rows = rows.combine_chunks()  # copies: what was sliced off goes from the memory too
        return _Read(self.file, self.first, more.end, rows, np.concatenate([self.starts, more.starts]), more.last)


class TailMemory:
    """What was read of segments; one reader at a time. `held`: the rows that are remembered."""

    def __init__(self, most_rows: int = _MOST_ROWS) -> None:
        self._most: Final = most_rows
        self._lock: Final = threading.Lock()
        self._parts: Final = Parts(_MOST_PARTS)
        self._known: Final[dict[tuple[Path, str], _Read]] = {}  # the one that was asked for least recently first

    @property
    def held(self) -> int:
        return sum(read.rows.num_rows for read in self._known.values())

    def fresh_rows(self, layout: Layout, place: Place, name: SegmentName) -> tuple[list[Piece], pa.Table]:
        """What is published of a segment, and the rows after it. Raises OSError, as where it has just gone."""
        pieces = pieces_of(place, name)
        path = segment_path(layout, name)
        with path.open("rb") as file, self._lock:
            return pieces, self._rows_after(file, (path.parent, str(name)), name, mark_after(pieces))

    def _rows_after(self, file: BinaryIO, key: tuple[Path, str], name: SegmentName, mark: Mark) -> pa.Table:
        known = self._known.pop(key, None)
        begun = known.after(mark) if known is not None and known.stands_in(file) else None
        start = mark if begun is None else begun.end
        reading = read_on(file, name, start, self._parts)
        rows = reading.rows.cast(STORED)
        read = _read(file, start, reading, rows)
        if begun is not None:
            rows = pa.concat_tables([begun.rows, rows])
            if reading.last is None:
                read = begun
            elif read is not None:
                read = begun.and_then(read)
        if read is None:
            return rows
        self._remember(key, read)
        return read.rows

    def _remember(self, key: tuple[Path, str], read: _Read) -> None:
        self._known[key] = read
        while self.held > self._most:
            self._known.pop(next(iter(self._known)))


def _read(file: BinaryIO, first: Mark, reading: Reading, rows: pa.Table) -> _Read | None:
    """None where there was nothing to read, or where rows and lines may not have one order."""
    if reading.last is None or reading.starts is None:
        return None
    return _Read(_identity(file), first, reading.mark, rows, np.array(reading.starts, np.int64), reading.last)


def _identity(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


_memory: Final = TailMemory()  # of all questions of this process: it is the disk that says what is true
fresh_rows: Final = _memory.fresh_rows
