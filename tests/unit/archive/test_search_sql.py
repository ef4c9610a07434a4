from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pdp.archive.meanings import RELATIONS
from pdp.archive.search import DuckSearch
from pdp.archive.search_sql import MAX_STATEMENT, check_statement
from pdp.archive.session import EngineLimits
from pdp.archive.sql_words import FUNCTIONS
from pdp.errors import BadRequestError, NotReadyError
from tests.unit.archive.search_world import HOUR, Entry, lay_down

SINCE = HOUR.replace(tzinfo=None)
DAY = {"since": SINCE, "until": SINCE + timedelta(days=1)}
NOT_FUNCTIONS = {"coalesce", "ifnull", "->"}  # the engine's parser makes other parts of them
SMALL = EngineLimits(deadline_s=0.5, memory_mb=128, rows=1_000)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sql")
    entries = [
        Entry(n, HOUR + timedelta(hours=n), person=f"u-{n % 3}", shape=("decision", "refusal")[n % 2]) for n in range(8)
    ]
    lay_down(place, entries, stored=4, published=2)
    return place


def ask(root: Path, text: str, limits: EngineLimits | None = None, **times: Any) -> list[dict[str, Any]]:
    return DuckSearch([root], limits).sql(text, **(DAY | times)).to_pylist()


# -- what can be asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("SELECT count(*) AS n FROM decisions", [{"n": 8}]),
        ("FROM decisions SELECT count(*) AS n; -- done", [{"n": 8}]),
        ("SELECT ';' AS n /* ; */ ; /* ; */", [{"n": ";"}]),
        ("SELECT 1 AS n -- ;", [{"n": 1}]),
        ("SELECT count(*) AS n FROM segments", [{"n": 3}]),
        ("SELECT sum(decisions)::BIGINT AS n FROM hourly WHERE kind = 'refusal'", [{"n": 4}]),
        ("SELECT epoch($until - $since) AS n", [{"n": 86_400.0}]),
        ("WITH a AS (SELECT person FROM decisions) SELECT count(DISTINCT person) AS n FROM a", [{"n": 3}]),
        ('SELECT max(n) AS n FROM (SELECT row_number() OVER (ORDER BY "time") AS n FROM decisions)', [{"n": 8}]),
        ("SELECT list_transform(reasons, lambda r: lower(r)) AS n FROM decisions LIMIT 1", [{"n": ["ok_base"]}]),
        ("SELECT reason AS n FROM decisions, unnest(reasons) AS u(reason) GROUP BY 1 ORDER BY 1", [{"n": "BAD_INPUT"}, {"n": "OK_BASE"}]),
        ("SELECT a.n FROM (VALUES (1), (2)) AS a(n) UNION SELECT 3 ORDER BY n", [{"n": 1}, {"n": 2}, {"n": 3}]),
        ("SELECT CASE WHEN true THEN date_trunc('day', TIMESTAMP '2026-04-01 10:00') END = DATE '2026-04-01' AS n", [{"n": True}]),
        ("SELECT coalesce(NULL, 'x') || json_extract_string('{\"a\":1}', '$.a') AS n", [{"n": "x1"}]),
        ("SELECT count(*) FILTER (outcome = 'deny') AS n FROM decisions HAVING n > 0", [{"n": 4}]),
        ("SELECT DISTINCT kind AS n FROM decisions ORDER BY ALL", [{"n": "decision"}, {"n": "refusal"}]),
    ],
)  # fmt: skip
def test_one_select_is_answered(root: Path, text: str, rows: list[dict[str, Any]]):
    assert ask(root, text) == rows


def test_an_order_is_kept(root: Path):
    times = [row["time"] for row in ask(root, 'SELECT "time" FROM decisions ORDER BY "time" DESC')]
    assert times == sorted(times, reverse=True)
    assert len(times) == 8


def test_the_relations_hold_the_time_that_was_asked_for_alone(root: Path):
    times = {"since": SINCE + timedelta(hours=2), "until": SINCE + timedelta(hours=5)}
    assert ask(root, 'SELECT count(*) AS n FROM decisions WHERE "time" > $since', **times) == [{"n": 2}]
    assert ask(root, "SELECT sum(decisions)::BIGINT AS n FROM hourly", **times) == [{"n": 3}]
    with pytest.raises(BadRequestError, match="before"):
        ask(root, "SELECT 1", since=SINCE, until=SINCE)


def test_the_relations_have_the_columns_that_are_described_and_no_others(root: Path):
    for relation, columns in RELATIONS.items():
        table = DuckSearch([root]).sql(f"SELECT * FROM {relation} LIMIT 0", **DAY)  # type: ignore[arg-type]
        assert table.column_names == list(columns)


def test_every_column_is_described_in_both_languages():
    assert all(text.ja and text.en for columns in RELATIONS.values() for text in columns.values())


def test_every_function_that_may_be_used_is_one_of_the_engine():
    with duckdb.connect(":memory:") as engine:
        known = {name for (name,) in engine.execute("SELECT function_name FROM duckdb_functions()").fetchall()}
    assert known - FUNCTIONS
    assert FUNCTIONS - known == NOT_FUNCTIONS


# -- what cannot ---------------------------------------------------------------------------------------

ATTACKS = [
    # not one SELECT
    "", "   ", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1;; DROP VIEW decisions",
    "INSERT INTO decisions VALUES (1)", "CREATE TABLE t AS SELECT 1", "DROP VIEW decisions", "UPDATE decisions SET seq = 1",
    "DELETE FROM decisions", "COPY (SELECT 1) TO '/tmp/sekisho-out'", "COPY decisions TO 's3://x/y'", "EXPORT DATABASE '/tmp/x'",
    "ATTACH '/tmp/x.db'", "INSTALL httpfs", "LOAD httpfs", "SET threads = 1", "RESET threads", "SET VARIABLE x = 1",
    "PRAGMA version", "PRAGMA database_list", "CALL pragma_version()", "EXPLAIN SELECT 1", "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE decisions", "SUMMARIZE decisions", "SHOW TABLES", "SHOW ALL TABLES", "PIVOT decisions ON outcome USING count(*)",
    "BEGIN", "CHECKPOINT", "VACUUM", "PREPARE a AS SELECT 1", "EXECUTE a", "USE memory",
    # files, settings, the environment, relations by a text
    "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/*.parquet')", "SELECT * FROM glob('/etc/*')", "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'x.parquet'", 'SELECT * FROM "x.csv"', "SELECT getenv('HOME')", "SELECT main.getenv('HOME')",
    "SELECT ('HOME').getenv()", "SELECT current_setting('allowed_paths')", "SELECT getvariable('x')",
    "SELECT * FROM duckdb_settings()", "SELECT * FROM duckdb_views()", "SELECT * FROM duckdb_views", "SELECT * FROM pg_settings",
    "SELECT * FROM sqlite_master", "SELECT * FROM information_schema.tables", "SELECT * FROM pg_catalog.pg_views",
    "FROM query('SELECT 1')", "FROM query_table('tail')", "FROM query_table(['fresh'])", "FROM histogram('tail', 'person')",
    "SELECT json_serialize_sql('SELECT 1')", "FROM json_execute_serialized_sql('{}')", "SELECT * FROM seq_scan('fresh')",
    "SELECT * FROM pragma_storage_info('tail')", "SELECT * FROM python_map_function(1)", "SELECT * FROM test_all_types()",
    "SELECT nextval('x')", "SELECT write_log('x')", "SELECT error('x')", "SELECT sleep_ms(1000)", "SELECT pg_sleep(10)",
    "SELECT __internal_barrier(1)", "SELECT current_query()", "SELECT version()", "SELECT random()", "SELECT uuid()",
    # our own relations below the three
    "SELECT * FROM tail", "SELECT * FROM fresh", "SELECT * FROM main.decisions", "SELECT * FROM memory.main.hourly",
    "WITH tail AS (SELECT 1) SELECT * FROM tail", "WITH FRESH AS (SELECT 1) SELECT 1", "WITH duckdb_views AS (SELECT 1) SELECT 1",
    "SELECT * FROM tail, (WITH tail AS (SELECT 1) SELECT * FROM tail) AS x",
    'WITH "/etc/passwd" AS (SELECT 1) SELECT 1', "SELECT (SELECT count(*) FROM tail)", "SELECT 1 WHERE EXISTS (FROM tail)",
    "SELECT 1 ORDER BY (SELECT 1 FROM tail)", "SELECT * FROM decisions JOIN tail USING (id)",
    # bombs
    "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t) SELECT max(a) FROM t",
    "SELECT " + "(" * 200 + "1" + ")" * 200, "SELECT " + "[" * 5_000, "SELECT " + "1 + " * 2_000 + "1", "SELECT " + "NOT " * 2_000 + "true",
    "SELECT repeat('x', 4000000000)", "SELECT lpad('x', 2000000000, 'y')", "SELECT printf('%2000000000d', 1)",
    "SELECT len(range(1000000000))", "SELECT len(generate_series(1, 1000000000))", "FROM unnest(range(1000000000))",
    "SELECT levenshtein('a', 'b')", "SELECT format('{:2000000000d}', 1)", "SELECT '" + "x" * MAX_STATEMENT + "'",
    # no statement at all
    "SELECT", "SELECT 'x", 'SELECT "x', "SELECT 1 /*", "SELECT $$x", "SELECT 1\0", "\ud800", "SELECT $person", "SELECT ?", "SELECT $1",
    "SELECT 1) UNION ALL SELECT * FROM (SELECT 1", "SELECT 1) LIMIT 5 --", "SELECT no_such_column FROM decisions",
    "SELECT person::INTEGER FROM decisions", "SELECT * FROM decisions AT (VERSION => 1)",
]  # fmt: skip


@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_what_is_not_one_known_select_is_refused(root: Path, text: str):
    with pytest.raises(BadRequestError) as refused:
        ask(root, text)
    said = refused.value.message + refused.value.next_step
    assert str(root) not in said and ".parquet" not in said.replace("x.parquet", "")
    assert len(refused.value.message) < 400 and refused.value.message.isprintable()
    assert not Path("/tmp/sekisho-out").exists()


BOMBS = [
    "SELECT max(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b",
    "SELECT list(a.range) FROM range(100000000) a",
    "SELECT sum(len(list_sort(l))) FROM (SELECT list(a.range) AS l FROM range(5000000) a, range(100) b GROUP BY b.range)",
    "SELECT string_agg(md5(range::VARCHAR)) FROM range(100000000)",
    "SELECT quantile_cont(range, 0.5) FROM range(200000000)",
    "SELECT count(*) FROM range(100000000) a JOIN range(100000000) b ON a.range % 10 = b.range % 10",
    "SELECT count(DISTINCT md5(range::VARCHAR)) FROM range(1000000000)",
]


@pytest.mark.parametrize("text", BOMBS, ids=range(len(BOMBS)))
def test_a_statement_without_end_or_measure_is_ended(root: Path, text: str):
    with pytest.raises(NotReadyError, match=r"took longer|more memory"):
        ask(root, text, SMALL)


def test_more_rows_than_a_table_may_have_are_refused(root: Path):
    with pytest.raises(BadRequestError, match="more than 1000 rows"):
        ask(root, "SELECT * FROM range(2000)", SMALL)
    assert len(ask(root, "SELECT * FROM range(1000)", SMALL)) == 1_000


def test_a_statement_names_what_it_relies_on():
    checked = check_statement("WITH a AS (FROM decisions) SELECT * FROM a, hourly WHERE hour >= $since;")
    assert (checked.names, checked.relations) == (frozenset({"a"}), frozenset({"decisions", "hourly"}))
    assert checked.parameters == frozenset({"since"})
