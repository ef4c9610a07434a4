"""Answers as files: CSV for Excel, JSON lines, Parquet; each as chunks of bytes, in the memory of one batch.

One place for commands and the API. Who passes the chunks on must tell his reader where they end before their end:
CSV and JSON lines that were cut off look whole.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pdp.archive.asking import offset_text
from pdp.archive.meanings import head_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_BATCH: Final = 4_096
_GROUP_ROWS: Final = 32_768  # of a Parquet file: some 40 MB of all columns before they are packed
_INT64: Final = 1 << 63
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A cell that begins so is computed by Excel; the wide ones by a Japanese one (OWASP, "CSV Injection")."""
_JSON: Final = msgspec.json.Encoder(enc_hook=str)


Lang = Literal["ja", "en"]


@dataclass(frozen=True, slots=True)
class Style:
    """`heads`: in which language a CSV names its columns; None: by the names of the store, as programs want them.

    `utc_offset_min`: minutes east of Greenwich in which times are written.
    """

    heads: Lang | None = None
    utc_offset_min: int = 0


@dataclass(frozen=True, slots=True)
class Format:
    """`chunks` takes batches of one schema, at least one."""

    ending: str
    media_type: str
    chunks: Callable[[Iterable[pa.RecordBatch], Style], Iterator[bytes]]


def plain_rows(table: pa.Table, style: Style | None = None) -> Iterator[dict[str, Any]]:
    """Rows of texts, numbers, truths and lists: times are RFC 3339, bytes are hex."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        yield from _rows(batch, style or Style())


def batches_of(table: pa.Table) -> list[pa.RecordBatch]:
    """A table for `Format.chunks`."""
    return table.to_batches(max_chunksize=_BATCH) or [pa.RecordBatch.from_pylist([], schema=table.schema)]


# -- formats -------------------------------------------------------------------------------------------


def csv_chunks(batches: Iterable[pa.RecordBatch], style: Style) -> Iterator[bytes]:
    """RFC 4180 in UTF-8 with the mark that Excel asks for. What Excel would compute stands behind an apostrophe."""
    page = io.StringIO()
    writer = csv.writer(page)
    for number, batch in enumerate(batches):
        if number == 0:
            page.write("\ufeff")
            writer.writerow([_cell(_head(name, style)) for name in batch.schema.names])
        columns = [list(map(_cell, column)) for column in _columns(batch, style)]
        writer.writerows(zip(*columns, strict=True))
        yield page.getvalue().encode()
        page.seek(0)
        page.truncate()


def jsonl_chunks(batches: Iterable[pa.RecordBatch], style: Style) -> Iterator[bytes]:
    for batch in batches:
        yield b"".join(_JSON.encode(row) + b"\n" for row in _rows(batch, style))


def parquet_chunks(batches: Iterable[pa.RecordBatch], _: Style) -> Iterator[bytes]:
    """Times are UTC, as types of the file. Cut off, it is no Parquet file: its end is written last."""
    sink = io.BytesIO()
    writer: pq.ParquetWriter | None = None
    try:
        for group in _gathered(batches, _GROUP_ROWS):
            writer = writer or pq.ParquetWriter(_Pipe(sink), group.schema, compression="zstd")
            writer.write_table(group)
            yield _drained(sink)
    finally:
        if writer is not None:
            writer.close()
    yield _drained(sink)


FORMATS: Final[Mapping[str, Format]] = {
    "csv": Format(".csv", "text/csv; charset=utf-8", csv_chunks),
    "jsonl": Format(".jsonl", "application/jsonl", jsonl_chunks),
    "parquet": Format(".parquet", "application/vnd.apache.parquet", parquet_chunks),
}


class _Pipe(io.RawIOBase):
    """What pyarrow writes to; it wants to know how much it has written, also after that was handed on."""

    def __init__(self, sink: io.BytesIO) -> None:
        super().__init__()
        self._sink = sink
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        written = self._sink.write(data)  # type: ignore[arg-type]  # any buffer
        self._size += written
        return written

    def tell(self) -> int:
        return self._size


def _drained(sink: io.BytesIO) -> bytes:
    whole = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return whole


def _gathered(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Tables of so many rows or a little more; the first also where it has none."""
    waiting: list[pa.RecordBatch] = []
    given = False
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= rows:
            yield pa.Table.from_batches(waiting)
            waiting, given = [], True
    if waiting and (not given or any(map(len, waiting))):
        yield pa.Table.from_batches(waiting)


# -- values --------------------------------------------------------------------------------------------


def _head(name: str, style: Style) -> str:
    text = None if style.heads is None else head_of(name)
    if text is None:
        return name
    return text.ja if style.heads == "ja" else text.en


def _rows(batch: pa.RecordBatch, style: Style) -> Iterator[dict[str, Any]]:
    names = batch.schema.names
    for values in zip(*_columns(batch, style), strict=True):
        yield dict(zip(names, values, strict=True))


def _columns(batch: pa.RecordBatch, style: Style) -> list[Sequence[Any]]:
    return [_column(array, style) for array in batch.columns]


def _column(array: pa.Array, style: Style) -> Sequence[Any]:
    kind = array.type
    values: list[Any] = array.to_pylist()
    if pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return values
    if pa.types.is_list(kind) and pa.types.is_string(kind.value_type):
        return values
    return [_plain(value, style) for value in values]


def _plain(value: Any, style: Style) -> Any:
    """Also of what a statement of an auditor may make: parts within parts, fractions, days, spans of time."""
    match value:
        case datetime():
            return _instant(value, style)
        case bytes():
            return value.hex()
        case list():
            return [_plain(part, style) for part in value]
        case dict():
            return {str(name): _plain(part, style) for name, part in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """A sum of whole numbers comes as a Decimal."""
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < _INT64:
        return int(value)
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and isfinite(value)):
        return value
    return str(value)


def _instant(value: datetime, style: Style) -> str:
    naive = value.replace(tzinfo=None) - (value.utcoffset() or timedelta())
    if not style.utc_offset_min:
        return f"{naive.isoformat(timespec='microseconds')}Z"
    try:
        local = naive + timedelta(minutes=style.utc_offset_min)
    except OverflowError:  # in the last or first hours of the calendar
        return f"{naive.isoformat(timespec='microseconds')}Z"
    return f"{local.isoformat(timespec='microseconds')}{offset_text(style.utc_offset_min)}"


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, list):
        text = " ".join(map(str, value))
    elif isinstance(value, dict):
        text = _JSON.encode(value).decode()
    else:
        return value
    # Names in a record may come from outside.
    return f"'{text}" if text.startswith(_FORMULA) else text
