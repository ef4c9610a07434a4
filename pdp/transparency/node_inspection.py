"""One node of a log: its ledger, its head, its keys, and each of its segments against what was signed for it.

INVARIANT (killed at any instant): a notary writes the ledger, then the keys, the newest head, the mark and, now and
then, its standing. Where it dies in between, what it had not come to is missing or older, and that is no finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.declog.layout import segment_name
from pdp.declog.marks import rfc3339
from pdp.declog.verify import Finding
from pdp.errors import RecordDamagedError
from pdp.transparency.anchored import claimed_size, head_of
from pdp.transparency.beside import note_name
from pdp.transparency.follower import Leaves, note_digest, roots_of, roots_over
from pdp.transparency.ledger import read_ledger
from pdp.transparency.note import NoteKey, parse_note
from pdp.transparency.place import ProofPlace
from pdp.transparency.seal import read_seal, seal_path
from pdp.transparency.standing import read_standing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from pdp.declog.layout import Layout, SegmentName
    from pdp.transparency.checkpoint import Checkpoint
    from pdp.transparency.entries import SegmentLeaf
    from pdp.transparency.ledger import Ledger
    from pdp.transparency.standing import Standing


class NodeInspection:
    def __init__(
        self,
        layout: Layout,
        node: str,
        trusted: Sequence[NoteKey] | None,
        archived: Collection[str],
        restore: Callable[[str], bytes | Leaves | None],
    ) -> None:
        self._layout = layout
        self._trusted = trusted
        self._archived = archived
        self._restore = restore
        self.place = place = ProofPlace(layout.root, node)
        # Before the ledger, which then holds all that they name, also while the notary works.
        self._shown_raw, self._standing_raw = _raw(place.checkpoint), _raw(place.standing)
        self.ledger: Ledger = read_ledger(place)
        self.covered = 0
        self.held: dict[str, int] = {}  # of each segment so many records are what was signed for
        self._heads = {head.size: (head.root, note) for head, note in self.ledger.heads}

    @property
    def since(self) -> str:
        """When it was first signed for a segment, as the ledger says it."""
        return min((leaf.at for leaves in self.ledger.segments.values() for _, leaf in leaves[:1]), default="")

    @property
    def has_only_begun(self) -> bool:
        """Whether there is a ledger, in which nothing is wrong and nothing was ever signed."""
        return self.ledger.number > 0 and self.ledger.finding is None and not self.ledger.heads

    @property
    def oldest(self) -> str:
        """When the oldest segment was begun that the ledger speaks of."""
        names = [name for name in map(segment_name, self.ledger.segments) if name is not None]
        return min((rfc3339(name.created_at) for name in names), default="")

    @property
    def last_file(self) -> str:
        return self.place.ledger(max(1, self.ledger.number)).name

    def findings(self) -> Iterator[Finding]:
        ledger = self.ledger
        if ledger.finding is not None:
            yield ledger.finding
        elif ledger.number == 0:
            yield Finding(self.last_file, "missing_ledger")
        if ledger.torn_bytes and ledger.finding is None:
            yield Finding(self.last_file, "torn_tail", ledger.torn_bytes)
        yield from self._shown()
        yield from self._marked()
        yield from self._standing()
        yield from self._sealed()
        yield from self._keys()
        for name, leaves in ledger.segments.items():
            yield from self._segment(name, [leaf for _, leaf in leaves])
        yield from self._uncovered()

    def lacks(self, head: Checkpoint) -> Finding | None:
        """What is wrong where somebody knows this head, which this ledger must then hold."""
        if self.ledger.finding is not None:  # it is not read to its end, and named already
            return None
        if head.size > self.ledger.tree.size:
            return Finding(self.last_file, "missing_heads", self.ledger.tree.size, head.size)
        if self._heads.get(head.size, (b"", ""))[0] != head.root:  # the ledger holds together, but is another one
            return Finding(self.last_file, "rewritten", head.size)
        return None

    def holds(self, size: int, note: str) -> bool:
        """Whether the ledger has this very note: then its signature needs no second look."""
        return self._heads.get(size, (b"", ""))[1] == note

    def _marked(self) -> Iterator[Finding]:
        """The mark of the first head is made before there is a second. A copy of the log may lack all locks."""
        mark = self.place.signed
        if len(self.ledger.heads) > 1 and mark.parent.is_dir() and not mark.exists():
            yield Finding(mark.name, "missing_file")

    def _shown(self) -> Iterator[Finding]:
        path, raw = self.place.checkpoint, self._shown_raw
        if raw is None and len(self.ledger.heads) <= 1 and self.ledger.number:
            return  # killed before it was first shown
        head = None if raw is None else head_of(raw, self.ledger.keys)
        if head is None or head.origin != self.ledger.origin:
            if self.ledger.finding is None:
                yield Finding(path.name, "damaged_head")
                if claimed_size(raw) > self.ledger.tree.size:  # also the file is gone, or cut, that names its key
                    yield Finding(self.last_file, "missing_heads", self.ledger.tree.size, claimed_size(raw))
                    if not self.ledger.torn_bytes:
                        yield Finding(self.place.ledger(self.ledger.number + 1).name, "missing_ledger")
            return
        lacking = self.lacks(head)
        if lacking is None:
            if self.ledger.finding is None and self._heads[head.size][1].encode() != raw:
                yield Finding(path.name, "damaged_head")
            return
        yield lacking
        if lacking.kind == "missing_heads" and not self.ledger.torn_bytes:  # cut between two turns, or a file is gone
            yield Finding(self.place.ledger(self.ledger.number + 1).name, "missing_ledger")

    def _standing(self) -> Iterator[Finding]:
        if self.ledger.finding is not None:
            return
        if not self.ledger.heads:
            if self._standing_raw is not None:  # it speaks of heads that there are not
                yield Finding(self.place.standing.name, "damaged_standing")
            return
        if self._standing_raw is None and len(self.ledger.heads) == 1:
            return  # killed before it was first kept
        standing = None if self._standing_raw is None else read_standing(self._standing_raw, self.ledger.keys)
        if standing is None or not self._stands(standing):
            yield Finding(self.place.standing.name, "damaged_standing")

    def _stands(self, standing: Standing) -> bool:
        """Whether it says what the ledger says up to its head."""
        mark = standing.mark()
        if mark is None or self._heads.get(mark.tree.size, (b"", ""))[1] != standing.head:
            return False
        last: dict[str, SegmentLeaf] = {}
        for name, leaves in self.ledger.segments.items():
            before = [leaf for at, leaf in leaves if at < mark.tree.size]
            if before:
                last[name] = before[-1]
        stated = {name: (leaf.records, leaf.root) for name, leaf in last.items() if leaf.state == "open"}
        named = [str(key) for key in self.ledger.keys]
        return stated == standing.open and list(standing.keys) == named[: len(standing.keys)]

    def _sealed(self) -> Iterator[Finding]:
        for file, leaf in self.ledger.files.items():
            path = self._layout.root / file
            try:
                seal = read_seal(path)
            except FileNotFoundError:
                yield Finding(seal_path(path).name, "damaged_seal")
                continue
            if not path.exists():
                yield Finding(path.name, "missing_file")
            if seal is None:
                yield Finding(seal_path(path).name, "damaged_seal")
            elif seal.number < leaf.number or (seal.number == leaf.number and seal.sha256 not in ("", leaf.sha256)):
                yield Finding(path.name, "rewritten", leaf.number)
            elif seal.number > leaf.number:
                yield Finding(path.name, "uncovered", seal.number - leaf.number)

    def _keys(self) -> Iterator[Finding]:
        ledger, path = self.ledger, self.place.keys
        known = [_listed(ledger.keys)]
        if ledger.heads and self._shown_raw != ledger.heads[-1][1].encode():
            known.append(_listed(ledger.keys[:-1]))  # the newest head may bring a key, and was not shown yet
        if (_raw(path) or b"") not in known and ledger.finding is None:
            yield Finding(path.name, "damaged_keys")
        if self._trusted is None or not ledger.heads:
            return
        newest = parse_note(ledger.heads[-1][1])
        signers = () if newest is None else newest.signers(ledger.keys) or ()
        if ledger.keys[0] not in self._trusted and not set(signers) & set(self._trusted):
            yield Finding(self.last_file, "bad_signature")

    def _segment(self, name: str, leaves: list[SegmentLeaf]) -> Iterator[Finding]:
        parts = segment_name(name)
        path = None if parts is None else _path_of(self._layout, parts)
        if path is None and name not in self._archived:
            yield Finding(name, "missing_segment")
            return
        try:
            found = self._roots(name, path, {leaf.records for leaf in leaves})
        except RecordDamagedError:
            yield Finding(name, "rewritten")
            return
        if found is not None:
            yield from self._against_leaves(name, leaves, *found)
        final = leaves[-1].state != "open"
        if final and parts is not None and note_digest(self._layout, parts) != leaves[-1].note:
            yield Finding(note_name(parts), "damaged_note")

    def _roots(self, name: str, path: Path | None, sizes: set[int]) -> tuple[int, dict[int, str]] | None:
        """From the segment's file, or from what the store gives for it; None where its time has passed."""
        if path is not None:
            return roots_of(path, sizes)
        again = self._restore(name)
        if isinstance(again, Leaves):
            return again.roots(sizes)
        return None if again is None else roots_over(again.splitlines(keepends=True), sizes)

    def _against_leaves(
        self, name: str, leaves: list[SegmentLeaf], count: int, roots: dict[int, str]
    ) -> Iterator[Finding]:
        before = 0
        for leaf in leaves:
            if leaf.records > count:
                yield Finding(name, "shortened", count, leaf.records)
                return
            if roots[leaf.records] != leaf.root:
                yield Finding(name, "altered", before + 1, leaf.records)
                return
            before = self.held[name] = leaf.records
        self.covered += before
        if leaves[-1].state != "open" and count > before:
            yield Finding(name, "lengthened", before, count)

    def _uncovered(self) -> Iterator[Finding]:
        final = {name for name, leaves in self.ledger.segments.items() if leaves[-1][1].state != "open"}
        for name in self._layout.names():
            if name.node != self.place.node or str(name) in final:
                continue
            path = _path_of(self._layout, name)
            if path is None:
                continue
            leaves = self.ledger.segments.get(str(name))
            count, _ = roots_of(path, set())
            stated = leaves[-1][1].records if leaves else 0
            if count > stated:
                yield Finding(str(name), "uncovered", count - stated)
        yield from self._uncovered_in_store()

    def _uncovered_in_store(self) -> Iterator[Finding]:
        """Segments that went into the store, and that nobody ever signed for (any more)."""
        for text in sorted(set(self._archived) - self.ledger.segments.keys()):
            name = segment_name(text)
            if name is None or name.node != self.place.node or _path_of(self._layout, name) is not None:
                continue
            try:
                found = self._roots(text, None, set())
            except RecordDamagedError:  # who looks at the store says so
                continue
            if found is not None and found[0]:
                yield Finding(text, "uncovered", found[0])


def _listed(keys: Sequence[NoteKey]) -> bytes:
    """As they stand in the file of keys."""
    return "".join(f"{key}\n" for key in keys).encode()


def _raw(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _path_of(layout: Layout, name: SegmentName) -> Path | None:
    for path in (layout.open_path(name), layout.sealed_path(name)):
        if path.exists():
            return path
    return None
