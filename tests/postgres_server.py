"""A real PostgreSQL for the tests: a cluster of its own on loopback, ended by its process id.

PostgreSQL refuses to run as root; as root it runs as the user `postgres` (or `nobody`).
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.servers import LOOK_AGAIN_S, OWN_TOOLS, START_S, STOP_S, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_ICU = "LOCALE_PROVIDER icu ICU_LOCALE 'ja' LOCALE 'C.UTF-8'"  # sorts unlike Python, so that an order by locale shows


def postgres_binaries() -> Path:
    """The folder of `initdb` and `postgres`. Skips where there is none (tests/conftest.py: CI fails on it)."""
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name), reverse=True)
    found = shutil.which("initdb")
    for folder in (OWN_TOOLS, *packaged, *([Path(found).resolve().parent] if found else [])):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("no PostgreSQL in .tools/bin, /usr/lib/postgresql or PATH: install it with `make tools`")


class PostgresServer:
    def __init__(self, port: int) -> None:
        self.port = port
        self._made = 0

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://sekisho@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "template0") -> str:
        """The name of a fresh database, a copy of `template` where one is named."""
        self._made += 1
        name = f"test_{self._made}"
        with self.connect("postgres") as connection:
            icu = _ICU if template == "template0" else ""
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {icu}")
        return name

    def connect(self, database: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="sekisho", dbname=database, autocommit=True, connect_timeout=5
        )


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A running server without durability: it is thrown away at the end of the block."""
    binaries = postgres_binaries()
    home = Path(tempfile.mkdtemp(prefix="sekisho-postgres-"))
    other: dict[str, Any] = {}
    if os.geteuid() == 0:
        other = {"user": _unprivileged(), "group": pwd.getpwnam(_unprivileged()).pw_gid, "extra_groups": []}
        shutil.chown(home, _unprivileged())
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "cwd": home, **other}
    data = home / "data"
    process = None
    try:
        init = [str(binaries / "initdb"), "-D", str(data), "-U", "sekisho", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run([*init, "--locale=C.UTF-8"], check=True, timeout=60, stderr=subprocess.PIPE, **quiet)
        server = PostgresServer(free_port())
        options = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": str(home), "port": str(server.port),
            "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "50",
        }  # fmt: skip
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [str(binaries / "postgres"), "-D", str(data), *settings], stderr=subprocess.DEVNULL, **quiet
        )
        _wait(server, process)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # "fast shutdown": sessions are ended, not waited for
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged() -> str:
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        return "nobody"


def _wait(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            server.connect("postgres").close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(LOOK_AGAIN_S)
        else:
            return
