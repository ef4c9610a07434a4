"""A real gRPC listener on loopback, in a thread of its own, for a check of a test."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pdp.api.grpc_listener import ListenerSettings, listening_grpc
from pdp.api.surface import Probe
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pdp.api.grpc_listener import Authorization

START_S = 10.0
STOP_S = 15.0


def well() -> Sequence[Probe]:
    return (Probe("test", ok=True),)


@contextmanager
def serving_grpc(
    make: Callable[[], Authorization],
    settings: ListenerSettings | None = None,
    readiness: Callable[[], Sequence[Probe]] = well,
) -> Iterator[int]:
    """The port on which the check that `make` makes is answered until the block ends."""
    running = _Running(make, settings or ListenerSettings(), readiness)
    thread = threading.Thread(target=lambda: asyncio.run(running.run()), name="grpc", daemon=True)
    thread.start()
    if not running.ready.wait(START_S) or running.port == 0:
        raise RuntimeError("the gRPC listener did not start") from running.fault
    try:
        yield running.port
    finally:
        running.end()
        thread.join(STOP_S)
        if thread.is_alive():
            raise RuntimeError("the gRPC listener did not stop")


class _Running:
    def __init__(
        self,
        make: Callable[[], Authorization],
        settings: ListenerSettings,
        readiness: Callable[[], Sequence[Probe]],
    ) -> None:
        self.ready = threading.Event()
        self.port = 0
        self.fault: Exception | None = None
        self._make = make
        self._settings = settings
        self._readiness = readiness
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    async def run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with listening_grpc(self._settings, self._make(), self._readiness) as self.port:
                self.ready.set()
                await self._over.wait()
        except SettingsError as fault:
            self.fault = fault
        finally:
            self.ready.set()

    def end(self) -> None:
        assert self._loop is not None
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
