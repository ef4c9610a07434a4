"""Is the log whole, and is it the one that was signed for? `inspect` names the first thing in each file that is not.

1. every line of every segment against the one before, every segment against the next (`pdp.declog.verify`);
2. what was set aside of torn lines, against the recovery notes; files that are there twice, or are not ours;
3. each node's ledger: its lines, its files, its signed heads (`ledger.py`);
4. the newest head's file and the anchors against the ledger: what they know, it must hold;
5. the keys: the ledger's against the file beside it, or against those that the auditor brought;
6. where the notary goes on from, and the seals of files that are written in place, against the ledger;
7. each segment against every leaf that speaks of it: so many records, with this root, and this recovery note.

What remains unseen: records of the last moment, before the first head over them (`uncovered`); and where the
signing key is known to the forger and no anchor is at hand, a log that was written anew from end to end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.declog.layout import segment_name
from pdp.declog.verify import BREAKS, Finding, verify_segments
from pdp.errors import RecordDamagedError
from pdp.transparency.beside import beside, note_name
from pdp.transparency.checkpoint import Checkpoint, parse_checkpoint
from pdp.transparency.follower import Leaves, note_digest, roots_of, roots_over
from pdp.transparency.ledger import read_ledger
from pdp.transparency.note import NoteKey, note_key, parse_note
from pdp.transparency.place import ProofPlace, nodes_with_proof
from pdp.transparency.seal import read_seal, seal_path
from pdp.transparency.standing import read_standing

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from pdp.declog.layout import Layout, SegmentName
    from pdp.transparency.entries import SegmentLeaf
    from pdp.transparency.ledger import Ledger
    from pdp.transparency.standing import Standing

_MARK: Final = '{"checkpoint":'


@dataclass(frozen=True, slots=True)
class SignedLog:
    """One node's tree: `size` counts its leaves, `covered` the records that it speaks for."""

    node: str
    origin: str
    size: int
    covered: int


@dataclass(frozen=True, slots=True)
class Inspection:
    records: int
    findings: tuple[Finding, ...]
    logs: tuple[SignedLog, ...]

    @property
    def breaks(self) -> int:
        return sum(finding.kind in BREAKS for finding in self.findings)


def inspect(
    layout: Layout,
    *,
    trusted: Sequence[NoteKey] | None = None,
    anchors: Sequence[Path] = (),
    archived: Collection[str] = (),
    restore: Callable[[str], bytes | Leaves | None] = lambda _: None,
) -> Inspection:
    """Read everything. `archived` are segments whose file may be gone, because their records lie elsewhere.

    `restore` gives the file of such a segment again, or its leaves where its records were pseudonymised, to be held
    against its heads; None where neither can be had any more. It may raise RecordDamagedError. Raises OSError.
    """
    records, found = verify_segments(layout)
    findings = [finding for finding in found if finding.kind != "missing_segment" or finding.segment not in archived]
    findings.extend(beside(layout, archived))
    broken = {finding.segment for finding in findings if finding.kind in BREAKS}
    logs = []
    inspections = [_NodeInspection(layout, node, trusted, archived, restore) for node in nodes_with_proof(layout.root)]
    for node in inspections:
        # A broken chain names the line; the root of the same file would only say the same with less.
        findings.extend(finding for finding in node.findings() if finding.segment not in broken)
        logs.append(SignedLog(node.place.node, node.ledger.origin, node.ledger.tree.size, node.covered))
    for path in anchors:
        findings.extend(_against_anchor(path, inspections))
    return Inspection(records, tuple(dict.fromkeys(findings)), tuple(logs))


class _NodeInspection:
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
        self._heads = {head.size: (head.root, note) for head, note in self.ledger.heads}

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

    def _shown(self) -> Iterator[Finding]:
        path, raw = self.place.checkpoint, self._shown_raw
        head = None if raw is None else _head_of(raw, self.ledger.keys)
        if head is None or head.origin != self.ledger.origin:
            if self.ledger.finding is None:
                yield Finding(path.name, "damaged_head")
                if _claims(raw) > self.ledger.tree.size:  # also the file is gone, or cut, that names its key
                    yield Finding(self.last_file, "missing_heads", self.ledger.tree.size, _claims(raw))
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
        named = "".join(f"{key}\n" for key in ledger.keys).encode()
        beside = _raw(path) or b""
        if beside != named and ledger.finding is None:
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
            before = leaf.records
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


def _claims(raw: bytes | None) -> int:
    """The size that a head names, whoever signed it; 0 where it is none."""
    note = parse_note((raw or b"").decode("utf-8", "replace"))
    claimed = None if note is None else parse_checkpoint(note.text)
    return 0 if claimed is None else claimed.size


def _head_of(raw: bytes, keys: Sequence[NoteKey]) -> Checkpoint | None:
    """The head in a note that one of the keys signed and no other signature stands on; None for anything else."""
    try:
        note = parse_note(raw.decode())
    except UnicodeDecodeError:
        return None
    signers = None if note is None else note.signers(keys)
    if note is None or not signers or len(signers) != len(note.signatures):
        return None
    return parse_checkpoint(note.text)


# -- anchors -----------------------------------------------------------------------------------------


def anchored_notes(path: Path) -> Iterator[tuple[int, str | None]]:
    """Each line of an anchor's file that holds a head: its number, and the note or None where it cannot be read.

    Lines of a syslog have something before it; lines without a head are passed over. Raises OSError.
    """
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            text = raw.decode("utf-8", "replace")
            start = text.find(_MARK)
            if start >= 0:
                yield number, _note_in(text[start:])


def _note_in(text: str) -> str | None:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    note = value.get("checkpoint") if isinstance(value, dict) else None
    return note if isinstance(note, str) else None


def _against_anchor(path: Path, nodes: Sequence[_NodeInspection]) -> Iterator[Finding]:
    """What the anchor knows and the ledgers do not hold. Heads of other logs in the same file are passed over."""
    origins = {node.ledger.origin: node for node in nodes}
    strangers: list[str] = []
    ours = False
    for number, text in anchored_notes(path):
        note = None if text is None else parse_note(text)
        claimed = None if note is None else parse_checkpoint(note.text)
        if text is None or claimed is None:
            yield Finding(path.name, "damaged_head", number)
            continue
        node = origins.get(claimed.origin)
        if node is None:
            strangers.append(claimed.origin)
            continue
        ours = True
        if node.holds(claimed.size, text):
            continue
        head = _head_of(text.encode(), node.ledger.keys)
        lacking = Finding(path.name, "damaged_head", number) if head is None else node.lacks(head)
        if lacking is not None:
            yield lacking
    if strangers and not ours:
        yield Finding(strangers[0], "missing_ledger")


def read_keys(path: Path) -> list[NoteKey]:
    """The keys in a file, one a line; empty where one of them is none. Raises OSError."""
    keys = [note_key(line) for line in path.read_text("utf-8", "replace").splitlines() if line]
    found = [key for key in keys if key is not None]
    return found if len(found) == len(keys) else []
