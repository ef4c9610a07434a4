"""The connection: what an attacker on the way may do before and during StartTLS, and servers that stall."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from connectors.identity.ldap.client import Bind, Server, connected
from connectors.identity.ldap.messages import START_TLS
from pdp.errors import ConnectorError
from tests.certificates import Authority
from tests.servers import free_port
from tests.unit.connectors.identity.ldap.simulated_directory import simulated_directory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

OK_TO_START_TLS = bytes.fromhex("300c02010178070a010004000400")
OK_TO_BIND = bytes.fromhex("300c02010261070a010004000400")


@asynccontextmanager
async def serving(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """The port of a server whose connections are all ended at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await handle(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


@asynccontextmanager
async def scripted(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers the n-th thing it hears with the n-th of `answers`, and then stays silent; what it heard."""
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            heard.append(await reader.read(4_096))
            writer.write(answer)
            await writer.drain()
        while data := await reader.read(4_096):
            heard.append(data)

    async with serving(handle) as port:
        yield port, heard


async def refused(server: Server, bind: Bind) -> ConnectorError:
    with pytest.raises(ConnectorError) as raised:
        async with connected(server, bind):
            raise AssertionError("bound")
    return raised.value


async def test_an_answer_that_is_injected_before_tls_is_refused(tmp_path: Path):
    """The classic: the attacker appends the answer to the bind, in plain text, to the answer to StartTLS."""
    context = ssl.create_default_context(cafile=str(Authority(tmp_path).certificate))
    async with scripted(OK_TO_START_TLS + OK_TO_BIND) as (port, heard):
        fault = await refused(Server("127.0.0.1", port, context, start_tls=True, timeout_s=2), Bind("cn=a", "secret"))
    assert fault.fault == "malformed"
    assert START_TLS.encode() in heard[0]
    assert not any(b"secret" in data for data in heard)


async def test_an_answer_that_is_injected_a_moment_later_is_not_read_either(tmp_path: Path):
    context = ssl.create_default_context(cafile=str(Authority(tmp_path).certificate))
    async with scripted(OK_TO_START_TLS, OK_TO_BIND) as (port, heard):  # the second after our ClientHello
        await refused(Server("127.0.0.1", port, context, start_tls=True, timeout_s=2), Bind("cn=a", "secret"))
    assert len(heard) >= 2
    assert not any(b"secret" in data for data in heard)


@pytest.mark.parametrize("start_tls", [True, False])
async def test_a_server_that_never_speaks_tls_is_left_in_time(tmp_path: Path, start_tls):
    context = ssl.create_default_context(cafile=str(Authority(tmp_path).certificate))
    async with scripted(*([OK_TO_START_TLS] if start_tls else [])) as (port, _):
        fault = await refused(Server("127.0.0.1", port, context, start_tls=start_tls, timeout_s=0.2), Bind("a", "b"))
    assert fault.fault == "timeout"


async def test_a_port_that_nobody_listens_on_is_unreachable():
    fault = await refused(Server("127.0.0.1", free_port(), None, timeout_s=2), Bind("a", "b"))
    assert fault.fault == "unreachable"


async def test_a_server_that_drips_bytes_is_left_in_time():
    """Each byte in time, the whole never: the deadline is the operation's, not the byte's."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4_096)
        writer.write(b"\x30\x84\x00\x10\x00\x00")
        while True:
            writer.write(b"\x00")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(drip) as port:
        fault = await refused(Server("127.0.0.1", port, None, timeout_s=0.3), Bind("a", "b"))
    assert fault.fault == "timeout"


async def test_the_password_does_not_stand_in_a_binds_own_words():
    assert "secret" not in repr(Bind("cn=a", "secret"))


async def test_a_client_that_is_done_says_goodbye():
    async with simulated_directory() as directory:
        async with connected(Server("127.0.0.1", directory.port, None, timeout_s=2), Bind("cn=a", "secret")) as client:
            assert await client.read("CN=nobody,DC=pref", ("cn",)) is None
        await asyncio.wait_for(directory.idle.wait(), 5)
