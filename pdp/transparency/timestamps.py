"""Time stamps (RFC 3161) held against the roots that we trust, offline."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509

from pdp.declog.verify import Finding
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_MARK: Final = b'{"checkpoint":'


class Roots:
    """The certificates of time-stamp authorities that count, from a PEM file."""

    def __init__(self, file: str) -> None:
        """Raises SettingsError where the file cannot be used, or the library is not installed."""
        try:
            import rfc3161_client  # noqa: F401  # asked for at the start, and not at the first head
        except ImportError:
            raise SettingsError("time stamps cannot be checked", next_step="install `sekisho-pdp[timestamp]`") from None
        if not file:
            raise SettingsError("a time-stamp authority needs its roots", next_step="name them `log_anchor_tsa_file`")
        try:
            self._roots: Final = x509.load_pem_x509_certificates(Path(file).read_bytes())
        except (OSError, ValueError):
            raise SettingsError("`log_anchor_tsa_file` holds no certificates") from None

    def time_of(self, answer: bytes, data: bytes, *, nonce: int | None = None) -> datetime | None:
        """When an authority that counts signed for the data; None where none did. `nonce`: as it was asked."""
        from rfc3161_client import VerifierBuilder, decode_timestamp_response

        try:
            response = decode_timestamp_response(answer)
            # Made anew each time: a builder of this library keeps what it was given for the next.
            builder = VerifierBuilder(roots=list(self._roots), intermediates=_chain(response), nonce=nonce)
            builder.build().verify_message(response, data)
            when: datetime = response.tst_info.gen_time
        except Exception:  # noqa: BLE001  # what was altered can be read as anything, and every parser fails its own way
            return None
        return when


def _chain(response: object) -> list[x509.Certificate]:
    """What the answer carries besides: only the roots are trusted, and the chain is followed to one of them."""
    carried = (x509.load_der_x509_certificate(der) for der in response.signed_data.certificates)  # type: ignore[attr-defined]
    return [certificate for certificate in carried if _is_authority(certificate)]


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def stamp_findings(path: Path, roots: Roots) -> Iterator[Finding]:
    """Lines whose stamp does not hold. Their heads are held against the log as any anchor's. Raises OSError."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if raw.strip() and not _holds(raw, roots):
                yield Finding(path.name, "bad_timestamp", number)


def _holds(raw: bytes, roots: Roots) -> bool:
    try:
        line = json.loads(raw)
        note, answer = line["checkpoint"], b64decode(line["timestamp"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return raw.startswith(_MARK) and isinstance(note, str) and roots.time_of(answer, note.encode()) is not None
