"""A bearer token as a gateway passes it on, and whose it claims to be. Nothing here believes it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final

from pdp.errors import BadRequestError
from pdp.model.request import UnverifiedToken
from pdp.strict_json import parse_json

MAX_TOKEN: Final = 16_384  # characters; an access token with many groups has about 4,000
MAX_SUBJECT: Final = 256  # characters

_SHOWN: Final = re.compile(r"(?i:(bearer|dpop)) +([A-Za-z0-9._~+/-]+=*)")  # RFC 6750 section 2.1, RFC 9449 section 7.1
_SCHEMES: Final = ("bearer", "dpop")
_COMPACT_JWS: Final = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")  # RFC 7515 section 7.1


def bearer_token(authorization: str | None) -> UnverifiedToken | None:
    """The token of an `Authorization` header, of the scheme `Bearer` or `DPoP`; None where there is no header or
    another scheme. It says whose it is: `names_subject`.

    Raises BadRequestError for such a credential that is malformed or too long.
    """
    if authorization is None or not authorization.lower().startswith(_SCHEMES):
        return None
    if len(authorization) > MAX_TOKEN:
        raise BadRequestError("the bearer token is too long")
    form = _SHOWN.fullmatch(authorization)
    if form is None:  # also two headers that a proxy joined with a comma
        raise BadRequestError("`authorization` is not one bearer token")
    return UnverifiedToken(form.group(2), "dpop" if form.group(1).lower() == "dpop" else "bearer", names_subject=True)


def claimed_subject(token: UnverifiedToken) -> str:
    """The `sub` that a JWT claims: the question, not the answer. Step 2 verifies the token against it.

    Raises BadRequestError where the token is no signed JWT, or its payload is not one JSON object with
    a text `sub`. A name that stands twice is refused: the verifier could read the other one.
    """
    form = _COMPACT_JWS.fullmatch(token.text)
    if form is None:
        raise BadRequestError("the bearer token is not a signed JWT, and no subject was given")
    payload = _payload(form.group(1))
    subject = payload.get("sub") if isinstance(payload, dict) else None
    if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise BadRequestError("the bearer token names no usable subject")
    return subject


def _payload(text: str) -> Any:
    try:
        return parse_json(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, BadRequestError):  # whose message could repeat a part of the token
        raise BadRequestError("the bearer token's payload is not strict JSON in base64url") from None
