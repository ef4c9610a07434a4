"""The connection to one LDAP server: TLS, bind, search. The only part that touches the network.

1. TLS from the first byte (`ldaps`) or StartTLS before anything is said; plain only where the caller says loopback
2. the certificate is checked against the CA and the name, TLS 1.2 or newer
3. bytes that came before TLS are thrown away with the reader that held them (StartTLS injection)
4. every operation has a deadline, every message and every search a bound
5. referrals and references are counted, never followed; aliases are never dereferenced
6. a search ends with success and an empty page cookie, or it raises: there is no partial result
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from connectors.identity.ldap import messages
from connectors.identity.ldap.ber import SEQUENCE, BerError, header
from connectors.identity.ldap.filters import present
from connectors.identity.ldap.messages import Entry, Reference, Result, Search
from pdp.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024  # one object: a group of 100,000 members has 10 MB
MAX_EMPTY_PAGES: Final = 100  # Active Directory may send some where it filtered much; nobody sends them without end
BREATH: Final = 50  # entries after which others of the event loop have their turn, some 3 ms
_READ_BYTES: Final = 256 * 1024
_CLOSE_S: Final = 2.0
_SHOWN: Final = 200

_NO_SUCH_OBJECT: Final = 32
# RFC 4511 appendix A.1: what went wrong, as the health of a source names it.
_FAULTS: Final = {
    3: "timeout", 4: "refused", 7: "refused", 8: "refused", 10: "inconsistent", 11: "refused", 12: "refused",
    13: "refused", 32: "inconsistent", 34: "inconsistent", 48: "refused", 49: "refused", 50: "refused",
    51: "throttled", 52: "unreachable",
}  # fmt: skip
_MEANINGS: Final = {
    3: "its time limit passed", 4: "its size limit passed; let it page for our account",
    7: "it does not know this way to bind", 8: "it wants stronger authentication or TLS",
    10: "it refers to another server; referrals are not followed", 11: "an administrative limit passed",
    12: "it does not support paged results", 13: "it wants TLS", 32: "the object does not exist",
    34: "a name in the settings is not a distinguished name", 48: "this kind of bind is not allowed",
    49: "the name or password is wrong, or the account is locked", 50: "our account may not read this",
    51: "it is busy", 52: "it is unavailable",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """Where, and how safe. `context` None means plain text: only for loopback. `timeout_s` bounds each operation."""

    host: str
    port: int
    context: ssl.SSLContext | None
    start_tls: bool = False
    server_name: str = ""  # to check in the certificate, where it is not `host`
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Bind:
    """`password` empty: SASL EXTERNAL, with the client certificate of the context."""

    dn: str = ""
    password: str = field(default="", repr=False)


@asynccontextmanager
async def connected(server: Server, bind: Bind) -> AsyncIterator[Client]:
    """A bound client, closed at the end. Raises ConnectorError."""
    client = await _opened(server)
    try:
        await client.bind(bind)
        yield client
    except BaseException:
        client.abort()  # no goodbye to a server that failed us, and no waiting where we were cancelled
        raise
    await client.close()


async def _opened(server: Server) -> Client:
    first = None if server.start_tls else server.context
    name = server.server_name or server.host
    try:
        async with asyncio.timeout(server.timeout_s):
            reader, writer = await asyncio.open_connection(
                server.host, server.port, ssl=first, server_hostname=name if first else None, limit=_READ_BYTES
            )
    except (OSError, TimeoutError, ValueError) as fault:
        raise _connection_fault(fault) from None
    client = Client(reader, writer, server.timeout_s)
    if server.start_tls and server.context is not None:
        try:
            await client.start_tls(server.context, name)
        except BaseException:
            client.abort()
            raise
    return client


class Client:
    """One connection, one operation at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._reader = reader
        self._writer = writer
        self._plain: asyncio.StreamWriter | None = None
        self._timeout_s = timeout_s
        self._buffer = bytearray()
        self._number = 0
        self.references = 0  # continuations to other servers, which were not followed

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """Raises ConnectorError where the server refuses (or somebody on the way does) or its certificate is wrong."""
        result = await self._only(messages.start_tls(self._next()), "extended")
        if result.code != messages.SUCCESS:
            raise ConnectorError("the directory server refuses StartTLS", fault="refused")
        if self._buffer:
            raise ConnectorError("bytes came after the answer to StartTLS and before TLS", fault="malformed")
        loop = asyncio.get_running_loop()
        # A fresh reader: what somebody sent in plain text, in time to be read after TLS began, stays in the old one.
        reader = asyncio.StreamReader(limit=_READ_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            async with asyncio.timeout(self._timeout_s):
                transport = await loop.start_tls(self._writer.transport, protocol, context, server_hostname=name)
        except (OSError, TimeoutError, ValueError) as fault:
            raise _connection_fault(fault) from None
        if transport is None:
            raise ConnectorError("the directory server closed the connection", fault="unreachable")
        protocol.connection_made(transport)
        self._reader = reader
        self._plain = self._writer  # a writer that nobody holds closes its transport, and TLS runs upon this one
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    async def bind(self, who: Bind) -> None:
        number = self._next()
        request = messages.simple_bind(number, who.dn, who.password) if who.password else messages.external_bind(number)
        result = await self._only(request, "bind")
        if result.code != messages.SUCCESS:
            raise _refusal(result, "the directory server refuses our bind")

    async def read(self, dn: str, attributes: Sequence[str], filter_: bytes | None = None) -> Entry | None:
        """One object; None where it does not exist, or cannot be seen. Raises ConnectorError."""
        wanted = Search(dn, "base", filter_ or present("objectClass"), attributes, self._seconds)
        entries, result = await self._search(wanted)
        if result.code == _NO_SUCH_OBJECT:
            return None
        _check(result, "the search")
        if len(entries) > 1:
            raise ConnectorError("a search for one object found several", fault="malformed")
        return entries[0] if entries else None

    async def pages(self, wanted: Search, max_entries: int) -> AsyncIterator[list[Entry]]:
        """Every entry, page by page, until the server says that there are no more.

        Raises ConnectorError: no answer within the deadline, a result that is not success, more than `max_entries`,
        pages without end, or an end that the server does not mark.
        """
        seen = empty = 0
        cookie = b""
        while True:
            page = Search(
                wanted.base, wanted.scope, wanted.filter, wanted.attributes, self._seconds,
                wanted.page, cookie, wanted.show_deleted,
            )  # fmt: skip
            entries, result = await self._search(page, max_entries - seen)
            _check(result, "the search")
            if result.cookie is None:
                raise ConnectorError("the directory server does not say where its pages end", fault="refused")
            seen += len(entries)
            empty = 0 if entries else empty + 1
            if empty > MAX_EMPTY_PAGES:
                raise ConnectorError("the directory server sends empty pages without end", fault="malformed")
            yield entries
            cookie = result.cookie
            if not cookie:
                return

    async def close(self) -> None:
        """Says goodbye where it can; never raises, and never waits long."""
        with suppress(OSError, TimeoutError, ssl.SSLError):
            self._writer.write(messages.unbind(self._next()))
            self._writer.close()
            async with asyncio.timeout(_CLOSE_S):
                await self._writer.wait_closed()
        self.abort()

    def abort(self) -> None:
        self._writer.transport.abort()

    @property
    def _seconds(self) -> int:
        return max(1, int(self._timeout_s))

    def _next(self) -> int:
        self._number += 1
        return self._number

    async def _search(self, wanted: Search, most: int = 1_000) -> tuple[list[Entry], Result]:
        number = self._next()
        entries: list[Entry] = []
        async with self._deadline():
            await self._send(messages.search(number, wanted))
            while True:
                said = await self._receive(number)
                if isinstance(said, Entry):
                    entries.append(said)
                    if len(entries) % BREATH == 0:
                        await asyncio.sleep(0)
                    if len(entries) > most:
                        raise ConnectorError("the directory holds more entries than `max_entries`", fault="too_large")
                elif isinstance(said, Reference):
                    self.references += 1
                elif said.kind == "search":
                    return entries, said
                else:
                    raise ConnectorError("the directory server answers another question", fault="malformed")

    async def _only(self, request: bytes, kind: str) -> Result:
        """The single answer to a request."""
        async with self._deadline():
            await self._send(request)
            said = await self._receive(self._number)
        if not isinstance(said, Result) or said.kind != kind:
            raise ConnectorError("the directory server answers another question", fault="malformed")
        return said

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except (OSError, TimeoutError) as fault:
            raise _connection_fault(fault) from None
        except BerError as fault:
            raise ConnectorError(f"the directory server sent what is not LDAP: {fault}", fault="malformed") from None

    async def _send(self, request: bytes) -> None:
        self._writer.write(request)
        await self._writer.drain()

    async def _receive(self, number: int) -> Entry | Reference | Result:
        found, said = messages.parse(await self._message())
        if found == 0:  # RFC 4511 section 4.4.1
            code = said.code if isinstance(said, Result) else 0
            meaning = _MEANINGS.get(code, f"result {code}")
            raise ConnectorError(
                f"the directory server ends the connection: {meaning}", fault=_FAULTS.get(code, "unreachable")
            )
        if found != number:
            raise ConnectorError("the directory server answers another question", fault="malformed")
        return said

    async def _message(self) -> bytes:
        while True:
            sizes = header(self._buffer)
            if sizes is not None:
                if self._buffer[0] != SEQUENCE:
                    raise BerError("a message begins with another tag")
                whole = sum(sizes)
                if whole > MAX_MESSAGE_BYTES:
                    raise ConnectorError("the directory server sent a message that is too large", fault="too_large")
                if len(self._buffer) >= whole:
                    message = bytes(self._buffer[:whole])
                    del self._buffer[:whole]
                    return message
            more = await self._reader.read(_READ_BYTES)
            if not more:
                raise ConnectionResetError
            self._buffer += more


def _check(result: Result, what: str) -> None:
    if result.code != messages.SUCCESS:
        raise _refusal(result, f"{what} failed")


def _refusal(result: Result, what: str) -> ConnectorError:
    """The server's own words may name servers and accounts; the operator's log is where the connector's errors go."""
    meaning = _MEANINGS.get(result.code, f"result {result.code}")
    return ConnectorError(f"{what}: {meaning}", fault=_FAULTS.get(result.code, "refused"))


def _connection_fault(fault: Exception) -> ConnectorError:
    """What happened to the connection, in words of ours."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        reason = fault.verify_message[:_SHOWN]
        return ConnectorError(f"the directory server's certificate is not accepted: {reason}", fault="refused")
    if isinstance(fault, ssl.SSLError):
        return ConnectorError("TLS with the directory server failed", fault="refused")
    if isinstance(fault, TimeoutError):
        return ConnectorError("the directory server does not answer in time", fault="timeout")
    if isinstance(fault, ValueError):
        return ConnectorError("the directory server's name cannot be used", fault="unreachable")
    return ConnectorError("the directory server cannot be reached, or closed the connection", fault="unreachable")
