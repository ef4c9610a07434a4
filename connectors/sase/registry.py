"""Which module makes which target. Modules are loaded when they are asked for.

To add one: a module with `def target(mapping: Mapping[str, Any]) -> Target`, and a line here.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.export.port import Target

MODULES: Final[Mapping[str, str]] = {
    "entra": "connectors.sase.entra",
    "cloudflare": "connectors.sase.cloudflare",
    "envoy": "connectors.sase.envoy",
    "prisma": "connectors.sase.prisma",
    "netskope": "connectors.sase.netskope",
    "zpa": "connectors.sase.zpa",
}
PREVIEWS: Final = frozenset({"netskope"})  # targets of whose API the vendor's own sources tell different things


def make(name: str, mapping: Mapping[str, Any]) -> Target:
    """The target, with the administrator's mapping. Raises SettingsError for an unknown name or a mapping amiss."""
    module = MODULES.get(name)
    if module is None:
        raise SettingsError(f"there is no target `{name}`; known are {', '.join(sorted(MODULES))}")
    made: Target = import_module(module).target(mapping)
    return made
