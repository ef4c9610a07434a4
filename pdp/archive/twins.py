"""Records that stand twice, and where each of them counts.

A group whose write or sync failed or hung is written anew into the worker's next segment (`again` in its header), and
the failed file may hold it all the same, under the same ids. Each such record counts once:

1. a copy that is stored counts, and no other does;
2. of two that are not, the later one: the earlier was never answered from where it stands.

Which those are is asked of the bytes alone, so a record that was not written anew, whatever the header says, counts.
What is passed over stays in its segment, which the store therefore keeps as a file until its records lose their names
or their time is over. It is whole for all that: a twin is no damage.
"""

from __future__ import annotations

import json
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pdp.archive.bodies import bodies_of
from pdp.declog.layout import segment_name
from pdp.declog.line import GENESIS, parse
from pdp.declog.marks import Header
from pdp.declog.reader import decode_mark, records_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from pdp.archive.store import LocalStore
    from pdp.declog.layout import SegmentName

_MAX_LINE: Final = 16_384  # a header is under 1 kB
_REMEMBERED: Final = 4_096  # headers, which never change


def passed_over(store: LocalStore, names: Sequence[SegmentName]) -> Mapping[SegmentName, frozenset[int]]:
    """Of these segments, the numbers of the records that count elsewhere; without those that have none.

    Raises OSError, NotReadyError.
    """
    known = _Known(store, names)
    found = {name: frozenset(known.twins(name)) for name in names}
    return {name: numbers for name, numbers in found.items() if numbers}


def without(table: pa.Table, numbers: Collection[int]) -> pa.Table:
    """The rows of one segment but these."""
    return table.filter(pc.invert(pc.is_in(table["seq"], value_set=pa.array(list(numbers), pa.int64()))))


class _Known:
    """The segments of the same lives, wherever they are: by life and number, with their headers."""

    def __init__(self, store: LocalStore, names: Sequence[SegmentName]) -> None:
        self._store = store
        here = store.layout.names()
        lives = {_life(name) for name in names}
        self._here = {name for name in here if _life(name) in lives}
        self._stored: dict[SegmentName, str] = {}  # with the file that each is in
        self._headers: dict[SegmentName, Header | None] = {}
        if store.manifest.exists():
            self._look_up(lives)
        for name in self._here - self._stored.keys():
            self._headers[name] = _header_at(_path(store, name))
        self._next: dict[str, SegmentName] = {}  # by the segment that failed before it
        for name, header in self._headers.items():
            failed = None if header is None or not header.again else header.previous
            if failed is not None and failed.ended == "abandoned":
                self._next[failed.segment] = name

    def _look_up(self, lives: Collection[tuple[str, ...]]) -> None:
        prefixes = [".".join(life) for life in lives]
        with self._store.manifest.looking() as connection:
            rows = connection.execute(
                "SELECT s.name, s.header, s.file FROM json_each(?) AS life CROSS JOIN segments AS s"
                " ON s.name > life.value || '.' AND s.name < life.value || '/' JOIN files AS f ON f.name = s.file"
                " WHERE f.tier IN ('hot', 'archived')",
                [json.dumps(prefixes)],
            ).fetchall()
        for text, header, file in rows:
            name = segment_name(text)
            if name is not None:
                self._stored[name] = file
                self._headers[name] = None if header is None else decode_mark(header, Header)

    def twins(self, name: SegmentName) -> Iterator[int]:
        others = {body for other in self._that_count(name) for body in self._bodies(other)}
        if others:
            yield from (seq for seq, body in records_of(_path(self._store, name)) if body in others)

    def _that_count(self, name: SegmentName) -> Iterator[SegmentName]:
        later = self._next.get(str(name))
        while later is not None:
            yield later
            later = self._next.get(str(later))
        header = self._headers.get(name)
        while header is not None and header.again and header.previous is not None:
            earlier = segment_name(header.previous.segment)
            if header.previous.ended != "abandoned" or earlier is None:
                return
            if earlier in self._stored:
                yield earlier
            header = self._headers.get(earlier)

    def _bodies(self, other: SegmentName) -> Collection[bytes]:
        """What counts there, as far as it may stand elsewhere too."""
        if other in self._stored:
            return self._rows(other)
        header = self._headers[other]
        again = 0 if header is None else header.again
        return [body for _, body in islice(records_of(_path(self._store, other)), again)]

    def _rows(self, name: SegmentName) -> Collection[bytes]:
        file = next((file for file in self._store.manifest.files() if file.name == self._stored[name]), None)
        if file is None:
            return ()
        table = pq.read_table(self._store.rows_path(file), filters=[("segment", "=", str(name))], partitioning=None)
        return list(bodies_of(table))


def _life(name: SegmentName) -> tuple[str, ...]:
    return name.node, name.worker, name.epoch


def _path(store: LocalStore, name: SegmentName) -> Path:
    # A segment goes from its open name to its sealed one and never back.
    path = store.layout.open_path(name)
    return path if path.exists() else store.layout.sealed_path(name)


@lru_cache(maxsize=_REMEMBERED)
def _header_in(raw: bytes) -> Header | None:
    line = parse(raw)
    if line is None or line.kind != "header" or not line.follows(GENESIS):
        return None
    return decode_mark(line.body, Header)


def _header_at(path: Path) -> Header | None:
    try:
        with path.open("rb") as file:
            return _header_in(file.readline(_MAX_LINE))
    except FileNotFoundError:  # stored and removed a moment ago: then it has no twin that is not stored
        return None
