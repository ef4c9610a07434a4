from __future__ import annotations

import json

import pytest

from pdp.callers.caller import UnsafeAnyone
from pdp.errors import SettingsError
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_metadata import WELL_KNOWN, Metadata, well_known_path
from pdp.wire.exchange import HttpRequest
from tests.scripted_decider import ScriptedDecider
from tests.unit.wire.authzen_world import header

pytestmark = pytest.mark.anyio


async def get(metadata: Metadata, method: str = "GET", *headers: tuple[str, str]):
    return await metadata(HttpRequest(method, WELL_KNOWN, "", headers))


async def test_the_document_comes_from_the_public_url_and_not_from_the_request() -> None:
    answer = await get(Metadata("https://pdp.example.jp", search=True), "GET", ("host", "evil.example"))
    assert b"evil" not in answer.body
    document = json.loads(answer.body)
    assert document["policy_decision_point"] == "https://pdp.example.jp"
    assert document["search_action_endpoint"] == "https://pdp.example.jp/access/v1/search/action"
    assert "max-age=3600" in (header(answer, "cache-control") or "")


async def test_what_does_not_exist_is_left_out() -> None:
    document = json.loads((await get(Metadata("https://pdp.example.jp", search=False))).body)
    assert not [name for name in document if name.startswith("search")]
    assert all(document.values())


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_it_is_only_read(method: str) -> None:
    assert (await get(Metadata("https://pdp.example.jp", search=True), method)).status == 405


async def test_the_request_id_is_echoed() -> None:
    metadata = Metadata("https://pdp.example.jp", search=True)
    assert header(await get(metadata, "GET", ("x-request-id", "r-1")), "x-request-id") == "r-1"
    assert header(await get(metadata, "GET", ("x-request-id", "a b")), "x-request-id") is None


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://pdp.example.jp", WELL_KNOWN),
        ("https://pdp.example.jp/tenant1", WELL_KNOWN + "/tenant1"),
        ("https://pdp.example.jp:8443/a/b", WELL_KNOWN + "/a/b"),
    ],
)
def test_the_well_known_path_goes_between_the_host_and_the_path(url: str, path: str) -> None:
    assert well_known_path(url) == path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "pdp.example.jp",
        "ftp://pdp.example.jp",
        "https://",
        "https://pdp.example.jp/",
        "https://pdp.example.jp/t/",
        "https://pdp.example.jp?x=1",
        "https://pdp.example.jp#f",
        "https://user@pdp.example.jp",
        "https://pdp.example.jp:99999",
        "https://pdp.example.jp/a b",
        "https://三重.example.jp",
        "https://[::1",
    ],
)
def test_an_identifier_that_clients_could_not_compare_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="public_url"):
        Metadata(url, search=True)


def test_with_a_path_the_endpoints_stand_at_both_places() -> None:
    routes = authzen_routes(
        ScriptedDecider(), UnsafeAnyone(), profile=lambda: "plain", public_url="https://x.jp/tenant1", searching=None
    )
    assert set(routes) == {
        "/access/v1/evaluation",
        "/access/v1/evaluations",
        "/tenant1/access/v1/evaluation",
        "/tenant1/access/v1/evaluations",
        "/.well-known/authzen-configuration",
        "/.well-known/authzen-configuration/tenant1",
    }
