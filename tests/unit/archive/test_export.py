from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq

from pdp.archive.duck import DuckQueries
from pdp.archive.export import FORMATS
from tests.unit.archive.logs import Worker, record
from tests.unit.archive.test_duck import DAY
from tests.unit.declog.samples import START


def test_an_answer_is_the_same_in_every_format(tmp_path: Path):
    worker = Worker(tmp_path / "log")
    worker.write([record(START, 1, person="利用者"), record(START, 2)])
    table = DuckQueries([tmp_path / "log"]).run("department_export", DAY | {"department": "tax"})
    for ending, write in FORMATS.items():
        write(table, tmp_path / f"out{ending}")
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
    FORMATS[".csv"](table, tmp_path / "out.csv")
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text("utf-8-sig").splitlines())
    assert row["person"] == "'=HYPERLINK(1)"
