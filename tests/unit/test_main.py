"""What is composed: readiness with real parts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.directory.demo import write_demonstration
from pdp.errors import BundleError
from pdp.identity.revocations import revoke
from pdp.main import compose
from pdp.parts import open_directory, utc_now
from pdp.settings import Settings, load_settings
from tests.http_server import serving
from tests.tokens import AUDIENCE, jwk, jwks, rsa_key, token

pytestmark = pytest.mark.anyio

PLAIN = Path(__file__).parents[1] / "conformance" / "authzen" / "bundle"


def settings(place: Path, **changes: object) -> Settings:
    return load_settings(environ={}, state_dir=str(place), unsafe_no_caller_auth=True, decision_table="off", **changes)


WELL = dict.fromkeys(("policy", "directory", "decision_log", "shared_cache", "news", "sources", "log_proof"), True)


async def readiness(chosen: Settings) -> tuple[int, dict[str, Any]]:
    async with compose(chosen) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:
            answer = await client.get("/readyz")
    return answer.status_code, {check["name"]: check["ok"] for check in answer.json()["checks"]}


async def test_an_empty_directory_is_not_ready_and_a_filled_one_is(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    assert await readiness(chosen) == (503, {**WELL, "directory": False})
    store = open_directory(chosen)
    write_demonstration(store, utc_now())
    store.close()
    assert await readiness(chosen) == (200, WELL)


async def test_a_plain_policy_needs_no_directory(tmp_path: Path) -> None:
    assert (await readiness(settings(tmp_path, bundle=str(PLAIN))))[0] == 200


async def test_a_bundle_of_another_profile_than_the_one_asked_for_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="profile"):
        async with compose(settings(tmp_path, bundle=str(PLAIN), profile="zta")):
            pass


class Provider:
    """An identity provider on loopback: its discovery document and its keys, as an ASGI application."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys = jwks()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        documents = {
            "/realms/x/.well-known/openid-configuration": {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"},
            "/realms/x/keys": self.keys,
        }
        found = documents.get(scope["path"])
        await send({"type": "http.response.start", "status": 404 if found is None else 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(found).encode()})


async def test_a_token_of_a_discovered_issuer_counts_until_it_is_revoked(tmp_path: Path) -> None:
    provider = Provider()
    with serving(provider) as port:
        provider.issuer = f"http://127.0.0.1:{port}/realms/x"
        chosen = settings(tmp_path, issuers=[{"issuer": provider.issuer, "audiences": [AUDIENCE]}])
        store = open_directory(chosen)
        write_demonstration(store, utc_now())
        async with compose(chosen) as service:
            subject = next(iter(service.directory.current().users))
            now = int(utc_now().timestamp())
            shown = {"iss": provider.issuer, "sub": subject, "iat": now - 2, "exp": now + 300, "auth_time": now - 2}
            text = token(**shown)
            question = {
                "subject": {"type": "user", "id": subject, "properties": {"token": text}},
                "action": {"name": "access"},
                "resource": {"type": "application", "id": "mail"},
            }
            transport = httpx.ASGITransport(app=service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:

                async def reasons() -> list[str]:
                    answer = await client.post("/access/v1/evaluation", json=question)
                    assert answer.status_code == 200
                    assert text not in answer.text
                    return answer.json()["context"]["reasons"]

                assert "BAD_INPUT" not in await reasons()
                provider.keys["keys"].append(jwk(rsa_key(2048, 1), "rsa-2"))
                text = question["subject"]["properties"]["token"] = token(
                    {"kid": "rsa-2"}, key=rsa_key(2048, 1), **shown
                )
                assert "BAD_INPUT" not in await reasons(), "a key that came by rotation is asked for"
                revoke(store, "subject", subject, at=utc_now(), now=utc_now())
                async with asyncio.timeout(10):
                    while await reasons() != ["BAD_INPUT"]:  # noqa: ASYNC110  # the worker looks by itself
                        await asyncio.sleep(0.05)
        store.close()


async def test_a_draft_in_the_shadow_hears_of_decisions_and_changes_none(tmp_path: Path) -> None:
    draft = tmp_path / "draft"
    draft.mkdir()
    (draft / ".manifest").write_text('{"revision": "d", "metadata": {"profile": "plain", "entrypoint": "d/no"}}')
    (draft / "d.rego").write_text("package d\n\nno := false\n")
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / ".manifest").write_text('{"revision": "p", "metadata": {"profile": "plain", "entrypoint": "p/yes"}}')
    (plain / "p.rego").write_text("package p\n\nyes := true\n")
    question = {
        "subject": {"type": "user", "id": "u"},
        "action": {"name": "access"},
        "resource": {"type": "application", "id": "mail"},
    }
    pair = {"active": "allow", "draft": "deny"}
    async with compose(settings(tmp_path, bundle=str(plain), shadow_bundle=str(draft))) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:
            answer = await client.post("/access/v1/evaluation", json=question)
        assert answer.json()["decision"] is True
        registry = service.metrics.registry
        async with asyncio.timeout(30):
            while not registry.get_sample_value("sekisho_shadow_outcomes_total", pair):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_a_draft_that_cannot_be_read_keeps_the_service_from_starting(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        async with compose(settings(tmp_path, bundle=str(PLAIN), shadow_bundle=str(tmp_path / "nowhere"))):
            pass
