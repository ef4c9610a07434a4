"""A real Keycloak on loopback, with the realm of deploy/compose, and a person who logs in at its pages.

Started once for a module (20 to 40 s), ended by its process id. Everything is in memory.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import os
import re
import secrets
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parents[1]
HOME: Final = ROOT / ".tools" / "keycloak"
REALM_FILE: Final = ROOT / "deploy" / "compose" / "keycloak" / "sekisho-realm.json"
REALM: Final = "sekisho"
START_S: Final = 240.0  # 20 s alone; on two busy cores it has taken two minutes
STOP_S: Final = 20.0
LOOK_AGAIN_S: Final = 0.2
BACK: Final = "http://127.0.0.1/back"  # where nobody listens: the code is read off the redirect
_ADMIN: Final = "admin"


@dataclass(frozen=True)
class Person:
    """As the realm's file has them. `code_key` is the key of the one-time codes; None: no second factor."""

    name: str
    password: str = field(repr=False)
    code_key: bytes | None = field(default=None, repr=False)

    def code(self, at: float | None = None) -> str:
        """RFC 6238: the code of now."""
        assert self.code_key is not None
        counter = struct.pack(">Q", int((time.time() if at is None else at) // 30))
        mac = hmac.new(self.code_key, counter, hashlib.sha1).digest()
        offset = mac[-1] & 15
        return f"{(struct.unpack('>I', mac[offset : offset + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


TARO: Final = Person("taro", "taro-of-the-trial", b"JBSWY3DPEHPK3PXPJBSW")
HANAKO: Final = Person("hanako", "hanako-of-the-trial")


class Keycloak:
    """A running server. `realm` is the issuer."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.realm = f"{self.url}/realms/{REALM}"

    def machine_token(self, client: str = "gateway", secret: str = "gateway-secret-of-the-trial") -> str:
        """OAuth 2 client credentials."""
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
        return str(self._tokens(form)["access_token"])

    def password_token(self, person: Person, *, client: str = "portal") -> str:
        """Without a page: for the tests that are not about logging in."""
        secret = {"portal": "portal-secret-of-the-trial", "other-portal": "other-secret-of-the-trial"}[client]
        form = {"grant_type": "password", "client_id": client, "client_secret": secret, "scope": "openid"}
        form |= {"username": person.name, "password": person.password}
        if person.code_key is not None:
            form["totp"] = person.code()
        return str(self._tokens(form)["access_token"])

    def exchange(self, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "client_id": "portal",
            "client_secret": "portal-secret-of-the-trial",
        }
        return self._tokens(form | {"code": code, "redirect_uri": BACK, "code_verifier": verifier})

    def rotate_key(self) -> None:
        """A new signing key takes over at once; the keys before it stay published."""
        realm_id = self._call("GET", "").json()["id"]
        self._call(
            "POST",
            "/components",
            json={
                "name": f"rotated-{secrets.token_hex(4)}",
                "parentId": realm_id,
                "providerId": "rsa-generated",
                "providerType": "org.keycloak.keys.KeyProvider",
                "config": {
                    "priority": [str(int(time.time()))],
                    "enabled": ["true"],
                    "active": ["true"],
                    "keySize": ["2048"],
                    "algorithm": ["RS256"],
                },
            },
        )

    def remove_old_keys(self) -> None:
        """Only the newest signing key stays published."""
        found = self._call("GET", "/components", params={"type": "org.keycloak.keys.KeyProvider"}).json()
        signing = [one for one in found if one["providerId"] == "rsa-generated"]
        newest = max(signing, key=lambda one: int(one["config"]["priority"][0]))
        for one in signing:
            if one is not newest:
                self._call("DELETE", f"/components/{one['id']}")

    def call_back_at(self, client: str, url: str) -> None:
        """Tell the client's own end of a logout (OpenID Connect Back-Channel Logout 1.0)."""
        (found,) = self._call("GET", "/clients", params={"clientId": client}).json()
        found["attributes"] |= {"backchannel.logout.url": url, "backchannel.logout.session.required": "true"}
        self._call("PUT", f"/clients/{found['id']}", json=found)

    def add_console(self, client: str, secret: str, base_url: str, **roles: Person) -> None:
        """A client for the console at `base_url`, PKCE demanded, and roles of the realm in `groups` of its ID tokens."""
        names = {
            "name": "roles",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-usermodel-realm-role-mapper",
            "config": {
                "claim.name": "groups",
                "multivalued": "true",
                "jsonType.label": "String",
                "id.token.claim": "true",
            },
        }
        self._call(
            "POST",
            "/clients",
            json={
                "clientId": client,
                "secret": secret,
                "redirectUris": [f"{base_url}/console/login/back"],
                "attributes": {
                    "pkce.code.challenge.method": "S256",
                    "post.logout.redirect.uris": f"{base_url}/console/goodbye",
                },
                "protocolMappers": [names],
            },
        )
        for role, person in roles.items():
            self._call("POST", "/roles", json={"name": role})
            (found,) = self._call("GET", "/users", params={"username": person.name, "exact": "true"}).json()
            given = self._call("GET", f"/roles/{role}").json()
            self._call("POST", f"/users/{found['id']}/role-mappings/realm", json=[given])

    def log_out(self, person: Person) -> None:
        """End every session of the person, as an administrator does."""
        (found,) = self._call("GET", "/users", params={"username": person.name, "exact": "true"}).json()
        self._call("POST", f"/users/{found['id']}/logout")

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        form = {"grant_type": "password", "client_id": "admin-cli", "username": _ADMIN, "password": _ADMIN}
        token = httpx.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form, timeout=30).json()
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        answer = httpx.request(method, f"{self.url}/admin/realms/{REALM}{path}", headers=headers, timeout=30, **more)
        answer.raise_for_status()
        return answer

    def _tokens(self, form: dict[str, str]) -> dict[str, Any]:
        answer = httpx.post(f"{self.realm}/protocol/openid-connect/token", data=form, timeout=30)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told


class Browser:
    """What a person does at the pages of the provider. It keeps cookies: a second log-in is a step up."""

    def __init__(self, keycloak: Keycloak) -> None:
        self._keycloak = keycloak
        self._cookies: dict[str, str] = {}

    def log_in(self, person: Person, *, acr: str | None = None) -> dict[str, Any]:
        """The tokens of a log-in with the authorization code flow and PKCE, at the level that is asked for."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": "portal",
            "response_type": "code",
            "scope": "openid",
            "redirect_uri": BACK,
            "state": secrets.token_hex(8),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if acr is not None:
            query["claims"] = json.dumps({"id_token": {"acr": {"essential": True, "values": [acr]}}})
        page = self._send("GET", f"{self._keycloak.realm}/protocol/openid-connect/auth", params=query)
        for _ in range(6):
            if page.is_redirect:
                target = page.headers["location"]
                if target.startswith(BACK):
                    said = parse_qs(urlsplit(target).query)
                    assert said["state"] == [query["state"]], said
                    return self._keycloak.exchange(said["code"][0], verifier)
                page = self._send("GET", target)
                continue
            page = self._send("POST", _action(page.text), data=self._filled_in(page.text, person))
        raise AssertionError(page.text[:2_000])

    def enter(self, url: str, person: Person | None = None) -> httpx.Response:
        """The page that is reached from there, whatever redirects and, where somebody logs in, pages lie between."""
        return self._follow(self._send("GET", url), person)

    def leave(self, page: httpx.Response) -> httpx.Response:
        """Press `log out` on a page of the console."""
        (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', page.text))
        headers = {"Origin": f"{page.url.scheme}://{page.url.netloc.decode()}"}
        url = urljoin(str(page.url), "/console/logout")
        return self._follow(self._send("POST", url, data={"csrf": csrf}, headers=headers))

    def _follow(self, page: httpx.Response, person: Person | None = None) -> httpx.Response:
        for _ in range(12):
            if page.is_redirect:
                page = self._send("GET", urljoin(str(page.url), page.headers["location"]))
            elif person is not None and page.url.path.startswith("/realms/"):
                page = self._send("POST", _action(page.text), data=self._filled_in(page.text, person))
            else:
                return page
        raise AssertionError(page.text[:2_000])

    def _filled_in(self, page: str, person: Person) -> dict[str, str]:
        if 'name="otp"' in page:
            return {"otp": person.code()}
        assert 'name="password"' in page, page[:2_000]
        return {"username": person.name, "password": person.password}

    def _send(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> httpx.Response:
        """Cookies by hand: the server marks them `Secure`, which browsers let pass on loopback and httpx does not."""
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        answer = httpx.request(method, url, headers={**cookies, **(headers or {})}, timeout=30, **more)
        assert answer.status_code in {*range(400), 403}, answer.text[:2_000]
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer


def _action(page: str) -> str:
    (found,) = re.findall(r'<form[^>]* action="([^"]+)"', page)
    return html.unescape(found)


@contextmanager
def keycloak_server() -> Iterator[Keycloak]:
    """Skips the test, saying what to install, where there is no Keycloak or no Java (CI fails on it)."""
    script = HOME / "bin" / "kc.sh"
    if not script.exists() or shutil.which("java") is None:
        pytest.skip("no Keycloak in .tools or no `java`: install them with `make tools`")
    imported = HOME / "data" / "import" / REALM_FILE.name
    imported.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(REALM_FILE, imported)
    port = free_port()
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            [
                str(script),
                "start-dev",
                "--db=dev-mem",
                "--http-host=127.0.0.1",
                f"--http-port={port}",
                "--import-realm",
                "--cache=local",
            ],
            stdout=words,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ
            | {
                "KC_BOOTSTRAP_ADMIN_USERNAME": _ADMIN,
                "KC_BOOTSTRAP_ADMIN_PASSWORD": _ADMIN,
                "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m",
                # The fastest start is worth more here than the fastest code.
                "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1",
            },
        )
        try:
            _wait(process, f"http://127.0.0.1:{port}/realms/{REALM}/.well-known/openid-configuration", words)
            server = Keycloak(port)
            # A test logs in several times within the half minute of one code; people do not.
            policy = {
                name: value for name, value in server._call("GET", "").json().items() if name.startswith("otpPolicy")
            }
            server._call("PUT", "", json={**policy, "otpPolicyCodeReusable": True})
            yield server
        finally:
            _end(process)


def _wait(process: subprocess.Popen[bytes], url: str, words: Any) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(LOOK_AGAIN_S)
    words.seek(0)
    raise AssertionError(f"keycloak did not start: {words.read().decode(errors='replace')[-4_000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """The script and the Java below it are one group of ours."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            continue
        return
