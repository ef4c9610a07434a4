"""Revocation lists: which count, until when, and that nobody gets by without one."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from pdp.callers.bindings import bind, bound_certificate
from pdp.callers.certificate import PeerCertificate, authorities_in, read_certificate
from pdp.callers.credentials import Credentials
from pdp.callers.crl import MAX_BYTES, RevocationLists, blocks_in
from pdp.callers.keys import add_caller, register_caller
from pdp.callers.proxy import TrustedProxy
from pdp.callers.stored import StoredCallers
from pdp.commands.finding import Finding
from pdp.commands.tls_checkup import crl_findings
from pdp.errors import NotAuthenticatedError, SettingsError
from pdp.settings import Settings
from tests.certificates import Authority, Credential
from tests.empty_store import empty_store

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "ours").mkdir()
    return Authority(tmp_path / "ours")


def peer(authority: Authority, credential: Credential) -> PeerCertificate:
    der = ssl.PEM_cert_to_DER_cert(credential.certificate.read_text())
    return read_certificate(der, authorities_in(str(authority.certificate)))


def lists_of(place: Path, authority: Authority) -> RevocationLists:
    made = RevocationLists(str(place), authorities_in(str(authority.certificate)))
    made.look()
    return made


def now() -> datetime:
    return datetime.now(UTC)


def test_who_stands_in_the_list_is_refused_and_nobody_else(authority: Authority) -> None:
    good, bad = authority.issue("gw-1", "gw-1"), authority.issue("gw-2", "gw-2")
    lists = lists_of(authority.revocation_list("crl.pem", bad), authority)
    assert not lists.refuses(peer(authority, good), now())
    assert lists.refuses(peer(authority, bad), now())


def test_a_list_that_has_ended_or_has_not_begun_refuses_everybody(authority: Authority) -> None:
    shown = peer(authority, authority.issue("gw-1", "gw-1"))
    lists = lists_of(authority.revocation_list("crl.pem"), authority)
    assert not lists.refuses(shown, now())
    assert lists.refuses(shown, now() + timedelta(days=1, minutes=1))
    assert lists.refuses(shown, now() - timedelta(hours=2))


def test_without_a_list_of_its_own_authority_a_certificate_is_refused(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    stranger = Authority(tmp_path / "theirs")  # of the same name, with another key
    shown = peer(authority, authority.issue("gw-1", "gw-1"))
    assert lists_of(stranger.revocation_list("crl.pem"), authority).refuses(shown, now())
    of_stranger = peer(authority, stranger.issue("gw-1", "gw-1"))
    assert lists_of(authority.revocation_list("crl.pem"), authority).refuses(of_stranger, now())


def test_of_a_fingerprint_alone_nobody_can_know(authority: Authority) -> None:
    lists = lists_of(authority.revocation_list("crl.pem"), authority)
    assert lists.refuses(PeerCertificate("f1" * 32), now())


def test_a_newer_list_counts_at_the_next_look_and_an_older_one_never(authority: Authority) -> None:
    gateway = authority.issue("gw-1", "gw-1")
    shown = peer(authority, gateway)
    place = authority.revocation_list("crl.pem", made=now() - timedelta(hours=3))
    lists = lists_of(place, authority)
    assert not lists.refuses(shown, now())
    authority.revocation_list("crl.pem", gateway, made=now() - timedelta(hours=1))
    lists.look()
    assert lists.refuses(shown, now())
    authority.revocation_list("crl.pem", made=now() - timedelta(hours=2))  # the attack: the list of yesterday
    lists.look()
    assert lists.refuses(shown, now())


@pytest.mark.parametrize("text", [b"", b"nonsense", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"])
def test_what_cannot_be_read_leaves_what_is_held(authority: Authority, text: bytes) -> None:
    gateway, other = authority.issue("gw-1", "gw-1"), authority.issue("gw-2", "gw-2")
    place = authority.revocation_list("crl.pem", gateway)
    lists = lists_of(place, authority)
    place.write_bytes(text)
    lists.look()
    assert lists.refuses(peer(authority, gateway), now())
    assert not lists.refuses(peer(authority, other), now())
    place.unlink()
    lists.look()
    assert lists.refuses(peer(authority, gateway), now())


@pytest.mark.parametrize(
    "extension",
    [
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(None, None, True, False, None, False, False),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x"),
    ],
)
def test_a_list_that_is_not_whole_or_not_understood_is_not_used(
    authority: Authority, extension: x509.ExtensionType
) -> None:
    shown = peer(authority, authority.issue("gw-1", "gw-1"))
    assert lists_of(authority.revocation_list("crl.pem", more=[(extension, True)]), authority).refuses(shown, now())
    plain = authority.revocation_list("crl.pem", more=[(x509.CRLNumber(7), False)])
    assert not lists_of(plain, authority).refuses(shown, now())


def test_a_folder_holds_the_lists_of_several_authorities(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = Authority(tmp_path / "second")
    place = authority.revocation_list("crl/one.pem").parent
    (place / "two.crl").write_bytes(second.revocation_list("two.pem").read_bytes())
    (place / "README").write_text("no list")
    both = tmp_path / "both.pem"
    both.write_bytes(authority.certificate.read_bytes() + second.certificate.read_bytes())
    lists = RevocationLists(str(place), authorities_in(str(both)))
    lists.look()
    for one in (authority, second):
        der = ssl.PEM_cert_to_DER_cert(one.issue("gw-1", "gw-1").certificate.read_text())
        assert not lists.refuses(read_certificate(der, authorities_in(str(both))), now())


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    large = tmp_path / "crl.pem"
    with large.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(SettingsError, match="more than"):
        list(blocks_in(str(large)))


async def test_a_connection_that_is_open_ends_with_its_certificate_directly_and_behind_a_proxy(
    authority: Authority, tmp_path: Path
) -> None:
    gateway = authority.issue("gw-1", "gw-1")
    authorities = authorities_in(str(authority.certificate))
    place = authority.revocation_list("crl.pem", made=now() - timedelta(hours=2))
    store = empty_store(tmp_path)
    register_caller(store, "gw-1", ["decide"], now=now())
    bind(store, "gw-1", bound_certificate(gateway.sha256), now=now())
    key = add_caller(store, "gw-2", ["decide"], now=now())
    lists = RevocationLists(str(place), authorities)
    proxy = TrustedProxy("client-cert", ["10.0.0.5"], authorities)
    direct = StoredCallers(store, now, lists=lists)
    behind = StoredCallers(store, now, lists=lists, proxy=proxy)
    shown = Credentials(certificate=peer(authority, gateway))
    header = x509.load_pem_x509_certificate(gateway.certificate.read_bytes())
    passed_on = Credentials(forwarded=(("client-cert", _rfc9440(header)),), peer="10.0.0.5")
    try:
        for callers in (direct, behind):
            await callers.refresh()
        assert (await direct.introduce(shown)).id == (await behind.introduce(passed_on)).id == "gw-1"
        authority.revocation_list("crl.pem", gateway)
        await direct.refresh()  # there is nothing new in the store; the lists are looked at all the same
        for callers, asked in ((direct, shown), (behind, passed_on)):
            with pytest.raises(NotAuthenticatedError):
                await callers.introduce(asked)
        with pytest.raises(NotAuthenticatedError):  # no key makes up for it
            await direct.introduce(Credentials(key=key, certificate=peer(authority, gateway)))
        assert (await direct.introduce(Credentials(key=key))).id == "gw-2"
    finally:
        store.close()


def _rfc9440(certificate: x509.Certificate) -> str:
    from base64 import b64encode

    from cryptography.hazmat.primitives.serialization import Encoding

    return f":{b64encode(certificate.public_bytes(Encoding.DER)).decode()}:"


def test_the_doctor_tells_before_a_list_ends(authority: Authority) -> None:
    def said(place: str) -> list[Finding]:
        settings = Settings(tls_client_ca_file=str(authority.certificate), tls_client_crl=place)
        return crl_findings(settings, now(), lambda _, en: en)

    week = {"made": now() - timedelta(days=5)}
    place = str(authority.revocation_list("crl.pem", ends_in=timedelta(days=2), **week))
    assert [one.status for one in said(place)] == ["ok"]
    authority.revocation_list("crl.pem", ends_in=timedelta(days=1), **week)
    assert [(one.status, bool(one.next_step)) for one in said(place)] == [("warn", True)]
    authority.revocation_list("crl.pem", ends_in=timedelta(minutes=-1), **week)
    assert [one.status for one in said(place)] == ["fail"]
    assert [one.status for one in said(f"{place}.gone")] == ["fail"]
    assert said("") == []


def test_what_was_told_of_the_end_of_each_list_is_its_end(authority: Authority) -> None:
    told: list[tuple[str, datetime | None]] = []
    place = authority.revocation_list("crl/x.pem").parent
    lists = RevocationLists(
        str(place), authorities_in(str(authority.certificate)), lambda name, at: told.append((name, at))
    )
    lists.look()
    lists.look()
    ((name, ends),) = told
    assert name == "CN=test authority"
    assert ends is not None
    assert ends > now()
