"""What an event asks for, and of whom: pure, and a table (docs/shared-signals.md has the same one for people).

INVARIANT (only ever narrower): an event ends sessions, or holds an account or a device. What it can lift is a hold
of the same stream. No event gives anybody anything that the registers do not give.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.ssf import events
from pdp.ssf.subjects import Complex, identifiers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from pdp.directory.holds import Cause
    from pdp.model.signal_stream import SignalEffect
    from pdp.ssf.events import Event
    from pdp.ssf.subjects import Simple, Subject

Deed = Literal["end_session", "end_sessions", "end_token", "hold", "lift"]


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing to do. `effect`: which of the stream's effects allows it. `cause`: of a hold.

    `end_session`: the one that is named, where its name is known here, else all of its person's.
    """

    deed: Deed
    effect: SignalEffect
    cause: Cause | None = None


_END: Final = Intent("end_sessions", "end_sessions")
_END_SESSION: Final = Intent("end_session", "end_sessions")
_END_TOKEN: Final = Intent("end_token", "end_sessions")
_HOLD_ACCOUNT: Final = Intent("hold", "hold_accounts", "account")


def intents_of(event: Event) -> tuple[Intent, ...]:
    """What to do because of this event; nothing for one that is only written down, or that nobody knows."""
    meaning = _MEANINGS.get(event.type)
    return () if meaning is None else meaning(event)


def _always(*intents: Intent) -> Callable[[Event], tuple[Intent, ...]]:
    return lambda _: intents


def _credential_change(event: Event) -> tuple[Intent, ...]:
    """Whoever logged in with what is gone logs in again; a new credential is nobody's loss."""
    return (_END,) if event.text("change_type") in ("revoke", "delete") else ()


def _assurance_level_change(event: Event) -> tuple[Intent, ...]:
    """The level of a running session is its token's. Where it has sunk, a new log-in says what it is now.

    Names of levels are agreed between houses: without a direction nobody here can compare two of them.
    """
    direction = event.text("change_direction")
    if direction not in events.LEVEL_DIRECTIONS:
        before, after = event.text("previous_level"), event.text("current_level")
        return (_END_SESSION,) if before and before != after else ()
    return (_END_SESSION,) if direction == "decrease" else ()


def _device_compliance_change(event: Event) -> tuple[Intent, ...]:
    sound = event.text("current_status") == events.COMPLIANT
    return (Intent("lift" if sound else "hold", "hold_devices", "compliance"),)


def _risk_level_change(event: Event) -> tuple[Intent, ...]:
    """A person at high risk proves again who it is; a device at high risk is kept out until the risk is lower."""
    high, principal = event.text("current_level") == "HIGH", event.text("principal").upper()
    if principal == "DEVICE":
        return (Intent("hold" if high else "lift", "hold_devices", "risk"),)
    if principal == "SESSION":
        return (_END_SESSION,) if high else ()
    return (_END,) if high and principal == "USER" else ()


_MEANINGS: Final[Mapping[str, Callable[[Event], tuple[Intent, ...]]]] = {
    events.SESSION_REVOKED: _always(_END_SESSION),
    events.TOKEN_CLAIMS_CHANGE: _always(_END_TOKEN),  # a token with old claims ends; of anything else we keep none
    events.CREDENTIAL_CHANGE: _credential_change,
    events.ASSURANCE_LEVEL_CHANGE: _assurance_level_change,
    events.DEVICE_COMPLIANCE_CHANGE: _device_compliance_change,
    events.RISK_LEVEL_CHANGE: _risk_level_change,
    events.SESSIONS_REVOKED: _always(_END),
    events.ACCOUNT_DISABLED: _always(_END, _HOLD_ACCOUNT),
    events.ACCOUNT_PURGED: _always(_END, _HOLD_ACCOUNT),
    events.ACCOUNT_ENABLED: _always(Intent("lift", "hold_accounts", "account")),
    events.ACCOUNT_CREDENTIAL_CHANGE_REQUIRED: _always(_END),
    events.CREDENTIAL_COMPROMISE: _always(_END),
    events.IDENTIFIER_RECYCLED: _always(_END),  # the name is somebody else's from now on
}


@dataclass(frozen=True, slots=True)
class Whom:
    """Whom an event is about, as it names them.

    `further`: members of a complex subject that nobody here reads, for what they are or for their format.
    """

    users: tuple[Simple, ...] = ()
    sessions: tuple[Simple, ...] = ()
    tokens: tuple[Simple, ...] = ()
    devices: tuple[Simple, ...] = ()
    tenants: tuple[Simple, ...] = ()
    further: frozenset[str] = field(default_factory=frozenset)


_MEMBERS: Final = ("user", "session", "device", "tenant")
_ABOUT: Final[Mapping[SignalEffect, frozenset[str]]] = {
    "hold_accounts": frozenset({"user"}),
    "hold_devices": frozenset({"device", "user", "session"}),  # who uses it says nothing of a device
}


def scope_of(effect: SignalEffect, subject: Subject, issuer: str, tenants: Collection[str]) -> str:
    """What a hold is bound to beside its person or device, as a digest; "" for nothing.

    The attack: an account is disabled in one tenant, or altogether, and an event that it is enabled in another one, or
    in one application, lets it in. We hold it altogether, so only an event of the very scope lifts that. A device's
    name is bound to whoever gave it, where that is not `issuer`, the transmitter itself. `tenants`: the stream's own;
    where it has but one, that one narrows nothing.
    """
    members = dict(subject.members) if isinstance(subject, Complex) else {}
    apart = {name: one for name, one in members.items() if name not in _ABOUT[effect]}
    if len(tenants) == 1:
        apart.pop("tenant", None)
    bound: list[object] = [[name, one.to_json()] for name, one in sorted(apart.items())]
    if effect == "hold_devices":
        device = members.get("device", subject)
        givers = {one.values[0] for one in identifiers_of(device) if one.format == "iss_sub"}
        bound += sorted(givers - {issuer})
    return sha256(msgspec.json.encode(bound, order="deterministic")).hexdigest()[:16] if bound else ""


def whom(event: Event, subject: Subject) -> Whom:
    """Who is meant. A subject that is not complex is what the event's type is about."""
    if isinstance(subject, Complex):
        named = {name: identifiers_of(one) for name, one in subject.members}
        sessions = named.get("session", ())
        return Whom(
            users=named.get("user", ()),
            sessions=tuple(one for one in sessions if one.format != "jwt_id"),
            tokens=tuple(one for one in sessions if one.format == "jwt_id"),
            devices=named.get("device", ()),
            tenants=named.get("tenant", ()),
            further=frozenset(name for name, ids in named.items() if name not in _MEMBERS or not ids),
        )
    these = identifiers_of(subject)
    principal = event.text("principal").upper() if event.type == events.RISK_LEVEL_CHANGE else ""
    if event.type == events.DEVICE_COMPLIANCE_CHANGE or principal == "DEVICE":
        return Whom(devices=these)
    tokens = tuple(one for one in these if one.format == "jwt_id")
    rest = tuple(one for one in these if one.format != "jwt_id")
    if principal == "SESSION":
        return Whom(sessions=rest, tokens=tokens)
    # By the text's own examples an opaque id can be a person's or a session's. It is no harm to ask for both.
    opaque = tuple(one for one in rest if one.format == "opaque")
    return Whom(users=rest, sessions=opaque, tokens=tokens)
