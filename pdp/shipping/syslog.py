r"""Syslog: RFC 5424 messages with octet counting over TLS (RFC 5425), or over TCP on loopback (RFC 6587).

Syslog knows no acknowledgement, and what TCP has taken a receiver may never have read. So a batch is one connection:
after its last message we end our direction in order (RFC 5425 section 4.4) and wait for the receiver's end. A receiver
that ends in order has read everything before; one that died or gave up resets, and the batch is sent again.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pdp import __version__
from pdp.shipping.port import UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.shipping.port import Event

_FACILITY: Final = 13  # log audit
_SEVERITIES: Final = {"warning": 4, "notice": 5, "info": 6}
_PORTS: Final = {"tls": 6514, "tcp": 601}
_MAX_HOST: Final = 255  # RFC 5424 section 6
_MOST_SEQUENCE: Final = 2**31 - 1  # RFC 5424 section 7.3.1
_CHUNK: Final = 65_536
_MAX_HEARD: Final = 65_536  # a receiver has nothing to say; one that talks on is none


class SyslogCarrier:
    """`context`: None for TCP. `deadline_s` bounds one batch as a whole."""

    def __init__(self, to: str, context: ssl.SSLContext | None, *, deadline_s: float) -> None:
        parts = urlsplit(to)
        self._host: Final = parts.hostname or ""
        self._port: Final = parts.port or _PORTS[parts.scheme]
        self._context: Final = context
        self._deadline_s: Final = deadline_s

    def send(self, events: Sequence[Event]) -> None:
        data = b"".join(frame(message(event)) for event in events)
        until = time.monotonic() + self._deadline_s
        try:
            with self._connected(until) as connection:
                _write(connection, data, until)
                _end(connection, until)
        except TimeoutError:
            raise UndeliveredError("timeout") from None
        except ssl.SSLCertVerificationError as fault:
            raise UndeliveredError("certificate", fault.verify_message) from None
        except ssl.SSLError as fault:
            raise UndeliveredError("tls", fault.reason or "") from None
        except socket.gaierror:
            raise UndeliveredError("unreachable", "the name cannot be resolved") from None
        except OSError as fault:
            raise UndeliveredError("unreachable", fault.strerror or "") from None

    def close(self) -> None:
        """Nothing is held open between batches."""

    def _connected(self, until: float) -> socket.socket:
        plain = socket.create_connection((self._host, self._port), timeout=_left(until))
        if self._context is None:
            return plain
        try:
            plain.settimeout(_left(until))
            return self._context.wrap_socket(plain, server_hostname=self._host, suppress_ragged_eofs=False)
        except BaseException:
            plain.close()
            raise


def message(event: Event) -> bytes:
    """One RFC 5424 message. Its text is MSG-ANY, without a byte order mark, which parsers of JSON and CEF refuse."""
    priority = _FACILITY * 8 + _SEVERITIES[event.level]
    sequence = (event.seq - 1) % _MOST_SEQUENCE + 1
    data = element("origin", {"software": "Sekisho", "swVersion": __version__}) + element(
        "meta", {"sequenceId": str(sequence)}
    )
    header = f"<{priority}>1 {event.time} {_word(event.node, _MAX_HOST)} sekisho {_word(event.worker, 128)}"
    return f"{header} {_word(event.kind, 32)} {data} ".encode() + event.body


def element(name: str, parameters: dict[str, str]) -> str:
    """One SD-ELEMENT; values are escaped as RFC 5424 section 6.3.3 says."""
    return f"[{name}" + "".join(f' {key}="{_escaped(value)}"' for key, value in parameters.items()) + "]"


def frame(text: bytes) -> bytes:
    """Octet counting: a message with a line end in it cannot be taken for two."""
    return b"%d " % len(text) + text


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _word(text: str, most: int) -> str:
    """PRINTUSASCII without a blank, or the nil value."""
    return "".join(c for c in text if "!" <= c <= "~")[:most] or "-"


def _write(connection: socket.socket, data: bytes, until: float) -> None:
    rest = memoryview(data)
    while rest:
        connection.settimeout(_left(until))
        rest = rest[connection.send(rest[:_CHUNK]) :]


def _end(connection: socket.socket, until: float) -> None:
    """End our direction, and return when the receiver has ended its own in order. Raises OSError for a reset."""
    connection.settimeout(_left(until))
    if isinstance(connection, ssl.SSLSocket):
        connection = connection.unwrap()  # sends close_notify, waits for the receiver's
    # A receiver that is being ended says `close_notify` by itself, before it has read everything: then comes a reset.
    connection.shutdown(socket.SHUT_WR)
    heard = 0
    while said := connection.recv(_CHUNK):
        heard += len(said)
        if heard > _MAX_HEARD:
            raise UndeliveredError("malformed", "the receiver answers, which no syslog receiver does")
        connection.settimeout(_left(until))


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
