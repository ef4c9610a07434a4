"""An event that was taken becomes what it asks for: one transaction, with the event's own row in it.

INVARIANT (once in effect): the row moves from `taken` to `acted` in the very transaction that makes the marks and the
holds. A service that dies before the commit has done nothing, and does it after its next start; one that dies after
it has done everything, and never does it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.directory.changes import Change
from pdp.directory.holds import Hold, set_hold
from pdp.errors import BadRequestError
from pdp.identity.revocations import KEPT, revoke_within
from pdp.ssf import events
from pdp.ssf.receiving import inbox, register
from pdp.ssf.receiving.meaning import intents_of, scope_of, whom
from pdp.ssf.receiving.resolving import SOURCE_PREFIX, Found

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.identity.revocations import MarkKind
    from pdp.model.signal_stream import SignalEffect, SignalStream
    from pdp.signals.port import Kind
    from pdp.ssf.events import Event
    from pdp.ssf.receiving.inbox import Taken
    from pdp.ssf.receiving.meaning import Intent, Whom
    from pdp.ssf.receiving.resolving import Named, Resolver
    from pdp.ssf.token import SecurityEventToken
    from pdp.store.store import Store

# What became of an event; docs/shared-signals.md explains each.
OUTCOMES: Final = (
    "acted",
    "unchanged",  # what it asks for was so already, or something newer said otherwise
    "no_effect",  # its type is only written down
    "unknown_type",
    "not_allowed",  # by the stream's `effects`
    "subject_unknown",
    "subject_ambiguous",
    "other_organisation",
    "other_tenant",
    "critical_member",
    "too_old",
    "stream_unknown",  # of a stream that no worker knows any more
    "verified",
    "stream_updated",
)


@dataclass(frozen=True, slots=True)
class Acted:
    """`done`: in words, for the record. `changed`: what the other workers have to look at."""

    outcome: str
    done: tuple[str, ...] = ()
    changed: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Acting:
    """What one stream's events can do."""

    stream: SignalStream
    resolver: Resolver


def unread(stream: SignalStream, critical: frozenset[str], token: SecurityEventToken) -> str:
    """`critical_member` where the subject has a critical member that nobody here reads, else "".

    SSF 1.0 section 9.1: such an event is not for the receiver to act on. Asked when a SET is taken, since it is then
    that the transmitter's own word on what is critical is at hand.
    """
    named = whom(token.event, token.subject)
    unreadable = named.further | ({"tenant"} if named.tenants and not stream.tenants else set())
    return "critical_member" if unreadable & critical else ""


def act(store: Store, event_id: int, streams: Mapping[str, Acting], now: datetime) -> tuple[Taken, Acted] | None:
    """Do what the event asks for; None where that was done already. Raises DirectoryError: then nothing was done."""
    with store.write() as connection:
        taken = inbox.lock_taken(connection, event_id)
        if taken is None:
            return None
        acting = streams.get(taken.stream)
        work = _Work(connection, acting, taken, now) if acting is not None else None
        acted = Acted("stream_unknown") if work is None else work.do()
        inbox.note_acted(connection, event_id, acted.outcome, acted.done, now)
        return taken, acted


class _Work:
    """The doing of one event."""

    def __init__(self, connection: Connection, acting: Acting, taken: Taken, now: datetime) -> None:
        self._connection = connection
        self._stream = acting.stream
        self._resolver = acting.resolver
        self._event: Event = taken.event
        self._known = taken.outcome
        self._subject = taken.subject
        self._whom: Whom = whom(taken.event, taken.subject)
        # A clock that goes ahead shuts nobody out who logs in later, and outruns no event that came after this one.
        self._at = min(taken.happened_at, taken.received_at)
        self._now = now
        self._done: list[str] = []
        self._faults: list[str] = []
        self._changed: set[Kind] = set()

    def do(self) -> Acted:
        if self._event.type in (events.VERIFICATION, events.STREAM_UPDATED):
            return self._of_the_stream()
        intents = intents_of(self._event)
        if not intents:
            return Acted("no_effect" if self._event.known else "unknown_type")
        allowed = [intent for intent in intents if intent.effect in self._stream.effects]
        if refused := self._refused() or ("" if allowed else "not_allowed"):
            return Acted(refused)
        for intent in allowed:  # marks before holds: the order in which everybody locks the registers
            if intent.deed not in ("hold", "lift"):
                self._end(intent)
        if holds := [intent for intent in allowed if intent.deed in ("hold", "lift")]:
            self._hold(holds)
        if self._done:
            return Acted("acted", tuple(self._done), frozenset(self._changed))
        return Acted(self._faults[0] if self._faults else "unchanged")

    def _of_the_stream(self) -> Acted:
        if self._event.type == events.VERIFICATION:
            return Acted("verified")  # it was held against what was asked for when it was taken
        status, reason = self._event.text("status"), self._event.text("reason")
        register.note_status(self._connection, self._stream.name, status, reason)
        return Acted("stream_updated", (f"the transmitter says {status}",))

    def _refused(self) -> str:
        """Why an event that asks for something is not for us to act on; "" where it is."""
        if self._known:
            return self._known
        ours, named = self._stream.tenants, self._whom.tenants
        if ours and (named or "tenant" in self._whom.further) and not any(one.values[-1] in ours for one in named):
            return "other_tenant"
        return ""

    def _end(self, intent: Intent) -> None:
        if self._at <= self._now - KEPT:
            self._faults.append("too_old")  # nothing that was issued then is believed any more
            return
        for kind, found in self._ends(intent):
            if found.fault:
                self._faults.append(found.fault)
            for mark in found.marks:
                self._mark(kind, mark)

    def _ends(self, intent: Intent) -> list[tuple[MarkKind, Found]]:
        """What is to be marked. Where sessions have other names than ours, a session ends with all of its person's.

        Whose a session or a token is, only the person says who is named beside it.
        """
        who = self._whom
        users: list[tuple[MarkKind, Found]] = []
        if who.users:
            users = [("subject", self._resolver.users(self._connection, who.users))]
        by_session = who.users != who.sessions  # else one name, of a person or of a session
        if by_session and any(found.fault == "other_organisation" for _, found in users):
            return users
        tokens: list[tuple[MarkKind, Found]] = [("token", self._resolver.tokens(who.tokens))] if who.tokens else []
        if intent.deed == "end_token":
            return tokens
        session: tuple[MarkKind, Found] = ("session", self._resolver.sessions(who.sessions))
        if who.sessions and self._stream.session_ids == "sid" and by_session and intent.deed == "end_session":
            return [session, *tokens]
        if who.sessions and (self._stream.session_ids == "sid" or not any(found.marks for _, found in users)):
            users = [*(one for one in users if one[1].marks), session]
        return [*users, *tokens] or [("subject", _nobody())]

    def _mark(self, kind: MarkKind, mark: Named) -> None:
        try:
            at = min(self._at, self._now)  # whoever took it may have another clock
            made = revoke_within(self._connection, kind, mark.id, at=at, now=self._now, issuer=mark.issuer)
        except BadRequestError:  # a name that no token can have
            self._faults.append("subject_unknown")
            return
        whose = f" of {mark.issuer}" if mark.issuer else ""
        self._done.append(f"{kind} {mark.id}{whose} ended as of {made.not_before.isoformat()}")
        self._changed.add("revocations")

    def _hold(self, intents: list[Intent]) -> None:
        found = [(intent, self._held(intent)) for intent in intents]
        inside = Change(self._connection, self._now)
        for intent, rows in found:
            register = "users" if intent.effect == "hold_accounts" else "devices"
            assert intent.cause is not None  # of every hold
            if rows.fault:
                self._faults.append(rows.fault)
            source, held = self._source(intent.effect), intent.deed == "hold"
            for id_ in rows.ids:
                if set_hold(inside, Hold(register, id_, source, intent.cause, held, self._at, self._now)):  # type: ignore[arg-type]  # one of two words
                    self._done.append(f"{register} {id_} {'held' if held else 'no longer held'} ({intent.cause})")
                    self._changed.add("directory")
        inside.finish()

    def _source(self, effect: SignalEffect) -> str:
        """Whose the hold is: `ssf:STREAM`, and of what narrows the subject a digest."""
        scope = scope_of(effect, self._subject, self._stream.issuer, self._stream.tenants)
        return SOURCE_PREFIX + self._stream.name + (f"/{scope}" if scope else "")

    def _held(self, intent: Intent) -> Found:
        if intent.effect == "hold_devices":
            return self._resolver.devices(self._connection, self._whom.devices)
        found = self._resolver.users(self._connection, self._whom.users)
        return found if found.ids or found.fault else _nobody()


def _nobody() -> Found:
    return Found(fault="subject_unknown")
