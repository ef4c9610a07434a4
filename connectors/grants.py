"""How a connector proves itself to a vendor: OAuth 2 client credentials, a signed assertion, or a fixed token.

The protocol is Authlib's (RFC 6749 section 4.4, RFC 7523), its requests and keys; the transport is ours, so that the
token endpoint has the same limits as every other address: Authlib's own httpx client reads an answer of any size, and
warns since 1.8 that it will leave httpx.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from authlib.oauth2.rfc7523 import JWTBearerGrant
from joserfc.jwk import RSAKey

from connectors.strict_json import NotStrictJsonError, parse_object
from pdp.errors import ConnectorError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    # Sends a form to a token endpoint (address, form) and gives the object that it answers. Raises ConnectorError.
    SendForm = Callable[[str, str], Awaitable[dict[str, Any]]]

MAX_TOKEN_CHARACTERS: Final = 16_384  # an Entra token has 2,000
_LONGEST_LIFE: Final = timedelta(hours=24)  # longer is not believed: the token is fetched again
_SHORTEST_LIFE_S: Final = 1
_LEEWAY: Final = timedelta(seconds=60)
_LEEWAY_SHARE: Final = 4  # Jamf gives tokens of a minute: those are renewed in their last quarter
_TOKEN: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)  # RFC 6750 section 2.1 is narrower; a header cannot hold more
_ASSERTION_LIFE_S: Final = 600  # Google allows an hour
_FORM: Final = "application/x-www-form-urlencoded"


class Grant(Protocol):
    """Gives the value of `Authorization`. `forget` drops a token that was refused; False: there is no other."""

    async def authorization(self, send: SendForm) -> str: ...

    def forget(self) -> bool: ...


class FixedToken:
    """A token that an administrator made, such as that of a Fleet API-only user."""

    def __init__(self, token: str) -> None:
        """Raises SettingsError for a text that is not a token."""
        if len(token) > MAX_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token):
            raise SettingsError("the file of the API token holds something else")
        self._token = token

    async def authorization(self, _send: SendForm) -> str:
        return f"Bearer {self._token}"

    def forget(self) -> bool:
        return False


class ClientCredentials:
    """RFC 6749 section 4.4; the secret travels in the form, as Entra and Jamf ask. `audience`: as Zscaler asks."""

    def __init__(  # noqa: PLR0913  # what a token endpoint may ask for, each by its name
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str = "",
        audience: str = "",
        clock: Callable[[], datetime],
    ) -> None:
        self._url = token_url
        self._client = ClientAuth(client_id, client_secret, "client_secret_post")
        self._asked = {name: said for name, said in (("scope", scope), ("audience", audience)) if said}
        self._held = _Held(clock)

    async def authorization(self, send: SendForm) -> str:
        if (token := self._held.token()) is None:
            body = prepare_token_request("client_credentials", "", **self._asked)
            url, _, body = self._client.prepare("POST", self._url, {"Content-Type": _FORM}, body)
            token = self._held.take(await send(url, body))
        return f"Bearer {token}"

    def forget(self) -> bool:
        return self._held.forget()


@dataclass(frozen=True, slots=True, repr=False)
class ServiceAccount:
    """A Google service account, as its key file says."""

    email: str
    key_id: str
    private_key: RSAKey
    token_url: str


class SignedAssertion:
    """RFC 7523 section 2.1, as Google's service accounts use it. `subject`: the administrator it acts for, or "".

    Source: developers.google.com/identity/protocols/oauth2/service-account
    """

    def __init__(
        self, account: ServiceAccount, *, scope: str, subject: str = "", clock: Callable[[], datetime]
    ) -> None:
        self._account = account
        self._scope = scope
        self._subject = subject
        self._clock = clock
        self._held = _Held(clock)

    async def authorization(self, send: SendForm) -> str:
        if (token := self._held.token()) is None:
            body = prepare_token_request(JWTBearerGrant.GRANT_TYPE, "", assertion=self._assertion())
            token = self._held.take(await send(self._account.token_url, body))
        return f"Bearer {token}"

    def forget(self) -> bool:
        return self._held.forget()

    def _assertion(self) -> str:
        issued_at = int(self._clock().timestamp())
        return str(
            JWTBearerGrant.sign(
                self._account.private_key,
                issuer=self._account.email,
                audience=self._account.token_url,
                subject=self._subject or None,
                issued_at=issued_at,
                expires_at=issued_at + _ASSERTION_LIFE_S,
                claims={"scope": self._scope},
                header={"alg": "RS256", "kid": self._account.key_id},
            )
        )


def service_account(text: str) -> ServiceAccount:
    """The account of a key file. Raises SettingsError, which never repeats what the file holds."""
    try:
        document = parse_object(text.encode("utf-8", "replace"))
    except NotStrictJsonError as fault:
        raise SettingsError(f"the key file of the service account: {fault}") from None
    parts = [document.get(name) for name in ("client_email", "private_key_id", "private_key", "token_uri")]
    if document.get("type") != "service_account" or not all(isinstance(part, str) and part for part in parts):
        raise SettingsError("the key file is not that of a Google service account")
    email, key_id, pem, token_url = (str(part) for part in parts)
    try:
        private_key = RSAKey.import_key(pem)
    except Exception:  # noqa: BLE001  # whatever the key libraries raise may hold parts of the key
        raise SettingsError("the key file of the service account holds no RSA key") from None
    if not private_key.is_private:
        raise SettingsError("the key file of the service account holds no private key")
    return ServiceAccount(email, key_id, private_key, token_url)


class _Held:
    """The token in hand, until shortly before its end."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._token: str | None = None
        self._renew_at: datetime | None = None

    def token(self) -> str | None:
        if self._renew_at is None or self._clock() >= self._renew_at:
            return None
        return self._token

    def take(self, answer: dict[str, Any]) -> str:
        """Hold what a token endpoint answered (RFC 6749 section 5.1). Raises ConnectorError."""
        token, kind, life = answer.get("access_token"), answer.get("token_type", "bearer"), answer.get("expires_in")
        if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS or not _TOKEN.fullmatch(token):
            raise ConnectorError("the token endpoint gave no access token", fault="malformed")
        if not isinstance(kind, str) or kind.casefold() != "bearer":
            raise ConnectorError("the token endpoint gave a token that is not a bearer token", fault="malformed")
        seconds = _seconds(life)
        leeway = min(_LEEWAY, seconds / _LEEWAY_SHARE)
        self._token, self._renew_at = token, self._clock() + seconds - leeway
        return token

    def forget(self) -> bool:
        self._token = self._renew_at = None
        return True


def _seconds(life: object) -> timedelta:
    """`expires_in`; some endpoints write it as text. Absent: one minute, so that it is fetched anew soon."""
    if life is None:
        return _LEEWAY
    if isinstance(life, str) and life.isascii() and life.isdigit() and len(life) < _DIGITS:
        life = int(life)
    if isinstance(life, bool) or not isinstance(life, int) or life < _SHORTEST_LIFE_S:
        raise ConnectorError("the token endpoint gave a lifetime that is none", fault="malformed")
    return min(timedelta(seconds=min(life, int(_LONGEST_LIFE.total_seconds()))), _LONGEST_LIFE)


_DIGITS: Final = 10
