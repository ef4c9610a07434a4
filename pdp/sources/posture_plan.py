"""From what a source of posture said to what would be written. Pure.

1. Each record's device is found by its names (`matching`); who is not known is counted, not created.
2. A record that cannot be (a time ahead of ours, a word that nobody judges) is refused by itself.
3. Of several records on one device the newest counts; of equally new ones the worse values.
4. A report older than the one that is held stays out; a complete run takes away what the source no longer says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.directory.aliases import STORED_KINDS, plain_name
from pdp.directory.building import CLOCK_SKEW
from pdp.directory.changes import is_newer
from pdp.directory.posture import latest, restricted
from pdp.directory.registers import Alias, device_of, id_fault, posture_key
from pdp.model.directory import Device
from pdp.model.input import EdrRisk
from pdp.sources.bounds import Noted
from pdp.sources.matching import Match, key_of, match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pdp.model.directory import PostureReport
    from pdp.model.source import SourceSettings
    from pdp.sources.bounds import How
    from pdp.sources.gathering import Gathered
    from pdp.sources.matching import KnownNames
    from pdp.sources.port import Report

_RISKS: Final = get_args(EdrRisk)
_MAX_PATCH_DAYS: Final = 36_500  # as an import file allows
_TRUTHS: Final = (True, False, "unknown")
_NAMING: Final = ("serial", "udid", "entra_device_id", "asset_tag", "vendor_id", "host_name")


@dataclass(slots=True)
class Found(Noted):
    """Reports by device as the source gave them. `seen`: devices that it still speaks of, if only wrongly."""

    reports: dict[str, list[PostureReport]] = field(default_factory=lambda: defaultdict(list))
    seen: set[str] = field(default_factory=set)
    aliases: dict[str, Alias] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)  # aliases that two devices claim: neither has them
    devices: dict[str, Device] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PosturePlan:
    """`add`, `change` and `remove` by `posture_key`. `removals`: the same removals, by device, for the bounds."""

    add: Mapping[str, PostureReport]
    change: Mapping[str, PostureReport]
    remove: Mapping[str, PostureReport]
    removals: Mapping[str, How]
    counts: Counter[str]


def find_devices(gathered: Gathered, known: KnownNames, settings: SourceSettings, now: datetime) -> Found:
    """Whose reports they are. Every record is counted once, by what became of it."""
    found = Found()
    for refused in gathered.refused:
        found.note(f"refused_{refused.code}", refused.key or refused.detail)
        found.seen.update(device for device in (refused.key,) if device in known.ids)
    for item in gathered.items:
        found.counts["received"] += 1
        matched = match(item.names, known, settings.name, settings.match_by)
        if matched.why == "unknown" and settings.may_register:
            matched = _registered(item, found, settings) or matched
        found.seen |= matched.candidates
        if matched.device is None:
            found.note(matched.why, _shown(item))
            continue
        fault = _fault(item.posture, now)
        if fault is not None:
            found.note(f"refused_{fault}", matched.device)
            continue
        found.counts["matched"] += 1
        report = replace(restricted(item.posture, settings.facts), source=settings.name)
        found.reports[matched.device].append(report)
        _learn(item, matched.device, found, known, settings)
    for key in sorted(found.doubtful):
        found.note("name_of_two", key)
        del found.aliases[key]
    found.counts["twice"] = sum(len(reports) - 1 for reports in found.reports.values())
    return found


def plan_posture(
    gathered: Gathered, found: Found, held: Mapping[str, PostureReport], known: KnownNames, source: str
) -> PosturePlan:
    """`held`: everything that the source says now, or, for an incremental run, of the devices in question."""
    add: dict[str, PostureReport] = {}
    change: dict[str, PostureReport] = {}
    counts = Counter(found.counts)
    for device, reports in found.reports.items():
        key, report = posture_key(device, source), latest(reports)
        before = held.get(key)
        if before is None:
            add[key] = report
        elif before == report:
            counts["unchanged"] += 1
        elif is_newer(report, before):
            change[key] = report
        else:
            counts["kept_newer"] += 1
    gone = _gone(gathered, found, held, known, source)
    remove = {key: held[key] for key in sorted(gone)}
    counts.update(added=len(add), changed=len(change), removed=len(remove))
    return PosturePlan(add, change, remove, {device_of(key): "gone" for key in remove}, counts)


def removed_devices(names: Iterable[str], known: KnownNames, source: str) -> set[str]:
    """The devices that a source says are gone from it, by its own id or by ours."""
    found = (known.find("vendor_id", name, source) or known.find("id", name, source) for name in names)
    return {device for device in found if device is not None}


def _gone(
    gathered: Gathered, found: Found, held: Mapping[str, PostureReport], known: KnownNames, source: str
) -> set[str]:
    named = {posture_key(device, source) for device in removed_devices(gathered.removed, known, source) - found.seen}
    missing = {key for key in held if device_of(key) not in found.seen} if gathered.complete else set()
    return (named & held.keys()) | missing


def _fault(report: PostureReport, now: datetime) -> str | None:
    """Why this report by itself cannot be kept."""
    if report.observed_at is not None:
        if report.observed_at.tzinfo is None:
            return "malformed"
        if report.observed_at > now + CLOCK_SKEW:
            return "future"
    patch = report.patch_age_days
    sound = (
        report.edr_risk in _RISKS
        and (report.edr_running in _TRUTHS or report.edr_running == "not_managed")
        and (patch is None or (type(patch) is int and 0 <= patch <= _MAX_PATCH_DAYS))
        and all(_is_known(getattr(report, fact)) for fact in _TWO_VALUED)
    )
    return None if sound else "malformed"


_TWO_VALUED: Final = ("certificate", "disk_encrypted", "av_current", "firewall", "screen_lock", "tampered")


def _is_known(value: Any) -> bool:
    return value is True or value is False or value == "unknown"


def _learn(item: Report, device: str, found: Found, known: KnownNames, settings: SourceSettings) -> None:
    """Names that this source may teach us. One that belongs to somebody already is left alone."""
    for kind in settings.learn_aliases:
        key = key_of(kind, item.names[kind], settings.name) if kind in item.names and kind in STORED_KINDS else None
        if key is None or key in known.aliases:
            continue
        if found.aliases.setdefault(key, Alias(device, settings.name)).device != device:
            found.doubtful.add(key)


def _registered(item: Report, found: Found, settings: SourceSettings) -> Match | None:
    """A new device for a record that nobody knows, where the settings name the class of its platform."""
    class_ = settings.classes.get(item.platform)
    id_ = _new_id(item, settings.name)
    if class_ is None or id_ is None:
        return None
    found.devices.setdefault(id_, Device(id=id_, class_=class_))
    for kind in STORED_KINDS:
        key = key_of(kind, item.names[kind], settings.name) if kind in item.names else None
        if key is not None:
            found.aliases.setdefault(key, Alias(id_, settings.name))
    return Match("matched", id_, frozenset({id_}))


def _new_id(item: Report, source: str) -> str | None:
    """Its own id where it gives one, else the source's name with the first of its names that is one."""
    own = item.names.get("id")
    if own is not None:
        return own if id_fault(own) is None else None
    for kind in _NAMING:
        plain = plain_name(item.names.get(kind, ""))
        made = None if plain is None else f"{source}-{plain}"
        if made is not None and id_fault(made) is None:
            return made
    return None


def _shown(item: Report) -> str:
    return ", ".join(f"{kind}={name}" for kind, name in list(item.names.items())[:4])
