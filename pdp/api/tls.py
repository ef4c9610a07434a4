"""TLS of the listener, and the client certificate of a connection.

- TLS 1.2 at least, the library's own ciphers, and no resumption where clients show certificates: a session that is
  taken up again would stand on a verification of yesterday.
- A client certificate is verified by the TLS library against our authorities: chain, times, and that it is for
  clients. `optional` lets in who shows none, and never who shows a bad one.
- A renewed server certificate is taken up without a restart, with the second connection after it lies there whole.
  New authorities need a restart.
- With `client_crl` a client's certificate is held against its authority's revocation list, too, and a list that has
  ended lets nobody in (`pdp.callers.crl`, which judges each request besides). A newer list needs no restart.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pdp.callers.certificate import PeerCertificate, authorities_in, read_certificate
from pdp.callers.crl import blocks_in, stamp_of
from pdp.errors import BadRequestError, SettingsError

if TYPE_CHECKING:
    import asyncio

    from cryptography.x509 import Certificate

_log: Final = logging.getLogger("pdp.api")
_PROTOCOLS: Final = ["http/1.1"]  # ALPN: what we speak, and nothing else

Asking = Literal["off", "optional", "required"]


class TlsFiles(NamedTuple):
    """PEM files. `client_ca` holds the authorities whose clients are let in; `asking` for a client's certificate.

    `client_crl` is a file or a folder with those authorities' revocation lists; empty: none is looked at.
    """

    certificate: str
    key: str
    client_ca: str = ""
    asking: Asking = "off"
    client_crl: str = ""


class ListenerContext(ssl.SSLContext):
    """The context of our listener, with the authorities whose names in a client's certificate count."""

    authorities: tuple[Certificate, ...] = ()
    _files: TlsFiles
    _stamp: tuple[int, ...] = ()
    _lists: tuple[object, ...] = ()

    def use(self, files: TlsFiles) -> None:
        self._files = files
        self._stamp = _stamp(files)
        self.load_cert_chain(files.certificate, files.key or None)

    def use_lists(self, place: str) -> None:
        """Raises SettingsError, OSError and ssl.SSLError for what cannot be used; the lists before then stay.

        The attack: a certificate in the file of the lists, which the library would take for one more authority. So what
        it is given are the lists alone.
        """
        stamp = stamp_of(place)
        with NamedTemporaryFile(suffix=".pem") as file:
            file.write(b"\n".join(blocks_in(place)))
            file.flush()
            self.load_verify_locations(file.name)
        self.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        self._lists = stamp

    def look_again(self) -> None:
        """Take up what was renewed. A certificate that is not whole yet is tried at the next connection."""
        self._look_at_lists()
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return
        try:
            _plain(self._files)  # apart from the one in use, which a half of a pair would break
            self.use(self._files)
        except (OSError, ssl.SSLError):
            _log.warning("the renewed TLS certificate cannot be used; the one before it stays")
            self._stamp = stamp

    def _look_at_lists(self) -> None:
        place = self._files.client_crl
        if not place or self._files.asking == "off" or (stamp := stamp_of(place)) == self._lists:
            return
        try:
            self.use_lists(place)
        except (OSError, ssl.SSLError, SettingsError):
            _log.warning("the revocation lists of clients cannot be used; those before them stay")
            self._lists = stamp


def listener_context(files: TlsFiles) -> ListenerContext:
    """Raises SettingsError for files that cannot be used, or that do not belong together."""
    if files.asking != "off" and not files.client_ca:
        raise SettingsError("`tls_client_certificate` needs `tls_client_ca_file`: whose certificates would count?")
    context = ListenerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        context.use(files)
        if files.asking != "off":
            context.load_verify_locations(files.client_ca)
            if files.client_crl:
                context.use_lists(files.client_crl)
    except (OSError, ssl.SSLError) as fault:
        reason = fault.strerror or "not PEM, or not a pair"
        raise SettingsError(f"a TLS file cannot be used: {reason}") from None
    if files.asking != "off":
        context.authorities = authorities_in(files.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if files.asking == "required" else ssl.CERT_OPTIONAL
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
    context.sni_callback = _before_handshake
    return context


def peer_certificate(transport: asyncio.BaseTransport) -> PeerCertificate | None:
    """What the peer of this connection showed and TLS verified; None without TLS, without one, or for an odd one."""
    connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    context = transport.get_extra_info("sslcontext")
    if connection is None or context is None or context.verify_mode == ssl.CERT_NONE:
        return None
    der = connection.getpeercert(binary_form=True)
    if not der:
        return None
    try:
        return read_certificate(der, getattr(context, "authorities", ()))
    except BadRequestError:  # it opened the connection, and names no caller
        return None


def _before_handshake(_: ssl.SSLObject, __: str | None, context: ssl.SSLContext) -> None:
    if isinstance(context, ListenerContext):
        context.look_again()


def _plain(files: TlsFiles) -> None:
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key or None)


def _stamp(files: TlsFiles) -> tuple[int, ...]:
    """What changes when a file is replaced; nothing where one is gone just now."""
    try:
        found = [Path(file).stat() for file in (files.certificate, files.key) if file]
    except OSError:
        return ()
    return tuple(number for one in found for number in (one.st_mtime_ns, one.st_ino, one.st_size))
