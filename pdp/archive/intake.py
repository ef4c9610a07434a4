"""Many records at once to a table: what `rows.row_of` does for one, in a tenth of the time. Pure.

Records of minutes repeat each other: the same person, terminal, system, place. So a document is taken apart into its
parts, each part that was seen before is looked up by its bytes, and the columns of parts are spread over the rows
at the end; of the record itself the columns are made at once, not value by value. Whatever is not an ordinary record
goes through `row_of`, and so does a whole batch in which one value does not fit its column.

INVARIANT (byte for byte): `bodies.bodies_of(intake.table())` are the bodies that were added; `tests/properties` hold
intake and `row_of` together, and the compactor proves it again from what stands in the file.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pdp.archive.arrow_schema import IN_MEMORY
from pdp.archive.arrow_tables import table_of
from pdp.archive.documents import NO_DOCUMENT, SEEN_PARTS, device_values, seen_document, subject_values
from pdp.archive.instants import micros_of
from pdp.archive.rows import row_of
from pdp.archive.schema import INPUT, RECORD, STEPS
from pdp.declog.record import Record, read_record
from pdp.errors import RecordDamagedError
from pdp.model.input import SCHEMA, Device, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.archive.schema import Column

_PARTS: Final = ("subject", "device", "resource", "action", "context")
_NO_PARTS: Final = (-1,) * len(_PARTS)
_AT_ONCE: Final = 2_048
_NULL: Final = b"null"
_MOST_PARTS: Final = 200_000  # remembered over segments; with their values some 200 MB at the very most


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    schema: str
    subject: msgspec.Raw
    device: msgspec.Raw
    resource: msgspec.Raw
    action: msgspec.Raw
    context: msgspec.Raw


_DOCUMENT: Final = msgspec.json.Decoder(_Document)
_OUTLINE: Final = f'{{"schema":"{SCHEMA}","subject":%b,"device":%b,"resource":%b,"action":%b,"context":%b}}'.encode()
_SUBJECT: Final = msgspec.json.Decoder(Subject)
_DEVICE: Final = msgspec.json.Decoder(Device)
_ENCODE: Final = msgspec.json.Encoder().encode
_SORTED: Final = msgspec.json.Encoder(order="deterministic").encode
_OF_RECORD: Final = attrgetter(*Record.__struct_fields__)
_AT: Final = {name: at for at, name in enumerate(Record.__struct_fields__)}
_KNOWN_STEPS: Final = frozenset(STEPS)


class Parts:
    """The parts of documents that were seen, by their bytes, with the values of their columns; kept over segments."""

    def __init__(self, most: int = _MOST_PARTS) -> None:
        self._most: Final = most
        self._numbers: tuple[dict[bytes, int], ...] = tuple({} for _ in _PARTS)
        self._values: tuple[list[Sequence[Any]], ...] = tuple([] for _ in _PARTS)

    def of(self, document: bytes) -> tuple[int, ...] | None:
        """The number of each of its five parts; None where the document is not kept in columns."""
        try:
            found = _DOCUMENT.decode(document)
        except (ValueError, RecursionError):
            return None
        subject, device = bytes(found.subject), bytes(found.device)
        rest = bytes(found.resource), bytes(found.action), bytes(found.context)
        if found.schema != SCHEMA or _OUTLINE % (subject, device, *rest) != document:
            return None
        subjects, devices, *others = self._numbers
        # No rule of `pdp.input/v1` ties one part to another, so parts that were each found good are good together.
        try:
            resource, action, context = (known[part] for known, part in zip(others, rest, strict=True))
            at_subject = subjects[subject] if subject in subjects else self._own(0, subject, _SUBJECT, subject_values)
            at_device = devices[device] if device in devices else self._own(1, device, _DEVICE, device_values)
        except KeyError:
            return self._whole(document, (subject, device, *rest))
        return None if at_subject is None or at_device is None else (at_subject, at_device, resource, action, context)

    def values(self, at: int, number: int) -> Sequence[Any]:
        return self._values[at][number]

    def forget(self) -> None:
        """Between two segments: keep memory bounded."""
        for numbers, values in zip(self._numbers, self._values, strict=True):
            if len(numbers) > self._most:
                numbers.clear()
                values.clear()

    def _whole(self, document: bytes, parts: tuple[bytes, ...]) -> tuple[int, ...] | None:
        form, values = seen_document(document)
        if form != "columns":
            return None
        places = enumerate(zip(parts, SEEN_PARTS, strict=True))
        return tuple(self._number(at, part, values[place]) for at, (part, place) in places)

    def _own(self, at: int, part: bytes, decoder: Any, values_of: Callable[[Any], Sequence[Any] | None]) -> int | None:
        try:
            found = decoder.decode(part)
        except (ValueError, RecursionError):
            return None
        values = values_of(found)
        return None if values is None or _ENCODE(found) != part else self._number(at, part, values)

    def _number(self, at: int, part: bytes, values: Sequence[Any]) -> int:
        number = self._numbers[at].setdefault(part, len(self._values[at]))
        if number == len(self._values[at]):
            self._values[at].append(values)
        return number


class Intake:
    """Takes the records of one segment and gives them as a table. Never raises for the bytes of a record."""

    def __init__(self, segment: str, parts: Parts | None = None) -> None:
        self._segment = segment
        self._parts = parts or Parts()
        # Of a few records at a time: what the collector would look through again and again stays short.
        self._bodies: list[tuple[int, bytes]] = []
        self._records: list[tuple[Any, ...]] = []
        self._documents: list[tuple[int, ...]] = []
        self._others: list[tuple[int, bytes]] = []
        self._columns: dict[str, list[pa.Array]] = {name: [] for name in ("seq", "parts", *_MADE)}

    def add(self, seq: int, body: bytes) -> None:
        try:
            record = read_record(body)
        except RecordDamagedError:
            self._others.append((seq, body))
            return
        document = bytes(record.input)
        parts = _NO_PARTS if document == _NULL else self._parts.of(document)
        if parts is None or not _KNOWN_STEPS.issuperset(record.steps_us):
            self._others.append((seq, body))
            return
        self._bodies.append((seq, body))
        self._records.append(_OF_RECORD(record))
        self._documents.append(parts)
        if len(self._bodies) == _AT_ONCE:
            self._settle()

    def table(self) -> pa.Table:
        """All records in the order of their numbers, in the in-memory schema."""
        self._settle()
        ordinary = self._ordinary() if self._columns["seq"] else table_of(())
        self._parts.forget()
        if not self._others:
            return ordinary
        others = table_of(row_of(self._segment, seq, body) for seq, body in self._others)
        both = pa.concat_tables([ordinary, others]).unify_dictionaries().combine_chunks()
        return both.take(pc.sort_indices(both["seq"]))

    def _settle(self) -> None:
        """Make columns of what was gathered."""
        if not self._bodies:
            return
        try:
            made = _record_columns(list(zip(*self._records, strict=True)))
        except (pa.ArrowException, ValueError, OverflowError):  # a value beyond its column: one by one, then
            self._others += self._bodies
        else:
            made["seq"] = pa.array([seq for seq, _ in self._bodies], pa.int64())
            made["parts"] = pa.array(np.array(self._documents, np.int32).reshape(-1), pa.int32())
            for name, array in made.items():
                self._columns[name].append(array)
        self._bodies, self._records, self._documents = [], [], []

    def _ordinary(self) -> pa.Table:
        made = {name: _joined(arrays) for name, arrays in self._columns.items()}
        count = len(made["seq"])
        parts = np.asarray(made.pop("parts")).reshape(-1, len(_PARTS))
        form = pa.array(np.where(parts[:, 0] < 0, "none", "columns")).cast(pa.string())
        made |= {
            "segment": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), [self._segment]),
            "raw": pa.nulls(count, pa.binary()),
            "input_text": pa.nulls(count, pa.string()),
            "input_form": form,
        }
        made |= self._input_columns(parts)
        for who in ("person", "device", "resource"):
            name = "subject" if who == "person" else who
            made[who] = _who(made[f"input_{name}_id"], made[f"{name}_id"])
        arrays = [_as(made[field.name], field.type) for field in IN_MEMORY]
        return pa.Table.from_arrays(arrays, schema=IN_MEMORY)

    def _input_columns(self, parts: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        made: dict[str, pa.Array] = {}
        for at, place in enumerate(SEEN_PARTS):
            numbers, rows = np.unique(parts[:, at], return_inverse=True)
            values = [
                self._parts.values(at, number) if number >= 0 else NO_DOCUMENT[place] for number in numbers.tolist()
            ]
            spread = pa.array(rows.astype(np.int32))
            for field, column in zip(_INPUT_FIELDS[place], zip(*values, strict=True), strict=True):
                made[field.name] = _array(column, field.type).take(spread)
        return made


_INPUT_FIELDS: Final = [IN_MEMORY.field(column.name) for column in INPUT]
_MADE: Final = tuple(column.name for column in RECORD if column.name not in {"input_form", "input_text"})


def _joined(arrays: Sequence[pa.Array]) -> pa.Array:
    return pa.chunked_array(arrays).combine_chunks() if len(arrays) > 1 else arrays[0]


def _as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    return array.dictionary_encode() if pa.types.is_dictionary(kind) and pa.types.is_string(array.type) else array


def _words(values: Sequence[str | None]) -> pa.DictionaryArray:
    return pa.array(values, pa.string()).dictionary_encode()


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    return _words(values) if pa.types.is_dictionary(kind) else pa.array(values, kind)


def _who(found: pa.DictionaryArray, asked: pa.StringArray) -> pa.StringArray:
    """See `rows.row_of`: whom the directory knew, else whom the request named."""
    known = found.cast(pa.string())
    return pc.if_else(pc.fill_null(pc.not_equal(known, "unknown"), fill_value=False), known, asked)


def _record_columns(fields: Sequence[Sequence[Any]]) -> dict[str, pa.Array]:
    """Raises ArrowException, ValueError or OverflowError where a value does not fit."""
    made: dict[str, pa.Array] = {}
    for column in RECORD:
        if column.name in _AT:
            made[column.name] = _column(column, fields[_AT[column.name]])
    for step in STEPS:
        taken = [steps.get(step) for steps in fields[_AT["steps_us"]]]
        made[f"step_{step}_us"] = pa.array(taken, pa.int64())
    return made


def _column(column: Column, values: Sequence[Any]) -> pa.Array:
    made = _COLUMNS.get(column.name) or _COLUMNS.get(column.kind)
    return pa.array(values, IN_MEMORY.field(column.name).type) if made is None else made(values)


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.string())


def _obligations(values: Sequence[Any]) -> pa.Array:
    return _texts([_SORTED(entry).decode() if entry else None for entry in values])


def _raw_texts(values: Sequence[Any]) -> pa.Array:
    return _texts([None if text == _NULL else text.decode() for text in map(bytes, values)])


def _digests(values: Sequence[Any]) -> pa.Array:
    texts = _words(values)
    return pa.array([bytes.fromhex(text) for text in texts.dictionary.to_pylist()], pa.binary(32)).take(texts.indices)


def _uuids(texts: Sequence[str]) -> pa.Array:
    """`read_record` has seen that each is a uuid in its canonical form."""
    raw = bytes.fromhex("".join(texts).replace("-", ""))
    storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(texts), [None, pa.py_buffer(raw)])
    return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def _lists(values: Sequence[Any]) -> pa.Array:
    numbers: dict[tuple[str, ...] | None, int] = {}
    ids = [numbers.setdefault(tuple(value) if isinstance(value, list) else None, len(numbers)) for value in values]
    return pa.array(numbers, pa.list_(pa.string())).take(pa.array(ids, pa.int32()))


_COLUMNS: Final[Mapping[str, Callable[[Sequence[Any]], pa.Array]]] = {
    "obligations": _obligations,  # by the name of the column, else by its kind
    "policy_context": _raw_texts,
    "text": _texts,
    "free_text": _texts,
    "time": micros_of,
    "uuid": _uuids,
    "digest": _digests,
    "list": _lists,
}
