"""Cloudflare Access, External Evaluation: an account of Cloudflare asks, once at each log-in, whether to let a user in.

`POST {PREFIX}/evaluate/{resource}` takes `{"token": JWT}`, signed by the Cloudflare account, and answers
`{"token": JWT}`, signed by us: `success`, and the `nonce` as it came. `GET {PREFIX}/keys` has our public keys. The
resource is the catalogue id in the Evaluate URL of each application's policy.

The caller is the account: its signature is the credential, so no API key is asked for. What it says of the person
(`identity`) is believed as far as the settings say; it is asked at log-in only, so a revocation must also end the
session at Cloudflare (docs/gateways.md).

INVARIANT (one door): `success` is true only from `Decision.permits`, in `_answer`. Whatever goes wrong is an
answer that Access takes for false: a signed `false` where the question was theirs, and an error where it was not.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

import msgspec
from msgspec import Meta

from pdp.callers.caller import Caller
from pdp.errors import BadRequestError, NotReadyError
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.identity.signing import MAX_AGE
from pdp.model.request import AccessRequest, AssertedClaims, Network
from pdp.strict_json import parse_json
from pdp.wire.error_answer import JSON, echo, error_answer, method_not_allowed, request_id_of
from pdp.wire.exchange import HttpAnswer, Refusal
from pdp.wire.traceparent import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.identity.signing import SigningKeys
    from pdp.model.cloudflare import CloudflareAccount
    from pdp.wire.exchange import Decider, HttpRequest

WIRE: Final = "cloudflare_access"
PREFIX: Final = "/cloudflare/access/v1"
EVALUATE: Final = f"{PREFIX}/evaluate/"
KEYS: Final = f"{PREFIX}/keys"
CALLER: Final = Caller("cloudflare-access", frozenset({"decide", "assert_identity", "assert_network"}))

LIFETIME: Final = timedelta(seconds=60)  # of our answer; Access checks it within seconds
LONGEST: Final = timedelta(minutes=5)  # of their question: nothing older or further ahead is one
MAX_BODY: Final = 32 * 1024
MAX_NONCES: Final = 50_000  # log-ins of 5 minutes, all at once: 7,500 people who come to work
ACTION: Final = "access"

_Text = Annotated[str, Meta(min_length=1, max_length=256)]
_Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")]


class _Body(msgspec.Struct, frozen=True):
    token: Annotated[str, Meta(min_length=1, max_length=MAX_BODY)]


class _Geo(msgspec.Struct, frozen=True):
    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}\Z")] | None = None


class _Provider(msgspec.Struct, frozen=True):
    id: str = ""
    type: str = ""


class _Identity(msgspec.Struct, frozen=True):
    """What is read of `identity`; everything else of it is ignored. Empty texts are as good as absent."""

    email: str = ""
    user_uuid: str = ""
    device_id: str = ""
    idp: _Provider = _Provider()
    ip: str = ""
    geo: _Geo = _Geo()
    iat: float | None = None
    is_warp: bool = False
    is_gateway: bool = False


class _Question(msgspec.Struct, frozen=True):
    nonce: _Text
    exp: float
    identity: _Identity
    iat: float | None = None


class AssertionReader(Protocol):
    async def claims(self, token: str, now: datetime) -> Mapping[str, Any]:
        """The claims of a token that the account signed. Raises BadRequestError for any other."""
        ...


class CloudflareAccess:
    """The handler of everything below `EVALUATE`."""

    def __init__(  # noqa: PLR0913, PLR0917  # the parts of one wire format
        self,
        decider: Decider,
        reader: AssertionReader,
        keys: SigningKeys,
        clock: Callable[[], datetime],
        account: CloudflareAccount,
        nonces: Nonces | None = None,
    ) -> None:
        self._decider = decider
        self._reader = reader
        self._keys = keys
        self._clock = clock
        self._account = account
        self._nonces = nonces or Nonces()

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Raises only what is a bug."""
        request_id = request_id_of(request)
        if request.method != "POST":
            return method_not_allowed("POST", request_id)
        now = self._clock()
        try:
            resource = msgspec.convert(request.path.removeprefix(EVALUATE), _Id)
            claims = await self._reader.claims(_token(request.body), now)
            question = msgspec.convert(claims, _Question)
            _check_times(question, now)
        except BadRequestError as fault:  # nobody whom we know has asked: no record, and no signature of ours
            return error_answer(fault, request_id=request_id)
        except msgspec.ValidationError as fault:
            return error_answer(BadRequestError(f"not a question of Access: {_what(fault)}"), request_id=request_id)
        try:
            return await self._answer(question, resource, request, request_id, now)
        except NotReadyError as fault:
            return error_answer(fault, request_id=request_id)

    async def _answer(
        self, question: _Question, resource: str, request: HttpRequest, request_id: str | None, now: datetime
    ) -> HttpAnswer:
        try:
            self._nonces.use(question.nonce, now)
            asked = self._asked(question.identity, resource, request, request_id)
        except BadRequestError as fault:
            refusal = Refusal(fault, WIRE, request_id, hashlib.sha256(request.body).hexdigest(), len(request.body))
            decision_id, success = await self._decider.refuse(refusal, CALLER), False
        else:
            decision = await self._decider.decide(asked, CALLER)
            decision_id, success = decision.id, decision.permits
        claims = {
            "success": success,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "nonce": question.nonce,
        }
        body = msgspec.json.encode({"token": self._keys.sign(claims, now)})
        return HttpAnswer(200, (JSON, *echo(request_id, decision_id)), body)

    def _asked(self, identity: _Identity, resource: str, request: HttpRequest, request_id: str | None) -> AccessRequest:
        account = self._account
        level = account.levels.get(identity.idp.id) or account.levels.get(identity.idp.type)
        return AccessRequest(
            subject_id=self._subject(identity),
            resource_id=resource,
            action=ACTION,
            identity=AssertedClaims(
                acr=None if not level else ACR_OF_LEVEL[level],
                auth_time=_instant(identity.iat),
            ),
            device_id=identity.device_id if account.device_claim and identity.device_id else None,
            network=Network(
                source_ip=_address(identity.ip),
                tunnel=identity.is_warp and identity.is_gateway,
                country=identity.geo.country,
            ),
            request_id=request_id,
            trace_id=trace_id_of(request.single("traceparent")),
            wire=WIRE,
        )

    def _subject(self, identity: _Identity) -> str:
        """The directory's id. Raises BadRequestError where the identity has none."""
        named = identity.user_uuid if self._account.user_claim == "user_uuid" else identity.email
        if not 0 < len(named) <= 256 or not named.isprintable():  # noqa: PLR2004  # as `_Text`
            raise BadRequestError(f"`identity` has no usable `{self._account.user_claim}`")
        local, at, domain = named.rpartition("@")
        return local if at and local and domain.lower() in self._account.email_domains else named


class CloudflareKeys:
    """`GET {KEYS}`, for everybody: the public keys of our answers."""

    def __init__(self, keys: SigningKeys, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._clock = clock

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        if request.method not in ("GET", "HEAD"):
            return method_not_allowed("GET", request_id_of(request))
        body = msgspec.json.encode({"keys": self._keys.published(self._clock())})
        return HttpAnswer(200, (JSON, ("cache-control", f"public, max-age={int(MAX_AGE.total_seconds())}")), body)


class Nonces:
    """Which nonces were used in this process, for as long as their question could be one.

    A second worker does not know them; what a replay gains there is one more answer to the same question, signed
    over a nonce that Access waits for no more.
    """

    def __init__(self, most: int = MAX_NONCES) -> None:
        self._most = most
        self._used: OrderedDict[bytes, datetime] = OrderedDict()

    def use(self, nonce: str, now: datetime) -> None:
        """Raises BadRequestError for one that was used, and NotReadyError where no more can be remembered."""
        while self._used and next(iter(self._used.values())) <= now:
            self._used.popitem(last=False)
        mark = hashlib.sha256(nonce.encode()).digest()
        if mark in self._used:
            raise BadRequestError("the nonce was used before")
        if len(self._used) >= self._most:
            raise NotReadyError("too many questions at once")
        self._used[mark] = now + 2 * LONGEST


def _token(body: bytes) -> str:
    try:
        return msgspec.convert(parse_json(body, max_bytes=MAX_BODY), _Body).token
    except msgspec.ValidationError as fault:
        raise BadRequestError(f"not a question of Access: {_what(fault)}") from None


def _check_times(question: _Question, now: datetime) -> None:
    """Raises BadRequestError for a question that has ended, or that is valid for longer than any is."""
    ends = _instant(question.exp)
    if ends is None or not now < ends <= now + LONGEST + LIFETIME:
        raise BadRequestError("`exp` has passed, or lies too far ahead")


def _instant(seconds: float | None) -> datetime | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _address(text: str) -> str | None:
    try:
        return None if "%" in text else str(ip_address(text))
    except ValueError:
        return None


def _what(fault: msgspec.ValidationError) -> str:
    text = str(fault)
    return text[:1].lower() + text[1:200]


def cloudflare_routes(access: CloudflareAccess, keys: CloudflareKeys) -> tuple[dict[str, Any], dict[str, Any]]:
    """(handlers by exact path, handlers by prefix)."""
    return {KEYS: keys}, {EVALUATE: access}
