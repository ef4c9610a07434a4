"""A directory server that plays Active Directory, on loopback, with faults on demand. slapd is the one that is real.

It keeps `objects` (DN, attributes, deleted or not) and evaluates the filters that it is sent; it pages, gives ranges of
large attributes, counts changes, and ends references to other servers after every search, as Active Directory does.
`fault` names what it does wrong, `at` after how many searches.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.identity.ldap.ber import (
    ENUMERATED,
    SEQUENCE,
    SET,
    Reader,
    element,
    elements,
    header,
    integer,
    octets,
    tlv,
)
from connectors.identity.ldap.messages import PAGED_RESULTS, SHOW_DELETED

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

NTDS = "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Configuration,DC=pref"


@dataclass
class Held:
    dn: str
    attributes: dict[str, list[bytes]]
    deleted: bool = False


@dataclass
class SimulatedDirectory:
    objects: dict[str, Held] = field(default_factory=dict)
    invocation: bytes = b"\x01" * 16
    invocations: list[bytes] | None = None  # instead of it: none, or several
    changes: int = 1_000
    range_size: int = 1_500
    range_option: str = ""  # written in the place of the right one from the second part on
    empty_pages: int = 0  # before the first page that holds something
    references: int = 0
    most_in_page: int = 1_000
    password: str = "secret"
    fault: str = ""
    at: int = 0
    port: int = 0
    searches: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)  # the search from which on `fault` holds
    idle: asyncio.Event = field(default_factory=asyncio.Event)  # a connection has ended
    context: ssl.SSLContext | None = None

    def put(self, dn: str, **attributes: object) -> None:
        """Adds or replaces an object, and counts the change."""
        self.changes += 1
        values = {
            name.lower(): [
                v if isinstance(v, bytes) else str(v).encode() for v in (value if isinstance(value, list) else [value])
            ]
            for name, value in attributes.items()
        }
        values["usnchanged"] = [str(self.changes).encode()]
        self.objects[dn.lower()] = Held(dn, values)

    def delete(self, dn: str) -> None:
        """As Active Directory: a tombstone in the container of deleted objects, with the name and little else."""
        held = self.objects.pop(dn.lower())
        self.changes += 1
        kept = {n: v for n, v in held.attributes.items() if n in ("samaccountname", "objectguid")}
        kept |= {"isdeleted": [b"TRUE"], "usnchanged": [str(self.changes).encode()]}
        gone = f"CN=gone{self.changes}\\0ADEL:1,CN=Deleted Objects,DC=pref"
        self.objects[gone.lower()] = Held(gone, kept, deleted=True)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.idle.set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            raw = await self._message(reader)
            message = Reader(raw).inside(SEQUENCE)
            number = message.integer()
            tag = message.peek()
            body = message.inside(tag)
            if tag == 0x42:
                return
            if tag == 0x60:
                body.integer()
                dn = body.octets().decode()
                given = body.octets(0x80).decode() if body.peek() == 0x80 else ""
                code = 0 if given == self.password and dn else 49
                writer.write(_message(number, _result(0x61, code)))
            elif tag == 0x77:
                writer.write(_message(number, _result(0x78, 0)))
                if self.fault == "injection":  # what an attacker on the way says before TLS begins
                    writer.write(_message(number + 1, _result(0x61, 0)))
            elif tag == 0x63 and not await self._search(number, body, message, reader, writer):
                return
            await writer.drain()

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.readexactly(2)
        while (sizes := header(data)) is None:
            data += await reader.readexactly(1)
        return data + await reader.readexactly(sum(sizes) - len(data))

    async def _search(
        self, number: int, body: Reader, message: Reader, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        base = body.octets().decode()
        scope = body.integer(ENUMERATED)
        assert body.integer(ENUMERATED) == 0, "aliases must not be dereferenced"
        body.integer()
        body.integer()
        body.truth()
        tag, _, stop = element(body._data, body._at, body._end)
        filter_ = body._data[body._at : stop]
        body.next(tag)
        wanted = [a.lower() for a in _strings(body.inside(SEQUENCE))]
        page, cookie, deleted = _controls(message)
        self.searches.append({"base": base, "scope": scope, "wanted": wanted, "page": page, "deleted": deleted})
        if len(self.searches) > self.at:
            self.reached.set()
        faulty = bool(self.fault) and len(self.searches) > self.at
        if faulty and await self._misbehave(number, reader, writer):
            return self.fault not in ("close", "garbage", "notice")
        found = self._found(base, scope, filter_, deleted=deleted)
        if found is None:
            writer.write(_message(number, _result(0x65, 32)))
            return True
        waited = -int(cookie or b"0")  # a cookie below zero counts the empty pages
        if page is not None and 0 <= waited < self.empty_pages:
            writer.write(_message(number, _result(0x65, 0), str(-waited - 1).encode()))
            return True
        at = max(0, int(cookie or b"0"))
        most = len(found) if page is None else min(page, self.most_in_page)
        for held in found[at : at + most]:
            writer.write(_message(number, _entry(held, wanted, self.range_size, self.range_option)))
        for _ in range(self.references):
            writer.write(_message(number, tlv(0x73, octets("ldap://127.0.0.1:1/DC=elsewhere"))))
        more = str(at + most).encode() if at + most < len(found) else b""
        if faulty and self.fault == "endless":
            more = b"0"
        control = None if page is None or (faulty and self.fault == "no_cookie") else more
        code = 4 if faulty and self.fault == "size_limit" else 0
        writer.write(_message(number + (5 if faulty and self.fault == "other_id" else 0), _result(0x65, code), control))
        return True

    async def _misbehave(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """True where nothing else is to be answered."""
        if self.fault == "close":
            writer.close()
        elif self.fault == "silent":
            await reader.read()  # until the client goes
        elif self.fault == "garbage":
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif self.fault == "huge":
            writer.write(b"\x30\x84\x7f\xff\xff\xff")
        elif self.fault == "notice":
            writer.write(_message(0, _result(0x78, 52)))
        elif self.fault == "empty":
            writer.write(_message(number, _result(0x65, 0), b"again"))
        elif self.fault == "bind_answer":
            writer.write(_message(number, _result(0x61, 0)))
        else:
            return False
        return True

    def _found(self, base: str, scope: int, filter_: bytes, *, deleted: bool) -> list[Held] | None:
        if scope == 0:
            return self._one(base)
        below = base.lower()
        return [
            held
            for key, held in self.objects.items()
            if (key == below or key.endswith("," + below))
            and (deleted or not held.deleted)
            and self._holds(filter_, held)
        ]

    def _one(self, base: str) -> list[Held] | None:
        if not base:
            root = {"highestcommittedusn": [str(self.changes).encode()], "dsservicename": [NTDS.encode()]}
            return [Held("", root)]
        if base == NTDS:
            return [Held(NTDS, {"invocationid": [self.invocation] if self.invocations is None else self.invocations})]
        held = self.objects.get(base.lower())
        return None if held is None else [held]

    def _holds(self, filter_: bytes, held: Held) -> bool:
        tag, start, stop = element(filter_, 0, len(filter_))
        if tag in (0xA0, 0xA1):
            parts = [self._holds(filter_[s:e], held) for s, e in _whole_elements(filter_, start, stop)]
            return all(parts) if tag == 0xA0 else any(parts)
        if tag == 0xA2:
            return not self._holds(filter_[start:stop], held)
        if tag == 0x87:
            name = filter_[start:stop].decode().lower()
            return name == "objectclass" or name in held.attributes
        inner = Reader(filter_, start, stop)
        if tag == 0xA9:
            return self._in_chain(inner, held)
        name, value = inner.octets().decode().lower(), inner.octets()
        values = held.attributes.get(name, [])
        if tag == 0xA5:
            return any(v.rjust(20) >= value.rjust(20) for v in values)  # numbers, or times of one length
        return value.lower() in [v.lower() for v in values]

    def _in_chain(self, inner: Reader, held: Held) -> bool:
        assert inner.octets(0x81) == b"1.2.840.113556.1.4.1941"
        assert inner.octets(0x82) == b"memberOf"
        seen, waiting = set(), [inner.octets(0x83).decode().lower()]
        while waiting:
            group = self.objects.get(waiting.pop())
            for member in group.attributes.get("member", []) if group else []:
                key = member.decode().lower()
                if key == held.dn.lower():
                    return True
                if key not in seen:
                    seen.add(key)
                    waiting.append(key)
        return False


def _whole_elements(data: bytes, at: int, end: int) -> list[tuple[int, int]]:
    """(start, stop) of each element with its tag and length."""
    found = []
    for _, _, stop in elements(data, at, end):
        found.append((at, stop))
        at = stop
    return found


def _strings(reader: Reader) -> list[str]:
    found = []
    while reader:
        found.append(reader.octets().decode())
    return found


def _controls(message: Reader) -> tuple[int | None, bytes, bool]:
    page, cookie, deleted = None, b"", False
    if message.peek() == 0xA0:
        controls = message.inside(0xA0)
        while controls:
            control = controls.inside(SEQUENCE)
            oid = control.octets().decode()
            assert control.truth(), "our controls are critical"
            if oid == PAGED_RESULTS:
                value = Reader(control.octets()).inside(SEQUENCE)
                page, cookie = value.integer(), value.octets()
            deleted |= oid == SHOW_DELETED
    return page, cookie, deleted


def _message(number: int, operation: bytes, cookie: bytes | None = None) -> bytes:
    controls = b""
    if cookie is not None:
        value = tlv(SEQUENCE, integer(0), octets(cookie))
        controls = tlv(0xA0, tlv(SEQUENCE, octets(PAGED_RESULTS), octets(value)))
    return tlv(SEQUENCE, integer(number), operation, controls)


def _result(tag: int, code: int) -> bytes:
    return tlv(tag, integer(code, ENUMERATED), octets(""), octets("0000208D: in the server's own words"))


def _entry(held: Held, wanted: list[str], range_size: int, wrong: str) -> bytes:
    parts = []
    for want in wanted:
        name, _, option = want.partition(";range=")
        values = held.attributes.get(name, [])
        start = int(option.partition("-")[0]) if option else 0
        if not values:
            continue
        shown = values[start : start + range_size]
        last = start + range_size >= len(values)
        if option or not last:
            right = f"range={start}-{'*' if last else start + len(shown) - 1}"
            name += f";{wrong if wrong and start else right}"
        parts.append(tlv(SEQUENCE, octets(name), tlv(SET, *(octets(v) for v in shown))))
    return tlv(0x64, octets(held.dn), tlv(SEQUENCE, *parts))


@asynccontextmanager
async def simulated_directory(**options: Any) -> AsyncIterator[SimulatedDirectory]:
    directory = SimulatedDirectory(**options)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await directory.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=directory.context)
    directory.port = server.sockets[0].getsockname()[1]
    try:
        yield directory
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
