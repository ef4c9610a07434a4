"""Heads that are kept somewhere else, and keys that an auditor brings: read, and held against the ledgers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from pdp.declog.verify import Finding
from pdp.transparency.checkpoint import Checkpoint, parse_checkpoint
from pdp.transparency.note import NoteKey, note_key, parse_note

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pdp.transparency.node_inspection import NodeInspection

_MARK: Final = '{"checkpoint":'
_SIGNED: Final = re.compile(r"(?:\\u2014|\u2014) \S+ [A-Za-z0-9+/]{88,}={0,2}")  # of a note, in JSON or as it is


def claimed_size(raw: bytes | None) -> int:
    """The size that a head names, whoever signed it; 0 where it is none."""
    note = parse_note((raw or b"").decode("utf-8", "replace"))
    claimed = None if note is None else parse_checkpoint(note.text)
    return 0 if claimed is None else claimed.size


def head_of(raw: bytes, keys: Sequence[NoteKey]) -> Checkpoint | None:
    """The head in a note that one of the keys signed and no other signature stands on; None for anything else."""
    try:
        note = parse_note(raw.decode())
    except UnicodeDecodeError:
        return None
    signers = None if note is None else note.signers(keys)
    if note is None or not signers or len(signers) != len(note.signatures):
        return None
    return parse_checkpoint(note.text)


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
            elif _SIGNED.search(text) or (text and _MARK.startswith(text)):  # a head whose beginning, or end, is gone
                yield number, None


def _note_in(text: str) -> str | None:
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    if _MARK in text[end:]:  # two in one line: what stood between them is not what was written
        return None
    note = value.get("checkpoint") if isinstance(value, dict) else None
    return note if isinstance(note, str) else None


def against_anchor(path: Path, nodes: Sequence[NodeInspection]) -> Iterator[Finding]:
    """What the anchor knows and the ledgers do not hold. Heads of other logs in the same file are passed over."""
    origins = {node.ledger.origin: node for node in nodes}
    strangers: list[str] = []
    ours = False
    if not path.exists():
        yield Finding(path.name, "missing_file")
        return
    for number, text in anchored_notes(path):
        note = None if text is None else parse_note(text)
        claimed = None if note is None else parse_checkpoint(note.text)
        if text is None or claimed is None:
            yield Finding(path.name, "damaged_head", number)
            continue
        node = origins.get(claimed.origin)
        if node is None and note is not None and origins.keys() & {signature.name for signature in note.signatures}:
            yield Finding(path.name, "damaged_head", number)  # ours by who signed it, and not by what it says
            continue
        if node is None:
            strangers.append(claimed.origin)
            continue
        ours = True
        if node.holds(claimed.size, text):
            continue
        head = head_of(text.encode(), node.ledger.keys)
        lacking = Finding(path.name, "damaged_head", number) if head is None else node.lacks(head)
        if lacking is not None:
            yield lacking
    if strangers and not ours:
        yield Finding(strangers[0], "missing_ledger")


def origins_in(path: Path) -> frozenset[str]:
    """The logs of whose heads an anchor's file has one that can be read. Raises OSError."""
    notes = (None if text is None else parse_note(text) for _, text in anchored_notes(path))
    claims = (None if note is None else parse_checkpoint(note.text) for note in notes)
    return frozenset(claimed.origin for claimed in claims if claimed is not None)


def read_keys(path: Path) -> list[NoteKey]:
    """The keys in a file, one a line; empty where one of them is none. Raises OSError."""
    keys = [note_key(line) for line in path.read_text("utf-8", "replace").splitlines() if line]
    found = [key for key in keys if key is not None]
    return found if len(found) == len(keys) else []
