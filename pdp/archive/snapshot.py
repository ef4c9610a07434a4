"""What one question is answered from: stored files that may hold an answer, and the fresh tail, each record once.

Several directories may be asked together: those of other hosts, as they are mounted here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pdp.archive.arrow_schema import STORED
from pdp.archive.fresh import fresh_rows
from pdp.archive.store import LocalStore
from pdp.archive.tail import read_pieces
from pdp.archive.twins import passed_over, without
from pdp.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from pdp.archive.entries import StoredFile

_TRIES: Final = 5  # a segment that is stored between two looks is gone from where it was; the next look finds it


@dataclass(frozen=True, slots=True)
class Scope:
    """What a question is about, as far as it is known: what lies outside need not be read.

    Times are UTC without an offset; `until` is not in it. `archived`: also the files of the second tier.
    `segments`: the question is about segments.
    """

    since: datetime | None = None
    until: datetime | None = None
    person: str | None = None
    archived: bool = True
    segments: bool = False

    def may_hold(self, file: StoredFile) -> bool:
        if file.tier == "archived" and not self.archived:
            return False
        if file.min_time is None or file.max_time is None:
            return True  # records without a time that could be read
        if (self.since is not None and file.max_time < self.since) or (
            self.until is not None and file.min_time >= self.until
        ):
            return False
        if self.person is None:
            return True
        return file.min_subject is not None and file.min_subject <= self.person <= (file.max_subject or "")


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored file of some directory; the newest `latest` first in a snapshot."""

    rows: Path
    hourly: Path
    latest: datetime | None
    records: int
    earliest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`pieces` are published tails, `fresh` what was read after them; `segments` one row per segment known."""

    files: tuple[Stored, ...]
    pieces: tuple[Path, ...]
    fresh: pa.Table
    segments: pa.Table = field(repr=False)

    def stored_only(self) -> Snapshot:
        """The same without the fresh rows, for who has read them already."""
        return replace(self, pieces=(), fresh=self.fresh.slice(0, 0))

    def is_whole(self) -> bool:
        """Whether all its files are still there."""
        paths = [path for file in self.files for path in (file.rows, file.hourly)]
        return all(path.exists() for path in (*paths, *self.pieces))


SEGMENTS: Final = pa.schema(
    [
        ("segment", pa.string()),
        ("node", pa.string()),
        ("worker", pa.string()),
        ("epoch", pa.string()),
        ("number", pa.int64()),
        ("created", pa.timestamp("us")),
        ("state", pa.string()),  # fresh, stored, removed
        ("records", pa.int64()),
        ("first_seq", pa.int64()),
        ("last_seq", pa.int64()),
        ("whole", pa.bool_()),
    ]
)


def take_snapshot(logs: Sequence[Path], scope: Scope) -> Snapshot:
    """Look at every directory. Raises NotReadyError where one cannot be read, or changes faster than it is read."""
    files: list[Stored] = []
    pieces: list[Path] = []
    rows: list[pa.Table] = []
    segments: list[tuple[object, ...]] = []
    for log in logs:
        look = _look_again(LocalStore(log), scope)
        files.extend(look.files)
        pieces.extend(look.pieces)
        rows.extend(look.rows)
        segments.extend(look.segments)
    files.sort(key=lambda file: (file.latest is None, file.latest), reverse=True)
    columns = list(zip(*segments, strict=True)) or [()] * len(SEGMENTS)
    arrays = [pa.array(list(values), f.type) for values, f in zip(columns, SEGMENTS, strict=True)]
    fresh = pa.concat_tables([STORED.empty_table(), *rows])
    return Snapshot(tuple(files), tuple(pieces), fresh, pa.Table.from_arrays(arrays, schema=SEGMENTS))


@dataclass(frozen=True, slots=True)
class _Look:
    files: list[Stored]
    pieces: list[Path]
    rows: list[pa.Table]
    segments: list[tuple[object, ...]]


def _look_again(store: LocalStore, scope: Scope) -> _Look:
    if not store.layout.segments.is_dir():
        raise NotReadyError("there is no decision log here", next_step="name its place with `--state-dir`")
    for _ in range(_TRIES):
        try:
            return _look(store, scope)
        except FileNotFoundError:
            continue
        except OSError as fault:
            raise NotReadyError(f"the decision log cannot be read: {fault.strerror}") from None
    raise NotReadyError("the decision log changes faster than it can be read")


def _look(store: LocalStore, scope: Scope) -> _Look:
    # INVARIANT (exactly once): the segments that lie here first, then files and which of these are stored, from
    # one transaction. One that is stored after that is gone from where it lay, and the look begins anew.
    names = store.layout.names()
    files, stored = store.manifest.look(str(name) for name in names)
    look = _Look([], [], [], [])
    for file in files:
        if scope.may_hold(file):
            paths = store.rows_path(file), store.hourly_path(file)
            look.files.append(Stored(*paths, file.max_time, file.records, file.min_time))
    twins = passed_over(store, [name for name in names if str(name) not in stored])
    for name in names:
        if str(name) in stored:
            continue
        pieces, rows = fresh_rows(store.layout, store.place, name)
        if name in twins:
            published = [read_pieces([piece]).cast(STORED) for piece in pieces]
            rows = without(pa.concat_tables([*published, rows]), twins[name])
            pieces = []
        look.pieces.extend(piece.path for piece in pieces)
        look.rows.append(rows)
        row = (name.node, name.worker, name.epoch, name.number, name.created_at.replace(tzinfo=None))
        count = rows.num_rows + sum(_rows_in(piece.path) for piece in pieces) if scope.segments else None
        look.segments.append((str(name), *row, "fresh", count, None, None, None))
    if scope.segments:
        look.segments.extend(_stored_segment(row) for row in store.manifest.overview())
    return look


def _rows_in(path: Path) -> int:
    """Of a published tail, by its own word: what it holds was proven when it was published. Raises OSError."""
    return int(pq.read_metadata(path).num_rows)


def _stored_segment(row: tuple[object, ...]) -> tuple[object, ...]:
    from pdp.declog.layout import segment_name

    text, records, first, last, whole, _, tier, _ = row
    name = segment_name(str(text))
    if name is None:
        raise NotReadyError(f"the store's manifest names `{text}`, which is no segment")
    state = "removed" if tier == "removed" else "stored"
    created = name.created_at.replace(tzinfo=None)
    return (text, name.node, name.worker, name.epoch, name.number, created, state, records, first, last, bool(whole))
