"""A record's bytes to a row of the store, and back. Pure.

INVARIANT (byte for byte): `body_of(row_of(segment, seq, body)) == body` for every `body` that a log takes.
What is not a record in its canonical form is kept as it is; the columns that could be read are filled all
the same, so that it is found. The compactor proves the invariant again from what stands in the file.
"""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from pdp.archive.documents import NO_DOCUMENT, document_of, seen_document
from pdp.archive.schema import INDEX, INPUT, INT64, RECORD, STEPS
from pdp.declog.record import RECORD_SCHEMA, RECORD_SCHEMA_V1, Record, encode_record, read_record
from pdp.errors import RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.archive.schema import Column

Row = tuple[Any, ...]
"""Values of neighbouring columns; of a whole row, in the order of `COLUMNS`."""

_NULL: Final = b"null"
_INPUT_AT: Final = {column.name: at for at, column in enumerate(INPUT)}
_KNOWN_AT: Final = tuple(_INPUT_AT[name] for name in ("input_subject_id", "input_device_id", "input_resource_id"))
_RECORD_AT: Final = {column.name: at for at, column in enumerate(RECORD)}
_CANONICAL_KEYS: Final = msgspec.json.Encoder(order="deterministic")
_OBLIGATIONS: Final = msgspec.json.Decoder(dict[str, str | int])
_STEP_COLUMNS: Final = frozenset(STEPS)


# -- a record to a row ---------------------------------------------------------------------------------


def row_of(segment: str, seq: int, body: bytes) -> Row:
    """The row of one record, in the order of `COLUMNS`. Never raises for the bytes of a record."""
    try:
        record = read_record(body)
        document = bytes(record.input)
        form, seen = seen_document(document)
        text = document.decode() if form == "text" else None
        who = _who(seen, record.subject_id, record.device_id, record.resource_id)
        return (segment, seq, None, *who, *_record_row(record), form, text, *seen)
    except (RecordDamagedError, _NoColumnError):
        return (segment, seq, body, *_what_can_be_read(body))


class _NoColumnError(Exception):
    """A value that no column holds exactly; the record is then kept as bytes."""


def _record_row(record: Record) -> Row:
    if not _STEP_COLUMNS.issuperset(record.steps_us):
        raise _NoColumnError
    return (
        UUID(record.id).bytes,
        record.kind,
        _time(record.time),
        _time(record.now),
        record.trace_id,
        record.request_id,
        record.wire,
        record.caller_id,
        record.profile,
        _digest(record.token_sha256),
        record.subject_id,
        record.device_id,
        record.resource_id,
        record.action,
        record.session_id,
        record.path,
        record.source_ip,
        record.outcome,
        record.reasons,
        _CANONICAL_KEYS.encode(record.obligations).decode() if record.obligations else None,
        record.required_auth_level,
        _time(record.expires_at),
        record.policy_revision,
        record.bundle_digest,
        _number(record.directory_epoch),
        record.cache,
        *(_number(record.steps_us.get(step)) for step in STEPS),
        record.fault,
        record.error_code,
        record.error_message,
        _digest(record.body_sha256),
        _number(record.body_bytes),
        _digest(record.answer_sha256),
        record.redacted,
        _list(record.erased),
        _list(record.masked),
        None if bytes(record.policy_context) == _NULL else bytes(record.policy_context).decode(),
    )


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text[:-1])
    except ValueError:
        raise _NoColumnError from None
    if instant.isoformat(timespec="microseconds") != text[:-1]:
        raise _NoColumnError  # for example 24:00, which is the next day at 0:00
    return instant


def _who(seen: Row, subject: str | None, device: str | None, resource: str | None) -> Row:
    known = (seen[at] for at in _KNOWN_AT)
    return tuple(
        asked if found is None or found == "unknown" else found
        for found, asked in zip(known, (subject, device, resource), strict=True)
    )


def _digest(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _list(entries: list[str] | UnsetType) -> list[str] | None:
    return None if isinstance(entries, UnsetType) else entries


def _number(value: int | None) -> int | None:
    if value is not None and value not in INT64:
        raise _NoColumnError
    return value


def _what_can_be_read(body: bytes) -> Row:
    """The columns of a record of another form, as far as their values are what the columns hold."""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        found = None
    values = found if isinstance(found, dict) else {}
    record = tuple(_readable(column, values.get(column.name)) for column in RECORD)
    subject, device, resource = (record[_RECORD_AT[name]] for name in ("subject_id", "device_id", "resource_id"))
    return (*_who(NO_DOCUMENT, subject, device, resource), *record, *NO_DOCUMENT)


def _readable(column: Column, value: object) -> Any:  # noqa: PLR0911  # one for each kind
    try:
        match column.kind, value:
            case (("text" | "free_text"), str()):
                return value
            case "uuid", str():
                return UUID(value).bytes
            case "time", str() if value.endswith("Z"):
                return datetime.fromisoformat(value[:-1])
            case "digest", str():
                return bytes.fromhex(value) if len(value) == 64 else None  # noqa: PLR2004  # SHA-256 in hex
            case (("number" | "count"), int()) if not isinstance(value, bool) and value in INT64:
                return value
            case "list", list() if all(isinstance(entry, str) for entry in value):
                return value
    except ValueError:
        return None
    return None


# -- and back ------------------------------------------------------------------------------------------

_RECORD_VALUES: Final = {column.name: INDEX[column.name] for column in RECORD}
_PLAIN: Final = tuple(
    name for name in Record.__struct_fields__ if name in _RECORD_VALUES and name not in {"id", "obligations"}
)
_TAKE: Final = itemgetter(*(_RECORD_VALUES[name] for name in _PLAIN))
_FORMS: Final = {column.name: column.kind for column in RECORD}


def body_of(row: Sequence[Any]) -> bytes:
    """The record as it was appended, from a row in the order of `COLUMNS`. Raises RecordDamagedError."""
    raw = row[INDEX["raw"]]
    if raw is not None:
        return bytes(raw)
    try:
        return encode_record(_record(row))
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise RecordDamagedError(f"a row of the store does not give a record: {type(fault).__name__}") from None


def _record(row: Sequence[Any]) -> Record:
    values = {name: _LIVE[_FORMS[name]](value) for name, value in zip(_PLAIN, _TAKE(row), strict=True)}
    values["reasons"] = values["reasons"] or []
    values["redacted"] = values["redacted"] or []
    first = values["erased"] is None  # version 1 has neither of the two lists, version 2 both
    values["erased"], values["masked"] = (UNSET, UNSET) if first else (values["erased"], values["masked"])
    context = values["policy_context"]
    obligations = row[_RECORD_VALUES["obligations"]]
    steps = ((step, row[_RECORD_VALUES[f"step_{step}_us"]]) for step in STEPS)
    values |= {
        "schema": RECORD_SCHEMA_V1 if first else RECORD_SCHEMA,
        "id": _uuid_text(row[_RECORD_VALUES["id"]]),
        "obligations": {} if obligations is None else _OBLIGATIONS.decode(obligations),
        "steps_us": {step: taken for step, taken in steps if taken is not None},
        "policy_context": msgspec.Raw(_NULL if context is None else context.encode()),
        "input": msgspec.Raw(document_of(row)),
    }
    return Record(**values)


def _same(value: Any) -> Any:
    return value


def _time_text(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant.isoformat(timespec='microseconds')}Z"


def _digest_text(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()


_LIVE: Final[dict[str, Callable[[Any], Any]]] = {
    "text": _same,
    "free_text": _same,
    "number": _same,
    "list": _same,
    "time": _time_text,
    "digest": _digest_text,
}


def _uuid_text(value: bytes | UUID | str) -> str:
    """DuckDB gives a uuid as its text."""
    if isinstance(value, str):
        return str(UUID(value))
    text = (value.bytes if isinstance(value, UUID) else value).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
