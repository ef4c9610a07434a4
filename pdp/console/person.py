"""Who is at the console, and what the API lets them ask: a role is a set of the API's own permissions. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.callers.caller import Caller
from pdp.model.console import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.callers.caller import Permission
    from pdp.model.console import ConsoleSettings, Role

# INVARIANT (separation of duties): administrators look after people's access to the console; they see the decision log
# with pseudonyms, and neither write nor approve policies. Who runs the service sees no names; who audits changes
# nothing.
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    "author": frozenset({"read_service", "policy_author"}),
    "approver": frozenset({"read_service", "policy_approve"}),
    "operator": frozenset({"read_service", "read_directory", "audit_operate", "audit_reveal", "policy_operate"}),
    "auditor": frozenset(
        {
            "read_service",
            "read_directory",
            "policy_read",
            "audit_read",
            "audit_export",
            "audit_sql",
            "audit_trail",
        },
    ),
    "administrator": frozenset(
        {"read_service", "read_directory", "audit_operate", "audit_trail", "manage_sessions", "policy_admin"},
    ),
}
MAX_ID: Final = 200  # with its kind before it; as the trail and the revisions keep it


@dataclass(frozen=True, slots=True)
class Person:
    """`id` says where it was proven: `user:ID` by the identity provider, `account:NAME` by a local account."""

    id: str
    name: str
    roles: frozenset[Role]

    def caller(self) -> Caller:
        """As whom the API sees them."""
        given = frozenset(word for role in self.roles for word in PERMISSIONS[role])
        return Caller(self.id, given, person=True)


def roles_in(words: Iterable[str]) -> frozenset[Role]:
    """Those of the words that are roles."""
    given = set(words)
    return frozenset(role for role in ROLES if role in given)


def roles_of(subject: str, claims: Mapping[str, Any], settings: ConsoleSettings) -> frozenset[Role]:
    """What the settings give this subject, by its name and by what the provider says of it."""
    said = _at(claims, settings.roles_claim)
    words = {word for word in (said if isinstance(said, list) else [said]) if isinstance(word, str)}
    by_claim = {role for role, wanted in settings.roles.items() if not words.isdisjoint(wanted)}
    return frozenset(by_claim) | frozenset(settings.people.get(subject, ()))


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of this very name, else what lies at the end of its dots."""
    if path in claims:
        return claims[path]
    node: Any = claims
    for name in path.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    return node
