"""Clients that we did not write, against a real `pdp serve`: opa-python-client, an AuthZEN client, Cloudflare's Access."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import decern
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jose import jwk, jwt
from opa_client.opa import OpaClient

from tests.system.test_serve import Served, serving, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


class Account:
    """A Cloudflare account: its keys over HTTP, and the questions that its Access signs."""

    def __init__(self) -> None:
        private = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = jwk.construct(self.pem, "RS256").public_key().to_dict()
        whole = {name: value if isinstance(value, str) else value.decode() for name, value in public.items()}
        self.jwks = json.dumps({"keys": [{**whole, "kid": "cf-1", "use": "sig"}], "public_cert": {}}).encode()
        self.url = ""

    def question(self, nonce: str, email: str, **identity: Any) -> str:
        claims = {
            "iss": self.url,
            "nonce": nonce,
            "exp": int(time.time()) + 60,
            "identity": {"email": email, "idp": {"type": "azureAD", "id": "x"}, "iat": int(time.time()), **identity},
        }
        token: str = jwt.encode(claims, self.pem, algorithm="RS256", headers={"kid": "cf-1"})
        return token


@contextmanager
def account_server() -> Iterator[Account]:
    account = Account()

    class Certificates(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/cdn-cgi/access/certs"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(account.jwks) if found else 0))
            self.end_headers()
            if found:
                self.wfile.write(account.jwks)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Certificates) as server:
        account.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield account
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with account_server() as running:
        yield running


@pytest.fixture(scope="module")
def served(account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("foreign")
    (place / "pdp.toml").write_text(
        f'[cloudflare]\nteam_domain = "{account.url}"\nprivate_hosts = ["127.0.0.1"]\n'
        'email_domains = ["pref.example.jp"]\nlevels = {azureAD = 2}\ndevice_claim = true\n',
        encoding="utf-8",
    )
    with serving(place) as running:
        running.question()
        yield running


def key_with(served: Served, name: str, *permissions: str) -> str:
    """The key of a new caller that may do this, and no more; the service has heard of it."""
    state = next((served.place / "state").glob("**/sekisho.db")).parent
    command = [sys.executable, "-m", "pdp.cli", "caller", "add", name, "--json"]
    done = subprocess.run(
        [*command, *(word for permission in permissions for word in ("--permission", permission))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=served.place,
        env={**{k: v for k, v in os.environ.items() if not k.startswith("PDP_")}, "PDP_STATE_DIR": str(state)},
    )
    found: str = json.loads(done.stdout)["key"]
    question = served.question().with_key(found)
    until(lambda: question.ask()[0] != 401, "the new caller was not heard of")
    return found


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    """Of a caller that may ask, through the facade of OPA too, and assert what it saw."""
    return key_with(served, "foreign", "decide", "assert_identity", "assert_network", "opa_api")


def asked(served: Served) -> dict[str, Any]:
    """The demonstration's question, which is permitted."""
    found: dict[str, Any] = json.loads(served.question().body)
    return found


def base(served: Served) -> str:
    parts = urlsplit(served.question().url)
    return f"{parts.scheme}://{parts.netloc}"


# opa-python-client


@pytest.fixture
def opa(served: Served, key: str) -> Iterator[OpaClient]:
    parts = urlsplit(served.question().url)
    with OpaClient(host=parts.hostname, port=parts.port, headers={"Authorization": f"Bearer {key}"}) as client:
        yield client


def test_the_opa_client_is_told_the_same_as_an_authzen_client(opa: OpaClient, served: Served) -> None:
    question = asked(served)
    told = opa.query_rule(question, "pdp", "decision")
    _, answer = served.question().ask()
    assert answer["decision"] is True
    assert told["result"]["allow"] is True
    assert told["result"]["reasons"] == answer["context"]["reasons"]
    assert opa.query_rule(question, "pdp.decision", "allow")["result"] is True


def test_the_opa_client_sees_a_deny_a_missing_document_and_health(opa: OpaClient, served: Served) -> None:
    question = asked(served)
    question["resource"]["id"] = "mynumber-system"
    assert opa.query_rule(question, "pdp.decision", "allow")["result"] is False
    assert "result" not in opa.query_rule(question, "system", "main")
    assert opa.check_health() is True


def test_the_opa_client_cannot_change_or_query_anything(opa: OpaClient) -> None:
    with pytest.raises(Exception, match=r"resource_not_found|404|405"):
        opa.update_policy_from_string("package x\nallow := true", "x")
    with pytest.raises(Exception, match=r"resource_not_found|404|405"):
        opa.ad_hoc_query("data.pdp.decision", {})


def test_a_caller_without_the_permission_is_refused_in_the_words_of_opa(served: Served) -> None:
    key = key_with(served, "authzen-only", "decide")
    request = urllib.request.Request(f"{base(served)}/v1/data/pdp/decision", b"{}", {"Authorization": f"Bearer {key}"})
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value:
        assert refused.value.code == 403
        assert json.load(refused.value)["code"] == "unauthorized"


# An AuthZEN client from PyPI


def test_an_authzen_client_that_we_did_not_write_is_understood(served: Served, key: str) -> None:
    client = decern.Client(base(served), token=key)
    question = asked(served)
    decision = client.evaluate(
        question["subject"], question["action"], question["resource"], context=question["context"]
    )
    assert decision.allowed is True
    assert decision.context is not None
    assert decision.reasons == decision.context["reasons"]
    denied = client.evaluate(question["subject"], "access", {"type": "application", "id": "mynumber-system"})
    assert denied.allowed is False
    assert denied.reasons


def test_an_authzen_client_with_a_wrong_key_gets_an_error_and_no_decision(served: Served) -> None:
    question = asked(served)
    stranger = decern.Client(base(served), token="sekisho_" + "0" * 16 + "_" + "0" * 64)
    with pytest.raises(decern.DecernError) as refused:
        stranger.evaluate(question["subject"], question["action"], question["resource"])
    assert refused.value.status_code == 401


# Cloudflare's Access


def evaluated(served: Served, token: str, resource: str) -> tuple[int, dict[str, Any] | None]:
    """(status, the claims of our answer, verified with our published keys)."""
    url = f"{base(served)}/cloudflare/access/v1"
    body = json.dumps({"token": token}).encode()
    request = urllib.request.Request(f"{url}/evaluate/{resource}", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            told = json.load(answer)["token"]
    except HTTPError as refusal:
        with refusal:
            return refusal.code, None
    with urllib.request.urlopen(f"{url}/keys", timeout=10) as published:
        keys = json.load(published)["keys"]
    (fitting,) = [one for one in keys if one["kid"] == jwt.get_unverified_header(told)["kid"]]
    claims: dict[str, Any] = jwt.decode(told, jwk.construct(fitting), algorithms=["RS256"])
    return 200, claims


def test_access_is_answered_with_a_signed_yes_or_no(served: Served, account: Account) -> None:
    demo = {"ip": asked(served)["context"]["network"]["source_ip"], "device_id": "d-demo-pc"}
    status, let_in = evaluated(served, account.question("n-1", "u-demo-staff@pref.example.jp", **demo), "groupware")
    assert (status, let_in and let_in["success"], let_in and let_in["nonce"]) == (200, True, "n-1")
    _, kept_out = evaluated(served, account.question("n-2", "u-demo-staff@pref.example.jp", **demo), "mynumber-system")
    assert kept_out is not None
    assert kept_out["success"] is False
    _, replayed = evaluated(served, account.question("n-1", "u-demo-staff@pref.example.jp", **demo), "groupware")
    assert replayed is not None
    assert replayed["success"] is False


def test_a_question_that_another_account_signed_gets_no_signature_of_ours(served: Served, account: Account) -> None:
    stranger = Account()
    stranger.url = account.url
    token = stranger.question("n-3", "u-demo-staff@pref.example.jp")
    assert evaluated(served, token, "groupware") == (401, None)


def test_our_keys_are_rotated_without_a_moment_in_which_nobody_can_verify(served: Served, account: Account) -> None:
    state = next((served.place / "state").glob("**/cloudflare-keys.json")).parent
    done = subprocess.run(
        [sys.executable, "-m", "pdp.cli", "keys", "rotate", "--json", "--state-dir", str(state)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(state),
    )
    old, new = json.loads(done.stdout)["keys"]
    assert old["published_until"] is not None
    assert new["published_until"] is None

    def published() -> set[str]:
        with urllib.request.urlopen(f"{base(served)}/cloudflare/access/v1/keys", timeout=10) as answer:
            return {key["kid"] for key in json.load(answer)["keys"]}

    until(lambda: published() == {old["kid"], new["kid"]}, "the new key is not published")
    assert evaluated(served, account.question("n-4", "nobody@pref.example.jp"), "groupware")[0] == 200
