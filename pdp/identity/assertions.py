"""Signed statements that are no access tokens: a cloud account that asks us something, in a JWT.

Form, key and signature are held against the same rules as a token's (`pdp.identity.jws`, `pdp.identity.keys`). What
the claims say is the wire format's to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.identity.jws import read_jws
from pdp.identity.token import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.identity.provider import IssuerKeys


class SignedAssertions:
    """Statements of one issuer. `iss` must be it and `aud` one of its audiences, where the claims have them.

    `any_audience`: whatever `aud` says, because no audience is configured.
    """

    def __init__(self, keys: IssuerKeys, *, any_audience: bool = False) -> None:
        self._keys = keys
        self._any_audience = any_audience

    async def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        """The claims of a statement that this issuer signed. Raises TokenRefusedError."""
        issuer = self._keys.issuer
        jws = read_jws(token)
        algorithm, kid = jws.header.get("alg"), jws.header.get("kid")
        if algorithm not in issuer.algorithms:
            raise TokenRefusedError("alg_refused")
        if not isinstance(kid, str) or not kid:
            raise TokenRefusedError("kid_invalid")
        self._keys.refresh()  # a key that was withdrawn must not count until somebody names an unknown one
        keys = await self._keys.with_key(kid, now)
        keys.find(kid).verify(algorithm, jws.signed, jws.signature)
        if jws.payload.get("iss", issuer.issuer) != issuer.issuer:
            raise TokenRefusedError("issuer_unknown", "iss")
        said = jws.payload.get("aud", list(issuer.audiences))
        if not self._any_audience and not _among(said, issuer.audiences):
            raise TokenRefusedError("audience_refused", "aud")
        return jws.payload


def _among(said: object, ours: tuple[str, ...]) -> bool:
    names = said if isinstance(said, list) else [said]
    return all(isinstance(name, str) for name in names) and any(name in ours for name in names)
