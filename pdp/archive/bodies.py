"""Rows of the store to the bodies of their records, many at once: what `rows.body_of` does for one row. Pure.

Most columns repeat. Neighbouring columns are taken as one: for each combination of their values that there is, the
text is made once, and a record is then some twenty texts put together. Texts that do not repeat are made column by
column. A row that holds its bytes, or its document as a text, is told as it is.

Nothing here is believed: whoever stores or restores holds the bodies against a digest over those that were appended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pdp.archive.arrow_tables import complete
from pdp.archive.documents import FLAG, SEEN_PARTS
from pdp.archive.instants import texts_of
from pdp.archive.schema import INPUT, RECORD, STEPS
from pdp.declog.record import RECORD_SCHEMA, RECORD_SCHEMA_V1, Record
from pdp.errors import RecordDamagedError
from pdp.model.input import SCHEMA, Action, Context, Device, Posture, Resource, Sources, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


_AT_ONCE: Final = 32_768  # rows: a segment; some 100 MB with their texts
_ENCODE: Final = msgspec.json.Encoder().encode
_UNIT: Final = "\x1f"
_KINDS: Final = {column.name: column.kind for column in (*RECORD, *INPUT)}
_MOST: Final = 1 << 62

Texts = Callable[[dict[str, pa.Array]], list[bytes]]
"""A piece of each record, out of the columns of all of them."""


def bodies_of(table: pa.Table) -> Iterator[bytes]:
    """The body of each row, in the order of the table. Raises RecordDamagedError."""
    whole = complete(table)
    for start in range(0, whole.num_rows, _AT_ONCE):
        part = whole.slice(start, _AT_ONCE).combine_chunks()
        try:
            yield from _bodies(part)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, pa.ArrowException) as fault:
            raise RecordDamagedError(f"rows of the store do not give records: {type(fault).__name__}") from None


def _bodies(table: pa.Table) -> list[bytes]:
    if table["raw"].null_count < table.num_rows:  # what is kept as its bytes has columns that make no record
        made = iter(_bodies(table.filter(pc.is_null(table["raw"])).combine_chunks()))
        return [next(made) if raw is None else raw for raw in table["raw"].to_pylist()]
    if table.num_rows == 0:
        return []
    columns = {name: _plain(table[name]) for name in table.schema.names}
    pieces = [piece(columns) for piece in _PIECES]
    return list(map(b"".join, zip(*pieces, strict=True)))


def _plain(column: pa.ChunkedArray) -> pa.Array:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return array.storage if isinstance(array, pa.ExtensionArray) else array


# -- combinations --------------------------------------------------------------------------------------


def _numbered(array: pa.Array) -> tuple[np.ndarray, int]:
    """A number for each value, alike for like values, from 0; and how many there are at most."""
    if pa.types.is_list(array.type):
        return _numbered_lists(array)
    words = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
    indices = np.asarray(pc.fill_null(words.indices, len(words.dictionary)))
    return indices.astype(np.int64), len(words.dictionary) + 1


def _numbered_lists(array: pa.Array) -> tuple[np.ndarray, int]:
    """Lists by their texts in one, and their lengths."""
    texts = array.flatten()
    if isinstance(texts, pa.DictionaryArray):
        texts = texts.cast(pa.string())
        array = array.cast(pa.list_(pa.string()))
    if pc.any(pc.match_substring(texts, _UNIT)).as_py():
        return _numbered_by_hand(array)
    joined, most = _numbered(pc.binary_join(array, _UNIT))
    lengths, longest = _numbered(pc.list_value_length(array))
    return joined * longest + lengths, most * longest


def _numbered_by_hand(array: pa.Array) -> tuple[np.ndarray, int]:
    numbers: dict[tuple[str, ...] | None, int] = {}
    keys = (None if entry is None else tuple(entry) for entry in array.to_pylist())
    found = np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)
    return found, len(numbers)


def _distinct(arrays: Sequence[pa.Array]) -> tuple[np.ndarray, np.ndarray]:
    """For each row the number of its combination of values, and for each combination a row that has it."""
    key, most = np.zeros(len(arrays[0]), np.int64), 1
    for array in arrays:
        found, count = _numbered(array)
        if most * count >= _MOST:
            key, most = _closer(key)
        key = key * count + found
        most *= count
    key, most = _closer(key)
    rows = np.empty(most, np.int64)
    rows[key[::-1]] = np.arange(len(key) - 1, -1, -1)
    return key, rows


def _closer(key: np.ndarray) -> tuple[np.ndarray, int]:
    words = pa.array(key).dictionary_encode()
    return np.asarray(words.indices).astype(np.int64), len(words.dictionary)


class _Together:
    """The text of several columns, made once for each combination of their values."""

    def __init__(self, names: Sequence[str], text_of: Callable[[Sequence[Any]], bytes]) -> None:
        self._names = names
        self._text_of = text_of

    def __call__(self, columns: dict[str, pa.Array]) -> list[bytes]:
        arrays = [columns[name] for name in self._names]
        key, rows = _distinct(arrays)
        at = pa.array(rows)
        values = [_live(name, array.take(at)) for name, array in zip(self._names, arrays, strict=True)]
        texts = [self._text_of(row) for row in zip(*values, strict=True)]
        return [texts[number] for number in key.tolist()]


def _live(name: str, array: pa.Array) -> list[Any]:
    plain = array.cast(array.type.value_type) if isinstance(array, pa.DictionaryArray) else array
    values: list[Any] = plain.to_pylist()
    match _KINDS[name]:
        case "digest":
            return [None if value is None else value.hex() for value in values]
        case "flag":
            return [FLAG.get(value, value) for value in values]
        case _:
            return values


# -- the record ----------------------------------------------------------------------------------------


def _head(row: Sequence[Any]) -> bytes:
    schema = RECORD_SCHEMA_V1 if row[0] is None else RECORD_SCHEMA
    return b'{"schema":"%b","id":"' % schema.encode()


def _keys(names: Sequence[str]) -> Callable[[Sequence[Any]], bytes]:
    """`"name":value,` for each; lists that are NULL are empty, but for those that a record may lack."""
    heads = [(f'"{name}":'.encode(), name) for name in names]

    def text_of(row: Sequence[Any]) -> bytes:
        return b"".join(
            b"%b%b," % (head, _value(name, value))
            for (head, name), value in zip(heads, row, strict=True)
            if not (value is None and name in _MAY_LACK)
        )

    return text_of


_MAY_LACK: Final = frozenset({"erased", "masked"})


def _value(name: str, value: Any) -> bytes:
    if name == "obligations":
        return b"{}" if value is None else value.encode()
    if value is None and _KINDS[name] == "list":
        return b"[]"
    return _ENCODE(value)


def _instant(name: str) -> Texts:
    head, none = f'"{name}":"'.encode(), f'"{name}":null,'.encode()

    def texts(columns: dict[str, pa.Array]) -> list[bytes]:
        return [none if text is None else b'%b%b",' % (head, text) for text in texts_of(columns[name])]

    return texts


def _free(name: str) -> Texts:
    head = f'"{name}":'.encode()

    def texts(columns: dict[str, pa.Array]) -> list[bytes]:
        array = columns[name]
        if array.null_count == len(array):
            return [head + b"null,"] * len(array)
        return [b"%b%b," % (head, _ENCODE(value)) for value in array.to_pylist()]

    return texts


def _ids(columns: dict[str, pa.Array]) -> list[bytes]:
    array = columns["id"]
    raw = b"".join(value or bytes(16) for value in array.to_pylist())
    digits = np.frombuffer(raw.hex().encode(), np.uint8).reshape(-1, 32)
    text = np.full((len(array), 38), ord("-"), np.uint8)
    for start, end, to in ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24)):
        text[:, to : to + end - start] = digits[:, start:end]
    text[:, 36:] = np.frombuffer(b'",', np.uint8)
    joined = text.tobytes()
    return [joined[at : at + 38] for at in range(0, len(joined), 38)]


def _steps(columns: dict[str, pa.Array]) -> list[bytes]:
    told = []
    for step in STEPS:
        taken = columns[f"step_{step}_us"].cast(pa.string())
        told.append(pc.fill_null(pc.binary_join_element_wise(f'"{step}":', taken, ",", ""), ""))
    # Not `null_handling="skip"`: pyarrow 26 leaves out rows in which every value is NULL.
    joined = pc.binary_join_element_wise(*told, "")
    return [b'"steps_us":{%b},' % text[:-1] for text in joined.cast(pa.binary()).to_pylist()]


def _context(columns: dict[str, pa.Array]) -> list[bytes]:
    array = columns["policy_context"]
    if array.null_count == len(array):
        return [b'"policy_context":null,"input":'] * len(array)
    texts = array.cast(pa.binary()).to_pylist()
    return [b'"policy_context":%b,"input":' % (b"null" if text is None else text) for text in texts]


# -- the document --------------------------------------------------------------------------------------


def _documents(columns: dict[str, pa.Array]) -> list[bytes]:
    forms = columns["input_form"]
    words = forms.cast(pa.string()).to_pylist()
    if all(word == "none" for word in words):
        return [b"null}"] * len(words)
    parts = [part(columns) for part in _DOCUMENT]
    made = map(b"".join, zip(*parts, strict=True))
    if all(word == "columns" for word in words):
        return list(made)
    texts = columns["input_text"].cast(pa.binary()).to_pylist()
    return [
        document if word == "columns" else b"null}" if word == "none" else text + b"}"
        for word, document, text in zip(words, made, texts, strict=True)
    ]


def _part(name: str, place: slice, made: Callable[[list[Any]], Any], before: bytes, after: bytes = b"") -> _Together:
    names = [column.name for column in INPUT[place]]
    counts = [at for at, column in enumerate(INPUT[place]) if column.kind == "count"]
    head = b'%b"%b":' % (before, name.encode())

    def text_of(row: Sequence[Any]) -> bytes:
        values = list(row)
        for at in counts:
            values[at] = "unknown" if values[at] is None else values[at]
        return b"%b%b%b" % (head, _ENCODE(made(values)), after)

    return _Together(names, text_of)


def _device(values: list[Any]) -> Device:
    split = len(Device.__struct_fields__) - 1
    return Device(*values[:split], Posture(*values[split:]))  # type: ignore[call-arg]  # in the order of the fields


def _surroundings(values: list[Any]) -> Context:
    sources = len(Sources.__struct_fields__)
    split = len(Context.__struct_fields__) - 2
    known = Sources(*values[split : split + sources])
    return Context(*values[:split], known, *values[split + sources :])  # type: ignore[call-arg]  # as above


_DOCUMENT: Final = (
    _part("subject", SEEN_PARTS[0], lambda values: Subject(*values), f'{{"schema":"{SCHEMA}",'.encode()),
    _part("device", SEEN_PARTS[1], _device, b","),
    _part("resource", SEEN_PARTS[2], lambda values: Resource(*values), b","),
    _part("action", SEEN_PARTS[3], lambda values: Action(*values), b","),
    _part("context", SEEN_PARTS[4], _surroundings, b",", b"}}"),
)


def _together(first: str, last: str) -> _Together:
    """The keys of a record from one to another."""
    fields = Record.__struct_fields__
    names = fields[fields.index(first) : fields.index(last) + 1]
    return _Together(names, _keys(names))


_PIECES: Final[tuple[Texts, ...]] = (
    _Together(("erased",), _head),
    _ids,
    _together("kind", "kind"),
    _instant("time"),
    _instant("now"),
    _free("trace_id"),
    _free("request_id"),
    _together("wire", "token_sha256"),
    _together("subject_id", "device_id"),
    _together("resource_id", "action"),
    _together("session_id", "session_id"),
    _together("path", "source_ip"),
    _together("outcome", "required_auth_level"),
    _instant("expires_at"),
    _together("policy_revision", "cache"),
    _steps,
    _together("fault", "masked"),
    _context,
    _documents,
)
