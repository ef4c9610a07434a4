from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pdp.archive.asking import Filters
from pdp.archive.export import FORMATS, Style
from pdp.archive.search import DuckSearch
from pdp.archive.session import EngineLimits
from pdp.archive.store import LocalStore
from pdp.archive.streaming import EXPORTED
from pdp.errors import BadRequestError, NotReadyError
from tests.unit.archive.logs import Worker, some_records
from tests.unit.archive.search_world import HOUR, Entry, lay_down
from tests.unit.archive.test_store import publish, store_at
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START

SINCE = HOUR.replace(tzinfo=None)
DAY = Filters(SINCE, SINCE + timedelta(days=1))
LITTLE = EngineLimits(memory_mb=64)  # 4,096 rows at once
TINY = EngineLimits(memory_mb=32)  # 2,048


def rows(batches: Any, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for batch in batches for row in batch.to_pylist()]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 records in four files that overlap, and some that are not stored."""
    root = tmp_path_factory.mktemp("many")
    worker, store = Worker(root), store_at(root)
    bodies = some_records(START, 6_000, timedelta(milliseconds=200))
    for number in range(4):
        worker.write(bodies[number::5])
        worker.seal()
        publish(store)
    worker.write(bodies[4::5])
    return root


def test_everything_comes_once_and_in_its_order_also_in_many_slices(many: Path):
    times = rows(DuckSearch([many], LITTLE).stream(DAY, columns=["time", "id"]), "time", "id")
    assert len(times) == len(set(times)) == 6_000
    assert times == sorted(times)


def test_no_batch_is_larger_than_the_memory_that_is_meant_for_it(many: Path):
    sizes = [batch.num_rows for batch in DuckSearch([many], LITTLE).stream(DAY, columns=["seq"])]
    assert sum(sizes) == 6_000
    assert max(sizes) <= 4_096


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_larger_than_what_it_may_hold_is_written(many: Path, form: str):
    """15 MB as JSON lines; what is held is a slice of the engine's, and one chunk."""
    before, most, written = pa.total_allocated_bytes(), 0, 0
    for chunk in FORMATS[form].chunks(DuckSearch([many], TINY).stream(DAY), Style()):
        written += len(chunk)
        most = max(most, pa.total_allocated_bytes() - before + len(chunk))
    assert written > {"csv": 4_000_000, "jsonl": 15_000_000, "parquet": 50_000}[form]
    assert most < 8_000_000


def test_every_column_but_the_foreign_bytes_is_exported(tmp_path: Path):
    lay_down(tmp_path, [Entry(1, HOUR)], stored=1, published=0)
    (batch,) = DuckSearch([tmp_path]).stream(DAY)
    assert tuple(batch.schema.names) == EXPORTED
    assert "raw" not in EXPORTED


def test_an_export_of_nothing_is_one_empty_batch(tmp_path: Path):
    lay_down(tmp_path, [Entry(1, HOUR)], stored=1, published=0)
    for filters in (
        Filters(SINCE + timedelta(days=9), SINCE + timedelta(days=10)),
        Filters(*(DAY.since, DAY.until), person="x"),
    ):
        (batch,) = DuckSearch([tmp_path]).stream(filters)
        assert (batch.num_rows, tuple(batch.schema.names)) == (0, EXPORTED)


def test_files_that_are_merged_while_an_export_runs_cost_nothing_of_it(tmp_path: Path):
    worker = Worker(tmp_path)
    store = LocalStore(tmp_path, rows_per_file=3_000, disk=HastyDisk())
    bodies = some_records(START, 6_000, timedelta(milliseconds=500))
    for number in range(3):
        worker.write(bodies[number * 2_000 : (number + 1) * 2_000])
        worker.seal()
        publish(store)
    found: list[tuple[Any, ...]] = []
    stream = DuckSearch([tmp_path], TINY).stream(DAY, columns=["time", "seq"])
    for number, batch in enumerate(stream):
        found += rows([batch], "time", "seq")
        if number == 0:
            with store.held():
                store.merge(store.manifest.files(), START)
                for folder, name in store.manifest.gone():
                    store.rows_path(file_named(folder, name)).unlink(missing_ok=True)
    assert len(found) == len(set(found)) == 6_000


def file_named(folder: str, name: str) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(folder=folder, name=name)


def test_a_log_that_goes_away_in_the_middle_ends_the_export_with_an_error(many: Path, tmp_path: Path):
    import shutil

    shutil.copytree(many, tmp_path / "log")
    stream = DuckSearch([tmp_path / "log"], TINY).stream(DAY, columns=["seq"])
    next(stream)
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(NotReadyError):
        list(stream)


@pytest.mark.parametrize("columns", [[], ["no_such"], ["seq", "seq"], ['seq" FROM fresh --']])
def test_columns_that_there_are_not_are_refused_at_once(tmp_path: Path, columns: list[str]):
    with pytest.raises(BadRequestError):
        DuckSearch([tmp_path]).stream(DAY, columns=columns)


def test_a_second_with_more_records_than_a_slice_is_one_slice(tmp_path: Path):
    worker = Worker(tmp_path)
    worker.write(some_records(START, 2_500, timedelta(0)))
    found = rows(DuckSearch([tmp_path], TINY).stream(DAY, columns=["seq"]), "seq")
    assert len(found) == len(set(found)) == 2_500
