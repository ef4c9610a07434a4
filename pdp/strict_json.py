"""JSON as two parties can only read it in one way: I-JSON (RFC 7493), bounded.

What `json.loads` would let through and this refuses, and the attack behind it:

- a name that stands twice in one object: one reader takes the first, another the last;
- a byte order mark, bytes that are not UTF-8, and lone surrogates: text that cannot be compared or kept;
- `NaN`, `Infinity`, `1e400`: not JSON, or not a number in IEEE 754 (RFC 7493 section 2.2);
- integers beyond 2^53 - 1: a reader with doubles sees another number;
- more than `MAX_DEPTH` levels, more than `MAX_NODES` values, more than `MAX_BYTES`: small texts that cost much.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import msgspec

from pdp.errors import BadRequestError, PayloadTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_BYTES: Final = 256 * 1024  # the lane's own default; a boxcar of 100 full requests has about 120 KiB
MAX_DEPTH: Final = 32  # a request of ours has 5 levels
MAX_NODES: Final = 20_000  # objects, lists, texts, numbers; a boxcar of 100 full requests has about 6,000
MAX_SAFE_INTEGER: Final = 2**53 - 1  # RFC 7493 section 2.2

_MAX_DIGITS: Final = 17  # with sign and all: no longer text is a safe integer
_SHOWN: Final = 64  # characters of a name that an error repeats
_BOM: Final = b"\xef\xbb\xbf"
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_DIGITS_ALIKE: Final = bytes.maketrans(b"123456789", b"0" * 9)
_SIXTEEN_DIGITS: Final = b"0" * 16
_NOT_PLAIN: Final = object()
_read: Final[Callable[[bytes], Any]] = msgspec.json.Decoder().decode
_write: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode


def parse_json(body: bytes, *, max_bytes: int = MAX_BYTES, max_nodes: int = MAX_NODES) -> Any:
    """The value of one JSON text; objects are dicts, lists are lists.

    Raises PayloadTooLargeError above `max_bytes` and BadRequestError for everything else that the module
    lists, and for text that is not JSON: with the byte offset, or with `pointer` (RFC 6901) where the text
    is JSON but not I-JSON.
    """
    if len(body) > max_bytes:
        raise PayloadTooLargeError(f"the body is larger than {max_bytes} bytes")
    if body.startswith(_BOM):
        raise BadRequestError("the body begins with a byte order mark, which JSON does not allow (offset 0)")
    _check_shape(body, max_nodes)
    value = _plain_value(body)
    return _careful_value(body) if value is _NOT_PLAIN else value


def _plain_value(body: bytes) -> Any:
    """The value of a text as programs write it, in a quarter of the time; `_NOT_PLAIN` for every other text.

    INVARIANT (read back): a text that, once read, is written again byte for byte has each name once, only
    whole characters and only numbers that stay what they are. Integers beyond 2^53 would stay too, so a text
    with sixteen digits in a row goes the careful way.
    """
    if _SIXTEEN_DIGITS in body.translate(_DIGITS_ALIKE):
        return _NOT_PLAIN
    try:
        value = _read(body)
        return value if _write(value) == body else _NOT_PLAIN
    except (ValueError, RecursionError):  # msgspec's errors and the one for text that is not UTF-8 are ValueErrors
        return _NOT_PLAIN


def _careful_value(body: bytes) -> Any:
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        raise BadRequestError(f"the body is not UTF-8 (offset {fault.start})") from None
    try:
        value = _decode(text)
    except _NotIJson:
        raise _explained(text) from None
    except json.JSONDecodeError as fault:
        raise _not_json(fault, text) from None
    if b"\\u" in body and _has_surrogate(value):  # only an escape brings half a pair in: UTF-8 has none
        raise _explained(text)
    return value


def _check_shape(body: bytes, max_nodes: int) -> None:
    """Depth and number of values, before anything is built.

    The first counts are upper bounds, because strings may hold the same bytes; only a text that passes
    them is lexed. Up to its first fault a broken text is lexed here as the parser will lex it, so that
    the parser never goes deeper than was counted.
    """
    opened = body.count(b"{") + body.count(b"[")
    if opened <= MAX_DEPTH and opened + body.count(b",") < max_nodes:
        return
    # Without its escapes, every second part between quotes lies outside of strings.
    bare = b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
    nodes = 1 + bare.count(b",") + bare.count(b"{") + bare.count(b"[")
    if nodes > max_nodes:
        raise BadRequestError(f"the body holds more than {max_nodes} values")
    brackets = bare.translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):  # each round takes the innermost level off
        brackets = brackets.replace(b"[]", b"")
    # A pair that is still there was deeper than that; openings alone are not JSON, but are gone down into.
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise BadRequestError(f"the body is nested deeper than {MAX_DEPTH} levels")


class _NotIJson(ValueError):  # noqa: N818  # never leaves this module
    """JSON that I-JSON refuses. Where it stands is found by a second, slower reading."""


class _Twice(dict[str, Any]):
    """An object with a name that stands twice: `name`."""

    name: str


class _Unsafe:
    """A number that another reader would not read as this one."""


_UNSAFE: Final = _Unsafe()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotIJson
    return members


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _NotIJson
    value = int(digits)
    if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
        raise _NotIJson
    return value


def _double(digits: str) -> float:
    value = float(digits)
    if value - value != 0.0:  # an infinity less itself is not a number
        raise _NotIJson
    return value


def _constant(_: str) -> NoReturn:
    raise _NotIJson


_decode: Final[Callable[[str], Any]] = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_double, parse_constant=_constant
).decode


def _marked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    try:
        return _members(pairs)
    except _NotIJson:
        marked = _Twice(pairs)
        seen: set[str] = set()
        marked.name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        return marked


def _number(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def marked(digits: str) -> Any:
        try:
            return read(digits)
        except _NotIJson:
            return _UNSAFE

    return marked


_decode_marked: Final[Callable[[str], Any]] = json.JSONDecoder(
    object_pairs_hook=_marked,
    parse_int=_number(_integer),
    parse_float=_number(_double),
    parse_constant=_number(_constant),
).decode


def _explained(text: str) -> BadRequestError:
    """What is wrong in a JSON text that is not I-JSON, and where."""
    try:
        value = _decode_marked(text)
    except json.JSONDecodeError as fault:  # further on it is not even JSON
        return _not_json(fault, text)
    return next(_faults(value), BadRequestError("the body is not I-JSON"))


def _faults(value: Any) -> Iterator[BadRequestError]:
    for pointer, node in _walk("", value):
        if isinstance(node, _Twice):
            yield BadRequestError(f"the name `{_shown(node.name)}` stands twice in one object", pointer=pointer)
        elif node is _UNSAFE:
            yield BadRequestError("the number is not one that every reader reads alike", pointer=pointer)
        elif isinstance(node, str) and _SURROGATE.search(node):
            yield BadRequestError("the text has half of a surrogate pair", pointer=pointer)


def _walk(pointer: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Every value with its pointer, a name as a value of its own; the depth is bounded before."""
    yield pointer, node
    if isinstance(node, dict):
        for name, member in node.items():
            yield pointer, name
            yield from _walk(f"{pointer}/{_escaped(name)}", member)
    elif isinstance(node, list):
        for index, entry in enumerate(node):
            yield from _walk(f"{pointer}/{index}", entry)


def _has_surrogate(node: Any) -> bool:
    if isinstance(node, str):
        return _SURROGATE.search(node) is not None
    if isinstance(node, dict):
        return any(_has_surrogate(name) or _has_surrogate(member) for name, member in node.items())
    return isinstance(node, list) and any(map(_has_surrogate, node))


def _escaped(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901 section 3), fit to be shown."""
    return _shown(name).replace("~", "~0").replace("/", "~1")


def _shown(name: str) -> str:
    """A name as far as an error repeats it: no control characters, no half characters, not long."""
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:_SHOWN])
    return clean + "…" if len(name) > _SHOWN else clean


def _not_json(fault: json.JSONDecodeError, text: str) -> BadRequestError:
    if not text:
        return BadRequestError("the body is empty")
    what = "something follows the JSON value" if fault.msg == "Extra data" else "the body is not JSON"
    return BadRequestError(f"{what} (offset {len(text[: fault.pos].encode())})")
