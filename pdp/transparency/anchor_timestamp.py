"""Signed heads to a time-stamp authority (RFC 3161): what it signs proves that a head was there at that time.

`rfc3161+https://HOST/PATH` and, behind `?`, `every=SECONDS` (3600). The answer is held against the roots of the
settings, our digest and our nonce before it counts, and kept beside the ledger in `proof/NODE.timestamps`:

    {"checkpoint":"…","timestamp":"BASE64"}

so that the file can be read as an anchor's, and each stamp be held against the roots offline.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx

from pdp.errors import SettingsError
from pdp.transparency.anchor import AnchorError, anchor_line
from pdp.transparency.anchor_file import Appending

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from pdp.transparency.timestamps import Roots

SCHEMES: Final = ("rfc3161+https", "rfc3161+http")  # the second on loopback only
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_DEADLINE_S: Final = 10.0
_MAX_ANSWER: Final = 65_536  # a stamp with its chain is some 6 kB
_HOURLY: Final = 3_600.0
_MOST: Final = 86_400.0


class TimestampAnchor:
    def __init__(self, address: str, *, file: Path, roots: Roots, tls: ssl.SSLContext | None = None) -> None:
        """`file`: where stamps are kept; its directory is there when the first head is. Raises SettingsError."""
        self._url, self.every_s = _read(address)
        self._roots: Final = roots
        self._file: Final = Appending(file)
        self._client: Final = httpx.Client(
            timeout=_DEADLINE_S, trust_env=False, follow_redirects=False, verify=True if tls is None else tls
        )

    @property
    def name(self) -> str:
        return f"rfc3161:{urlsplit(self._url).netloc}"

    def publish(self, note: str) -> None:
        """Raises AnchorError, OSError."""
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        asked = TimestampRequestBuilder().data(note.encode()).hash_algorithm(HashAlgorithm.SHA512).build()
        answer = self._posted(asked.as_bytes())
        if self._roots.time_of(answer, note.encode(), nonce=asked.nonce) is None:
            raise AnchorError("bad_timestamp")
        self._file.append(anchor_line(note, timestamp=b64encode(answer).decode()))

    def close(self) -> None:
        self._client.close()

    def _posted(self, body: bytes) -> bytes:
        headers = {"content-type": "application/timestamp-query", "accept-encoding": "identity"}
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise AnchorError(f"http_{answer.status_code}")
                heard = bytearray()
                for chunk in answer.iter_raw():
                    heard += chunk
                    if len(heard) > _MAX_ANSWER:
                        raise AnchorError("too_large")
                return bytes(heard)
        except httpx.HTTPError:
            raise AnchorError("unreachable") from None


def _read(address: str) -> tuple[str, float]:
    parts = urlsplit(address)
    scheme = parts.scheme.removeprefix("rfc3161+")
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        every = float(given.pop("every", _HOURLY))
    except ValueError:
        every = -1.0
    if (
        not parts.hostname
        or parts.username is not None
        or given
        or not 0 <= every <= _MOST
        or (scheme == "http" and parts.hostname not in _LOOPBACK)
    ):
        raise SettingsError(
            f"the time-stamp authority `{parts.hostname or ''}` cannot be used",
            next_step="name it as `rfc3161+https://HOST/PATH`, with `?every=SECONDS` up to a day",
        )
    return urlunsplit((scheme, parts.netloc, parts.path or "/", "", "")), every
