"""One token, checked. Read this first: the numbers are those of standards 7.3, and stand beside the code.

1. Size and form: three segments of canonical base64url.
2. Header: strict JSON, nothing that we do not understand, an algorithm that this issuer may use.
3. Type: that of an access token (RFC 9068 section 4), so that an ID token does not pass for one.
4. Key: the one key of this issuer with this `kid`, and fit for this algorithm.
5. Signature: python-jose, with one key and one algorithm.
6. Claims: required ones present, all of the right type, for us, in time.
7. Possession (`pdp.identity.possession`) and 8. revocation (`pdp.identity.revocations`) are judged for every use.

The issuer is picked by the `iss` that the payload claims, before the signature is verified: it only picks whose
rules and keys the token must hold against, and step 6 compares it once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.identity.claims import check_claims, check_kind
from pdp.identity.token import TokenRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.identity.jws import UnverifiedJws
    from pdp.identity.keys import KeySet
    from pdp.identity.token import VerifiedToken
    from pdp.model.issuer import Issuer

_ACCESS_TOKEN: Final = ("at+jwt", "application/at+jwt")  # RFC 9068 section 2.1; media types know no case
_ANY_TOKEN: Final = ("jwt", "application/jwt")


def named_issuer(jws: UnverifiedJws, issuers: Mapping[str, Issuer]) -> Issuer:
    """The issuer that the token names, character for character. Raises TokenRefusedError."""
    name = jws.payload.get("iss")
    issuer = issuers.get(name) if isinstance(name, str) else None
    if issuer is None:
        raise TokenRefusedError("issuer_unknown", "iss")
    return issuer


def check_header(jws: UnverifiedJws, issuer: Issuer) -> str:
    """Steps 2 and 3; the `kid`. Costs nothing, and stands before anything that does. Raises TokenRefusedError."""
    if jws.header.get("alg") not in issuer.algorithms:
        raise TokenRefusedError("alg_refused")
    kind = jws.header.get("typ")
    kind = kind.lower() if isinstance(kind, str) else None
    if kind not in _ACCESS_TOKEN:
        if issuer.typ != "jwt" or kind not in _ANY_TOKEN:
            raise TokenRefusedError("typ_refused")
        check_kind(jws.payload, issuer)
    kid = jws.header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise TokenRefusedError("kid_invalid")
    return kid


def check_token(jws: UnverifiedJws, issuer: Issuer, keys: KeySet, now: datetime) -> VerifiedToken:
    """Steps 2 to 6. Raises TokenRefusedError."""
    kid = check_header(jws, issuer)
    keys.find(kid).verify(jws.header["alg"], jws.signed, jws.signature)
    return check_claims(jws.payload, issuer, now)
