"""Who does something with policies, by what right, and when two names are one person. Pure.

A person's id says where it was proven: `caller:KEY-OWNER`, `os_user:LOGIN`, `user:ID` of the directory. One human
being may have several. `People` knows which of them are one, from the settings (`policy_people`); nobody approves his
own work under another name.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from pdp.errors import NotPermittedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.revisions.states import Step

Role = Literal["author", "approver", "operator", "auditor", "administrator"]
ROLES: Final[frozenset[Role]] = frozenset(get_args(Role))
MAX_ID: Final = 200

Deed = Literal["read", "review", "except", "grant", "end", "foresee", "cancel", "export"]
"""What is done beside a revision's steps: look, close an emergency's review, ask for an exception, grant or end one."""

_AUTHORS: Final[frozenset[Role]] = frozenset({"author"})
_APPROVERS: Final[frozenset[Role]] = frozenset({"approver"})
_OPERATORS: Final[frozenset[Role]] = frozenset({"operator"})

# Administrators look after keys, people and machines. They neither write nor approve policies: whoever can make
# people must not also be able to be two of them.
MAY: Final[Mapping[Step | Deed, frozenset[Role]]] = {
    "read": ROLES,
    "create": _AUTHORS,
    "edit": _AUTHORS,
    "pass": _AUTHORS | _APPROVERS,
    "fail": _AUTHORS | _APPROVERS,
    "submit": _AUTHORS,
    "withdraw": _AUTHORS,
    "approve": _APPROVERS,
    "reject": _APPROVERS,
    "endorse": _APPROVERS,
    "schedule": _OPERATORS,
    "unschedule": _OPERATORS,
    "activate": _OPERATORS,
    "rollback": _OPERATORS | _APPROVERS,  # what harms now is taken back by whoever sees it first
    "renew": _OPERATORS,
    "retire": frozenset(),  # by an activation, never by hand
    "discard": _AUTHORS | frozenset({"administrator"}),
    "review": _APPROVERS | frozenset({"auditor"}),
    "except": _AUTHORS | _OPERATORS,
    "grant": _APPROVERS,
    "end": _OPERATORS | _APPROVERS,
    "foresee": _AUTHORS | _APPROVERS | _OPERATORS,
    "cancel": _OPERATORS | _APPROVERS | frozenset({"administrator"}),  # what others began; their own ends who began it
    "export": _OPERATORS | frozenset({"administrator"}),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who was authenticated, and what they may be here."""

    id: str
    roles: frozenset[Role]

    def require(self, deed: Step | Deed) -> None:
        """Raises NotPermittedError, naming the roles of which one is needed."""
        allowed = MAY[deed]
        if not self.roles & allowed:
            needed = " or ".join(sorted(allowed)) or "nobody's"
            raise NotPermittedError(f"this needs the role {needed}", next_step="ask somebody who has the role")


class People:
    """Which ids are one person. Compared in one form: NFKC, no case, no blanks around."""

    def __init__(self, same: Mapping[str, Iterable[str]] | None = None) -> None:
        self._one: dict[str, str] = {}
        for name, ids in (same or {}).items():
            for each in (name, *ids):
                self._join(_plain(each), _plain(name))

    def same(self, one: str, other: str) -> bool:
        return self._root(_plain(one)) == self._root(_plain(other))

    def among(self, one: str, others: Iterable[str]) -> bool:
        """Whether this is one of the others, under whatever name."""
        return any(self.same(one, other) for other in others)

    def count(self, ids: Iterable[str]) -> int:
        """How many different persons these are."""
        return len({self._root(_plain(each)) for each in ids})

    def _root(self, plain: str) -> str:
        while (up := self._one.get(plain, plain)) != plain:
            plain = up
        return plain

    def _join(self, one: str, other: str) -> None:
        # An id that two entries name makes both of them one person: the careful reading of a careless table.
        one, other = self._root(one), self._root(other)
        if one != other:
            self._one[one] = other


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()
