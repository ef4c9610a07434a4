"""Where each copy stands: one small file each, `copies/NAME.json` in the state directory.

It is news for people and metrics, and nothing rests on it: what a copy has, the copy itself is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.declog.disk import PosixDisk, write_durably
from pdp.declog.lock import try_lock
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.declog.lock import FileLock
    from pdp.settings import Settings

CLICKHOUSE: Final = "clickhouse"
OBJECT_STORE: Final = "object_store"
SCHEMA: Final = "sekisho.copies/v1"
_encode: Final = msgspec.json.Encoder(order="deterministic").encode


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Times are RFC 3339, empty where there was none yet. `waiting`: sealed segments that the copy lacks."""

    schema: Literal["sekisho.copies/v1"] = SCHEMA
    segments: int = 0
    waiting: int = 0
    last_success: str = ""
    last_attempt: str = ""
    failing_since: str = ""
    failures: int = 0  # in a row
    fault: str = ""


class Standings:
    """The files of all copies."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder

    def read(self, copy: str) -> Standing | None:
        """None where nobody has published there yet, or the file is not whole: the next attempt writes it anew."""
        try:
            return msgspec.json.decode((self._folder / f"{copy}.json").read_bytes(), type=Standing)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def write(self, copy: str, standing: Standing) -> None:
        """Raises OSError."""
        write_durably(PosixDisk(), self._folder / f"{copy}.json", _encode(standing))

    def lock(self, copy: str) -> FileLock:
        """Held by the one process that publishes there. Raises SettingsError where another does."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = try_lock(self._folder / f"{copy}.lock")
        if held is None:
            raise SettingsError(
                f"another process publishes to `{copy}`", next_step="end it, or leave the publishing to it"
            )
        return held


def copies_of(settings: Settings) -> list[str]:
    """The copies that the settings name."""
    named = {CLICKHOUSE: settings.audit_clickhouse, OBJECT_STORE: settings.audit_object_store}
    return [name for name, copy in named.items() if copy is not None]
