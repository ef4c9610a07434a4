"""AuthZEN 1.0: the OpenID conformance suite's cases and the interop harnesses', through the lane."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conformance.authzen import runner
from tests.conformance.authzen.plain_service import BUNDLE, PUBLIC_URL, plain_lane
from tests.conftest import ABSENT
from tests.scripted_decider import OneKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.conformance.authzen.runner import Case

pytestmark = pytest.mark.anyio

# Over HTTP: a service that was started elsewhere, for example by a system test.
URL = os.environ.get("SEKISHO_CONFORMANCE_URL")
KEY = os.environ.get("SEKISHO_CONFORMANCE_KEY") if URL else "the-key-of-the-test"


def _params(cases: Callable[[], list[Case]]) -> list[object]:
    if not runner.VECTORS.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{ABSENT}: the vectors are not beside this clone"))]
    return [pytest.param(case, id=case.name) for case in cases()]


@pytest.fixture(scope="module")
async def client(anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    if URL:
        async with httpx.AsyncClient(base_url=URL, timeout=runner.TIMEOUT_S) as over_http:
            yield over_http
        return
    async with (
        plain_lane(OneKey(KEY)) as lane,
        httpx.AsyncClient(transport=httpx.ASGITransport(lane), base_url=PUBLIC_URL) as in_process,
    ):
        yield in_process


@pytest.mark.parametrize("case", _params(runner.suite_cases))
async def test_the_conformance_suite_is_answered_as_it_asks(client: httpx.AsyncClient, case: Case) -> None:
    await runner.run_suite(client, case, KEY)


@pytest.mark.parametrize("case", _params(runner.interop_cases))
async def test_the_interop_harnesses_are_answered_as_they_ask(client: httpx.AsyncClient, case: Case) -> None:
    await runner.run_interop(client, case, KEY)


def test_every_collected_case_is_run(shared: object) -> None:
    assert len(runner.suite_cases()) == 85
    assert len(runner.interop_cases()) == 40 + 40 + 3 + 25 + 204


async def test_a_search_is_found_whole_over_pages_of_one(client: httpx.AsyncClient) -> None:
    """The collected part of the suite has no paginated case, so this is one: certification scenario 4.5."""
    body = {
        "test": "paginated",
        "endpoint": "/access/v1/search/resource",
        "method": "POST",
        "content_type": "application/json",
        "acceptable_status": [200],
        "request": {
            "subject": {"type": "user", "id": "alice"},
            "action": {"name": "view"},
            "resource": {"type": "record"},
            "page": {"limit": 1},
        },
        "expected": {"results": [{"type": "record", "id": str(number)} for number in range(101, 121)]},
        "paginated": True,
        "idempotency": False,
        "x_request_id": False,
        "skip_auth": False,
        "corrupt_auth": False,
    }
    await runner.run_suite(client, runner.Case("paginated", body), KEY)


async def test_every_search_result_is_permitted_when_it_is_asked_for(client: httpx.AsyncClient) -> None:
    """Certification scenario 4: what a search finds, an evaluation permits."""
    headers = {} if KEY is None else {"authorization": f"Bearer {KEY}"}
    question = {"action": {"name": "write"}, "resource": {"type": "record", "id": "record-2"}}
    found = await client.post(
        "/access/v1/search/subject", json={**question, "subject": {"type": "user"}}, headers=headers
    )
    assert found.json()["results"] == [{"type": "user", "id": "bob"}]
    answer = await client.post(
        "/access/v1/evaluation", json={**question, "subject": found.json()["results"][0]}, headers=headers
    )
    assert answer.json() == {"decision": True}


async def test_the_metadata_names_every_endpoint_below_the_public_url(client: httpx.AsyncClient) -> None:
    answer = await client.get("/.well-known/authzen-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "max-age=" in answer.headers["cache-control"]
    document = answer.json()
    identifier = document["policy_decision_point"]
    assert URL or identifier == PUBLIC_URL
    assert set(document) == {
        "policy_decision_point",
        "access_evaluation_endpoint",
        "access_evaluations_endpoint",
        "search_subject_endpoint",
        "search_resource_endpoint",
        "search_action_endpoint",
    }
    assert all(url.startswith(identifier) for url in document.values())


def test_the_bundle_is_there() -> None:
    assert (BUNDLE / ".manifest").is_file()
