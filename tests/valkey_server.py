"""Real Valkey servers for the tests, and every way to hurt them; on loopback, ended by their process id.

valkey_server()     one server; `kill`, `restart` (empty, at the same address), `freeze`, `thaw`, `fill`
sentinel_service()  a master, a replica and a sentinel
valkey_cluster()    primaries that share the slots
FlakyProxy          stands before a server: delays, holds, cuts, garbles, swallows; speaks TLS, which the wheel's
                    server does not
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis

from pdp.valkey_child import valkey_program
from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, START_S, STOP_S, wait_until_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def valkey_binary() -> str:
    """Skips the test, saying what to install, where there is no server (tests/conftest.py: CI fails on it)."""
    found = shutil.which("valkey-server", path=str(OWN_TOOLS)) or valkey_program()
    found = found or shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        pytest.skip("no `valkey-server` in .tools/bin or PATH: install it with `make tools`")
    return str(found)


def until(condition: Callable[[], Any], what: str) -> None:
    """Look again until it holds. A generous bound, because only a failing test ever reaches it."""
    end = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come about within {START_S:.0f} s")
        time.sleep(LOOK_AGAIN_S)


def _quiet_port() -> int:
    """A free port, and 10,000 above it another for a cluster's bus, both outside the range that the kernel gives to
    outgoing connections: a port of that range can be taken between two lines of a test."""
    while True:
        port = random.SystemRandom().randrange(10_000, 22_000)
        with socket.socket() as one, socket.socket() as other, suppress(OSError):
            one.bind(("127.0.0.1", port))
            other.bind(("127.0.0.1", port + 10_000))
            return port


class ValkeyServer:
    """A running server with a TCP port and a unix socket, until `close`. `control` is a client of the test's own."""

    def __init__(
        self,
        home: Path,
        *,
        password: str = "",
        maxmemory: str = "",
        users: Sequence[str] = (),
        arguments: Sequence[str] = (),
        port: int | None = None,
        host: str = "127.0.0.1",
        namespace: str = "",
    ) -> None:
        self.host = host
        self.port = _quiet_port() if port is None else port
        self.path = home / f"{self.port}.sock"
        self._home = home
        self._password = password
        self._in = ["ip", "netns", "exec", namespace] if namespace else []
        self._arguments = [
            *("--port", str(self.port), "--bind", host, "--unixsocket", str(self.path), "--dir", str(home)),
            *("--save", "", "--appendonly", "no", "--loglevel", "warning", "--protected-mode", "no"),
            *(("--requirepass", password) if password else ()),
            *(("--maxmemory", maxmemory, "--maxmemory-policy", "noeviction") if maxmemory else ()),
            *(word for user in users for word in ("--user", *user.split())),
            *arguments,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.control = redis.Redis(unix_socket_path=str(self.path), password=password or None, protocol=3)
        self.restart()

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.path}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def restart(self) -> None:
        """A new process at the same address, and empty."""
        self.kill()
        words = self._home / f"{self.port}.log"
        self._process = subprocess.Popen(
            [*self._in, valkey_binary(), *self._arguments, "--logfile", str(words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(self._answers, "a Valkey server that answers")
        except RuntimeError:
            self.kill()
            raise RuntimeError("Valkey did not start: " + words.read_text(errors="replace")[-2000:]) from None

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError("it ended")
        try:
            return bool(self.control.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """SIGKILL: connections are reset, the port refuses."""
        self.control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None

    def freeze(self) -> None:
        """The process stands still; the kernel still takes connections and bytes for it."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until_stopped(self.pid)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def fill(self) -> None:
        """Full, and nothing is evicted: every write is refused until `empty`."""
        for number in range(80):
            self.control.set(f"filler:{number}", b"x" * 100_000)
        self.control.config_set("maxmemory-policy", "noeviction")
        self.control.config_set("maxmemory", self.control.info("memory")["used_memory"] - 4_000_000)

    def empty(self) -> None:
        self.control.flushall()

    def close(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                self.thaw()
        self.kill()


@contextmanager
def valkey_server(**options: Any) -> Iterator[ValkeyServer]:
    """`options` are those of ValkeyServer."""
    with _home() as home:
        server = ValkeyServer(home, **options)
        try:
            yield server
        finally:
            server.close()


@contextmanager
def _home() -> Iterator[Path]:
    """A short path: a unix socket's has at most 107 bytes, and pytest's own folders may have more."""
    home = Path(tempfile.mkdtemp(prefix="sekisho-valkey-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


class SentinelService:
    """`service`: a master, a replica and one sentinel that is enough to agree with itself."""

    service = "sekisho"

    def __init__(self, master: ValkeyServer, replica: ValkeyServer, sentinel: ValkeyServer) -> None:
        self.master, self.replica, self.sentinel = master, replica, sentinel

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel.port}/{self.service}/0"

    def fail_over(self) -> None:
        """The master is killed; returns when the sentinel has made the replica master."""
        self.master.kill()
        until(lambda: self.replica.control.info("replication")["role"] == "master", "a new master")


@contextmanager
def sentinel_service(password: str = "", users: Sequence[str] = ()) -> Iterator[SentinelService]:
    """The sentinel itself has no password, and knows none of `users`."""
    with _home() as home, ExitStack() as stack:
        common = ("--repl-diskless-sync-delay", "0", *(("--masterauth", password) if password else ()))
        master = ValkeyServer(home, password=password, users=users, arguments=common)
        stack.callback(master.close)
        following = ("--replicaof", f"127.0.0.1 {master.port}")
        replica = ValkeyServer(home, password=password, users=users, arguments=(*common, *following))
        stack.callback(replica.close)
        until(lambda: replica.control.info("replication")["master_link_status"] == "up", "replication")
        file = home / "sentinel.conf"
        name = SentinelService.service
        file.write_text(
            f"sentinel monitor {name} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {name} 300\n"
            f"sentinel failover-timeout {name} 2000\n" + (f"sentinel auth-pass {name} {password}\n" if password else "")
        )
        sentinel = _Sentinel(home, file)
        stack.callback(sentinel.close)
        until(lambda: sentinel.control.execute_command("SENTINEL REPLICAS", name), "a sentinel that knows the replica")
        yield SentinelService(master, replica, sentinel)


class _Sentinel(ValkeyServer):
    def __init__(self, home: Path, file: Path) -> None:
        super().__init__(home)
        self.kill()
        keep = self._arguments[: self._arguments.index("--save")]
        self._arguments = [str(file), "--sentinel", *keep]
        self.restart()


class ValkeyCluster:
    def __init__(self, nodes: list[ValkeyServer]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def is_whole(self) -> bool:
        return all(node.control.cluster("INFO").get("cluster_state") == "ok" for node in self.nodes)

    def empty(self) -> None:
        for node in self.nodes:
            node.empty()


@contextmanager
def valkey_cluster(primaries: int = 3, users: Sequence[str] = ()) -> Iterator[ValkeyCluster]:
    with _home() as home, ExitStack() as stack:
        nodes = []
        for _ in range(primaries):
            port = _quiet_port()
            options = (
                *("--cluster-enabled", "yes", "--cluster-config-file", f"{port}.conf"),
                *("--cluster-node-timeout", "500", "--cluster-require-full-coverage", "no"),
                *("--cluster-port", str(port + 10_000)),
            )
            node = ValkeyServer(home, port=port, users=users, arguments=options)
            stack.callback(node.close)
            nodes.append(node)
        bounds = [16_384 * number // primaries for number in range(primaries + 1)]
        for number, node in enumerate(nodes):
            node.control.execute_command("CLUSTER ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
            node.control.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            nodes[0].control.execute_command("CLUSTER MEET", "127.0.0.1", node.port)
        cluster = ValkeyCluster(nodes)
        until(cluster.is_whole, "a cluster that is whole")
        yield cluster
