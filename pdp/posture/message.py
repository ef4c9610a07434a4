"""The messages of the push API: strict JSON in, one posture report out. Pure; docs/posture.md shows them.

Closed on purpose: a key or a word that is not known is refused. A misspelt fact would else be a fact that is never
known, and whoever sends it would never learn why the terminal is denied.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeVar, get_args

import msgspec

from pdp.directory.posture import FACTS
from pdp.errors import BadRequestError, NotPermittedError, PayloadTooLargeError
from pdp.model.directory import PostureReport
from pdp.model.input import EdrRisk, EdrRunning, Known, Unknown
from pdp.model.source import NameKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pdp.model.source import Fact

MAX_REPORTS: Final = 1_000  # of one batch
MAX_NAME: Final = 256  # characters of a device's name, its kind included
CLOCK_SKEW: Final = timedelta(seconds=60)  # a report from further ahead would look fresh for longer than it is
MAX_PATCH_AGE: Final = 36_500  # days
KINDS: Final[frozenset[str]] = frozenset(get_args(NameKind))

_Wanted = TypeVar("_Wanted", bound=msgspec.Struct)
_Days = Annotated[int, msgspec.Meta(ge=0, le=MAX_PATCH_AGE, description="Age of the oldest missing update")]


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the source knows now. A fact that it leaves out is unknown, whatever it said before."""

    certificate: Known = "unknown"
    disk_encrypted: Known = "unknown"
    edr_running: EdrRunning = "unknown"
    edr_risk: EdrRisk = "unknown"
    av_current: Known = "unknown"
    firewall: Known = "unknown"
    screen_lock: Known = "unknown"
    tampered: Known = "unknown"
    patch_age_days: _Days | Unknown = "unknown"


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`observed_at`: when the source saw the device, RFC 3339 with its offset; never the time of sending."""

    observed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    facts: Facts


class DeviceReport(Report, frozen=True, forbid_unknown_fields=True):
    """One entry of a batch. `device` as in the path of a single report."""

    device: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class Name(NamedTuple):
    """How a caller names a device."""

    kind: NameKind
    value: str


def read_name(text: str) -> Name:
    """`d-00001` or `id:d-00001`, and the other names by their kind: `serial:5CG12345`. Raises BadRequestError."""
    if not 1 <= len(text) <= MAX_NAME or not text.isprintable():
        raise BadRequestError(f"a device's name has 1 to {MAX_NAME} visible characters")
    kind, colon, value = text.partition(":")
    if not colon or kind not in KINDS:
        return Name("id", text)
    if not value:
        raise BadRequestError(f"the name behind `{kind}:` is empty")
    return Name(kind, value)  # type: ignore[arg-type]  # one of KINDS


def read_report(value: Any, source: str, now: datetime, allowed: Collection[Fact] | None) -> PostureReport:
    """The report of one parsed body. `allowed`: the facts that this source may report; None: all.

    Raises BadRequestError, and NotPermittedError for a known fact that is not allowed.
    """
    return _posture(_converted(value, Report), source, now, allowed)


def read_batch(value: Any, most: int = MAX_REPORTS) -> list[Any]:
    """The entries of a parsed batch, each to be read by itself. Raises BadRequestError, PayloadTooLargeError."""
    if not isinstance(value, dict) or value.keys() != {"reports"} or not isinstance(value["reports"], list):
        raise BadRequestError("the body must be an object with the one member `reports`, a list")
    reports = value["reports"]
    if not reports:
        raise BadRequestError("the batch is empty", pointer="/reports")
    if len(reports) > most:
        raise PayloadTooLargeError(f"the batch has more than {most} reports")
    return reports


def read_entry(value: Any, source: str, now: datetime, allowed: Collection[Fact] | None) -> tuple[Name, PostureReport]:
    """One entry of a batch. Raises as `read_report`."""
    entry = _converted(value, DeviceReport)
    return read_name(entry.device), _posture(entry, source, now, allowed)


def facts_of(report: PostureReport) -> dict[str, Any]:
    """Every fact of a report as the API writes it, the unknown ones too."""
    return {fact: "unknown" if (value := getattr(report, fact)) is None else value for fact in FACTS}


def _converted(value: Any, wanted: type[_Wanted]) -> _Wanted:
    try:
        return msgspec.convert(value, wanted, strict=True)
    except msgspec.ValidationError as fault:
        message = str(fault)
        raise BadRequestError(message[:1].lower() + message[1:]) from None


def _posture(report: Report, source: str, now: datetime, allowed: Collection[Fact] | None) -> PostureReport:
    facts = {fact: value for fact, value in _given(report.facts) if value != "unknown"}
    if beyond := [fact for fact in facts if allowed is not None and fact not in allowed]:
        raise NotPermittedError(f"this caller may not report `{beyond[0]}`")
    return PostureReport(**facts, observed_at=_instant(report.observed_at, now), source=source)


def _given(facts: Facts) -> Iterator[tuple[Any, Any]]:
    return ((fact, getattr(facts, fact)) for fact in FACTS)


def _instant(observed_at: datetime, now: datetime) -> datetime:
    try:
        instant = observed_at.astimezone(UTC)
    except OverflowError:
        raise BadRequestError("`observed_at` lies outside the calendar") from None
    if instant > now + CLOCK_SKEW:
        raise BadRequestError(
            f"`observed_at` lies more than {CLOCK_SKEW.seconds} seconds in the future",
            next_step="correct the clock of the source; never send the time of sending",
        )
    return instant
