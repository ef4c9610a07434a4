"""What the workers of a host tell each other about tables, as small files beside them, which outlive restarts.

    KEY.doubted   a table of this key answered otherwise than the engine: nobody uses or makes one again
    KEY.attempt   one was begun, or could not be made, and why: nobody tries again before its time

An attempt is written down before it begins. A container that the kernel ends because counting out took its memory
begins again with a note that says so, and decides, instead of counting out and ending once more.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import EngineError, SpaceError
from pdp.space.keeping import put, read_file

if TYPE_CHECKING:
    from pathlib import Path

FIRST_WAIT_S: Final = 30.0  # after the first failure; then twice as long each time
LONGEST_WAIT_S: Final = 3600.0  # ten minutes of one core in an hour, at the lowest priority
LASTING_WAIT_S: Final = 86_400.0  # of a policy that cannot be counted out by this version, whoever tries
UNENDED: Final = "the process that counts the policy out was ended together with the service"
_MAX_BYTES: Final = 32 * 1024  # of a note: two texts of 1,000 characters


class Attempt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `tries`-th one in a row that was no success, and why. `lasting`: as in `pdp.table.making.Made`."""

    tries: int
    why: str = UNENDED
    where: str | None = None
    lasting: bool = False

    @property
    def wait_s(self) -> float:
        """From its file's time on."""
        if self.lasting:
            return LASTING_WAIT_S
        return min(FIRST_WAIT_S * float(1 << min(self.tries - 1, 16)), LONGEST_WAIT_S)

    @property
    def fault(self) -> EngineError | SpaceError:
        return SpaceError(self.why, where=self.where) if self.lasting else EngineError(self.why)

    def failed(self, fault: EngineError | SpaceError) -> Attempt:
        """The same with its end."""
        if isinstance(fault, SpaceError):
            return Attempt(self.tries, fault.message, fault.where, lasting=True)
        return Attempt(self.tries, fault.message)


def last_attempt(file: Path, now: float) -> tuple[Attempt | None, bool]:
    """What is noted there, and whether another one may begin. `now`: seconds of the system's clock.

    A time to come is one of a clock that was ahead, and holds nobody back for longer than it would have.
    """
    try:
        noted = msgspec.json.decode(read_file(file, _MAX_BYTES), type=Attempt)
        since = abs(now - file.stat().st_mtime)
    except (OSError, msgspec.MsgspecError):
        return None, True
    return (noted, since >= noted.wait_s) if noted.tries > 0 else (None, True)


def note(file: Path, attempt: Attempt) -> None:
    """Raises OSError."""
    put(file, msgspec.json.encode(attempt))


def doubt(file: Path) -> None:
    """Durably, when this returns. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def is_doubted(file: Path) -> bool:
    """Raises OSError where it cannot be told."""
    with suppress(FileNotFoundError, NotADirectoryError):
        file.lstat()
        return True
    return False
