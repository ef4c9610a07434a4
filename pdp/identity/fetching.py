"""A document of an identity provider over HTTP, guarded: what is fetched, from where, how much, and for how long.

The attacks behind the guards: a discovery document that points into our own network, or at the metadata service of
a cloud (server-side request forgery); a name that resolves to one address when it is checked and to another when it
is connected to (so the connection goes to the very address that was checked); a redirect to somewhere else; a body
without end, or one that unpacks to one; an answer that never ends. No proxy and no `.netrc` of the environment is
used.
"""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

import httpx

from pdp.identity.keys import MAX_JWKS
from pdp.model.issuer import LOOPBACK, check_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.model.issuer import Issuer

DEADLINE_S: Final = 3.0  # of one document, from the name to the last byte; standards 7.6
_MAX_ADDRESSES: Final = 3  # of one name that are tried
_HTTPS: Final = 443
_HTTP: Final = 80


class FetchError(Exception):
    """The document was not had. The message is a short word for the operator's log, and names no address."""


class Answered(NamedTuple):
    """`body` is empty for every status but 200. `retry_after`: that header as it came."""

    status: int
    body: bytes
    retry_after: str = ""


class _Asked(NamedTuple):
    method: Literal["GET", "POST"]
    headers: Mapping[str, str]
    body: bytes
    max_bytes: int
    deadline_s: float


class Resolver(Protocol):
    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name. Raises OSError."""
        ...


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """As the system resolves names. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, proto=6)  # TCP
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedFetch:
    """Fetches documents of one issuer. One connection each: they are minutes apart."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        resolve: Resolver = system_resolver,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """Raises ValueError where `ca_file` is not a file of certificates."""
        self._hosts = issuer.key_hosts
        self._private = frozenset(host.lower() for host in issuer.private_hosts)
        self._resolve = resolve
        self._deadline_s = deadline_s
        if transport is None:
            context = tls_context(issuer.ca_file)
            transport = lambda: httpx.AsyncHTTPTransport(verify=context, trust_env=False)  # noqa: E731
        self._transport = transport

    async def __call__(self, url: str) -> bytes:
        """The body of the 200 answer. Raises FetchError for everything else, within the deadline."""
        answer = await self.ask("GET", url, max_bytes=MAX_JWKS, deadline_s=self._deadline_s)
        if answer.status != httpx.codes.OK:
            raise FetchError(f"it answered {answer.status}")  # a redirect too: nobody is followed anywhere
        return answer.body

    async def ask(  # noqa: PLR0913  # what a request is made of
        self,
        method: Literal["GET", "POST"],
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        max_bytes: int,
        deadline_s: float,
    ) -> Answered:
        """Whatever it answers, up to so many bytes. Raises FetchError where it does not, within the deadline."""
        asked = _Asked(method, {**(headers or {})}, body, max_bytes, deadline_s)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._fetch(url, asked)
        except TimeoutError:
            raise FetchError("it did not answer in time") from None

    async def _fetch(self, url: str, asked: _Asked) -> Answered:
        parts = httpx.URL(self._checked(url))
        fault: FetchError | None = None
        for address in (await self._addresses(parts))[:_MAX_ADDRESSES]:
            try:
                return await self._from(parts, address, asked)
            except httpx.ConnectError:
                fault = FetchError("it cannot be connected to, or its certificate does not hold")
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise FetchError(f"it does not speak HTTP with us: {type(error).__name__}") from None
        raise fault or FetchError("its name has no address")

    def _checked(self, url: str) -> str:
        try:
            check_url(url, "url")
        except ValueError as fault:
            raise FetchError(str(fault)) from None
        if httpx.URL(url).host.lower() not in self._hosts:
            raise FetchError("its host is none that this issuer's documents may be on")
        return url

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """Where the connection may go. One address that it may not go to spoils the name."""
        host = url.host.lower()
        try:
            found = await self._resolve(host, url.port or (_HTTPS if url.scheme == "https" else _HTTP))
        except (OSError, UnicodeError):
            raise FetchError("its name cannot be resolved") from None
        for text in found:
            try:
                address = ip_address(text)
            except ValueError:
                raise FetchError("its name has an address that is none") from None
            if not allowed(address, private=host in self._private, loopback=host in LOOPBACK):
                raise FetchError("its address is a private one, and `private_hosts` does not name it")
        return list(found)

    async def _from(self, url: httpx.URL, address: str, asked: _Asked) -> Answered:
        headers = {"Host": url.netloc.decode("ascii"), "Accept": "application/json", "Accept-Encoding": "identity"}
        # The name stays in `Host`, in TLS and for the certificate; the connection goes to the checked address.
        pinned = url.copy_with(host=address)
        extensions = {"sni_hostname": url.host, "timeout": dict.fromkeys(_TIMEOUTS, asked.deadline_s)}
        sent = {**headers, **asked.headers}
        request = httpx.Request(asked.method, pinned, headers=sent, content=asked.body or None, extensions=extensions)
        async with self._transport() as transport:
            answer = await transport.handle_async_request(request)
            try:
                return await _body(answer, asked.max_bytes)
            finally:
                await answer.aclose()


_TIMEOUTS: Final = ("connect", "read", "write", "pool")


async def _body(answer: httpx.Response, max_bytes: int) -> Answered:
    if answer.status_code != httpx.codes.OK:  # what it says of it is not read: nobody here would believe it
        return Answered(answer.status_code, b"", answer.headers.get("retry-after", ""))
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise FetchError("it answered in an encoding that was not asked for")
    body = bytearray()
    async for chunk in answer.stream:  # type: ignore[union-attr]  # an asynchronous transport's
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"it is larger than {max_bytes} bytes")
    return Answered(answer.status_code, bytes(body))


def allowed(address: IPv4Address | IPv6Address, *, private: bool, loopback: bool) -> bool:
    """Whether a connection may go there. An IPv4 address inside an IPv6 one is judged as what it is.

    `private`: the operator named the host as one that may be private; `loopback`: its very name is the loopback's.
    Link-local addresses (a cloud's metadata service is one), multicast and the unspecified address never.
    """
    address = _inner(address)
    if address.is_multicast or address.is_unspecified or address.is_link_local:
        return False
    if address.is_loopback:
        return loopback or private
    return private or address.is_global


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(address, IPv4Address):
        return address
    nat64 = IPv4Address(int(address) & 0xFFFF_FFFF) if address.packed[:12] == _NAT64 else None
    return address.ipv4_mapped or address.sixtofour or nat64 or address


_NAT64: Final = bytes.fromhex("0064ff9b0000000000000000")  # RFC 6052 section 2.1


def tls_context(ca_file: str) -> ssl.SSLContext:
    """Raises ValueError where `ca_file` is not a file of certificates; empty: the authorities of the system."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ssl.SSLError):
        raise ValueError("`ca_file` is not a file of certificates") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
