"""Signed heads to the syslog of another team."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pdp.declog.marks import rfc3339
from pdp.transparency.anchor import anchor_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

SYSLOG_PORTS: Final = {"syslog+udp": 514, "syslog+tcp": 601, "syslog+tls": 6514}  # RFC 5426, 6587, 5425
_DEADLINE_S: Final = 5.0  # of connecting and of one message
_PRIORITY: Final = 13 * 8 + 5  # RFC 5424, 6.2.1: facility `log audit`, severity `notice`


class SyslogAnchor:
    """RFC 5424 messages: over UDP (RFC 5426), or over TCP or TLS with octet counting (RFC 6587, RFC 5425)."""

    every_s: Final = 0.0

    def __init__(  # noqa: PLR0913  # where to, as whom, by which clock
        self, scheme: str, host: str, port: int, *, node: str, clock: Callable[[], datetime], tls: ssl.SSLContext | None
    ) -> None:
        self._scheme, self._host, self._port = scheme, host, port
        self._node = node
        self._clock = clock
        self._tls = tls
        self._socket: socket.socket | None = None

    @property
    def name(self) -> str:
        return f"{self._scheme}://{self._host}:{self._port}"

    def publish(self, note: str) -> None:
        message = f"<{_PRIORITY}>1 {rfc3339(self._clock())} {self._node} sekisho - checkpoint - {anchor_line(note)}"
        data = message.encode("ascii")
        if self._scheme == "syslog+udp":
            with _datagrams(self._host, self._port) as sender:
                sender.send(data)
            return
        try:
            self._stream().sendall(b"%d %b" % (len(data), data))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket = None

    def _stream(self) -> socket.socket:
        if self._socket is not None and _gone(self._socket):
            self.close()
        if self._socket is None:
            plain = socket.create_connection((self._host, self._port), timeout=_DEADLINE_S)
            try:
                self._socket = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self._host)
            except OSError:
                plain.close()
                raise
        return self._socket


def _datagrams(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    sender = socket.socket(family, kind, protocol)
    try:
        sender.settimeout(_DEADLINE_S)
        sender.connect(address)
    except OSError:
        sender.close()
        raise
    return sender


def _gone(stream: socket.socket) -> bool:
    """Whether the other side has closed: a syslog server never says anything else. A send would not notice at first."""
    stream.setblocking(False)
    try:
        return stream.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    finally:
        stream.settimeout(_DEADLINE_S)
