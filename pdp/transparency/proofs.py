"""What an auditor takes away: the proof of one decision, and that one signed head continues another.

Both are small JSON files. `tools/verify_decision.py` checks them with nothing of ours and no access to the log.

    record  --path-->  root in a leaf of the node's tree  --path-->  signed head
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pdp.declog.layout import segment_name
from pdp.declog.reader import id_of, segments_near
from pdp.errors import BadRequestError, NotReadyError, RecordDamagedError
from pdp.merkle import consistency_path, inclusion_path, leaf_hash, root_of
from pdp.transparency import entries
from pdp.transparency.checkpoint import Checkpoint, parse_checkpoint
from pdp.transparency.entries import Line
from pdp.transparency.follower import Leaves, roots_of, roots_over
from pdp.transparency.ledger import read_ledger
from pdp.transparency.note import parse_note
from pdp.transparency.place import ProofPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from pdp.declog.layout import Layout, SegmentName
    from pdp.transparency.ledger import Ledger

PROOF_SCHEMA: Final = "sekisho.proof/v1"
CONSISTENCY_SCHEMA: Final = "sekisho.consistency/v1"
_SHOWN: Final = 5  # records of one id that are named to whoever has to choose


@dataclass(frozen=True, slots=True)
class Place:
    """Which of several records of one id is meant: its segment, its number there, and its bytes as they are kept,
    where somebody has them.

    Ids of ours are one each. What other OPAs push (`POST /logs`) brings ids of theirs, and whoever may push can choose
    one.
    """

    segment: str
    seq: int
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Numbered:
    """The proven records of a segment that lies here, or was given back."""

    seqs: list[int]
    bodies: list[bytes]


def prove(  # noqa: PLR0913  # each is one fact of what is looked for, and where
    layout: Layout,
    decision_id: str,
    *,
    everywhere: bool = False,
    archived: Collection[str] = (),
    restore: Callable[[str], bytes | Leaves | None] = lambda _: None,
    only: Place | None = None,
) -> dict[str, Any]:
    """The proof of one decision under the newest head of its node. Reads its segments and the ledger whole.

    `archived` are segments without a file of their own, which `restore` gives again. `only`: this one record, and no
    other of its id. Without it they must all be the same, byte for byte (a record that was written anew stands twice).

    Raises BadRequestError where there is no such record, or several that differ; NotReadyError where no head covers it
    yet, RecordDamagedError where the log is not what was signed for, OSError.
    """
    others = {parts for parts in map(segment_name, archived) if parts is not None}
    names = sorted({*layout.names(), *others})
    if only is None:
        names = segments_near(names, decision_id, everywhere=everywhere)
    else:
        names = [name for name in names if str(name) == only.segment]
    first: tuple[SegmentName, _Numbered | Leaves, int] | None = None
    found: dict[bytes, list[Place]] = {}  # by the leaf: a record that lost its names has no bytes to compare
    for name in names:
        records = _records(layout, name, restore)
        for position, place, leaf in _positions(name, records, str(UUID(decision_id)), only):
            found.setdefault(leaf, []).append(place)
            first = first or (name, records, position)
    if first is None:
        raise BadRequestError(f"no record of `{decision_id}` is in the decision log")
    if len(found) > 1:
        shown = [f"`--segment {one.segment} --seq {one.seq}`" for one, *_ in list(found.values())[:_SHOWN]]
        raise BadRequestError(
            f"{len(found)} records that differ have the id `{decision_id}`",
            next_step=f"say which one is meant: {', '.join(shown)}",
        )
    name, records, position = first
    bodies = records if isinstance(records, Leaves) else records.bodies
    return prove_record(ProofPlace(layout.root, name.node), str(name), bodies, position)


def _positions(
    name: SegmentName, records: _Numbered | Leaves, wanted: str, only: Place | None
) -> Iterator[tuple[int, Place, bytes]]:
    """Of the records under this id: which in the segment, the place of each, and its leaf."""
    if isinstance(records, Leaves):
        for at, (kept, leaf) in enumerate(zip(records.ids, records.hashes, strict=True)):
            if kept == wanted and (only is None or only.seq == records.first_seq + at):
                yield at, Place(str(name), records.first_seq + at), leaf
        return
    for at, (seq, body) in enumerate(zip(records.seqs, records.bodies, strict=True)):
        if wanted.encode() not in body or id_of(body) != wanted:
            continue
        if only is None or (only.seq == seq and only.body in (None, body)):
            yield at, Place(str(name), seq), leaf_hash(body)


def prove_record(place: ProofPlace, segment: str, records: Iterable[bytes] | Leaves, position: int) -> dict[str, Any]:
    """As `prove`, for a record by its place, with the segment's records from wherever they are kept now.

    Of a record that was pseudonymised the proof has the hash (`record_hash`) and no record: that it was there, and
    was never another, can still be shown; what it said cannot.
    """
    ledger = _sound(place)
    kept = None if isinstance(records, Leaves) else list(records)
    leaves = list(records.hashes) if isinstance(records, Leaves) else [leaf_hash(record) for record in kept or ()]
    at, leaf = next(
        ((at, leaf) for at, leaf in reversed(ledger.segments.get(segment, [])) if leaf.records > position), (0, None)
    )
    if leaf is None:
        raise NotReadyError(
            "no signed head covers the record yet", next_step="wait a second, or run `pdp audit checkpoint`"
        )
    hashes = leaves[: leaf.records]
    if len(hashes) < leaf.records or root_of(hashes).hex() != leaf.root:
        raise RecordDamagedError(f"the segment `{segment}` is not what was signed for")
    head, note = ledger.heads[-1]
    return {
        "schema": PROOF_SCHEMA,
        **(
            {"record": None, "record_hash": hashes[position].hex()}
            if kept is None
            else {"record": kept[position].decode()}
        ),
        "record_path": _path(position, leaf.records, inclusion_path(hashes, position)),
        "leaf": entries.encode(Line(segment=leaf)).decode(),
        "leaf_path": _path(at, head.size, inclusion_path(ledger.hashes[: head.size], at)),
        "checkpoint": note,
        "keys": [str(key) for key in ledger.keys],
    }


def prove_consistency(root: Path, older: str, newer: str) -> dict[str, Any]:
    """That the log under the newer head begins with the log under the older one. Both are notes.

    Raises BadRequestError where one is no head of a log that lies here, RecordDamagedError where the log
    does not lead from one to the other, OSError.
    """
    before, after = _claimed(older), _claimed(newer)
    if before.origin != after.origin or not 1 <= before.size <= after.size:
        raise BadRequestError("the two checkpoints are not an older and a newer one of the same log")
    for path in sorted((root / "proof").glob("*.000001.ledger")):
        ledger = _sound(ProofPlace(root, path.name.split(".")[0]))
        if ledger.origin != before.origin:
            continue
        heads = {head.size: head for head, _ in ledger.heads}
        if heads.get(before.size) != before or heads.get(after.size) != after:
            raise RecordDamagedError("the log does not hold one of these checkpoints")
        path_between = consistency_path(ledger.hashes[: after.size], before.size)
        return {
            "schema": CONSISTENCY_SCHEMA,
            "older": older,
            "newer": newer,
            "path": [node.hex() for node in path_between],
            "keys": [str(key) for key in ledger.keys],
        }
    raise BadRequestError(f"no log `{before.origin}` lies here")


def _records(layout: Layout, name: SegmentName, restore: Callable[[str], bytes | Leaves | None]) -> _Numbered | Leaves:
    records = _Numbered([], [])

    def keep(seq: int, body: bytes) -> None:
        records.seqs.append(seq)
        records.bodies.append(body)

    path = layout.open_path(name)
    path = path if path.exists() else layout.sealed_path(name)
    if path.exists():
        roots_of(path, set(), keep)
    else:
        again = restore(str(name))
        if isinstance(again, Leaves):
            return again
        roots_over((again or b"").splitlines(keepends=True), set(), keep)
    return records


def _sound(place: ProofPlace) -> Ledger:
    ledger = read_ledger(place)
    if ledger.finding is not None:
        raise RecordDamagedError(f"the ledger `{ledger.finding.segment}` is not what was written")
    return ledger


def _path(position: int, size: int, hashes: list[bytes]) -> dict[str, Any]:
    return {"position": position, "size": size, "hashes": [node.hex() for node in hashes]}


def _claimed(text: str) -> Checkpoint:
    note = parse_note(text)
    checkpoint = None if note is None else parse_checkpoint(note.text)
    if checkpoint is None:
        raise BadRequestError("a file is not a signed checkpoint")
    return checkpoint
