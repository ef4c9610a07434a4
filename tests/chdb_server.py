"""ClickHouse's engine (chDB) behind the HTTP interface of a ClickHouse server, for the real client.

It is a process of its own: chDB is one process and one path, and must not be forked once it runs. Run as
`python -m tests.chdb_server FOLDER PASSWORD`; it says its port on stdout, and ends with its stdin.

What it cannot show is what chDB has not: users and roles, replication, a cluster.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from base64 import b64decode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.servers import STOP_S

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD = "sekisho", "only for tests"

_INSERT = re.compile(r"\s*INSERT INTO (\S+) \(([^)]*)\)\s+FORMAT\s+(\w+)\s*\Z", re.DOTALL | re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*\Z", re.IGNORECASE)
_BESIDE = frozenset(
    {"query", "database", "session_id", "query_id", "client_protocol_version", "compress", "wait_end_of_query"}
)


def main(folder: str, password: str) -> None:
    from chdb import session

    engine = session.Session(f"{folder}/engine")
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/ping"):
                self._answer(200, b"Ok.\n")
            else:
                self.do_POST()

        def do_POST(self) -> None:
            given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
            body = self._body()
            if self._who() != (USER, password):
                self._answer(403, b"Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)", 516)
                return
            statement, data = given.get("query", ""), body
            if not statement and body.lstrip()[:6].upper() == b"INSERT":  # the rows follow the statement's line
                line, _, data = body.partition(b"\n")
                statement = line.decode()
            elif not statement:
                statement, data = body.decode(), b""
            try:
                with turn:
                    answer, kind = run(engine, statement, data, given, folder)
                self._answer(200, answer, kind=kind)
            except RuntimeError as fault:
                code = re.search(r"Code: (\d+)", str(fault))
                self._answer(500, str(fault).encode(), int(code[1]) if code else 1)

        def _body(self) -> bytes:
            if self.headers.get("transfer-encoding", "") != "chunked":
                return self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def _who(self) -> tuple[str, str]:
            said = self.headers.get("authorization", "")
            if said.startswith("Basic "):
                name, _, secret = b64decode(said[6:]).decode().partition(":")
                return name, secret
            return self.headers.get("x-clickhouse-user", ""), self.headers.get("x-clickhouse-key", "")

        def _answer(self, status: int, body: bytes, code: int = 0, kind: str = "") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.send_header("x-clickhouse-summary", json.dumps({"written_rows": "0"}))
            if code:
                self.send_header("x-clickhouse-exception-code", str(code))
            if kind:
                self.send_header("x-clickhouse-format", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that has gone is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    # Not closed in order: whoever starts it throws the folder away, and the engine takes its time.
    os._exit(0)


def run(engine: Any, statement: str, data: bytes, given: dict[str, str], folder: str) -> tuple[bytes, str]:
    """What a server answers, and in which format. Raises RuntimeError, as the engine does."""
    params = {name.removeprefix("param_"): value for name, value in given.items() if name.startswith("param_")}
    settings = {n: v for n, v in given.items() if n not in _BESIDE and not n.startswith("param_") and n != "use"}
    if given.get("database"):
        with contextlib.suppress(RuntimeError):  # a server says so with the first statement that needs it
            engine.query(f"USE {given['database']}")
    for name, value in settings.items():
        engine.query(f"SET {name} = '{value}'")
    try:
        insert = _INSERT.match(statement)
        if insert is not None:
            return _insert(engine, insert, data, folder), ""
        found = _FORMAT.search(statement)
        kind = found[1] if found else "TabSeparated"
        text = statement[: found.start()] if found else statement
        answer = engine.query(text, kind, params=params or None)
        return bytes(answer.bytes() or b"") if hasattr(answer, "bytes") else b"", kind
    finally:
        for name in settings:
            engine.query(f"SET {name} = DEFAULT")


def _insert(engine: Any, insert: re.Match[str], data: bytes, folder: str) -> bytes:
    table, columns, kind = insert.groups()
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".block") as file:
        file.write(data)
        file.flush()
        engine.query(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM file('{file.name}', '{kind}')")
    return b""


class ChdbServer:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(STOP_S)


@contextmanager
def chdb_server(folder: Path) -> Iterator[ChdbServer]:
    """Skips the test, saying what to install, where there is no chDB (tests/conftest.py: CI fails on it)."""
    if find_spec("chdb") is None:
        pytest.skip("no `chdb` in the environment: install it with `make dev`")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chdb_server", str(folder), PASSWORD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        if not said.strip().isdigit():
            raise RuntimeError("chDB did not start")
        yield ChdbServer(process, int(said))
    finally:
        process.stdin.close()
        process.stdout.close()
        process.kill()
        process.wait(STOP_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
