from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

from pdp.archive.engines import EngineLimits, engine_of_its_own, shared_engine

LIMITS = EngineLimits(memory_mb=64, threads=1, deadline_s=29.5)  # of these tests alone


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("rows", "tail", "elsewhere"):
        (tmp_path / name).mkdir()
    paths = [tmp_path / "rows" / f"{number}.parquet" for number in range(3)]
    paths += [tmp_path / "tail" / "t.parquet", tmp_path / "elsewhere" / "e.parquet"]
    with duckdb.connect(":memory:") as connection:
        for path in paths:
            connection.execute(f"COPY (SELECT '{path.stem}' AS name) TO '{path}' (FORMAT parquet)")
    return list(map(str, paths))


def names_in(connection: duckdb.DuckDBPyConnection, *paths: str) -> list[str]:
    listed = ", ".join(f"'{path}'" for path in paths)
    return [name for (name,) in connection.execute(f"SELECT name FROM read_parquet([{listed}]) ORDER BY 1").fetchall()]


def test_a_shared_engine_opens_the_named_files_and_the_tail_and_no_others(files: list[str], tmp_path: Path):
    with shared_engine(LIMITS, files[:2], {str(tmp_path / "tail")}) as connection:
        assert names_in(connection, *files[:2], files[3]) == ["0", "1", "t"]
        for path in (files[2], files[4], "/etc/passwd"):
            with pytest.raises(duckdb.PermissionException):
                names_in(connection, path)


def test_a_shared_engine_learns_further_files_and_keeps_those_that_it_knows(files: list[str], tmp_path: Path):
    for known in (files[:1], files[1:2], files[:2]):
        with shared_engine(LIMITS, known, set()) as connection:
            assert len(names_in(connection, *known)) == len(known)


def test_what_one_question_made_is_not_there_for_the_next(files: list[str]):
    with shared_engine(LIMITS, files[:1], set()) as connection:
        connection.execute("CREATE TEMP VIEW decisions AS SELECT 1")
    with shared_engine(LIMITS, files[:1], set()) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM decisions")


def test_two_questions_at_one_time_have_an_engine_each(files: list[str]):
    with shared_engine(LIMITS, files[:1], set()) as one, shared_engine(LIMITS, files[:1], set()) as other:
        one.execute("CREATE VIEW mine AS SELECT 1")  # no temporary one: the whole engine has it
        with pytest.raises(duckdb.CatalogException):
            other.execute("SELECT * FROM mine")


def test_an_engine_is_used_by_one_question_after_another_from_any_thread(files: list[str]):
    found: list[list[str]] = []

    def ask() -> None:
        for _ in range(5):
            with shared_engine(LIMITS, files[:2], set()) as connection:
                found.append(names_in(connection, *files[:2]))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["0", "1"]] * 20


def test_an_engine_whose_question_failed_is_not_used_again(files: list[str]):
    with pytest.raises(duckdb.Error), shared_engine(LIMITS, files[:1], set()) as connection:
        connection.execute("CREATE VIEW left_over AS SELECT 1")
        connection.execute("SELECT nonsense")
    with shared_engine(LIMITS, files[:1], set()) as connection, pytest.raises(duckdb.CatalogException):
        connection.execute("SELECT * FROM left_over")


@pytest.mark.parametrize("shared", [True, False])
def test_no_setting_can_be_changed_and_no_stored_file_written(files: list[str], shared: bool):
    before = Path(files[0]).read_bytes()
    engine = shared_engine(LIMITS, files[:1], set()) if shared else engine_of_its_own(LIMITS, files[:1])
    with engine as connection:
        for statement in (
            "SET allowed_paths = ['/etc/passwd']",
            "SET GLOBAL allowed_directories = ['/']",
            "SET enable_external_access = true",
            f"COPY (SELECT 1) TO '{files[0]}' (FORMAT parquet)",
        ):
            try:
                connection.execute(statement)
            except duckdb.Error:
                continue
            pytest.fail(f"`{statement}` was done")
    assert Path(files[0]).read_bytes() == before


def test_a_file_that_was_written_anew_under_its_name_is_read_anew(files: list[str]):
    with shared_engine(LIMITS, files[:1], set()) as connection:
        assert names_in(connection, files[0]) == ["0"]
    Path(files[0]).write_bytes(Path(files[1]).read_bytes())
    with shared_engine(LIMITS, files[:1], set()) as connection:
        assert names_in(connection, files[0]) == ["1"]
