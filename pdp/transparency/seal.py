"""The digest of a file that is written in place, in a small file beside it.

The store's manifest is a database: its bytes change where it likes, and much of it holds nothing, so that no
reading of its rows would notice a changed byte. Whoever writes it seals it:

1. `changing`, synced, before the first byte is written: from here on nobody can say what the file holds;
2. the change, and everything of it on the disk;
3. `whole`, with the digest of the file as it is now, and a number that only grows.

A process that dies between 1 and 3 leaves `changing`; the next one seals again. The notary signs for each
number, so that neither the file nor both together can be put back to what they were.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.declog.disk import write_durably
from pdp.errors import RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.declog.disk import Disk

SEAL_SCHEMA: Final = "sekisho.seal/v1"
_ENCODE: Final = msgspec.json.Encoder().encode
_CHUNK: Final = 1 << 20
_JOURNALS: Final = ("-journal", "-wal")  # SQLite's, beside the file (sqlite.org, "Temporary Files", 2.1 and 2.2)

SealState = Literal["whole", "changing"]


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sha256` (hex) is of the file, where it is `whole`. `number` counts the changes from 1."""

    schema: Literal["sekisho.seal/v1"]
    number: int
    state: SealState
    sha256: str


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seal: Seal
    check: str  # SHA-256 of `seal` as it stands: a changed byte of this very file


def seal_path(path: Path) -> Path:
    return path.with_name(path.name + ".seal")


def read_seal(path: Path) -> Seal | None:
    """The seal of the file of this path, or None where it is not exactly what was written. Raises OSError."""
    raw = seal_path(path).read_bytes()
    try:
        sealed = msgspec.json.decode(raw, type=_Sealed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return sealed.seal if _written(sealed.seal) == raw else None


@contextmanager
def changed_in_place(disk: Disk, path: Path) -> Iterator[None]:
    """Around a change of the file. One process at a time may do it: the caller holds a lock.

    Raises RecordDamagedError, and changes nothing, where the file is not what was sealed: a seal over an
    altered file would hide it. One without any seal is sealed for the first time. Raises OSError.
    """
    number = _next_number(path)
    write_seal(disk, path, number, "changing")
    yield
    write_seal(disk, path, number, "whole")


def seal_again(disk: Disk, path: Path) -> None:
    """Where a process died within a change: from here on the file is what it is now. Raises as above."""
    with changed_in_place(disk, path):
        pass


def is_unsettled(path: Path) -> bool:
    """Whether a process is changing the file, or died over it; also where it was never sealed. Raises OSError."""
    try:
        seal = read_seal(path)
    except FileNotFoundError:
        return path.exists()
    return seal is not None and seal.state == "changing"


def foreign_journal(path: Path) -> Path | None:
    """What the database would take for a change of its own that was cut short, and was laid there by somebody else.

    SQLite writes such a journal back into the file as soon as anybody reads it, whatever it holds: between two changes
    there is none. Raises OSError.
    """
    for journal in (path.with_name(path.name + ending) for ending in _JOURNALS):
        if not journal.exists():
            continue
        try:
            before = read_seal(path)
            # A change that began or ended meanwhile has another seal.
            if before is not None and before.state == "whole" and journal.exists() and read_seal(path) == before:
                return journal
        except FileNotFoundError:
            return None
    return None


def _next_number(path: Path) -> int:
    try:
        seal = read_seal(path)
    except FileNotFoundError:
        return 1
    altered = seal is None or (seal.state == "whole" and (not path.exists() or digest_of(path) != seal.sha256))
    if seal is None or altered or foreign_journal(path) is not None:
        raise RecordDamagedError(f"`{path.name}` is not what was sealed: see `pdp audit verify`")
    return seal.number + 1


def write_seal(disk: Disk, path: Path, number: int, state: SealState) -> None:
    """Durably. Raises OSError."""
    seal = Seal(SEAL_SCHEMA, number, state, digest_of(path) if state == "whole" else "")
    write_durably(disk, seal_path(path), _written(seal))


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises OSError."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _written(seal: Seal) -> bytes:
    return _ENCODE(_Sealed(seal, sha256(_ENCODE(seal)).hexdigest())) + b"\n"
