"""`pdp serve`: one or several uvicorn workers, each composed by `pdp.main`, on one listening socket."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import msgspec
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from pdp.api.direct import DirectProtocol
from pdp.api.tls import TlsFiles, listener_context
from pdp.ending import end
from pdp.errors import SekishoError, SettingsError
from pdp.garbage import Garbage
from pdp.logs import configure_logs, get_log
from pdp.settings import Settings

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import Receive, Scope, Send

    from pdp.api.lane import Lane

_SETTINGS: Final = "PDP_SETTINGS_JSON"  # from the parent to its workers
_BACKLOG: Final = 2048  # connections that wait while all workers are busy
_START_S: Final = 60  # a worker reads the directory and proves the policy; a second or two, on a busy host more
_GRACE_S: Final = 10  # for answers under way when the service stops
# How long a thread that computes beside the decisions (a new directory, a new table: seconds) may keep a decision that
# is due waiting, each time. Python's own is 5 ms. Shorter than half a millisecond costs more than it brings.
_log = get_log("pdp.server")


def serve(settings: Settings) -> None:
    """Run until a signal ends it. A worker that cannot start says why in its log; then the exit code is 3."""
    configure_logs(settings.log_level)
    with ExitStack() as stack:
        introduction = ""
        if settings.demo:
            from pdp.demo import prepare_demo

            settings, introduction = prepare_demo(settings)
            settings = _with_valkey(settings, stack)
        _serve(settings, introduction)


def _with_valkey(settings: Settings, stack: ExitStack) -> Settings:
    """A demonstration brings its own shared cache, one for all workers; it ends with this process."""
    if settings.redis_url or not settings.demo_valkey:
        return settings
    from pdp.valkey_child import valkey_child

    runner = stack.enter_context(asyncio.Runner())
    child = valkey_child(settings.state_path)
    url = runner.run(child.__aenter__())
    stack.callback(lambda: runner.run(child.__aexit__(None, None, None)))
    return msgspec.structs.replace(settings, redis_url=url or "")


def _tls_context(_: uvicorn.Config, __: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """For uvicorn, in each worker."""
    return listener_context(_tls_files(msgspec.json.decode(os.environ[_SETTINGS], type=Settings)))


def _tls_files(settings: Settings) -> TlsFiles:
    return TlsFiles(
        settings.tls_cert_file,
        settings.tls_key_file,
        settings.tls_client_ca_file,
        settings.tls_client_certificate,
        settings.tls_client_crl,
    )


def _check_tls(settings: Settings) -> None:
    """Raises SettingsError before anything is started."""
    if settings.tls_cert_file:
        listener_context(_tls_files(settings))
    elif settings.tls_key_file or settings.tls_client_certificate != "off":
        raise SettingsError("`tls_cert_file` is missing, and TLS is asked for")


def _serve(settings: Settings, introduction: str) -> None:
    _check_tls(settings)
    config = uvicorn.Config(
        "pdp.server:worker",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        loop="uvloop",
        http=DirectProtocol,  # httptools, and decisions without the ASGI cycle
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a forwarded address is read by the wire formats, by their own rules
        ssl_context_factory=_tls_context if settings.tls_cert_file else None,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_S,
    )
    config.reset_contextvars = True  # no request begins in the context of another; older uvicorns take no such argument
    listening = config.bind_socket()
    settings = msgspec.structs.replace(settings, port=listening.getsockname()[1])
    os.environ[_SETTINGS] = msgspec.json.encode(settings).decode()
    if settings.workers == 1:
        server = _Server(config, introduction.replace("{base_url}", settings.base_url))
        server.run(sockets=[listening])
        if not server.started:
            sys.exit(STARTUP_FAILURE)
        return
    _share_metrics(settings)
    workers = _Workers(config, [listening], introduction.replace("{base_url}", settings.base_url))
    workers.run()
    if any(process.exitcode == STARTUP_FAILURE for process in workers.processes):
        sys.exit(STARTUP_FAILURE)


def worker() -> Worker:
    """The ASGI application of one worker process."""
    gc.disable()  # a start makes 200,000 objects that stay: looking at them again and again took a seventh of its time
    settings = msgspec.json.decode(os.environ[_SETTINGS], type=Settings)
    configure_logs(settings.log_level)
    return Worker(settings)


class Worker:
    """Composes at start, decides until the end. A start that fails is told in one line, not in a traceback."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app: Lane | None = None
        self._garbage = Garbage()

    @property
    def lane(self) -> Lane | None:
        """For `pdp.api.direct`; there is one as soon as there are connections."""
        return self._app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            assert self._app is not None  # uvicorn takes connections after the start
            await self._app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        from pdp.main import compose

        await receive()
        composed: AbstractAsyncContextManager[Any] = compose(self._settings)
        try:
            service = await composed.__aenter__()
        except SekishoError as fault:
            _log.error("the service cannot start", code=fault.code, reason=fault.message, next=fault.next_step)
            await send({"type": "lifespan.startup.failed", "message": fault.message})
            return
        self._app = service.app
        self._garbage.settle()
        keeping = asyncio.create_task(self._garbage.keep(), name="garbage")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await end(keeping)
        await composed.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


class _Server(uvicorn.Server):
    """Says that it is ready when it is, not before."""

    def __init__(self, config: uvicorn.Config, introduction: str) -> None:
        super().__init__(config)
        self._introduction = introduction

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            _say(self._introduction)


class _Workers(Multiprocess):
    """Says that the service is ready when every worker is."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], introduction: str) -> None:
        super().__init__(config, sockets)
        self._introduction = introduction

    def init_processes(self) -> None:
        super().init_processes()
        if all(process.wait_until_ready(_START_S, self.should_exit) for process in self.processes):
            _say(self._introduction)


def _share_metrics(settings: Settings) -> None:
    """Several workers: prometheus-client joins them through files, which must be empty at the start."""
    place = settings.state_path / "metrics"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(place)


def _say(text: str) -> None:
    if text:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
