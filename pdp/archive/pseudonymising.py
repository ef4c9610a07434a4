"""Old records lose their names and keep their proof: stored files are written anew, with the hashes of what they held.

    1 prove every segment of the file as it is    a difference ends it: what was altered is not covered up
    2 mask each record; take its leaf hash        in memory
    3 write rows, then hours, aside; sync, rename a file that the manifest does not name
    4 read back, hold leaves and counts against what was taken
    5 enter in the manifest                       one transaction; a legal hold ends it here at the latest
    6 remove the segments' own files              nobody reads them any more
    7 remove the file as it was

A run that dies before 5 has changed nothing; one that dies after it is finished by the next (`finish`). Only the
holder of the compactor's lock comes here. A damaged segment keeps its file: only its own lines show the damage. Of one
with records that count elsewhere (`pdp.archive.twins`) the leaves of these are kept before its file goes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pdp.archive.arrow_tables import complete
from pdp.archive.datafile import bounds_of, by_hour, in_order, write_table
from pdp.archive.entries import covers
from pdp.archive.intake import Intake
from pdp.archive.retention import months_before
from pdp.archive.rewrites import LEAF, Rewrite, Rewrites, Twin, prove_rewritten
from pdp.archive.sealed import prove
from pdp.declog.layout import segment_name
from pdp.declog.reader import id_of, records_of
from pdp.declog.record import encode_record, read_record
from pdp.errors import NotReadyError, RecordDamagedError, RecordFailedError
from pdp.merkle import leaf_hash, root_of
from pdp.privacy.masking import FAILED
from pdp.transparency.seal import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from pdp.archive.entries import StoredFile
    from pdp.archive.sealed import SealedSegment
    from pdp.archive.store import LocalStore
    from pdp.declog.layout import Layout, SegmentName
    from pdp.declog.record import Record

What = Literal["pseudonymise", "held", "damaged", "newest", "done"]
_KEPT: Final = {  # of a record that cannot be read: what names nobody, where it has the form that it should have
    "id": "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "kind": "decision|refusal",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "outcome": "allow|limit|step_up|deny",
}


@dataclass(frozen=True, slots=True)
class RuleSet:
    """`mask` never raises; it has erased what it could not mask. `text` is the rules as JSON."""

    mask: Callable[[Record], Record]
    text: str
    key_epoch: int | None

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Step:
    """What is to happen to one file; `holds` are the numbers of the holds that keep it.

    `newest`: it waits until a worker has begun another segment, since the chain goes on from the last one's own file.
    """

    what: What
    file: StoredFile
    holds: tuple[int, ...] = ()


def plan(store: LocalStore, months: int, now: datetime) -> list[Step]:
    """The files whose newest record is older than so many months, the oldest first. Nothing is changed."""
    before = months_before(now.replace(tzinfo=None), months)
    holds, done = store.manifest.holds(), {rewrite.file for rewrite in Rewrites(store.manifest).known()}
    steps, newest = [], store.newest()
    for file in reversed(store.manifest.files()):
        if file.max_time is None or file.max_time >= before:
            continue
        keeping = tuple(hold.id for hold in holds if covers(hold, file))
        what: What = "done" if file.name in done else "held" if keeping else _possible(store, file, newest)
        steps.append(Step(what, file, keeping if what == "held" else ()))
    return steps


def _possible(store: LocalStore, file: StoredFile, newest: Collection[SegmentName]) -> What:
    segments = store.manifest.segments_of(file.name)
    if not all(segment.whole for segment in segments):
        return "damaged"
    return "newest" if any(segment.name in newest for segment in segments) else "pseudonymise"


def carry_out(store: LocalStore, steps: Sequence[Step], rules: RuleSet, now: datetime, by: str) -> list[Rewrite]:
    """Do it, under the compactor's lock; a file that a hold names by now is left out. Gives what was done.

    Raises RecordDamagedError for a file that is not what was stored, OSError and NotReadyError; what was done until
    then stands, and the next run goes on.
    """
    finish(store)
    done = []
    for step in steps:
        if step.what == "pseudonymise":
            rewrite = _rewrite(store, step.file, rules, now, by)
            if rewrite is not None:
                done.append(rewrite)
    return done


def finish(store: LocalStore) -> int:
    """Remove what a run that died left of the records as they were. Gives how many files."""
    gone = Rewrites(store.manifest).segments()
    newest = store.newest()  # none of them was rewritten, but an older copy may have been put back
    paths = [
        store.layout.sealed_path(name) for name in store.layout.names() if str(name) in gone and name not in newest
    ]
    store.remove_torn(name for text in gone if (name := segment_name(text)) is not None)
    for folder, file in store.manifest.gone():
        root = Path(folder) if folder else store.place.root
        paths.extend(path for part in ("rows", "hourly") if (path := root / part / file).exists())
    for path in paths:
        if path.exists():
            store.disk.remove(path)
    if paths:
        store.disk.sync_directory(store.layout.segments)
    return len(paths)


def _rewrite(store: LocalStore, file: StoredFile, rules: RuleSet, now: datetime, by: str) -> Rewrite | None:
    segments = store.manifest.segments_of(file.name)
    rows = store.rows_path(file)
    twins = _twins(store.layout, rows, segments)
    table, blanked, roots = _masked(rows, segments, twins, rules.mask)
    name = f"{file.name.removesuffix('.parquet')}-{rules.sha256[:8]}.parquet"
    new = _write(store, replace(file, name=name), table)
    prove_rewritten(store.rows_path(new), segments, roots, twins)
    rewrite = Rewrite(
        file=name, original=file.name, rules=rules.text, rules_sha256=rules.sha256, key_epoch=rules.key_epoch,
        records=file.records, blanked=blanked, at=now.replace(tzinfo=None), by=by,
    )  # fmt: skip
    try:
        Rewrites(store.manifest).enter(file, new, rewrite, roots=roots, twins=twins, now=now)
    except NotReadyError:
        if all(stored.name != new.name for stored in store.manifest.files()):  # an outcome that is open may be done
            for path in (store.rows_path(new), store.hourly_path(new)):
                store.disk.remove(path)
        if any(covers(hold, file) for hold in store.manifest.holds()):
            return None
        raise
    finish(store)
    return rewrite


def _twins(layout: Layout, rows: Path, segments: Sequence[SealedSegment]) -> dict[str, list[Twin]]:
    """Of segments with records that count elsewhere, the leaves of these: only their own files have them, and go.

    Raises RecordDamagedError where a file is not what was stored, OSError.
    """
    found: dict[str, list[Twin]] = {}
    for segment in segments:
        if not segment.has_twins:
            continue
        path, name = layout.sealed_path(segment.name), str(segment.name)
        if not path.exists() or digest_of(path) != segment.sha256:
            raise RecordDamagedError(f"the segment `{name}` is not what was stored")
        counted = pq.read_table(rows, columns=["seq"], filters=[("segment", "=", name)], partitioning=None)
        here = set(counted["seq"].to_pylist())
        found[name] = [Twin(seq, id_of(body), leaf_hash(body)) for seq, body in records_of(path) if seq not in here]
    return found


def _masked(
    rows: Path,
    segments: Sequence[SealedSegment],
    twins: Mapping[str, Sequence[Twin]],
    mask: Callable[[Record], Record],
) -> tuple[pa.Table, int, dict[str, str]]:
    """The rows as they are to be, how many have nothing but a frame, and the root over each segment's leaves."""
    stored = complete(pq.read_table(rows, partitioning=None))
    names = stored["segment"].cast(pa.string())
    if stored.num_rows != sum(segment.records for segment in segments):
        raise RecordDamagedError(f"the stored file `{rows.name}` holds other records than it was given")
    tables, blanked, roots = [], 0, {}
    for segment in segments:
        records = prove(segment, stored.filter(pc.equal(names, str(segment.name))).sort_by("seq"))
        intake = Intake(str(segment.name))
        for seq, body in records:
            masked, is_blank = _without_names(body, mask)
            blanked += is_blank
            intake.add(seq, masked)
        leaves = [leaf_hash(body) for _, body in records]
        elsewhere = [(twin.seq, twin.leaf) for twin in twins.get(str(segment.name), ())]
        numbered = zip((seq for seq, _ in records), leaves, strict=True)
        roots[str(segment.name)] = root_of([leaf for _, leaf in sorted([*numbered, *elsewhere])]).hex()
        tables.append(intake.table().append_column(LEAF, pa.array(leaves, pa.binary(32))))
    return in_order(tables), blanked, roots


def _without_names(body: bytes, mask: Callable[[Record], Record]) -> tuple[bytes, bool]:
    try:
        masked = mask(read_record(body))
        return encode_record(masked), masked.erased == [FAILED]
    except (RecordDamagedError, RecordFailedError):
        return _frame(body), True


def _frame(body: bytes) -> bytes:
    """Of a record that is none of ours in its canonical form, names could stand anywhere: what is left of it."""
    import re

    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        found = None
    values: dict[str, Any] = found if isinstance(found, dict) else {}
    kept = {
        name: values[name]
        for name, form in _KEPT.items()
        if isinstance(values.get(name), str) and re.fullmatch(form, values[name], re.ASCII)
    }
    return msgspec.json.encode(kept | {"erased": [FAILED]})


def _write(store: LocalStore, file: StoredFile, table: pa.Table) -> StoredFile:
    """The file under its new name, where the old one lies. Raises OSError."""
    size, digest = write_table(store.disk, store.rows_path(file), table)
    _, hourly_digest = write_table(store.disk, store.hourly_path(file), by_hour(table))
    _, _, first, last = bounds_of(table)
    return replace(
        file,
        bytes=size,
        sha256=digest,
        hourly_sha256=hourly_digest,
        min_subject=cast("str | None", first),
        max_subject=cast("str | None", last),
    )
