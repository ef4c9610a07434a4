"""An auditor of some departments sees their people, by every way of asking, and nobody else."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pdp.archive.queries import QUERIES
from tests.unit.archive.logs import Worker, record
from tests.unit.audit.world import DAY, OPERATE, READ, World, people_in
from tests.unit.declog.samples import START, uuid7_at
from tests.unit.transparency.notaries import notary_at

pytestmark = pytest.mark.anyio

INSIDE, OUTSIDE = {"tanaka", "suzuki"}, ("sato", "kato")  # of `tax`; sato is of another, kato of none


@pytest.fixture
def bound(audit: World) -> str:
    return audit.caller("tax-auditor", READ, "audit_sql", "audit_export", "audit_reveal", "audit_trail", within=["tax"])


def holds_nobody_else(text: str) -> bool:
    return not any(name in text for name in OUTSIDE)


async def test_pages_counts_groups_and_exports(audit: World, bound: str) -> None:
    page = (await audit.get(bound, "/decisions", **DAY)).json()
    assert people_in(page["decisions"]) == INSIDE
    assert (await audit.get(bound, "/decisions/count", **DAY)).json() == {"count": 12}
    groups = (await audit.get(bound, "/decisions/groups", **DAY, by="person")).json()["groups"]
    assert people_in(groups) == INSIDE
    by_hour = (await audit.get(bound, "/decisions/groups", **DAY, by="hour,outcome")).json()["groups"]
    assert sum(row["decisions"] for row in by_hour) == 12  # also where the counts of the store could answer
    assert not any("people" in row for row in by_hour)
    with_people = (await audit.get(bound, "/decisions/groups", **DAY, by="outcome", people="true")).json()["groups"]
    assert {row["people"] for row in with_people} == {len(INSIDE)}
    for form in ("csv", "jsonl"):
        answer = await audit.get(bound, "/decisions/export", **DAY, format=form)
        assert holds_nobody_else(answer.text)
        assert "tanaka" in answer.text


async def test_filters_do_not_widen_it(audit: World, bound: str) -> None:
    for filters in (
        {"person": "sato"}, {"department": "welfare", "person": "sato"}, {"device": "pc-sato"}, {"person": "kato"},
    ):  # fmt: skip
        assert (await audit.get(bound, "/decisions/count", **DAY, **filters)).json() == {"count": 0}
    welfare = (await audit.get(bound, "/decisions", **DAY, department="welfare")).json()["decisions"]
    assert people_in(welfare) == {"suzuki"}  # who is of both
    assert (await audit.get(bound, "/decisions", **DAY, within="welfare")).status_code == 400


async def test_one_decision_its_proof_and_its_people(audit: World, bound: str, ids: list[str]) -> None:
    of_sato, of_tanaka = ids[6], ids[0]
    assert (await audit.get(bound, f"/decisions/{of_tanaka}")).status_code == 200
    for path in (f"/decisions/{of_sato}", f"/decisions/{of_sato}/proof"):
        for everywhere in ("false", "true"):
            answer = await audit.get(bound, path, everywhere=everywhere)
            assert (answer.status_code, holds_nobody_else(answer.text)) == (404, True)
    for what in ({"id": of_sato}, {"pseudonym": audit.pseudonyms.of("person", "sato"), **DAY}):
        answer = await audit.send(bound, "POST", "/reveal", {**what, "reason": "incident 2026-17"})
        assert answer.status_code == 404


@pytest.mark.parametrize("theirs_first", [True, False])
async def test_of_two_records_of_one_id_the_proof_is_of_the_one_that_may_be_seen(
    audit: World, bound: str, theirs_first: bool
) -> None:
    """Ids of other OPAs are what they say: one may push the id of somebody else's decision."""
    log, at = audit.place / "decisions", START + timedelta(minutes=30)
    for worker, person, department in (
        ("w1" if theirs_first else "w2", "sato", "welfare"),
        ("w2" if theirs_first else "w1", "tanaka", "tax"),
    ):
        written = Worker(log, worker, start=at)
        written.write([record(at, 7, person=person, device=f"pc-{person}", subject__departments=[department])])
        written.seal()
    notary = notary_at(log)
    notary.turn()
    notary.close()
    doubled = str(uuid7_at(at, 7))
    assert (await audit.get(audit.caller("all", READ), f"/decisions/{doubled}")).json()["copies"] == 2
    seen = (await audit.get(bound, f"/decisions/{doubled}")).json()
    assert (seen["copies"], holds_nobody_else(str(seen))) == (1, True)
    proof = await audit.get(bound, f"/decisions/{doubled}/proof")
    assert (proof.status_code, holds_nobody_else(proof.text)) == (200, True)
    assert "tanaka" in proof.json()["record"]


async def test_every_report(audit: World, bound: str, ids: list[str]) -> None:
    values = {**DAY, "person": "sato", "device": "pc-sato", "source_ip": "192.0.2.7", "id": ids[6]}
    values["department"] = "welfare"
    for query in QUERIES.values():
        params = {name: values[name] for name in query.params if name in values}
        answer = await audit.get(bound, f"/reports/{query.name}", **params)
        assert answer.status_code == 200, (query.name, answer.text)
        assert holds_nobody_else(answer.text), query.name
    counts = (await audit.get(bound, "/reports/counts", **DAY)).json()["rows"]
    assert sum(row["decisions"] for row in counts) == 12


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM decisions",
        "SELECT person FROM decisions UNION ALL SELECT person FROM decisions WHERE true OR person = 'sato'",
        "SELECT * FROM tail",
        "SELECT * FROM fresh",
        "SELECT * FROM main.tail",
        "SELECT * FROM memory.main.fresh",
        'SELECT * FROM "tail"',
        "WITH decisions AS (SELECT * FROM tail) SELECT * FROM decisions",
        "SELECT * FROM (FROM fresh)",
        "FROM fresh",
        "SELECT (SELECT string_agg(person) FROM tail)",
        "SELECT * FROM decisions WHERE person IN (SELECT person FROM fresh)",
        "SELECT * FROM query_table('fresh')",
        "SELECT * FROM query('SELECT * FROM fresh')",
        "SELECT sql FROM duckdb_views()",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM read_parquet('**/*.parquet')",
        "SUMMARIZE fresh",
        "DESCRIBE fresh",
        "CREATE OR REPLACE VIEW decisions AS SELECT * FROM tail",
        "SELECT 1; SELECT * FROM fresh",
        "PIVOT fresh ON person",
        "SELECT * FROM hourly",
        "SELECT * FROM segments",
    ],
)
async def test_no_statement_leads_out(audit: World, bound: str, text: str) -> None:
    answer = await audit.send(bound, "POST", "/sql", {**DAY, "sql": text})
    assert answer.status_code in (200, 400, 503), answer.text
    assert holds_nobody_else(answer.text.replace("'sato'", ""))
    assert str(audit.place) not in answer.text


async def test_counts_by_sql_are_those_of_its_people(audit: World, bound: str) -> None:
    for relation, counted in (("decisions", "count(*)"), ("hourly", "sum(decisions)::BIGINT")):
        body = {**DAY, "sql": f"SELECT {counted} FROM {relation}"}
        assert (await audit.send(bound, "POST", "/sql", body)).json()["rows"] == [[12]]


async def test_saved_questions_of_others_are_asked_with_ones_own_eyes(audit: World, bound: str) -> None:
    other = audit.caller("aud", READ, "audit_sql")
    for name, parameters in (("all", {}), ("his", {"person": "sato"})):
        body = {"kind": "count", "parameters": parameters, "shared": True}
        assert (await audit.send(other, "PUT", f"/queries/{name}", body)).status_code == 200
    assert (await audit.get(bound, "/queries/all/answer", owner="aud", **DAY)).json() == {"count": 12}
    assert (await audit.get(bound, "/queries/his", owner="aud")).status_code == 404  # it names somebody
    assert [q["name"] for q in (await audit.get(bound, "/queries")).json()["queries"]] == ["all"]


async def test_the_trail_shows_a_bound_auditor_no_name(audit: World, bound: str) -> None:
    other = audit.caller("aud", READ, "audit_sql")
    await audit.get(other, "/decisions", **DAY, person="sato")
    await audit.send(other, "POST", "/sql", {**DAY, "sql": "SELECT 'sato' FROM decisions"})
    await audit.get(other, "/decisions/sato")  # a name where an id should stand
    await audit.send(other, "POST", "/reveal", {"pseudonym": "sato", **DAY, "reason": "incident 2026-17"})
    await audit.send(other, "PUT", "/queries/of-sato", {"kind": "count", "parameters": {}})
    answer = await audit.get(bound, "/trail")
    assert holds_nobody_else(answer.text)
    assert audit.pseudonyms.of("person", "sato") in answer.text


async def test_an_empty_bound_is_nobody(audit: World) -> None:
    for permission in (READ, OPERATE):
        who = audit.caller(f"none-{permission}", permission, within=[])
        assert (await audit.get(who, "/decisions/count", **DAY)).json() == {"count": 0}
        assert (await audit.get(who, "/decisions", **DAY)).json()["decisions"] == []


async def test_a_bound_operator_finds_no_pseudonym_outside(audit: World) -> None:
    who = audit.caller("tax-operator", OPERATE, "audit_reveal", within=["tax"])
    outside = audit.pseudonyms.of("person", "sato")
    assert (await audit.get(who, "/decisions/count", **DAY, person=outside)).status_code == 404
    assert (await audit.get(who, "/decisions/count", **DAY, person=audit.pseudonyms.of("person", "suzuki"))).json() == {
        "count": 6
    }
