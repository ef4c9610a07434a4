"""The four members of an AuthZEN question: subject, action, resource, context (AuthZEN 1.0 section 5).

A missing required member and a wrong type are a 400 with a JSON pointer; a member that nobody knows is
ignored. `null` is a wrong type: a member without a value is left out (section 10.1.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pdp.errors import BadRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

Kind = Literal["subject", "action", "resource"]

REQUIRED: Final[Mapping[Kind, tuple[str, ...]]] = {
    "subject": ("type", "id"),
    "action": ("name",),
    "resource": ("type", "id"),
}
SEARCHED: Final[Mapping[Kind, tuple[str, ...]]] = {"subject": ("type",), "action": (), "resource": ("type",)}
MAX_TEXT: Final = 1_024  # characters of a type, an id, a name; they stand in every record of the decision log

_KIND_OF: Final = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number"}


class Question(msgspec.Struct, frozen=True):
    """May this subject do this action on this resource. Each as it came, and known to be well formed."""

    subject: dict[str, Any]
    action: dict[str, Any]
    resource: dict[str, Any]
    context: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """The four members as they came; `context` only where it was given."""
        members = {"subject": self.subject, "action": self.action, "resource": self.resource}
        return members if self.context is None else {**members, "context": self.context}


def read_question(body: Mapping[str, Any], at: str = "") -> Question:
    """The question in an evaluation's body, which stands at the pointer `at`. Raises BadRequestError."""
    return Question(
        subject=read_entity(body, "subject", at, REQUIRED["subject"]),
        action=read_entity(body, "action", at, REQUIRED["action"]),
        resource=read_entity(body, "resource", at, REQUIRED["resource"]),
        context=optional(body, "context", dict, at),
    )


def read_entity(body: Mapping[str, Any], kind: Kind, at: str, required: tuple[str, ...]) -> dict[str, Any]:
    """One entity that must be there with these members, each a text. Raises BadRequestError."""
    if kind not in body:
        raise BadRequestError(f"the member `{kind}` is missing", pointer=at or None)
    entity: dict[str, Any] = optional(body, kind, dict, at)
    here = f"{at}/{kind}"
    for name in required:
        if name not in entity:
            raise BadRequestError(f"the member `{name}` is missing", pointer=here)
        optional_text(entity, name, here)
    optional(entity, "properties", dict, here)
    return entity


def optional(holder: Mapping[str, Any], name: str, kind: type, at: str) -> Any:
    """The member, or None where it is absent. Raises BadRequestError where it is not of this type."""
    if name not in holder:
        return None
    value = holder[name]
    if type(value) is not kind:
        raise BadRequestError(f"must be {_KIND_OF[kind]}", pointer=f"{at}/{name}")
    return value


def optional_text(holder: Mapping[str, Any], name: str, at: str, most: int = MAX_TEXT) -> str | None:
    """A text of at most `most` characters, or None where it is absent. Raises BadRequestError."""
    text: str | None = optional(holder, name, str, at)
    if text is not None and len(text) > most:
        raise BadRequestError(f"longer than {most} characters", pointer=f"{at}/{name}")
    return text
