"""One person's records as files for that person, each batch as it comes: a year costs no more memory than a day."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pdp.archive.export import Style, csv_chunks, jsonl_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

_JAPAN: Final = 540  # minutes east of Greenwich


def write_subject_files(out: Path, batches: Iterable[pa.RecordBatch]) -> int:
    """`records.jsonl`, `records.csv` with Japanese heads, and `SHA256SUMS` over both. Gives the number of records.

    Both files hold the same records: they are asked for once. `SHA256SUMS` is there only if they are whole. Raises
    OSError, FileExistsError, and what the batches raise.
    """
    step = _Step(batches)
    with ExitStack() as files:
        lines, table = (files.enter_context(closing(_Growing(out / name))) for name in ("records.jsonl", "records.csv"))
        of_json = jsonl_chunks(step.first(), Style(utc_offset_min=_JAPAN))
        chunks = of_json, csv_chunks(step.second(), Style("ja", _JAPAN))
        for of_lines, of_table in zip(*chunks, strict=True):  # each a chunk for each batch: in step
            lines.write(of_lines)
            table.write(of_table)
    with closing(_Growing(out / "SHA256SUMS")) as sums:
        sums.write("".join(f"{file.sha256}  {file.name}\n" for file in (lines, table)).encode())
    return step.rows


class _Step:
    """The same batches for two readers who take turns; `itertools.tee` would hold 57 of them."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = batches
        self._now: pa.RecordBatch | None = None
        self.rows = 0

    def first(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            self.rows += batch.num_rows
            self._now = batch
            yield batch
        self._now = None

    def second(self) -> Iterator[pa.RecordBatch]:
        while self._now is not None:
            yield self._now


class _Growing:
    """A new file for its owner alone, and the digest of what was written to it."""

    def __init__(self, path: Path) -> None:
        self.name: Final = path.name
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        self._digest = sha256()

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._digest.update(data)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def close(self) -> None:
        self._file.close()
