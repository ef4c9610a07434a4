"""A client certificate as far as a caller is found by it: its fingerprint, its names, and who signed it.

Nothing here verifies a chain. The TLS listener has done it (`pdp.api.tls`), or a proxy that is trusted for it
(`pdp.callers.proxy`); what is added is which of our own authorities signed the certificate itself, because a name
is worth what the authority that gave it is worth.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import BadRequestError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.x509 import Certificate

MAX_DER: Final = 16_384  # bytes; a certificate with sixty names has about 4,000
MAX_NAMES: Final = 64  # a caller has one name or two; a certificate with more belongs to something else


class PeerCertificate(msgspec.Struct, frozen=True):
    """`sha256` is over the DER form, in lower-case hex. `names` are exact texts: `dns:gw.example.jp`, `uri:spiffe://…`,
    `email:…`, `ip:…`, `subject:CN=…` (RFC 4514). `issuers` are the fingerprints of our authorities that signed it.

    Without its times (None) only the fingerprint is known, and a proxy has judged the rest. `serial` is in hexadecimal.
    """

    sha256: str
    not_before: datetime | None = None
    not_after: datetime | None = None
    names: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    serial: str | None = None

    def holds_at(self, now: datetime) -> bool:
        """Whether `now` lies in its validity: a connection may live longer than the certificate that opened it."""
        return (self.not_before is None or self.not_before <= now) and (self.not_after is None or now <= self.not_after)


def read_certificate(der: bytes, authorities: Sequence[Certificate]) -> PeerCertificate:
    """What is in a DER certificate. `authorities` are those whose names count.

    Raises BadRequestError where it is none, has no end to its names, or is not for clients (RFC 5280 section 4.2.1.12).
    """
    from cryptography.x509 import (  # only where there are certificates at all
        DuplicateExtension,
        InvalidVersion,
        UnsupportedGeneralNameType,
        load_der_x509_certificate,
    )

    if len(der) > MAX_DER:
        raise BadRequestError("the client certificate is too large")
    try:
        certificate = load_der_x509_certificate(der)
        if not _for_clients(certificate):
            raise BadRequestError("the client certificate is not for clients")
        names = tuple(dict.fromkeys(_names(certificate)))
        if len(names) > MAX_NAMES:
            raise BadRequestError("the client certificate has too many names")
        return PeerCertificate(
            sha256=sha256(der).hexdigest(),
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            names=names,
            issuers=tuple(fingerprint(authority) for authority in authorities if _signed(authority, certificate)),
            serial=f"{certificate.serial_number:x}",
        )
    except (ValueError, DuplicateExtension, InvalidVersion, UnsupportedGeneralNameType):
        raise BadRequestError("the client certificate cannot be read") from None


def read_authorities(pem: bytes) -> tuple[Certificate, ...]:
    """Every certificate of a PEM file. Raises BadRequestError where there is none."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return tuple(load_pem_x509_certificates(pem))
    except ValueError:
        raise BadRequestError("the file holds no PEM certificate") from None


def authorities_in(file: str) -> tuple[Certificate, ...]:
    """The certificates of the PEM file in `tls_client_ca_file`; none without a file. Raises SettingsError."""
    if not file:
        return ()
    try:
        return read_authorities(Path(file).read_bytes())
    except OSError as fault:
        raise SettingsError(f"`tls_client_ca_file` cannot be read: {fault.strerror}") from None
    except BadRequestError:
        raise SettingsError("`tls_client_ca_file` holds no PEM certificate") from None


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 over the DER form, in lower-case hex."""
    from cryptography.hazmat.primitives.hashes import SHA256

    return certificate.fingerprint(SHA256()).hex()


def _for_clients(certificate: Certificate) -> bool:
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        usages = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except ExtensionNotFound:
        return True
    return ExtendedKeyUsageOID.CLIENT_AUTH in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def _names(certificate: Certificate) -> Iterator[str]:
    """A wildcard names nobody, and a name that cannot be printed was made to look like another one: left out."""
    from cryptography import x509

    try:
        alternatives = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        alternatives = []
    known = [f"subject:{certificate.subject.rfc4514_string()}"]
    for name in alternatives:
        match name:
            case x509.DNSName():
                known.append(f"dns:{name.value.lower()}")  # RFC 4343: the case of a DNS name means nothing
            case x509.UniformResourceIdentifier():
                known.append(f"uri:{name.value}")
            case x509.RFC822Name():
                known.append(f"email:{name.value}")
            case x509.IPAddress():
                known.append(f"ip:{name.value}")
            case _:
                pass  # directory names and other names: nothing is bound to them
    for text in known:
        wild = text.startswith("dns:") and "*" in text
        if text.isprintable() and not wild and text != "subject:":
            yield text


def _signed(authority: Certificate, certificate: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
