"""The direct way over real sockets: what happens around the exchange."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from pdp.api.direct import MAX_HEAD, MOST
from pdp.api.lane import Lane
from pdp.api.response import CLOSE, joined_answer
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.http_server import serving

WAIT_S = 10.0


class Service:
    """A lane whose handler waits where a test says so; it counts what came through ASGI."""

    def __init__(self, body: bytes = b"{}") -> None:
        self.body = body
        self.entered = threading.Semaphore(0)
        self.go = threading.Event()
        self.go.set()
        self.decided = threading.Semaphore(0)
        self.cancelled = threading.Event()
        self.requests: list[HttpRequest] = []
        self.cycles = 0
        self.lane = Lane(self._behind, exact={"/own": self._handle})

    async def _handle(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        self.entered.release()
        try:
            while not self.go.is_set():  # noqa: ASYNC110  # the test sets it, in another thread
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.decided.release()
        return HttpAnswer(200, (("content-type", "application/json"),), self.body)

    async def _behind(self, _: Any, __: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.cycles += 1
        await self.lane(scope, receive, send)


@contextmanager
def connected(service: Service, **options: Any) -> Iterator[socket.socket]:
    with serving(service, **options) as port, socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client:
        yield client


def asked(body: bytes = b"{}", *lines: str) -> bytes:
    return (
        "\r\n".join(["POST /own HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines, "", ""]).encode() + body
    )


def read_answer(client: socket.socket) -> tuple[bytes, bytes]:
    """(head, body) of one answer."""
    said = b""
    while b"\r\n\r\n" not in said:
        chunk = client.recv(65_536)
        assert chunk, said
        said += chunk
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65_536)
    assert len(body) == length
    return head, body


def test_one_connection_carries_many_answers_each_in_one_packet_and_without_a_cycle() -> None:
    service = Service()
    with connected(service) as client:
        for number in range(5):
            client.sendall(asked(b"%d" % number))
            said = client.recv(65_536)
            assert said.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert b"\r\nx-content-type-options: nosniff\r\n" in said
            assert said.endswith(b"\r\n\r\n{}")
    assert service.cycles == 0
    assert [request.body for request in service.requests] == [b"0", b"1", b"2", b"3", b"4"]
    assert service.requests[0].peer == "127.0.0.1"


def test_the_two_ways_take_turns_on_one_connection() -> None:
    service = Service()
    with connected(service) as client:
        for request in (asked(), asked(b"x" * MOST), asked(b"x" * (MOST + 1)), asked(), asked(b"", "x-a: b")):
            client.sendall(request)
            assert read_answer(client)[1] == b"{}"
        client.sendall(asked(b"{}", "expect: 100-continue"))
        assert client.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert read_answer(client)[1] == b"{}"
    assert service.cycles in {1, 2, 3}  # a large body may come in two packets
    assert len(service.requests) == 6


def test_a_body_that_comes_later_is_waited_for() -> None:
    service = Service()
    with connected(service) as client:
        whole = asked(b'{"a":1}')
        client.sendall(whole[:-3])
        assert not service.entered.acquire(timeout=0.05)
        client.sendall(whole[-3:])
        assert read_answer(client)[1] == b"{}"
    assert [request.body for request in service.requests] == [b'{"a":1}']


def test_requests_in_one_packet_are_answered_in_their_order() -> None:
    service = Service()
    service.go.clear()
    with connected(service) as client:
        client.sendall(b"".join(asked(b"%d" % number) for number in range(4)))
        assert service.entered.acquire(timeout=WAIT_S)
        assert not service.entered.acquire(timeout=0.05)  # one after the other
        service.go.set()
        for _ in range(4):
            assert service.decided.acquire(timeout=WAIT_S)
        said = b""
        while said.count(b"\r\n\r\n{}") < 4:
            said += client.recv(65_536)
    assert [request.body for request in service.requests] == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_was_set_while_another_request_was_answered_is_not_seen(loop: str) -> None:
    """asyncio: who lets the reading go on, lets it go on in the own context, and every packet after it is read there."""
    mark: ContextVar[str] = ContextVar("mark", default="")
    seen: list[str] = []

    class Marking(Service):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            mark.set("another's")
            while (await receive())["more_body"]:
                pass
            await self._behind(scope, receive, send)

        async def _handle(self, request: HttpRequest) -> HttpAnswer:
            seen.append(mark.get())
            return await super()._handle(request)

    size = 1 << 20  # uvicorn stops reading at 64 KiB that nobody has taken
    with connected(Marking(), loop=loop) as client:
        client.sendall(f"POST /else HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n".encode() + bytes(size))
        assert b" 404 " in read_answer(client)[0]
        client.sendall(asked())
        assert b" 200 " in read_answer(client)[0]
    assert seen == [""]


def test_a_client_that_goes_away_gets_nothing_and_its_decision_is_made_all_the_same() -> None:
    service = Service()
    service.go.clear()
    with serving(service) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as leaving:
            leaving.sendall(asked())
            assert service.entered.acquire(timeout=WAIT_S)
        service.go.set()
        assert service.decided.acquire(timeout=WAIT_S)
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client:
            client.sendall(asked())
            assert read_answer(client)[1] == b"{}"


def test_nonsense_behind_a_request_closes_the_connection_after_400() -> None:
    with connected(Service()) as client:
        client.sendall(asked() + b"\x00\x00\r\n\r\n")
        head, _ = read_answer(client)
        assert head.startswith(b"HTTP/1.1 400 ")
        assert client.recv(1) == b""


def asked_of_a_server_that_then_ends(service: Service, *, goes_on: bool, **options: Any) -> bytes:
    """Everything that a client hears whose request is under way when the server is told to end."""
    service.go.clear()
    with serving(service, **options) as port:
        client = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        client.sendall(asked())
        assert service.entered.acquire(timeout=WAIT_S)

        def go_when_it_ends() -> None:
            try:
                while True:
                    socket.create_connection(("127.0.0.1", port), timeout=WAIT_S).close()
            except OSError:
                service.go.set()

        watch = threading.Thread(target=go_when_it_ends)
        if goes_on:
            watch.start()
    if goes_on:
        watch.join(WAIT_S)
    with client:
        said = b""
        while chunk := client.recv(65_536):
            said += chunk
        return said


def test_the_end_of_the_server_waits_for_an_answer_under_way_and_says_that_it_is_the_last() -> None:
    service = Service()
    said = asked_of_a_server_that_then_ends(service, goes_on=True, timeout_graceful_shutdown=WAIT_S)
    assert said.startswith(b"HTTP/1.1 200 OK\r\n")
    assert said.endswith(b"\r\nconnection: close\r\n\r\n{}")


def test_a_handler_that_outlives_the_grace_is_cancelled_and_permits_nothing() -> None:
    service = Service()
    said = asked_of_a_server_that_then_ends(service, goes_on=False, timeout_graceful_shutdown=0.1)
    assert service.cancelled.is_set()
    assert said.startswith(b"HTTP/1.1 500 ")
    assert b"\r\nconnection: close\r\n" in said


def test_answers_count_towards_the_limit_at_which_a_worker_is_replaced() -> None:
    with connected(Service(), limit_max_requests=2) as client:
        for _ in range(2):
            client.sendall(asked())
            read_answer(client)
        assert client.recv(1) == b""


def test_a_client_that_does_not_read_is_waited_for_and_loses_nothing() -> None:
    most, size = 100, 400_000  # 40 MB of answers: more than the kernel takes
    service = Service(b"o" * size)
    with connected(service) as client:
        sent = 0
        while sent < most:
            client.sendall(asked(b"%d" % sent))
            sent += 1
            if not service.decided.acquire(timeout=0.3):
                break
        assert 1 < sent < most  # the server holds back: the answer before this one is still with it
        assert service.cycles == 0
        said = b""
        while said.count(b"HTTP/1.1 200 OK\r\n") < sent or not said.endswith(b"\r\n\r\n" + service.body):
            chunk = client.recv(1_000_000)
            assert chunk
            said += chunk
    assert said.count(b"\r\n\r\n" + service.body) == sent
    assert [request.body for request in service.requests] == [b"%d" % number for number in range(sent)]


def test_an_answer_that_says_itself_that_it_is_the_last_says_it_once() -> None:
    said = joined_answer(HttpAnswer(200, (CLOSE,), b"{}"), b"", close=True)
    assert said.count(b"connection: close\r\n") == 1


def silent_for(client: socket.socket, seconds: float) -> bool:
    return not select.select([client], [], [], seconds)[0]


def test_an_idle_connection_is_closed_after_its_time_counted_from_the_last_answer() -> None:
    with connected(Service(), timeout_keep_alive=0.4) as client:
        for _ in range(3):
            client.sendall(asked())
            read_answer(client)
            last = time.monotonic()
            assert silent_for(client, 0.2)
        assert client.recv(1) == b""
        assert time.monotonic() - last > 0.35


def test_a_connection_whose_handler_works_is_not_idle() -> None:
    service = Service()
    with connected(service, timeout_keep_alive=0.1) as client:
        client.sendall(asked())
        read_answer(client)
        service.go.clear()
        client.sendall(asked())
        assert silent_for(client, 0.3)
        service.go.set()
        assert read_answer(client)[1] == b"{}"
        assert client.recv(1) == b""


@pytest.mark.parametrize("options", [{"access_log": True}, {"limit_concurrency": 50}, {"root_path": "/x"}])
def test_what_only_uvicorn_can_do_leaves_it_to_uvicorn(options: dict[str, Any]) -> None:
    service = Service()
    with connected(service, **options) as client:
        client.sendall(asked())
        read_answer(client)
    if "access_log" not in options or logging.getLogger("uvicorn.access").hasHandlers():
        assert service.cycles == 1


# --- a head without an end


def endless(client: socket.socket, most: int) -> bytes:
    """What is heard while header after header is sent, and nothing ends."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        for number in range(most // 1_024):
            client.sendall(b"x-%d: %s\r\n" % (number, b"a" * 1_010))
            if select.select([client], [], [], 0.001)[0]:
                break
        while chunk := client.recv(65_536):
            heard += chunk
    return heard


@pytest.mark.parametrize("path", ["/own", "/elsewhere"])
def test_a_head_without_an_end_is_refused_and_its_connection_ends(path: str) -> None:
    service = Service()
    with connected(service) as client:
        client.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\n".encode())
        heard = endless(client, 4 * MAX_HEAD + 1024 * 1024)
    assert heard.startswith(b"HTTP/1.1 431 ")
    assert b"\r\nconnection: close\r\n" in heard
    assert b'"headers_too_large"' in heard
    assert service.requests == []


def test_a_large_head_in_many_packets_is_answered_and_so_is_what_follows() -> None:
    service = Service()
    with connected(service) as client:
        for _ in range(3):
            client.sendall(b"POST /own HTTP/1.1\r\nhost: x\r\n")
            for number in range(50):
                client.sendall(b"x-%d: %s\r\n" % (number, b"a" * 1_010))
                time.sleep(0.0005)
            client.sendall(b"content-length: 2\r\n\r\n{}")
            assert read_answer(client)[1] == b"{}"


def test_an_answer_that_is_due_is_not_overtaken_by_the_refusal_of_the_next_head() -> None:
    service = Service()
    service.go.clear()
    with connected(service) as client:
        client.sendall(asked() + b"POST /own HTTP/1.1\r\nhost: x\r\n")
        assert service.entered.acquire(timeout=WAIT_S)
        heard = endless(client, 4 * MAX_HEAD + 1024 * 1024)
        service.go.set()
    assert b"431" not in heard
    assert heard == b""
