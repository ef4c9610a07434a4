"""How vendors' words become facts. Pure; every mapping is made of these.

INVARIANT (nothing better than given): no function here makes a fact good that its arguments do not give as good. What
is absent, of another type, or a word that is not in a table is "unknown".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connectors.port import NameKind
    from pdp.model.directory import PostureReport
    from pdp.model.input import Known

# What an administrator's own check can say. A check that passes is good: `not_tampered`, not `tampered`.
CheckedFact = Literal[
    "certificate", "disk_encrypted", "edr_running", "av_current", "firewall", "screen_lock", "not_tampered"
]

MAX_NAME: Final = 128  # characters; the longest serial number of a vendor has 64
_FIRST_YEAR: Final = 2001  # vendors write year 1 (Graph), 1970 and 2000 (Fleet) for "never"
_PATCH_AHEAD: Final = timedelta(days=31)  # a maker ships next month's level at times; further ahead is a wrong clock
_OLDEST_PATCH: Final = date(2007, 1, 1)  # before the first of the systems that write a patch level
_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# What makers leave in the place of a serial number. Thousands of devices share these: they name none of them.
_PLACEHOLDERS: Final = frozenset(
    {
        "0",
        "none",
        "null",
        "n/a",
        "na",
        "unknown",
        "undefined",
        "invalid",
        "default",
        "default string",
        "not available",
        "not applicable",
        "not specified",
        "not set",
        "system serial number",
        "chassis serial number",
        "serial number",
        "serialnumber",
        "to be filled by o.e.m.",
        "to be filled by oem",
        "o.e.m.",
        "oem",
        "123456789",
        "1234567890",
        "empty",
    }
)
_MADE: Final = frozenset({"serial", "udid", "entra_device_id"})  # given by makers; 1111 is an asset tag like any other
_ONE_LETTER: Final = re.compile(r"(.)\1*")
_SEPARATORS: Final = str.maketrans("", "", "-_: .")


class RecordRefusedError(Exception):
    """A record that cannot be used at all. `code` is counted; `key` is its id where it has one. Stays in connectors."""

    def __init__(self, code: str, key: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.key = key


@dataclass(frozen=True, slots=True)
class Options:
    """What every mapping is told: `source` is the connector's name.

    `host_names`: whether a device may be found by its host name, which its user can change to another device's.
    `os_releases`: the day on which an exact version of an operating system came out, for vendors that give no date.
    """

    source: str
    host_names: bool = False
    os_releases: Mapping[str, date] | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What the words of an administrator's own attribute mean: `yes` and `no` list the values; others mean nothing."""

    fact: CheckedFact
    yes: tuple[str, ...]
    no: tuple[str, ...] = ()

    def of(self, value: object) -> Known:
        if not isinstance(value, str):
            return "unknown"
        return False if value in self.no else True if value in self.yes else "unknown"


def member(value: object, *path: str) -> Any:
    """The value under these names, or None where something on the way is absent or not an object."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def boolean(value: object) -> Known:
    """A JSON boolean. A number or a text is not one."""
    return value if isinstance(value, bool) else "unknown"


def worded(value: object, table: Mapping[str, Known]) -> Known:
    """The fact that the table gives for the vendor's word: exactly as written, never a part of it."""
    return table.get(value, "unknown") if isinstance(value, str) else "unknown"


def inverse(fact: Known) -> Known:
    return fact if fact == "unknown" else not fact


def any_known(facts: Iterable[Known]) -> Known:
    """Several looks at one fact of which true is good: one false counts, else one true, else nothing is known."""
    found = tuple(facts)
    return False if False in found else True if True in found else "unknown"


def all_true(facts: Iterable[Known]) -> Known:
    """Several facts that must all be true: false as soon as one is, true only where none is unknown."""
    found = tuple(facts)
    return False if False in found else "unknown" if "unknown" in found or not found else True


def instant(value: object) -> datetime | None:
    """A vendor's time in UTC (RFC 3339), or None: absent, not a time, or one of the ways to write "never"."""
    found = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, clock, fraction, offset = found.groups()
    try:
        moment = datetime.fromisoformat(
            f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}{'+00:00' if offset in 'Zz' else offset}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= _FIRST_YEAR else None


def day(value: object) -> date | None:
    """A date, `2026-11-05`, or None."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None
    except ValueError:
        return None


def patch_age(released: date | None, observed_at: datetime | None) -> int | None:
    """Days from the patch level to the observation; None where one is not known or they cannot both be true."""
    if released is None or observed_at is None or released < _OLDEST_PATCH:
        return None
    if released > observed_at.date() + _PATCH_AHEAD:
        return None
    return max(0, (observed_at.date() - released).days)


def release_age(version: object, options: Options, observed_at: datetime | None) -> int | None:
    """The same from a version, by the administrator's table; a version that is not in it is not guessed."""
    if options.os_releases is None or not isinstance(version, str):
        return None
    return patch_age(options.os_releases.get(version), observed_at)


def as_old_as(fact: Known, at: datetime | None, observed_at: datetime | None, *, lag: timedelta) -> Known:
    """A fact that the vendor learnt at another time than the report says.

    INVARIANT (no fact looks fresher than it is): one that is older than the report by more than `lag`, or of unknown
    age, is known no more where it is good; a bad one stays.
    """
    if fact is not True:
        return fact
    if at is None or observed_at is None or observed_at - at > lag:
        return "unknown"
    return fact


def named(candidates: Iterable[tuple[NameKind, object]], options: Options) -> dict[NameKind, str]:
    """The names that can find a device, in the order given; placeholders and oversized texts name nothing."""
    names: dict[NameKind, str] = {}
    for kind, value in candidates:
        if kind == "host_name" and not options.host_names:
            continue
        name = usable_name(value) if kind in _MADE else clean_name(value)
        if name is not None:
            names.setdefault(kind, name)
    return names


def clean_name(value: object) -> str | None:
    """A text that can stand as a name: short, printable, not blank."""
    if not isinstance(value, str):
        return None
    name = value.strip()
    return name if name and len(name) <= MAX_NAME and name.isprintable() else None


def usable_name(value: object) -> str | None:
    """A name that a maker gave to one device: not 000000, XXXXXXX, 00000000-0000-0000-0000-000000000000, "None"."""
    name = clean_name(value)
    if name is None or name.casefold() in _PLACEHOLDERS or _ONE_LETTER.fullmatch(name.translate(_SEPARATORS)):
        return None
    return name


def platform(value: object) -> str:
    """The vendor's word for the kind of device, by which a source that may register goes; "" where it gives none."""
    return (clean_name(value) or "").casefold()


def with_checks(report: PostureReport, checks: Iterable[tuple[CheckedFact, Known]]) -> PostureReport:
    """The report with what the administrator's own checks say; of two answers about one fact the bad one counts."""
    said: dict[CheckedFact, list[Known]] = {}
    for fact, passed in checks:
        said.setdefault(fact, []).append(passed)
    changes: dict[str, Known] = {}
    for fact, answers in said.items():
        together = all_true(answers)
        if fact == "not_tampered":
            changes["tampered"] = inverse(any_known((inverse(report.tampered), together)))
        else:
            before = getattr(report, fact)
            changes[fact] = any_known(("unknown" if before == "not_managed" else before, together))
    return replace(report, **changes)  # type: ignore[arg-type]  # each is a fact of three values


def only_bad_news(report: PostureReport) -> PostureReport:
    """What remains of a report whose sender no longer vouches for the device: nothing that speaks for it."""
    return replace(
        report,
        certificate=_bad_only(report.certificate),
        disk_encrypted=_bad_only(report.disk_encrypted),
        edr_running=False if report.edr_running is False else "unknown",
        edr_risk=report.edr_risk if report.edr_risk in ("medium", "high") else "unknown",
        av_current=_bad_only(report.av_current),
        firewall=_bad_only(report.firewall),
        screen_lock=_bad_only(report.screen_lock),
        tampered=True if report.tampered is True else "unknown",
        patch_age_days=None,
    )


def _bad_only(fact: Known) -> Known:
    return False if fact is False else "unknown"
