"""The ledger of one node: read back with every claim checked, and written one turn at a time.

A turn is some leaves and the signed head over them, written at once and synced. A file is written by one
process and never again after a fault: the next turn begins the next file (as the segments do it). What
stands after the last head of a file was never signed and counts for nothing.

Every line but `begin` is a leaf, the heads too: a head that is taken out is missed by the next.

Reading checks, in this order:

1. each line has its one form, the first of a file is its `begin`, and the files have no gap;
2. a file begins with the size and the root at which the one before it ended;
3. each head names the origin, the number of leaves before it and their root;
4. each signature on it is by a key that an earlier leaf (or the first) names, and one is by the newest key before
   it: a new key is signed for by the old one. Verified on the last head, and on each that brings a key; the others
   are leaves under those, and to verify each would take an hour for each year.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pdp.declog.line import lacks_block
from pdp.declog.verify import Finding
from pdp.merkle import Frontier, leaf_hash
from pdp.transparency import entries
from pdp.transparency.checkpoint import Checkpoint, parse_checkpoint
from pdp.transparency.entries import LEDGER_SCHEMA, Begin, FileLeaf, KeyLeaf, Leaf, Line, SegmentLeaf
from pdp.transparency.follower import REST_LINES
from pdp.transparency.note import Note, NoteKey, note_key, parse_note, signed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.transparency.note import Signer
    from pdp.transparency.place import ProofPlace

MAX_LEDGER_BYTES: Final = 64 * 1024 * 1024  # two days of one busy worker: opened and shipped like a segment
_MAX_LINE: Final = 1024 * 1024  # a turn's head with 16 signatures is 3 kB


@dataclass(frozen=True, slots=True)
class Mark:
    """A place after a head: the file, its bytes and lines up to there, the tree under that head, and its note."""

    number: int
    offset: int
    lines: int
    tree: Frontier
    note: str

    def beyond(self) -> Frontier:
        """The tree with the head in it."""
        tree = self.tree.copy()
        tree.append(leaf_hash(entries.encode(Line(checkpoint=self.note))))
        return tree


@dataclass(slots=True)
class Ledger:
    """What the files say, up to the first thing that is wrong; `finding` names that.

    `heads` are the signed heads with their notes, oldest first. `segments` are the leaves that speak of
    segments, with their positions; `keys` are those that the tree names, oldest first.
    """

    origin: str = ""
    hashes: list[bytes] = field(default_factory=list)
    heads: list[tuple[Checkpoint, str]] = field(default_factory=list)
    segments: dict[str, list[tuple[int, SegmentLeaf]]] = field(default_factory=dict)
    files: dict[str, FileLeaf] = field(default_factory=dict)  # the newest leaf of each file
    keys: list[NoteKey] = field(default_factory=list)
    tree: Frontier = field(default_factory=Frontier)
    number: int = 0  # of the last file
    torn_bytes: int = 0  # after the last head of the last file that has any
    finding: Finding | None = None
    whole: bool = True  # else only the last head is kept, and no hashes
    unverified: Unverified | None = None
    mark: Mark | None = None  # the last head
    rest: Callable[[], None] = lambda: None

    def root_at(self, size: int) -> bytes:
        return Frontier(self.hashes[:size]).root()


@dataclass(frozen=True, slots=True)
class Unverified:
    """The last head, until its signatures are looked at: where it stands, who may sign, and who must."""

    note: Note
    file: str
    line: int
    keys: tuple[NoteKey, ...]
    expected: NoteKey | None

    def fault(self) -> Finding | None:
        # Our own heads carry our own signatures and no other: an unknown one here is a changed byte.
        signers = self.note.signers(self.keys)
        if signers is None or len(signers) != len(self.note.signatures) or self.expected not in signers:
            return Finding(self.file, "bad_signature", self.line)
        return None


def read_ledger(
    place: ProofPlace,
    *,
    whole: bool = True,
    rest: Callable[[], None] = lambda: None,
    begun: Ledger | None = None,
) -> Ledger:
    """All files of a node. Not `whole`: in little memory, for who only wants to go on. Raises OSError.

    `rest` is called every few lines. `begun`: what stands before its `mark` is known already and not read.
    """
    ledger = _read(place, begun or Ledger(whole=whole, rest=rest))
    if ledger.unverified is not None:
        ledger.finding = ledger.unverified.fault() or ledger.finding
    return ledger


def _read(place: ProofPlace, ledger: Ledger) -> Ledger:
    known = ledger.mark
    for number, path in place.ledgers():
        if known is not None and number < known.number:
            continue
        if known is not None and number == known.number:
            _FileReading(ledger, place, number, path).run(known.offset, known.lines)
            if ledger.finding is not None:
                return ledger
            continue
        if number != ledger.number + 1:
            ledger.finding = Finding(place.ledger(ledger.number + 1).name, "missing_ledger")
            return ledger
        _FileReading(ledger, place, number, path).run()
        ledger.number = number
        if ledger.finding is not None:
            return ledger
    return ledger


class _FileReading:
    """One file into the ledger. Leaves wait until the head over them has proven them."""

    def __init__(self, ledger: Ledger, place: ProofPlace, number: int, path: Path) -> None:
        self._ledger = ledger
        self._place = place
        self._number = number
        self._path = path
        self._waiting: list[tuple[bytes, Leaf]] = []
        self._tree = ledger.tree.copy()
        self._under = self._tree  # the tree under the last head
        self._first_waiting = 0
        self._proven_bytes = 0

    def run(self, at: int = 0, number: int = 0) -> None:
        """From `at` bytes on, which end line `number`."""
        self._proven_bytes = at
        with self._path.open("rb") as file:
            file.seek(at)
            while raw := file.readline(_MAX_LINE):
                number += 1
                if not raw.endswith(b"\n") or lacks_block(raw, at):  # was being synced when the power failed
                    break
                at += len(raw)
                line = entries.decode(raw[:-1])
                trouble = "damaged_line" if line is None else self._take(number, raw[:-1], line)
                if trouble is not None:
                    self._find(trouble, self._first_waiting or number if trouble == "altered" else number, number)
                    return
                if line is not None and line.checkpoint is not None:
                    self._proven_bytes = at
                    self._ledger.mark = Mark(self._number, at, number, self._under, line.checkpoint)
                if number % REST_LINES == 0:
                    self._ledger.rest()
        self._ledger.torn_bytes += self._path.stat().st_size - self._proven_bytes

    def _find(self, kind: str, at: int, until: int) -> None:
        self._ledger.finding = Finding(self._path.name, kind, at, until if until > at else 0)  # type: ignore[arg-type]

    def _take(self, number: int, raw: bytes, line: Line) -> str | None:
        """What is wrong with the line, or None."""
        if line.begin is not None:
            return self._begin(line.begin) if number == 1 else "damaged_line"
        if number == 1:
            return "damaged_line"
        if line.checkpoint is not None:
            return self._head(number, raw, line.checkpoint)
        if line.leaf is not None:
            self._first_waiting = self._first_waiting or number
            self._waiting.append((leaf_hash(raw), line.leaf))
            self._tree.append(self._waiting[-1][0])
        return None

    def _begin(self, begin: Begin) -> str | None:
        ledger = self._ledger
        if (begin.node, begin.number) != (self._place.node, self._number):
            return "damaged_line"
        if ledger.tree.size and begin.origin != ledger.origin:
            return "damaged_line"
        fits = begin.size == ledger.tree.size, begin.root == ledger.tree.root().hex()
        if not any(fits) and self._number > 1:  # the file before was cut: it is the one to name
            self._path = self._place.ledger(self._number - 1)
            return "shortened"
        if not all(fits):
            return "damaged_line"
        ledger.origin = begin.origin
        return None

    def _head(self, number: int, raw: bytes, text: str) -> str | None:
        note = parse_note(text)
        checkpoint = None if note is None else parse_checkpoint(note.text)
        if note is None or checkpoint is None:
            return "damaged_line"
        if not self._waiting or (checkpoint.origin, checkpoint.size, checkpoint.root) != (
            self._ledger.origin,
            self._tree.size,
            self._tree.root(),
        ):
            return "altered"
        new = self._new_keys()
        keys = (*self._ledger.keys, *new)
        head = Unverified(note, self._path.name, number, keys, self._expected_signer())
        if new and head.fault() is not None:
            return "bad_signature"
        self._ledger.unverified = head
        self._accept(raw, checkpoint, text)
        return None

    def _expected_signer(self) -> NoteKey | None:
        """The key that was valid before this turn; at the very first, the key that the turn names."""
        keys = self._ledger.keys or self._new_keys()
        return keys[-1] if keys else None

    def _new_keys(self) -> list[NoteKey]:
        named = (note_key(leaf.key) for _, leaf in self._waiting if isinstance(leaf, KeyLeaf))
        return [key for key in named if key is not None]

    def _accept(self, raw: bytes, checkpoint: Checkpoint, text: str) -> None:
        ledger = self._ledger
        ledger.keys.extend(self._new_keys())
        for digest, leaf in self._waiting:
            if isinstance(leaf, SegmentLeaf):
                ledger.segments.setdefault(leaf.segment, []).append((len(ledger.hashes), leaf))
            elif isinstance(leaf, FileLeaf):
                ledger.files[leaf.file] = leaf
            self._add(digest)
        self._under = self._tree.copy()
        self._tree.append(leaf_hash(raw))
        self._add(leaf_hash(raw))
        if not ledger.whole:
            ledger.heads.clear()
        ledger.heads.append((checkpoint, text))
        self._waiting, self._first_waiting = [], 0

    def _add(self, digest: bytes) -> None:
        if self._ledger.whole:
            self._ledger.hashes.append(digest)
        self._ledger.tree.append(digest)


class LedgerWriter:
    """Appends turns. After an OSError it has left its file, and the next turn begins another."""

    def __init__(self, place: ProofPlace, ledger: Ledger, origin: str, *, disk: Disk) -> None:
        self._place = place
        self._origin = origin
        self._tree = ledger.tree.copy()
        self._number = ledger.number
        self._disk = disk
        self._descriptor: int | None = None
        self._bytes = 0
        self._lines = 0
        self.mark = ledger.mark

    @property
    def size(self) -> int:
        return self._tree.size

    def write(self, leaves: Sequence[Leaf], signers: Sequence[Signer]) -> tuple[Checkpoint, str]:
        """One turn, on the disk when this returns: the new head and its note. On OSError it counts for nothing."""
        tree, lines = self._tree.copy(), []
        for leaf in leaves:
            raw = entries.encode(entries.line_of(leaf))
            tree.append(leaf_hash(raw))
            lines.append(raw)
        head = Checkpoint(self._origin, tree.size, tree.root())
        note = str(signed(head.text, signers))
        under = tree.copy()
        lines.append(entries.encode(Line(checkpoint=note)))
        tree.append(leaf_hash(lines[-1]))
        self._append(lines)
        self._tree = tree
        self.mark = Mark(self._number, self._bytes, self._lines, under, note)
        return head, note

    def close(self) -> None:
        if self._descriptor is not None:
            with suppress(OSError):
                self._disk.close(self._descriptor)
        self._descriptor = None

    def _append(self, lines: list[bytes]) -> None:
        try:
            if self._descriptor is None or self._bytes >= MAX_LEDGER_BYTES:
                lines = [self._begun(), *lines]
            data = b"".join(line + b"\n" for line in lines)
            self._disk.write(self._file(), data)
            self._disk.sync(self._file())
        except OSError:
            self.close()
            raise
        self._bytes += len(data)
        self._lines += len(lines)

    def _begun(self) -> bytes:
        """The first line of the next file, which is created."""
        self.close()
        number = self._number + 1
        self._descriptor = self._disk.create(self._place.ledger(number))
        self._number, self._bytes, self._lines = number, 0, 0
        self._disk.sync_directory(self._place.directory)
        begin = Begin(LEDGER_SCHEMA, self._place.node, self._origin, number, self._tree.size, self._tree.root().hex())
        return entries.encode(Line(begin=begin))

    def _file(self) -> int:
        if self._descriptor is None:
            raise OSError("the ledger is not open")
        return self._descriptor
