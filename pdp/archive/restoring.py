"""A segment from the store as it was, byte for byte: for proofs, and for whoever rebuilds another store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from pdp.archive.datafile import prove_file
from pdp.archive.entries import WHOLE
from pdp.archive.rewrites import Rewrites, leaves_of, prove_rewritten
from pdp.archive.sealed import lines_again, prove
from pdp.archive.store import LocalStore
from pdp.errors import NotReadyError, RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pdp.archive.entries import StoredFile
    from pdp.transparency.follower import Leaves


def segment_again(store: LocalStore, name: str) -> bytes | None:
    """The file of a stored segment; None where the store never had it.

    Raises RecordDamagedError where the store does not give it back as it was, NotReadyError where it was
    removed, was damaged already when it was stored, or has records that count in another.
    """
    within = store.manifest.file_of(name)
    if within is None:
        return None
    file = next((file for file in store.manifest.files() if file.name == within), None)
    if file is None:
        raise NotReadyError(f"the records of `{name}` were removed when their time had passed")
    segment = next(s for s in store.manifest.segments_of(file.name) if str(s.name) == name)
    if segment.has_twins:
        raise NotReadyError(f"records of `{name}` were written anew and count there; only the segment itself has them")
    if not segment.can_be_given_back or segment.header is None:
        raise NotReadyError(f"`{name}` was damaged when it was stored; only the segment itself shows how")
    if Rewrites(store.manifest).roots([name]):
        raise NotReadyError(f"the records of `{name}` were pseudonymised; their hashes are left, and they are not")
    table = pq.read_table(store.rows_path(file), filters=[("segment", "=", name)], partitioning=None)
    records = prove(segment, table.sort_by("seq"))
    return b"".join(lines_again(segment.header, records, segment.footer))


def leaves_again(store: LocalStore, name: str) -> Leaves | None:
    """What is left of a segment whose records were pseudonymised; None where they were not, or have gone since.

    Raises RecordDamagedError, NotReadyError, OSError.
    """
    rewrites = Rewrites(store.manifest)
    root = rewrites.roots([name]).get(name)
    within = store.manifest.file_of(name)
    file = next((file for file in store.manifest.files() if file.name == within), None)
    if root is None or file is None:
        return None
    return leaves_of(store.rows_path(file), name, root, rewrites.twins([name]).get(name, ()))


def restorer(log: Path) -> tuple[frozenset[str], Callable[[str], bytes | Leaves | None]]:
    """Of the store beside a log: segments that were removed into it, and how to have their files, or leaves, again.

    What is called raises RecordDamagedError where the store does not give a segment back; None where its time has
    passed.
    """
    store = LocalStore(log)
    try:
        if not store.manifest.exists():
            return frozenset(), lambda _: None
        removed = stored_names(store)
    except NotReadyError:  # a manifest that was altered names nothing: who looks at the store says so
        return frozenset(), lambda _: None

    def restore(name: str) -> bytes | Leaves | None:
        try:
            return leaves_again(store, name) or segment_again(store, name)
        except NotReadyError:  # its time has passed, or it was damaged before and said so
            return None
        except RecordDamagedError:
            raise
        except Exception as fault:  # what was altered can be read as anything, and every reader fails its own way
            raise RecordDamagedError(f"the store does not give `{name}` back") from fault

    return removed, restore


@dataclass(frozen=True, slots=True)
class Removal:
    """What the manifest says of a file that counts no more, though its segments are in no other: to be proven.

    `segments` are its segments with their numbers of records. Not `by_retention`: by nothing that removes records.
    """

    file: str
    by_retention: bool
    segments: Mapping[str, int]


def removals(log: Path) -> list[Removal]:
    """Every one of them, by the file's name. The manifest's seal is no signature: whoever can write it can say this."""
    store, found = LocalStore(log), dict[tuple[str, bool], dict[str, int]]()
    try:
        rows = store.manifest.overview()
    except NotReadyError:  # who looks at the store says so
        return []
    for name, records, _, _, _, file, tier, _ in rows:
        if tier not in ("hot", "archived"):  # the segments of a `replaced` file went with its replacement
            found.setdefault((str(file), tier == "removed"), {})[str(name)] = int(str(records))
    return [Removal(file, by_retention, segments) for (file, by_retention), segments in sorted(found.items())]


def expired(log: Path) -> frozenset[str]:
    """Segments whose records are not kept any more, or not as they were."""
    store = LocalStore(log)
    try:
        removed = {str(row[0]) for row in store.manifest.overview() if row[6] == "removed"}
        return Rewrites(store.manifest).segments() | removed
    except NotReadyError:  # as above
        return frozenset()


def prove_stored(store: LocalStore, file: StoredFile) -> None:
    """One file: by its segments, or by their leaves where it was rewritten. Raises RecordDamagedError, OSError."""
    segments, path = store.manifest.segments_of(file.name), store.rows_path(file)
    rewrites, names = Rewrites(store.manifest), [str(segment.name) for segment in segments]
    roots = rewrites.roots(names)
    if roots:
        prove_rewritten(path, segments, roots, rewrites.twins(names))
    else:
        prove_file(path, segments)


def prove_store(store: LocalStore) -> tuple[int, list[str]]:
    """Derive every stored segment again. Gives the number of records proven, and the files that do not hold."""
    proven, broken = 0, []
    for file in store.manifest.files():
        try:
            prove_stored(store, file)
            proven += file.records
        except Exception:  # noqa: BLE001  # what was altered can be read as anything, and every reader fails its own way
            broken.append(file.name)
    return proven, broken


def stored_names(store: LocalStore) -> frozenset[str]:
    """Segments that are missing among the log's files on purpose: stored whole, and removed since.

    A damaged one, or one with twins, lies there as long as the file that has its records: nothing else shows what it
    held.
    """
    rewritten = Rewrites(store.manifest).segments()
    return frozenset(
        str(row[0])
        for row in store.manifest.overview()
        if row[7] is not None and (row[4] == WHOLE or row[6] == "removed" or str(row[0]) in rewritten)
    )
