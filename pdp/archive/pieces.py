"""Which published tails there are: else one that is taken away would look as if it had not been published yet.

Written by the compactor after the pieces themselves, and before old ones are removed. Derived, like the pieces:
it is not synced by its name, and after a power failure the next round of the compactor makes both agree.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.transparency.seal import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pdp.archive.place import Place
    from pdp.declog.disk import Disk

PIECES_SCHEMA: Final = "sekisho.tail/v1"
_ENCODE: Final = msgspec.json.Encoder().encode


class Pieces(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """File names with their SHA-256 (hex)."""

    schema: Literal["sekisho.tail/v1"]
    pieces: dict[str, str]
    check: str = ""  # SHA-256 of this document with an empty one


def read_pieces_list(place: Place) -> Mapping[str, str] | None:
    """None where the list is not what was written. Raises OSError, FileNotFoundError."""
    raw = place.pieces.read_bytes()
    try:
        found = msgspec.json.decode(raw, type=Pieces)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.pieces if _written(found.pieces) == raw else None


@dataclass(slots=True)
class Changes:
    """Of the published tails: `added` are there with these digests, `gone` are to be removed."""

    added: dict[str, str] = field(default_factory=dict)
    gone: list[Path] = field(default_factory=list)


def settle(disk: Disk, place: Place, changes: Changes) -> None:
    """Write the list as it is after the changes, then remove what is gone. Raises OSError.

    INVARIANT (listed while there): a piece is on the disk before it is listed, and is removed after.
    """
    try:
        known = read_pieces_list(place)
    except FileNotFoundError:
        known = None
    gone = {path.name for path in changes.gone}
    names = [path.name for path in sorted(place.tail.glob("*.parquet")) if path.name not in gone]
    digests = {**(known or {}), **changes.added}
    listed = {name: digests[name] if name in digests else digest_of(place.tail / name) for name in names}
    if listed != known:
        _replace(disk, place.pieces, _written(listed))
    for path in changes.gone:
        with suppress(FileNotFoundError):
            disk.remove(path)


def _replace(disk: Disk, path: Path, data: bytes) -> None:
    aside = path.with_name(path.name + ".tmp")
    if aside.exists():
        disk.remove(aside)
    descriptor = disk.create(aside)
    try:
        disk.write(descriptor, data)
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.rename(aside, path)


def _written(pieces: dict[str, str]) -> bytes:
    bare = Pieces(PIECES_SCHEMA, dict(sorted(pieces.items())))
    return _ENCODE(Pieces(PIECES_SCHEMA, bare.pieces, sha256(_ENCODE(bare)).hexdigest())) + b"\n"
