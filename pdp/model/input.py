"""`pdp.input/v1`: everything that a zero-trust policy can see, and the check that refuses the rest.

The document is closed: an unlisted value, a missing key, an extra key or a wrong type makes it
`BAD_INPUT` before any rule is judged. A fact that is not known is the string `"unknown"`, never absent
and never a guess. Source: access-rules, section 2.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args, get_type_hints

import msgspec

from pdp.errors import BadRequestError

SCHEMA: Final = "pdp.input/v1"
AUTH_AGE_CAP_MIN: Final = 1440

Unknown = Literal["unknown"]
Known = bool | Unknown
Count = Annotated[int, msgspec.Meta(ge=0)]
CountOrUnknown = Count | Unknown

SubjectKind = Literal[
    "staff", "fixed_term_staff", "municipal_staff", "contractor", "emergency_account", "shared_account", "unknown"
]
Employment = Literal["not_started", "active", "suspended", "ended"]
IdentitySource = Literal["integrated", "federated", "none"]
AuthLevel = Annotated[int, msgspec.Meta(ge=0, le=3)]
DeviceClass = Literal[
    "managed_pc",
    "section_pc",
    "mobile_pc",
    "byod_phone",
    "byod_tablet",
    "byod_pc",
    "maintenance_pc",
    "municipal_pc",
    "mynumber_terminal",
    "unknown",
]
Ownership = Literal["organisation", "private", "unknown"]
Relation = Literal["own", "assigned_to_other", "pool", "none"]
LoanState = Literal["none", "valid", "mismatch", "expired"]
PermitState = Literal["none", "valid", "expired", "held"]
Takeout = Literal["permitted", "not_permitted", "unknown"]
DeviceState = Literal["in_service", "lost", "lost_unconfirmed_found", "quarantined", "retired"]
EdrRunning = bool | Literal["unknown", "not_managed"]
EdrRisk = Literal["none", "low", "medium", "high", "unknown"]
ResourceGroup = Literal[
    "communication",
    "no_code",
    "internet",
    "business",
    "data",
    "lgwan",
    "mynumber",
    "server_admin",
    "account_admin",
    "home_working",
    "legacy",
    "disaster",
    "remediation",
    "unknown",
]
Segment = Literal["cloud", "internet", "lgwan", "mynumber", "unknown"]
ServiceStatus = Literal["not_started", "in_service", "readonly", "ended"]
Tenant = Literal["own", "other"]
ActionName = Literal["access", "read", "write", "download", "administer", "screen_transfer"]
Zone = Literal["office", "sase", "ip_vpn", "carrier", "security_cloud", "public"]
Underlay = Literal["office", "home", "public_wifi", "carrier", "unknown"]
RiskSignal = Literal["bulk_download", "impossible_travel", "impersonation", "malware_alert"]
WorkPermitState = Literal["none", "valid", "out_of_window", "out_of_scope", "not_named"]
SourceState = Literal["ok", "unavailable"]


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the document: every key required, no other key accepted."""


class Subject(_Closed, frozen=True):
    id: str
    kind: SubjectKind
    organisation: str
    departments: list[str]  # of the posts held at `now`; the main one first
    roles: list[str]
    employment: Employment
    identity_source: IdentitySource
    auth_level: AuthLevel
    auth_age_min: Annotated[int, msgspec.Meta(ge=0, le=AUTH_AGE_CAP_MIN)]


class Posture(_Closed, frozen=True):
    certificate: Known
    disk_encrypted: Known
    edr_running: EdrRunning
    edr_risk: EdrRisk
    av_current: Known
    firewall: Known
    screen_lock: Known
    tampered: Known
    patch_age_days: CountOrUnknown
    age_hours: CountOrUnknown
    source: str


UNKNOWN_POSTURE: Final = Posture(
    certificate="unknown",
    disk_encrypted="unknown",
    edr_running="unknown",
    edr_risk="unknown",
    av_current="unknown",
    firewall="unknown",
    screen_lock="unknown",
    tampered="unknown",
    patch_age_days="unknown",
    age_hours="unknown",
    source="unknown",
)


class Device(_Closed, frozen=True):
    id: str
    class_: DeviceClass = msgspec.field(name="class")
    ownership: Ownership
    registered: bool
    shared: bool
    relation: Relation
    loan: LoanState
    permit: PermitState
    takeout: Takeout
    state: DeviceState
    returned_from_outside: bool
    posture: Posture


class Resource(_Closed, frozen=True):
    id: str
    group: ResourceGroup
    segment: Segment
    status: ServiceStatus
    departments: list[str]
    organisations: list[str]
    sensitivity: int
    tenant: Tenant


class Action(_Closed, frozen=True):
    name: ActionName


class Sources(_Closed, frozen=True):
    posture: SourceState
    identity: SourceState


class Context(_Closed, frozen=True):
    zone: Zone
    underlay: Underlay
    path_encrypted: Known
    country: str
    business_day: bool
    business_hours: bool
    risk: list[RiskSignal]
    work_permit: WorkPermitState
    work_permit_until: str  # "none", or the end of the valid permit's window in RFC 3339
    disaster_mode: Known  # counts only when it is `true`
    sources: Sources
    pep: list[str]


class InputV1(_Closed, frozen=True):
    """One access, as facts at one instant. `schema` is always `pdp.input/v1`."""

    schema: Literal["pdp.input/v1"]
    subject: Subject
    device: Device
    resource: Resource
    action: Action
    context: Context


# RFC 3339, section 5.6, with capital T and Z and without leap seconds, which the section lets an application ask.
_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)


def check_input(document: object) -> InputV1:
    """Hold a parsed JSON value against `pdp.input/v1`.

    Raises `BadRequestError` (the caller of this function turns it into `BAD_INPUT`) with the path of
    the first fault: a missing key, an extra key, a wrong type, a value that is not listed, a
    `work_permit_until` that is neither `"none"` nor RFC 3339, or an unknown segment of a known group.
    """
    try:
        checked = msgspec.convert(document, InputV1)
    except msgspec.ValidationError as fault:
        message = str(fault)
        raise BadRequestError(message[:1].lower() + message[1:]) from None
    return _check_across(checked)


def decode_input(line: bytes) -> InputV1:
    """`check_input` of one JSON text. Raises `BadRequestError`, also for text that is not JSON."""
    try:
        checked = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        message = str(fault)
        raise BadRequestError(message[:1].lower() + message[1:]) from None
    return _check_across(checked)


def encode_input(document: InputV1) -> bytes:
    """The document as compact JSON, with its keys always in the same order."""
    return _ENCODER.encode(document)


def attribute_of(path: tuple[str, ...]) -> str | None:
    """`device.class` as Python spells it; a path that goes on below a leaf ends there, as the value does."""
    form: Any = InputV1
    spelled: list[str] = []
    for part in path:
        if not (isinstance(form, type) and issubclass(form, msgspec.Struct)):
            break
        if part not in (members := _members_of(form)):
            return None
        name, form = members[part]
        spelled.append(name)
    return ".".join(spelled)


@cache  # eight forms; finding their types out takes a millisecond, of which a policy's first decision waited for seven
def _members_of(form: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """Of each member, as JSON has it: its attribute and its type."""
    types = get_type_hints(form)
    return {field.encode_name: (field.name, types[field.name]) for field in msgspec.structs.fields(form)}


def _check_across(document: InputV1) -> InputV1:
    until = document.context.work_permit_until
    if until != "none" and not _is_rfc3339(until):
        raise BadRequestError('expected "none" or an RFC 3339 time - at `$.context.work_permit_until`')
    if document.resource.segment == "unknown" and document.resource.group != "unknown":
        raise BadRequestError("a known group has a known segment - at `$.resource.segment`")
    return document


def _is_rfc3339(text: str) -> bool:
    if _RFC3339.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text[:19])  # a day and a time that exist
    except ValueError:
        return False
    return True


_DECODER: Final = msgspec.json.Decoder(InputV1)
_ENCODER: Final = msgspec.json.Encoder()

ACTIONS: Final[tuple[str, ...]] = get_args(ActionName)
RISK_SIGNALS: Final[tuple[str, ...]] = get_args(RiskSignal)
