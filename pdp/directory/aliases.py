"""Other names of devices: how they are written alike, and how a device is found by them.

A name is compared in one form (NFKC, no spaces around, small letters), so that `5CG-12AB ` of one tool is
`5cg-12ab` of another. What boards say whose maker wrote no serial number is nobody's name: two terminals
that are both called `Default string` are two terminals.
"""

from __future__ import annotations

import unicodedata
from itertools import islice
from typing import TYPE_CHECKING, Final, get_args

from sqlalchemy import select

from pdp.model.source import NameKind
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sqlalchemy import Connection

MAX_LENGTH: Final = 250
STORED_KINDS: Final[tuple[NameKind, ...]] = tuple(
    kind for kind in get_args(NameKind) if kind not in ("id", "certificate_sha256")
)
# Written by makers of boards and by virtual machines in place of a number.
_NOBODY: Final = frozenset(
    {
        "0123456789", "123456789", "1234567890", "default string", "empty", "invalid", "n/a", "na", "nil", "none",
        "not applicable", "not available", "not specified", "null", "o.e.m.", "oem", "sn", "serial",
        "system serial number", "to be filled by o.e.m.", "unknown", "unspecified", "xxxxxxx", "不明", "なし",
        "localhost", "desktop",
        "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
    }
)  # fmt: skip
_JOINTS: Final = frozenset("-: ._")
_BLANKS: Final = frozenset("0*?")
_REPEATED: Final = 4
_CHUNK: Final = 500


def alias_key(kind: NameKind, name: str) -> str | None:
    """The key under which the store holds this name; None where it is nobody's name."""
    plain = plain_name(name)
    return None if plain is None else f"{kind} {plain}"


def plain_name(name: str) -> str | None:
    """The one form of a name; None for what names nobody, and for what cannot be a name."""
    plain = unicodedata.normalize("NFKC", name).strip().casefold()
    if not plain or len(plain) > MAX_LENGTH or not plain.isprintable():
        return None
    return None if plain in _NOBODY or _is_filler(plain) else plain


def _is_filler(plain: str) -> bool:
    """One character again and again: `0`, `0000-0000`, `xxxxxxx`. A short `77` may be somebody's."""
    characters = set(plain) - _JOINTS
    return not characters or (len(characters) == 1 and (characters <= _BLANKS or len(plain) >= _REPEATED))


def vendor_name(source: str, name: str) -> str:
    """A vendor's own id means something within that vendor's system only."""
    return f"{source}:{name}"


def split_key(key: str) -> tuple[str, str]:
    """(kind, name) of an alias key."""
    kind, _, name = key.partition(" ")
    return kind, name


def find_aliases(connection: Connection, keys: Collection[str]) -> dict[str, str]:
    """The device of each of these alias keys that is known."""
    table = tables.device_aliases.c
    found: dict[str, str] = {}
    for chunk in _chunks(sorted(keys)):
        query = select(table.key, table.device_id).where(table.key.in_(chunk))
        found.update((key, device) for key, device in connection.execute(query))
    return found


def find_device(connection: Connection, kind: NameKind, name: str) -> str | None:
    """The id of the registered device of this name; None where there is none. `vendor_id`: as `vendor_name`."""
    devices = tables.devices.c
    if kind in ("id", "certificate_sha256"):
        column = devices.id if kind == "id" else devices.certificate_sha256
        wanted = name if kind == "id" else name.lower()
        row = connection.execute(select(devices.id).where(column == wanted)).first()
        return None if row is None else str(row[0])
    key = alias_key(kind, name)
    return None if key is None else find_aliases(connection, [key]).get(key)


def _chunks(keys: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(keys)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
