"""A whole checkpoint behind its real HTTP surface, whose clock and directory a test sets between requests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import uuid_utils

from pdp.activation import Activation
from pdp.api.app import serve_app
from pdp.api.grpc_listener import Authorization, ListenerSettings, listening_grpc
from pdp.api.surface import Probe, Surface
from pdp.bundle.bundle import Bundle
from pdp.cache.levels import VerdictCache
from pdp.callers.caller import Callers, UnsafeAnyone
from pdp.decide import Checkpoint
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.errors import RecordFailedError
from pdp.house import House
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NoIssuer
from pdp.metrics import Metrics
from pdp.model.directory import Snapshot
from pdp.wire.authzen import authzen_routes
from pdp.wire.ext_authz_http import ExtAuthzHttp
from pdp.wire.forward_auth import ForwardAuth
from pdp.wire.gateway_check import CheckSettings


class MemoryLog:
    """A decision log that a test can read."""

    def __init__(self) -> None:
        self.records: list[bytes] = []
        self.full = False

    async def append(self, record: bytes) -> None:
        if self.full:
            raise RecordFailedError("the log is full")
        self.records.append(record)

    def begin(self, record: bytes) -> asyncio.Future[None] | None:
        if self.full:
            raise RecordFailedError("the log is full")
        self.records.append(record)
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        kept.set_result(None)
        return kept

    def find(self, decision_id: str) -> bytes | None:
        return next((record for record in self.records if json.loads(record)["id"] == decision_id), None)

    def writable(self) -> bool:
        return not self.full

    @property
    def spilling_since(self) -> None:
        return None

    @property
    def unrecorded(self) -> int:
        return 0

    async def close(self) -> None:
        return


class Stage:
    """An ASGI application. `now` and `snapshot` are what the next request finds; `log` holds the records.

    Start it with the lifespan on: the engine belongs to the server's event loop. With a `grpc_port` it answers
    Envoy's checks over gRPC there as well.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        now: datetime,
        snapshot: Snapshot,
        callers: Callers | None = None,
        engine: Callable[[], Engine] = RegorusEngine,
        cache: VerdictCache | None = None,
        grpc_port: int | None = None,
    ) -> None:
        self.now = now
        self.snapshot = snapshot
        self.stale = False
        self.log = MemoryLog()
        self.metrics = Metrics()
        self._bundle = bundle
        self._callers = callers or UnsafeAnyone()
        self._make_engine = engine
        self.cache = cache
        self.grpc_port = grpc_port
        self._app: Any = None
        self._check: Any = None

    def current(self) -> Snapshot:
        return self.snapshot

    def is_stale(self) -> bool:
        return self.stale

    async def open(self) -> Engine:
        engine = self._make_engine()
        activation = Activation(engine)
        await activation.activate(self._bundle)
        checkpoint = Checkpoint(
            House(
                clock=lambda: self.now,
                stopwatch=time.perf_counter_ns,
                new_id=lambda: str(uuid_utils.uuid7()),
                policies=activation,
                directory=self,
                levels=LevelTable(),
                tokens=NoIssuer(),
                engine=engine,
                log=self.log,
                observer=self.metrics,
                cache=self.cache,
            )
        )

        def profile() -> Any:
            return activation.active().bundle.profile

        self._check = Authorization(checkpoint, self._callers, CheckSettings(), profile)
        self._app = serve_app(
            Surface(
                exact=authzen_routes(
                    checkpoint, self._callers, profile=profile, public_url="http://127.0.0.1:8080", searching=None
                ),
                prefixes={
                    "/envoy/": ExtAuthzHttp(checkpoint, self._callers, CheckSettings(), profile),
                    "/authz/forward/": ForwardAuth(checkpoint, self._callers, CheckSettings(), profile),
                },
                readiness=lambda: (Probe("stage", ok=True),),
                metrics=self.metrics.render,
            )
        )
        return engine

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        await receive()
        engine = await self.open()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.close)
            if self.grpc_port is not None:
                listener = ListenerSettings(port=self.grpc_port)
                await stack.enter_async_context(listening_grpc(listener, self._check, tuple))
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
