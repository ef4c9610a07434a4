"""How a client learns which nonce to name: on the whole way, from a gateway's question to its client's second try."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pdp.identity.dpop import thumbprint
from pdp.identity.nonces import Nonces
from pdp.wire.authzen import authzen_routes
from pdp.wire.dpop_nonce import CHALLENGE, HEADER
from pdp.wire.exchange import HttpAnswer, HttpRequest
from pdp.wire.ext_authz_grpc import allowed, denied
from pdp.wire.ext_authz_http import ExtAuthzHttp
from pdp.wire.forward_auth import PREFIX as FORWARD
from pdp.wire.forward_auth import ForwardAuth
from pdp.wire.gateway_check import CheckSettings, Denial, GatewayCheck, Permitted
from tests.scripted_decider import OneKey
from tests.tokens import dpop, ec_key, jwk, token
from tests.unit.identity.test_in_a_decision import AT, TIMES, Scene

pytestmark = pytest.mark.anyio

LASTS = timedelta(seconds=120)
NONCES = Nonces(bytes(range(32)), LASTS)
TOKEN = token(**TIMES, cnf={"jkt": thumbprint(jwk(ec_key()))})
PERMISSIONS = ("decide", "assert_network", "batch")


class Desk:
    """A service that asks for nonces, or does not, and a client behind each of its gateways."""

    def __init__(self, nonces: Nonces | None = NONCES) -> None:
        self.scene = Scene(nonces=nonces)
        self.callers = OneKey("key", PERMISSIONS)
        self.settings = CheckSettings(nonces=nonces)
        self.proofs = 0

    def proof(self, nonce: str | None) -> str:
        self.proofs += 1
        claims = {} if nonce is None else {"nonce": nonce}
        return dpop(TOKEN, iat=AT, jti=f"p-{self.proofs}", **claims)

    def asked(self, nonce: str | None, *more: tuple[str, str], path: str = "/envoy/x", **said: str) -> HttpRequest:
        headers = {"authorization": f"DPoP {TOKEN}", "dpop": self.proof(nonce), "host": "app.example", **said}
        known = (("x-pdp-key", "key"), ("x-pdp-resource", "mail"), ("x-pdp-device", "d-1"), *more)
        return HttpRequest("GET", path, "", (*known, *headers.items()))

    async def envoy(self, nonce: str | None, **said: str) -> HttpAnswer:
        handler = ExtAuthzHttp(self.scene.checkpoint, self.callers, self.settings, lambda: "zta")
        return await handler(self.asked(nonce, **said))

    async def nginx(self, nonce: str | None) -> HttpAnswer:
        handler = ForwardAuth(self.scene.checkpoint, self.callers, self.settings, lambda: "zta")
        sent = (("x-original-method", "GET"), ("x-original-uri", "/x"), ("x-original-host", "app.example"))
        return await handler(self.asked(nonce, *sent, path=f"{FORWARD}nginx"))

    async def authzen(self, nonce: str | None) -> HttpAnswer:
        routes = authzen_routes(
            self.scene.checkpoint,
            self.callers,
            profile=lambda: "zta",
            public_url="https://pdp.example.jp",
            searching=None,
            nonces=self.settings.nonces,
        )
        seen = {"method": "GET", "uri": "https://app.example/x", "dpop": self.proof(nonce)}
        body = {
            "subject": {"type": "user", "id": "u-1", "properties": {"token": TOKEN}},
            "action": {"name": "access"},
            "resource": {"type": "application", "id": "mail"},
            "context": {"client_request": seen},
        }
        headers = (("content-type", "application/json"), ("authorization", "Bearer key"))
        path = "/access/v1/evaluation"
        return await routes[path](HttpRequest("POST", path, "", headers, json.dumps(body).encode()))


def said(answer: HttpAnswer) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name in (HEADER, "www-authenticate")}


@pytest.mark.parametrize("way", ["envoy", "nginx"])
async def test_a_client_without_a_nonce_is_told_one_and_its_second_try_gets_through(way: str) -> None:
    desk = Desk()
    ask: Any = getattr(desk, way)
    first = await ask(None)
    assert first.status == 401
    assert said(first) == {HEADER: NONCES.current(desk.scene.now), "www-authenticate": CHALLENGE}
    assert "nonce_required" in desk.scene.record["fault"]
    second = await ask(said(first)[HEADER])
    assert (second.status, said(second)) == (200, {})


async def test_an_enforcement_point_that_speaks_authzen_is_told_what_to_pass_on() -> None:
    desk = Desk()
    first = await desk.authzen(None)
    assert json.loads(first.body)["decision"] is False
    assert said(first) == {HEADER: NONCES.current(desk.scene.now), "www-authenticate": CHALLENGE}
    second = await desk.authzen(said(first)[HEADER])
    assert json.loads(second.body)["decision"] is True
    assert said(second) == {}


async def test_who_names_the_nonce_before_gets_through_and_is_told_the_newer() -> None:
    desk = Desk()
    before = NONCES.current(desk.scene.now - LASTS)
    answer = await desk.envoy(before)
    assert (answer.status, said(answer)) == (200, {HEADER: NONCES.current(desk.scene.now)})


async def test_a_nonce_that_counts_no_more_is_as_good_as_none() -> None:
    desk = Desk()
    answer = await desk.envoy(NONCES.current(desk.scene.now - 2 * LASTS))
    assert (answer.status, said(answer)["www-authenticate"]) == (401, CHALLENGE)


async def test_what_another_nonce_would_not_mend_is_denied_as_before() -> None:
    """A proof for another request, one that is no proof, and one with the newest nonce that was used before."""
    desk = Desk()
    nonce = NONCES.current(desk.scene.now)
    other = dpop(TOKEN, iat=AT, nonce=nonce, htm="POST")
    for proof in (other, "a.b.c"):
        answer = await desk.envoy(None, dpop=proof)
        assert (answer.status, said(answer)) == (403, {})
    used = dpop(TOKEN, iat=AT, nonce=nonce)
    assert [(await desk.envoy(None, dpop=used)).status for _ in range(2)] == [200, 403]


async def test_where_the_settings_ask_for_none_nothing_is_said() -> None:
    desk = Desk(nonces=None)
    for nonce in (None, "somebody-elses"):
        answer = await desk.envoy(nonce)
        assert (answer.status, said(answer)) == (200, {})


async def test_over_grpc_the_nonce_goes_to_the_client_and_not_to_the_application() -> None:
    desk = Desk()
    check = GatewayCheck(desk.scene.checkpoint, desk.settings, lambda: "zta")
    caller = desk.callers.authenticate("key")

    async def ask(nonce: str | None) -> Permitted | Denial:
        asked = desk.asked(nonce, path="/x")
        headers = tuple(pair for pair in asked.headers if pair[0] != "x-pdp-key")
        return await check.check(HttpRequest("GET", "/x", "", headers), caller, wire="ext_authz_grpc")

    refused = await ask(None)
    assert isinstance(refused, Denial)
    answer = denied(refused)
    assert answer.denied_response.status.code == 401
    told = {option.header.key: option.header.value for option in answer.denied_response.headers}
    assert told[HEADER] == NONCES.current(desk.scene.now)
    permitted = await ask(NONCES.current(desk.scene.now - LASTS))
    assert isinstance(permitted, Permitted)
    response = allowed(permitted).ok_response
    assert [option.header.key for option in response.response_headers_to_add] == [HEADER]
    assert HEADER not in {option.header.key for option in response.headers}
