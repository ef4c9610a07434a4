"""Search filters: RFC 4515 text from an administrator, and filters built from values, as BER.

A value that comes from data never passes through text, so that there is nothing to escape and nothing to inject.
"""

from __future__ import annotations

import re
from typing import Final

from connectors.identity.ldap.ber import octets, tlv, truth

MAX_LENGTH: Final = 8_000  # characters of a filter in the settings
MAX_DEPTH: Final = 20

_AND, _OR, _NOT = 0xA0, 0xA1, 0xA2
_EQUAL, _SUBSTRINGS, _AT_LEAST, _AT_MOST, _PRESENT, _APPROX, _EXTENSIBLE = 0xA3, 0xA4, 0xA5, 0xA6, 0x87, 0xA8, 0xA9
_COMPARISONS: Final = {"=": _EQUAL, ">=": _AT_LEAST, "<=": _AT_MOST, "~=": _APPROX}
_NAME: Final = r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)(?:;[A-Za-z0-9-]+)*"
_RULE: Final = r"[A-Za-z0-9.-]+"
_ITEM: Final = re.compile(
    rf"(?P<name>{_NAME})?(?P<dn>:dn)?(?::(?P<rule>{_RULE}))?(?P<colon>:)?(?P<how>>=|<=|~=|=)(?P<value>[^()\x00]*)",
    re.ASCII,
)
_ESCAPE: Final = re.compile(rb"\\([0-9A-Fa-f]{2})?")


class FilterError(ValueError):
    """The text is no filter. The message says where."""


def present(name: str) -> bytes:
    return octets(name, _PRESENT)


def equal(name: str, value: bytes | str) -> bytes:
    return tlv(_EQUAL, octets(name), octets(value))


def at_least(name: str, value: bytes | str) -> bytes:
    return tlv(_AT_LEAST, octets(name), octets(value))


def matching(name: str, rule: str, value: bytes | str) -> bytes:
    """An extensible match: `name:rule:=value`."""
    return tlv(_EXTENSIBLE, octets(rule, 0x81), octets(name, 0x82), octets(value, 0x83))


def all_of(*filters: bytes) -> bytes:
    return tlv(_AND, *filters)


def any_of(*filters: bytes) -> bytes:
    return tlv(_OR, *filters)


def compile_filter(text: str) -> bytes:
    """RFC 4515 text as BER. Raises FilterError."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter is longer than {MAX_LENGTH} characters")
    encoded, at = _filter(text, 0, 0)
    if at != len(text):
        raise FilterError(f"text follows the filter at character {at + 1}")
    return encoded


def _filter(text: str, at: int, depth: int) -> tuple[bytes, int]:
    if depth > MAX_DEPTH:
        raise FilterError(f"the filter is nested deeper than {MAX_DEPTH}")
    if text[at : at + 1] != "(":
        raise FilterError(f"a bracket is missing at character {at + 1}")
    sign = text[at + 1 : at + 2]
    if sign in ("&", "|"):
        parts, at = _parts(text, at + 2, depth)
        return tlv(_AND if sign == "&" else _OR, *parts), _closed(text, at)
    if sign == "!":
        part, at = _filter(text, at + 2, depth + 1)
        return tlv(_NOT, part), _closed(text, at)
    found = _ITEM.match(text, at + 1)
    if found is None:
        raise FilterError(f"a comparison is expected at character {at + 2}")
    return _item(found), _closed(text, found.end())


def _parts(text: str, at: int, depth: int) -> tuple[list[bytes], int]:
    parts = []
    while text[at : at + 1] == "(":
        part, at = _filter(text, at, depth + 1)
        parts.append(part)
    if not parts:
        raise FilterError(f"`&` or `|` without a part at character {at + 1}")
    return parts, at


def _closed(text: str, at: int) -> int:
    if text[at : at + 1] != ")":
        raise FilterError(f"a closing bracket is missing at character {at + 1}")
    return at + 1


def _item(found: re.Match[str]) -> bytes:
    name, value = found["name"], found["value"].encode()
    if found["colon"] or found["rule"] or found["dn"]:
        return _extensible(found, value)
    if name is None:
        raise FilterError("a comparison has no attribute")
    if found["how"] != "=" or b"*" not in value:
        return tlv(_COMPARISONS[found["how"]], octets(name), octets(_unescaped(value)))
    if value == b"*":
        return present(name)
    first, *middle, last = (_unescaped(part) for part in value.split(b"*"))
    if not all(middle):
        raise FilterError("two stars stand side by side")
    parts = [octets(first, 0x80)] if first else []
    parts += [octets(part, 0x81) for part in middle]
    parts += [octets(last, 0x82)] if last else []
    return tlv(_SUBSTRINGS, octets(name), tlv(0x30, *parts))


def _extensible(found: re.Match[str], value: bytes) -> bytes:
    if not found["colon"] or found["how"] != "=" or not (found["name"] or found["rule"]):
        raise FilterError("an extensible match is written `name:rule:=value`")
    return tlv(
        _EXTENSIBLE,
        octets(found["rule"], 0x81) if found["rule"] else b"",
        octets(found["name"], 0x82) if found["name"] else b"",
        octets(_unescaped(value), 0x83),
        truth(value=True, tag=0x84) if found["dn"] else b"",
    )


def _unescaped(value: bytes) -> bytes:
    def plain(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise FilterError("a `\\` is not followed by two hexadecimal digits")
        return bytes((int(found[1], 16),))

    return _ESCAPE.sub(plain, value)
