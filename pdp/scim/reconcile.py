"""When a tenant's settings have changed: everybody whom it brought is read again by the new ones.

A role that left the table leaves its people too, and not only those whom the provider happens to touch.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from scim2_models import SCIMException
from sqlalchemy import delete, insert, select

from pdp.directory.changes import change
from pdp.directory.registers import id_fault
from pdp.errors import SettingsError
from pdp.scim.people import People
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.model.provisioning import ScimTenant
    from pdp.store.store import Store

_TENANTS: Final = tables.scim_tenants


def reconcile(store: Store, tenants: Mapping[str, ScimTenant], now: datetime) -> tuple[str, ...]:
    """The tenants whose people were read again. Workers may race: the second finds nothing to do.

    Raises SettingsError where somebody cannot be mapped by the new settings (nothing of that tenant is changed),
    DirectoryError where the store does not answer. People of a tenant that is no longer in the settings stay as
    they are: nobody may provision them, and the operator decides what becomes of them.
    """
    return tuple(tenant for tenant, settings in sorted(tenants.items()) if _changed(store, tenant, settings, now))


def settings_digest(settings: ScimTenant) -> str:
    """SHA-256, in hex, over the settings by which people are mapped."""
    mapping = {name: value for name, value in msgspec.to_builtins(settings).items() if name != "silent_after_h"}
    return hashlib.sha256(msgspec.json.encode(mapping, order="deterministic")).hexdigest()


def _check(tenant: str, settings: ScimTenant) -> None:
    for id_ in (settings.organisation, *settings.departments.values()):
        if fault := id_fault(id_):
            raise SettingsError(f"`scim.{tenant}`: the id `{id_[:64]}` {fault}")


def _changed(store: Store, tenant: str, settings: ScimTenant, now: datetime) -> bool:
    _check(tenant, settings)
    digest = settings_digest(settings)
    held = select(_TENANTS.c.settings_digest).where(_TENANTS.c.tenant == tenant)
    with store.read() as connection:
        if connection.execute(held).scalar() == digest:
            return False
    with change(store, now) as inside:
        if inside.connection.execute(held).scalar() == digest:
            return False
        try:
            People(inside, tenant, settings).settle_all()
        except SCIMException as fault:
            raise SettingsError(f"`scim.{tenant}` does not fit the people whom it brought: {fault.detail}") from None
        inside.connection.execute(delete(_TENANTS).where(_TENANTS.c.tenant == tenant))
        inside.connection.execute(insert(_TENANTS), {"tenant": tenant, "settings_digest": digest})
        return True
