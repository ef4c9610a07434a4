"""The other house: where its keys are, what it says of itself, and what we ask of it (SSF 1.0 sections 7 and 8.1.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from pdp.errors import BadRequestError
from pdp.identity.fetching import FetchError
from pdp.identity.keys import MAX_JWKS
from pdp.identity.provider import loader
from pdp.model.issuer import check_url
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from pdp.identity.fetching import GuardedFetch
    from pdp.model.signal_stream import SignalStream
    from pdp.ssf.receiving.secret import Secret

WELL_KNOWN: Final = "/.well-known/ssf-configuration"
ASK_S: Final = 10.0  # a verification that is asked for
_MAX_ANSWER: Final = 4_096  # nothing is read of it
_MAX_CRITICAL: Final = 32
_ASKED: Final = frozenset({200, 202, 204})


@dataclass(frozen=True, slots=True)
class Metadata:
    """What its configuration says, as far as it is used here."""

    jwks_uri: str = ""
    verification_endpoint: str = ""
    critical: frozenset[str] = frozenset()


class Transmitter:
    """One stream's. `token`: what its management API is shown; None: nothing can be asked of it."""

    def __init__(self, stream: SignalStream, fetch: GuardedFetch, token: Secret | None) -> None:
        self._stream = stream
        self._fetch = fetch
        self._token = token
        self._metadata = Metadata()

    @property
    def critical(self) -> frozenset[str]:
        """Members of subjects that must be understood: by its metadata as last read, and by the settings."""
        return self._metadata.critical | set(self._stream.critical_members)

    async def keys(self) -> bytes:
        """Its JWK Set as it stands now. Raises FetchError."""
        stream = self._stream
        if stream.jwks_file or stream.jwks_uri:
            return await loader(stream.as_issuer(), self._fetch)()
        metadata = await self.metadata()
        if not metadata.jwks_uri:
            raise FetchError("its configuration does not say where its keys are")
        return await self._fetch(metadata.jwks_uri)

    async def metadata(self) -> Metadata:
        """Its configuration, read anew. Raises FetchError where it is not this issuer's own, or not to be had."""
        self._metadata = read_metadata(await self._fetch(well_known(self._stream.issuer)), self._stream.issuer)
        return self._metadata

    async def ask_verification(self, state: str) -> None:
        """Ask for a verification event with this state. Raises FetchError where it is not promised."""
        if self._token is None:
            raise FetchError("`management_token_file` is not set")
        if not self._stream.stream_id:
            raise FetchError("`stream_id` is not set")
        url = self._stream.verification_endpoint or (await self.metadata()).verification_endpoint
        if not url:
            raise FetchError("its configuration names no `verification_endpoint`")
        answer = await self._fetch.ask(
            "POST",
            url,
            headers={"Authorization": f"Bearer {self._token.current()}", "Content-Type": "application/json"},
            body=msgspec.json.encode({"stream_id": self._stream.stream_id, "state": state}),
            max_bytes=_MAX_ANSWER,
            deadline_s=ASK_S,
        )
        if answer.status not in _ASKED:
            raise FetchError(f"it answered {answer.status}")


def well_known(issuer: str) -> str:
    """Where the configuration of an issuer stands: the well-known path goes between its host and its own path."""
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"


def read_metadata(raw: bytes, issuer: str) -> Metadata:
    """Raises FetchError for a document that is not strict JSON, or another issuer's, character for character."""
    try:
        document = parse_json(raw, max_bytes=MAX_JWKS)
    except BadRequestError as fault:
        raise FetchError(f"its configuration is not strict JSON: {fault.message}") from None
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise FetchError("its configuration is that of another issuer")
    critical = document.get("critical_subject_members", [])
    if not isinstance(critical, list) or len(critical) > _MAX_CRITICAL or not all(isinstance(c, str) for c in critical):
        raise FetchError("its configuration is not usable: `critical_subject_members`")
    return Metadata(_url(document, "jwks_uri"), _url(document, "verification_endpoint"), frozenset(critical))


def _url(document: dict[str, Any], name: str) -> str:
    value = document.get(name, "")
    try:
        if value:
            check_url(value, name)
    except (ValueError, TypeError, AttributeError):
        raise FetchError(f"its configuration is not usable: `{name}`") from None
    return value if isinstance(value, str) else ""
