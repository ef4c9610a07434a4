"""A real identity provider: Keycloak issues the tokens, people log in at its pages, and `pdp serve` decides by them.

Discovery, a step up to a higher `acr`, key rotation while serving, logout over the back channel, a machine that calls
with client credentials. The provider is started once; each test looks at what another could not have changed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keycloak_server import HANAKO, TARO, Browser, Keycloak, keycloak_server
from tests.servers import free_port
from tests.system.test_serve import Question, Served, serving, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

# `email` is a scope that the realm gives to every client; a deployment would give a scope of its own.
SETTINGS = """
[[issuers]]
issuer = "{issuer}"
audiences = ["sekisho"]
clients = ["portal", "gateway"]
client_claim = "azp"
subject_claim = "staff_number"
private_hosts = ["127.0.0.1"]

[caller_scopes]
email = ["decide", "assert_network"]

[console]
issuer = "{issuer}"
client_id = "console"
client_secret_file = "console.secret"
private_hosts = ["127.0.0.1"]
name_claim = "preferred_username"
roles = {{ auditor = ["kansa"] }}
"""


@pytest.fixture(scope="module")
def keycloak() -> Iterator[Keycloak]:
    with keycloak_server() as running:
        yield running


@pytest.fixture(scope="module")
def served(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place, port = tmp_path_factory.mktemp("keycloak"), free_port()  # the provider must know where the console is
    (place / "pdp.toml").write_text(SETTINGS.format(issuer=keycloak.realm), encoding="utf-8")
    (place / "console.secret").write_text("console-secret-of-the-trial", encoding="utf-8")
    keycloak.add_console("console", "console-secret-of-the-trial", f"http://127.0.0.1:{port}", kansa=TARO)
    with serving(place, "--port", str(port)) as running:
        question = running.question()
        keycloak.call_back_at("portal", question.url.replace("/access/v1/evaluation", "/oidc/backchannel-logout"))
        yield running


def asked(served: Served, token: str, *, subject: str = "u-demo-staff", resource: str = "groupware") -> dict[str, Any]:
    """The answer to the demonstration's question, with this token in place of what the gateway asserts."""
    question = served.question()
    body = json.loads(question.body)
    body["subject"] = {"type": "user", "id": subject, "properties": {"token": token}}
    body["resource"]["id"] = resource
    status, answer = Question(question.url, json.dumps(body).encode(), question.headers).ask()
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_a_password_is_asked_to_step_up_and_a_code_in_the_same_browser_lets_in(
    keycloak: Keycloak, served: Served
) -> None:
    browser = Browser(keycloak)
    weak = browser.log_in(TARO)["access_token"]
    assert claims(weak)["acr"] == "urn:sekisho:auth-level:1"
    before = asked(served, weak)
    assert before["decision"] is False
    assert before["context"]["outcome"] == "step_up"
    assert before["context"]["required_auth_level"] == 2

    strong = browser.log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"]
    assert claims(strong)["sid"] == claims(weak)["sid"], "one session, stepped up"
    after = asked(served, strong)
    assert after["decision"] is True, after
    assert asked(served, weak)["decision"] is False, "the weaker token has not become stronger"


def test_a_token_speaks_for_its_own_subject_only(keycloak: Keycloak, served: Served) -> None:
    token = keycloak.password_token(HANAKO)
    assert asked(served, token)["decision"] is False
    assert asked(served, token)["context"]["reasons"] == ["BAD_INPUT"]
    assert asked(served, token, subject="u-nobody-knows")["decision"] is False


def test_a_token_for_another_audience_is_no_token(keycloak: Keycloak, served: Served) -> None:
    token = keycloak.password_token(HANAKO, client="other-portal")
    answer = asked(served, token, subject="u-nobody-knows")
    assert answer["context"]["reasons"] == ["BAD_INPUT"]


def test_a_token_with_one_letter_changed_is_no_token(keycloak: Keycloak, served: Served) -> None:
    head, body, signature = Browser(keycloak).log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"].split(".")
    other = ("A" if signature[10] != "A" else "B").join((signature[:10], signature[11:]))
    assert asked(served, f"{head}.{body}.{signature}")["decision"] is True
    assert asked(served, f"{head}.{body}.{other}")["decision"] is False


def test_a_new_key_counts_while_serving_and_the_old_one_as_long_as_it_is_published(
    keycloak: Keycloak, served: Served
) -> None:
    browser = Browser(keycloak)
    by_old_key = browser.log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"]
    assert asked(served, by_old_key)["decision"] is True
    keycloak.rotate_key()
    by_new_key = browser.log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"]
    assert by_new_key.split(".")[0] != by_old_key.split(".")[0], "another `kid`"
    assert asked(served, by_new_key)["decision"] is True, "fetched because of the unknown `kid`"
    assert asked(served, by_old_key)["decision"] is True


def test_a_logout_at_the_provider_ends_the_session_here_and_a_new_login_is_let_in(
    keycloak: Keycloak, served: Served
) -> None:
    token = Browser(keycloak).log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"]
    assert asked(served, token)["decision"] is True
    keycloak.log_out(TARO)
    until(lambda: asked(served, token)["decision"] is False, "the logout was not heard")
    again = Browser(keycloak).log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"]
    assert asked(served, again)["decision"] is True


def test_an_administrator_revokes_a_session_that_the_provider_still_has(
    keycloak: Keycloak, served: Served, run_pdp: Any
) -> None:
    token = Browser(keycloak).log_in(TARO, acr="urn:sekisho:auth-level:2")["access_token"]
    assert asked(served, token)["decision"] is True
    run_pdp("token", "revoke", "--session", claims(token)["sid"])
    until(lambda: asked(served, token)["decision"] is False, "the revocation was not heard")


def test_a_machine_calls_with_client_credentials_and_may_what_its_binding_says(
    keycloak: Keycloak, served: Served, run_pdp: Any
) -> None:
    question = served.question()
    token = keycloak.machine_token()
    assert question.with_key(token).ask()[0] == 401, "nobody has bound this client yet"
    run_pdp("caller", "add", "sase", "--permission", "decide", "--permission", "assert_network")
    run_pdp(
        *("caller", "bind", "sase", "--issuer", keycloak.realm, "--client-id", "gateway"),
        *("--subject", claims(token)["sub"]),
    )

    def answered() -> int:
        return question.with_key(keycloak.machine_token()).ask()[0]

    until(lambda: answered() != 401, "the binding was not heard")
    assert answered() == 403, "it may not assert an identity"
    body = json.loads(question.body)
    body["subject"].pop("properties", None)
    bare = Question(question.url, json.dumps(body).encode(), question.headers)
    status, answer = bare.with_key(keycloak.machine_token()).ask()
    assert (status, answer.get("decision")) == (200, False), answer  # nobody has proved to be anybody


@pytest.fixture
def run_pdp(served: Served) -> Any:
    """The command `pdp` on the state of the service."""
    import os
    import subprocess
    import sys

    def run(*arguments: str) -> str:
        state = next((Path(served.place) / "state").glob("**/sekisho.db")).parent
        done = subprocess.run(
            [sys.executable, "-m", "pdp.cli", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=served.place,
            env={**{k: v for k, v in os.environ.items() if not k.startswith("PDP_")}, "PDP_STATE_DIR": str(state)},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_a_person_with_a_role_enters_the_console_and_leaves_it_and_the_provider(
    keycloak: Keycloak, served: Served
) -> None:
    base, browser = served.question().url.removesuffix("/access/v1/evaluation"), Browser(keycloak)
    page = browser.enter(f"{base}/console/login/begin?to=/console/me", TARO)
    assert (page.status_code, page.url.path) == (200, "/console/me")
    assert "taro" in page.text and "監査人" in page.text
    assert browser.enter(f"{base}/console/decisions").url.path == "/console/decisions"
    gone = browser.leave(page)
    assert gone.url.path == "/console/goodbye", gone.text[:2_000]
    assert browser.enter(f"{base}/console/me").url.path == "/console/login"
    again = browser.enter(f"{base}/console/login/begin")
    assert again.url.path.startswith("/realms/"), "the session of the provider is over too: it asks who this is"


def test_a_person_without_a_role_does_not_enter_the_console(keycloak: Keycloak, served: Served) -> None:
    base = served.question().url.removesuffix("/access/v1/evaluation")
    page = Browser(keycloak).enter(f"{base}/console/login/begin", HANAKO)
    assert (page.status_code, page.url.path) == (403, "/console/login/back")
    assert "hanako" in page.text
    assert "sekisho-session" not in page.headers.get("set-cookie", "")
