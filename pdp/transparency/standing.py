"""How far the notary is, kept beside the ledger and signed, so that a start need not read every ledger again.

A year of busy seconds is 15 minutes of reading. The standing names a head, the tree under it and where in
which file it ends; from there on the ledger is read and checked as ever. It is believed where

1. the key that signs now, or the one before it, has signed it;
2. its tree has the root of its head, and its head is signed as well;
3. the ledger's file has that very head at that very place.

Anything else, and all is read. The inspection never relies on it: it reads everything, and says where the
standing is not what it should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.layout import segment_name
from pdp.merkle import Frontier
from pdp.transparency import entries
from pdp.transparency.checkpoint import parse_checkpoint
from pdp.transparency.entries import FileLeaf, Line
from pdp.transparency.ledger import Ledger, Mark
from pdp.transparency.note import NoteKey, note_key, parse_note, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from pdp.declog.layout import SegmentName
    from pdp.transparency.note import Signer
    from pdp.transparency.place import ProofPlace

STANDING_SCHEMA: Final = "sekisho.standing/v1"
_ENCODE: Final = msgspec.json.Encoder().encode


class Standing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`peaks` (hex) are of the tree under `head`, which ends at `offset` bytes and `lines` lines of file `number`.

    `open`: what was last signed for of each segment that is not closed. `closed`: of each worker, the newest
    segment up to which all are; `beyond` are those closed after it.
    """

    origin: str
    head: str
    number: int
    offset: int
    lines: int
    peaks: tuple[str, ...]
    keys: tuple[str, ...]
    open: dict[str, tuple[int, str]]
    closed: dict[str, str]
    beyond: tuple[str, ...]
    files: tuple[FileLeaf, ...]

    def mark(self) -> Mark | None:
        """Where the reading goes on; None where the tree is not the one under the head."""
        note = parse_note(self.head)
        head = None if note is None else parse_checkpoint(note.text)
        if head is None:
            return None
        try:
            tree = Frontier.of(head.size, [bytes.fromhex(peak) for peak in self.peaks])
        except ValueError:
            return None
        same = tree.root() == head.root and head.origin == self.origin
        return Mark(self.number, self.offset, self.lines, tree, self.head) if same else None

    def note_keys(self) -> list[NoteKey]:
        """Empty where one is none."""
        keys = [note_key(text) for text in self.keys]
        found = [key for key in keys if key is not None]
        return found if len(found) == len(keys) else []


class Closed:
    """Segments of which no more is to be signed: up to one of each worker all, and some beyond it."""

    def __init__(self, upto: dict[tuple[str, str], SegmentName], beyond: set[SegmentName]) -> None:
        self._upto = upto
        self._beyond = beyond

    @classmethod
    def of(cls, names: Iterable[str]) -> Closed:
        return cls({}, {name for name in map(segment_name, names) if name is not None})

    def __contains__(self, name: SegmentName) -> bool:
        upto = self._upto.get(name.owner)
        return name in self._beyond or (upto is not None and name <= upto)

    def add(self, name: SegmentName) -> None:
        self._beyond.add(name)

    def gather(self, present: Collection[SegmentName]) -> None:
        """Move the marks on, given all segments that lie here: a worker's segments come in order, and none earlier."""
        stopped: set[tuple[str, str]] = set()
        for name in sorted(self._beyond.union(present)):
            if name.owner in stopped:
                continue
            if name not in self:
                stopped.add(name.owner)
            elif name in self._beyond:
                self._beyond.discard(name)
                self._upto[name.owner] = name

    def written(self) -> tuple[dict[str, str], tuple[str, ...]]:
        return {".".join(owner): str(name) for owner, name in sorted(self._upto.items())}, tuple(
            str(name) for name in sorted(self._beyond)
        )


def closed_of(standing: Standing) -> Closed:
    upto = [name for name in map(segment_name, standing.closed.values()) if name is not None]
    beyond = {name for name in map(segment_name, standing.beyond) if name is not None}
    return Closed({name.owner: name for name in upto}, beyond)


def written(standing: Standing, signer: Signer) -> str:
    """The standing as a signed note. It is two lines, so that no signature on it is one on a head (three)."""
    return str(signed(f"{STANDING_SCHEMA}\n{_ENCODE(standing).decode()}\n", [signer]))


def read_standing(raw: bytes, keys: Sequence[NoteKey]) -> Standing | None:
    """What one of the keys has signed, and nobody else; None for anything else."""
    try:
        note = parse_note(raw.decode())
    except UnicodeDecodeError:
        return None
    if note is None or len(note.signatures) != 1 or len(note.signers(keys) or ()) != 1:
        return None
    schema, _, text = note.text.partition("\n")
    if schema != STANDING_SCHEMA:
        return None
    try:
        return msgspec.json.decode(text, type=Standing)
    except msgspec.DecodeError:
        return None


@dataclass(frozen=True, slots=True)
class Known:
    """The ledger up to some head, which segments are closed, and what was signed for of the others."""

    ledger: Ledger
    closed: Closed
    stated: dict[str, tuple[int, str]]


def resume(place: ProofPlace, trusted: Sequence[NoteKey], rest: Callable[[], None]) -> Known | None:
    """What is known up to the standing's head; None where all must be read. Raises OSError."""
    try:
        standing = read_standing(place.standing.read_bytes(), trusted)
    except FileNotFoundError:
        return None
    mark = None if standing is None else standing.mark()
    if standing is None or mark is None:
        return None
    keys = standing.note_keys()
    note = parse_note(standing.head)
    if not keys or keys[-1] not in trusted or note is None or keys[-1] not in (note.signers(keys) or ()):
        return None
    if not _stands(place.ledger(mark.number), mark):
        return None
    head = parse_checkpoint(note.text)
    assert head is not None  # it has a mark
    ledger = Ledger(
        origin=standing.origin,
        heads=[(head, standing.head)],
        files={leaf.file: leaf for leaf in standing.files},
        keys=keys,
        tree=mark.beyond(),
        number=mark.number,
        whole=False,
        mark=mark,
        rest=rest,
    )
    return Known(ledger, closed_of(standing), dict(standing.open))


def _stands(path: Path, mark: Mark) -> bool:
    line = entries.encode(Line(checkpoint=mark.note)) + b"\n"
    try:
        with path.open("rb") as file:
            file.seek(max(0, mark.offset - len(line)))
            return file.read(len(line)) == line
    except FileNotFoundError:
        return False
