"""What a request carries of its caller: a key, an access token, the certificate of its connection.

For enforcement points that ask in their own name (AuthZEN and alike), the request's headers are the caller's:
`read_credentials`. For gateways that pass on what a client sent, they are the client's, all but the gateway's own
`x-pdp-key`: `read_gateway_credentials`. A certificate in a header is read for the former only, because a gateway
that copies its client's headers (nginx `auth_request` copies all) would hand over whatever the client wrote.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from pdp.callers.acting import acting
from pdp.callers.credentials import CERTIFICATE_HEADERS, VERIFY_HEADER, Credentials
from pdp.errors import BadRequestError
from pdp.wire.bearer import MAX_TOKEN
from pdp.wire.gateway_facts import KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from pdp.callers.caller import Caller, Callers
    from pdp.wire.exchange import HttpRequest

FORWARDED: Final = (*CERTIFICATE_HEADERS, VERIFY_HEADER)
_FORWARDED: Final = frozenset(FORWARDED)
# What must stand at most once where `read_credentials` is used.
CREDENTIAL_HEADERS: Final = frozenset({"authorization", "x-api-key", *FORWARDED})

_KEY_PREFIX: Final = "sekisho_"
_JWT_DOTS: Final = 2  # RFC 7515 section 7.1: header, payload, signature
_BASIC: Final = re.compile(r"([0-9a-f]{16}):([0-9a-f]{64})", re.ASCII)  # key id and secret: RFC 6749 section 2.3.1
_MAX_BASIC: Final = 128  # characters of base64; a key id and its secret have 108
_REPEATED: Final = "`authorization` and `x-api-key` carry two different credentials; send one"


def read_credentials(headers: Mapping[str, str], request: HttpRequest) -> Credentials:
    """The credentials of a caller that asks in its own name. `headers` holds those of `CREDENTIAL_HEADERS`, each once.

    A key: `Authorization: Bearer KEY`, `Authorization: KEY` (as the interop harness sends it), `Authorization: Basic`
    with key id and secret, or `X-API-Key: KEY`. An access token: `Authorization: Bearer TOKEN`. Raises BadRequestError
    where two headers carry two different ones.
    """
    return on_connection(carried(headers), request)


def carried(headers: Mapping[str, str]) -> Credentials:
    """As `read_credentials`: what the headers carry by themselves, on whatever connection."""
    authorization, api_key = headers.get("authorization"), headers.get("x-api-key")
    credential = api_key or None
    if authorization is not None:
        credential = _credential(authorization)
        if api_key is not None and api_key != credential:
            raise BadRequestError(_REPEATED)
    forwarded: tuple[tuple[str, str], ...] = ()
    if not _FORWARDED.isdisjoint(headers):
        forwarded = tuple([(name, headers[name]) for name in FORWARDED if name in headers])
    return _sorted(credential, forwarded)


def on_connection(carried: Credentials, request: HttpRequest) -> Credentials:
    """The credentials of the headers, together with those of the connection that they came on."""
    return Credentials(
        carried.key, carried.token, request.peer_certificate, carried.forwarded, request.peer, carried.shown
    )


def introducing(callers: Callers) -> Callable[[HttpRequest], Awaitable[Caller]]:
    """Who calls, for everything that is asked in the caller's own name and has no `Reception` of its own.

    What is returned raises as `Callers.introduce`, and BadRequestError where a header that carries a credential
    stands twice.
    """

    async def introduce(request: HttpRequest) -> Caller:
        person = acting()
        if person is not None:  # the console asks, in this process: there is no credential to be read
            return person
        headers: dict[str, str] = {}
        for name, value in request.headers:
            if name not in CREDENTIAL_HEADERS:
                continue
            if name in headers:  # two parties could read two values
                raise BadRequestError(f"the header `{name}` stands more than once")
            headers[name] = value
        return await callers.introduce(read_credentials(headers, request))

    return introduce


def read_gateway_credentials(request: HttpRequest) -> Credentials:
    """The credentials of a gateway that passes a client's request on: `x-pdp-key`, its own connection's certificate.

    A header that stands twice is no credential: one of the two is the client's.
    """
    keys = [value for name, value in request.headers if name == KEY]
    return on_connection(_sorted(keys[0] or None if len(keys) == 1 else None, ()), request)


def _sorted(credential: str | None, forwarded: tuple[tuple[str, str], ...]) -> Credentials:
    if credential is not None and credential.count(".") == _JWT_DOTS and not credential.startswith(_KEY_PREFIX):
        if len(credential) <= MAX_TOKEN:
            return Credentials(None, credential, forwarded=forwarded)
        credential = ""  # a key that nobody has: too long to be looked at
    return Credentials(credential, forwarded=forwarded)


def _credential(authorization: str) -> str | None:
    """None where there is none, or of a scheme that is not read here: then there is no caller."""
    scheme, _, credential = authorization.partition(" ")
    if not credential:
        return scheme or None
    match scheme.lower():
        case "bearer":
            return credential.strip(" ") or None
        case "basic":
            return _basic(credential.strip(" "))
    return None


def _basic(encoded: str) -> str | None:
    if len(encoded) > _MAX_BASIC:
        return None
    try:
        plain = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if base64.b64encode(plain) != encoded.encode("ascii"):  # padding that is too long is read by some, not by others
        return None
    pair = _BASIC.fullmatch(plain.decode("latin-1"))
    return None if pair is None else f"{_KEY_PREFIX}{pair[1]}_{pair[2]}"
