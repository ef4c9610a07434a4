"""The types of security events that are known here, and what each must say: SSF 1.0, CAEP 1.0, RISC 1.0. Pure.

A type is told by its last word (`session-revoked`) within its family (`caep`). An event of a known type is refused
only where it lacks what it means by: a device that is no longer compliant counts, though the text also requires what
its status was before. `REQUIRED` is the whole of what the texts require, for whoever sends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"
LEGACY_SSF: Final = "https://schemas.openid.net/secevent/sse/event-type/"  # from before the final texts
MAX_TYPE: Final = 512  # characters of a type's URI

VERIFICATION: Final = f"{SSF}verification"
STREAM_UPDATED: Final = f"{SSF}stream-updated"

SESSION_REVOKED: Final = f"{CAEP}session-revoked"
TOKEN_CLAIMS_CHANGE: Final = f"{CAEP}token-claims-change"
CREDENTIAL_CHANGE: Final = f"{CAEP}credential-change"
ASSURANCE_LEVEL_CHANGE: Final = f"{CAEP}assurance-level-change"
DEVICE_COMPLIANCE_CHANGE: Final = f"{CAEP}device-compliance-change"
SESSION_ESTABLISHED: Final = f"{CAEP}session-established"
SESSION_PRESENTED: Final = f"{CAEP}session-presented"
RISK_LEVEL_CHANGE: Final = f"{CAEP}risk-level-change"

ACCOUNT_CREDENTIAL_CHANGE_REQUIRED: Final = f"{RISC}account-credential-change-required"
ACCOUNT_PURGED: Final = f"{RISC}account-purged"
ACCOUNT_DISABLED: Final = f"{RISC}account-disabled"
ACCOUNT_ENABLED: Final = f"{RISC}account-enabled"
IDENTIFIER_CHANGED: Final = f"{RISC}identifier-changed"
IDENTIFIER_RECYCLED: Final = f"{RISC}identifier-recycled"
CREDENTIAL_COMPROMISE: Final = f"{RISC}credential-compromise"
OPT_IN: Final = f"{RISC}opt-in"
OPT_OUT_INITIATED: Final = f"{RISC}opt-out-initiated"
OPT_OUT_CANCELLED: Final = f"{RISC}opt-out-cancelled"
OPT_OUT_EFFECTIVE: Final = f"{RISC}opt-out-effective"
RECOVERY_ACTIVATED: Final = f"{RISC}recovery-activated"
RECOVERY_INFORMATION_CHANGED: Final = f"{RISC}recovery-information-changed"
SESSIONS_REVOKED: Final = f"{RISC}sessions-revoked"  # deprecated by the text, and still sent

COMPLIANT: Final = "compliant"
NOT_COMPLIANT: Final = "not-compliant"
STREAM_STATUSES: Final = ("enabled", "paused", "disabled")
INITIATORS: Final = ("admin", "user", "policy", "system")
RISK_LEVELS: Final = ("LOW", "MEDIUM", "HIGH")
CREDENTIAL_CHANGES: Final = ("create", "revoke", "update", "delete")
LEVEL_DIRECTIONS: Final = ("increase", "decrease")

# What the texts require of each type; a type without an entry requires nothing.
REQUIRED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        STREAM_UPDATED: ("status",),
        TOKEN_CLAIMS_CHANGE: ("claims",),
        CREDENTIAL_CHANGE: ("credential_type", "change_type"),
        ASSURANCE_LEVEL_CHANGE: ("namespace", "current_level"),
        DEVICE_COMPLIANCE_CHANGE: ("previous_status", "current_status"),
        RISK_LEVEL_CHANGE: ("principal", "current_level"),
        CREDENTIAL_COMPROMISE: ("credential_type",),
    }
)
KNOWN: Final = frozenset(
    {
        VERIFICATION, STREAM_UPDATED, SESSION_REVOKED, TOKEN_CLAIMS_CHANGE, CREDENTIAL_CHANGE, ASSURANCE_LEVEL_CHANGE,
        DEVICE_COMPLIANCE_CHANGE, SESSION_ESTABLISHED, SESSION_PRESENTED, RISK_LEVEL_CHANGE,
        ACCOUNT_CREDENTIAL_CHANGE_REQUIRED, ACCOUNT_PURGED, ACCOUNT_DISABLED, ACCOUNT_ENABLED, IDENTIFIER_CHANGED,
        IDENTIFIER_RECYCLED, CREDENTIAL_COMPROMISE, OPT_IN, OPT_OUT_INITIATED, OPT_OUT_CANCELLED, OPT_OUT_EFFECTIVE,
        RECOVERY_ACTIVATED, RECOVERY_INFORMATION_CHANGED, SESSIONS_REVOKED,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Event:
    """One event of one SET. `at`: when it happened, where it says so. `members`: all of it, as it was sent."""

    type: str
    members: Mapping[str, Any]
    at: datetime | None = None

    @property
    def known(self) -> bool:
        return self.type in KNOWN

    def text(self, name: str) -> str:
        """A member that is a text; "" where it is not there, or is none."""
        value = self.members.get(name)
        return value if isinstance(value, str) else ""


def short_name(event_type: str) -> str:
    """`caep/session-revoked` of a known type, `other` of any other: for a record, and for the label of a metric."""
    if event_type not in KNOWN:
        return "other"
    family, _, word = event_type.removeprefix("https://schemas.openid.net/secevent/").partition("/event-type/")
    return f"{family}/{word}"


def read_event(event_type: str, members: object, *, legacy: bool = False) -> Event:
    """An event as it stands in `events`. Raises BadRequestError for one that cannot be understood as what it is.

    `legacy`: the framework's own two types may have the URI from before the final texts.
    """
    if not 1 <= len(event_type) <= MAX_TYPE or not event_type.isprintable():
        raise BadRequestError("the type of an event is no URI")
    if not isinstance(members, dict):
        raise BadRequestError("an event is an object")
    if legacy and event_type.startswith(LEGACY_SSF):
        event_type = SSF + event_type.removeprefix(LEGACY_SSF)
    for name, sound in _MEANT_BY.get(event_type, {}).items():
        if not sound(members.get(name)):
            raise BadRequestError(f"`{name}` of the event is missing, or is not one of its values")
    at = instant(members["event_timestamp"], "event_timestamp") if "event_timestamp" in members else None
    return Event(event_type, members, at)


def instant(value: object, name: str) -> datetime:
    """A NumericDate (RFC 7519 section 2), which some send in milliseconds. Raises BadRequestError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise BadRequestError(f"`{name}` is no number of seconds")
    try:
        return datetime.fromtimestamp(value / 1_000 if value > _MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequestError(f"`{name}` is no number of seconds") from None


_MILLISECONDS: Final = 1e11  # in seconds the year 5138, in milliseconds 1973; the conformance suite sends milliseconds


def _one_of(*values: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and value in values


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _optional_text(value: object) -> bool:
    return value is None or isinstance(value, str)


# Without which nobody can tell what an event says.
_MEANT_BY: Final[Mapping[str, Mapping[str, Callable[[object], bool]]]] = {
    VERIFICATION: {"state": _optional_text},
    STREAM_UPDATED: {"status": _one_of(*STREAM_STATUSES)},
    TOKEN_CLAIMS_CHANGE: {"claims": lambda value: isinstance(value, dict)},
    CREDENTIAL_CHANGE: {"change_type": _one_of(*CREDENTIAL_CHANGES)},
    ASSURANCE_LEVEL_CHANGE: {"current_level": _text},
    DEVICE_COMPLIANCE_CHANGE: {"current_status": _one_of(COMPLIANT, NOT_COMPLIANT)},
    RISK_LEVEL_CHANGE: {"principal": _text, "current_level": _one_of(*RISK_LEVELS)},
}
