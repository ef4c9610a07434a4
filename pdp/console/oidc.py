"""Login through the identity provider: OpenID Connect, authorization code with PKCE.

What is checked when a browser comes back, in this order:

1. `state` is that of the login that this browser began (RFC 6749 section 10.12), and the login is not too old.
2. `iss`, where the provider says that it sends it, is the provider (RFC 9207: no mix-up of providers).
3. The code is exchanged with the verifier whose S256 challenge was sent (RFC 7636).
4. The ID token (OpenID Connect Core section 3.1.3.7): signature, algorithm, `iss`, `aud`, `azp`, `exp`, `iat`, `nonce`;
   `auth_time` and `acr` where the settings ask for them. Nothing else of the answer is believed or kept.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.discovery import get_well_known_url

from pdp.console.bounded import MOST, BoundedTransport
from pdp.console.person import MAX_ID, Person, roles_of
from pdp.console.sealing import UNDER_WAY, LoginUnderWay
from pdp.errors import BadRequestError, NotPermittedError, NotReadyError
from pdp.identity.assertions import SignedAssertions
from pdp.identity.fetching import FetchError, GuardedFetch
from pdp.identity.keys import MAX_JWKS
from pdp.identity.provider import IssuerKeys, loader
from pdp.identity.token import TokenRefusedError
from pdp.model.issuer import Issuer, check_url
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pdp.model.console import ConsoleSettings

DEADLINE_S: Final = 8.0  # of the exchange; a person waits
DISCOVERED_FOR: Final = timedelta(minutes=10)
SKEW: Final = timedelta(seconds=60)
LONGEST: Final = timedelta(hours=1)  # between `iat` and now: an ID token is minutes old
_SECRET: Final = 48  # characters of state, nonce and verifier; RFC 7636 asks for 43
_MAX_TOKEN: Final = 16_000
_AGAIN: Final = "begin the login again"


@dataclass(frozen=True, slots=True)
class LoggedIn:
    person: Person
    session: str | None
    id_token: str


class Provider:
    """The identity provider of the console, in one worker. `redirect` is our own end of the way."""

    def __init__(self, settings: ConsoleSettings, *, secret: str, redirect: str, clock: Callable[[], datetime]) -> None:
        """Raises ValueError where the settings name no usable provider."""
        self._settings: Final = settings
        self._secret: Final = secret
        self._redirect: Final = redirect
        self._clock: Final = clock
        self._issuer: Final = Issuer(
            issuer=settings.issuer,
            audiences=(settings.client_id,),
            algorithms=settings.algorithms,
            hosts=settings.hosts,
            private_hosts=settings.private_hosts,
            ca_file=settings.ca_file,
        )
        self._fetch: Final = GuardedFetch(self._issuer)
        self._keys: Final = IssuerKeys(self._issuer, loader(self._issuer, self._fetch), clock)
        self._tls: Final = ssl.create_default_context(cafile=settings.ca_file or None)
        self._metadata: tuple[datetime, Mapping[str, Any]] | None = None

    async def begin(self, to: str) -> tuple[str, LoginUnderWay]:
        """(where to send the browser, what it is to bring back). Raises NotReadyError."""
        metadata = await self._discovered()
        login = LoginUnderWay(
            state=generate_token(_SECRET),
            nonce=generate_token(_SECRET),
            verifier=generate_token(_SECRET),
            to=to,
            until=int((self._clock() + UNDER_WAY).timestamp()),
        )
        more: dict[str, str] = {"nonce": login.nonce}
        if self._settings.acr_values:
            more["acr_values"] = " ".join(self._settings.acr_values)
        if self._settings.max_login_age_s:
            more["max_age"] = str(self._settings.max_login_age_s)
        url = prepare_grant_uri(
            self._endpoint(metadata, "authorization_endpoint"),
            self._settings.client_id,
            "code",
            redirect_uri=self._redirect,
            scope=" ".join(self._settings.scopes),
            state=login.state,
            code_challenge=create_s256_code_challenge(login.verifier),
            code_challenge_method="S256",
            **more,
        )
        return str(url), login

    async def finish(self, login: LoginUnderWay | None, params: Mapping[str, str]) -> LoggedIn:
        """Raises BadRequestError, NotPermittedError and NotReadyError."""
        state = params.get("state", "").encode("utf-8", "surrogatepass")  # `compare_digest` takes no text beyond ASCII
        if login is None or not compare_digest(login.state.encode(), state):
            raise BadRequestError("this login was not begun here, or too long ago", next_step=_AGAIN)
        metadata = await self._discovered()
        expected = metadata.get("authorization_response_iss_parameter_supported") is True
        if params.get("iss", None if expected else self._issuer.issuer) != self._issuer.issuer:
            raise BadRequestError("the answer is not the identity provider's", next_step=_AGAIN)
        if "error" in params or not params.get("code"):
            raise NotPermittedError("the identity provider did not let this person in", next_step=_AGAIN)
        token = await self._exchanged(metadata, params["code"], login.verifier)
        return self._logged_in(token, await self._claims(token, login.nonce))

    async def logout_url(self, id_token: str | None, back: str) -> str | None:
        """Where the provider ends its own session (RP-Initiated Logout 1.0); None where it has no such place."""
        try:
            metadata = await self._discovered()
            end = self._endpoint(metadata, "end_session_endpoint")
        except NotReadyError:
            return None
        told = {"client_id": self._settings.client_id, "post_logout_redirect_uri": back}
        return f"{end}?{urlencode(told | ({'id_token_hint': id_token} if id_token else {}))}"

    async def close(self) -> None:
        await self._keys.close()

    async def _exchanged(self, metadata: Mapping[str, Any], code: str, verifier: str) -> str:
        endpoint = self._endpoint(metadata, "token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect,
            "code_verifier": verifier,
        }
        if not self._secret:
            form["client_id"] = self._settings.client_id
        try:
            async with asyncio.timeout(DEADLINE_S), self._client() as client:
                answer = await client.post(endpoint, data=form, headers={"accept": "application/json"})
            found = parse_json(answer.content, max_bytes=MOST) if answer.status_code == httpx.codes.OK else None
        except (BadRequestError, ValueError):
            found = None
        except (TimeoutError, httpx.HTTPError):
            raise NotReadyError("the identity provider does not answer", next_step="try again in a minute") from None
        if not isinstance(found, dict):
            raise NotPermittedError("the identity provider did not take the code", next_step=_AGAIN)
        token = found.get("id_token")
        if not isinstance(token, str) or len(token) > _MAX_TOKEN:
            raise NotPermittedError("the identity provider gave no ID token", next_step="ask whoever runs it")
        return token

    async def _claims(self, token: str, nonce: str) -> Mapping[str, Any]:
        now = self._clock()
        try:
            claims = await SignedAssertions(self._keys).claims(token, now)
        except TokenRefusedError as fault:
            raise NotPermittedError(f"the ID token does not count: `{fault.reason}`", next_step=_AGAIN) from None
        wrong = self._wrong(claims, nonce, now)
        if wrong is not None:
            raise NotPermittedError(f"the ID token does not count: `{wrong}`", next_step=_AGAIN)
        return claims

    def _wrong(self, claims: Mapping[str, Any], nonce: str, now: datetime) -> str | None:
        """The first claim that is not as it must be."""
        settings, audience = self._settings, claims.get("aud")
        issued, ends = _instant(claims.get("iat")), _instant(claims.get("exp"))
        shared = isinstance(audience, list) and len(audience) > 1
        checks = {
            "iss": claims.get("iss") == self._issuer.issuer,
            "aud": audience is not None,
            "azp": claims.get("azp", None if shared else settings.client_id) == settings.client_id,
            "exp": ends is not None and now - SKEW < ends,
            "iat": issued is not None and now - LONGEST < issued <= now + SKEW,
            "nonce": compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()),
            "acr": not settings.acr_values or claims.get("acr") in settings.acr_values,
            "auth_time": not settings.max_login_age_s or self._is_recent(claims.get("auth_time"), now),
        }
        return next((name for name, fine in checks.items() if not fine), None)

    def _is_recent(self, said: object, now: datetime) -> bool:
        at = _instant(said)
        return at is not None and now - at <= timedelta(seconds=self._settings.max_login_age_s) + SKEW

    def _logged_in(self, token: str, claims: Mapping[str, Any]) -> LoggedIn:
        settings = self._settings
        subject, name, session = (claims.get(n) for n in (settings.subject_claim, settings.name_claim, "sid"))
        if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_ID or not subject.isprintable():
            raise NotPermittedError("the ID token names nobody", next_step="ask whoever runs the identity provider")
        roles = roles_of(subject, claims, settings)
        shown = name[:MAX_ID] if isinstance(name, str) and name.strip() else subject
        person = Person(f"user:{subject}", shown, roles)
        return LoggedIn(person, session if isinstance(session, str) else None, token)

    async def _discovered(self) -> Mapping[str, Any]:
        now = self._clock()
        if self._metadata is not None and now - self._metadata[0] < DISCOVERED_FOR:
            return self._metadata[1]
        try:
            raw = await self._fetch(get_well_known_url(self._issuer.issuer, external=True))
            document = parse_json(raw, max_bytes=MAX_JWKS)
        except (FetchError, BadRequestError):
            raise NotReadyError(
                "the identity provider does not answer", next_step="try again, or use a local account"
            ) from None
        if not isinstance(document, dict) or document.get("issuer") != self._issuer.issuer:
            raise NotReadyError("the identity provider says that it is another", next_step="see `console.issuer`")
        self._metadata = now, document
        return document

    def _endpoint(self, metadata: Mapping[str, Any], name: str) -> str:
        """Raises NotReadyError where it is none, or on a host that the settings do not name."""
        url = metadata.get(name)
        if not isinstance(url, str):
            raise NotReadyError(f"the identity provider names no `{name}`")
        try:
            check_url(url, name)
        except ValueError:
            raise NotReadyError(f"the identity provider names no usable `{name}`") from None
        if (urlsplit(url).hostname or "").lower() not in self._issuer.key_hosts:
            raise NotReadyError(f"`{name}` is on a host that `console.hosts` does not name")
        return url

    def _client(self) -> httpx.AsyncClient:
        # RFC 6749 section 2.3.1: name and secret are form-encoded before they are joined.
        basic = (
            httpx.BasicAuth(quote_plus(self._settings.client_id), quote_plus(self._secret)) if self._secret else None
        )
        return httpx.AsyncClient(
            auth=basic,
            transport=BoundedTransport(httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False)),
            timeout=DEADLINE_S,
            follow_redirects=False,
            trust_env=False,
        )


def _instant(said: object) -> datetime | None:
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    try:
        return datetime.fromtimestamp(said, UTC)
    except (ValueError, OverflowError, OSError):
        return None
