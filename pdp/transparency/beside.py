"""What lies beside the segments: recovery notes, torn lines that were set aside, and files that should not be there."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.layout import OPEN, SEALED, segment_name, torn_of
from pdp.declog.recovery import read_recovery, torn_bytes
from pdp.declog.verify import Finding
from pdp.transparency.aside import of_nobody
from pdp.transparency.place import is_of_proof

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pdp.declog.layout import Layout, SegmentName

_NOTE: Final = ".recovery.json"


def note_name(name: SegmentName) -> str:
    return f"{name}{_NOTE}"


def beside(layout: Layout, archived: Collection[str] = (), expired: Collection[str] = ()) -> Iterator[Finding]:
    """`archived` are segments whose file is gone, but not their notes; of the `expired` ones what was torn too.

    Raises OSError.
    """
    files = sorted(layout.segments.iterdir())  # before the names: a segment that is begun meanwhile is no stranger
    names = {*layout.names(), *(name for name in map(segment_name, archived) if name is not None)}
    sealed = set(layout.names(SEALED))
    for name in sorted(sealed & set(layout.names(OPEN))):
        yield Finding(str(name), "duplicated")
    kept = {name for name in names if str(name) in archived and str(name) not in expired}
    for name in sorted(sealed | kept):
        yield from _set_aside(layout, name)
    for path in files:
        if _segment_of(path.name) not in names and path.exists():
            yield of_nobody(path.name, lambda name: _segment_of(name) is not None)
    if layout.torn.is_dir():
        for path in sorted(layout.torn.iterdir()):
            if torn_of(path.name) not in names and path.exists():
                yield of_nobody(path.name, lambda name: torn_of(name) is not None)
    proof = layout.root / "proof"
    for path in sorted(proof.iterdir()) if proof.is_dir() else ():
        if not is_of_proof(path.name) and path.exists():
            yield of_nobody(path.name, is_of_proof)


def _segment_of(name: str) -> SegmentName | None:
    for ending in (OPEN, SEALED, _NOTE):
        if name.endswith(ending):
            return segment_name(name.removesuffix(ending))
    return None


def _set_aside(layout: Layout, name: SegmentName) -> Iterator[Finding]:
    """The torn line of a recovered segment, against its note."""
    paths = layout.torn_paths(name)
    try:
        note = read_recovery(layout, name)
    except (msgspec.DecodeError, UnicodeDecodeError):
        yield Finding(note_name(name), "damaged_note")
        return
    if note is None:
        if paths:  # a recovery that set something aside always leaves a note
            yield Finding(note_name(name), "damaged_note")
        return
    kept = sha256(torn_bytes(layout, name)).hexdigest() if paths else None
    if kept != note.torn_sha256:
        for path in paths or [layout.torn_path(name)]:  # of several, the digest does not say which
            yield Finding(path.name, "damaged_torn")
