"""Real servers for the tests, on loopback, on free ports, ended by their process id.

`opa_server()` starts an OPA. Its port is chosen once, so that `restart` comes back at the same address.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.certificates import Credential

START_S = 15.0
STOP_S = 10.0
LOOK_AGAIN_S = 0.02

OWN_TOOLS = Path(__file__).resolve().parents[1] / ".tools" / "bin"


def opa_binary() -> str:
    """Skips the test, saying what to install, where there is no OPA (tests/conftest.py: CI fails on it)."""
    found = shutil.which("opa", path=str(OWN_TOOLS)) or shutil.which("opa")
    if found is None:
        pytest.skip("no `opa` in .tools/bin or PATH: install it with `make tools`")
    return found


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether somebody takes connections on this port of the loopback."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class OpaServer:
    """A running OPA, until `kill`. `restart` starts an empty one at the same address."""

    def __init__(
        self, arguments: Sequence[str] = (), trust: Path | None = None, certificate: Credential | None = None
    ) -> None:
        self._arguments = list(arguments)
        self._context = None if trust is None else ssl.create_default_context(cafile=str(trust))
        if self._context is not None and certificate is not None:
            self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._process: subprocess.Popen[bytes] | None = None
        # A file and not a pipe, which could fill up and block it.
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
        self.port = free_port()
        self.restart()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self._context is None else f"https://localhost:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def restart(self) -> None:
        self.kill()
        self._process = subprocess.Popen(
            [
                opa_binary(),
                "run",
                "--server",
                "--disable-telemetry",  # without it, OPA asks the internet for newer versions
                f"--addr=127.0.0.1:{self.port}",
                "--log-level=error",
                *self._arguments,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._words,
            env={**os.environ, "GOMAXPROCS": "2"},
        )
        deadline = time.monotonic() + START_S
        while not self._is_healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                self._words.seek(0)
                raise RuntimeError("OPA did not start: " + self._words.read().decode(errors="replace")[-2000:])
            time.sleep(LOOK_AGAIN_S)

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health?bundles", timeout=1, context=self._context) as answer:
                return answer.status == 200
        except (URLError, OSError):
            return False

    def pause(self) -> None:
        """Stop the process; returns when every one of its threads stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until_stopped(self.pid)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None

    def close(self) -> None:
        self.kill()
        self._words.close()


@contextmanager
def opa_server(
    *arguments: str, trust: Path | None = None, certificate: Credential | None = None
) -> Iterator[OpaServer]:
    """An OPA until the block ends. `arguments` go to `opa run`.

    With `trust`, a PEM file, it is asked over TLS; `certificate` is what is shown to it.
    """
    server = OpaServer(arguments, trust, certificate)
    try:
        yield server
    finally:
        server.close()


def wait_until_stopped(pid: int) -> None:
    """SIGSTOP reaches a busy process some time after `kill` returns: its threads are looked at until all have stopped."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        states = [
            task.joinpath("stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{pid}/task").iterdir()
        ]
        if set(states) == {"T"}:
            return
        time.sleep(LOOK_AGAIN_S)
    raise RuntimeError(f"process {pid} did not stop")
