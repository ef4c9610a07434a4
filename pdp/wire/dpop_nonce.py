"""How a client learns the nonce that its next DPoP proof must name (RFC 9449 sections 8, 8.2 and 9).

A deny whose proof names no nonce that counts says so, and brings one: 401 with `use_dpop_nonce`. An answer to a proof
that names an older one brings the newer. The nonce is no secret; whoever asks may have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.identity.nonces import named_nonce
from pdp.identity.token import TokenRefusedError
from pdp.model.decision import BAD_INPUT
from pdp.model.request import UnverifiedToken

if TYPE_CHECKING:
    from pdp.identity.nonces import Nonces
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest

HEADER: Final = "dpop-nonce"
CHALLENGE: Final = 'DPoP error="use_dpop_nonce", error_description="the proof must name the nonce of this answer"'


class NonceOffer(NamedTuple):
    """`needed`: the proof was refused, and named no nonce that counts. With `nonce` the request may get through."""

    nonce: str
    needed: bool

    def headers(self) -> tuple[tuple[str, str], ...]:
        challenge = (("www-authenticate", CHALLENGE),) if self.needed else ()
        return (*challenge, (HEADER, self.nonce))


def nonce_offer(nonces: Nonces | None, asked: AccessRequest, decision: Decision) -> NonceOffer | None:
    """What is to be said with this answer; None where no nonce is asked for, or the client holds the newest."""
    if nonces is None or asked.client_request is None or asked.client_request.dpop is None:
        return None
    if not isinstance(asked.identity, UnverifiedToken) or asked.identity.scheme != "dpop":
        return None
    try:
        named = named_nonce(asked.client_request.dpop)
    except TokenRefusedError:  # another nonce would not make a proof of it
        return None
    nonce = nonces.current(decision.at)
    if named == nonce:
        return None
    refused = not decision.permits and BAD_INPUT in decision.verdict.reasons
    return NonceOffer(nonce, needed=refused and named not in nonces.counting(decision.at))
