"""Runs the collected AuthZEN cases against any server: in process, or over HTTP.

By hand: `python -m tests.conformance.authzen.runner --url http://127.0.0.1:8080 [--key KEY]` against a service
that was started with `pdp serve --profile plain --bundle tests/conformance/authzen/bundle`. Under pytest the
variables `SEKISHO_CONFORMANCE_URL` and `SEKISHO_CONFORMANCE_KEY` say the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

VECTORS = Path(__file__).resolve().parents[3].parent / "shared" / "vectors" / "authzen"
MAX_PAGES = 100
TIMEOUT_S = 30.0

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
SEARCH = "/access/v1/search/"


@dataclass(frozen=True)
class Case:
    """One exchange of a collection, by a name that says where it comes from."""

    name: str
    body: dict[str, Any]


class CaseFailedError(AssertionError):
    """The server did not answer as the case asks."""


def expect(held: bool, what: str) -> None:
    if not held:
        raise CaseFailedError(what)


def _load(name: str) -> Any:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def suite_cases() -> list[Case]:
    """The scenarios of the OpenID conformance suite."""
    return [Case(case["test"], case) for case in _load("conformance-suite-scenarios.json")["cases"]]


def interop_cases() -> list[Case]:
    """The decisions and search results of the working group's interop harnesses."""
    cases: list[Case] = []

    def add(file: str, endpoint: str, entries: list[Any]) -> None:
        for number, entry in enumerate(entries):
            cases.append(Case(f"{file}:{endpoint}:{number}", {"endpoint": endpoint, **entry}))

    for file in ("todo-decisions-1_0-01.json", "todo-decisions-1_0-02.json", "gateway-decisions.json"):
        add(file, EVALUATION, _load(file)["evaluation"])
    add("todo-decisions-1_0-02.json", EVALUATIONS, _load("todo-decisions-1_0-02.json")["evaluations"])
    for kind in ("subject", "resource", "action"):
        file = f"search-{kind}-results.json"
        add(file, SEARCH + kind, _load(file)["evaluation"])
    add("idp-search-results.json", SEARCH + "resource", _load("idp-search-results.json")["search"])
    return cases


async def run_interop(client: httpx.AsyncClient, case: Case, key: str | None) -> None:
    """Compares as the harnesses do: the decision, or the whole list as text, whose order counts."""
    headers = {} if key is None else {"authorization": key}  # the todo harness sends no scheme
    answer = await client.post(case.body["endpoint"], json=case.body["request"], headers=headers)
    expect(answer.status_code == 200, f"{answer.status_code}: {answer.text}")
    said, expected = answer.json(), case.body["expected"]
    if case.body["endpoint"] == EVALUATION:
        expect(said["decision"] is expected, f"{said} instead of {expected}")
    elif case.body["endpoint"] == EVALUATIONS:
        expect(json.dumps(said["evaluations"]) == json.dumps(expected), f"{said} instead of {expected}")
    else:
        expect(json.dumps(said["results"]) == json.dumps(expected["results"]), f"{said} instead of {expected}")


async def run_suite(client: httpx.AsyncClient, case: Case, key: str | None) -> None:
    """One scenario of the suite, with its method, content type and flags."""
    body = case.body
    if body["skip_auth"] and key is None:
        return  # the suite does not apply it to a service without client authentication
    answers = [await _call(client, body, key) for _ in range(3 if body["idempotency"] else 1)]
    said = [_checked(body, answer) for answer in answers]
    expect(all(one == said[0] for one in said), "the same request was answered differently")
    if answers[0].status_code != 200:
        return
    expected = body.get("expected") or {"decision": True}
    if "results" in expected:
        results = list(said[0]["results"])
        if body["paginated"]:
            results = await _all_pages(client, body, key)
        _compare_results(results, expected["results"])
    elif "evaluations" in expected:
        decisions = [item["decision"] for item in said[0]["evaluations"]]
        expect(decisions == [item["decision"] for item in expected["evaluations"]], f"{said[0]}")
    else:
        expect(said[0]["decision"] is expected["decision"] and "evaluations" not in said[0], f"{said[0]}")


async def _call(client: httpx.AsyncClient, body: dict[str, Any], key: str | None) -> httpx.Response:
    headers = {"content-type": body["content_type"]}
    if key is not None and not body["skip_auth"]:
        headers["authorization"] = f"Bearer {key}" + ("corrupted" if body["corrupt_auth"] else "")
    request_id = str(uuid4())
    if body["x_request_id"]:
        headers["x-request-id"] = request_id
    content = body["raw_body"] if "raw_body" in body else json.dumps(body["request"])
    answer = await client.request(body["method"], body["endpoint"], content=content, headers=headers)
    if body["x_request_id"]:
        expect(answer.headers.get("x-request-id") == request_id, "the request id is not echoed")
    return answer


def _checked(body: dict[str, Any], answer: httpx.Response) -> Any:
    accepted = body["acceptable_status"]
    expect(answer.status_code in accepted, f"{answer.status_code} is not in {accepted}: {answer.text}")
    if answer.status_code == 401:
        expect("www-authenticate" in answer.headers, "401 without its challenge")
    expect(answer.headers.get("content-type") == "application/json", "the answer is not JSON")
    return answer.json()


def _compare_results(results: list[Any], expected: list[Any]) -> None:
    if not expected:
        expect(results == [], f"{results} instead of nothing")
    for entity in expected:
        expect(entity in results, f"{entity} is not in {results}")
    expect(all(set(entity) in ({"type", "id"}, {"name"}) for entity in results), f"{results} holds more than ids")


async def _all_pages(client: httpx.AsyncClient, body: dict[str, Any], key: str | None) -> list[Any]:
    """Follows `next_token` as the suite does: the same body again, with the token."""
    results: list[Any] = []
    page: dict[str, Any] = dict(body["request"].get("page", {}))
    for _ in range(MAX_PAGES):
        said = (await _call(client, {**body, "request": {**body["request"], "page": page}}, key)).json()
        results += said["results"]
        token = said.get("page", {}).get("next_token", "")
        if not token:
            return results
        page["token"] = token
    raise CaseFailedError(f"more than {MAX_PAGES} pages")


async def _main(url: str, key: str | None) -> int:
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S) as client:
        suite = await _run(suite_cases(), lambda case: run_suite(client, case, key))
        interop = await _run(interop_cases(), lambda case: run_interop(client, case, key))
    print(f"{suite[0] + interop[0]} passed, {suite[1] + interop[1]} failed")
    return 1 if suite[1] + interop[1] else 0


async def _run(cases: list[Case], run: Callable[[Case], Awaitable[None]]) -> tuple[int, int]:
    failed = 0
    for case in cases:
        try:
            await run(case)
        except (CaseFailedError, httpx.HTTPError, KeyError, ValueError) as fault:
            failed += 1
            print(f"FAIL {case.name}: {fault!r}")
    return len(cases) - failed, failed


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--url", required=True)
    arguments.add_argument("--key", help="the API key; without it the cases for client authentication are left out")
    given = arguments.parse_args()
    sys.exit(asyncio.run(_main(given.url, given.key)))
