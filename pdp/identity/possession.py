"""Step 7: whoever shows a bound token must prove that it is theirs (RFC 9449 DPoP, RFC 8705 client certificate).

INVARIANT (bound is bound): a token with `cnf` counts only with every proof that `cnf` asks for. A token that leaked
from a log or a proxy is worth nothing to whoever finds it.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Protocol

from pdp.identity.dpop import check_proof
from pdp.identity.token import TokenRefusedError

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.identity.dpop import Proof
    from pdp.identity.nonces import Nonces
    from pdp.identity.token import Confirmation, Presented


class Replays(Protocol):
    """Which proofs have been used."""

    async def first_use(self, proof: Proof, use: str, now: datetime) -> bool:
        """Whether this is the first use, or the same one again under its name. From then on it has been used."""
        ...


def check_scheme(cnf: Confirmation | None, presented: Presented) -> None:
    """RFC 9449 section 7.1: DPoP is for tokens bound to a key, and such tokens for nothing else.

    RFC 8705 has no scheme of its own: a token that is bound to a certificate is a bearer token that comes with it.
    Raises TokenRefusedError.
    """
    bound = cnf is not None and cnf.jkt is not None
    if bound and presented.scheme == "bearer" and presented.dpop is None:
        raise TokenRefusedError("proof_required")
    if bound != (presented.scheme == "dpop"):
        raise TokenRefusedError("scheme_refused")


async def check_possession(  # noqa: PLR0913  # what was shown, and what it is held against
    text: str,
    cnf: Confirmation | None,
    presented: Presented,
    replays: Replays,
    now: datetime,
    *,
    nonces: Nonces | None = None,
) -> None:
    """Every proof that `cnf` of this token asks for; with `nonces`, a DPoP proof must name one. TokenRefusedError."""
    check_scheme(cnf, presented)
    if cnf is None:
        return
    if cnf.certificate_sha256 is not None:
        if presented.certificate_sha256 is None:
            raise TokenRefusedError("proof_required")
        if not compare_digest(presented.certificate_sha256.encode(), cnf.certificate_sha256.encode()):
            raise TokenRefusedError("certificate_mismatch")
    if cnf.jkt is not None:
        proof = check_proof(presented, now, token=text, nonces=None if nonces is None else nonces.counting(now))
        if not compare_digest(proof.jkt.encode(), cnf.jkt.encode()):
            raise TokenRefusedError("proof_invalid")
        if not await replays.first_use(proof, presented.use, now):
            raise TokenRefusedError("proof_replayed")
