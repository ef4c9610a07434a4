"""Callers of a real `pdp serve` that speaks TLS: certificates, a proxy in front, limits, and what is let in by none.

The client is Python's own TLS and HTTP, with certificates that were made for this run.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.callers.bindings import bind, bound_certificate, bound_name, unbind
from pdp.callers.bounds import CallerBounds, set_bounds
from pdp.callers.budget import CallerLimits
from pdp.callers.caller import Permission
from pdp.callers.certificate import authorities_in, fingerprint
from pdp.callers.keys import add_caller, register_caller
from pdp.callers.listing import list_callers
from pdp.store.store import Store, open_store
from tests.certificates import Authority, Credential
from tests.system.test_serve import ANSWER_S, Served, question_of, serving, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]

EVALUATION = "/access/v1/evaluation"
JSON = {"Content-Type": "application/json"}
ASKS: list[Permission] = ["decide", "assert_identity", "assert_network"]


@dataclass
class Place:
    """A running service, who trusts whom, and its register of callers."""

    served: Served
    authority: Authority
    stranger: Authority
    store: Store
    proxy: Credential
    body: bytes
    key: str

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(question_of(self.served.stdout).url)
        return parts.hostname or "", parts.port or 0

    def connection(self, certificate: Credential | None = None) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.check_hostname = False  # 127.0.0.1 stands in no certificate
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return http.client.HTTPSConnection(*self.address, timeout=ANSWER_S, context=context)

    def ask(
        self,
        certificate: Credential | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = False,
    ) -> tuple[int, Any]:
        with closing(self.connection(certificate)) as connection:
            return ask(connection, self.body, headers, chunked=chunked)

    def refused(self, caller: str, why: str) -> float:
        """How often the metrics say that this caller was refused for this."""
        with closing(self.connection()) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        wanted = f'sekisho_caller_refusals_total{{caller="{caller}",why="{why}"}} '
        return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(wanted)), 0.0)


def ask(
    connection: http.client.HTTPSConnection,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    chunked: bool = False,
) -> tuple[int, Any]:
    """`chunked` goes through the lane; without it the answer is given before there is any ASGI."""
    sent = iter([body[:10], body[10:]]) if chunked else body
    connection.request("POST", EVALUATION, sent, {**JSON, **(headers or {})}, encode_chunked=chunked)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read() or b"null")


@contextmanager
def placed(place: Path, *arguments: str, asking: str = "optional") -> Iterator[Place]:
    for folder in ("ours", "theirs"):
        (place / folder).mkdir(parents=True)
    authority, stranger = Authority(place / "ours"), Authority(place / "theirs")
    server = authority.issue("server", "server", host="localhost")
    proxy = authority.issue("proxy", "proxy")
    (place / "pdp.toml").write_text(f"""
tls_cert_file = "{server.certificate}"
tls_key_file = "{server.key}"
tls_client_ca_file = "{authority.certificate}"
tls_client_certificate = "{asking}"
caller_certificate_header = "client-cert"
caller_proxies = ["sha256:{proxy.sha256}"]
directory_poll_s = 0.1
""")
    with serving(place, *arguments) as served:
        until(lambda: "Stop with Ctrl-C." in served.stdout, "no introduction", served.process)
        question = question_of(served.stdout)
        assert question.url.startswith("https://")
        store = open_store(f"sqlite:///{place / 'state' / 'demo' / 'sekisho.db'}")
        try:
            yield Place(served, authority, stranger, store, proxy, question.body, question.key)
        finally:
            store.close()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(tmp_path_factory.mktemp("tls")) as place:
        yield place


def by_fingerprint(place: Place, caller_id: str, file: str) -> Credential:
    issued = place.authority.issue(file, file)
    register_caller(place.store, caller_id, ASKS, now=datetime.now(UTC))
    bind(place.store, caller_id, bound_certificate(issued.sha256), now=datetime.now(UTC))
    return issued


def known(place: Place, certificate: Credential | None, headers: Mapping[str, str] | None = None) -> Any:
    """The answer, once the worker has looked at the register again."""
    return until(lambda: answer if (answer := place.ask(certificate, headers))[0] == 200 else None, "still nobody")


def test_a_key_is_enough_where_certificates_are_optional(one: Place) -> None:
    status, answer = one.ask(headers={"Authorization": f"Bearer {one.key}"})
    assert (status, answer["decision"]) == (200, True)
    assert one.ask()[0] == 401


def test_client_secret_basic_is_the_key_id_and_its_secret(one: Place) -> None:
    _, key_id, secret = one.key.split("_")
    pair = base64.b64encode(f"{key_id}:{secret}".encode()).decode()
    assert one.ask(headers={"Authorization": f"Basic {pair}"})[0] == 200
    wrong = base64.b64encode(f"{key_id}:{'0' * 64}".encode()).decode()
    assert one.ask(headers={"Authorization": f"Basic {wrong}"})[0] == 401


def test_a_bound_certificate_is_the_caller_on_both_ways_through_the_house(one: Place) -> None:
    certificate = by_fingerprint(one, "gw-print", "gw-print")
    assert known(one, certificate)[1]["decision"] is True
    assert one.ask(certificate, chunked=True)[0] == 200


def test_a_name_counts_in_every_certificate_of_its_authority(one: Place) -> None:
    now = datetime.now(UTC)
    register_caller(one.store, "gw-name", ASKS, now=now)
    (trusted,) = authorities_in(str(one.authority.certificate))
    bind(one.store, "gw-name", bound_name("dns:gw-name.example.jp", fingerprint(trusted)), now=now)
    for file in ("name-old", "name-new"):
        certificate = one.authority.issue("gw", file, names=[x509.DNSName("gw-name.example.jp")])
        assert known(one, certificate)[1]["decision"] is True
    for name in ("*.example.jp", "gw-name.example.jp.evil.jp", "xgw-name.example.jp"):
        other = one.authority.issue("gw", "name-other", names=[x509.DNSName(name)])
        assert one.ask(other)[0] == 401


@pytest.mark.parametrize("kind", ["of a stranger", "expired", "for servers"])
def test_a_certificate_that_does_not_hold_opens_no_connection(one: Place, kind: str) -> None:
    match kind:
        case "of a stranger":  # an authority of the same name
            certificate = one.stranger.issue("gw-print", "gw-stranger")
        case "expired":
            certificate = one.authority.issue("gw", "gw-expired", ends_in=timedelta(minutes=-1))
        case _:
            certificate = one.authority.issue("gw", "gw-server", usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    bind_to = f"gw-{kind.replace(' ', '-')}"
    register_caller(one.store, bind_to, ["decide"], now=datetime.now(UTC))
    bind(one.store, bind_to, bound_certificate(certificate.sha256), now=datetime.now(UTC))
    for _ in range(3):  # the register is looked at ten times a second
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            one.ask(certificate, {"Authorization": f"Bearer {one.key}"})
        time.sleep(0.1)


def test_plain_http_is_not_answered(one: Place) -> None:
    with socket.create_connection(one.address, timeout=ANSWER_S) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert b"200" not in plain.recv(4_096)


def test_a_proxys_word_counts_from_the_proxy_alone(one: Place) -> None:
    certificate = by_fingerprint(one, "gw-behind", "gw-behind")
    der = ssl.PEM_cert_to_DER_cert(certificate.certificate.read_text())
    said = {"Client-Cert": f":{base64.b64encode(der).decode()}:"}
    assert known(one, one.proxy, said)[1]["decision"] is True
    assert one.ask(one.proxy)[0] == 401
    before = one.refused("-", "forwarded")
    for certificate_of_another in (None, certificate):
        assert one.ask(certificate_of_another, said)[0] == 401
        assert one.ask(certificate_of_another, {**said, "Authorization": f"Bearer {one.key}"})[0] == 401
    assert one.refused("-", "forwarded") == before + 4
    with closing(one.connection(one.proxy)) as connection:
        connection.putrequest("POST", EVALUATION)
        for name, text in [*JSON.items(), *said.items(), *said.items(), ("Content-Length", str(len(one.body)))]:
            connection.putheader(name, text)
        connection.endheaders(one.body)
        assert connection.getresponse().status == 400


def test_a_certificate_and_the_key_of_another_are_refused(one: Place) -> None:
    certificate = by_fingerprint(one, "gw-two", "gw-two")
    known(one, certificate)
    before = one.refused("-", "conflict")
    assert one.ask(certificate, {"Authorization": f"Bearer {one.key}"})[0] == 401
    assert one.refused("-", "conflict") == before + 1


def test_what_is_unbound_ends_on_a_connection_that_stays(one: Place) -> None:
    certificate = by_fingerprint(one, "gw-ends", "gw-ends")
    known(one, certificate)
    with closing(one.connection(certificate)) as connection:
        assert ask(connection, one.body)[0] == 200
        own = connection.sock
        (listed,) = (listed for listed in list_callers(one.store) if listed.id == "gw-ends")
        unbind(one.store, "gw-ends", listed.bindings[0].binding_id, now=datetime.now(UTC))
        until(lambda: ask(connection, one.body)[0] == 401, "still known")
        assert connection.sock is own


def test_who_asks_too_often_hears_when_to_come_back_and_the_others_do_not_notice(one: Place) -> None:
    now = datetime.now(UTC)
    limits = CallerLimits(requests_per_s=1, burst=5)
    loud = add_caller(one.store, "gw-loud", ASKS, now=now, bounds=CallerBounds(limits=limits))
    mine = {"Authorization": f"Bearer {loud}"}
    known(one, None, mine)
    answers: list[int] = []
    with closing(one.connection()) as connection:
        for _ in range(30):
            answers.append(ask(connection, one.body, mine)[0])
            assert ask(connection, one.body, {"Authorization": f"Bearer {one.key}"})[0] == 200
        connection.request("POST", EVALUATION, one.body, {**JSON, **mine})
        last = connection.getresponse()
        assert (last.status, last.getheader("Retry-After")) == (429, "1")
        last.read()
    assert set(answers) == {200, 429}
    assert one.refused("gw-loud", "rate") >= answers.count(429)
    set_bounds(one.store, "gw-loud", CallerBounds())
    assert known(one, None, mine)


def test_a_head_without_an_end_is_refused_and_the_service_goes_on(one: Place) -> None:
    with closing(one.connection()) as connection:
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(b"POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\n")
        heard = b""
        try:
            for number in range(400):
                connection.sock.sendall(b"X-%d: %s\r\n" % (number, b"a" * 4_096))
            heard = connection.sock.recv(4_096)
        except (ConnectionError, ssl.SSLError):
            heard = heard or b"HTTP/1.1 431 (the connection was closed while we wrote)"
        assert heard.startswith(b"HTTP/1.1 431 ")
    assert one.ask(headers={"Authorization": f"Bearer {one.key}"})[0] == 200


def test_a_renewed_server_certificate_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    with placed(tmp_path, "--workers", "2", asking="required") as place:
        certificate = by_fingerprint(place, "gw", "gw")
        until(lambda: all(place.ask(certificate)[0] == 200 for _ in range(12)), "not known to each worker")
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
            place.ask(headers={"Authorization": f"Bearer {place.key}"})
        half = tmp_path / "ours" / "server.pem"
        half.write_text("-----BEGIN CERTIFICATE-----\nhalf\n")
        assert place.ask(certificate)[0] == 200  # the one before it stays
        renewed = place.authority.issue("server", "server", host="localhost")

        def shown() -> str:
            with closing(place.connection(certificate)) as connection:
                connection.connect()
                der = connection.sock.getpeercert(binary_form=True)  # type: ignore[union-attr]
            return x509.load_der_x509_certificate(der).fingerprint(x509.base.hashes.SHA256()).hex()

        until(lambda: [shown() for _ in range(12)] == [renewed.sha256] * 12, "the old certificate stays")
        assert place.ask(certificate)[0] == 200
