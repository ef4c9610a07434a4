"""Answers as files: CSV for Excel, JSON lines, Parquet."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pyarrow as pa

_BATCH: Final = 8_192
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def plain_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows of texts, numbers, truths and lists: times are RFC 3339 in UTC, bytes are hex."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        for row in batch.to_pylist():
            yield {name: _plain(value) for name, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='microseconds')}Z"
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, str | int | list) else str(value)


def write_csv(table: pa.Table, path: Path) -> None:
    """UTF-8 with the mark that Excel asks for. A text that Excel would compute stands behind an apostrophe."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.column_names)
        for row in plain_rows(table):
            writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    # Names in a record may come from outside: a cell that begins so is a formula to Excel.
    return f"'{text}" if isinstance(text, str) and text.startswith(_FORMULA) else text


def write_jsonl(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in plain_rows(table):
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


FORMATS: Final[dict[str, Callable[[pa.Table, Path], None]]] = {
    ".csv": write_csv,
    ".jsonl": write_jsonl,
    ".parquet": write_parquet,
}
