"""A real uvicorn on loopback, in a thread of its own, for an ASGI application of a test."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import uvicorn

from pdp.api.direct import DirectProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 10.0
STOP_S = 10.0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(app: Any, *, lifespan: Literal["on", "off"] = "off", **options: Any) -> Iterator[int]:
    """The port on which `app` answers until the block ends. Requests that still run are then cancelled.

    `options` are uvicorn's.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listening:
        config = uvicorn.Config(
            app,
            http=DirectProtocol,
            ws="none",
            lifespan=lifespan,
            log_level="critical",
            server_header=False,
            proxy_headers=False,  # as in pdp.server; with them, the lane is not the application
            backlog=2048,
            **{"access_log": False, "timeout_graceful_shutdown": 1, **options},
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="uvicorn", daemon=True)
        thread.start()
        if not server.ready.wait(START_S):
            raise RuntimeError("uvicorn did not start")
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(STOP_S)
            if thread.is_alive():
                raise RuntimeError("uvicorn did not stop")
