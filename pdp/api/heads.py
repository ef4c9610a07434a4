"""Heads that were parsed before, octet for octet: a gateway's connections send the same ones again and again.

INVARIANT (same octets, same request): a head is known by all of its octets, from the first to the empty line, and
only where the parser has found it plain and the body behind it whole. So it says again what it said then.

The octets hold the caller's credential, as they do while they are parsed; they stay in this process, and are shown to
nobody. A head that comes but once, for example with a trace of its own, is not kept, and displaces no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.recent import Recurring

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from pdp.wire.exchange import HttpAnswer, HttpRequest, Promise

    Begin = Callable[[HttpRequest], Promise | Coroutine[Any, Any, HttpAnswer]]

END: Final = b"\r\n\r\n"
MAX_HEADS: Final = 1_024  # some gateways, each with a head for each length of a body
MAX_OCTETS: Final = 4_096  # of one; 4 MB are then the most for all


class Head(NamedTuple):
    """What a plain head says: to whom it goes, its headers as a request has them, how long the body is."""

    path: str
    begin: Begin
    headers: tuple[tuple[str, str], ...]
    length: int


class Heads:
    """Those of one lane."""

    def __init__(self) -> None:
        self._known: Recurring[bytes, Head] = Recurring(MAX_HEADS)
        self.get = self._known.get

    def note(self, packet: bytes, head: Head) -> None:
        """Remember the head of a packet that was found to be one plain request, if nothing else is in it."""
        length = packet.find(END) + len(END)
        if length <= MAX_OCTETS and len(packet) - length == head.length:
            self._known.keep(packet[:length], head)
