"""What lies in a decision log's directory, for `pdp doctor`: counted from names and sizes, nothing is changed."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.declog.disk import PosixDisk
from pdp.declog.layout import OPEN, SEALED, Layout
from pdp.declog.lock import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from pdp.declog.layout import SegmentName


@dataclass(frozen=True, slots=True)
class Survey:
    """`abandoned` are open segments whose process is gone: their tails await the next start of the service.

    `newest` is when the youngest segment was begun. `recovered` counts the notes of earlier recoveries.
    """

    sealed: int
    open: int
    bytes: int
    abandoned: tuple[str, ...]
    recovered: int
    newest: datetime | None
    free_bytes: int
    writable: bool


def survey(directory: Path) -> Survey | None:
    """None where there is no log yet. Raises OSError where the directory cannot be read."""
    layout = Layout(directory)
    if not layout.segments.is_dir():
        return None
    sealed, waiting = layout.names(SEALED), layout.names(OPEN)
    return Survey(
        sealed=len(sealed),
        open=len(waiting),
        bytes=sum(path.stat().st_size for path in layout.segments.iterdir() if path.suffix in (OPEN, SEALED)),
        abandoned=tuple(str(name) for name in _abandoned(layout, waiting)),
        recovered=sum(1 for _ in layout.segments.glob("*.recovery.json")),
        newest=max((name.created_at for name in (*sealed, *waiting)), default=None),
        free_bytes=PosixDisk().free_bytes(layout.segments),
        writable=os.access(layout.segments, os.W_OK | os.X_OK),
    )


def _abandoned(layout: Layout, waiting: list[SegmentName]) -> Iterable[SegmentName]:
    """Those whose lock nobody holds. Asked under the start lock only, as `pdp.declog.lock` wants it.

    Where a service is starting at this moment it deals with them itself, and none is named.
    """
    if not waiting or not layout.locks.is_dir() or not os.access(layout.locks, os.W_OK):
        return
    starting = try_lock(layout.locks / "start.lock")
    if starting is None:
        return
    try:
        for name in waiting:
            held = try_lock(layout.lock_path(*name.owner))
            if held is not None:
                held.release()
                yield name
    finally:
        starting.release()


def free_bytes(directory: Path) -> int:
    """What may still be written where this directory is, or will be. Raises OSError."""
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    with suppress(FileNotFoundError):
        return PosixDisk().free_bytes(place)
    return 0
