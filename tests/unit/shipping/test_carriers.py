"""The carriers against real receivers on loopback: what counts as taken, and what does not."""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pdp.errors import SettingsError
from pdp.model.log_target import LogTarget
from pdp.shipping.fleet import carrier_of, mask_of
from pdp.shipping.port import Event, RefusedError, UndeliveredError
from tests.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def events(count: int) -> list[Event]:
    return [
        Event(b'{"n":%d}' % n, "2026-04-01T00:00:00.123456Z", "node-1", "w0", n, "info", "decision")
        for n in range(1, count + 1)
    ]


class Listener:
    """A TCP server that gives each connection to `serve`, one after the other."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._serve(connection)
                except (OSError, ssl.SSLError):
                    continue

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


@contextmanager
def listening(serve: Callable[[Listener, socket.socket], None]) -> Iterator[Listener]:
    listener = Listener(lambda connection: serve(listener, connection))
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def server_context(authority: Authority) -> ssl.SSLContext:
    server = authority.issue("localhost", "siem", host="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    return context


def read_all(listener: Listener, connection: socket.socket) -> None:
    while said := connection.recv(65_536):
        listener.heard += said


def frames(data: bytes) -> list[bytes]:
    found = []
    while data:
        count, _, rest = data.partition(b" ")
        found.append(rest[: int(count)])
        data = rest[int(count) :]
    return found


def test_a_batch_over_tls_arrives_whole_and_framed(authority: Authority, server_context: ssl.SSLContext):
    def serve(listener: Listener, connection: socket.socket) -> None:
        with server_context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as tls:
            read_all(listener, tls)
            tls.unwrap().close()

    with listening(serve) as listener:
        target = LogTarget(name="t", to=f"tls://localhost:{listener.port}", ca_file=str(authority.certificate))
        carrier = carrier_of(target)
        carrier.send(events(2_000))
        carrier.send(events(1))
        heard = frames(listener.heard)
    assert len(heard) == 2_001
    assert [json.loads(one.rpartition(b" ")[2])["n"] for one in heard[:3]] == [1, 2, 3]


def test_a_certificate_of_another_authority_or_name_gets_nothing(
    authority: Authority, server_context: ssl.SSLContext, tmp_path: Path
):
    def serve(listener: Listener, connection: socket.socket) -> None:
        with server_context.wrap_socket(connection, server_side=True) as tls:
            read_all(listener, tls)

    other = Authority(tmp_path)
    with listening(serve) as listener:
        for host, trusted in (("localhost", other.certificate), ("127.0.0.1", authority.certificate)):
            target = LogTarget(name="t", to=f"tls://{host}:{listener.port}", ca_file=str(trusted))
            with pytest.raises(UndeliveredError) as told:
                carrier_of(target).send(events(1))
            assert told.value.fault == "certificate"
        assert listener.heard == b""


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def test_a_receiver_that_dies_before_it_read_everything_has_taken_nothing():
    def serve(listener: Listener, connection: socket.socket) -> None:
        connection.recv(10)
        _reset(connection)

    with listening(serve) as listener:
        carrier = carrier_of(LogTarget(name="t", to=f"tcp://127.0.0.1:{listener.port}"))
        with pytest.raises(UndeliveredError):
            carrier.send(events(5_000))


def test_a_tls_end_that_nobody_signed_for_is_no_end(authority: Authority, server_context: ssl.SSLContext):
    """Somebody on the way can forge the end of a TCP connection, but not `close_notify`."""

    def serve(listener: Listener, connection: socket.socket) -> None:
        with server_context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as tls:
            heard = b""
            while not heard.endswith(b'{"n":3}'):
                heard += tls.recv(65_536)

    with listening(serve) as listener:
        target = LogTarget(name="t", to=f"tls://localhost:{listener.port}", ca_file=str(authority.certificate))
        with pytest.raises(UndeliveredError):
            carrier_of(target).send(events(3))


def test_a_receiver_that_hangs_is_given_up_at_the_deadline():
    done = threading.Event()

    def serve(listener: Listener, connection: socket.socket) -> None:
        done.wait(10)

    with listening(serve) as listener:
        target = LogTarget(name="t", to=f"tcp://127.0.0.1:{listener.port}", deadline_s=0.2)
        with pytest.raises(UndeliveredError) as told:
            carrier_of(target).send(events(1))
        done.set()
    assert told.value.fault == "timeout"


def test_nobody_listens(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for to in (f"tcp://127.0.0.1:{port}", f"http://127.0.0.1:{port}/x"):
        with pytest.raises(UndeliveredError) as told:
            carrier_of(LogTarget(name="t", to=to)).send(events(1))
        assert told.value.fault == "unreachable"


class Http:
    """A receiver of batches; `answers` are statuses with headers, then 200."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.requests: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *args: object) -> None:
                return None

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/in"
        self._thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(10)


@pytest.fixture
def http() -> Iterator[Http]:
    server = Http()
    yield server
    server.close()


def http_target(http: Http, **options: Any) -> LogTarget:
    return LogTarget(**({"name": "t", "to": http.url} | options))


def test_a_batch_of_json_lines_is_compressed_and_carries_the_token(http: Http, tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("secret-1\n")
    carrier = carrier_of(http_target(http, token_file=str(token), token_scheme="Splunk"))
    carrier.send(events(3))
    token.write_text("secret-2\n")
    carrier.send(events(1))
    headers, body = http.requests[0]
    assert gzip.decompress(body) == b'{"n":1}\n{"n":2}\n{"n":3}\n'
    assert headers["content-type"] == "application/x-ndjson"
    assert headers["authorization"] == "Splunk secret-1"
    assert http.requests[1][0]["authorization"] == "Splunk secret-2"


def test_a_batch_may_be_a_json_array_in_plain(http: Http):
    carrier_of(http_target(http, body="array", gzip=False)).send(events(2))
    headers, body = http.requests[0]
    assert json.loads(body) == [{"n": 1}, {"n": 2}]
    assert headers["content-type"] == "application/json"
    assert "content-encoding" not in headers


@pytest.mark.parametrize("status", [200, 202, 204])
def test_only_a_success_counts_as_taken(http: Http, status: int):
    http.answers = [(status, {})]
    carrier_of(http_target(http)).send(events(1))


@pytest.mark.parametrize("status", [301, 307, 401, 403, 404, 429, 500, 503])
def test_everything_else_is_not_taken_and_a_redirect_is_not_followed(http: Http, status: int):
    http.answers = [(status, {"retry-after": "7", "location": http.url})]
    with pytest.raises(UndeliveredError) as told:
        carrier_of(http_target(http)).send(events(1))
    assert told.value.fault == f"http_{status}"
    assert told.value.retry_after_s == 7.0
    assert len(http.requests) == 1


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_wrong_with_the_content_is_said_to_be(http: Http, status: int):
    http.answers = [(status, {})]
    with pytest.raises(RefusedError):
        carrier_of(http_target(http)).send(events(1))


def test_a_file_gets_one_event_a_line_and_may_be_renamed(tmp_path: Path):
    path = tmp_path / "out.ndjson"
    carrier = carrier_of(LogTarget(name="t", to=f"file:{path}"))
    carrier.send(events(2))
    path.rename(tmp_path / "out.1")
    carrier.send(events(1))
    assert (tmp_path / "out.1").read_bytes() == b'{"n":1}\n{"n":2}\n'
    assert path.read_bytes() == b'{"n":1}\n'
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_that_cannot_be_written_is_not_taken(tmp_path: Path):
    with pytest.raises(UndeliveredError):
        carrier_of(LogTarget(name="t", to=f"file:{tmp_path}/missing/out")).send(events(1))


@pytest.mark.parametrize(
    "options",
    [
        {"to": "tcp://siem.example:514"},
        {"to": "http://siem.example/in"},
        {"to": "udp://127.0.0.1:514"},
        {"to": "https://user:pw@siem.example/"},
        {"to": "tls://siem.example/path"},
        {"to": "tls://:6514"},
        {"to": "tls://siem.example:99999"},
        {"to": "https://siem.example/", "cert_file": "x"},
        {"to": "https://siem.example/", "pseudonymise": ["user"]},
        {"to": "file:/x", "token_file": "t"},
        {"to": "https://siem.example/", "format": "cef", "body": "array"},
    ],
)
def test_a_target_that_cannot_work_is_refused_at_the_start(options: dict[str, Any]):
    with pytest.raises(ValueError, match=r"."):
        LogTarget(**({"name": "t"} | options))


def test_files_that_cannot_be_used_are_found_at_the_start(tmp_path: Path):
    gone, empty = str(tmp_path / "gone"), tmp_path / "empty"
    empty.write_text("")
    for options in (
        {"to": "tls://h", "ca_file": gone},
        {"to": "https://h", "token_file": gone},
        {"to": "https://h", "token_file": str(empty)},
    ):
        with pytest.raises(SettingsError):
            carrier_of(LogTarget(name="t", **options))
    for key_file in (gone, str(empty)):
        with pytest.raises(SettingsError):
            mask_of(LogTarget(name="t", to="file:/x", pseudonymise=["user"], pseudonym_key_file=key_file))
