"""Whatever is sent to `/audit/v1`: an answer that its OpenAPI document names, never a fault of ours, never a name to
who may not see it; and what was asked stands in the trail.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.audit.document import OPERATIONS, REFUSALS, audit_document
from pdp.store.store import open_store
from pdp.trail.event import ACTIONS
from tests.unit.audit.world import DAY, OPERATE, READ, World, some_log, world

ROLES = {
    "aud": (READ, "audit_sql", "audit_export", "audit_reveal", "audit_trail"),
    "op": (OPERATE, "audit_export", "audit_reveal", "audit_trail"),
    "bare": (),
}
HOSTILE = st.sampled_from(
    ["", " ", "'", '"', "%", "=1", "\u202e", "\x00", "-1", "1e9", "9" * 30, "true", "null", "../..", "{}", "令和", "x" * 2_000]
) | st.text(max_size=20)  # fmt: skip
TIMES = st.sampled_from(
    ["2026-04-01T00:00:00Z", "2026-04-01T09:30:00+09:00", "2026-04-02T00:00:00Z", "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "2026-04-01", "20260401T000000Z", "not a time"]
)  # fmt: skip
SQL = st.sampled_from(["SELECT 1", "SELECT * FROM decisions", "SELECT * FROM tail", "DROP VIEW x", "SELECT $since"])
WORDS = {"since": TIMES, "until": TIMES, "sql": SQL, "reason": st.sampled_from(["incident 2026-17", "x", ""])}


def value_of(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly what the document asks for, now and then anything."""
    if name in WORDS:
        good: st.SearchStrategy[Any] = WORDS[name]
    elif "enum" in schema:
        good = st.sampled_from(schema["enum"])
    elif schema.get("type") == "integer":
        good = st.integers(schema.get("minimum", 0), schema.get("maximum", 1_000))
    elif schema.get("type") == "array":
        good = value_of("", schema["items"])
    else:
        good = st.sampled_from(
            ["tanaka", "tax", "hour", "hour,reason", "mine", "p:1:abc", "019d4657-007b-7000-8000-000000000000"]
        )
    return st.one_of(good, good, good, HOSTILE)


@st.composite
def requests(draw: st.DrawFn, documents: dict[str, Any]) -> tuple[str, str, str, list[tuple[str, str]], Any]:
    """Who, the method, the path, the parameters, the body."""
    (method, template), operation = draw(st.sampled_from(sorted(OPERATIONS.items(), key=lambda item: item[0])))
    path, params = template, []
    for known in operation.takes:
        if known["in"] == "path":
            names = ["report_08_person_day", "counts", "by_id", "mine", "019d4657-007b-7000-8000-000000000000"]
            value = draw(
                st.sampled_from(names) | HOSTILE.filter(lambda text: text not in ("", ".", "..") and "/" not in text)
            )
            path = path.replace(
                f"{{{known['name']}}}", httpx.QueryParams({"x": value}).__str__()[2:].replace("+", "%20")
            )
        elif known["required"] or draw(st.integers(0, 3)) == 0:
            params.append((known["name"], str(draw(value_of(known["name"], known["schema"])))))
    if draw(st.integers(0, 9)) == 0:
        params.append((draw(HOSTILE), draw(HOSTILE)))
    body = None
    if operation.body is not None:
        properties = documents[operation.body]["properties"]
        body = {n: draw(value_of(n, s)) for n, s in properties.items() if draw(st.integers(0, 3))}
        body = draw(st.sampled_from([body, body, body, [], "x", None]))
    return draw(st.sampled_from(sorted(ROLES))), method, path, params, body


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("asked")
    store = open_store(f"sqlite:///{place / 'sekisho.db'}")
    store.migrate()
    store.close()
    some_log(place)
    return place


def documented(template: str, method: str, status: int, media: str) -> bool:
    responses = OPERATIONS[method, template].route(REFUSALS)["responses"]
    return status in responses and media in responses[status]["content"]


def operation_of(method: str, url: httpx.URL) -> str:
    """The path as the document has it; the first that fits, as the router has them."""
    parts = url.raw_path.decode().partition("?")[0].removeprefix("/audit/v1/").split("/")
    for known_method, path in OPERATIONS:
        wanted = path.strip("/").split("/")
        fits = len(wanted) == len(parts) and all(
            w.startswith("{") or w == p for w, p in zip(wanted, parts, strict=True)
        )
        if known_method == method and fits:
            return path
    raise AssertionError(parts)


SCHEMAS = audit_document()["components"]["schemas"]


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(asked=st.lists(requests(SCHEMAS), min_size=20, max_size=40))
def test_whatever_is_asked_the_answer_is_one_that_the_document_names(template: Path, asked: list[Any]) -> None:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(template, place, dirs_exist_ok=True)
        asyncio.run(check(place, asked))


async def check(place: Path, asked: list[Any]) -> None:
    store = open_store(f"sqlite:///{place / 'sekisho.db'}")
    try:
        async with world(place, store) as audit:
            for name, permissions in ROLES.items():
                audit.caller(name, *permissions)
            for one in asked:
                await ask(audit, *one)
            events = audit.events()
            assert len([event for event in events if event.outcome != "begun"]) == len(asked)
            assert {event.action for event in events} <= ACTIONS
    finally:
        store.close()


async def ask(audit: World, who: str, method: str, path: str, params: list[tuple[str, str]], body: Any) -> None:
    sent: dict[str, Any] = {} if body is None else {"json": body}
    answer = await audit.client.request(
        method, f"/audit/v1{path}", params=httpx.QueryParams(params), headers={"x-who": who}, **sent
    )
    told = (who, method, path, params, body, answer.status_code, answer.text[:300])
    media = answer.headers.get("content-type", "").partition(";")[0]
    assert answer.status_code < 500 or answer.status_code == 503, told
    assert documented(operation_of(method, answer.request.url), method, answer.status_code, media), told
    if media.endswith("json"):
        document = msgspec.json.decode(answer.content)
        if answer.status_code >= 400:
            assert {"type", "title", "status", "error"} <= document.keys(), told
            assert document["status"] == answer.status_code
    if who == "bare":
        assert answer.status_code in (400, 403, 404, 415), told
    if who == "op" and path not in ("/reveal", "/trail"):  # the trail has what others typed, in the words of a filter
        asked_for = str(params) + str(body) + path
        assert "tanaka" in asked_for or "tanaka" not in answer.text, told
    assert str(audit.place) not in answer.text, told


def test_the_days_of_the_other_tests_find_something(template: Path, tmp_path: Path) -> None:
    """A log that nobody asks about rightly would pass."""
    place = shutil.copytree(template, tmp_path / "asked")  # each question leaves an event

    async def find() -> int:
        store = open_store(f"sqlite:///{place / 'sekisho.db'}")
        try:
            async with world(place, store) as audit:
                audit.caller("aud", READ)
                count: int = (await audit.get("aud", "/decisions/count", **DAY)).json()["count"]
                return count
        finally:
            store.close()

    assert asyncio.run(find()) == 24
