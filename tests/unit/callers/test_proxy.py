"""A proxy's word on its client's certificate: from that proxy alone, and in its exact form alone."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pdp.callers.bindings import bind, bound_certificate, bound_name
from pdp.callers.certificate import PeerCertificate, authorities_in, fingerprint
from pdp.callers.credentials import VERIFY_HEADER, Credentials
from pdp.callers.keys import further_key, register_caller
from pdp.callers.proxy import MAX_VALUE, CertificateHeader, ProxyRefusedError, TrustedProxy
from pdp.errors import BadRequestError
from tests.certificates import Authority, Credential
from tests.unit.callers.world import Register

pytestmark = pytest.mark.anyio

PROXY = "10.0.0.5"
ELSEWHERE = "10.0.0.6"
OWN = PeerCertificate("ee" * 32)  # the proxy's own certificate
HEADERS: list[CertificateHeader] = ["client-cert", "ssl-client-cert", "x-forwarded-client-cert"]


def der(credential: Credential) -> bytes:
    return ssl.PEM_cert_to_DER_cert(credential.certificate.read_text())


def escaped(credential: Credential) -> str:
    return quote(credential.certificate.read_text(), safe="")


def value(header: CertificateHeader, credential: Credential) -> str:
    match header:
        case "client-cert":
            return f":{base64.b64encode(der(credential)).decode()}:"
        case "ssl-client-cert":
            return escaped(credential)
        case _:
            return f'By=spiffe://proxy;Hash={credential.sha256};Cert="{escaped(credential)}";Subject="CN=gw-1,O=a"'


def headers(header: CertificateHeader, text: str, verified: str | None = "SUCCESS") -> dict[str, Any]:
    pairs = [(header, text)]
    if verified is not None and header == "ssl-client-cert":
        pairs.append((VERIFY_HEADER, verified))
    return {"forwarded": tuple(pairs)}


@pytest.fixture(scope="module")
def gateway(authority: Authority) -> Credential:
    return authority.issue("gw-1", "gateway", names=[x509.DNSName("gw-1.example.jp")])


@pytest.fixture(scope="module")
def another(authority: Authority) -> Credential:
    return authority.issue("gw-2", "another", names=[x509.DNSName("gw-2.example.jp")])


@pytest.fixture(params=HEADERS)
def header(request: pytest.FixtureRequest) -> CertificateHeader:
    return request.param


class Fronted(Register):
    """Behind a proxy. `gateway-1` is known by its certificate, `gateway-2` by the name in its certificate."""

    def __init__(
        self, folder: Path, header: CertificateHeader, authority: Authority, *certificates: Credential
    ) -> None:
        trusted = authorities_in(str(authority.certificate))
        proxy = TrustedProxy(header, [PROXY, "10.9.0.0/28", f"sha256:{OWN.sha256}"], trusted)
        super().__init__(folder, now=datetime.now(UTC), proxy=proxy)
        for caller_id in ("gateway-1", "gateway-2"):
            register_caller(self.store, caller_id, ["decide"], now=self.clocks.now)
        bind(self.store, "gateway-1", bound_certificate(certificates[0].sha256), now=self.clocks.now)
        name = bound_name("dns:gw-2.example.jp", fingerprint(trusted[0]))
        bind(self.store, "gateway-2", name, now=self.clocks.now)


@pytest.fixture
async def fronted(
    tmp_path: Path, header: CertificateHeader, authority: Authority, gateway: Credential, another: Credential
) -> Any:
    made = Fronted(tmp_path, header, authority, gateway, another)
    await made.callers.refresh()
    yield made
    made.store.close()


async def who(register: Register, **shown: Any) -> str | None:
    caller = await register.known(**shown)
    return None if caller is None else caller.id


async def test_the_proxys_word_counts_by_fingerprint_and_by_name(
    fronted: Fronted, header: CertificateHeader, gateway: Credential, another: Credential
) -> None:
    assert await who(fronted, **headers(header, value(header, gateway)), peer=PROXY) == "gateway-1"
    assert await who(fronted, **headers(header, value(header, another)), peer="10.9.0.15") == "gateway-2"
    assert await who(fronted, **headers(header, value(header, another)), peer="::ffff:10.0.0.5") == "gateway-2"
    own = headers(header, value(header, another))
    assert await who(fronted, **own, peer=ELSEWHERE, certificate=OWN) == "gateway-2"


async def test_from_anybody_else_the_header_is_refused_and_counted(
    fronted: Fronted, header: CertificateHeader, gateway: Credential
) -> None:
    spoofed = headers(header, value(header, gateway))
    key = further_key(fronted.store, "gateway-2", now=fronted.clocks.now)
    await fronted.callers.refresh()
    for shown in (
        {"peer": ELSEWHERE},
        {"peer": "10.9.0.16"},
        {"peer": None},
        {"peer": "127.0.0.1"},
        {"peer": ELSEWHERE, "certificate": PeerCertificate("ed" * 32)},
        {"peer": ELSEWHERE, "key": key},  # also beside a good key: it is an attack, or a proxy that nobody named
    ):
        assert await who(fronted, **spoofed, **shown) is None, shown
        assert fronted.why() == (None, "forwarded")
    assert await who(fronted, peer=ELSEWHERE, key=key) == "gateway-2"


async def test_a_header_that_was_not_chosen_is_not_read(
    fronted: Fronted, header: CertificateHeader, gateway: Credential
) -> None:
    for other in HEADERS:
        if other != header:
            for peer in (PROXY, ELSEWHERE):
                assert await who(fronted, **headers(other, value(other, gateway)), peer=peer) is None
                assert fronted.why() == (None, "credential")


async def test_the_proxys_own_certificate_is_nobodys(
    tmp_path: Path, header: CertificateHeader, authority: Authority, gateway: Credential
) -> None:
    proxy = TrustedProxy(header, [PROXY, f"sha256:{gateway.sha256}"], ())
    register = Register(tmp_path, proxy=proxy, now=datetime.now(UTC))
    register_caller(register.store, "proxy", ["decide"], now=register.clocks.now)
    bind(register.store, "proxy", bound_certificate(gateway.sha256), now=register.clocks.now)
    await register.callers.refresh()
    own = PeerCertificate(gateway.sha256)
    assert await who(register, certificate=own, peer=PROXY) is None
    assert await who(register, certificate=own, peer=ELSEWHERE) is None
    register.store.close()


async def test_without_a_client_certificate_the_proxys_client_has_its_key(fronted: Fronted) -> None:
    key = further_key(fronted.store, "gateway-1", now=fronted.clocks.now)
    await fronted.callers.refresh()
    assert await who(fronted, peer=PROXY, key=key) == "gateway-1"
    assert await who(fronted, peer=PROXY) is None


async def test_a_key_and_a_forwarded_certificate_of_two_callers_are_refused(
    fronted: Fronted, header: CertificateHeader, gateway: Credential
) -> None:
    key = further_key(fronted.store, "gateway-2", now=fronted.clocks.now)
    await fronted.callers.refresh()
    assert await who(fronted, **headers(header, value(header, gateway)), peer=PROXY, key=key) is None
    assert fronted.why() == (None, "conflict")


async def test_a_name_by_another_authority_of_the_same_name_is_nobodys(
    fronted: Fronted, header: CertificateHeader, stranger: Authority
) -> None:
    forged = stranger.issue("gw-2", "forged", names=[x509.DNSName("gw-2.example.jp")])
    assert await who(fronted, **headers(header, value(header, forged)), peer=PROXY) is None
    assert fronted.why() == (None, "credential")


async def test_an_expired_certificate_is_refused_even_where_the_proxy_passes_it_on(
    fronted: Fronted, header: CertificateHeader, another: Credential
) -> None:
    fronted.clocks.now += timedelta(days=3)
    assert await who(fronted, **headers(header, value(header, another)), peer=PROXY) is None
    assert fronted.why() == ("gateway-2", "certificate")


async def test_what_is_not_one_certificate_in_its_form_is_refused(
    fronted: Fronted, header: CertificateHeader, gateway: Credential, another: Credential
) -> None:
    good, second = value(header, gateway), value(header, another)
    pem = gateway.certificate.read_text()
    wrong = {
        "client-cert": [
            "", "::", good.strip(":"), good + " ", " " + good, f"{good}, {second}", f"{good};a=1", good.replace(":", '"'),
            ":" + base64.b64encode(der(gateway)[:-1]).decode() + ":", ":" + base64.b64encode(der(gateway) * 2).decode() + ":",
            escaped(gateway), ":AAAA:", ":" + "A" * MAX_VALUE + ":",
        ],
        "ssl-client-cert": [
            pem, good + "%0A" + second, "x" + good, good + "x", good.replace("BEGIN", "BEGUN"), good + "%",
            quote(pem.replace("CERTIFICATE", "PUBLIC KEY"), safe=""), quote("-----BEGIN CERTIFICATE-----\n", safe=""),
            quote(pem[:200] + "%00" + pem[200:], safe=""), "\u3000" + good, "A" * (MAX_VALUE + 1), "(null)",
        ],
        "x-forwarded-client-cert": [
            "", "Hash=", "Hash=" + "0" * 63, "Hash=" + "G" * 64, f'Subject="Hash={gateway.sha256}"',
            f"Hash={gateway.sha256},Hash={another.sha256}", f"Hash={gateway.sha256};Hash={gateway.sha256}",
            f'Hash={another.sha256};Cert="{escaped(gateway)}"', f'Hash={gateway.sha256};Cert="{escaped(gateway)}',
            f'Cert="{escaped(gateway)}"', f"Hash={gateway.sha256};Cert=", f"Hash={gateway.sha256};",
            f"hash={gateway.sha256};HASH={another.sha256}", good + "," + second, "Hash=" + gateway.sha256.upper(),
        ],
    }  # fmt: skip
    for text in wrong[header]:
        if header == "ssl-client-cert" and not text:
            continue
        assert await who(fronted, **headers(header, text), peer=PROXY) is None, text[:80]
        assert fronted.why() == (None, "forwarded"), text[:80]


async def test_nginx_must_have_verified_what_it_passes_on(
    tmp_path: Path, authority: Authority, gateway: Credential, another: Credential
) -> None:
    fronted = Fronted(tmp_path, "ssl-client-cert", authority, gateway, another)
    await fronted.callers.refresh()
    text = escaped(gateway)
    for verified in (None, "", "NONE", "FAILED:unable to verify the first certificate", "success", "SUCCESS,SUCCESS"):
        assert await who(fronted, **headers("ssl-client-cert", text, verified), peer=PROXY) is None, verified
    # A connection without a certificate: both headers are there, the first one empty.
    key = further_key(fronted.store, "gateway-1", now=fronted.clocks.now)
    await fronted.callers.refresh()
    assert await who(fronted, **headers("ssl-client-cert", "", "NONE"), peer=PROXY, key=key) == "gateway-1"
    fronted.store.close()


async def test_envoys_element_without_the_certificate_counts_by_its_fingerprint_alone(
    tmp_path: Path, authority: Authority, gateway: Credential, another: Credential
) -> None:
    fronted = Fronted(tmp_path, "x-forwarded-client-cert", authority, gateway, another)
    await fronted.callers.refresh()
    for credential, expected in ((gateway, "gateway-1"), (another, None)):
        said = headers("x-forwarded-client-cert", f'Hash={credential.sha256};DNS=gw-2.example.jp;Subject="CN=gw-2"')
        assert await who(fronted, **said, peer=PROXY) == expected
    fronted.store.close()


async def test_a_certificate_for_servers_is_not_a_callers(
    fronted: Fronted, header: CertificateHeader, authority: Authority
) -> None:
    usages = [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]
    server = authority.issue("gw-2", "server", names=[x509.DNSName("gw-2.example.jp")], usages=usages)
    assert await who(fronted, **headers(header, value(header, server)), peer=PROXY) is None
    assert fronted.why() == (None, "forwarded")


def test_what_is_remembered_of_headers_has_an_end() -> None:
    proxy = TrustedProxy("x-forwarded-client-cert", [PROXY], ())

    def read(number: int) -> PeerCertificate | None:
        said = headers("x-forwarded-client-cert", f"Hash={number:064x}")
        return proxy.certificate(Credentials(**said, peer=PROXY))

    first = read(0)
    assert read(0) is first
    for number in range(1_000):
        read(number)
    assert read(999) is read(999)
    assert read(0) is not first
    assert read(0) == first


@given(
    header=st.sampled_from(HEADERS),
    text=st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=200),
        st.text('Hashert=;,"\\:ABC09%+/ -', max_size=200),
        st.binary(max_size=100).map(lambda raw: f":{base64.b64encode(raw).decode()}:"),
        st.binary(max_size=100).map(
            lambda raw: quote(
                f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(raw).decode()}\n-----END CERTIFICATE-----"
            )
        ),
    ),
)
def test_whatever_stands_in_the_header_is_one_certificate_or_refused(header: CertificateHeader, text: str) -> None:
    proxy = TrustedProxy(header, [PROXY], ())
    try:
        proxy.certificate(Credentials(**headers(header, text), peer=PROXY))
    except ProxyRefusedError as refused:
        assert not text or len(text) < 4 or text not in str(refused)


@pytest.mark.parametrize("place", ["proxy.example.jp", "10.0.0.1/8", "", "sha256:", "sha256:" + "0" * 63, "SHA256:x"])
def test_a_place_is_a_network_or_a_fingerprint(place: str) -> None:
    with pytest.raises(BadRequestError):
        TrustedProxy("client-cert", [place], ())
