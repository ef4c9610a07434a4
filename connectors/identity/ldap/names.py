"""Distinguished names, compared as a directory compares them (RFC 4514; caseIgnoreMatch, RFC 4517 section 4.2.11).

Names tell who is in a group and under which unit an account stands, so two names are equal only where every part is:
a name that cannot be read equals nothing.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Each RDN as sorted (type, value) pairs, the innermost first.
Name = tuple[tuple[tuple[str, str], ...], ...]

MAX_LENGTH: Final = 4_000  # characters; Active Directory allows 255 a part
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+", re.ASCII)
_SPACES: Final = re.compile(" +")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_ESCAPABLE: Final = frozenset(' "#+,;<=>\\')
# RFC 4514 section 3: short names and the OIDs that servers may write in their place.
_SHORT: Final = {
    "2.5.4.3": "cn", "commonname": "cn", "2.5.4.11": "ou", "organizationalunitname": "ou", "2.5.4.10": "o",
    "organizationname": "o", "2.5.4.6": "c", "countryname": "c", "2.5.4.7": "l", "localityname": "l",
    "2.5.4.8": "st", "stateorprovincename": "st", "0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.1": "uid", "userid": "uid",
}  # fmt: skip


class NameFault(ValueError):  # noqa: N818  # a name that cannot be read is no failure of ours
    """The text is no distinguished name."""


@lru_cache(maxsize=2_048)  # the names in the rules, which every account is compared with
def parse_name(text: str) -> Name:
    """The name's parts, folded for comparison. Raises NameFault."""
    if not text or len(text) > MAX_LENGTH:
        raise NameFault("the name is empty or too long")
    parts: list[tuple[tuple[str, str], ...]] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while True:
        pair, at = _pair(text, at)
        pairs.append(pair)
        mark = text[at : at + 1]
        if mark != "+":
            parts.append(tuple(sorted(pairs)))
            pairs = []
        if not mark:
            return tuple(parts)
        at += 1


def is_under(name: Name, above: Name) -> bool:
    """`name` stands below `above`, or is it."""
    return len(name) >= len(above) > 0 and name[len(name) - len(above) :] == above


def _pair(text: str, at: int) -> tuple[tuple[str, str], int]:
    while text[at : at + 1] == " ":
        at += 1
    found = _TYPE.match(text, at)
    if found is None:
        raise NameFault(f"an attribute is expected at character {at + 1}")
    at = found.end()
    while text[at : at + 1] == " ":
        at += 1
    if text[at : at + 1] != "=":
        raise NameFault(f"`=` is expected at character {at + 1}")
    raw, at = _value(text, at + 1)
    name = found[0].lower()
    return (_SHORT.get(name, name), _folded(raw)), at


def _value(text: str, at: int) -> tuple[bytes, int]:
    """The value's bytes without its escapes. Unescaped spaces around it are no part of it."""
    out = bytearray()
    keep = 0  # so many bytes stay, whatever spaces follow
    while at < len(text) and text[at] not in ",+;":
        char = text[at]
        if char in '"<>\0':
            raise NameFault(f"character {at + 1} must be escaped")
        if char == "\\":
            byte, at = _escape(text, at)
            out += byte
            keep = len(out)
            continue
        if char != " ":
            out += char.encode("utf-8", "surrogatepass")
            keep = len(out)
        elif out:
            out += b" "
        at += 1
    return bytes(out[:keep]), at


def _escape(text: str, at: int) -> tuple[bytes, int]:
    pair = text[at + 1 : at + 3]
    if len(pair) == 2 and _HEX.issuperset(pair):  # noqa: PLR2004  # two digits
        return bytes((int(pair, 16),)), at + 3
    if pair[:1] and pair[0] in _ESCAPABLE:
        return pair[0].encode(), at + 2
    raise NameFault(f"the escape at character {at + 1} is none")


def _folded(raw: bytes) -> str:
    """Case and runs of spaces do not count. Letters of another width stay different: no server of ours folds them."""
    try:
        value = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NameFault("a value is not UTF-8") from None
    return _SPACES.sub(" ", unicodedata.normalize("NFC", value).lower())
