"""What a bundle can see of its input, and what is wrong with it: both from one parse, apart from the service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.bundle.capabilities import find_faults
from pdp.bundle.footprint import Explained, blind, explain_footprint
from pdp.engine.syntax import parse_modules
from pdp.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.fault import Fault
    from pdp.bundle.footprint import Footprint
    from pdp.bundle.syntax import Module, ParseFault


@dataclass(frozen=True, slots=True)
class Examined:
    """`faults` are the reasons why the bundle must not be activated; none where it may."""

    faults: list[Fault]
    sight: Explained


def examine_bundle(bundle: Bundle) -> Examined:
    """Every reason why this bundle must not be activated, and its footprint, for the price of one parse.

    Blocks for some hundred milliseconds, so an event loop calls it in a thread. Raises BundleError where
    `capabilities.json` cannot be read, EngineError where the parser process cannot be started.
    """
    modules, broken = parse_modules(bundle.modules)
    return Examined(find_faults(bundle, modules, broken), _sight(bundle, modules, broken))


def bundle_footprint(bundle: Bundle) -> Footprint:
    """The footprint alone. Blocks as long, and never raises: what cannot be analysed sees the whole input."""
    return explain_bundle(bundle).footprint


def explain_bundle(bundle: Bundle) -> Explained:
    """The same, with the places at which each path is read."""
    try:
        modules, broken = parse_modules(bundle.modules)
    except EngineError:
        return blind("unparsed")
    return _sight(bundle, modules, broken)


def _sight(bundle: Bundle, modules: Sequence[Module], broken: Sequence[ParseFault]) -> Explained:
    if broken:  # its rules are unknown, and any other module may call them
        return blind("unparsed", broken[0].name, broken[0].line)
    return explain_footprint(modules, bundle.entrypoint)
