"""Who is bound to departments: no statement tells anything of a record beyond the bound, whatever stands in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pdp.archive.bounded_sql import Held, columns_named, engine_holding, hold
from pdp.archive.meanings import RELATIONS
from pdp.archive.search import DuckSearch
from pdp.archive.search_sql import check_statement
from pdp.archive.session import Bounds, EngineLimits, answer
from pdp.archive.snapshot import Scope, take_snapshot
from pdp.errors import BadRequestError, NotReadyError, SekishoError
from tests.unit.archive.search_world import HOUR, Entry, lay_down

SINCE = HOUR.replace(tzinfo=None)
DAY = {"since": SINCE, "until": SINCE + timedelta(hours=8)}
TAX = ("tax",)
OURS = ["4711", "u-tax"]
Engines = dict[tuple[str, bool], duckdb.DuckDBPyConnection]
OTHERS = {"with": ["u-secret", "4712"], "without": ["4713", "someone"]}


def laid(place: Path, others: list[str]) -> Path:
    """Ours, and beside each of them one of another department, in stored files, in the published tail and fresh."""
    entries = []
    for n in range(24):
        theirs = n % 2 == 1
        names = others if theirs else OURS
        entries.append(
            Entry(
                n,
                HOUR + timedelta(minutes=n),
                person=names[n // 2 % 2],
                departments=("welfare",) if theirs else TAX,
                source_ip=f"192.0.2.{n}" if theirs else "192.0.2.7",
                resource="secret-app" if theirs and others == OTHERS["with"] else "groupware",
            )
        )
    lay_down(place, entries, stored=8, published=8)
    return place


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two logs that have the same records of ours, and different ones of others."""
    return {name: laid(tmp_path_factory.mktemp(name), others) for name, others in OTHERS.items()}


def held_of(root: Path, within: tuple[str, ...] | None) -> Held:
    wanted = {name: tuple(columns) for name, columns in RELATIONS.items()}
    return hold(
        EngineLimits(), take_snapshot([root], Scope(**DAY)), Bounds(within, (DAY["since"], DAY["until"])), wanted
    )


@pytest.fixture(scope="module")
def engines(logs: dict[str, Path]) -> Iterator[Engines]:
    """By log and by whether it is bound: the engines that run statements."""
    with ExitStack() as stack:
        yield {
            (name, bound): stack.enter_context(engine_holding(held_of(root, TAX if bound else None)))
            for name, root in logs.items()
            for bound in (True, False)
        }


def heard(engine: duckdb.DuckDBPyConnection, text: str) -> Any:
    """All that an asker hears."""
    check_statement(text)
    try:
        return answer(engine, text, {}, EngineLimits(), "the statement").to_pylist()
    except (duckdb.Error, SekishoError) as fault:
        return type(fault).__name__, str(fault)


def told(root: Path, text: str) -> Any:
    return DuckSearch([root]).sql(text, **DAY, within=TAX).to_pylist()  # type: ignore[arg-type]


PROBES = [
    # all that there is, by every road
    "SELECT * EXCLUDE (segment, seq) FROM decisions ORDER BY id",
    "SELECT id, person FROM decisions ORDER BY id LIMIT 100 OFFSET 5",
    "SELECT decisions.person FROM decisions ORDER BY 1",
    "SELECT d FROM (SELECT person, resource FROM decisions) d ORDER BY 1",
    "SELECT count(*) FROM decisions a, decisions b",
    "SELECT a.person FROM decisions a LEFT JOIN decisions b ON a.source_ip = b.source_ip ORDER BY 1",
    "SELECT person FROM decisions NATURAL JOIN decisions x ORDER BY 1",
    "SELECT person FROM decisions JOIN decisions x USING (id, person) ORDER BY 1",
    "SELECT p FROM (SELECT person AS p FROM decisions) FULL JOIN (VALUES ('u-secret')) v(p) USING (p) ORDER BY 1",
    "SELECT person FROM decisions UNION SELECT person FROM decisions ORDER BY 1",
    "SELECT person FROM decisions EXCEPT SELECT 'u-tax' ORDER BY 1",
    "(SELECT person FROM decisions) INTERSECT (SELECT 'u-secret')",
    "WITH a AS (FROM decisions), b AS MATERIALIZED (FROM a) SELECT person FROM b ORDER BY 1",
    "WITH a AS NOT MATERIALIZED (FROM decisions) SELECT count(*) FROM a WHERE person LIKE '%secret%'",
    "SELECT (SELECT max(person) FROM decisions x WHERE x.source_ip >= d.source_ip) FROM decisions d ORDER BY 1",
    "SELECT EXISTS (FROM decisions WHERE person = 'u-secret')",
    "SELECT 'u-secret' IN (SELECT person FROM decisions)",
    "SELECT 1 WHERE 'u-secret' = ANY (SELECT person FROM decisions)",
    "SELECT x FROM decisions, LATERAL (SELECT decisions.person AS x) ORDER BY 1",
    "SELECT unnest(list(DISTINCT person ORDER BY person)) FROM decisions",
    "SELECT histogram(person) FROM decisions",
    "SELECT approx_count_distinct(person), approx_top_k(person, 9), entropy(person) FROM decisions",
    "SELECT lag(person) OVER (ORDER BY id), lead(person, 1, 'none') OVER (ORDER BY id) FROM decisions ORDER BY id",
    "SELECT first_value(person) OVER (ORDER BY id DESC), nth_value(person, 3) OVER (ORDER BY id) FROM decisions",
    "SELECT row_number() OVER (ORDER BY id), person FROM decisions ORDER BY id",
    "SELECT person FROM decisions ORDER BY CASE WHEN person = 'u-secret' THEN 0 ELSE 1 END, id LIMIT 1",
    "SELECT list_transform(list(person ORDER BY id), lambda p: p) FROM decisions",
    "SELECT COLUMNS('pers.*') FROM decisions ORDER BY 1",
    "SELECT * FROM hourly ORDER BY ALL",
    "SELECT sum(decisions)::BIGINT, list(DISTINCT resource) FROM hourly",
    "SELECT h.resource FROM hourly h JOIN decisions d ON h.resource = d.resource ORDER BY 1",
    "SELECT count(*) FROM decisions WHERE subject_departments[1] = 'welfare' OR true",
    "SELECT min(person), max(person), mode(person), any_value(person), last(person ORDER BY id) FROM decisions",
    "SELECT person FROM decisions WHERE id > '00000000-0000-0000-0000-000000000000'::UUID ORDER BY id",
    # what fails on a value: whether it did would tell of a record
    "SELECT count(*) FROM decisions WHERE CASE WHEN person = 'u-secret' THEN person::INTEGER > 0 ELSE true END",
    "SELECT count(*) FROM decisions WHERE person <> 'u-tax' AND person::INTEGER = 4711",
    "SELECT count(*) FROM decisions WHERE person::INTEGER = 4711 AND person <> 'u-tax'",
    "SELECT count(*) FROM decisions WHERE (CASE WHEN resource = 'secret-app' THEN 'x' ELSE '1' END)::INTEGER = 1",
    "SELECT max((CASE WHEN resource = 'secret-app' THEN 'x' ELSE '1' END)::INTEGER) FROM decisions",
    "SELECT count(*) FROM decisions JOIN (VALUES ('u-secret')) q(p) ON person = p AND person::INTEGER = 1",
    "SELECT sum(CASE WHEN resource = 'secret-app' THEN 9223372036854775807 ELSE 1 END)::BIGINT FROM decisions",
    "SELECT strptime(person, '%Y') FROM decisions WHERE resource = 'secret-app'",
    "SELECT list_element([1], seq::INTEGER) FROM decisions WHERE person = 'u-secret'",
    "SELECT (SELECT person FROM decisions WHERE resource = 'secret-app')",
    "SELECT 1 FROM decisions GROUP BY person HAVING (CASE WHEN person = 'u-secret' THEN 'x' ELSE '1' END)::INTEGER = 1",
]


@pytest.mark.parametrize("text", PROBES, ids=range(len(PROBES)))
def test_what_is_beyond_the_bound_changes_nothing_that_is_heard(engines: Engines, text: str) -> None:
    assert heard(engines["with", True], text) == heard(engines["without", True], text)


def test_the_probes_find_something_where_nobody_is_bound(engines: Engines) -> None:
    """Else a log that answers nothing would pass."""
    differ = [heard(engines["with", False], text) != heard(engines["without", False], text) for text in PROBES]
    assert sum(differ) > len(PROBES) * 0.7


@pytest.mark.parametrize("number", [0, 5, 28, 34])
def test_the_whole_way_has_the_same_bound(logs: dict[str, Path], engines: Engines, number: int) -> None:
    text = PROBES[number]
    assert told(logs["with"], text) == told(logs["without"], text) == heard(engines["with", True], text)


BEYOND_THE_PARSER = [
    "SELECT * FROM tail", "SELECT * FROM fresh", "SELECT * FROM read_parquet('{file}')", "SELECT * FROM '{file}'",
    "SELECT * FROM read_text('{file}')", "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM glob('{place}/*')",
    "SELECT * FROM query('SELECT * FROM tail')", "SELECT * FROM query_table('fresh')", "SELECT * FROM parquet_metadata('{file}')",
    "COPY decisions TO '{place}/out.csv'", "ATTACH '{place}/manifest.db'", "INSTALL httpfs", "LOAD parquet_x",
    "SET allowed_directories = ['/']", "SET enable_external_access = true", "RESET lock_configuration",
    "EXPORT DATABASE '{place}/out'", "SELECT * FROM read_csv('/proc/self/environ')", "IMPORT DATABASE '{place}'",
    "SELECT * FROM sniff_csv('{file}')", "PRAGMA import_database('{place}')",
]  # fmt: skip


def test_with_the_first_wall_away_the_second_holds(logs: dict[str, Path]) -> None:
    """Whatever the parser might let through one day, there is nothing else in the engine and no way out of it."""
    root = logs["with"]
    file = next((root / "store" / "rows").glob("*.parquet"))
    with engine_holding(held_of(root, TAX)) as engine:
        for text in BEYOND_THE_PARSER:
            with pytest.raises(duckdb.Error):
                engine.execute(text.format(file=file, place=root)).fetchall()
        there = engine.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal UNION SELECT table_name FROM duckdb_tables()"
        ).fetchall()
        assert {name for (name,) in there} == set(RELATIONS) | {f"held_{name}" for name in RELATIONS}
        for relation in ("decisions", "hourly", "held_decisions", "held_hourly"):
            assert "secret" not in str(engine.execute(f"SELECT * FROM {relation}").fetchall())
        assert engine.execute("SELECT count(*) FROM decisions").fetchall() == [(12,)]
    assert not (root / "out.csv").exists()


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT count(*) FROM decisions", ("segment",)),
        ('SELECT Person, d."resource" FROM decisions d', ("person", "resource")),
        ("SELECT 1 FROM decisions JOIN decisions x USING (id)", ("id",)),
        ("FROM decisions", tuple(RELATIONS["decisions"])),
        ("SELECT d.* FROM decisions d", tuple(RELATIONS["decisions"])),
        ("SELECT decisions FROM decisions", tuple(RELATIONS["decisions"])),
        ("SELECT x FROM decisions x", tuple(RELATIONS["decisions"])),
        ("SELECT 1 FROM decisions NATURAL JOIN decisions x", tuple(RELATIONS["decisions"])),
        ("SELECT COLUMNS('person') FROM decisions", tuple(RELATIONS["decisions"])),
    ],
)  # fmt: skip
def test_what_a_statement_may_need_is_read_and_no_more(text: str, columns: tuple[str, ...]) -> None:
    assert check_statement(text).columns["decisions"] == columns


def test_a_relation_that_nobody_names_needs_no_column() -> None:
    assert columns_named([], "hourly") == ("hour",)
    assert check_statement("SELECT 1").columns == {}


def test_a_bounded_statement_has_the_types_of_an_unbounded_one(logs: dict[str, Path]) -> None:
    for relation in RELATIONS:
        text = f"SELECT * FROM {relation}"
        bound, free = (DuckSearch([logs["with"]]).sql(text, **DAY, within=w) for w in (TAX, None))  # type: ignore[arg-type]
        assert bound.schema == free.schema
    assert told(logs["with"], "SELECT typeof(id) AS t FROM decisions LIMIT 1") == [{"t": "UUID"}]


def test_more_than_the_memory_of_a_statement_is_refused_before_it_runs(logs: dict[str, Path]) -> None:
    snapshot = take_snapshot([logs["with"]], Scope(**DAY))
    bounds = Bounds(TAX, (DAY["since"], DAY["until"]))
    with pytest.raises(NotReadyError, match="more memory"):
        hold(EngineLimits(memory_mb=0), snapshot, bounds, {"decisions": tuple(RELATIONS["decisions"])})


def test_what_the_engine_says_is_of_ones_own_records(logs: dict[str, Path]) -> None:
    with pytest.raises(BadRequestError, match="u-tax"):
        DuckSearch([logs["with"]]).sql("SELECT person::INTEGER FROM decisions", **DAY, within=TAX)  # type: ignore[arg-type]
    assert "u-tax" in str(told(logs["with"], "SELECT person FROM decisions"))
