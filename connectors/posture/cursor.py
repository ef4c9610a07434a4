"""Where the next incremental run goes on: the source's own newest time, a little earlier. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.posture.reading import instant

# A source answers from copies that lag behind one another, and stamps a record before others can read it.
OVERLAP: Final = timedelta(minutes=15)


def since(cursor: str | None, now: datetime) -> datetime | None:
    """From when on to read, or None: everything. A cursor that is damaged or lies ahead of us asks for everything."""
    at = instant(cursor)
    return None if at is None or at > now else at - OVERLAP


def next_cursor(before: str | None, latest: datetime | None, now: datetime) -> str | None:
    """The newest time that the source gave, and never back before the cursor that we had.

    Never after `now`, the beginning of the run: a device's wrong date would hide all that comes until then, and what
    changed while the run was reading may stand on a page that had been read.
    """
    held = instant(before)
    if held is not None and held > now:
        held = None
    known = [at for at in (held, None if latest is None else min(latest, now)) if at is not None]
    return written(max(known)) if known else None


def written(at: datetime) -> str:
    """RFC 3339 in whole seconds, rounded down."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
