"""SCIM against real services: the outside checker finds nothing, and whoever is disabled is denied everywhere at once."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.fleet import House, Service, house, services, until
from tests.scim_service import CORE, PATCH
from tests.valkey_server import valkey_server

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

CALLER = "test-gateway"
STAFF, TERMINAL = "u-demo-staff", "d-demo-pc"
POLL_S = 30.0  # whatever is seen sooner has been heard
HEARD_S = 3.0  # measured: a few hundredths of a second
QUESTION = {
    "subject": {"type": "user", "id": STAFF, "properties": {"claims": {"acr": "urn:sekisho:auth-level:2"}}},
    "action": {"name": "access"},
    "resource": {"type": "application", "id": "groupware"},
    "context": {"device": {"id": TERMINAL}, "network": {"source_ip": "10.0.0.1"}},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    return house(tmp_path_factory.mktemp("scim"))


@pytest.fixture(scope="module")
def started(home: House) -> Iterator[dict[str, Service]]:
    tenant = {"kinds": {"Employee": "staff"}, "adopt": True, "max_removals_percent": 100}
    shared = {"scim": json.dumps({CALLER: tenant}), "public_url": "https://pdp.example.jp", "directory_poll_s": POLL_S}
    with valkey_server() as valkey:
        own = {**shared, "redis_url": valkey.url}
        with services(home, {"one": own, "two": {**own, "workers": 2}}) as found:
            yield found


def talk(service: Service, key: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Over a connection of its own, so that any worker may answer."""
    connection = service.connect()
    try:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None
    finally:
        connection.close()


def permitted(service: Service, key: str) -> bool:
    status, answer = talk(service, key, "POST", "/access/v1/evaluation", QUESTION)
    assert status == 200, answer
    return bool(answer["decision"])


def test_the_outside_checker_finds_nothing(home: House, started: dict[str, Service]) -> None:
    base = f"http://127.0.0.1:{started['one'].port}/scim/v2"
    with Client(base_url=base, headers={"Authorization": f"Bearer {home.key}"}) as client:
        results = check_server(SyncSCIMClient(client))
    counts = Counter(result.status for result in results)
    assert counts[Status.SUCCESS] == len(results), [
        (result.title, result.reason) for result in results if result.status != Status.SUCCESS
    ]
    assert counts[Status.SUCCESS] >= 135


def test_whoever_is_disabled_is_denied_in_every_worker_of_every_host(home: House, started: dict[str, Service]) -> None:
    user = {"schemas": [CORE], "userName": STAFF, "userType": "Employee"}
    status, made = talk(started["one"], home.key, "POST", "/scim/v2/Users", user)
    assert status == 201, made
    place = f"/scim/v2/Users/{made['id']}"
    everywhere = [started["one"], *[started["two"]] * 8]

    def set_active(*, active: bool) -> None:
        operation = {"op": "Replace", "path": "active", "value": str(active)}
        status, refused = talk(
            started["one"], home.key, "PATCH", place, {"schemas": [PATCH], "Operations": [operation]}
        )
        assert status == 204, refused

    assert all(permitted(service, home.key) for service in everywhere)
    set_active(active=False)
    assert not permitted(started["one"], home.key)  # this worker has looked before it answered the provider
    began = time.monotonic()
    until(lambda: not any(permitted(service, home.key) for service in everywhere), "not denied everywhere", HEARD_S)
    assert time.monotonic() - began < HEARD_S < POLL_S
    status, answer = talk(started["two"], home.key, "POST", "/access/v1/evaluation", QUESTION)
    assert answer["context"]["reasons"] == ["ACCOUNT_SUSPENDED"]
    set_active(active=True)
    until(lambda: all(permitted(service, home.key) for service in everywhere), "not permitted again", HEARD_S)


def test_without_a_table_there_is_nothing_at_the_path(home: House) -> None:
    with services(home, {"bare": {}}) as found:
        status, answer = talk(found["bare"], home.key, "GET", "/scim/v2/Users")
    assert (status, answer["error"]["code"]) == (404, "not_found")
