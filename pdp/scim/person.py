"""From a SCIM user and its groups to a person of the directory. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pdp.directory.registers import id_fault
from pdp.model.directory import Post, User
from pdp.model.provisioning import ENTERPRISE
from pdp.scim.names import exact_key, name_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from pdp.model.provisioning import GroupRule, ProvisionedKind, ScimTenant


class GroupName(NamedTuple):
    """What a rule knows a group by, in the forms that are compared (`pdp.scim.names`)."""

    external_id: str | None
    display_name: str


@dataclass(frozen=True, slots=True)
class Person:
    """What the source says of one person, in the directory's words. `departments`: the main one first."""

    id: str
    kind: ProvisionedKind
    departments: tuple[str, ...]
    roles: frozenset[str]
    active: bool
    name: str


class NoIdError(ValueError):
    """The resource has no usable user id. The message says which attribute, and what is wrong with it."""


def person_of(document: Mapping[str, Any], groups: Iterable[GroupName], tenant: ScimTenant) -> Person:
    """Raises NoIdError.

    INVARIANT (nothing by omission): whoever is not said to be active is not, and what no table of the tenant names
    gives no kind, post or role.
    """
    rules = [rule for group in groups for rule in tenant.groups if _names(rule, group)]
    return Person(
        id=user_id(document, tenant),
        kind=_kind(document, rules, tenant),
        departments=_departments(document, tenant),
        roles=frozenset(rule.role for rule in rules if rule.role),
        active=document.get("active") is True,
        name=_name(document),
    )


def user_id(document: Mapping[str, Any], tenant: ScimTenant) -> str:
    """The directory's id of this person. Raises NoIdError.

    It is compared with tokens byte by byte, so a form that only looks like another name is refused and not mended.
    """
    holder = document.get(ENTERPRISE) or {} if tenant.user_id == "employeeNumber" else document
    found = holder.get(tenant.user_id)
    if not isinstance(found, str) or not found:
        raise NoIdError(f"`{tenant.user_id}` is the user id of this service, and this person has none")
    found = found.lower() if tenant.lower_case_ids else found
    if fault := id_fault(found):
        raise NoIdError(f"`{tenant.user_id}` is the user id of this service, and this one {fault}")
    return found


def merged(held: User | None, person: Person, granted: Collection[str], tenant: ScimTenant) -> User:
    """The directory's row: what the source says, over what it cannot say.

    `granted` are the roles that this source gave before. Dates of employment, and roles that came from elsewhere,
    stay; so do posts where the tenant has no table of departments.
    """
    base = held or User(id=person.id, kind="unknown")
    roles = (frozenset(base.roles) - frozenset(granted)) | person.roles
    posts = tuple(Post(department) for department in person.departments) if tenant.departments else base.posts
    return replace(
        base,
        kind=person.kind,
        organisation=tenant.organisation,
        identity_source=tenant.identity_source,
        posts=posts,
        roles=_in_order(base.roles, roles),
        status="active" if person.active else "suspended",
        name=person.name or base.name,
    )


def parted(held: User, granted: Collection[str]) -> User:
    """The row of a person whom the source has deleted, but whom devices or permits still name."""
    roles = tuple(role for role in held.roles if role not in granted)
    return replace(held, status="ended", posts=(), roles=roles)


def _names(rule: GroupRule, group: GroupName) -> bool:
    if rule.external_id:
        return group.external_id is not None and exact_key(rule.external_id) == group.external_id
    return name_key(rule.display_name) == group.display_name


def _kind(document: Mapping[str, Any], rules: Iterable[GroupRule], tenant: ScimTenant) -> ProvisionedKind:
    of_groups = {rule.kind for rule in rules if rule.kind}
    if of_groups:
        return of_groups.pop() if len(of_groups) == 1 else "unknown"
    return tenant.kinds.get(document.get("userType") or "", tenant.default_kind)


def _departments(document: Mapping[str, Any], tenant: ScimTenant) -> tuple[str, ...]:
    extension = document.get(ENTERPRISE) or {}
    said = (extension.get("department"), extension.get("division"))
    found = (tenant.departments.get(text) for text in said if isinstance(text, str))
    return tuple(dict.fromkeys(department for department in found if department))


def _name(document: Mapping[str, Any]) -> str:
    name = document.get("name") or {}
    parts = " ".join(filter(None, (name.get("familyName"), name.get("givenName"))))
    return str(document.get("displayName") or name.get("formatted") or parts)


def _in_order(before: tuple[str, ...], roles: frozenset[str]) -> tuple[str, ...]:
    """The same roles in the same order as before, so that a change of nothing is none."""
    kept = tuple(role for role in before if role in roles)
    return (*kept, *sorted(roles.difference(kept)))
