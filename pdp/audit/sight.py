"""What a caller may ask of the audit, and with which eyes. Pure.

    auditor    `audit_read`      sees records as they are, of the departments that bound it
    operator   `audit_operate`   sees pseudonyms in the place of people, devices, addresses and sessions

Who has both is an auditor. Everything else is a right beside one of the two, or, for the trail, alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import NotPermittedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.callers.caller import Caller, Permission

AUDIT_PERMISSIONS: Final[tuple[Permission, ...]] = (
    "audit_read",
    "audit_operate",
    "audit_reveal",
    "audit_sql",
    "audit_export",
    "audit_trail",
)

HIDDEN: Final = "…"  # in the place of what these eyes may not see


class Sight(msgspec.Struct, frozen=True):
    """`veiled`: with pseudonyms, and without what could carry a name. `within`: these departments alone; None: all."""

    veiled: bool
    within: tuple[str, ...] | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is kept from these eyes."""
        return not self.veiled and self.within is None


def roles_of(caller: Caller) -> list[str]:
    """By what right somebody asked, for the trail: the audit's own permissions."""
    return [permission for permission in AUDIT_PERMISSIONS if caller.may(permission)]


def sight_of(caller: Caller, departments: Mapping[str, Sequence[str]], *further: Permission) -> Sight:
    """With which eyes this caller reads, where it also has the `further` permissions. Raises NotPermittedError.

    INVARIANT (bound): a caller that `departments` names is bound by it, also where the list is empty: it sees nothing.
    """
    if not (caller.may("audit_read") or caller.may("audit_operate")):
        raise NotPermittedError("this caller lacks the permission `audit_read` or `audit_operate`")
    require(caller, *further)
    bound = departments.get(caller.id)
    return Sight(veiled=not caller.may("audit_read"), within=None if bound is None else tuple(bound))


def require(caller: Caller, *permissions: Permission) -> None:
    """Raises NotPermittedError naming the first that is missing."""
    for permission in permissions:
        if not caller.may(permission):
            raise NotPermittedError(f"this caller lacks the permission `{permission}`")
