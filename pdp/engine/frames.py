"""The frames that the engine and its child process exchange over a pair of pipes.

A frame is `!IIB` (length of the body, number, kind) and the body. The parent numbers what it sends; the
child works in the order of arrival and answers each frame with one frame of the same number. The child
imports this module, so it needs nothing beyond the standard library, and little of that.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

# From the parent.
LOAD: Final = 1  # a JSON object: entrypoint, modules, data (as JSON text), deadline_s, load_deadline_s
EVALUATE: Final = 2  # one input document
PARSE: Final = 3  # a JSON object: name, text, deadline_s

# From the child.
HELLO: Final = 16  # number 0, unasked: the child is up, and regorus is loaded
VALUE: Final = 17  # JSON; of a LOAD: nothing
UNDEFINED: Final = 18  # the entry point has no value for this document
FAULT: Final = 19  # what regorus raised, as text
PANIC: Final = 20  # the same, and the child ends itself after this frame

MAX_BODY_BYTES: Final = 64 * 1024 * 1024  # a bundle's modules and data; no document or verdict comes near
MAX_VALUE_BYTES: Final = 4 * 1024 * 1024  # a verdict beyond this is a policy that hands out its data
MAX_FAULT_CHARS: Final = 2_000  # regorus quotes the source line, which may be long

_HEADER: Final = struct.Struct("!IIB")


class FrameError(ValueError):
    """The bytes are not frames: the other side is not what it should be."""


def frame(kind: int, number: int, body: bytes = b"") -> bytes:
    """One frame. Raises FrameError where the body is longer than a frame may be."""
    if len(body) > MAX_BODY_BYTES:
        raise FrameError(f"{len(body)} bytes do not fit into one frame")
    return _HEADER.pack(len(body), number, kind) + body


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> Iterator[tuple[int, int, bytes]]:
        """(kind, number, body) of every frame that is whole by now. Raises FrameError for a frame too long."""
        pending = self._pending
        pending += chunk
        start = 0
        try:
            while len(pending) - start >= _HEADER.size:
                length, number, kind = _HEADER.unpack_from(pending, start)
                if length > MAX_BODY_BYTES:
                    raise FrameError(f"a frame of {length} bytes")
                end = start + _HEADER.size + length
                if len(pending) < end:
                    return
                body = bytes(memoryview(pending)[start + _HEADER.size : end])
                start = end
                yield kind, number, body
        finally:
            if start:
                del pending[:start]
