"""Which modules deliver which target: `NAME_things` (pure) and `NAME_tenant` (speaks with the vendor).

To add one: both modules, with `courier(mapping)` and `tenant(setup, courier)`, and a line here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.setup import Setup
    from pdp.delivery.port import Courier, Tenant

MODULES: Final[Mapping[str, str]] = {
    "cloudflare": "connectors.sase.cloudflare",
    "entra": "connectors.sase.entra",
    "netskope": "connectors.sase.netskope",
    "prisma": "connectors.sase.prisma",
    "zpa": "connectors.sase.zpa",
}


def courier_of(name: str, mapping: Mapping[str, Any]) -> Courier:
    """The pure half, with the administrator's mapping. Raises SettingsError."""
    made: Courier = import_module(f"{_module(name)}_things").courier(mapping)
    return made


def tenant_of(name: str, setup: Setup, courier: Courier) -> Tenant:
    """The half that speaks, with the settings of the tenant. Raises SettingsError."""
    made: Tenant = import_module(f"{_module(name)}_tenant").tenant(setup, courier)
    return made


def _module(name: str) -> str:
    module = MODULES.get(name)
    if module is None:
        raise SettingsError(f"`{name}` cannot be delivered; known are {', '.join(sorted(MODULES))}")
    return module
