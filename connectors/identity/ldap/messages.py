"""LDAP's messages, as far as a reader needs them (RFC 4511; paged results RFC 2696; StartTLS RFC 4511 4.14).

Pure: bytes from values and values from bytes. Raises BerError for what a server must not send.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from connectors.identity.ldap.ber import (
    ENUMERATED,
    OCTETS,
    SEQUENCE,
    SET,
    BerError,
    Reader,
    element,
    elements,
    integer,
    octets,
    tlv,
    truth,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Scope = Literal["base", "one", "subtree"]

PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"
SHOW_DELETED: Final = "1.2.840.113556.1.4.417"  # [MS-ADTS] 3.1.1.3.4.1.14
START_TLS: Final = "1.3.6.1.4.1.1466.20037"
NOTICE_OF_DISCONNECTION: Final = "1.3.6.1.4.1.1466.20036"
NO_ATTRIBUTES: Final = "1.1"

SUCCESS: Final = 0

_SCOPES: Final[Mapping[Scope, int]] = {"base": 0, "one": 1, "subtree": 2}
_BIND_REQUEST, _BIND_RESPONSE = 0x60, 0x61
_UNBIND_REQUEST: Final = 0x42
_SEARCH_REQUEST, _ENTRY, _DONE, _REFERENCE = 0x63, 0x64, 0x65, 0x73
_EXTENDED_REQUEST, _EXTENDED_RESPONSE = 0x77, 0x78
_CONTROLS: Final = 0xA0
_REFERRAL: Final = 0xA3
_SASL: Final = 0xA3
_VERSION: Final = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """One object. Attribute names in lower case, with their options (`member;range=0-1499`); values as bytes."""

    dn: str
    attributes: Mapping[str, tuple[bytes, ...]]


@dataclass(frozen=True, slots=True)
class Reference:
    """A continuation that points to another server (RFC 4511 section 4.5.3). It is counted and never followed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an operation. `cookie` None: the server sent no paged-results control."""

    kind: Literal["bind", "search", "extended"]
    code: int
    diagnostic: str
    cookie: bytes | None = None
    name: str = ""  # of an extended response


@dataclass(frozen=True, slots=True)
class Search:
    """`filter` is encoded already. Sizes and seconds are asked of the server as well; ours hold whatever it does."""

    base: str
    scope: Scope
    filter: bytes
    attributes: Sequence[str]
    seconds: int
    page: int | None = None
    cookie: bytes = field(default=b"")
    show_deleted: bool = False


def simple_bind(number: int, dn: str, password: str) -> bytes:
    """RFC 4513 section 5.1.3. An empty password would be an anonymous bind that looks like success: refused."""
    if not dn or not password:
        raise ValueError("a simple bind needs a name and a password")
    operation = tlv(_BIND_REQUEST, integer(_VERSION), octets(dn), octets(password, 0x80))
    return _message(number, operation)


def external_bind(number: int) -> bytes:
    """SASL EXTERNAL (RFC 4422 appendix A): who we are, the TLS client certificate says."""
    sasl = tlv(_SASL, octets("EXTERNAL"), octets(""))  # empty credentials: nobody else than the certificate says
    return _message(number, tlv(_BIND_REQUEST, integer(_VERSION), octets(""), sasl))


def start_tls(number: int) -> bytes:
    return _message(number, tlv(_EXTENDED_REQUEST, octets(START_TLS, 0x80)))


def unbind(number: int) -> bytes:
    return _message(number, tlv(_UNBIND_REQUEST))


def search(number: int, wanted: Search) -> bytes:
    """A search that never dereferences aliases. Its page control is critical: without it the end is not known."""
    operation = tlv(
        _SEARCH_REQUEST,
        octets(wanted.base),
        integer(_SCOPES[wanted.scope], ENUMERATED),
        integer(0, ENUMERATED),  # neverDerefAliases: an alias may lead out of the base
        integer(0),
        integer(wanted.seconds),
        truth(value=False),
        wanted.filter,
        tlv(SEQUENCE, *(octets(name) for name in wanted.attributes)),
    )
    controls = b""
    if wanted.page is not None:
        controls += _control(PAGED_RESULTS, tlv(SEQUENCE, integer(wanted.page), octets(wanted.cookie)))
    if wanted.show_deleted:
        controls += _control(SHOW_DELETED)
    return _message(number, operation, controls)


def _message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return tlv(SEQUENCE, integer(number), operation, tlv(_CONTROLS, controls) if controls else b"")


def _control(oid: str, value: bytes | None = None) -> bytes:
    return tlv(SEQUENCE, octets(oid), truth(value=True), b"" if value is None else octets(value))


def parse(data: bytes) -> tuple[int, Entry | Reference | Result]:
    """(message id, what it says) of one whole message."""
    reader = Reader(data)
    message = reader.inside(SEQUENCE)
    if reader:
        raise BerError("bytes follow a message")
    number = message.integer()
    tag = message.peek()
    if tag == _ENTRY:
        return number, _entry(data, *message.next(_ENTRY))
    if tag == _REFERENCE:
        message.next(_REFERENCE)
        return number, Reference()
    return number, _result(tag, message)


def _entry(data: bytes, at: int, end: int) -> Entry:
    """Flat, because a run reads hundreds of thousands of values."""
    tag, start, stop = element(data, at, end)
    if tag != OCTETS:
        raise BerError("an entry has no name")
    dn = _text(data[start:stop])
    tag, at, stop = element(data, stop, end)
    if tag != SEQUENCE or stop != end:
        raise BerError("an entry's attributes are no list")
    attributes: dict[str, tuple[bytes, ...]] = {}
    for tag, start, stop in elements(data, at, end):
        if tag != SEQUENCE:
            raise BerError("an attribute is no sequence")
        name_tag, name_at, name_end = element(data, start, stop)
        set_tag, values_at, values_end = element(data, name_end, stop)
        if name_tag != OCTETS or set_tag != SET or values_end != stop:
            raise BerError("an attribute is no name and set")
        name = _text(data[name_at:name_end]).lower()
        if name in attributes:
            raise BerError("an attribute stands twice")
        attributes[name] = tuple(_values(data, values_at, values_end))
    return Entry(dn, attributes)


def _values(data: bytes, at: int, end: int) -> list[bytes]:
    found = []
    for tag, start, stop in elements(data, at, end):
        if tag != OCTETS:
            raise BerError("a value is no octet string")
        found.append(data[start:stop])
    return found


_RESULTS: Final[Mapping[int, Literal["bind", "search", "extended"]]] = {
    _BIND_RESPONSE: "bind",
    _DONE: "search",
    _EXTENDED_RESPONSE: "extended",
}


def _result(tag: int, message: Reader) -> Result:
    kind = _RESULTS.get(tag)
    if kind is None:
        raise BerError(f"a server must not send tag {tag:#04x}")
    body = message.inside(tag)
    code = body.integer(ENUMERATED)
    body.octets()  # matchedDN: nothing of it is used
    diagnostic = body.octets().decode("utf-8", "replace")
    if body.peek() == _REFERRAL:
        body.next(_REFERRAL)
    name = ""
    if kind == "extended" and body.peek() == 0x8A:  # noqa: PLR2004  # responseName [10]
        name = _text(body.octets(0x8A))
    return Result(kind, code, diagnostic, _cookie(message), name)


def _cookie(message: Reader) -> bytes | None:
    """The cookie of the paged-results control, where there is one."""
    if message.peek() != _CONTROLS:
        return None
    controls = message.inside(_CONTROLS)
    cookie = None
    while controls:
        control = controls.inside(SEQUENCE)
        oid = control.octets()
        if control.peek() == 0x01:
            control.truth()
        if oid == PAGED_RESULTS.encode():
            page = Reader(control.octets()).inside(SEQUENCE)
            page.integer()  # the server's guess of the total
            cookie = page.octets()
    return cookie


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise BerError("a name is not UTF-8") from None
