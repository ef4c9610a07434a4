"""Reads one segment as it grows, line by line with proof, and keeps the tree of its records.

The same class follows a living segment for the notary and reads a finished one for the inspection: what one
signed, the other finds. A leaf's data is the body of a record, in the order of the file; only proven lines
count, as in `pdp.declog.reader`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.declog.line import GENESIS, lacks_block, parse
from pdp.merkle import Frontier, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.layout import Layout, SegmentName
    from pdp.transparency.entries import State

REST_LINES: Final = 64  # a millisecond of work: what a decision may have to wait for us
CHUNK: Final = 8 * 1024 * 1024  # of one segment in one turn: 0.1 s of reading, then the others have theirs


@dataclass(slots=True)
class Reading:
    """Where one stands: `offset` in bytes, `chain` of the last line by its shape, `last` of the last proven one, and
    the number that it carries.
    """

    offset: int = 0
    chain: bytes | None = GENESIS
    last: bytes = b""
    seq: int = 0
    footer: bool = False
    tree: Frontier = field(default_factory=Frontier)

    @property
    def records(self) -> int:
        return self.tree.size

    def skip(self, length: int) -> None:
        """Part of a line that is longer than any."""
        self.offset += length
        self.chain = None

    def take(self, raw: bytes) -> bytes | None:
        """One whole line with its newline: the record in it, where it is a proven one."""
        self.offset += len(raw)
        line = parse(raw)
        proven = line is not None and line.follows(self.chain)
        self.chain = None if line is None else line.chain
        if line is None or not proven:
            return None
        self.last, self.seq = line.chain, line.seq
        self.footer = line.kind == "footer"
        if line.kind != "record":
            return None
        self.tree.append(leaf_hash(line.body))
        return line.body


class Leaves(NamedTuple):
    """What is left of a segment whose records were pseudonymised: their leaf hashes and decision ids, in order.

    `first_seq` is the number of the first; the others follow without a gap.
    """

    hashes: tuple[bytes, ...]
    ids: tuple[str | None, ...]
    first_seq: int = 1

    def roots(self, sizes: set[int]) -> tuple[int, dict[int, str]]:
        """As `roots_of`."""
        tree, roots = Frontier(), {}
        for leaf in self.hashes:
            if tree.size in sizes:
                roots[tree.size] = tree.root().hex()
            tree.append(leaf)
        if tree.size in sizes:
            roots[tree.size] = tree.root().hex()
        return tree.size, roots


class SegmentFollower:
    """One segment of a living log. `expected` is what was signed for it before: records and their root."""

    def __init__(  # each is one fact of the segment or of its reader
        self,
        layout: Layout,
        name: SegmentName,
        *,
        disk: Disk,
        expected: tuple[int, str] = (0, ""),
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._layout = layout
        self._disk = disk
        self._rest = rest
        self._lines = 0
        self._reading = Reading()
        self._expected = expected
        self.state: State = "open"
        self.altered = False  # what was signed for is not what stands here now
        self.stated = expected[0]  # records that a signed head covers

    @property
    def records(self) -> int:
        return self._reading.records

    @property
    def root(self) -> str:
        return self._reading.tree.root().hex()

    @property
    def chain(self) -> str:
        return self._reading.last.hex()

    def advance(self) -> bool:
        """Read on, at most `CHUNK`, what is surely on the disk. True where the end was reached.

        Raises OSError, FileNotFoundError where the segment is gone.
        """
        path, sealed = self._path()
        with path.open("rb") as file:
            size = path.stat().st_size
            if size > self._reading.offset:
                # What is signed for must survive a power failure: else the head would bear witness against us.
                self._disk.sync(file.fileno())
            start = file.seek(self._reading.offset)
            data = file.read(min(CHUNK, max(0, size - start)))
            at_end = not self._read(data, ended=sealed) or start + len(data) >= size
        if at_end and sealed:
            self.state = "sealed" if self._reading.footer else "recovered"
            self.altered = self.altered or self.records < self._expected[0]
        return at_end

    def note(self) -> str:
        """The SHA-256 of the recovery note, hex, or nothing. Raises OSError."""
        return note_digest(self._layout, self.name)

    def _path(self) -> tuple[Path, bool]:
        # A segment goes from its open name to its sealed one and never back.
        path = self._layout.open_path(self.name)
        return (path, False) if path.exists() else (self._layout.sealed_path(self.name), True)

    def _read(self, data: bytes, *, ended: bool) -> bool:
        """False where nothing behind it can be read."""
        start = 0
        while end := data.find(b"\n", start) + 1:
            raw = data[start:end]
            if not ended and lacks_block(raw, self._reading.offset):
                return False  # nothing from here on was synced: the next start of the worker takes it away
            self._reading.take(raw)
            start = end
            self._lines += 1
            if self._lines % REST_LINES == 0:
                self._rest()
            if self.records == self._expected[0] and self._expected[1] not in ("", self.root):
                self.altered = True
                self._expected = self._expected[0], ""
        if start == 0 and len(data) >= CHUNK:  # no line is that long: what follows cannot be read
            self._reading.skip(len(data))
        return True


def note_digest(layout: Layout, name: SegmentName) -> str:
    """Raises OSError."""
    path = layout.recovery_path(name)
    return sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def roots_of(
    path: Path, sizes: set[int], each: Callable[[int, bytes], None] | None = None
) -> tuple[int, dict[int, str]]:
    """The number of proven records in a segment, and the roots over the first so many (hex). Raises OSError.

    `each` is given every one of them, with its number.
    """
    with path.open("rb") as file:
        return roots_over(file, sizes, each)


def roots_over(
    lines: Iterable[bytes], sizes: set[int], each: Callable[[int, bytes], None] | None = None
) -> tuple[int, dict[int, str]]:
    """As `roots_of`, from the lines of a segment, each with its newline."""
    reading, roots = Reading(), {}
    if 0 in sizes:
        roots[0] = reading.tree.root().hex()
    for raw in lines:
        if not raw.endswith(b"\n"):
            break
        record = reading.take(raw)
        if record is not None:
            if each is not None:
                each(reading.seq, record)
            if reading.records in sizes:
                roots[reading.records] = reading.tree.root().hex()
    return reading.records, roots
