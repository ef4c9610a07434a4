"""What can be asked, and hostile values in every parameter."""

from __future__ import annotations

import json
import urllib.parse
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from pdp.archive.asking import Cursor
from pdp.audit.saved import MAX_SAVED
from tests.unit.audit.world import DAY, READ, SINCE, World, people_in

pytestmark = pytest.mark.anyio

HOSTILE = [
    "' OR true --",
    "'; DROP VIEW decisions; --",
    '" OR 1=1',
    "$since",
    "%27",
    "\x00",
    "tanaka\x00",
    "\r\nSet-Cookie: a=b",
    "🙂" * 200,
    "x" * 20_000,
    "../../etc/passwd",
    "{{7*7}}",
    "*",
    "%",
    "NULL",
    "-1",
    "1e309",
    "９",
]
PARAMETERS = [
    "since", "until", "person", "department", "device", "resource", "resource_group", "outcome", "reason", "caller",
    "revision", "source_ip", "action", "kind", "exception", "disaster_mode", "request_id", "trace_id", "size", "before",
    "by", "limit", "utc_offset_min", "people", "format", "lang", "everywhere", "owner", "actor", "nonsense", "within",
]  # fmt: skip
PATHS = {
    "/decisions": {},
    "/decisions/count": {},
    "/decisions/groups": {"by": "outcome"},
    "/decisions/export": {},
    "/reports/newest": {},
    "/trail": None,
    "/queries": None,
}


@pytest.fixture
def auditor(audit: World) -> str:
    return audit.caller("aud", READ, "audit_sql", "audit_export", "audit_trail")


@pytest.mark.parametrize("path", PATHS)
async def test_a_hostile_value_finds_nothing_or_is_refused(audit: World, auditor: str, path: str) -> None:
    base = PATHS[path]
    for offset, name in enumerate(PARAMETERS):
        for value in HOSTILE if name == "person" and path == "/decisions/count" else HOSTILE[offset % 9 :: 9]:
            params = {**({} if base is None else {**DAY, **base}), name: value}
            answer = await audit.get(auditor, path, **params)
            assert answer.status_code in (200, 400, 403), (name, value, answer.text)
            assert "set-cookie" not in answer.headers
            assert str(audit.place) not in answer.text
            if answer.status_code == 200 and path == "/decisions/count" and name in PARAMETERS[2:18]:
                assert answer.json() == {"count": 0}, (name, value)


async def test_hostile_names_of_paths_are_no_names(audit: World, auditor: str) -> None:
    for value in HOSTILE[:14]:
        quoted = urllib.parse.quote(value, safe="")
        for path in ("/decisions/{}", "/reports/{}", "/queries/{}", "/decisions/{}/proof", "/queries/{}/answer"):
            answer = await audit.client.get("/audit/v1" + path.format(quoted), headers={"x-who": auditor})
            assert answer.status_code in (400, 404), (path, value, answer.text)
        kept = await audit.client.put(
            f"/audit/v1/queries/{quoted}",
            json={"kind": "count", "parameters": {}},
            headers={"x-who": auditor},
        )
        assert kept.status_code in (400, 404), value


async def test_a_query_string_that_is_no_utf8_is_refused_and_written_down_as_it_came(
    audit: World, auditor: str
) -> None:
    answer = await audit.client.get("/audit/v1/decisions?person=%ff%fe", headers={"x-who": auditor})
    assert answer.status_code == 400
    assert audit.events()[-1].parameters == {"query": "person=%ff%fe"}


async def test_pages_follow_one_another_until_the_end(audit: World, auditor: str) -> None:
    seen: list[str] = []
    before: dict[str, str] = {}
    while True:
        page = (await audit.get(auditor, "/decisions", **DAY, size=7, **before)).json()
        seen += [row["id"] for row in page["decisions"]]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert len(seen) == len(set(seen)) == 24
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/decisions", {**DAY, "before": Cursor(datetime.max, str(UUID(int=1)), "x", 1).text()}, 200),
        ("/decisions/ffffffff-ffff-7fff-bfff-ffffffffffff", {}, 404),  # an id of the year 10889
        ("/reports/report_01_denials", {"since": SINCE, "until": "9999-12-31T23:00:00Z"}, 400),  # later, in Japan
        ("/reports/report_01_denials", {"since": SINCE, "until": "9999-12-31T23:00:00Z", "format": "csv"}, 400),
        ("/reports/report_01_denials", {"since": SINCE, "until": "9999-12-31T00:00:00Z", "format": "csv"}, 200),
    ],
)
async def test_what_lies_at_the_end_of_all_times_is_answered_or_refused(
    audit: World, auditor: str, path: str, params: dict[str, str], status: int
) -> None:
    assert (await audit.get(auditor, path, **params)).status_code == status
    assert audit.events()[-1].outcome == ("done" if status == 200 else "failed")


async def test_one_decision_is_the_record_as_it_was_appended(audit: World, auditor: str, ids: list[str]) -> None:
    for which in (ids[0], ids[-1]):  # of the sealed segment, and of the open one
        found = (await audit.get(auditor, f"/decisions/{which}")).json()
        assert found["record"]["id"] == which
        assert found["record"]["schema"].startswith("sekisho.decision/")
        assert found["record"]["input"]["schema"] == "pdp.input/v1"
        assert found["proof"] == f"/audit/v1/decisions/{which}/proof"
        assert found["copies"] == 1


async def test_languages_are_those_that_are_asked_for(audit: World, auditor: str) -> None:
    for headers, params, wanted in (
        ({}, {}, "拒否"),
        ({"accept-language": "fr, en-GB;q=0.8, ja;q=0.5"}, {}, "Denials"),
        ({"accept-language": "en"}, {"lang": "ja"}, "拒否"),
        ({}, {"lang": "en"}, "Denials"),
    ):
        url = "/audit/v1/reports/report_01_denials"
        answer = await audit.client.get(url, params={**DAY, **params}, headers={"x-who": auditor, **headers})
        assert wanted in answer.json()["title"]
        listed = await audit.client.get("/audit/v1/reports", params=params, headers={"x-who": auditor, **headers})
        assert wanted in listed.text


async def test_a_saved_question_is_kept_changed_asked_and_deleted(audit: World, auditor: str) -> None:
    body = {"kind": "groups", "parameters": {"by": "person", "outcome": ["deny", "limit"]}, "title": "拒否の人別件数"}
    assert (await audit.send(auditor, "PUT", "/queries/denied", body)).json() == {"name": "denied", "created": True}
    assert (await audit.send(auditor, "PUT", "/queries/denied", body)).json() == {"name": "denied", "created": False}
    kept = (await audit.get(auditor, "/queries/denied")).json()
    assert kept["parameters"] == {"by": ["person"], "outcome": ["deny", "limit"]}
    assert kept["title"] == "拒否の人別件数"
    found = (await audit.get(auditor, "/queries/denied/answer", **DAY)).json()["groups"]
    assert people_in(found) == {"tanaka", "suzuki", "sato", "kato"}
    assert audit.events()[-1].object == "aud/denied"
    stranger = audit.caller("other", READ)
    assert (await audit.get(stranger, "/queries/denied", owner="aud")).status_code == 404
    assert (await audit.send(stranger, "DELETE", "/queries/denied", None)).status_code == 404
    assert (await audit.send(auditor, "DELETE", "/queries/denied", None)).status_code == 200
    assert (await audit.get(auditor, "/queries/denied")).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "drop", "parameters": {}},
        {"kind": "count"},
        {"kind": "count", "parameters": {"nonsense": "x"}},
        {"kind": "count", "parameters": {"outcome": "maybe"}},
        {"kind": "groups", "parameters": {}},
        {"kind": "report", "parameters": {}},
        {"kind": "report", "parameters": {"name": "no_such"}},
        {"kind": "sql", "parameters": {}},
        {"kind": "sql", "parameters": {"sql": ["SELECT 1", "SELECT 2"]}},
        {"kind": "count", "parameters": {}, "owner": "chief"},
        {"kind": "count", "parameters": {}, "title": "x" * 201},
        {"kind": "count", "parameters": []},
    ],
)
async def test_what_could_not_be_asked_is_not_kept(audit: World, auditor: str, wrong: dict[str, Any]) -> None:
    assert (await audit.send(auditor, "PUT", "/queries/q", wrong)).status_code in (400, 404)
    assert (await audit.get(auditor, "/queries")).json() == {"queries": []}


async def test_each_kind_can_be_kept_and_asked(audit: World, auditor: str) -> None:
    for number, (kind, parameters) in enumerate(
        [
            ("decisions", {"size": "5"}),
            ("count", {}),
            ("groups", {"by": "hour"}),
            ("report", {"name": "report_01_denials"}),
            ("report", {"name": "report_10_completeness"}),
            ("sql", {"sql": "SELECT count(*) FROM decisions"}),
        ]
    ):
        body = {"kind": kind, "parameters": parameters}
        assert (await audit.send(auditor, "PUT", f"/queries/q{number}", body)).status_code == 200, parameters
        times = {} if parameters.get("name") == "report_10_completeness" else DAY
        answer = await audit.get(auditor, f"/queries/q{number}/answer", **times)
        assert answer.status_code == 200, answer.text


async def test_one_owner_keeps_no_more_than_so_many(audit: World, auditor: str) -> None:
    body = {"kind": "count", "parameters": {}}
    for number in range(MAX_SAVED):
        assert (await audit.send(auditor, "PUT", f"/queries/q{number}", body)).status_code == 200
    assert (await audit.send(auditor, "PUT", "/queries/more", body)).status_code == 400
    assert (await audit.send(auditor, "PUT", "/queries/q0", body)).status_code == 200


async def test_the_trail_is_paged_and_narrowed(audit: World, auditor: str) -> None:
    for _ in range(5):
        await audit.get(auditor, "/decisions/count", **DAY)
    await audit.get(auditor, "/decisions/count", since=SINCE)
    page = (await audit.get(auditor, "/trail", size=2)).json()
    older = (await audit.get(auditor, "/trail", size=100, before=page["next"])).json()
    assert [e["outcome"] for e in page["events"]] == ["failed", "done"]
    assert len(older["events"]) == 4
    assert older["next"] is None
    failed = (await audit.get(auditor, "/trail", outcome="failed")).json()["events"]
    assert [e["error"] for e in failed] == ["bad_request"]
    assert (await audit.get(auditor, "/trail", action="rm -rf")).status_code == 400


async def test_sql_sees_its_time_alone_and_gives_no_place_away(audit: World, auditor: str) -> None:
    body = {"since": "2026-04-01T00:01:00Z", "until": DAY["until"], "sql": "SELECT count(*) FROM decisions"}
    assert (await audit.send(auditor, "POST", "/sql", body)).json()["rows"] == [[12]]
    for text in (
        "SELECT * FROM read_text('/etc/passwd')",
        "COPY decisions TO 'x.csv'",
        "SELECT getenv('PATH')",
        "",
        "x",
    ):
        answer = await audit.send(auditor, "POST", "/sql", {**body, "sql": text})
        assert answer.status_code == 400, text
        assert str(audit.place) not in answer.text
    assert (await audit.send(auditor, "POST", "/sql", {"sql": "SELECT 1"})).status_code == 400
    assert (
        await audit.send(auditor, "POST", "/sql", {**body, "sql": "SELECT " + "1+" * 6_000 + "1"})
    ).status_code == 400


async def test_jsonl_has_one_object_a_line(audit: World, auditor: str) -> None:
    answer = await audit.get(auditor, "/decisions/export", **DAY, format="jsonl")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len(lines) == 24
    begun, done = audit.events()[-2:]
    assert (begun.outcome, done.outcome, done.of, done.rows) == ("begun", "done", begun.id, 24)
