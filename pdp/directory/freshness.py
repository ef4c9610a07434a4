"""How fresh the posture of a directory is: the first thing that goes stale, and the first that denies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.model.directory import Snapshot

DEFAULT_LIMIT: Final = timedelta(hours=24)  # of a policy that names none


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


def stale_after(data: Mapping[str, Any]) -> timedelta:
    """The age at which a bundle's data (`zta.parameters.posture_stale_hours`) call a posture stale."""
    zta = data.get("zta")
    parameters = zta.get("parameters") if isinstance(zta, dict) else None
    hours = parameters.get("posture_stale_hours") if isinstance(parameters, dict) else None
    return timedelta(hours=hours) if isinstance(hours, int) and not isinstance(hours, bool) else DEFAULT_LIMIT
