"""Every engine gives DuckDB's answer to every named question, over the same random records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from pdp.archive.duck import DuckQueries, EngineLimits
from pdp.archive.port import QueryEngine
from pdp.archive.queries import QUERIES
from pdp.archive.schema import COLUMNS
from pdp.errors import BadRequestError
from pdp.outgrown.clickhouse_texts import RULES, text_of
from tests.chdb_server import ChdbServer
from tests.contract.pages import after
from tests.copies import BucketCopy, ClickHouseCopy, Copy, local_store
from tests.s3_server import S3Server
from tests.unit.archive.logs import DENY, PERMIT, Worker, record
from tests.unit.declog.samples import START, uuid7_at

DAY = {"since": START - timedelta(hours=12), "until": START + timedelta(hours=36)}
HOURS = {"since": datetime(2026, 3, 31, tzinfo=UTC), "until": datetime(2026, 4, 3, tzinfo=UTC)}
ODD_NAMES = ("u' OR 1=1 --", "山田 太郎", "back\\slash\ttab", '"quoted"', "{x:String}")
PEOPLE = (*(f"u-{n:04d}" for n in range(6)), *ODD_NAMES)
LISTS = {column.name for column in COLUMNS if column.kind == "list"} | {"departments"}


def random_records(random: Random, start: datetime, count: int) -> list[bytes]:
    """People, devices, outcomes and facts of every kind that a report asks about; many of one microsecond."""
    made = []
    for number in range(count):
        at = start + timedelta(minutes=10 * random.randrange(count // 4), microseconds=random.randrange(3))
        facts: dict[str, Any] = {
            "subject__kind": random.choice(["staff", "contractor", "emergency_account"]),
            "subject__employment": random.choice(["active", "ended", "suspended"]),
            "subject__departments": random.choice([[], ["tax"], ["welfare", "tax"], ["防災"]]),
            "device__ownership": random.choice(["organisation", "private"]),
            "device__permit": random.choice(["none", "expired"]),
            "resource__group": random.choice(["communication", "server_admin", "disaster"]),
            "resource__id": random.choice(["groupware", "tax-app", "住民記録"]),
            "context__business_hours": random.choice([True, False, "unknown"]),
            "context__disaster_mode": random.choice([True, False]),
            "context__work_permit": random.choice(["valid", "out_of_window"]),
        }
        chosen = random.sample(sorted(facts), random.randrange(len(facts)))
        body = record(
            at,
            number,
            random.choice([PERMIT, DENY]),
            person=random.choice(PEOPLE),
            device=f"d-{random.randrange(3):05d}",
            **{name: facts[name] for name in chosen},
        )
        # One that is not in the canonical form is kept as its bytes, with the columns that can be read.
        made.append(body if random.randrange(10) else body.replace(b'"kind":', b'"kind": ', 1))
    made.append(b'{"kind":"something else","id":"no id at all"}')
    return made


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("log")
    random = Random(20260401)
    for name in ("w0", "w1"):
        worker = Worker(root, name, START + timedelta(milliseconds=len(name)))
        for _ in range(2):
            worker.write(random_records(random, START, 40))
            worker.seal()
    store = local_store(root)
    for part in (1, 4):
        with store.held():
            store.publish(store.waiting()[:part], START)
    return root


@pytest.fixture(scope="module")
def engines(
    request: pytest.FixtureRequest, log: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], QueryEngine]]:
    """Each copy is made once, when it is first asked: the order of the tests goes from one to the other and back."""
    made: dict[str, QueryEngine] = {}
    with ExitStack() as copies:

        def engine_of(kind: str) -> QueryEngine:
            if kind not in made:
                copy = _copy(request, kind, tmp_path_factory.mktemp("copy"))
                copies.callback(copy.close)
                store = local_store(log)
                assert copy.sink(store).publish(store.layout.names(), START) == 4
                made[kind] = copy.engine()
            return made[kind]

        yield engine_of


@pytest.fixture(params=["clickhouse", "object_store"])
def engine(request: pytest.FixtureRequest, engines: Callable[[str], QueryEngine]) -> QueryEngine:
    return engines(request.param)


def _copy(request: pytest.FixtureRequest, kind: str, root: Path) -> Copy:
    if kind == "clickhouse":
        server: ChdbServer = request.getfixturevalue("chdb")
        return ClickHouseCopy(server, root)
    store: S3Server = request.getfixturevalue("s3")
    return BucketCopy(store, root)


def questions() -> Iterator[tuple[str, dict[str, object]]]:
    """Each with several values of what it takes."""
    for name, query in QUERIES.items():
        times = HOURS if "hourly" in query.views else DAY
        given: dict[str, object] = times if "since" in query.params and "id" not in query.params else {}
        match name:
            case "person_day" | "report_08_person_day":
                at = 2 if name == "person_day" else 0
                yield from ((name, given | {"person": person}) for person in ("u-0003", *ODD_NAMES[at : at + 2]))
            case "device_day":
                yield from ((name, given | {"device": device}) for device in ("d-00001", "'"))
            case "by_source_ip":
                yield from ((name, given | {"source_ip": address}) for address in ("192.0.2.7", "::1"))
            case "by_id":
                yield from ((name, {"id": uuid7_at(START, number)}) for number in range(1))
                yield name, {"id": "00000000-0000-4000-8000-000000000000"}
            case "department_export":
                yield from ((name, given | {"department": department}) for department in ("tax", "防災", "x'"))
            case "counts" | "report_01_denials":
                yield from ((name, given | more) for more in ({}, {"department": "tax"}, {"department": "none"}))
            case "denials_by_reason_hour":
                yield from ((name, given | {"utc_offset": offset}) for offset in (540, 0, -210))
            case "top_denied_resources":
                yield from ((name, given | {"rank": rank}) for rank in (1, 10))
            case _:
                yield name, given


def plain(table: pa.Table) -> list[dict[str, Any]]:
    """A list that is absent is an empty one: ClickHouse has no NULL lists."""
    rows = table.to_pylist()
    return [{key: [] if key in LISTS and value is None else value for key, value in row.items()} for row in rows]


def in_any_order(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(row) for row in rows)


ANSWERS: dict[str, pa.Table] = {}


def embedded(log: Path, name: str, params: dict[str, object]) -> pa.Table:
    """The embedded engine's answer, asked once: the log of this module does not change."""
    key = repr((name, params))
    if key not in ANSWERS:
        ANSWERS[key] = DuckQueries([log]).run(name, params)
    return ANSWERS[key]


def test_every_named_question_is_asked():
    assert {name for name, _ in questions()} == set(QUERIES)


def asked() -> list[tuple[str, str, dict[str, object]]]:
    """The object store's reader is DuckDB again: it is asked each question once."""
    first = dict(reversed(list(questions())))
    clickhouse = [("clickhouse", name, params) for name, params in questions()]
    return clickhouse + [("object_store", name, params) for name, params in first.items()]


@pytest.mark.parametrize(
    ("engine", "name", "params"),
    asked(),
    ids=lambda value: value if isinstance(value, str) else "",
    indirect=["engine"],
)
def test_an_engine_agrees_with_the_embedded_one(engine: QueryEngine, log: Path, name: str, params: dict[str, object]):
    expected, found = embedded(log, name, params), engine.run(name, params)
    assert found.schema == expected.schema
    assert in_any_order(plain(found)) == in_any_order(plain(expected))
    times = [column for column in ("time", "hour") if column in found.column_names]
    if times:  # rows of one instant may stand in any order, but instants may not
        assert found[times[0]].to_pylist() == expected[times[0]].to_pylist()


WITHIN: list[tuple[str, ...]] = [("welfare", "防災"), ("none'",), ()]
COUNTED_AND_NOT = ("counts", "newest", "by_id")


def bounded() -> list[tuple[str, str, tuple[str, ...]]]:
    """Each question of each engine within one department; a few within others, and within none."""
    each = [("clickhouse", name, ("tax",)) for name in sorted(QUERIES)]
    few = [
        (kind, name, within) for kind in ("clickhouse", "object_store") for name in COUNTED_AND_NOT for within in WITHIN
    ]
    return each + few


@pytest.mark.parametrize(("engine", "name", "within"), bounded(), indirect=["engine"])
def test_an_engine_bounded_to_departments_agrees_with_the_embedded_one(
    engine: QueryEngine, log: Path, name: str, within: tuple[str, ...]
):
    params = dict(reversed(list(questions())))[name]
    expected, found = DuckQueries([log]).run(name, params, within=within), engine.run(name, params, within=within)
    assert found.schema == expected.schema
    assert in_any_order(plain(found)) == in_any_order(plain(expected))


def test_a_bound_leaves_something_out_and_something_in(log: Path):
    all_, tax, nobody = (
        DuckQueries([log]).run("counts", HOURS, within=within).column("decisions").to_pylist()
        for within in (None, ("tax",), ())
    )
    assert 0 == sum(nobody) < sum(tax) < sum(all_)


def test_the_questions_find_something(log: Path):
    """Engines that agree on nothing at all agree too easily."""
    found = {name for name, params in questions() if embedded(log, name, params).num_rows}
    assert set(QUERIES) - found == set()


@pytest.mark.parametrize(("name", "page"), [("newest", 60), ("denials", 17)])
def test_pages_walk_through_the_same_rows_in_the_same_order(engine: QueryEngine, log: Path, name: str, page: int):
    walked = [walk(asked, name, DAY | {"page": page}) for asked in (engine, DuckQueries([log]))]
    assert walked[0] == walked[1]
    assert len(walked[0]) > 2 * page


def walk(engine: QueryEngine, name: str, params: dict[str, object]) -> list[str]:
    seen: list[str] = []
    key: dict[str, object] = {}
    while page := engine.run(name, params | key).to_pylist():
        seen += [str(row["id"]) for row in page]
        key = after(page[-1])
    return seen


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("no_such_question", {}),
        ("newest", DAY | {"page": 10**9}),
        ("newest", DAY | {"colour": "red"}),
        ("by_id", {"id": "'; SELECT 1"}),
        ("counts", {"since": START, "until": START + timedelta(days=1)}),
    ],
)
def test_a_question_that_is_none_is_refused_before_anybody_is_asked(
    engine: QueryEngine, name: str, params: dict[str, object]
):
    with pytest.raises(BadRequestError):
        engine.run(name, params)


def test_more_rows_than_a_table_may_have_are_refused_and_an_export_has_them(
    chdb: ChdbServer, log: Path, tmp_path: Path
):
    copy = ClickHouseCopy(chdb, tmp_path)
    store = local_store(log)
    copy.sink(store).publish(store.layout.names(), START)
    small = copy.engine(EngineLimits(rows=10))
    with pytest.raises(BadRequestError, match="more than 10 rows"):
        small.run("newest", DAY | {"page": 1000})
    assert small.run("department_export", DAY | {"department": "tax"}).num_rows > 10
    copy.close()


def test_no_question_has_a_text_of_its_own_and_every_rule_has_its_reason():
    texts = {name: text_of(query, "sekisho") for name, query in QUERIES.items()}
    assert all("$" not in text and "::" not in text for text in texts.values())
    assert set(RULES) == {"parameters", "ids", "times", "semi_join", "to_minutes", "tables", "overlaps", "first"}
    assert all(len(reason) > 20 for reason in RULES.values())
