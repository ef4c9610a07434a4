"""Syslog over TLS: what counts as delivered, with a real TLS server at the other end."""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from pdp.shipping.port import Event, UndeliveredError
from pdp.shipping.syslog import SyslogCarrier
from tests.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EVENTS = [
    Event(
        body=b'{"text":"' + b"x" * 2_000 + b'"}',
        seq=number,
        time="2023-08-01T01:00:00.000000Z",
        node="n",
        worker="w",
        kind="decision",
        level="info",
    )
    for number in range(1, 11)
]
LEAST = 20_000  # bytes of these ten messages, whatever TLS adds


def unread(connection: socket.socket) -> int:
    return int(struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.FIONREAD, b"\0" * 4))[0])


def reads_everything(connection: ssl.SSLSocket) -> None:
    while connection.recv(65_536):
        pass
    connection.unwrap().close()


def is_ended_before_it_reads(connection: ssl.SSLSocket) -> None:
    """As a receiver that is being stopped: it ends its direction in order, and leaves what has come to nobody."""
    while unread(connection) < LEAST:
        pass
    connection.setblocking(False)
    with suppress(OSError):  # it has said `close_notify`, and the client's own is behind what nobody reads
        connection.unwrap()
    connection.close()


@contextmanager
def receiver(folder: Path, does: Callable[[ssl.SSLSocket], None]) -> Iterator[SyslogCarrier]:
    authority = Authority(folder)
    own = authority.issue("localhost", "receiver", host="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        plain, _ = listening.accept()
        with plain, context.wrap_socket(plain, server_side=True) as connection:
            does(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    try:
        yield SyslogCarrier(f"tls://localhost:{listening.getsockname()[1]}", trust, deadline_s=20)
    finally:
        thread.join()
        listening.close()


def test_a_receiver_that_ends_after_it_has_read_everything_has_the_batch(tmp_path: Path) -> None:
    with receiver(tmp_path, reads_everything) as carrier:
        carrier.send(EVENTS)


def test_a_receiver_that_is_ended_before_it_reads_does_not_have_the_batch(tmp_path: Path) -> None:
    with receiver(tmp_path, is_ended_before_it_reads) as carrier, pytest.raises(UndeliveredError):
        carrier.send(EVENTS)
