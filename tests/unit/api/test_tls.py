"""The listener's context, over real connections in memory: no socket, no clock."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pdp.api.tls import Asking, ListenerContext, TlsFiles, listener_context, peer_certificate
from pdp.callers.certificate import PeerCertificate, authorities_in, fingerprint
from pdp.errors import SettingsError
from tests.certificates import Authority, Credential


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    (tmp_path / "ours").mkdir()
    return Authority(tmp_path / "ours")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    (tmp_path / "theirs").mkdir()
    return Authority(tmp_path / "theirs")


@pytest.fixture
def server(authority: Authority) -> Credential:
    return authority.issue("server", "server", host="localhost")


def files(server: Credential, authority: Authority, asking: Asking = "optional") -> TlsFiles:
    return TlsFiles(str(server.certificate), str(server.key), str(authority.certificate), asking)


class Transport:
    """What the server's protocol is given after a handshake."""

    def __init__(self, **extra: Any) -> None:
        self._extra = extra

    def get_extra_info(self, name: str) -> Any:
        return self._extra.get(name)


class Handshake:
    """Both ends of one connection. Raises ssl.SSLError where they do not come together."""

    def __init__(
        self,
        listener: ssl.SSLContext,
        trust: Authority,
        certificate: Credential | None = None,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self.context = ssl.create_default_context(cafile=str(trust.certificate))
        self.context.minimum_version = self.context.maximum_version = version
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        if certificate is not None:
            self.context.load_cert_chain(certificate.certificate, certificate.key)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = self.context.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
        self.server = listener.wrap_bio(to_server, to_client, server_side=True)
        self.listener = listener
        for _ in range(4):
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        self.server.write(b"x")
        assert self.client.read(1) == b"x"

    @property
    def peer(self) -> PeerCertificate | None:
        transport: Any = Transport(ssl_object=self.server, sslcontext=self.listener)
        return peer_certificate(transport)

    @property
    def shown(self) -> str:
        """The fingerprint of the server's certificate."""
        der = self.client.getpeercert(binary_form=True)
        assert der
        return fingerprint(x509.load_der_x509_certificate(der))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_a_client_shows_is_read_with_who_signed_it(
    authority: Authority, server: Credential, version: ssl.TLSVersion
) -> None:
    certificate = authority.issue("gw", "gw", names=[x509.DNSName("gw.example.jp")])
    ends = Handshake(listener_context(files(server, authority)), authority, certificate, version)
    assert ends.peer is not None
    assert ends.peer.sha256 == certificate.sha256
    assert "dns:gw.example.jp" in ends.peer.names
    assert ends.peer.issuers == (fingerprint(authorities_in(str(authority.certificate))[0]),)
    assert ends.client.selected_alpn_protocol() == "http/1.1"


def test_without_a_certificate_there_is_none_where_it_is_optional(authority: Authority, server: Credential) -> None:
    assert Handshake(listener_context(files(server, authority)), authority).peer is None
    off = TlsFiles(str(server.certificate), str(server.key))
    assert Handshake(listener_context(off), authority, authority.issue("gw", "gw")).peer is None


@pytest.mark.parametrize("asking", ["optional", "required"])
def test_a_certificate_that_does_not_hold_opens_nothing(
    authority: Authority, stranger: Authority, server: Credential, asking: Asking
) -> None:
    listener = listener_context(files(server, authority, asking))
    for wrong in (
        stranger.issue("gw", "stranger"),
        authority.issue("gw", "expired", ends_in=timedelta(minutes=-5)),
        authority.issue("gw", "for-servers", usages=[ExtendedKeyUsageOID.SERVER_AUTH]),
    ):
        with pytest.raises(ssl.SSLError):
            Handshake(listener, authority, wrong)


def test_an_odd_certificate_of_our_own_authority_opens_the_connection_and_names_nobody(
    authority: Authority, server: Credential
) -> None:
    many = authority.issue("gw", "many", names=[x509.DNSName(f"gw-{n}.example.jp") for n in range(100)])
    assert Handshake(listener_context(files(server, authority)), authority, many).peer is None


def test_required_means_that_nobody_comes_without_one(authority: Authority, server: Credential) -> None:
    with pytest.raises(ssl.SSLError):
        Handshake(listener_context(files(server, authority, "required")), authority)


def test_old_protocols_are_not_spoken(authority: Authority, server: Credential) -> None:
    listener = listener_context(files(server, authority))
    assert listener.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_session_is_not_taken_up_again(authority: Authority, server: Credential) -> None:
    """It would stand on the verification of the first connection."""
    listener = listener_context(files(server, authority))
    certificate = authority.issue("gw", "gw")
    first = Handshake(listener, authority, certificate, ssl.TLSVersion.TLSv1_3)
    assert first.client.session is None or not first.client.session.has_ticket
    assert not first.client.session_reused


def test_a_renewed_certificate_is_shown_from_the_second_connection_on(authority: Authority, server: Credential) -> None:
    listener = listener_context(files(server, authority))
    assert Handshake(listener, authority).shown == server.sha256
    renewed = authority.issue("server", "server", host="localhost")
    shown = [Handshake(listener, authority).shown for _ in range(3)]
    assert shown[1:] == [renewed.sha256] * 2


@pytest.mark.parametrize("change", ["half a certificate", "another key", "gone"])
def test_files_that_are_not_whole_leave_the_certificate_before_them(
    authority: Authority, server: Credential, change: str
) -> None:
    listener = listener_context(files(server, authority))
    match change:
        case "half a certificate":
            server.certificate.write_text(server.certificate.read_text()[:300])
        case "another key":
            other = authority.issue("other", "other")
            other.key.replace(server.key)
        case _:
            server.key.unlink()
    assert [Handshake(listener, authority).shown for _ in range(3)] == [server.sha256] * 3
    renewed = authority.issue("server", "server", host="localhost")
    assert [Handshake(listener, authority).shown for _ in range(3)][-1] == renewed.sha256


def test_settings_that_do_not_fit_are_refused_at_the_start(
    tmp_path: Path, authority: Authority, server: Credential
) -> None:
    other = authority.issue("other", "other")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    certificate, key, trust = str(server.certificate), str(server.key), str(authority.certificate)
    for wrong in (
        TlsFiles(certificate, str(other.key)),
        TlsFiles(str(text), key),
        TlsFiles(certificate, str(tmp_path / "gone.key")),
        TlsFiles(certificate, key, "", "optional"),
        TlsFiles(certificate, key, str(text), "required"),
        TlsFiles(certificate, key, str(tmp_path / "gone.pem"), "required"),
    ):
        with pytest.raises(SettingsError) as refused:
            listener_context(wrong)
        assert str(tmp_path) not in refused.value.message
    assert isinstance(listener_context(TlsFiles(certificate, key, trust)), ListenerContext)


def test_a_plain_connection_has_no_certificate() -> None:
    transport: Any = Transport()
    assert peer_certificate(transport) is None


# --- revocation lists


def with_lists(server: Credential, authority: Authority, place: Path) -> TlsFiles:
    return files(server, authority)._replace(client_crl=str(place))


def test_a_revoked_certificate_opens_nothing_and_a_newer_list_counts_without_a_restart(
    authority: Authority, server: Credential
) -> None:
    good, bad = authority.issue("gw-1", "gw-1"), authority.issue("gw-2", "gw-2")
    place = authority.revocation_list("crl.pem", bad)
    listener = listener_context(with_lists(server, authority, place))
    assert Handshake(listener, authority, good).peer is not None
    assert Handshake(listener, authority).peer is None, "who shows none is not held against a list"
    with pytest.raises(ssl.SSLError):
        Handshake(listener, authority, bad)
    authority.revocation_list("crl.pem", good, bad, made=datetime.now(UTC) - timedelta(minutes=1))
    with pytest.raises(ssl.SSLError):
        Handshake(listener, authority, good)


def test_a_list_that_has_ended_opens_nothing_and_neither_does_none(authority: Authority, server: Credential) -> None:
    good = authority.issue("gw-1", "gw-1")
    ended = authority.revocation_list("crl.pem", ends_in=timedelta(minutes=-1))
    with pytest.raises(ssl.SSLError):
        Handshake(listener_context(with_lists(server, authority, ended)), authority, good)


def test_a_certificate_in_the_file_of_the_lists_becomes_no_authority(
    authority: Authority, stranger: Authority, server: Credential
) -> None:
    """The attack: who may write the lists adds an authority whose clients are then let in."""
    place = authority.revocation_list("crl.pem")
    place.write_bytes(
        place.read_bytes() + stranger.certificate.read_bytes() + stranger.revocation_list("x").read_bytes()
    )
    listener = listener_context(with_lists(server, authority, place))
    assert Handshake(listener, authority, authority.issue("gw-1", "gw-1")).peer is not None
    with pytest.raises(ssl.SSLError):
        Handshake(listener, authority, stranger.issue("gw-1", "gw-1"))


def test_lists_that_cannot_be_used_do_not_start_and_later_leave_those_before(
    authority: Authority, server: Credential, tmp_path: Path
) -> None:
    good, bad = authority.issue("gw-1", "gw-1"), authority.issue("gw-2", "gw-2")
    place = authority.revocation_list("crl.pem", bad)
    with pytest.raises(SettingsError):
        listener_context(with_lists(server, authority, tmp_path / "gone.pem"))
    listener = listener_context(with_lists(server, authority, place))
    place.write_text("half a li")
    assert Handshake(listener, authority, good).peer is not None
    with pytest.raises(ssl.SSLError):
        Handshake(listener, authority, bad)
