"""A certificate authority of one test run: a server for the gateway, terminals for its clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Credential:
    """Two PEM files, and SHA-256 over the DER certificate in lower-case hex."""

    certificate: Path
    key: Path
    sha256: str


class Authority:
    """Writes into `folder`; `ca.pem` is the certificate to trust."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test authority")
        self.certificate = folder / "ca.pem"
        ca = x509.BasicConstraints(ca=True, path_length=0)
        signed = self._builder(self._name, self._key).add_extension(ca, critical=True).sign(self._key, hashes.SHA256())
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        common_name: str,
        file: str,
        *,
        host: str | None = None,
        names: Sequence[x509.GeneralName] = (),
        usages: Sequence[x509.ObjectIdentifier] = (),
        ends_in: timedelta = timedelta(days=2),
    ) -> Credential:
        """Without `usages` it is for everything."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(common_name), key, ends_in)
        known = [*([] if host is None else [x509.DNSName(host)]), *names]
        if known:
            builder = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        issued = Credential(
            self._folder / f"{file}.pem", self._folder / f"{file}.key", signed.fingerprint(hashes.SHA256()).hex()
        )
        issued.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        issued.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return issued

    def revocation_list(
        self,
        file: str,
        *revoked: Credential,
        made: datetime | None = None,
        ends_in: timedelta = timedelta(days=1),
        more: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Path:
        """A list in PEM below the folder; it was made an hour ago, and ends `ends_in` from now."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(made or now - timedelta(hours=1))
            .next_update(now + ends_in)
        )
        for credential in revoked:
            serial = x509.load_pem_x509_certificate(credential.certificate.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(hours=2))
            builder = builder.add_revoked_certificate(entry.build())
        for extension, critical in more:
            builder = builder.add_extension(extension, critical=critical)
        path = self._folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        aside.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        aside.replace(path)
        return path

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, ends_in: timedelta = timedelta(days=2)
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + ends_in)
        )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
