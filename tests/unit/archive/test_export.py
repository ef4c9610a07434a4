from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdp.archive.duck import DuckQueries
from pdp.archive.export import FORMATS, Style, batches_of
from tests.unit.archive.logs import Worker, record
from tests.unit.archive.test_duck import DAY
from tests.unit.declog.samples import START


def test_an_answer_is_the_same_in_every_format(tmp_path: Path):
    worker = Worker(tmp_path / "log")
    worker.write([record(START, 1, person="利用者"), record(START, 2)])
    table = DuckQueries([tmp_path / "log"]).run("department_export", DAY | {"department": "tax"})
    for form in FORMATS.values():
        (tmp_path / f"out{form.ending}").write_bytes(b"".join(form.chunks(batches_of(table), Style())))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["person"] for line in lines] == ["利用者", "u-0001"]
    assert lines[0]["time"] == "2026-04-01T00:00:00.123457Z"
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 2
    text = (tmp_path / "out.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(text.decode("utf-8-sig").splitlines()))
    assert [row["person"] for row in rows] == ["利用者", "u-0001"]


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path):
    worker = Worker(tmp_path / "log")
    worker.write([record(START, 1, person="=HYPERLINK(1)")])
    table = DuckQueries([tmp_path / "log"]).run("newest", DAY)
    (tmp_path / "out.csv").write_bytes(b"".join(FORMATS["csv"].chunks(batches_of(table), Style())))
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines())
    assert row["person"] == "'=HYPERLINK(1)"


def table(**columns: list[Any]) -> pa.Table:
    return pa.table(columns)


def csv_rows(found: pa.Table, style: Style | None = None) -> list[list[str]]:
    data = b"".join(FORMATS["csv"].chunks(batches_of(found), style or Style()))
    assert data.startswith(b"\xef\xbb\xbf") and data.endswith(b"\r\n")
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_what_a_spreadsheet_would_compute_is_defused_wherever_it_stands(lead: str):
    hostile = f"{lead}cmd|' /C calc'!A0"
    found = table(**{hostile: ["x"], "text": [hostile], "list": [[hostile, "b"]], "struct": [{"a": 1}]})
    heads, row = csv_rows(found)
    assert heads[0] == f"'{hostile}"
    assert row[1:3] == [f"'{hostile}", f"'{hostile} b"]
    assert row[3] == '{"a":1}'


def test_numbers_stay_numbers_and_texts_keep_their_lines():
    rows = csv_rows(table(n=[-5, None], t=['a "b"\r\nc,d', ""], f=[True, False]))
    assert rows == [["n", "t", "f"], ["-5", 'a "b"\r\nc,d', "true"], ["", "", "false"]]


def test_heads_and_times_are_those_of_the_reader():
    found = table(time=[datetime(2026, 4, 1, 15)], outcome=["deny"], mine=["x"])
    assert csv_rows(found, Style("ja", 540)) == [
        ["日時", "判定", "mine"],
        ["2026-04-02T00:00:00.000000+09:00", "deny", "x"],
    ]
    assert csv_rows(found, Style("en", -210))[1][0] == "2026-04-01T11:30:00.000000-03:30"
    assert csv_rows(found)[1][0] == "2026-04-01T15:00:00.000000Z"
    assert csv_rows(table(time=[datetime.max]), Style(None, 540))[1][0] == "9999-12-31T23:59:59.999999Z"


def test_json_lines_hold_whatever_a_statement_makes():
    values: dict[str, list[Any]] = {
        "nan": [float("nan")], "half": [0.5], "sum": [Decimal(113)], "large": [Decimal(10) ** 30], "day": [date(2026, 4, 1)],
        "span": [timedelta(hours=1)], "bytes": [b"\x00\xff"], "parts": [{"at": datetime(2026, 4, 1), "l": [b"\x01"]}],
        "none": [None], "quote": ['"\n\u2028'],
    }  # fmt: skip
    (line,) = b"".join(FORMATS["jsonl"].chunks(batches_of(table(**values)), Style())).splitlines()
    assert json.loads(line) == {
        "nan": "nan", "half": 0.5, "sum": 113, "large": "1" + "0" * 30, "day": "2026-04-01", "span": "1:00:00",
        "bytes": "00ff", "parts": {"at": "2026-04-01T00:00:00.000000Z", "l": ["01"]}, "none": None, "quote": '"\n\u2028',
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_an_answer_without_rows_is_a_file_all_the_same(form: str):
    empty = table(seq=[1], person=["x"]).slice(0, 0)
    data = b"".join(FORMATS[form].chunks(batches_of(empty), Style()))
    if form == "parquet":
        assert pq.read_table(io.BytesIO(data)).schema.names == ["seq", "person"]
    else:
        assert data == {"csv": b"\xef\xbb\xbfseq,person\r\n", "jsonl": b""}[form]


def test_a_parquet_export_that_was_cut_off_is_none():
    batches = batches_of(table(seq=list(range(100_000))))
    chunks = FORMATS["parquet"].chunks(batches, Style())
    data = next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # a generator
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(io.BytesIO(data))


def test_a_parquet_export_comes_in_groups_of_many_rows():
    data = b"".join(FORMATS["parquet"].chunks(batches_of(table(seq=list(range(100_000)))), Style()))
    file = pq.ParquetFile(io.BytesIO(data))
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (100_000, 4)
    assert file.read()["seq"].to_pylist() == list(range(100_000))
