"""What came with one request that could say who calls. Nothing of it is believed yet."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from pdp.callers.certificate import PeerCertificate

# The headers in which a proxy that ends TLS may pass its client's certificate on, each in its own form.
CERTIFICATE_HEADERS: Final = ("client-cert", "x-forwarded-client-cert", "ssl-client-cert")
VERIFY_HEADER: Final = "ssl-client-verify"  # beside `ssl-client-cert`: whether the proxy verified it


class ShownKey(NamedTuple):
    """An API key as it is looked up: which it is said to be, and the digest of its secret."""

    key_id: str
    secret_sha256: bytes


class Credentials(msgspec.Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """`key` is an API key, `token` an access token: each as it came. `certificate` is that of the TLS peer.

    `forwarded` are the headers of `CERTIFICATE_HEADERS` and `VERIFY_HEADER` that stand in the request, each once.
    `peer` is the address of the TCP peer; None: not known, as over a Unix socket. `shown`: what `key` says, where
    somebody has worked that out; it is believed no more than the key.
    """

    key: str | None = None
    token: str | None = None
    certificate: PeerCertificate | None = None
    forwarded: tuple[tuple[str, str], ...] = ()
    peer: str | None = None
    shown: ShownKey | None = None

    def __repr__(self) -> str:
        return f"Credentials(peer={self.peer!r})"  # the rest are secrets
