"""Signed heads off the box: who may rewrite the log here cannot reach them there.

    Notary -> AnchorFeed (bounded queue, a thread of its own) -> Anchor

Adapters: a file that is only appended to, on another mount (`file:/PATH`), and a syslog of another team over
UDP, TCP or TLS (`syslog+udp://HOST:PORT`, `syslog+tcp://…`, `syslog+tls://…`). What is written is one line of
JSON, `{"checkpoint":"…"}`, in ASCII: `pdp audit verify --anchor FILE` finds it in either.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

from pdp.declog.marks import rfc3339
from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_QUEUE: Final = 3600  # an hour of heads; beyond it the oldest goes, which every newer one proves anyway
_RETRY_S: Final = 5.0  # an anchor that is down is tried again so often
_DEADLINE_S: Final = 5.0  # of connecting and of one message
_CLOSE_S: Final = 3.0  # what is still queued at the end gets so long
_FILE_MODE: Final = 0o640  # auditors read it as a group
_PRIORITY: Final = 13 * 8 + 5  # RFC 5424, 6.2.1: facility `log audit`, severity `notice`
_SYSLOG_PORTS: Final = {"syslog+udp": 514, "syslog+tcp": 601, "syslog+tls": 6514}  # RFC 5426, 6587, 5425


class Anchor(Protocol):
    @property
    def name(self) -> str:
        """For people: where it is, without secrets."""
        ...

    def publish(self, note: str) -> None:
        """Bring one signed head there. Blocks, within a deadline. Raises OSError."""
        ...

    def close(self) -> None: ...


def anchor_line(note: str) -> str:
    return json.dumps({"checkpoint": note}, separators=(",", ":"))


class FileAnchor:
    """Appends to a file elsewhere: another mount, a WORM share, a directory that a backup carries away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._torn = True  # whoever wrote there before may have been cut off

    @property
    def name(self) -> str:
        return f"file:{self._path}"

    def publish(self, note: str) -> None:
        # Opened each time: a mount may have gone and come back. Never created with its directory: then it is gone.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, _FILE_MODE)
        try:
            # A line that was cut must not swallow the next one.
            start = "\n" if self._torn and os.fstat(descriptor).st_size else ""
            data = (start + anchor_line(note) + "\n").encode()
            self._torn = True
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, "only a part was written")
            os.fdatasync(descriptor)
            self._torn = False
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing is held."""


class SyslogAnchor:
    """RFC 5424 messages: over UDP (RFC 5426), or over TCP or TLS with octet counting (RFC 6587, RFC 5425)."""

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


def open_anchor(address: str, *, node: str, clock: Callable[[], datetime], ca_file: str = "") -> Anchor:
    """The anchor that an address of the settings names. Raises SettingsError."""
    if address.startswith("file:/"):
        return FileAnchor(Path(address.removeprefix("file:")))
    try:
        parts = urlsplit(address)
        port = parts.port or _SYSLOG_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise SettingsError(f"the anchor `{address}` has no such port") from None
    if parts.scheme not in _SYSLOG_PORTS or not parts.hostname or parts.path or parts.query or parts.username:
        raise SettingsError(
            f"the anchor `{address}` cannot be used",
            next_step="name it as `file:/PATH`, or `syslog+udp://`, `syslog+tcp://` or `syslog+tls://HOST:PORT`",
        )
    tls = _tls(ca_file) if parts.scheme == "syslog+tls" else None
    return SyslogAnchor(parts.scheme, parts.hostname, port, node=node, clock=clock, tls=tls)


def _tls(ca_file: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as fault:  # an SSLError is one
        raise SettingsError(f"the authorities of the anchor cannot be read: {fault.strerror or 'no PEM'}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True, slots=True)
class AnchorHealth:
    """`published` is the size of the newest head that is there; `fault` is an errno name, None while all is well."""

    name: str
    published: int
    waiting: int
    dropped: int
    fault: str | None


class AnchorFeed:
    """Brings heads to one anchor, in order, from a thread of its own. `offer` never blocks."""

    def __init__(self, anchor: Anchor, *, queue: int = _QUEUE, retry_s: float = _RETRY_S) -> None:
        self._anchor = anchor
        self._retry_s = retry_s
        self._waiting: deque[tuple[int, str]] = deque(maxlen=queue)
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._published = 0
        self._dropped = 0
        self._fault: str | None = None
        self._thread = threading.Thread(target=self._run, name="anchor", daemon=True)
        self._thread.start()

    def offer(self, size: int, note: str) -> None:
        with self._changed:
            self._dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append((size, note))
            self._changed.notify()

    @property
    def health(self) -> AnchorHealth:
        return AnchorHealth(self._anchor.name, self._published, len(self._waiting), self._dropped, self._fault)

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        """Bring what waits, once, and end. Blocks, at most so long; an anchor that hangs is left to its thread."""
        with self._changed:
            self._stopping.set()
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (entry := self._next()) is not None:
            try:
                self._anchor.publish(entry[1])
            except OSError as fault:
                self._fault = errno.errorcode.get(fault.errno or 0, type(fault).__name__)
                with self._changed:  # it stays the first, unless so many came meanwhile that it fell out
                    if len(self._waiting) < (self._waiting.maxlen or 0):
                        self._waiting.appendleft(entry)
                    else:
                        self._dropped += 1
                if self._stopping.wait(self._retry_s):
                    break
            else:
                self._fault, self._published = None, entry[0]
        self._anchor.close()

    def _next(self) -> tuple[int, str] | None:
        with self._changed:
            while not self._waiting:
                if self._stopping.is_set():
                    return None
                self._changed.wait()
            return self._waiting.popleft()
