"""The login through an identity provider that answers whatever the test tells it to, over real HTTP."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pdp.model.console import ConsoleSettings
from pdp.store.store import Store
from tests.http_server import serving
from tests.tokens import jwk, rsa_key, signed_raw
from tests.unit.console.world import BASE, COOKIE, START, Console, a_console

pytestmark = pytest.mark.anyio
CLIENT = "sekisho-console"


@dataclass
class IdentityProvider:
    """`token`: what its token endpoint answers; `asked`: the forms that came to it."""

    url: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    token: tuple[int, Any] = (500, {})
    asked: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, answer = 200, None
        if scope["path"].endswith("openid-configuration"):
            answer = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.endpoints(), **self.metadata}
        elif scope["path"] == "/keys":
            answer = {"keys": [jwk(rsa_key(), "k1", alg="RS256", use="sig")]}
        else:
            self.asked.append({name: values[0] for name, values in parse_qs(body.decode()).items()})
            status, answer = self.token
        payload = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": payload})

    def endpoints(self) -> dict[str, str]:
        names = {"authorization": "authorize", "token": "token", "end_session": "logout"}
        return {f"{name}_endpoint": f"{self.url}/{path}" for name, path in names.items()}

    def claims(self, nonce: str, **changes: Any) -> dict[str, Any]:
        at = int(START.timestamp())
        found = {
            "iss": self.url, "aud": CLIENT, "sub": "u-1", "name": "田中", "nonce": nonce, "iat": at, "exp": at + 300,
            "groups": ["kansa"], "sid": "s-1", **changes,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    def gives(self, nonce: str, *, key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> None:
        said = {"alg": "RS256", "kid": "k1", "typ": "JWT", **(header or {})}
        token = signed_raw(json.dumps(said).encode(), json.dumps(self.claims(nonce, **changes)).encode(), key)
        self.token = 200, {"access_token": "a", "token_type": "Bearer", "id_token": token}


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    idp = IdentityProvider()
    with serving(idp) as port:
        idp.url = f"http://127.0.0.1:{port}"
        yield idp


@pytest.fixture
async def console(tmp_path: Path, store: Store, provider: IdentityProvider) -> AsyncIterator[Console]:
    settings = ConsoleSettings(
        issuer=provider.url, client_id=CLIENT, roles={"auditor": ("kansa",), "operator": ("unyo",)},
        people={"u-boss": ("administrator",)},
    )  # fmt: skip
    async with a_console(tmp_path, store, settings) as built:
        yield built


async def begin(console: Console, to: str = "/console/trail") -> tuple[dict[str, str], str]:
    """(what the browser is to bring to the provider, the cookie that it holds meanwhile)."""
    answer = await console.client.get("/console/login/begin", params={"to": to})
    assert answer.status_code == 303, answer.text
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-sekisho-login="))
    assert {"HttpOnly", "Secure", "SameSite=lax"} <= set(cookie.split("; "))
    return asked, cookie.split(";")[0]


async def back(console: Console, cookie: str | None, **params: str) -> Any:
    headers = {} if cookie is None else {"cookie": cookie}
    console.client.cookies.clear()
    return await console.client.get("/console/login/back", params=params, headers=headers)


async def test_a_person_logs_in_with_pkce_state_and_nonce(console: Console, provider: IdentityProvider) -> None:
    asked, cookie = await begin(console)
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert asked["redirect_uri"] == f"{BASE}/console/login/back"
    assert "openid" in asked["scope"].split()
    provider.gives(asked["nonce"])
    answer = await back(console, cookie, code="c", state=asked["state"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/trail"), answer.text
    (form,) = provider.asked
    digest = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
    assert digest == asked["code_challenge"] and form["code"] == "c"
    secret = (
        next(c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)).split(";")[0].partition("=")[2]
    )
    page = (await console.get(secret, "me")).text
    assert "田中" in page and "user:u-1" in page and "監査人" in page
    gone = await console.post(secret, "logout", {"csrf": await console.csrf(secret)})
    away = parse_qs(urlsplit(gone.headers["location"]).query)
    assert gone.headers["location"].startswith(f"{provider.url}/logout?")
    assert away["post_logout_redirect_uri"] == [f"{BASE}/console/goodbye"] and away["id_token_hint"]


WRONG: dict[str, dict[str, Any]] = {
    "another nonce": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "another client": {"aud": "other"},
    "no audience": {"aud": None},
    "several audiences and no azp": {"aud": [CLIENT, "other"]},
    "authorised for another": {"azp": "other"},
    "another issuer": {"iss": "https://evil.test"},
    "no issuer": {"iss": None},
    "expired": {"exp": int(START.timestamp()) - 120},
    "no expiry": {"exp": None},
    "from tomorrow": {"iat": int((START + timedelta(days=1)).timestamp())},
    "from yesterday": {"iat": int((START - timedelta(days=1)).timestamp())},
    "nobody": {"sub": None},
    "a number": {"sub": 7},
    "too long a name": {"sub": "a" * 300},
    "unsigned": {"header": {"alg": "none"}},
    "another algorithm": {"header": {"alg": "HS256"}},
    "another key": {"key": rsa_key(which=9)},
    "an unknown key": {"header": {"kid": "k9"}},
}


@pytest.mark.parametrize("case", WRONG)
async def test_an_id_token_that_is_not_as_it_must_be_opens_nothing(
    console: Console, provider: IdentityProvider, case: str
) -> None:
    asked, cookie = await begin(console)
    changes = dict(WRONG[case])
    provider.gives(changes.pop("nonce", asked["nonce"]), **changes)
    answer = await back(console, cookie, code="c", state=asked["state"])
    assert answer.status_code == 403, case
    assert len(provider.asked) == 1, "it came as far as the ID token"
    assert not [c for c in answer.headers.get_list("set-cookie") if c.startswith(COOKIE)]
    assert console.sessions.live() == []


async def test_a_code_that_was_begun_elsewhere_opens_nothing(console: Console, provider: IdentityProvider) -> None:
    """Login CSRF: somebody sends his own code to a victim's browser."""
    theirs, _ = await begin(console)
    mine, cookie = await begin(console)
    provider.gives(theirs["nonce"])
    for held, state in (
        (None, theirs["state"]),
        (cookie, theirs["state"]),
        (cookie, ""),
        (cookie, "関所"),
        (f"{cookie}x", mine["state"]),
    ):
        answer = await back(console, held, code="c", state=state)
        assert answer.status_code == 400
    assert provider.asked == [] and console.sessions.live() == []


async def test_a_login_that_took_too_long_is_begun_again(console: Console, provider: IdentityProvider) -> None:
    asked, cookie = await begin(console)
    console.clock.now += timedelta(minutes=11)
    provider.gives(asked["nonce"])
    assert (await back(console, cookie, code="c", state=asked["state"])).status_code == 400


@pytest.mark.parametrize(
    "token",
    [(500, {}), (400, {"error": "invalid_grant"}), (200, {}), (200, []), (200, {"access_token": "a", "id_token": 7}),
     (200, {"access_token": "a", "id_token": "x" * 400_000}), (302, {})],
)  # fmt: skip
async def test_a_provider_that_answers_anything_else_opens_nothing(
    console: Console, provider: IdentityProvider, token: tuple[int, Any]
) -> None:
    asked, cookie = await begin(console)
    provider.token = token
    answer = await back(console, cookie, code="c", state=asked["state"])
    assert answer.status_code in (403, 503)
    assert console.sessions.live() == []


async def test_a_refusal_of_the_provider_is_told(console: Console) -> None:
    asked, cookie = await begin(console)
    answer = await back(console, cookie, error="access_denied", state=asked["state"])
    assert answer.status_code == 403 and "note bad" in answer.text


async def test_who_has_no_role_is_told_so_and_it_is_written_down(console: Console, provider: IdentityProvider) -> None:
    asked, cookie = await begin(console)
    provider.gives(asked["nonce"], groups=["others"])
    answer = await back(console, cookie, code="c", state=asked["state"])
    assert answer.status_code == 403 and console.sessions.live() == []
    (event,) = console.events()
    assert (event.actor.id, event.outcome, event.error) == ("user:u-1", "refused", "no_role")


async def test_the_answer_of_another_provider_is_refused_where_ours_says_who_it_is(
    console: Console, provider: IdentityProvider
) -> None:
    provider.metadata["authorization_response_iss_parameter_supported"] = True
    asked, cookie = await begin(console)
    provider.gives(asked["nonce"])
    for iss in ({}, {"iss": "https://evil.test"}):
        assert (await back(console, cookie, code="c", state=asked["state"], **iss)).status_code == 400
    assert (await back(console, cookie, code="c", state=asked["state"], iss=provider.url)).status_code == 303


@pytest.mark.parametrize("endpoint", ["http://evil.test/token", "https://evil.test/token", "ftp://127.0.0.1/x", "", 7])
async def test_an_endpoint_on_another_host_is_not_asked(
    console: Console, provider: IdentityProvider, endpoint: Any
) -> None:
    provider.metadata["token_endpoint"] = endpoint
    asked, cookie = await begin(console)
    assert (await back(console, cookie, code="c", state=asked["state"])).status_code == 503
    assert provider.asked == []


async def test_a_provider_that_says_it_is_another_is_none(console: Console, provider: IdentityProvider) -> None:
    provider.metadata["issuer"] = "https://evil.test"
    answer = await console.client.get("/console/login/begin")
    assert answer.status_code == 503
