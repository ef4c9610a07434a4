"""Revocation lists (RFC 5280 section 5) of the authorities of client certificates: a file, or a folder of them.

- A list counts where its authority is ours and has signed it, and from its `thisUpdate` until its `nextUpdate`.
- INVARIANT (no list, no entry): a certificate of an authority without a list that counts now is refused, as is one of
  which only the fingerprint is known. The attack: whoever can keep a list from being renewed undoes what it revokes.
- An older list never replaces a newer one, and one that is taken away stays until it ends.
- A list with a critical extension (a delta, a part of a list, one of another authority's certificates) is not used:
  RFC 5280 section 5.2 forbids to use what is not understood.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.callers.certificate import fingerprint
from pdp.errors import SettingsError
from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate, CertificateRevocationList

    from pdp.callers.certificate import PeerCertificate

MAX_BYTES: Final = 16 * 1024 * 1024  # of one file: some 400,000 revoked certificates
MAX_FILES: Final = 64
SKEW: Final = timedelta(minutes=5)  # a list that was made just now, by a clock before ours
_SUFFIXES: Final = frozenset({".pem", ".crl"})
_BLOCK: Final = re.compile(rb"-----BEGIN X509 CRL-----[A-Za-z0-9+/=\s]+-----END X509 CRL-----")
_log = get_log("pdp.callers.crl")


class RevocationList(NamedTuple):
    """`revoked` are serial numbers."""

    this_update: datetime
    next_update: datetime
    revoked: frozenset[int]

    def counts_at(self, now: datetime) -> bool:
        return self.this_update <= now + SKEW and now < self.next_update


class RevocationLists:
    """The lists as one worker holds them. `look` before the first question; it blocks, so in a thread."""

    def __init__(
        self,
        place: str,
        authorities: Sequence[Certificate],
        told: Callable[[str, datetime | None], None] = lambda _authority, _ends: None,
    ) -> None:
        """`place`: a PEM file or a folder. `told` hears, for each authority by its name, when its list ends."""
        self._place = place
        self._authorities = {fingerprint(authority): authority for authority in authorities}
        self._told = told
        self._stamp: tuple[object, ...] | None = None
        self._lists: Mapping[str, RevocationList] = {}

    def look(self) -> None:
        """Read the lists again where something has changed. What cannot be read leaves those that are held."""
        stamp = stamp_of(self._place)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        found = dict(self._lists)
        try:
            for block in blocks_in(self._place):
                self._take(block, found)
        except SettingsError as fault:
            _log.warning("the revocation lists cannot be read; those that are held stay", reason=fault.message)
        self._lists = found
        for authority, certificate in self._authorities.items():
            held = found.get(authority)
            self._told(certificate.subject.rfc4514_string(), None if held is None else held.next_update)

    def refuses(self, certificate: PeerCertificate, now: datetime) -> bool:
        """Whether it is revoked, or nobody can know."""
        if certificate.serial is None:
            return True
        lists = self._lists
        known = [held for by in certificate.issuers if (held := lists.get(by)) is not None and held.counts_at(now)]
        return not known or any(int(certificate.serial, 16) in held.revoked for held in known)

    def ends(self) -> dict[str, tuple[datetime, datetime] | None]:
        """(made, ends) of the list of each authority, by its name; None: it has none."""
        held = {name: self._lists.get(name) for name in self._authorities}
        return {
            self._authorities[name].subject.rfc4514_string(): None if one is None else one[:2]
            for name, one in held.items()
        }

    def _take(self, block: bytes, found: dict[str, RevocationList]) -> None:
        from cryptography.x509 import load_pem_x509_crl

        crl = read = None
        with suppress(ValueError):
            crl = load_pem_x509_crl(block)
            read = _read(crl)
        if crl is None or read is None:
            _log.warning("a revocation list is not used: no whole list of one authority, or without an end")
            return
        signers = [name for name, authority in self._authorities.items() if _signed(authority, crl)]
        if not signers:
            _log.warning("a revocation list is not used: none of our authorities has signed it")
        for name in signers:
            held = found.get(name)
            if held is None or held.this_update < read.this_update:
                found[name] = read


def blocks_in(place: str) -> Iterator[bytes]:
    """Every list of the file or folder, in PEM: and nothing else that may stand there. Raises SettingsError."""
    for file in _files(place):
        try:
            with file.open("rb") as opened:
                text = opened.read(MAX_BYTES + 1)
        except OSError as fault:
            raise SettingsError(f"`tls_client_crl` cannot be read: {fault.strerror}") from None
        if len(text) > MAX_BYTES:
            raise SettingsError(f"`tls_client_crl` holds a file of more than {MAX_BYTES} bytes")
        found = _BLOCK.findall(text)
        if not found:
            raise SettingsError(f"`tls_client_crl`: `{file.name}` holds no revocation list in PEM")
        yield from found


def stamp_of(place: str) -> tuple[object, ...]:
    """What changes when a list is replaced, comes or goes; empty where they cannot be looked at."""
    try:
        found = [(file.name, file.stat()) for file in _files(place)]
    except (OSError, SettingsError):
        return ()
    return tuple((name, one.st_mtime_ns, one.st_ino, one.st_size) for name, one in found)


def _files(place: str) -> list[Path]:
    path = Path(place)
    try:
        if not path.is_dir():
            return [path]
        found = sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    except OSError as fault:
        raise SettingsError(f"`tls_client_crl` cannot be read: {fault.strerror}") from None
    if len(found) > MAX_FILES:
        raise SettingsError(f"`tls_client_crl` holds more than {MAX_FILES} files")
    return found


def _read(crl: CertificateRevocationList) -> RevocationList | None:
    """None for a list that cannot be used. Raises ValueError for one that cannot be read."""
    if crl.next_update_utc is None or any(extension.critical for extension in crl.extensions):
        return None
    revoked = set()
    for entry in crl:
        if any(extension.critical for extension in entry.extensions):
            return None
        revoked.add(entry.serial_number)
    return RevocationList(crl.last_update_utc, crl.next_update_utc, frozenset(revoked))


def _signed(authority: Certificate, crl: CertificateRevocationList) -> bool:
    try:
        return crl.issuer == authority.subject and crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a key that signs nothing
        return False
