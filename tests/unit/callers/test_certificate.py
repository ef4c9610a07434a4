from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pdp.callers.certificate import (
    MAX_DER,
    MAX_NAMES,
    PeerCertificate,
    authorities_in,
    fingerprint,
    read_authorities,
    read_certificate,
)
from pdp.errors import BadRequestError, SettingsError
from tests.certificates import Authority, Credential


def der(credential: Credential) -> bytes:
    return ssl.PEM_cert_to_DER_cert(credential.certificate.read_text())


def trusted(*authorities: Authority) -> list[x509.Certificate]:
    return [one for authority in authorities for one in read_authorities(authority.certificate.read_bytes())]


def test_a_certificate_is_its_fingerprint_its_names_and_who_signed_it(authority: Authority) -> None:
    issued = authority.issue(
        "gateway-1",
        "full",
        names=[
            x509.DNSName("GW-1.example.JP"),
            x509.UniformResourceIdentifier("spiffe://example.jp/Gateway"),
            x509.RFC822Name("gw@example.jp"),
            x509.IPAddress(ip_address("192.0.2.7")),
        ],
    )
    read = read_certificate(der(issued), trusted(authority))
    assert read.sha256 == issued.sha256
    assert set(read.names) == {
        "subject:CN=gateway-1",
        "dns:gw-1.example.jp",
        "uri:spiffe://example.jp/Gateway",
        "email:gw@example.jp",
        "ip:192.0.2.7",
    }
    assert read.issuers == (fingerprint(trusted(authority)[0]),)
    now = datetime.now(UTC)
    assert read.holds_at(now)
    assert not read.holds_at(now + timedelta(days=3))
    assert not read.holds_at(now - timedelta(days=1))


def test_an_authority_of_the_same_name_did_not_sign_it(authority: Authority, stranger: Authority) -> None:
    issued = der(stranger.issue("gateway-1", "stranger-1"))
    assert read_certificate(issued, trusted(authority)).issuers == ()
    assert read_certificate(issued, trusted(authority, stranger)).issuers == (fingerprint(trusted(stranger)[0]),)


def test_what_stands_for_many_or_cannot_be_printed_is_no_name(authority: Authority) -> None:
    issued = authority.issue(
        "gw\u200b\u202e",  # turns what follows around on a screen
        "odd",
        names=[x509.DNSName("*.example.jp"), x509.DNSName("gw*.example.jp"), x509.DirectoryName(_name("x"))],
    )
    assert read_certificate(der(issued), ()).names == ()


def test_a_certificate_for_servers_only_is_not_for_clients(authority: Authority) -> None:
    server = authority.issue("gw", "server-only", usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    with pytest.raises(BadRequestError, match="not for clients"):
        read_certificate(der(server), ())
    for usage in (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE):
        client = authority.issue("gw", "client", usages=[ExtendedKeyUsageOID.SERVER_AUTH, usage])
        assert read_certificate(der(client), ()).sha256 == client.sha256


def test_names_and_size_have_an_end(authority: Authority) -> None:
    many = authority.issue("gw", "many", names=[x509.DNSName(f"gw-{n}.example.jp") for n in range(MAX_NAMES)])
    with pytest.raises(BadRequestError, match="too many names"):
        read_certificate(der(many), ())
    with pytest.raises(BadRequestError, match="too large"):
        read_certificate(b"\x30" * (MAX_DER + 1), ())


@pytest.mark.parametrize("wrong", [b"", b"\x30", b"\x30\x03\x02\x01\x01", b"-----BEGIN CERTIFICATE-----", bytes(512)])
def test_what_is_no_certificate_is_refused(wrong: bytes) -> None:
    with pytest.raises(BadRequestError):
        read_certificate(wrong, ())


def test_an_extension_that_stands_twice_or_an_odd_version_is_refused_as_any_other(authority: Authority) -> None:
    """The library has errors of its own for these; on a connection nobody would catch them."""
    names = [x509.DNSName("gw.example.jp")]
    good = der(authority.issue("gw", "twice", names=names, usages=[ExtendedKeyUsageOID.CLIENT_AUTH]))
    alternative_names, key_usage = b"\x06\x03\x55\x1d\x11", b"\x06\x03\x55\x1d\x25"
    version_3 = b"\xa0\x03\x02\x01\x02"
    assert good.count(key_usage) == good.count(version_3) == 1
    for wrong in (
        good.replace(key_usage, alternative_names),
        good.replace(version_3, b"\xa0\x03\x02\x01\x07"),
        good.replace(b"gw.example.jp", b"gw.example.j\xff"),
    ):
        with pytest.raises(BadRequestError):
            read_certificate(wrong, trusted(authority))


def test_without_its_times_it_holds_as_long_as_the_proxy_says() -> None:
    assert PeerCertificate("0" * 64).holds_at(datetime(1999, 1, 1, tzinfo=UTC))


def test_a_file_of_authorities_has_some(tmp_path: Path, authority: Authority) -> None:
    assert authorities_in("") == ()
    assert len(authorities_in(str(authority.certificate))) == 1
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for file in (empty, tmp_path / "gone.pem"):
        with pytest.raises(SettingsError):
            authorities_in(str(file))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
