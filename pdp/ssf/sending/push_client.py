"""One SET pushed to one receiver (RFC 8935 section 2), guarded.

The attacks behind the guards: a receiver that names an address of our own network as its endpoint, or a name that
resolves to one (server-side request forgery; the connection goes to the very address that was checked); a redirect to
somewhere else, with the receiver's secret; an answer without end. No proxy and no `.netrc` of the environment is used.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal

import httpx
import msgspec

from pdp.errors import SettingsError
from pdp.identity.fetching import allowed, system_resolver, tls_context
from pdp.model.issuer import LOOPBACK
from pdp.ssf.sending.requests import is_of_the_set, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.identity.fetching import Resolver
    from pdp.model.ssf_transmitter import SsfTransmitter
    from pdp.ssf.sending.streams import Wish

DEADLINE_S: Final = 10.0  # of one push, from the name to the last byte: shorter than the lease of who pushes
MAX_ANSWER: Final = 16 * 1024
_MAX_ADDRESSES: Final = 3
_TIMEOUTS: Final = ("connect", "read", "write", "pool")
_PORTS: Final = {"https": 443, "http": 80}

Word = Literal["taken", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`refused`: the receiver will never have this SET. `failed`: try again. `fault` is for the operator."""

    word: Word
    fault: str = ""


TAKEN: Final = Outcome("taken")


class PushClient:
    """One connection for each SET: they are rare, and a receiver that hangs holds up nobody else."""

    def __init__(
        self, settings: SsfTransmitter, *, resolve: Resolver = system_resolver, deadline_s: float = DEADLINE_S
    ) -> None:
        """Raises SettingsError where `ca_file` is not a file of certificates."""
        self._settings = settings
        self._private = frozenset(host.lower() for host in settings.private_hosts)
        self._resolve = resolve
        self._deadline_s = deadline_s
        try:
            self._tls = tls_context(settings.ca_file)
        except ValueError as fault:
            raise SettingsError(f"`ssf_transmitter`: {fault}") from None

    async def push(self, wish: Wish, token: str) -> Outcome:
        """What became of it, within the deadline. Never raises but for its cancellation."""
        fault = self._settings.push_fault(wish.endpoint_url)  # the settings may have changed since it was asked for
        if fault is not None:
            return Outcome("failed", f"its URL {fault}")
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._push(httpx.URL(wish.endpoint_url), wish.authorization_header, token)
        except TimeoutError:
            return Outcome("failed", "it did not answer in time")
        except httpx.InvalidURL:
            return Outcome("failed", "its URL cannot be read")

    async def _push(self, url: httpx.URL, authorization: str, token: str) -> Outcome:
        addresses = await self._addresses(url)
        if isinstance(addresses, Outcome):
            return addresses
        outcome = Outcome("failed", "its name has no address")
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                return await self._to(url, address, authorization, token)
            except httpx.ConnectError:
                outcome = Outcome("failed", "it cannot be connected to, or its certificate does not hold")
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                return Outcome("failed", f"it does not speak HTTP with us: {type(error).__name__}")
        return outcome

    async def _addresses(self, url: httpx.URL) -> Sequence[str] | Outcome:
        """Where the connection may go. One address that it may not go to spoils the name."""
        host = url.host.lower()
        try:
            found = await self._resolve(host, url.port or _PORTS[url.scheme])
            addresses = [ip_address(text) for text in found]
        except (OSError, UnicodeError, ValueError):
            return Outcome("failed", "its name cannot be resolved")
        if not all(allowed(one, private=host in self._private, loopback=host in LOOPBACK) for one in addresses):
            return Outcome("failed", "its address is a private one, and `private_hosts` does not name it")
        return found

    async def _to(self, url: httpx.URL, address: str, authorization: str, token: str) -> Outcome:
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/secevent+jwt",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            **({"Authorization": authorization} if authorization else {}),
        }
        # The name stays in `Host`, in TLS and for the certificate; the connection goes to the checked address.
        extensions = {"sni_hostname": url.host, "timeout": dict.fromkeys(_TIMEOUTS, self._deadline_s)}
        request = httpx.Request(
            "POST", url.copy_with(host=address), headers=headers, content=token.encode("ascii"), extensions=extensions
        )
        async with httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            answer = await transport.handle_async_request(request)
            try:
                return await _outcome(answer)
            finally:
                await answer.aclose()


async def _outcome(answer: httpx.Response) -> Outcome:
    if answer.status_code == httpx.codes.ACCEPTED:  # and nothing else: a proxy's page of welcome has 200
        return TAKEN
    if answer.status_code != httpx.codes.BAD_REQUEST:
        return Outcome("failed", f"it answered {answer.status_code}")
    body = bytearray()
    async for chunk in answer.stream:  # type: ignore[union-attr]  # an asynchronous transport's
        body += chunk
        if len(body) > MAX_ANSWER:
            return Outcome("failed", "it answered 400, with more than an error has to say")
    try:
        told = msgspec.json.decode(bytes(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Outcome("failed", "it answered 400, and no error of RFC 8935")
    return Outcome("refused" if is_of_the_set(told) else "failed", said(told))
