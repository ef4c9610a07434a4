"""A proxy that ends TLS in front of us, and passes its client's certificate on in a header.

- The header counts from a proxy that is named: by its address, or by the fingerprint of its own certificate. From
  anybody else it is refused, not ignored: it is an attack, or a proxy that is missing in the settings, and both
  are to be seen. Where no header is set, none is read.
- The proxy's own certificate is never a caller's: a request that it passes on without a client's certificate would
  otherwise have the proxy's rights.
- Each header has one form, and exactly one certificate in it:
  `client-cert` (RFC 9440) `:BASE64 OF THE DER:`; `ssl-client-cert` (nginx, `$ssl_client_escaped_cert`) URL-encoded
  PEM, beside `ssl-client-verify: SUCCESS`; `x-forwarded-client-cert` (Envoy) one element with `Hash`, and `Cert`
  where names are to count.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections import OrderedDict
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote_to_bytes

from pdp.callers.bounds import within
from pdp.callers.certificate import PeerCertificate, read_certificate
from pdp.callers.credentials import VERIFY_HEADER
from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.x509 import Certificate

    from pdp.callers.bounds import Network
    from pdp.callers.credentials import Credentials

CertificateHeader = Literal["client-cert", "x-forwarded-client-cert", "ssl-client-cert"]

MAX_VALUE: Final = 32_768  # characters; a PEM of 16 KB grows by a third
_REMEMBERED: Final = 256  # certificates; as many gateways behind one proxy
_BINARY: Final = re.compile(r":([A-Za-z0-9+/]+={0,2}):", re.ASCII)  # RFC 8941 section 3.3.5
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*")
_PAIR: Final = re.compile(r'([A-Za-z]{1,16})=("(?:[^"\\]|\\.)*"|[^";,\\]*)(;(?!\Z)|\Z)')
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ESCAPED: Final = re.compile(r"[!-~]+", re.ASCII)


class ProxyRefusedError(Exception):
    """The header is not from the proxy, or is not one certificate. What it was goes to no answer."""


class TrustedProxy:
    """`places` are networks (`10.0.0.5`, `10.0.1.0/28`) and fingerprints (`sha256:HEX`) of proxies' certificates."""

    def __init__(self, header: CertificateHeader, places: Sequence[str], authorities: Sequence[Certificate]) -> None:
        """`authorities` are those whose names count. Raises BadRequestError for a place that is neither."""
        self._header: CertificateHeader = header
        self._authorities = authorities
        self._networks = (tuple(_network(place) for place in places if not place.startswith("sha256:")),)
        self._certificates = frozenset(_fingerprint(place) for place in places if place.startswith("sha256:"))
        self._known: OrderedDict[str, PeerCertificate] = OrderedDict()

    def certificate(self, presented: Credentials) -> PeerCertificate | None:
        """The certificate of whoever asks: the peer's own, or what a proxy passed on. Raises ProxyRefusedError."""
        value = verified = None
        for name, text in presented.forwarded:
            if name == self._header:
                value = text
            elif name == VERIFY_HEADER:
                verified = text
        if not self._is_proxy(presented):
            if value is not None:
                raise ProxyRefusedError("a client certificate in a header from one who is no proxy of ours")
            return presented.certificate
        if value is None or (self._header == "ssl-client-cert" and not value):  # nginx sends the header empty
            return None
        if self._header == "ssl-client-cert" and verified != "SUCCESS":  # with `optional_no_ca` anybody's stands there
            raise ProxyRefusedError("the proxy did not verify the certificate")
        return self._read(value)

    def _is_proxy(self, presented: Credentials) -> bool:
        own = presented.certificate
        if own is not None and own.sha256 in self._certificates:
            return True
        return bool(self._networks[0]) and within(presented.peer, self._networks)

    def _read(self, value: str) -> PeerCertificate:
        known = self._known.get(value)
        if known is None:
            if len(value) > MAX_VALUE:
                raise ProxyRefusedError("the header is too long")
            try:
                known = _FORMS[self._header](value, self._authorities)
            except (BadRequestError, ValueError):
                raise ProxyRefusedError(f"`{self._header}` is not one certificate in its form") from None
            self._known[value] = known
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known


def _structured(value: str, authorities: Sequence[Certificate]) -> PeerCertificate:
    form = _BINARY.fullmatch(value)
    if form is None:
        raise ValueError
    return read_certificate(base64.b64decode(form[1], validate=True), authorities)


def _escaped(value: str, authorities: Sequence[Certificate]) -> PeerCertificate:
    if _ESCAPED.fullmatch(value) is None:
        raise ValueError
    return read_certificate(_der(unquote_to_bytes(value)), authorities)


def _element(value: str, authorities: Sequence[Certificate]) -> PeerCertificate:
    """One element: with `SANITIZE_SET` the proxy's own word, while in a list the first may be the client's."""
    found: dict[str, str] = {}
    at = 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None:
            raise ValueError
        name = pair[1].lower()
        if name in ("hash", "cert"):  # others are read to their end: a quoted subject may hold `Hash=`
            if name in found:
                raise ValueError
            found[name] = pair[2].removeprefix('"').removesuffix('"')
        at = pair.end()
    digest = found.get("hash", "")
    if _SHA256.fullmatch(digest) is None:
        raise ValueError
    if "cert" not in found:
        return PeerCertificate(digest)
    certificate = _escaped(found["cert"], authorities)
    if certificate.sha256 != digest:
        raise ValueError
    return certificate


_FORMS: Final[dict[CertificateHeader, Callable[[str, Sequence[Certificate]], PeerCertificate]]] = {
    "client-cert": _structured,
    "ssl-client-cert": _escaped,
    "x-forwarded-client-cert": _element,
}


def _der(pem: bytes) -> bytes:
    if _PEM.fullmatch(pem) is None:  # one certificate, and nothing before or behind it
        raise ValueError
    return ssl.PEM_cert_to_DER_cert(pem.decode("ascii").strip())


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise BadRequestError(f"`{text[:80]}` is neither a network nor `sha256:` and a fingerprint") from None


def _fingerprint(place: str) -> str:
    plain = place.removeprefix("sha256:").replace(":", "").lower()
    if _SHA256.fullmatch(plain) is None:
        raise BadRequestError(f"`{place[:80]}` is not `sha256:` and a fingerprint in hexadecimal")
    return plain
