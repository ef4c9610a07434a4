"""One thing that somebody did or asked, as the trail keeps it. Pure: no clock, no disk.

`sekisho.trail/v1` is one JSON object, every key always present, in the order of `Event`. What takes long is two
events: one `begun`, before the first byte of the answer, and one that names it in `of` and says how it ended.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args
from uuid import UUID

import msgspec

from pdp.declog.marks import rfc3339
from pdp.errors import RecordDamagedError, RecordFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

TRAIL_SCHEMA: Final = "sekisho.trail/v1"

ActorKind = Literal["caller", "person", "os_user", "system"]
Outcome = Literal["begun", "done", "refused", "failed"]
"""`refused`: they may not. `failed`: they may, and got no answer. `begun`: an answer that is being handed over."""

Action = Literal[
    "audit.query",  # decisions, a page or a single one
    "audit.count",
    "audit.group",
    "audit.report",
    "audit.sql",
    "audit.export",
    "audit.proof",
    "audit.columns",
    "audit.reports",
    "audit.queries",  # saved queries: looked at
    "audit.queries.save",
    "audit.queries.delete",
    "audit.reveal",
    "audit.trail",
    "audit.replay",
    "audit.explain",
    "audit.verify",
    "audit.restore",
    "audit.hold.list",
    "audit.hold.place",
    "audit.hold.lift",
    "audit.retention",
    "audit.mask",
    "audit.pseudonymise",
    "audit.subject_export",
    "directory.read",
    "callers.read",
    "console.login",
    "console.logout",
    "console.page",  # only where it is refused
    "console.sessions",
    "console.sessions.end",
    "policy.draft",
    "policy.edit",
    "policy.check",
    "policy.submit",
    "policy.withdraw",
    "policy.discard",
    "policy.approve",
    "policy.reject",
    "policy.endorse",
    "policy.schedule",
    "policy.unschedule",
    "policy.activate",
    "policy.rollback",
    "policy.renew",
    "policy.review",
    "export.apply",  # rules into a vendor's tenant
    "export.step",
    "export.drift",
    "export.fill",  # people and devices into the groups and attributes that rules name
    "cut_off.add",  # an address, at once
    "cut_off.lift",
    "ssf.stream.status",  # of a stream of security events that another house asked for
    "ssf.stream.verify",
    "ssf.stream.delete",
    "ssf.keys.rotate",
    "ssf.receive",  # a security event of another house: what it said, and what it did here
    "ssf.events",  # those that were taken were looked at
    "ssf.verify",  # a stream's transmitter was asked to show that it is there
    "ssf.lift",  # what a signal held
    "policy.job",
    "policy.job.cancel",
    "policy.request",
    "policy.export",
    "exception.ask",
    "exception.grant",
    "exception.refuse",
    "exception.withdraw",
    "exception.end",
]
ACTIONS: Final = frozenset(get_args(Action))

MAX_TEXT: Final = 20_000  # characters of one parameter: as long as the longest statement that is taken
MAX_PARAMETERS: Final = 64
MAX_LIST: Final = 256
MAX_REASON: Final = 500  # characters; a sentence and a file number
MAX_NAME: Final = 256

Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")]
Parameter = str | int | bool | list[str] | None


class Actor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who: a caller by its id, a person at the console, a user of the operating system by name, or a task of ours.

    `roles`: by what right.
    """

    kind: ActorKind
    id: str
    roles: list[str] = []


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`object` is what was looked at or changed, where it is one thing. `rows` and `answer_sha256` are of the answer.

    `error` is the code of a refusal or a failure. `peer` is the address it came from.
    """

    schema: Literal["sekisho.trail/v1"]
    id: str
    time: Time
    actor: Actor
    action: str
    object: str | None = None
    parameters: dict[str, Parameter] = {}
    reason: str | None = None
    outcome: Outcome
    rows: Annotated[int, msgspec.Meta(ge=0)] | None = None
    answer_sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None
    error: str | None = None
    of: str | None = None
    peer: str | None = None


_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(Event)


def event_of(  # noqa: PLR0913  # what an event says is much, and each has its name
    event_id: str,
    now: datetime,
    actor: Actor,
    action: Action,
    outcome: Outcome,
    *,
    object: str | None = None,  # noqa: A002  # the word of the record
    parameters: Mapping[str, Any] | None = None,
    reason: str | None = None,
    rows: int | None = None,
    answer_sha256: str | None = None,
    error: str | None = None,
    of: str | None = None,
    peer: str | None = None,
) -> Event:
    """An event with everything within its bounds: what is longer is cut, and ends with its digest.

    Raises RecordFailedError for an action that is none.
    """
    if action not in ACTIONS:
        raise RecordFailedError(f"`{action}` is no action of the trail")
    return Event(
        schema=TRAIL_SCHEMA,
        id=event_id,
        time=rfc3339(now),
        actor=Actor(kind=actor.kind, id=_bounded(actor.id, MAX_NAME), roles=sorted(actor.roles)),
        action=action,
        object=None if object is None else _bounded(object, MAX_NAME),
        parameters=_parameters(parameters or {}),
        reason=None if reason is None else _bounded(reason, MAX_REASON),
        outcome=outcome,
        rows=rows,
        answer_sha256=answer_sha256,
        error=error,
        of=of,
        peer=peer,
    )


def encode_event(event: Event) -> bytes:
    """One line. Raises RecordFailedError for what JSON cannot hold, such as half a character."""
    try:
        return _ENCODER.encode(event)
    except (ValueError, TypeError, RecursionError):
        raise RecordFailedError("the event cannot be written as JSON") from None


def read_event(line: bytes) -> Event:
    """An event as it was written. Raises RecordDamagedError for anything that `encode_event` would not have written."""
    try:
        event = _DECODER.decode(line)
        canonical = _ENCODER.encode(event) == line and str(UUID(event.id)) == event.id
    except (ValueError, RecursionError) as fault:
        raise RecordDamagedError(f"the line is not an event of `{TRAIL_SCHEMA}`: {fault}") from None
    if not canonical:
        raise RecordDamagedError(f"the line is not an event of `{TRAIL_SCHEMA}` in its canonical form")
    return event


def _parameters(given: Mapping[str, Any]) -> dict[str, Parameter]:
    kept = sorted(given.items())[:MAX_PARAMETERS]
    found = {_bounded(str(name), MAX_NAME): _parameter(value) for name, value in kept}
    if len(given) > MAX_PARAMETERS:
        found["…"] = len(given) - MAX_PARAMETERS
    return found


def _parameter(value: Any) -> Parameter:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return _texts([str(entry) for entry in value])
    return _bounded(str(value), MAX_TEXT)


def _texts(values: Sequence[str]) -> list[str]:
    kept = [_bounded(value, MAX_TEXT) for value in values[:MAX_LIST]]
    return kept if len(values) <= MAX_LIST else [*kept, f"… {len(values) - MAX_LIST}"]


def _bounded(text: str, most: int) -> str:
    """As it was asked, as far as it is no longer than any good question; never half a character."""
    whole = text.encode("utf-8", "replace").decode()
    if len(whole) <= most:
        return whole
    return f"{whole[: max(0, most - 66)]}… {sha256(whole.encode()).hexdigest()}"[:most]
