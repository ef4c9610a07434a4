"""Processes of a benchmark: started, awaited, weighed through /proc, and ended by their ids. Linux only."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_S: Final = 60.0
STOP_S: Final = 20.0
LOOK_AGAIN_S: Final = 0.005
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The run cannot go on. The message is for whoever started it."""


@dataclass
class Server:
    """One server under test. `helpers` are servers that it needs (Redis, an engine); they end with it."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path
    ready_s: float = 0.0  # from the start of the process to the first answer that says ready
    helpers: list[Server] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        """The process and everything below it, without the helpers."""
        return family(self.process.pid)

    def rest(self) -> None:
        """Stop the family and the helpers where they are (SIGSTOP), so that they take nothing from who is measured."""
        self._tell(signal.SIGSTOP)

    def go_on(self) -> None:
        self._tell(signal.SIGCONT)

    def _tell(self, word: signal.Signals) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError):  # a child that has ended meanwhile
                os.kill(pid, word)
        for helper in self.helpers:
            helper._tell(word)  # noqa: SLF001  # of this class

    def close(self) -> None:
        """SIGTERM, then SIGKILL for whatever of its family is left; then the helpers."""
        self.go_on()
        pids = self.pids if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_S)
        for pid in pids[1:]:
            _kill(pid)
        for helper in self.helpers:
            helper.close()


def start(  # noqa: PLR0913  # each is one thing that the system asks for
    name: str,
    command: Sequence[str],
    port: int,
    ready: str,
    place: Path,
    *,
    environment: Mapping[str, str] | None = None,
    core: int | None = None,
    method: str = "GET",
) -> Server:
    """Start `command` and wait until `ready`, a path on `port`, answers 200; "" waits for the port alone.

    No setting of this shell reaches it. Raises BenchError, with the end of what it said, where it does not come up.
    """
    place.mkdir(parents=True, exist_ok=True)
    log = place / "output.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PDP_", "REDIS", "OPA_", "CERBOS"))}
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*pinned, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**clean, **(environment or {})},
            cwd=place,
        )
    server = Server(name, process, port, log)
    while not _is_ready(port, ready, method):
        if process.poll() is not None or time.perf_counter() - began > START_S:
            server.close()
            raise BenchError(f"{name} did not start: {log.read_text(encoding='utf-8', errors='replace')[-1500:]}")
        time.sleep(LOOK_AGAIN_S)
    server.ready_s = time.perf_counter() - began
    return server


def _is_ready(port: int, path: str, method: str) -> bool:
    try:
        if not path:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return True
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request(method, path)
            return connection.getresponse().status == 200
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[int]:
    """The process, then its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        fields = _stat(int(stat.parent.name))
        if fields:
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for known in found:
        found += children.get(known, [])
    return found


def cpu_s(pids: Sequence[int]) -> float:
    """User and system time of all threads, in seconds; a process that has ended counts nothing."""
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def thread_cpu_s(pid: int) -> dict[int, float]:
    """Seconds of each thread of a process, by its id; the main thread's is the process's."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        found[int(task.name)] = (int(fields[11]) + int(fields[12])) / _TICKS
    return found


@dataclass(frozen=True)
class Weight:
    """Memory in MB (10**6 bytes) of a process; `pss` counts what is shared in part."""

    name: str
    rss: float
    pss: float


def memory(pids: Sequence[int]) -> list[Weight]:
    found = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            name = _name(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        kb = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
        found.append(Weight(name, kb["Rss"] * 1024 / 1e6, kb["Pss"] * 1024 / 1e6))
    return found


def _name(pid: int) -> str:
    """The module of ours that a Python runs (`notary`, `regorus`), else the command."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    if "-m" in words[:-1]:
        return words[words.index("-m") + 1].rpartition(".")[2].removesuffix("_child")
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def _stat(pid: int) -> list[str]:
    """The fields after the name; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
