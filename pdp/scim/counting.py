"""What is counted of a SCIM request: of which kind of resource it was, and what became of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, Protocol

from sqlalchemy import func, select, union_all

from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pdp.store.store import Store

Outcome = Literal["read", "written", "refused", "held_back", "failed"]
NOBODY: Final = "none"  # in the place of a client: whoever had no right to be here
_RESOURCES: Final = frozenset({"Users", "Groups", "Bulk"})


class Count(Protocol):
    def __call__(self, client: str, resource: str, outcome: Outcome, now: datetime, /) -> None: ...


def resource_at(path: str) -> str:
    """`Users`, `Groups`, `Bulk` or `other`, of a path below the SCIM root."""
    first = path.strip("/").partition("/")[0]
    return first if first in _RESOURCES else "other"


def outcome_of(status: int, *, writes: bool, held_back: bool) -> Outcome:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "failed"
    if held_back:
        return "held_back"
    if status >= HTTPStatus.BAD_REQUEST:
        return "refused"
    return "written" if writes else "read"


def last_writes(store: Store, tenants: Iterable[str]) -> dict[str, datetime | None]:
    """When each of these last made, changed or removed somebody or a group; None: nothing of it stands here.

    Removals are remembered for a day. Raises DirectoryError.
    """
    written = (
        (tables.scim_users.c.tenant, tables.scim_users.c.changed_at),
        (tables.scim_groups.c.tenant, tables.scim_groups.c.changed_at),
        (tables.scim_removals.c.tenant, tables.scim_removals.c.at),
    )
    latest = union_all(*(select(tenant, func.max(at).label("at")).group_by(tenant) for tenant, at in written))
    found: dict[str, datetime | None] = dict.fromkeys(tenants)
    with store.read() as connection:
        for tenant, at in connection.execute(latest):
            held = found.get(tenant)
            if tenant in found and (held is None or at > held):
                found[tenant] = at
    return found
