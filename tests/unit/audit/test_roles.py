"""Who may do what, over every path; and that what one may not is written down."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.audit.world import DAY, OPERATE, READ, World

pytestmark = pytest.mark.anyio

REASON = {"reason": "incident 2026-17"}
# method, path, params or body, which permissions must all be there (None: either reading one)
ROUTES: list[tuple[str, str, Any, frozenset[str] | None]] = [
    ("GET", "/decisions", DAY, None),
    ("GET", "/decisions/count", DAY, None),
    ("GET", "/decisions/groups", {**DAY, "by": "outcome"}, None),
    ("GET", "/decisions/export", DAY, frozenset({"audit_export"})),
    ("GET", "/decisions/{id}", {}, None),
    ("GET", "/decisions/{id}/proof", {}, frozenset({READ})),
    ("GET", "/reports", {}, None),
    ("GET", "/reports/report_01_denials", DAY, None),
    ("GET", "/reports/department_export", {**DAY, "department": "tax"}, frozenset({"audit_export"})),
    ("POST", "/sql", {**DAY, "sql": "SELECT 1"}, frozenset({READ, "audit_sql"})),
    ("POST", "/reveal", REASON, frozenset({"audit_reveal"})),
    ("GET", "/queries", {}, None),
    ("PUT", "/queries/q", {"kind": "count", "parameters": {}}, None),
    ("GET", "/queries/q", {}, None),
    ("GET", "/queries/q/answer", DAY, None),
    ("DELETE", "/queries/q", None, None),
    ("GET", "/columns", {}, None),
    ("GET", "/trail", {}, frozenset({"audit_trail"})),
]
ROLES: dict[str, frozenset[str]] = {
    "nothing": frozenset(),
    "gateway": frozenset({"decide", "batch", "admin_reasons"}),
    "auditor": frozenset({READ}),
    "operator": frozenset({OPERATE}),
    "sql_auditor": frozenset({READ, "audit_sql"}),
    "sql_operator": frozenset({OPERATE, "audit_sql"}),
    "revealer": frozenset({OPERATE, "audit_reveal"}),
    "bare_revealer": frozenset({"audit_reveal", "audit_sql", "audit_export"}),
    "exporter": frozenset({OPERATE, "audit_export"}),
    "supervisor": frozenset({"audit_trail"}),
    "all": frozenset({READ, OPERATE, "audit_sql", "audit_reveal", "audit_export", "audit_trail"}),
}


def may(has: frozenset[str], path: str, needs: frozenset[str] | None) -> bool:
    reads = bool(has & {READ, OPERATE})
    return (reads or path == "/trail") and (needs is None or needs <= has)


@pytest.mark.parametrize("role", ROLES)
async def test_each_role_on_each_path(audit: World, ids: list[str], role: str) -> None:
    who = audit.caller(role, *ROLES[role])
    for method, path, said, needs in ROUTES:
        url = path.format(id=ids[0])
        body = {**said, "id": ids[0]} if path == "/reveal" else said
        answer = await (audit.get(who, url, **said) if method == "GET" else audit.send(who, method, url, body))
        event = audit.events()[-1]
        if may(ROLES[role], path, needs):
            # A proof needs a signed head, which this log has none of; deleting what was not saved finds nothing.
            assert answer.status_code == (503 if path.endswith("proof") else 200), (path, answer.text)
            assert event.outcome == ("failed" if path.endswith("proof") else "done")
        else:
            assert answer.status_code == 403, (path, answer.text)
            assert answer.json()["error"]["code"] == "not_permitted"
            assert (event.outcome, event.error) == ("refused", "not_permitted")
        assert (event.actor.kind, event.actor.id) == ("caller", role)
        assert answer.headers["cache-control"] == "no-store"


async def test_who_is_nobody_is_told_so_and_nothing_is_written_down(audit: World) -> None:
    for method, path, said, _ in ROUTES:
        answer = await audit.send("stranger", method, path.format(id="x"), None if method == "GET" else said)
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers
    assert audit.events() == []


async def test_a_question_that_cannot_be_written_down_is_not_answered(audit: World, ids: list[str]) -> None:
    who = audit.caller("all", *ROLES["all"])
    audit.trail.broken = True
    for method, path, said, _ in ROUTES:
        url = path.format(id=ids[0])
        body = {**said, "id": ids[0]} if path == "/reveal" else said
        answer = await (audit.get(who, url, **said) if method == "GET" else audit.send(who, method, url, body))
        assert answer.status_code == 503, path
        assert answer.json()["error"]["code"] == "record_failed"
        assert "tanaka" not in answer.text


async def test_the_event_says_who_what_how_much_and_by_what_right(audit: World) -> None:
    who = audit.caller("aud", READ, "decide")
    answer = await audit.get(who, "/decisions", **DAY, person="tanaka", outcome=["deny", "allow"])
    assert len(answer.json()["decisions"]) == 6
    event = audit.events()[-1]
    assert event.actor.roles == ["audit_read"]
    assert event.action == "audit.query"
    assert event.parameters == {**DAY, "person": "tanaka", "outcome": ["deny", "allow"]}
    assert (event.rows, event.outcome) == (6, "done")
    assert event.answer_sha256 is not None


async def test_the_document_has_every_path_and_every_reference_leads_somewhere(audit: World) -> None:
    document = (await audit.client.get("/openapi.json")).json()
    for method, path, _, _ in ROUTES:
        shape = path.replace("/queries/q", "/queries/{name}")
        shape = "/reports/{name}" if shape.startswith("/reports/") else shape
        operation = document["paths"][f"/audit/v1{shape}"][method.lower()]
        assert {"200", "401", "403", "503"} <= operation["responses"].keys()
    schemas = document["components"]["schemas"]

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"].rpartition("/")[2]} if "$ref" in node else set()
            return own.union(*map(references, node.values()))
        return set().union(*map(references, node)) if isinstance(node, list) else set()

    paths = {path: item for path, item in document["paths"].items() if path.startswith("/audit/")}
    assert references(paths) - {"Problem"} <= schemas.keys()  # `Problem` is every surface's
    assert len(paths) == 15
