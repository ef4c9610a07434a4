"""JSON from outside, read in the only way in which two readers agree (I-JSON, RFC 7493). Pure.

`json.loads` would take the last of two members of one name, `NaN` and `1e400`: a proxy or a damaged store could show
one reader an encrypted disk and another an open one. Whoever sends such a text is not understood at all.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 32  # the deepest record of a vendor has 7 levels
_BRACKETS: Final = frozenset(b"[]{}")
_OPENING: Final = frozenset(b"[{")
_SHOWN: Final = 64


class NotStrictJsonError(ValueError):
    """What is wrong with the text. The message holds no value of it, only names of members."""


def parse_object(body: bytes) -> dict[str, Any]:
    """The object that the whole text is. The caller bounds its length. Raises NotStrictJsonError."""
    _check_depth(body)
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise NotStrictJsonError("the text is not UTF-8") from None
    except json.JSONDecodeError as fault:
        raise NotStrictJsonError(f"the text is not JSON (character {fault.pos})") from None
    if not isinstance(value, dict):
        raise NotStrictJsonError("the text is not a JSON object")
    return value


def _check_depth(body: bytes) -> None:
    """Before anything is built: the parser goes down one call for each level."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    bare = b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])
    depth = 0
    for byte in bare.translate(None, delete=_NOT_BRACKETS):
        depth += 1 if byte in _OPENING else -1
        if depth > MAX_DEPTH:
            raise NotStrictJsonError(f"the text is nested deeper than {MAX_DEPTH} levels")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise NotStrictJsonError(f"the member `{_shown(twice)}` stands twice in one object")
    return members


def _double(digits: str) -> float:
    value = float(digits)
    if value - value != 0.0:  # an infinity less itself is not a number
        raise NotStrictJsonError("a number is too large for every reader")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:  # nothing that we read is that long; `int` of many digits is slow on purpose
        raise NotStrictJsonError("a number is too long")
    return int(digits)


def _constant(_: str) -> NoReturn:
    raise NotStrictJsonError("the text holds a word that is not JSON")


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name[:_SHOWN])


_MAX_DIGITS: Final = 20  # a signed 64-bit integer, which vendors write for bytes of storage
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in _BRACKETS)
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_double, parse_constant=_constant
)
