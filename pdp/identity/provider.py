"""The keys of one issuer, kept as standards 7.6 says.

- They come from where the settings say: a file, a URL, or the issuer's own discovery document, whose `issuer` is
  compared character for character (OpenID Connect Discovery section 4.3).
- After `jwks_ttl_s` they are read again in the background, while those that are held still count.
- A `kid` that is not among them is asked for at most once a minute: garbage must not make us ask without end
  (CVE-2026-48524). Everybody who needs an answer waits for one and the same fetch, and never longer than `WAIT_S`.
- When the issuer does not answer, the last good set counts for up to 24 hours, and then nothing does.

Authlib knows where the discovery document stands and what is wrong with its `jwks_uri`. It does not fetch, bound,
guard or keep anything, and for its validation a loopback address over http is no issuer: all that is done here.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url

from pdp.ending import end
from pdp.errors import BadRequestError
from pdp.identity.fetching import FetchError
from pdp.identity.keys import MAX_JWKS, KeySet, read_jwks
from pdp.identity.token import TokenRefusedError
from pdp.logs import get_log
from pdp.model.issuer import check_url
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pdp.model.issuer import Issuer

    Load = Callable[[], Awaitable[bytes]]

STALE: Final = timedelta(hours=24)
UNKNOWN_KID: Final = timedelta(minutes=1)
RETRY: Final = timedelta(minutes=1)  # with keys in hand
FIRST_RETRY: Final = timedelta(seconds=5)  # with none: nobody of this issuer can come in until it answers
WAIT_S: Final = 4.0  # a token's; two documents have 3 s each, and the second is rarely slow when the first was not

_log = get_log("pdp.identity.provider")


class KeyState(NamedTuple):
    """For metrics and `pdp doctor`. `fault` None: the last fetch, which began at `tried_at`, was good."""

    issuer: str
    keys: int
    confirmed_at: datetime | None
    fault: str | None
    tried_at: datetime | None = None


class IssuerKeys:
    """The keys of one issuer in one worker; to be used from one event loop.

    `load` gets the JWK Set as it stands now, and raises FetchError within a deadline of its own.
    """

    def __init__(self, issuer: Issuer, load: Load, clock: Callable[[], datetime], *, wait_s: float = WAIT_S) -> None:
        self.issuer = issuer
        self._wait_s = wait_s
        self._load = load
        self._clock = clock
        self._ttl = timedelta(seconds=issuer.jwks_ttl_s)
        self._keys: KeySet | None = None
        self._raw = b""
        self._confirmed_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._asked_at: datetime | None = None  # because of an unknown `kid`
        self._fault: str | None = None
        self._flight: asyncio.Task[None] | None = None

    def held(self, now: datetime) -> KeySet | None:
        """The set that counts now; None where there is none, or the last good one is too old."""
        if self._confirmed_at is None or now - self._confirmed_at > STALE:
            return None
        return self._keys

    async def with_key(self, kid: str, now: datetime) -> KeySet:
        """The set in which to look for this `kid`. Raises TokenRefusedError where no set counts.

        Waits for a fetch only where the set does not have it, and a fetch may be made.
        """
        held = self.held(now)
        if held is not None and kid in held:
            return held
        if held is None:
            self.refresh()
        elif self._flight is None and (self._asked_at is None or now - self._asked_at >= UNKNOWN_KID):
            self._asked_at = now
            self._start()
        if self._flight is not None:
            await asyncio.wait([self._flight], timeout=self._wait_s)
            held = self.held(now)
        if held is None:
            raise TokenRefusedError("keys_unavailable")
        return held

    def refresh(self) -> None:
        """Begin to read the keys again where it is time. Never waits: see `settled`."""
        now = self._clock()
        if self._flight is not None:
            return
        if self._fault is None and self._confirmed_at is not None and now - self._confirmed_at < self._ttl:
            return
        pause = RETRY if self.held(now) is not None else FIRST_RETRY
        if self._tried_at is None or now - self._tried_at >= pause:
            self._start()

    async def settled(self) -> None:
        """Wait for the fetch that is on its way, if there is one."""
        if self._flight is not None:
            await asyncio.wait([self._flight])

    def state(self) -> KeyState:
        usable = 0 if self._keys is None else self._keys.usable
        return KeyState(self.issuer.issuer, usable, self._confirmed_at, self._fault, self._tried_at)

    async def close(self) -> None:
        if self._flight is not None:
            await end(self._flight)

    def _start(self) -> None:
        self._tried_at = self._clock()
        self._flight = asyncio.create_task(self._fly(), name="issuer-keys")

    async def _fly(self) -> None:
        try:
            raw = await self._load()
            if self._keys is None or raw != self._raw:  # the same text is the same set, and no token is verified anew
                self._keys, self._raw = read_jwks(raw), raw
            self._confirmed_at = self._clock()
            if self._fault is not None:
                _log.info("the issuer's keys can be had again", issuer=self.issuer.issuer)
            self._fault = None
        except (FetchError, BadRequestError) as fault:
            self._failed(fault.message if isinstance(fault, BadRequestError) else str(fault))
        except Exception:  # noqa: BLE001  # whatever it is: the last good keys stay, and it is tried again
            _log.exception("the issuer's keys could not be read", issuer=self.issuer.issuer)
            self._failed("an unexpected fault")
        finally:
            self._flight = None

    def _failed(self, fault: str) -> None:
        if fault != self._fault:  # once, not once a minute
            _log.warning("the issuer's keys cannot be had", issuer=self.issuer.issuer, reason=fault)
        self._fault = fault


def loader(issuer: Issuer, fetch: Callable[[str], Awaitable[bytes]]) -> Load:
    """Where this issuer's keys come from: `fetch` gets one document, and raises FetchError."""

    async def load() -> bytes:
        if issuer.jwks_file:
            return await asyncio.to_thread(_from_file, issuer.jwks_file)
        return await fetch(issuer.jwks_uri or await _discovered(issuer, fetch))

    return load


async def _discovered(issuer: Issuer, fetch: Callable[[str], Awaitable[bytes]]) -> str:
    """`jwks_uri` of the discovery document. Raises FetchError where the document is not this issuer's own."""
    raw = await fetch(get_well_known_url(issuer.issuer, external=True))
    try:
        document = parse_json(raw, max_bytes=MAX_JWKS)
    except BadRequestError as fault:
        raise FetchError(f"its discovery document is not strict JSON: {fault.message}") from None
    if not isinstance(document, dict) or document.get("issuer") != issuer.issuer:
        raise FetchError("its discovery document is that of another issuer")
    uri = document.get("jwks_uri")
    if not isinstance(uri, str):  # Authlib would not survive a number
        raise FetchError("its discovery document does not say where its keys are")
    metadata = OpenIDProviderMetadata(document)
    try:
        if issuer.issuer.startswith("https:"):
            metadata.validate_issuer()
            metadata.validate_jwks_uri()
        check_url(uri, "jwks_uri")
    except ValueError as fault:
        raise FetchError(f"its discovery document is not usable: {fault}") from None
    return uri


def _from_file(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            raw = file.read(MAX_JWKS + 1)
    except OSError as fault:
        raise FetchError(f"`jwks_file` cannot be read: {fault.strerror}") from None
    if len(raw) > MAX_JWKS:
        raise FetchError(f"`jwks_file` is larger than {MAX_JWKS} bytes")
    return raw
