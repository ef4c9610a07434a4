"""One event of an OPA's decision log as a record of ours. Pure.

What the OPA decided is told as it said it (`policy_context.result`); `outcome` is our reading of it, for queries: what
is not plainly an allow is none. The record's own id is new, because our log finds a record by the time in its id; the
event's `decision_id` is the record's `request_id`. `now` is the event's time, to the microsecond (OPA writes nine
digits; all of them stand in `policy_context.timestamp`).

Kept are the labels, bundles, result and the other members that say what happened. Not kept: `metrics`,
`nd_builtin_cache` and `intermediate_results`, which are large, and hold answers of `http.send`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from pdp.declog.marks import rfc3339
from pdp.declog.record import MAX_TEXT, RECORD_SCHEMA, Record, encode_record
from pdp.opa_sink.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WIRE: Final = "opa-log"
MOST_RECORD: Final = 768 * 1024  # of one record; the log takes 1 MiB
_NULL: Final = msgspec.Raw(b"null")
_ABSENT: Final = msgspec.Raw(b"")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_TRACE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_SAID: Final = ("allow", "allowed", "decision")  # of an object: plain policies, the Envoy plugin's, AuthZEN
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_decode: Final = msgspec.json.Decoder().decode

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Event(msgspec.Struct, frozen=True):
    """The members that are read; standards 6.3. The first three are required, all others may be absent."""

    labels: dict[str, str]
    decision_id: Id
    timestamp: str
    batch_decision_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    revision: str | None = None
    bundles: dict[str, Any] | None = None
    path: str | None = None
    query: str | None = None
    input: msgspec.Raw = _ABSENT
    result: msgspec.Raw = _ABSENT
    mapped_result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    erased: list[str] | None = None
    masked: list[str] | None = None
    requested_by: str | None = None
    req_id: int | None = None
    rule_labels: Any = None
    custom: Any = None
    request_context: Any = None


def read_event(text: bytes) -> Event | None:
    """None for what is no event."""
    try:
        return msgspec.json.decode(text, type=Event)
    except (ValueError, RecursionError):
        return None


def event_record(
    event: Event, *, record_id: str, at: datetime, caller_id: str, mask: Callable[[Record], Record] | None = None
) -> bytes:
    """The record of one event, as `mask` leaves it. Raises RecordFailedError where it cannot be written down."""
    document, pointers = _document(event.input)
    outcome, reason = _outcome(event)
    asked = _asked(event.input)
    record = Record(
        schema=RECORD_SCHEMA,
        id=record_id,
        kind="decision",
        time=rfc3339(at),
        now=_instant(event.timestamp),
        trace_id=event.trace_id if event.trace_id and _TRACE.fullmatch(event.trace_id) else None,
        request_id=event.decision_id,
        wire=WIRE,
        caller_id=caller_id,
        profile="plain",
        subject_id=asked.get("subject"),
        resource_id=asked.get("resource"),
        action=asked.get("action"),
        path=_cut(event.path),
        outcome=outcome,
        reasons=[reason],
        policy_revision=_cut(_revision(event)),
        redacted=pointers,
        erased=[],
        masked=[],
        policy_context=_context(event),
        input=document,
    )
    mask = mask or _as_it_is
    line = encode_record(mask(record))
    if len(line) <= MOST_RECORD:
        return line
    # What happened is kept, and what does not fit is said to be gone: an event that is refused is sent for ever.
    short = msgspec.Raw(
        _encode({"decision_id": event.decision_id, "timestamp": event.timestamp, "shortened": len(line)})
    )
    return encode_record(mask(msgspec.structs.replace(record, input=_NULL, policy_context=short, redacted=[""])))


def _as_it_is(record: Record) -> Record:
    return record


def odd_record(text: bytes, *, record_id: str, at: datetime, caller_id: str) -> bytes:
    """The record of an entry that is no event: its digest and size, as of every refused body."""
    record = Record(
        schema=RECORD_SCHEMA,
        id=record_id,
        kind="refusal",
        time=rfc3339(at),
        wire=WIRE,
        caller_id=caller_id,
        outcome="deny",
        reasons=["OPA_UNREADABLE"],
        error_code="bad_request",
        error_message="the entry is not an event of a decision log",
        body_sha256=sha256(text).hexdigest(),
        body_bytes=len(text),
        erased=[],
        masked=[],
    )
    return encode_record(record)


def _outcome(event: Event) -> tuple[Literal["allow", "deny"], str]:
    if event.error not in (_ABSENT, _NULL):
        return "deny", "OPA_ERROR"
    if event.result == _ABSENT:
        return "deny", "OPA_UNDEFINED"
    result = _value(event.result)
    if isinstance(result, dict):
        said = [result[name] for name in _SAID if name in result]
        result = said[0] if len(said) == 1 else None
    if result is True:
        return "allow", "OPA_ALLOW"
    return ("deny", "OPA_DENY") if result is False else ("deny", "OPA_NO_DECISION")


def _document(raw: msgspec.Raw) -> tuple[msgspec.Raw, list[str]]:
    """Always written anew: a name that stands twice would otherwise hide a secret from the reader that redacts."""
    if raw == _ABSENT:
        return _NULL, []
    try:
        value, pointers = redacted(_decode(raw))
        return msgspec.Raw(_encode(value)), pointers
    except (ValueError, TypeError, OverflowError, RecursionError):
        return _NULL, [""]


def _context(event: Event) -> msgspec.Raw:
    members: dict[str, Any] = {
        name: value
        for name in ("result", "mapped_result", "error")
        if (raw := getattr(event, name)) != _ABSENT and (value := _value(raw)) is not None
    }
    for name in (
        "decision_id", "timestamp", "labels", "bundles", "revision", "path", "query", "batch_decision_id", "span_id",
        "erased", "masked", "requested_by", "req_id", "rule_labels", "custom", "request_context",
    ):  # fmt: skip
        if (value := getattr(event, name)) is not None:
            members[name] = value
    try:
        return msgspec.Raw(_encode(redacted(members)[0]))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return msgspec.Raw(_encode({"decision_id": event.decision_id, "timestamp": event.timestamp}))


def _asked(raw: msgspec.Raw) -> dict[str, str]:
    """Subject, resource and action of an input in AuthZEN's form; nothing is guessed for others."""
    value = _value(raw) if raw != _ABSENT else None
    if not isinstance(value, dict):
        return {}
    found: dict[str, str] = {}
    for part, key in (("subject", "id"), ("resource", "id"), ("action", "name")):
        entity = value.get(part)
        named = entity.get(key) if isinstance(entity, dict) else None
        if isinstance(named, str):
            found[part] = named[:MAX_TEXT]
    return found


def _revision(event: Event) -> str | None:
    names: Mapping[str, Any] = event.bundles or {}
    known = [
        f"{name}={bundle['revision']}"
        for name, bundle in sorted(names.items())
        if isinstance(bundle, dict) and isinstance(bundle.get("revision"), str)
    ]
    return ",".join(known) or event.revision


def _instant(text: str) -> str | None:
    shape = _TIME.fullmatch(text)
    if shape is None:
        return None
    try:
        instant = datetime.fromisoformat(f"{shape[1]}.{(shape[2] or '0')[:6]:0<6}{shape[3]}")
        return rfc3339(instant.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _value(raw: msgspec.Raw) -> Any:
    try:
        return _decode(raw)
    except (ValueError, RecursionError):
        return None


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
