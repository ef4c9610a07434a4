"""Who or what a security event is about: subject identifiers (RFC 9493) and the complex subjects of SSF 1.0. Pure.

A subject is read into one canonical form, and two subjects are the same where these forms are equal: addresses of
mail in lower case, telephone numbers without blanks and signs, IP addresses in their shortest form, everything else
letter for letter. The wire's own spelling is not kept, as nobody may compare it.

What this refuses, and why: a member that the format does not have (RFC 9493 section 3: two readers would see two
subjects), aliases within aliases, and an empty complex subject, which would be everybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT: Final = 1_024  # characters of one value; an e-mail address has 254 at most, a URI of a subject is short
MAX_IDENTIFIERS: Final = 32  # of one `aliases`, and addresses of one `ip-addresses`
# SSF 1.0 section 3.3. What else stands in a complex subject is kept by its name, and interpreted by nobody.
COMPLEX_MEMBERS: Final = ("user", "device", "session", "application", "tenant", "org_unit", "group")
MAX_MEMBERS: Final = 16

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "account": ("uri",),
    "email": ("email",),
    "iss_sub": ("iss", "sub"),
    "opaque": ("id",),
    "phone_number": ("phone_number",),
    "did": ("url",),
    "uri": ("uri",),
    "jwt_id": ("iss", "jti"),
    "saml_assertion_id": ("issuer", "assertion_id"),
}
_IPS: Final = "ip-addresses"  # the format and its member have the same name
# How transmitters from before the final texts name a format, in `subject_type` or `format`.
_LEGACY: Final[Mapping[str, str]] = {
    "iss-sub": "iss_sub",
    "phone": "phone_number",
    "jwt-id": "jwt_id",
    "saml-assertion-id": "saml_assertion_id",
}


@dataclass(frozen=True, slots=True)
class Simple:
    """One identifier. `values`: the members of its format in their order, canonical. Equal: the same subject."""

    format: str
    values: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        if self.format == _IPS:
            return {"format": _IPS, _IPS: list(self.values)}
        return {"format": self.format, **dict(zip(_TEXTS[self.format], self.values, strict=True))}


@dataclass(frozen=True, slots=True)
class Aliases:
    """Several identifiers of one and the same subject."""

    identifiers: frozenset[Simple]

    def to_json(self) -> dict[str, Any]:
        ordered = sorted(self.identifiers, key=lambda one: (one.format, one.values))
        return {"format": "aliases", "identifiers": [one.to_json() for one in ordered]}


@dataclass(frozen=True, slots=True)
class Foreign:
    """A subject in a format that somebody agreed upon with somebody else. It is equal to itself and to nothing else."""

    format: str
    text: str  # canonical JSON

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = msgspec.json.decode(self.text)
        return value


Identifier = Simple | Aliases | Foreign


@dataclass(frozen=True, slots=True)
class Complex:
    """What all of `members` say together: this device of this user. Sorted by name, never empty.

    Names beyond `COMPLEX_MEMBERS` may stand here. Whoever acts must know those that the transmitter calls critical.
    """

    members: tuple[tuple[str, Identifier], ...]

    def get(self, name: str) -> Identifier | None:
        return dict(self.members).get(name)

    def to_json(self) -> dict[str, Any]:
        return {"format": "complex", **{name: one.to_json() for name, one in self.members}}


Subject = Simple | Aliases | Foreign | Complex


def email(address: str) -> Simple:
    """Raises BadRequestError for an address that is none."""
    return Simple("email", (_canonical("email", "email", address),))


def iss_sub(issuer: str, subject: str) -> Simple:
    """Raises BadRequestError for texts that are empty or too long."""
    return Simple("iss_sub", (_canonical("iss_sub", "iss", issuer), _canonical("iss_sub", "sub", subject)))


def opaque(identifier: str) -> Simple:
    """Raises BadRequestError for a text that is empty or too long."""
    return Simple("opaque", (_canonical("opaque", "id", identifier),))


def complex_of(**members: Identifier) -> Complex:
    """Raises BadRequestError for no members."""
    if not members:
        raise BadRequestError("a complex subject needs a member")
    return Complex(tuple(sorted(members.items())))


def read_subject(value: object, *, legacy: bool = False) -> Subject:
    """The subject in a value of JSON. Raises BadRequestError, which repeats no value.

    `legacy`: take the forms of transmitters from before the final texts too, which named the format `subject_type`,
    and left it out of complex subjects.
    """
    members = _members(value)
    if legacy and "format" not in members:
        members = _renamed(members)
    if members.get("format") == "complex":
        return _complex(members, legacy=legacy)
    return _identifier(members, legacy=legacy)


def matches(one: Subject, other: Subject) -> bool:
    """Whether two subjects are the same as far as both say (SSF 1.0, subject matching).

    Identifiers: equal, or aliases of one another. Complex: each member that both have is the same. By the letter
    two complex subjects without a common member match, a user with any device; here they do not.
    """
    if isinstance(one, Complex) != isinstance(other, Complex):
        return False
    if not isinstance(one, Complex) or not isinstance(other, Complex):
        return one == other or not set(identifiers_of(one)).isdisjoint(identifiers_of(other))
    mine, theirs = dict(one.members), dict(other.members)
    common = mine.keys() & theirs.keys()
    return bool(common) and all(matches(mine[name], theirs[name]) for name in common)


def identifiers_of(subject: Subject) -> tuple[Simple, ...]:
    """What names this one subject: itself, or each of its aliases, in an order that is always the same."""
    if isinstance(subject, Simple):
        return (subject,)
    if isinstance(subject, Aliases):
        return tuple(sorted(subject.identifiers, key=lambda one: (one.format, one.values)))
    return ()


def _members(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise BadRequestError("a subject is an object")
    return value


def _renamed(members: Mapping[str, Any]) -> dict[str, Any]:
    """A subject as it was written before the final texts, in their words."""
    rest = {name: value for name, value in members.items() if name != "subject_type"}
    if "subject_type" in members:
        return {"format": members["subject_type"], **rest}
    if rest and set(rest) <= set(COMPLEX_MEMBERS):
        return {"format": "complex", **rest}
    return rest


def _complex(members: Mapping[str, Any], *, legacy: bool) -> Complex:
    parts = {name: value for name, value in members.items() if name != "format"}
    if not parts:
        raise BadRequestError("a complex subject needs a member")
    if len(parts) > MAX_MEMBERS:
        raise BadRequestError(f"a complex subject has at most {MAX_MEMBERS} members")
    found = []
    for name, value in parts.items():
        part = _members(value)
        found.append((name, _identifier(_renamed(part) if legacy and "format" not in part else part, legacy=legacy)))
    return Complex(tuple(sorted(found)))


def _identifier(members: Mapping[str, Any], *, legacy: bool) -> Identifier:
    name = members.get("format")
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_TEXT:
        raise BadRequestError("a subject needs a `format`")
    name = _LEGACY.get(name, name) if legacy else name
    if name == "complex":
        raise BadRequestError("a complex subject stands within another")
    if name == "aliases":
        return _aliases(members, legacy=legacy)
    return _simple(name, members)


def _aliases(members: Mapping[str, Any], *, legacy: bool) -> Aliases | Foreign:
    listed = members.get("identifiers")
    if len(members) != len(("format", "identifiers")) or not isinstance(listed, list):
        raise BadRequestError("`aliases` has `identifiers`, and nothing else")
    if not 1 <= len(listed) <= MAX_IDENTIFIERS:
        raise BadRequestError(f"`identifiers` has 1 to {MAX_IDENTIFIERS} entries")
    found = set()
    for value in listed:
        one = _identifier(_members(value), legacy=legacy)
        if isinstance(one, Aliases):
            raise BadRequestError("aliases stand within aliases")
        if isinstance(one, Simple):  # a format that nobody knows is no help in finding whom the others name
            found.add(one)
    return Aliases(frozenset(found)) if found else _foreign("aliases", members)


def _simple(name: str, members: Mapping[str, Any]) -> Simple | Foreign:
    if name == _IPS:
        _only(members, (_IPS,))
        return Simple(_IPS, _addresses(members.get(_IPS)))
    texts = _TEXTS.get(name)
    if texts is None:
        return _foreign(name, members)
    _only(members, texts)
    return Simple(name, tuple(_canonical(name, text, members.get(text)) for text in texts))


def _foreign(name: str, members: Mapping[str, Any]) -> Foreign:
    return Foreign(name, msgspec.json.encode(dict(members), order="deterministic").decode())


def _only(members: Mapping[str, Any], names: tuple[str, ...]) -> None:
    if set(members) - {"format", *names}:
        raise BadRequestError("a subject has a member that its `format` does not have")


def _canonical(form: str, name: str, value: object) -> str:
    """INVARIANT (read again): what this gives, it takes and leaves as it is; a telephone number of `-` is none."""
    if isinstance(value, str) and 1 <= len(value) <= MAX_TEXT and value.isprintable():
        plain = _plain(form, value)
        if 1 <= len(plain) <= MAX_TEXT:
            return plain
    raise BadRequestError(f"`{name}` of a subject is missing, or is no printable text of 1 to {MAX_TEXT}")


def _plain(form: str, value: str) -> str:
    if form == "email":
        if not all(value.rpartition("@")) or any(letter.isspace() for letter in value):
            raise BadRequestError("`email` of a subject is no address")
        return value.lower()
    if form == "phone_number":
        return value.translate(_TELEPHONE)
    if form == "account":
        scheme, _, rest = value.partition(":")
        user, at, host = rest.rpartition("@")
        return f"{scheme.lower()}:{user}{at}{host.lower()}"
    return value


_TELEPHONE: Final = str.maketrans("", "", " -.()")  # RFC 3966 section 5.1.1: separators say nothing


def _addresses(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_IDENTIFIERS:
        raise BadRequestError(f"`{_IPS}` of a subject has 1 to {MAX_IDENTIFIERS} addresses")
    try:  # as texts: to `ip_address` a number is an address too
        return tuple(sorted({str(ip_address(_canonical(_IPS, _IPS, one))) for one in value}))
    except ValueError:
        raise BadRequestError(f"`{_IPS}` of a subject has an address that is none") from None
