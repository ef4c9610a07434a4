"""A TCP proxy that hurts what passes through it; and speaks TLS, which the wheel's Valkey does not."""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

from tests.servers import STOP_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.certificates import Credential

Manner = Literal["pass", "hold", "swallow", "cut", "garbage"]

QUIET_TURNS = 5  # of the event loop


class FlakyProxy:
    """A TCP proxy in a thread of its own. What the client says always arrives, but for `swallow`.

    `manner`: `pass` hands the answers on, after `delay_s`; `hold` keeps them until `let_go`; `swallow` loses
    every byte both ways and takes new connections (a partition); `cut` hands on half of the next answer and
    closes; `garbage` puts other bytes in the place of the next answer.
    """

    def __init__(
        self, to: str | Path | tuple[str, int], *, tls: Credential | None = None, trust: Path | None = None
    ) -> None:
        self.manner: Manner = "pass"
        self.delay_s = 0.0
        self.garbage = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        self.held = 0  # answers that lie here
        self.opened = 0  # connections that were made
        self._to = to
        self._tls = _server_side(tls, trust) if tls is not None else None
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._clients: set[asyncio.StreamWriter] = set()  # of them, those to clients
        self._go = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self._tls is None else f"rediss://localhost:{self.port}"

    def let_go(self) -> None:
        """Hand on what is held, and hold no more."""

        async def go() -> None:
            self.manner = "pass"
            self._go.set()

        self._do(go())

    def hold(self) -> None:
        async def hold() -> None:
            self.manner = "hold"
            self._go.clear()

        self._do(hold())

    def swallow(self, *, on: bool) -> None:
        """A partition, and its end: connections from before it stay dead."""
        self.manner = "swallow" if on else "pass"
        if not on:
            self.drop_connections()

    def drop_connections(self) -> None:
        async def drop() -> None:
            for writer in list(self._writers):
                writer.transport.abort()

        self._do(drop())

    def say(self, more: bytes) -> None:
        """To every client, unasked."""

        async def speak() -> None:
            for writer in self._clients:
                writer.write(more)

        self._do(speak())

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            # A connection that was accepted just now becomes a task in a turn to come, and a task that is cancelled
            # before its first step closes nothing. So each gets a step, and what is left is asked of the loop itself.
            for _ in range(QUIET_TURNS):
                rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
                await asyncio.sleep(0)
                for task in rest:
                    task.cancel()
                await asyncio.gather(*rest, return_exceptions=True)
                for transport in list(self._loop._transports.values()):  # type: ignore[attr-defined]
                    transport.abort()
                await asyncio.sleep(0)

        self._do(stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        self._loop.close()

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(STOP_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        ours = [writer]
        self._writers.add(writer)
        with suppress(OSError, asyncio.CancelledError):
            try:
                if isinstance(self._to, tuple):
                    far_reader, far_writer = await asyncio.open_connection(*self._to)
                else:
                    far_reader, far_writer = await asyncio.open_unix_connection(self._to)
                ours.append(far_writer)
                self._writers.add(far_writer)
                self._clients.add(writer)
                await asyncio.gather(self._up(reader, far_writer), self._down(far_reader, writer))
            finally:
                self._clients.discard(writer)
                for one in ours:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if self.manner != "swallow":
                far.write(data)
                await far.drain()
        raise ConnectionResetError

    async def _down(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await far.read(65_536):
            if self.manner == "swallow":
                continue
            if self.manner == "hold":
                self.held += 1
                await self._go.wait()
                self.held -= 1
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.manner == "cut":
                writer.write(data[: len(data) // 2])
                await writer.drain()
                raise ConnectionResetError
            writer.write(self.garbage if self.manner == "garbage" else data)
            await writer.drain()
        raise ConnectionResetError


def _server_side(tls: Credential, trust: Path | None) -> ssl.SSLContext:
    """With `trust`, only clients with a certificate of that authority are let in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=None if trust is None else str(trust))
    context.load_cert_chain(tls.certificate, tls.key)
    if trust is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def flaky_proxy(
    to: str | Path | tuple[str, int], *, tls: Credential | None = None, trust: Path | None = None
) -> Iterator[FlakyProxy]:
    """Before the server with this unix socket or address."""
    proxy = FlakyProxy(to, tls=tls, trust=trust)
    try:
        yield proxy
    finally:
        proxy.close()
