"""A record's bytes to a row of the store, and back. Pure.

INVARIANT (byte for byte): `body_of(row_of(segment, seq, body)) == body` for every `body` that a log takes.
What is not a record in its canonical form is kept as it is; the columns that could be read are filled all
the same, so that it is found. The compactor proves the invariant again from what stands in the file.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import msgspec
import pyarrow as pa
from msgspec import UNSET, UnsetType

from pdp.archive.arrow_schema import IN_MEMORY
from pdp.archive.schema import (
    ACTION,
    CONTEXT,
    DEVICE,
    INDEX,
    INPUT,
    PEP,
    POSTURE,
    RECORD,
    RESOURCE,
    SOURCES,
    STEPS,
    SUBJECT,
)
from pdp.declog.record import RECORD_SCHEMA, RECORD_SCHEMA_V1, Record, encode_record, read_record
from pdp.errors import BadRequestError, RecordDamagedError
from pdp.model.input import (
    SCHEMA,
    Action,
    Context,
    Device,
    InputV1,
    Posture,
    Resource,
    Sources,
    Subject,
    decode_input,
    encode_input,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pdp.archive.schema import Column

Row = tuple[Any, ...]
_Part = TypeVar("_Part", bound=msgspec.Struct)

_INT64: Final = range(-(1 << 63), 1 << 63)
_NULL: Final = b"null"
_NO_INPUT: Final[Row] = (None,) * len(INPUT)
FLAG: Final[dict[Any, bool]] = {"true": True, "false": False}
_TEXT_OF_FLAG: Final[dict[Any, str]] = {True: "true", False: "false"}
_INPUT_AT: Final = {column.name: at for at, column in enumerate(INPUT)}
_FLAGS_AT: Final = tuple(at for at, column in enumerate(INPUT) if column.kind == "flag")
_COUNTS_AT: Final = tuple(at for at, column in enumerate(INPUT) if column.kind == "count")
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


@lru_cache(maxsize=4_096)  # the same facts are recorded again for as long as they are cached; some 10 MB
def seen_document(document: bytes) -> tuple[str, Row]:
    """How the document is kept, and its columns."""
    if document == _NULL:
        return "none", _NO_INPUT
    seen = _canonical(document)
    if seen is None:
        return "text", _NO_INPUT
    return "columns", _in_columns(_values_of(seen), 0)


def _in_columns(values: Row, first: int) -> Row:
    """Values of consecutive columns of `INPUT`, from the one at `first` on, as the columns take them."""
    taken = list(values)
    for at in _FLAGS_AT:
        if 0 <= at - first < len(taken):
            taken[at - first] = _TEXT_OF_FLAG.get(taken[at - first], taken[at - first])
    for at in _COUNTS_AT:
        if 0 <= at - first < len(taken) and taken[at - first] == "unknown":
            taken[at - first] = None
    return tuple(taken)


def subject_values(subject: Subject) -> Row:
    """The columns of a document's subject."""
    return _in_columns(_OF_SUBJECT(subject), 0)


def device_values(device: Device) -> Row | None:
    """The columns of a document's device and its posture; None where a number does not fit."""
    posture = device.posture
    if not all(number == "unknown" or number in _INT64 for number in (posture.patch_age_days, posture.age_hours)):
        return None
    return _in_columns((*_OF_DEVICE(device), *_OF_POSTURE(posture)), len(SUBJECT))


def _canonical(document: bytes) -> InputV1 | None:
    """The document where its columns give its bytes back, else None."""
    try:
        seen = decode_input(document)
    except BadRequestError:
        return None
    return seen if encode_input(seen) == document and _fits(seen) else None


def _fits(seen: InputV1) -> bool:
    posture = seen.device.posture
    return all(
        number == "unknown" or number in _INT64
        for number in (posture.patch_age_days, posture.age_hours, seen.resource.sensitivity)
    )


def _values_of(seen: InputV1) -> Row:
    device, context = seen.device, seen.context
    return (
        *_OF_SUBJECT(seen.subject),
        *_OF_DEVICE(device),
        *_OF_POSTURE(device.posture),
        *_OF_RESOURCE(seen.resource),
        seen.action.name,
        *_OF_CONTEXT(context),
        context.sources.posture,
        context.sources.identity,
        context.pep,
    )


def _fields(struct: type[msgspec.Struct], *without: str) -> attrgetter[Row]:
    return attrgetter(*(name for name in struct.__struct_fields__ if name not in without))


_OF_SUBJECT: Final = _fields(Subject)
_OF_DEVICE: Final = _fields(Device, "posture")
_OF_POSTURE: Final = _fields(Posture)
_OF_RESOURCE: Final = _fields(Resource)
_OF_CONTEXT: Final = _fields(Context, "sources", "pep")


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
    if value is not None and value not in _INT64:
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
    return (*_who(_NO_INPUT, subject, device, resource), *record, *_NO_INPUT)


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
            case (("number" | "count"), int()) if not isinstance(value, bool) and value in _INT64:
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
_FIRST_INPUT: Final = INDEX[INPUT[0].name]
_SIZES: Final = tuple(map(len, (SUBJECT, DEVICE, POSTURE, RESOURCE, ACTION, CONTEXT, SOURCES, PEP)))
_PARTS: Final = tuple(slice(end - size, end) for size, end in zip(_SIZES, accumulate(_SIZES), strict=True))
SEEN_PARTS: Final = (
    _PARTS[0], slice(_PARTS[1].start, _PARTS[2].stop), _PARTS[3], _PARTS[4], slice(_PARTS[5].start, _PARTS[7].stop)
)  # fmt: skip
"""Where the columns of subject, device, resource, action and context are among those of `INPUT`."""


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
        "input": msgspec.Raw(_document(row)),
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


def document_of(row: Sequence[Any]) -> bytes:
    """The document that the policy saw, as the record has it. Raises RecordDamagedError."""
    try:
        return _document(row)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        raise RecordDamagedError(f"a row of the store does not give a document: {type(fault).__name__}") from None


def _document(row: Sequence[Any]) -> bytes:
    match row[INDEX["input_form"]]:
        case "none":
            return _NULL
        case "text":
            return bytes(row[INDEX["input_text"]].encode())
        case "columns":
            return encode_input(_input(row))
        case other:
            raise ValueError(other)


def _input(row: Sequence[Any]) -> InputV1:
    values = list(row[_FIRST_INPUT:])
    for at in _FLAGS_AT:
        values[at] = FLAG.get(values[at], values[at])
    for at in _COUNTS_AT:
        values[at] = "unknown" if values[at] is None else values[at]
    parts = [values[part] for part in _PARTS]
    subject, device, posture, resource, action, context, sources, pep = parts
    return InputV1(
        schema=SCHEMA,
        subject=_made(Subject, subject),
        device=_made(Device, [*device, _made(Posture, posture)]),
        resource=_made(Resource, resource),
        action=_made(Action, action),
        context=_made(Context, [*context, _made(Sources, sources), *pep]),
    )


def _made(part: type[_Part], values: list[Any]) -> _Part:
    return part(*values)


# -- tables --------------------------------------------------------------------------------------------


def table_of(rows: Iterable[Row]) -> pa.Table:
    """Rows as an Arrow table in the in-memory schema."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(IN_MEMORY)
    arrays = [_array(list(values), field.type) for values, field in zip(by_column, IN_MEMORY, strict=True)]
    return pa.Table.from_arrays(arrays, schema=IN_MEMORY)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def complete(table: pa.Table) -> pa.Table:
    """The table with the columns of today; what an older store did not know is NULL, and what is not ours goes."""
    for field in IN_MEMORY:
        if field.name not in table.schema.names:
            table = table.append_column(field.name, pa.nulls(table.num_rows, field.type))
    return table.select(IN_MEMORY.names)


def rows_of(table: pa.Table) -> Iterator[Row]:
    """The rows of a table that has the columns of the store, in its order."""
    names = IN_MEMORY.names
    for batch in complete(table).select(names).to_batches(max_chunksize=8_192):
        yield from zip(*(_values(batch.column(name)) for name in names), strict=True)


def _values(array: pa.Array) -> list[Any]:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        words = array.dictionary.to_pylist()
        return [None if at is None else words[at] for at in array.indices.to_pylist()]
    values: list[Any] = array.to_pylist()
    return values
