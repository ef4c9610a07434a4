"""Sources of facts: how one is configured, and how it is. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

Wanted = TypeVar("Wanted")

Brings = Literal["identity", "posture"]
SourceHealthState = Literal["ok", "stale", "down"]
Fact = Literal[
    "certificate",
    "disk_encrypted",
    "edr_running",
    "edr_risk",
    "av_current",
    "firewall",
    "screen_lock",
    "tampered",
    "patch_age_days",
]
_Class = Literal["managed_pc", "section_pc", "mobile_pc", "byod_phone", "byod_tablet", "byod_pc", "municipal_pc"]
NameKind = Literal[
    "id", "serial", "udid", "entra_device_id", "host_name", "asset_tag", "certificate_sha256", "vendor_id"
]
_Seconds = Annotated[int, msgspec.Meta(ge=5, le=31 * 86_400)]

ORDER: Final = {"ok": 0, "stale": 1, "down": 2}


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[connectors]]` table of `pdp.toml`; docs/connectors.md explains each key."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
    kind: str
    interval_s: _Seconds = 300
    full_every_s: _Seconds = 86_400  # a complete run finds what an incremental one cannot: what is gone
    timeout_s: Annotated[int, msgspec.Meta(ge=5, le=7_200)] = 900  # of one run; a longer one counts for nothing
    required: bool = False  # while it is down, `context.sources` says that its facts are unavailable
    stale_after_s: _Seconds = 3_600
    down_after_s: _Seconds = 43_200
    max_removals_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 5.0
    adopt: bool = False  # identity: take over people whom an import brought
    facts: list[Fact] | None = None  # posture: the only facts that are taken from it; None: all
    match_by: list[NameKind] | None = None  # posture: the only names by which devices are found; None: all
    learn_aliases: list[NameKind] = []  # posture: names that become aliases of a device found by another name
    may_register: bool = False  # posture: devices that nobody knows are registered, with the class that `classes` says
    classes: dict[str, _Class] = {}  # platform as the connector says it: device class
    settings: dict[str, Any] = {}  # the connector's own

    @property
    def stale_after(self) -> timedelta:
        return timedelta(seconds=self.stale_after_s)

    @property
    def down_after(self) -> timedelta:
        return timedelta(seconds=self.down_after_s)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source is. `fault`: the code of the last attempt's fault, None where that one went well.

    `rows`: what it brings that the directory holds. `unmatched`, `refused`: of its last good run, reports on
    devices that we do not know, and records that could not be used. `pending`: a removal waits for approval.
    """

    name: str
    kind: str
    brings: Brings
    required: bool
    stale_after: timedelta
    down_after: timedelta
    last_attempt_at: datetime | None = None
    last_success_at: datetime | None = None
    fault: str | None = None
    rows: int = 0
    unmatched: int = 0
    refused: int = 0
    pending: bool = False
    faults: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))  # failed runs by code, ever

    @property
    def down_at(self) -> datetime | None:
        """When its facts stop counting as available if no run succeeds before; None: they are not now."""
        return None if self.last_success_at is None else self.last_success_at + self.down_after

    def age(self, now: datetime) -> timedelta | None:
        """Time since the last run that succeeded; None: none ever did."""
        return None if self.last_success_at is None else max(now - self.last_success_at, timedelta())

    def state(self, now: datetime) -> SourceHealthState:
        age = self.age(now)
        if age is None or age >= self.down_after:
            return "down"
        return "stale" if age >= self.stale_after else "ok"


def up_until(sources: Iterable[SourceHealth], brings: Brings) -> tuple[bool, datetime | None]:
    """(whether a required source never succeeded, the first moment at which a required one is down).

    The facts of `brings` are unavailable where the first is true, or from the second on.
    """
    required = [source for source in sources if source.required and source.brings == brings]
    ends = [source.down_at for source in required]
    return None in ends, min((end for end in ends if end is not None), default=None)
