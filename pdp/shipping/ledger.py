"""Where each target stands, durably: one small file each, `shipping/NAME.json` in the state directory.

INVARIANT (at least once): a position is written only after the receiver has the events up to it. A process that
dies in between ships the last batch again.
"""

from __future__ import annotations

from os import SEEK_END
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from pdp.declog.disk import PosixDisk, write_durably
from pdp.declog.lock import try_lock
from pdp.errors import SettingsError
from pdp.shipping.following import Position

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.declog.disk import Disk
    from pdp.declog.lock import FileLock

SCHEMA: Final = "sekisho.shipping/v1"
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one target. Counts are of its whole life; times are RFC 3339, empty where there was none yet.

    `kept_back`: not wanted by its filters. `refused`: the receiver will never take them; set aside in `NAME.refused`,
    which has `refused_bytes`, but for `let_go`, which found no room there. `damaged`, `missing`, `unreadable`: what
    could not be shipped because the log does not have it whole.
    """

    schema: Literal["sekisho.shipping/v1"] = SCHEMA
    positions: dict[str, Position] = {}
    shipped: int = 0
    kept_back: int = 0
    refused: int = 0
    refused_bytes: int = 0
    let_go: int = 0
    damaged: int = 0
    missing: int = 0
    unreadable: int = 0
    shipped_until: str = ""  # the time of the youngest record that the receiver has
    last_success: str = ""
    last_attempt: str = ""
    failures: int = 0  # in a row
    behind_bytes: int = 0  # recorded and not shipped, at the last attempt
    fault: str = ""


class SetAside(NamedTuple):
    """Of one batch: how many were refused, and how many of these were not kept; the bytes that are kept by now."""

    refused: int
    let_go: int
    bytes: int


class Ledger:
    """The files of all targets. Raises OSError."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder: Final = folder
        self._disk: Final = disk or PosixDisk()

    def read(self, target: str) -> Standing | None:
        """None where nothing was ever shipped there. Raises SettingsError for a file that is not whole."""
        try:
            text = self._path(target).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return msgspec.json.decode(text, type=Standing)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SettingsError(
                f"the position of the log target `{target}` is damaged",
                next_step=f"remove `shipping/{target}.json`: everything that is kept is then shipped again",
            ) from None

    def write(self, target: str, standing: Standing) -> None:
        write_durably(self._disk, self._path(target), _encode(standing))

    def set_aside(self, target: str, bodies: Sequence[bytes], most: int) -> SetAside:
        """Keep what a receiver refuses for good, one event a line, synced, in a file of so many bytes at most.

        What finds no room is not kept: its record stays in the log, and the caller counts it.
        """
        path = self._folder / f"{target}.refused"
        with path.open("ab") as file:
            path.chmod(0o600)  # records hold personal data
            size, lines = file.seek(0, SEEK_END), [body + b"\n" for body in bodies]
            kept: list[bytes] = []
            for line in lines:
                if size + len(line) <= most:
                    kept.append(line)
                    size += len(line)
            file.write(b"".join(kept))
            file.flush()
            self._disk.sync(file.fileno())
        return SetAside(len(bodies), len(bodies) - len(kept), size)

    def refused_bytes(self, target: str) -> int:
        """What is kept of the refused records now: somebody may have moved their file away."""
        try:
            return (self._folder / f"{target}.refused").stat().st_size
        except FileNotFoundError:
            return 0

    def lock(self, target: str) -> FileLock:
        """Held by the one process that ships to it. Raises SettingsError where another does."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = try_lock(self._folder / f"{target}.lock")
        if held is None:
            raise SettingsError(f"another process ships to `{target}`", next_step="end it, or leave the shipping to it")
        return held

    def _path(self, target: str) -> Path:
        return self._folder / f"{target}.json"
