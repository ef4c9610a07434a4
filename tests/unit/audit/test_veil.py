"""What an operator sees, and that nothing that it may ask says who somebody is."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pdp.archive.paper import on_paper
from pdp.archive.queries import QUERIES
from pdp.archive.schema import COLUMNS
from pdp.audit.veil import veiled
from pdp.audit.veil_lists import ORDERS, PSEUDONYMS, SHOWN
from pdp.privacy.pseudonym import Pseudonyms, is_pseudonym
from tests.unit.archive.logs import Worker, record
from tests.unit.audit.world import DAY, OPERATE, PEOPLE, READ, World
from tests.unit.declog.samples import START

pytestmark = pytest.mark.anyio

SECRETS = [*PEOPLE, "192.0.2.7", "s-1", "r-1", "/schedule/day", "4bf92f3577b34da6a3ce929d0e0e4736"]


def hides_everything(text: str) -> bool:
    return not any(secret in text for secret in SECRETS)


@pytest.fixture
def operator(audit: World) -> str:
    return audit.caller("op", OPERATE, "audit_export", "audit_trail", "audit_reveal")


async def test_people_devices_addresses_and_sessions_are_pseudonyms_and_stay_the_same(
    audit: World, operator: str
) -> None:
    rows = (await audit.get(operator, "/decisions", **DAY)).json()["decisions"]
    assert len({row["person"] for row in rows}) == len(PEOPLE)
    assert all(is_pseudonym(row[name]) for row in rows for name in ("person", "device", "source_ip"))
    groups = (await audit.get(operator, "/decisions/groups", **DAY, by="person")).json()["groups"]
    assert {row["person"] for row in groups} == {row["person"] for row in rows}
    assert all(row["decisions"] == 6 for row in groups)


async def test_no_answer_of_any_path_holds_a_name(audit: World, operator: str, ids: list[str]) -> None:
    auditor = audit.caller("aud", READ)
    await audit.get(auditor, "/decisions", **DAY, person="tanaka", device="pc-sato", request_id="r-1")
    texts = []
    for path, params in [
        ("/decisions", DAY),
        (f"/decisions/{ids[0]}", {}),
        ("/decisions/groups", {**DAY, "by": "person,reason"}),
        ("/decisions/export", {**DAY, "format": "csv"}),
        ("/decisions/export", {**DAY, "format": "jsonl"}),
        ("/columns", {}),
        ("/queries", {}),
        ("/trail", {}),
    ]:
        answer = await audit.get(operator, path, **params)
        assert answer.status_code == 200, answer.text
        texts.append(answer.text)
    assert all(map(hides_everything, texts))
    assert "tanaka" in (await audit.get(auditor, f"/decisions/{ids[0]}")).text


async def test_no_report_holds_a_name(audit: World, operator: str, ids: list[str]) -> None:
    rows = (await audit.get(operator, "/decisions", **DAY)).json()["decisions"]
    values = {
        **DAY, "person": rows[0]["person"], "device": rows[0]["device"], "source_ip": rows[0]["source_ip"],
        "id": ids[0], "department": "tax",
    }  # fmt: skip
    for query in QUERIES.values():
        params = {name: values[name] for name in query.params if name in values}
        answer = await audit.get(operator, f"/reports/{query.name}", **params)
        assert answer.status_code == 200, (query.name, answer.text)
        assert hides_everything(answer.text), query.name


async def test_a_parquet_export_holds_no_name_either(audit: World, operator: str) -> None:
    answer = await audit.get(operator, "/decisions/export", **DAY, format="parquet")
    table = pq.read_table(io.BytesIO(answer.content))
    assert table.num_rows == 24
    assert set(table.column_names) <= SHOWN | PSEUDONYMS.keys()
    assert hides_everything(json.dumps(table.to_pylist(), default=str))


@pytest.mark.parametrize("name", ["person", "device", "source_ip"])
async def test_by_a_real_id_an_operator_may_not_ask_and_hears_nothing_of_it(
    audit: World, operator: str, name: str
) -> None:
    """Else the number of hits would say who somebody is."""
    answers = []
    for value in ("tanaka", "pc-tanaka", "192.0.2.7", "nobody", "p:1:x", ""):
        for path, more in (
            ("/decisions", {}),
            ("/decisions/count", {}),
            ("/decisions/groups", {"by": "outcome"}),
            ("/decisions/export", {}),
        ):
            answer = await audit.get(operator, path, **DAY, **more, **{name: value})
            assert answer.status_code in (400, 403)
            answers.append(answer)
    assert audit.askers.asked == []  # it never came as far as the engine


@pytest.mark.parametrize("name", ["request_id", "trace_id"])
async def test_by_what_a_gateway_wrote_an_operator_may_not_ask(audit: World, operator: str, name: str) -> None:
    assert (await audit.get(operator, "/decisions/count", **DAY, **{name: "r-1"})).status_code == 403


async def test_reports_take_no_real_id_from_an_operator(audit: World, operator: str) -> None:
    for report, params in (
        ("person_day", {"person": "tanaka"}),
        ("device_day", {"device": "pc-tanaka"}),
        ("by_source_ip", {"source_ip": "192.0.2.7"}),
        ("report_08_person_day", {"person": "tanaka"}),
    ):
        assert (await audit.get(operator, f"/reports/{report}", **DAY, **params)).status_code == 403
    assert audit.askers.asked == []


async def test_by_a_pseudonym_an_operator_finds_that_person_and_nobody_else(audit: World, operator: str) -> None:
    pseudonym = audit.pseudonyms.of("person", "suzuki")
    rows = (await audit.get(operator, "/decisions", **DAY, person=pseudonym)).json()["decisions"]
    assert len(rows) == 6
    assert {row["person"] for row in rows} == {pseudonym}
    wrong = audit.pseudonyms.of("person", "yamada")
    assert (await audit.get(operator, "/decisions", **DAY, person=wrong)).status_code == 404
    of_a_device = audit.pseudonyms.of("device", "pc-suzuki")  # another kind
    assert (await audit.get(operator, "/decisions", **DAY, person=of_a_device)).status_code == 404


@pytest.mark.parametrize("permissions", [(OPERATE, "audit_trail"), ("audit_trail",)])
async def test_the_trail_does_not_say_what_somebody_is_called_whom_one_may_not_ask_for(
    audit: World, permissions: tuple[str, ...]
) -> None:
    """Else a question that is refused is a way from a name to its pseudonym."""
    curious = audit.caller("curious", *permissions)
    for path, more in (("/decisions", {}), ("/reports/person_day", {}), ("/decisions/count", {"nothing": "of it"})):
        answer = await audit.get(curious, path, **DAY, **more, person="tanaka", device="pc-tanaka")
        assert answer.status_code in (400, 403)
    shown = (await audit.get(curious, "/trail")).text
    for kind, value in (("person", "tanaka"), ("device", "pc-tanaka")):
        assert audit.pseudonyms.of(kind, value) not in shown
        assert value not in shown


async def test_rows_that_are_equal_but_for_the_name_do_not_stand_in_the_order_of_names(
    audit: World, operator: str
) -> None:
    """Also not by how many of them are asked for: a longer answer begins with the shorter one."""
    groups = []
    for limit in range(1, len(PEOPLE) + 1):
        answer = await audit.get(operator, "/decisions/groups", **DAY, by="person", limit=limit)
        assert answer.json()["groups"][: limit - 1] == groups
        groups = answer.json()["groups"]
    shown = [row["person"] for row in groups]
    assert len({row["decisions"] for row in groups}) == 1
    assert shown == sorted(shown)


async def test_a_pseudonym_of_an_earlier_key_still_finds_its_person(tmp_path: Any) -> None:
    old, both = Pseudonyms({1: b"a" * 32}), Pseudonyms({1: b"a" * 32, 2: b"b" * 32})
    from pdp.audit.veil import stands_for

    assert stands_for(old.of("person", "sato"), "person", "sato", both)
    assert not stands_for(old.of("person", "sato"), "person", "kato", both)
    assert both.of("person", "sato") != old.of("person", "sato")


def test_every_column_that_is_shown_is_known_and_none_carries_a_name() -> None:
    known = {column.name for column in COLUMNS}
    free = {"path", "fault", "error_message", "request_id", "trace_id", "policy_context", "input_text", "raw"}
    digests = {column.name for column in COLUMNS if column.kind == "digest"}
    assert not SHOWN & (free | digests | PSEUDONYMS.keys())
    assert known >= PSEUDONYMS.keys()
    assert not any(name.startswith(("input_", "subject_departments", "posture_")) for name in SHOWN)


def test_each_report_in_the_order_of_names_has_another_order_for_pseudonyms() -> None:
    by_name = {
        query.name
        for query in QUERIES.values()
        if PSEUDONYMS.keys() & set(re.findall(r"\w+", query.sql.rpartition("ORDER BY")[2]))
    }
    assert ORDERS.keys() == by_name
    assert {name for order in ORDERS.values() for name, _ in order} <= SHOWN | PSEUDONYMS.keys()


def test_a_column_that_nobody_decided_on_is_hidden() -> None:
    table = pa.table({"person": ["tanaka", None], "nickname": ["T", "U"], "outcome": ["deny", "allow"]})
    shown = veiled(table, Pseudonyms({1: b"k" * 32}))
    assert shown.column_names == ["person", "outcome"]
    assert shown["person"].to_pylist()[1] is None


def test_what_has_the_form_of_a_pseudonym_gets_one_like_any_name() -> None:
    own = Pseudonyms({1: b"k" * 32})
    kept, forged = Pseudonyms({7: b"m" * 32}).of("person", "tanaka"), own.of("person", "suzuki")
    shown = veiled(pa.table({"person": [kept, forged, "suzuki"]}), own)["person"].to_pylist()
    assert shown == [own.of("person", kept), own.of("person", forged), forged]
    assert len(set(shown)) == 3


async def test_who_writes_somebodys_pseudonym_into_a_request_does_not_stand_among_that_ones_decisions(
    audit: World, operator: str
) -> None:
    """Known from a page that was shown, or told: it must neither be counted for that person nor hide them."""
    of_suzuki = audit.pseudonyms.of("person", "suzuki")
    for name, person in (("a0", of_suzuki), ("z9", of_suzuki)):
        worker = Worker(audit.place / "decisions", name)
        worker.write([record(START + timedelta(minutes=20), 900, person=person)])
        worker.seal()
    assert (await audit.get(operator, "/decisions/count", **DAY, person=of_suzuki)).json() == {"count": 6}
    page = (await audit.get(operator, "/decisions", **DAY, size=1000)).json()["decisions"]
    assert sum(row["person"] == of_suzuki for row in page) == 6
    forged = audit.pseudonyms.of("person", of_suzuki)
    assert (await audit.get(operator, "/decisions/count", **DAY, person=forged)).json() == {"count": 2}


def test_on_paper_a_pseudonym_is_called_one() -> None:
    kept = Pseudonyms({7: b"m" * 32}).of("person", "tanaka")
    table = pa.table({"person": [kept, "tanaka"]})
    assert on_paper(table, "ja", 540)["利用者"].to_pylist() == [f"{kept}（仮名）", "tanaka"]
    (english,) = on_paper(table, "en", 540).columns
    assert english.to_pylist()[0] == f"{kept} (pseudonym)"


async def test_the_title_of_anothers_question_is_not_shown_to_an_operator(audit: World, operator: str) -> None:
    """It is free text, and who wrote it may see names."""
    auditor = audit.caller("writer", READ)
    body = {"kind": "count", "parameters": {"outcome": "deny"}, "title": "田中さんの拒否", "shared": True}
    assert (await audit.send(auditor, "PUT", "/queries/denied", body)).status_code == 200
    own = {"kind": "count", "parameters": {}, "title": "own words", "shared": False}
    assert (await audit.send(operator, "PUT", "/queries/mine", own)).status_code == 200
    listed = (await audit.get(operator, "/queries")).json()["queries"]
    assert {one["name"]: one["title"] for one in listed} == {"denied": "…", "mine": "own words"}
    assert "田中" not in (await audit.get(operator, "/queries/denied", owner="writer")).text
    bound = audit.caller("bound", READ, within=["tax"])
    assert "田中" not in (await audit.get(bound, "/queries")).text
    other = audit.caller("other", READ)
    assert "田中" in (await audit.get(other, "/queries")).text


async def test_a_csv_of_an_operator_has_the_mark_for_excel_and_japanese_heads(audit: World, operator: str) -> None:
    answer = await audit.get(operator, "/decisions/export", **DAY, format="csv")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert "利用者" in rows[0]
    assert len(rows) == 25
    assert "filename*=UTF-8''%E5%88%A4%E5%AE%9A%E3%83%AD%E3%82%B0" in answer.headers["content-disposition"]
