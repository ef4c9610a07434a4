"""Lines that are only appended to a file: signed heads on another mount, time stamps beside the ledger."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from pdp.transparency.anchor import anchor_line

if TYPE_CHECKING:
    from pathlib import Path

_FILE_MODE: Final = 0o640  # auditors read it as a group


class Appending:
    """Whole lines, synced. The directory is never made: where it is gone, a mount is."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self._torn = True  # whoever wrote there before may have been cut off

    def append(self, line: str) -> None:
        """Raises OSError; then the line is not there, or only in part."""
        # Opened each time: a mount may have gone and come back.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, _FILE_MODE)
        try:
            # A line that was cut must not swallow the next one.
            start = "\n" if self._torn and os.fstat(descriptor).st_size else ""
            data = (start + line + "\n").encode()
            self._torn = True
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, "only a part was written")
            os.fdatasync(descriptor)
            self._torn = False
        finally:
            os.close(descriptor)


class FileAnchor:
    """Appends to a file elsewhere: another mount, a WORM share, a directory that a backup carries away."""

    every_s: Final = 0.0

    def __init__(self, path: Path) -> None:
        self._file: Final = Appending(path)

    @property
    def name(self) -> str:
        return f"file:{self._file.path}"

    def publish(self, note: str) -> None:
        self._file.append(anchor_line(note))

    def close(self) -> None:
        """Nothing is held."""
