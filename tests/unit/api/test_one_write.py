from __future__ import annotations

import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pdp.api.one_write import JoiningTransport
from tests.http_server import serving

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire:
    """A transport that remembers, and an event loop that turns when it is told to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.soon: list[Any] = []
        self.joining = JoiningTransport(self, self.soon.append)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"

    def turn(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for call in soon:
            call()


def test_head_and_body_are_one_write() -> None:
    wire = Wire()
    wire.joining.write(HEAD)
    wire.joining.write(b"{}")
    wire.turn()
    assert wire.written == [HEAD + b"{}"]


def test_a_head_without_a_body_leaves_with_the_next_turn() -> None:
    wire = Wire()
    wire.joining.write(HEAD)
    assert wire.written == []
    wire.turn()
    assert wire.written == [HEAD]


def test_a_client_that_waits_for_100_continue_does_not_wait_longer() -> None:
    wire = Wire()
    wire.joining.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert wire.written == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_what_is_held_is_written_before_the_connection_is_closed() -> None:
    wire = Wire()
    wire.joining.write(HEAD)
    wire.joining.close()
    assert wire.written == [HEAD]
    assert wire.closed
    wire.turn()
    assert wire.written == [HEAD]


def test_everything_else_is_the_transports_own() -> None:
    wire = Wire()
    assert wire.joining.get_extra_info("peername") == "the peername"
    assert wire.joining.is_closing() is False


@given(
    st.lists(st.sampled_from([HEAD, b"HTTP/1.1 ", b"HTTP/1.1 100 Continue\r\n\r\n", b"{}", b"", b"0\r\n\r\n", None]))
)
def test_no_byte_is_lost_or_moved_whatever_is_written_and_whenever_the_loop_turns(steps: list[bytes | None]) -> None:
    wire = Wire()
    for step in steps:
        if step is None:
            wire.turn()
        else:
            wire.joining.write(step)
    wire.turn()
    assert b"".join(wire.written) == b"".join(step for step in steps if step is not None)


def test_a_real_server_answers_each_of_several_requests_in_one_packet() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"{}"})

    with serving(app) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(3):
            client.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx")
            answer = client.recv(4_096)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"\r\n\r\n{}")
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(4_096).startswith(b"HTTP/1.1 400 ")
        assert client.recv(4_096) == b""
