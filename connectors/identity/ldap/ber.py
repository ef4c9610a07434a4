"""BER as LDAP narrows it (RFC 4511 section 5.1): definite lengths, one-byte tags, primitive strings, nothing else.

A reader gets bytes from a server that may be hostile: every length is checked against what encloses it, and nothing
recurses on the input's say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTETS: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LONG_FORM: Final = 0x80
_MAX_LENGTH_BYTES: Final = 4
_MULTI_BYTE_TAG: Final = 0x1F
_MAX_INTEGER_BYTES: Final = 8  # message ids, result codes and sizes have four; USNs eight
_TRUE: Final = b"\xff"


class BerError(ValueError):
    """The bytes are not LDAP's BER. Never leaves the package: it becomes a ConnectorError."""


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element, its contents joined."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + content


def octets(value: bytes | str, tag: int = OCTETS) -> bytes:
    return tlv(tag, value.encode() if isinstance(value, str) else value)


def integer(value: int, tag: int = INTEGER) -> bytes:
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return tlv(tag, value.to_bytes(size, "big", signed=True))


def truth(*, value: bool, tag: int = BOOLEAN) -> bytes:
    return tlv(tag, _TRUE if value else b"\x00")


def header(data: bytes | bytearray, at: int = 0) -> tuple[int, int] | None:
    """(size of tag and length, size of the content) of the element at `at`; None while its header is not whole."""
    have = len(data) - at
    if have < 2:  # noqa: PLR2004  # a tag and a length
        return None
    first = data[at + 1]
    if first < _LONG_FORM:
        return 2, first
    count = first & 0x7F
    if not 0 < count <= _MAX_LENGTH_BYTES:
        raise BerError("a length is indefinite or has too many bytes")
    if have < 2 + count:
        return None
    return 2 + count, int.from_bytes(data[at + 2 : at + 2 + count], "big")


def element(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """(tag, start, stop) of the content of the element that begins at `at` within `end`."""
    if at + 2 > end:
        raise BerError("an element is cut off")
    tag, first = data[at], data[at + 1]
    if tag & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
        raise BerError("a tag has several bytes")
    start, size = at + 2, first
    if first >= _LONG_FORM:
        count = first & 0x7F
        start += count
        if not 0 < count <= _MAX_LENGTH_BYTES or start > end:
            raise BerError("a length is indefinite, too long or cut off")
        size = int.from_bytes(data[at + 2 : start], "big")
    stop = start + size
    if stop > end:
        raise BerError("an element is longer than what encloses it")
    return tag, start, stop


def elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Every element between `at` and `end`, which they fill exactly."""
    while at < end:
        found = element(data, at, end)
        yield found
        at = found[2]


class Reader:
    """Takes the elements of one constructed value in order."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = at
        self._end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self._at < self._end

    def peek(self) -> int:
        """The next tag; 0, which no element has, at the end."""
        return self._data[self._at] if self else 0

    def next(self, tag: int) -> tuple[int, int]:
        """(start, stop) of the next element's content. Raises BerError where its tag is another."""
        found, start, stop = element(self._data, self._at, self._end)
        if found != tag:
            raise BerError(f"tag {found:#04x} stands where {tag:#04x} belongs")
        self._at = stop
        return start, stop

    def inside(self, tag: int) -> Reader:
        start, stop = self.next(tag)
        return Reader(self._data, start, stop)

    def octets(self, tag: int = OCTETS) -> bytes:
        start, stop = self.next(tag)
        return self._data[start:stop]

    def integer(self, tag: int = INTEGER) -> int:
        found = self.octets(tag)
        if not 0 < len(found) <= _MAX_INTEGER_BYTES:
            raise BerError("an integer has no byte, or too many")
        return int.from_bytes(found, "big", signed=True)

    def truth(self, tag: int = BOOLEAN) -> bool:
        found = self.octets(tag)
        if len(found) != 1:
            raise BerError("a truth value has not one byte")
        return found != b"\x00"
