"""The scenario format, strictly: unknown keys are refused, times carry their offset, dates are Japan's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from pdp.errors import ScenarioError
from pdp.facts.reference import CatalogueEntry
from pdp.model.input import (
    AuthLevel,
    Count,
    CountOrUnknown,
    DeviceClass,
    DeviceState,
    EdrRisk,
    EdrRunning,
    Employment,
    IdentitySource,
    Known,
    ServiceStatus,
    SourceState,
    SubjectKind,
    Takeout,
    Zone,
)


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a scenario: a key that the format does not know is a mistake, not an extension."""


class Span(_Strict, frozen=True, kw_only=True):
    from_: str | None = msgspec.field(name="from", default=None)
    until: str | None = None


class PostEntry(Span, frozen=True, kw_only=True):
    department: str


class EmploymentEntry(Span, frozen=True, kw_only=True):
    status: Employment = "active"


class UserEntry(_Strict, frozen=True, kw_only=True):
    id: str
    kind: SubjectKind
    name: str = ""
    organisation: str = "mie"
    identity_source: IdentitySource = "integrated"
    posts: list[PostEntry] = []
    roles: list[str] = []
    employment: EmploymentEntry | None = None
    contract_until: str | None = None
    appointment_until: str | None = None


class ResourceEntry(CatalogueEntry, frozen=True, kw_only=True):
    """A catalogue row of the story; `status` overrules its dates."""

    status: ServiceStatus | None = None
    name: Any = None  # for people who read the story
    title: Any = None


class PostureEntry(_Strict, frozen=True, kw_only=True):
    certificate: Known = "unknown"
    disk_encrypted: Known = "unknown"
    edr_running: EdrRunning = "unknown"
    edr_risk: EdrRisk = "unknown"
    av_current: Known = "unknown"
    firewall: Known = "unknown"
    screen_lock: Known = "unknown"
    tampered: Known = "unknown"
    patch_age_days: CountOrUnknown = "unknown"
    age_hours: CountOrUnknown = "unknown"
    source: str = "asset"


HEALTHY = PostureEntry(
    certificate=True,
    disk_encrypted=True,
    edr_running=True,
    edr_risk="none",
    av_current=True,
    firewall=True,
    screen_lock=True,
    tampered=False,
    patch_age_days=3,
    age_hours=1,
)


class DeviceEntry(_Strict, frozen=True, kw_only=True):
    id: str
    class_: DeviceClass = msgspec.field(name="class")
    owner: str | None = None
    department: str | None = None
    shared: bool = False
    state: DeviceState = "in_service"
    takeout: Takeout = "unknown"
    returned_from_outside: bool = False
    posture: PostureEntry | Literal["healthy", "unknown"] | None = None


class BookingEntry(Span, frozen=True, kw_only=True):
    """A permit of a private device, or a loan of a mobile terminal."""

    device: str
    user: str
    held: bool = False


class WorkPermitEntry(Span, frozen=True, kw_only=True):
    id: str
    users: list[str]
    resources: list[str]
    devices: list[str]


class DirectoryEntry(_Strict, frozen=True, kw_only=True):
    users: list[UserEntry] = []
    devices: list[DeviceEntry] = []
    permits: list[BookingEntry] = []
    loans: list[BookingEntry] = []
    work_permits: list[WorkPermitEntry] = []
    resources: list[ResourceEntry] = []
    disaster: Span | list[Span] | None = None


class SourcesEntry(_Strict, frozen=True, kw_only=True):
    posture: SourceState = "ok"
    identity: SourceState = "ok"


class RequestEntry(_Strict, frozen=True, kw_only=True):
    user: str
    auth_level: AuthLevel
    resource: str
    action: str
    zone: Zone
    device: str | None = None
    auth_age_min: Count = 0
    tenant: str | None = None
    organisation: str | None = None
    underlay: str | None = None
    path_encrypted: Known = "unknown"
    country: str = "JP"
    risk: list[str] = []
    pep: list[str] = []
    sources: SourcesEntry = SourcesEntry()


class Expectation(_Strict, frozen=True, kw_only=True):
    outcome: Literal["allow", "limit", "step_up", "deny"] | None = None
    reasons: list[str] | None = None
    obligations: dict[str, str | int] | None = None
    required_auth_level: AuthLevel | None = None


class StepEntry(_Strict, frozen=True, kw_only=True):
    now: str
    request: RequestEntry
    expect: Expectation
    directory: DirectoryEntry = DirectoryEntry()


class _Document(_Strict, frozen=True, kw_only=True):
    id: str
    title: str | dict[str, str | None] = {}  # ja, en; a comma in an unquoted title makes further keys
    now: str | None = None
    directory: DirectoryEntry = DirectoryEntry()
    request: RequestEntry | None = None
    expect: Expectation | None = None
    steps: list[StepEntry] | None = None


class Scenario(_Strict, frozen=True, kw_only=True):
    """One story of one or more steps. A step's directory adds to, or replaces by id, what stood before it."""

    id: str
    title: dict[str, str | None]
    directory: DirectoryEntry
    steps: list[StepEntry]
    where: str


def checked(document: Any, where: str = "") -> Scenario:
    """The scenario that a plain document is. Raises ScenarioError."""
    try:
        read = msgspec.convert(without_nulls(document), _Document)
    except msgspec.ValidationError as fault:
        raise ScenarioError(str(fault)) from None
    if read.steps is None:
        if read.now is None or read.request is None or read.expect is None:
            raise ScenarioError("`now`, `request` and `expect` are needed, or `steps`")
        steps = [StepEntry(now=read.now, request=read.request, expect=read.expect)]
    elif read.steps and read.now is None and read.request is None and read.expect is None:
        steps = read.steps
    else:
        raise ScenarioError("`steps` replaces `now`, `request` and `expect`, and is not empty")
    for step in steps:
        if step.expect in (Expectation(), Expectation(obligations={})):
            raise ScenarioError("a step expects nothing, so it cannot fail")
        moment(step.now)
    title: dict[str, str | None] = {"en": read.title} if isinstance(read.title, str) else read.title
    return Scenario(id=read.id, title=title, directory=read.directory, steps=steps, where=where)


def without_nulls(value: Any) -> Any:
    """A key without a value is a key left out: `permits:` with nothing below it names no permits."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def moment(text: str) -> datetime:
    """An instant with its offset. Raises ScenarioError."""
    try:
        instant = datetime.fromisoformat(text.replace(" +", "+"))
    except ValueError:
        raise ScenarioError(f"`{text}` is not a time such as 2023-08-01T10:00:00+09:00") from None
    if instant.tzinfo is None:
        raise ScenarioError(f"`{text}` lacks its offset, for example +09:00")
    return instant
