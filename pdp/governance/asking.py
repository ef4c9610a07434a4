"""Who asks, and what their request says: members by name, each of its one kind, and none that nobody reads. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from pdp.errors import BadRequestError, NotPermittedError, UnsupportedMediaError
from pdp.revisions.person import MAX_ID, Person
from pdp.strict_json import MAX_BYTES, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.callers.caller import Caller, Permission
    from pdp.revisions.person import Role
    from pdp.wire.exchange import HttpRequest

ROLE_OF: Final[Mapping[Permission, Role]] = {
    "policy_read": "auditor",
    "policy_author": "author",
    "policy_approve": "approver",
    "policy_operate": "operator",
    "policy_admin": "administrator",
}
MAX_CONTENTS: Final = 8 * 1024 * 1024  # of a body with files; the shipped policy has 0.2 MB
_MAX_PARAMETERS: Final = 16


def person_of(caller: Caller) -> Person:
    """The person behind a caller. Raises NotPermittedError where none of its permissions is of this house.

    A machine's or a key owner's id is told from a person's at the console by its kind: a caller may be called
    anything, also `user:u-0001`.
    """
    roles = frozenset(role for permission, role in ROLE_OF.items() if caller.may(permission))
    if not roles:
        raise NotPermittedError("this caller may not see policies", next_step="ask for one of the permissions policy_…")
    return Person((caller.id if caller.person else f"caller:{caller.id}")[:MAX_ID], roles)


def body_of(request: HttpRequest, *, most: int = MAX_BYTES) -> dict[str, Any]:
    """A JSON object of at most `most` bytes, or nothing at all. Raises BadRequestError and UnsupportedMediaError."""
    if not request.body:
        return {}
    media = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise UnsupportedMediaError("the body is not `application/json`")
    found = parse_json(request.body, max_bytes=most)
    if not isinstance(found, dict):
        raise BadRequestError("the body is not a JSON object")
    return found


def query_of(request: HttpRequest) -> dict[str, str]:
    """Each parameter once. Raises BadRequestError."""
    try:
        pairs = parse_qsl(request.query, keep_blank_values=True, strict_parsing=bool(request.query), errors="strict")
    except ValueError:
        raise BadRequestError("the query string is not one") from None
    found = dict(pairs)
    if len(found) != len(pairs) or len(pairs) > _MAX_PARAMETERS:
        raise BadRequestError("a parameter stands more than once, or there are too many")
    return found


class Members:
    """What a request says, taken member by member; `done` refuses what nobody took: a misspelt word is no word."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        self._said = dict(said)

    def text(self, name: str) -> str:
        found = self.maybe_text(name)
        if found is None:
            raise BadRequestError(f"`{name}` is missing", pointer=f"/{name}")
        return found

    def maybe_text(self, name: str) -> str | None:
        found = self._said.pop(name, None)
        if found is not None and not isinstance(found, str):
            raise BadRequestError(f"`{name}` is not a text", pointer=f"/{name}")
        return found

    def maybe_number(self, name: str, *, least: int = 1, most: int = (1 << 62)) -> int | None:
        """A whole number, or a text of digits as a query string has it."""
        found = self._said.pop(name, None)
        if isinstance(found, str) and found.isascii() and found.isdecimal() and len(found) < 20:  # noqa: PLR2004
            found = int(found)
        if found is None:
            return None
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= most:
            raise BadRequestError(f"`{name}` is not a whole number of {least} to {most}", pointer=f"/{name}")
        return found

    def time(self, name: str) -> datetime:
        text = self.text(name)
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = datetime.min  # noqa: DTZ901  # refused below, as every other that names no offset
        if found.tzinfo is None:
            raise BadRequestError(f"`{name}` is no time with its offset (RFC 3339)", pointer=f"/{name}")
        return found

    def texts_by_name(self, name: str) -> dict[str, Any]:
        found = self._said.pop(name, None)
        if not isinstance(found, dict) or not found:
            raise BadRequestError(f"`{name}` is no object of texts", pointer=f"/{name}")
        return found

    def changes(self, name: str) -> dict[str, Any]:
        """Texts by their names, or null for what is taken away; empty where there are none."""
        found = self._said.pop(name, {})
        if not isinstance(found, dict) or not all(text is None or isinstance(text, str) for text in found.values()):
            raise BadRequestError(f"`{name}` is no object of texts", pointer=f"/{name}")
        return found

    def maybe_object(self, name: str) -> dict[str, Any] | None:
        found = self._said.pop(name, None)
        if found is not None and not isinstance(found, dict):
            raise BadRequestError(f"`{name}` is no object", pointer=f"/{name}")
        return found

    def flag(self, name: str) -> bool:
        """`true` or `false`; false where nothing is said."""
        found = self._said.pop(name, False)
        if not isinstance(found, bool):
            raise BadRequestError(f"`{name}` is neither `true` nor `false`", pointer=f"/{name}")
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        found = self._said.pop(name, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise BadRequestError(f"`{name}` is no list of texts", pointer=f"/{name}")
        return tuple(found)

    def done(self) -> None:
        """Raises BadRequestError for what is left."""
        if self._said:
            raise BadRequestError(f"there is no member `{next(iter(sorted(self._said)))[:64]}`")


def number_in(text: str) -> int:
    """The number of a revision in a path. Raises BadRequestError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):  # noqa: PLR2004  # a billion revisions
        raise BadRequestError(f"`{text[:32]}` is no number of a revision")
    return int(text)
