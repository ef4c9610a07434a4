"""Callers as a worker composes them: what the settings say, and a machine's token through the real verifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.callers.bindings import bind, bound_client
from pdp.callers.keys import register_caller
from pdp.directory.demo import write_demonstration
from pdp.errors import SettingsError
from pdp.main import compose
from pdp.parts import open_directory, utc_now
from pdp.settings import Settings, load_settings
from tests.certificates import Authority
from tests.tokens import AUDIENCE, ISSUER, jwks, token

pytestmark = pytest.mark.anyio

QUESTION = {
    "subject": {"type": "user", "id": "u-demo-staff"},
    "action": {"name": "access"},
    "resource": {"type": "application", "id": "groupware"},
}


def settings(place: Path, **changes: object) -> Settings:
    return load_settings(environ={}, state_dir=str(place), **changes)


async def test_a_machines_own_token_is_its_caller_and_a_persons_is_not(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(jwks()))
    chosen = settings(
        tmp_path / "state",
        issuers=[{"issuer": ISSUER, "audiences": [AUDIENCE], "jwks_file": str(keys)}],
        caller_scopes={"pdp.ask": ["decide"]},
    )
    store = open_directory(chosen)
    write_demonstration(store, utc_now())
    register_caller(store, "gateway-1", ["decide", "search"], now=utc_now())
    bind(store, "gateway-1", bound_client(ISSUER, "gw-1"), now=utc_now())
    now = int(utc_now().timestamp())
    machine: dict[str, Any] = {"sub": "gw-1", "iat": now - 2, "exp": now + 300, "auth_time": now - 2}
    async with compose(chosen) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:

            async def status(text: str, path: str = "evaluation") -> int:
                headers = {"authorization": f"Bearer {text}"}
                answer = await client.post(f"/access/v1/{path}", json=QUESTION, headers=headers)
                assert text not in answer.text
                return answer.status_code

            good = token(scope="pdp.ask sekisho:batch", **machine)
            assert await status(good) == 200
            assert await status(good) == 200  # also from memory
            assert await status(good, "search/subject") == 403
            assert await status(token(scope="openid", **machine)) == 403
            for wrong in (
                token(scope="pdp.ask", **(machine | {"sub": "u-demo-staff"})),
                token(scope="pdp.ask", client_id="gw-2", **machine),
                token(scope="pdp.ask", **(machine | {"exp": now - 200})),
                token(scope="pdp.ask", aud="https://elsewhere.example.com", **machine),
                token(scope="pdp.ask", cnf={"jkt": "a" * 43}, **machine),
                good[:-4] + "AAAA",
            ):
                assert await status(wrong) == 401
            metrics = (await client.get("/metrics")).text
    store.close()
    assert 'sekisho_caller_refusals_total{caller="-",why="token"} 6.0' in metrics


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"caller_proxies": ["10.0.0.1"]}, "`caller_certificate_header`"),
        ({"caller_certificate_header": "client-cert"}, "`caller_proxies`"),
        ({"caller_certificate_header": "client-cert", "caller_proxies": ["proxy"]}, "`proxy`"),
        (
            {
                "caller_certificate_header": "client-cert",
                "caller_proxies": ["10.0.0.1"],
                "tls_client_ca_file": "gone.pem",
            },
            "`tls_client_ca_file`",
        ),
        ({"caller_scopes": {"pdp.ask": ["decide", "fly"]}}, "`pdp.ask`"),
    ],
)
async def test_settings_that_cannot_be_meant_do_not_start(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        async with compose(settings(tmp_path, **changes)):
            pass


async def test_the_service_is_named_https_where_it_speaks_tls(tmp_path: Path) -> None:
    server = Authority(tmp_path).issue("server", "server", host="localhost")
    chosen = settings(tmp_path, tls_cert_file=str(server.certificate), tls_key_file=str(server.key), port=8443)
    assert chosen.base_url == "https://127.0.0.1:8443"
