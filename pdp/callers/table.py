"""The callers' register as one worker holds it: every credential that counts, and what it gives.

What a row says and this version cannot read gives nothing: an unknown permission is no permission, and a caller
whose bounds cannot be read is nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from sqlalchemy import select

from pdp.bundle.bundle import Profile
from pdp.callers.bounds import LIMITS, UNBOUND, CallerBounds, KeyBounds, Networks, bounds_by_key, parsed
from pdp.callers.budget import CallerLimits
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.errors import BadRequestError
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.callers.budget import Budget
    from pdp.callers.caller import Permission

_PROFILES: Final = frozenset(get_args(Profile))


class Grant(NamedTuple):
    """What one credential gives: a caller, from an address that lies in one network of each list."""

    caller: Caller
    networks: tuple[Networks, ...] = ()


class KeyGrant(NamedTuple):
    secret_sha256: bytes
    expires_at: datetime | None
    grant: Grant


class CallerTable(NamedTuple):
    """`names` by (authority's SHA-256, name), `clients` by (issuer, client id, subject)."""

    version: int
    keys: Mapping[str, KeyGrant]
    certificates: Mapping[str, Grant]
    names: Mapping[tuple[str, str], Grant]
    clients: Mapping[tuple[str, str, str], Grant]
    budgets: Mapping[str, Budget]


EMPTY: Final = CallerTable(-1, {}, {}, {}, {}, {})


def read_table(
    connection: Connection, held: CallerTable, make: Callable[[str, CallerLimits], Budget]
) -> CallerTable | None:
    """The register as it is now; None where it is as it was `held`. A caller whose limits stay keeps its budget."""
    version: int = connection.execute(select(tables.caller_meta.c.version)).scalar_one()
    if version == held.version:
        return None
    grants = _grants(connection, held.budgets, make)
    certificates: dict[str, Grant] = {}
    names: dict[tuple[str, str], Grant] = {}
    clients: dict[tuple[str, str, str], Grant] = {}
    bindings = tables.caller_bindings
    for row in connection.execute(select(bindings).where(bindings.c.revoked_at.is_(None))):
        grant = grants.get(row.caller_id)
        if grant is None:
            continue
        if row.kind == "certificate":
            certificates[row.value] = grant
        elif row.kind == "name":
            names[row.issuer, row.value] = grant
        elif row.kind == "client":
            clients[row.issuer, row.value, row.subject] = grant
    budgets = {caller_id: grant.caller.budget for caller_id, grant in grants.items() if grant.caller.budget is not None}
    return CallerTable(version, _keys(connection, grants), certificates, names, clients, budgets)


def _grants(
    connection: Connection, budgets: Mapping[str, Budget], make: Callable[[str, CallerLimits], Budget]
) -> dict[str, Grant]:
    caller, bounds = tables.callers.c, tables.caller_bounds.c
    rows = connection.execute(
        select(
            caller.id,
            caller.permissions,
            bounds.caller_id.label("bounded"),
            bounds.profile,
            bounds.networks,
            *(getattr(bounds, name) for name in LIMITS),
        ).join_from(tables.callers, tables.caller_bounds, isouter=True)
    )
    grants: dict[str, Grant] = {}
    for row in rows:
        try:
            given = {name: getattr(row, name) for name in LIMITS if getattr(row, name) is not None}
            said = CallerBounds(row.networks or (), row.profile, CallerLimits(**given))
            networks = (parsed(said.networks),) if said.networks else ()
        except BadRequestError:
            continue
        if said.profile is not None and said.profile not in _PROFILES:
            continue
        budget = budgets.get(row.id)
        if budget is None or budget.limits != said.limits:
            budget = make(row.id, said.limits)
        permissions = known(row.permissions)
        grants[row.id] = Grant(Caller(row.id, permissions, said.profile, said.limits, budget), networks)
    return grants


def _keys(connection: Connection, grants: Mapping[str, Grant]) -> dict[str, KeyGrant]:
    key = tables.caller_keys.c
    bounds = bounds_by_key(connection)
    found: dict[str, KeyGrant] = {}
    for row in connection.execute(
        select(key.key_id, key.caller_id, key.secret_sha256, key.expires_at).where(key.revoked_at.is_(None))
    ):
        whole = grants.get(row.caller_id)
        grant = None if whole is None else _narrowed(whole, bounds.get(row.key_id, UNBOUND))
        if grant is not None:
            found[row.key_id] = KeyGrant(bytes.fromhex(row.secret_sha256), row.expires_at, grant)
    return found


def _narrowed(whole: Grant, bounds: KeyBounds) -> Grant | None:
    """INVARIANT (never wider): a key has of its caller's permissions those that both name, and none else."""
    if bounds == UNBOUND:
        return whole
    caller = whole.caller
    profile: Profile | None = caller.profile or bounds.profile
    if bounds.profile is not None and (bounds.profile not in _PROFILES or profile != bounds.profile):
        return None
    try:
        networks = (*whole.networks, parsed(bounds.networks)) if bounds.networks else whole.networks
    except BadRequestError:
        return None
    permissions = caller.permissions if bounds.permissions is None else caller.permissions & known(bounds.permissions)
    return Grant(Caller(caller.id, permissions, profile, caller.limits, caller.budget), networks)


def known(permissions: Collection[str]) -> frozenset[Permission]:
    """The words that this version knows: one that a newer version granted gives nothing here."""
    return frozenset(word for word in PERMISSIONS if word in permissions)
