"""A file, for collectors that read files: one event a line, synced before it counts.

It is opened anew for each batch, so that it may be renamed at any time (logrotate needs no signal).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from pdp.shipping.port import UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.shipping.port import Event

_MODE: Final = 0o640  # the collector's group may read it; records hold personal data


class FileCarrier:
    def __init__(self, path: Path) -> None:
        self._path: Final = path

    def send(self, events: Sequence[Event]) -> None:
        data = b"".join(event.body + b"\n" for event in events)
        try:
            self._append(data)
        except OSError as fault:
            raise UndeliveredError("disk", fault.strerror or "the file cannot be written") from None

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        try:
            before = os.fstat(descriptor).st_size
            try:
                written = os.write(descriptor, data)
                while written < len(data):  # a nearly full disk takes a part, and only the next call says why
                    written += os.write(descriptor, memoryview(data)[written:])
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, before)  # no half line before the batch that is sent again
                raise
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is held open."""
