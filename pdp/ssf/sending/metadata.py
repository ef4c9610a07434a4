"""What everybody may know of the transmitter: its configuration (SSF 1.0 section 7) and its public keys.

Both are made from the settings and from nothing that a request says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from pdp.ssf.sending.streams import POLL, PUSH
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.identity.signing import SigningKeys

WELL_KNOWN: Final = "/.well-known/ssf-configuration"
JWKS: Final = "/ssf/jwks.json"
STREAM: Final = "/ssf/stream"
STATUS: Final = "/ssf/status"
ADD_SUBJECT: Final = "/ssf/subjects:add"
REMOVE_SUBJECT: Final = "/ssf/subjects:remove"
VERIFY: Final = "/ssf/verify"
_CONFIGURATION_S: Final = 3_600
_KEYS_S: Final = 600  # `pdp.identity.signing.MAX_AGE`: a new key is published for longer before it signs


def well_known_path(issuer: str) -> str:
    """The well-known string stands between the host and the issuer's path."""
    return WELL_KNOWN + urlsplit(issuer).path


class Metadata:
    """`base`: where this service is reached; mostly the issuer itself."""

    def __init__(self, issuer: str, base: str, keys: SigningKeys, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._clock = clock
        document = {
            "spec_version": "1_0",
            "issuer": issuer,
            "jwks_uri": base + JWKS,
            "delivery_methods_supported": [PUSH, POLL],
            "configuration_endpoint": base + STREAM,
            "status_endpoint": base + STATUS,
            "add_subject_endpoint": base + ADD_SUBJECT,
            "remove_subject_endpoint": base + REMOVE_SUBJECT,
            "verification_endpoint": base + VERIFY,
            # Who reads no `device` ends all sessions of the user: too many, and never too few.
            "critical_subject_members": ["user"],
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
            "default_subjects": "ALL",
        }
        self._body = msgspec.json.encode(document)

    def configuration(self) -> HttpAnswer:
        return HttpAnswer(200, (JSON, ("cache-control", f"public, max-age={_CONFIGURATION_S}")), self._body)

    def key_set(self) -> HttpAnswer:
        body = msgspec.json.encode({"keys": self._keys.published(self._clock())})
        return HttpAnswer(200, (JSON, ("cache-control", f"public, max-age={_KEYS_S}")), body)
