"""Between a resource as the library knows it and a row of the store."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from scim2_models import InvalidValueException, ScimPolicy

from pdp.scim import limits
from pdp.scim.names import exact_key, name_key
from pdp.scim.provider import model_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from scim2_models import Resource

    from pdp.scim.membership import Member

# Set by the service, kept elsewhere, or not kept at all: a password is taken and forgotten.
_NOT_KEPT: Final = {"id", "meta", "password", "groups", "members"}
_READING: Final = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)  # what an older version accepted is still shown


class Stored(NamedTuple):
    """One row of `scim_users` or `scim_groups`. `type` is the name of its resource type."""

    type: str
    id: str
    version: int
    created_at: datetime
    changed_at: datetime
    document: str


class Membership(NamedTuple):
    """A group that a user is a direct member of."""

    group: str
    display: str


def document_of(resource: Resource[Any]) -> dict[str, Any]:
    """What is kept of a resource, in canonical names. Raises InvalidValueException where it is too large."""
    whole = resource.model_dump()
    kept = {name: value for name, value in whole.items() if name not in _NOT_KEPT}
    if len(msgspec.json.encode(kept)) > limits.DOCUMENT_BYTES:
        raise InvalidValueException(detail=f"the resource is larger than {limits.DOCUMENT_BYTES} bytes")
    return kept


def encoded(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def decoded(document: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(document)
    return found


def user_columns(document: dict[str, Any]) -> dict[str, Any]:
    """What is looked up of a user. Raises InvalidValueException for names that cannot be."""
    return {
        "user_name_key": _key(document, "userName"),
        "external_id": _external_id(document),
        "document": encoded(document),
    }


def group_columns(document: dict[str, Any]) -> dict[str, Any]:
    """What is looked up of a group. Raises InvalidValueException."""
    return {
        "display_name_key": _key(document, "displayName"),
        "external_id": _external_id(document),
        "document": encoded(document),
    }


def etag(version: int) -> str:
    return f'W/"{version}"'  # weak, as RFC 7644 section 3.14 prefers


def resource_of(row: Stored, related: Iterable[Member] | Iterable[Membership] = ()) -> Resource[Any]:
    """The resource with its members (a group) or groups (a user)."""
    whole = decoded(row.document)
    whole["id"] = row.id
    whole["meta"] = {
        "resourceType": row.type,
        "created": row.created_at,
        "lastModified": row.changed_at,
        "version": etag(row.version),
    }
    if row.type == "User":
        whole["groups"] = [_group(group) for group in related] or None  # type: ignore[arg-type]
    else:
        whole["members"] = [_shown(member) for member in related] or None  # type: ignore[arg-type]
    return model_of(row.type).model_validate(whole, scim_policy=_READING)


def _group(membership: Membership) -> dict[str, Any]:
    reference = f"Groups/{membership.group}"
    return {"value": membership.group, "$ref": reference, "display": membership.display, "type": "direct"}


def _shown(member: Member) -> dict[str, Any]:
    shown = {"value": member.id, "$ref": f"{member.type}s/{member.id}", "type": member.type}
    return shown if member.display is None else {**shown, "display": member.display}


def _key(document: dict[str, Any], attribute: str) -> str:
    """The folded form of a name that is there, is not too long, and that people can read."""
    text = document.get(attribute)
    if not isinstance(text, str) or not text.strip():
        raise InvalidValueException(detail=f"`{attribute}` is required, and must not be empty")
    if len(text) > limits.NAME_CHARACTERS:
        raise InvalidValueException(detail=f"`{attribute}` is longer than {limits.NAME_CHARACTERS} characters")
    if text != text.strip() or any(_is_hidden(character) for character in text):
        raise InvalidValueException(detail=f"`{attribute}` holds characters that cannot be seen")
    return name_key(text)


def _is_hidden(character: str) -> bool:
    """Controls, format characters (zero-width, bidirectional overrides), surrogates, private and unassigned ones."""
    return character != " " and unicodedata.category(character)[0] in "CZ" and character != "\u3000"


def _external_id(document: dict[str, Any]) -> str | None:
    text = document.get("externalId")
    if text is None:
        return None
    if len(text) > limits.NAME_CHARACTERS or not text.isprintable():
        raise InvalidValueException(detail=f"`externalId` is longer than {limits.NAME_CHARACTERS}, or cannot be seen")
    return exact_key(text)
