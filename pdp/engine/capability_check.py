"""The check that stands before every activation: parse the bundle apart from the service, then look for faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.bundle.capabilities import find_faults
from pdp.engine.syntax import parse_modules

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.bundle.fault import Fault


def check_capabilities(bundle: Bundle) -> list[Fault]:
    """Every reason why this bundle must not be activated; the empty list where there is none.

    Blocks for some fifty milliseconds, so an event loop calls it in a thread. Raises BundleError where
    `capabilities.json` cannot be read, EngineError where the parser process cannot be started.
    """
    modules, broken = parse_modules(bundle.modules)
    return find_faults(bundle, modules, broken)
