"""Is the store what it was made as? `inspect_store` looks at every file below `store/` and names what is not.

1. the manifest against its seal; whether the seal is the one that was signed for, the proof says
   (`pdp.transparency.inspection`);
2. each data file against its digest in the manifest; its records, segment by segment, against what was stored,
   and its hourly counts against its records;
3. each published tail against its list, and its records against the segment that they were read from;
4. names: what nobody wrote here. Locks hold nothing, and are there where somebody works.

A living store is looked at as it stands: what the compactor changes meanwhile is looked at once more.
"""

from __future__ import annotations

import os
from contextlib import closing, nullcontext
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow.parquet as pq

from pdp.archive.bodies import bodies_of
from pdp.archive.datafile import COUNT_BY_HOUR
from pdp.archive.manifest_file import LOCK_NAME
from pdp.archive.pieces import read_pieces_list
from pdp.archive.restoring import prove_stored
from pdp.archive.rewrites import Rewrites
from pdp.archive.store import LocalStore
from pdp.archive.tail import piece_of, segment_path
from pdp.declog.layout import segment_name
from pdp.declog.reader import read_lines
from pdp.declog.verify import Finding
from pdp.errors import NotReadyError
from pdp.transparency.aside import of_nobody
from pdp.transparency.seal import digest_of, foreign_journal, read_seal, seal_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pdp.archive.entries import StoredFile
    from pdp.archive.tail import Piece
    from pdp.declog.layout import SegmentName

_DIFFERING: Final = ("FROM counted EXCEPT ALL FROM hours LIMIT 1", "FROM hours EXCEPT ALL FROM counted LIMIT 1")
_TAIL_PARTS: Final = 8  # of a published tail's name: five of its segment, two places, and the ending
_TRIES: Final = 5  # a tail is published anew every two seconds; to look at one takes milliseconds


def inspect_store(log: Path, proven_before: set[object] | None = None) -> tuple[int, tuple[Finding, ...]]:
    """The number of records proven, and what is not as it should be. Raises OSError.

    `proven_before` remembers what was derived, by the digests of all that went into it: a second look takes digests,
    and derives only what is another.
    """
    store = LocalStore(log)
    before = set() if proven_before is None else proven_before
    if not store.place.root.is_dir():
        return 0, ()
    findings = list(_strays(store))
    manifest = list(_manifest(store))
    findings.extend(manifest)
    if any(finding.kind != "unsettled" for finding in manifest):
        return 0, tuple(findings)  # nothing that it says counts
    try:
        files, _ = store.manifest.look()
    except NotReadyError:
        return 0, (*findings, Finding(store.place.manifest.name, "damaged_store"))
    proven = 0
    for file in files:
        found = list(_data_file(store, file, before))
        proven += 0 if found else file.records
        findings.extend(found)
    findings.extend(_unnamed(store, files))
    findings.extend(_tails(store, before))
    return proven, tuple(findings)


# -- names -------------------------------------------------------------------------------------------


def _strays(store: LocalStore) -> Iterator[Finding]:
    place = store.place
    locks = (place.lock.name, LOCK_NAME)
    ours = {
        place.manifest.name,
        f"{place.manifest.name}-journal",  # while it is changed
        seal_path(place.manifest).name,
        place.pieces.name,
        *locks,
    }
    folders = {place.rows.name, place.hourly.name, place.tail.name}
    for path in sorted(place.root.iterdir()):
        if path.name not in (folders if path.is_dir() else ours):
            yield of_nobody(path.name, lambda name: name in ours)
    for name in locks:
        yield from lock_findings(place.root / name, needed=place.manifest.exists())


def lock_findings(path: Path, *, needed: bool) -> Iterator[Finding]:
    """A lock is an empty file. One that is gone while somebody holds it lets in a second."""
    if not path.exists():
        if needed:
            yield Finding(path.name, "missing_file")
    elif path.stat().st_size:
        yield Finding(path.name, "damaged_lock")


def _unnamed(store: LocalStore, files: list[StoredFile]) -> Iterator[Finding]:
    """Data files that the manifest does not name: being written, or left by a process that died over it."""
    roots = {_root(store, file) for file in files} | {store.place.root}
    for root, part in product(sorted(roots), ("rows", "hourly")):
        folder, named = root / part, {file.name for file in files if _root(store, file) == root}
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name in named:
                continue
            shown = f"{folder.name}/{path.name}"
            ours = _may_be_stored(path.name)
            yield Finding(shown, "left_over") if ours else of_nobody(path.name, _may_be_stored, shown)


def _may_be_stored(name: str) -> bool:
    return name[:1].isdigit() and name.endswith(".parquet") and name.count(".") == 1


def _root(store: LocalStore, file: StoredFile) -> Path:
    return Path(file.folder) if file.folder else store.place.root


# -- the manifest ------------------------------------------------------------------------------------


def _manifest(store: LocalStore) -> Iterator[Finding]:
    path = store.place.manifest
    with _undisturbed(store):
        try:
            seal = read_seal(path)
        except FileNotFoundError:
            if path.exists():
                yield Finding(seal_path(path).name, "damaged_seal")
            return
        if seal is None:
            yield Finding(seal_path(path).name, "damaged_seal")
        elif not path.exists():
            yield Finding(path.name, "missing_file")
        elif seal.state == "changing":
            yield Finding(path.name, "unsettled")
        elif digest_of(path) != seal.sha256:
            yield Finding(path.name, "damaged_store")
        journal = foreign_journal(path)
        if journal is not None:
            yield Finding(journal.name, "stray_file")


def _undisturbed(store: LocalStore) -> AbstractContextManager[None]:
    """Nobody changes the manifest meanwhile; where this is a copy that nobody may write to, nobody does."""
    lock = store.place.root / LOCK_NAME
    return store.manifest.held() if lock.exists() and os.access(lock, os.W_OK) else nullcontext()


# -- data files --------------------------------------------------------------------------------------


def _data_file(store: LocalStore, file: StoredFile, before: set[object]) -> Iterator[Finding]:
    rows, hours = store.rows_path(file), store.hourly_path(file)
    for path, digest, what in ((rows, file.sha256, "rows"), (hours, file.hourly_sha256, "hourly")):
        try:
            found = digest_of(path)
        except FileNotFoundError:
            if _still_counts(store, file):
                yield Finding(f"{what}/{file.name}", "missing_file")
            return
        if found != digest:
            yield Finding(f"{what}/{file.name}", "damaged_store")
            return
    segments = tuple(store.manifest.segments_of(file.name))
    roots = Rewrites(store.manifest).roots([str(segment.name) for segment in segments])
    stands = file, segments, tuple(sorted(roots.items()))
    if stands in before:
        return
    try:
        prove_stored(store, file)
    except Exception:  # noqa: BLE001  # what was altered can be read as anything, and every reader fails its own way
        if _still_counts(store, file):
            yield Finding(f"rows/{file.name}", "damaged_store")
        return
    if _counts_agree(rows, hours):
        before.add(stands)
    else:
        yield Finding(f"hourly/{file.name}", "damaged_store")


def _still_counts(store: LocalStore, file: StoredFile) -> bool:
    """It may have been merged, archived or removed since the manifest was read."""
    return any(now == file for now in store.manifest.files())


def _counts_agree(rows: Path, hours: Path) -> bool:
    with closing(duckdb.connect(":memory:", config={"threads": 1})) as connection:
        connection.read_parquet(str(rows)).create_view("tail")
        connection.read_parquet(str(hours)).create_view("hours")
        connection.sql(COUNT_BY_HOUR).create_view("counted")
        try:
            return all(not connection.sql(differing).fetchall() for differing in _DIFFERING)
        except duckdb.Error:
            return False


# -- published tails ---------------------------------------------------------------------------------


def _tails(store: LocalStore, before: set[object]) -> list[Finding]:
    place = store.place
    for _ in range(_TRIES):
        listed = _raw(place.pieces)
        found = list(_tails_now(store, before))
        if not found or _raw(place.pieces) == listed:
            return found
    return []  # it changes faster than it is looked at, which nobody but the compactor does


def _tails_now(store: LocalStore, before: set[object]) -> Iterator[Finding]:
    place = store.place
    if not place.tail.is_dir():
        return
    try:
        listed = read_pieces_list(place)
    except FileNotFoundError:
        listed = {}
        if any(place.tail.iterdir()):
            yield Finding(place.pieces.name, "missing_file")
    if listed is None:
        yield Finding(place.pieces.name, "damaged_tail")
        listed = {}
    read = _Recorded(store, before)
    for path, digest in ((place.tail / name, digest) for name, digest in listed.items()):
        if not path.exists() or digest_of(path) != digest or not read.holds(path):
            yield Finding(path.name, "damaged_tail")
    unlisted = [path for path in sorted(place.tail.iterdir()) if path.name not in listed]
    for path in unlisted:
        held = read.holds(path)
        if held or path.exists():
            yield Finding(path.name, "left_over") if held else of_nobody(path.name, _may_be_published)


def _may_be_published(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == _TAIL_PARTS and parts[-1] == "parquet" and segment_name(".".join(parts[:5])) is not None


class _Recorded:
    """What the segments hold, each read once: where each proven record begins, its number and its body."""

    def __init__(self, store: LocalStore, before: set[object]) -> None:
        self._store = store
        self._before = before
        self._read: dict[SegmentName, list[tuple[int, int, bytes]]] = {}

    def holds(self, path: Path) -> bool:
        """Whether the records of a published file are those of its segment, between the bytes that its name says."""
        piece = piece_of(path)
        if piece is None:
            return False
        try:
            stands = piece.path.name, digest_of(path), _digest_up_to(self._segment(piece), piece.end)
            if stands in self._before:
                return True
            records = self._records(piece.segment)
        except FileNotFoundError:  # stored and removed meanwhile: then the piece counts for nothing
            return bool(self._store.stored([piece.segment]))
        try:
            table = pq.read_table(path, partitioning=None)
            published = list(zip(table["seq"].to_pylist(), bodies_of(table), strict=True))
        except Exception:  # noqa: BLE001  # as above
            return False
        same = published == [(seq, body) for at, seq, body in records if piece.first <= at < piece.end]
        self._before.update({stands} if same else ())
        return same

    def _segment(self, piece: Piece) -> Path:
        return segment_path(self._store.layout, piece.segment)

    def _records(self, name: SegmentName) -> list[tuple[int, int, bytes]]:
        if name not in self._read:
            at, found = 0, []
            for read in read_lines(segment_path(self._store.layout, name)):
                if read.state == "proven" and read.line is not None and read.line.kind == "record":
                    found.append((at, read.line.seq, read.line.body))
                at += read.length
            self._read = {name: found}  # one at a time: pieces of a segment stand together
        return self._read[name]


def _digest_up_to(path: Path, end: int) -> str:
    """Of the first so many bytes, at most a segment's. Raises OSError."""
    with path.open("rb") as file:
        return sha256(file.read(end)).hexdigest()


def _raw(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
