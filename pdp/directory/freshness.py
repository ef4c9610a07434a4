"""How fresh the posture of a directory is: the first thing that goes stale, and the first that denies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from pdp.model.directory import Snapshot


@dataclass(frozen=True, slots=True)
class Freshness:
    """Counts of devices that are in use. `unknown`: no report with a time; `stale`: older than the limit."""

    devices: int
    unknown: int
    stale: int
    newest: datetime | None
    oldest: datetime | None

    @property
    def fresh(self) -> int:
        return self.devices - self.unknown - self.stale


def freshness(snapshot: Snapshot, now: datetime, limit: timedelta) -> Freshness:
    """Of every device but the retired ones, at `now`."""
    in_use = [device for device in snapshot.devices.values() if device.state != "retired"]
    seen = [device.posture.observed_at for device in in_use if device.posture.observed_at is not None]
    return Freshness(
        devices=len(in_use),
        unknown=len(in_use) - len(seen),
        stale=sum(1 for instant in seen if now - instant > limit),
        newest=max(seen, default=None),
        oldest=min(seen, default=None),
    )
