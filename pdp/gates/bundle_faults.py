"""Everything that can be said of a bundle before an engine has loaded it: for the gate and for `pdp bundle check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.bundle.bundle import bundle_of_canonical
from pdp.bundle.fault import Fault, fault_at
from pdp.bundle.type_check import type_faults
from pdp.bundle.unexplained import unexplained_reasons
from pdp.engine.footprint_check import examine_bundle
from pdp.engine.syntax import parse_modules
from pdp.errors import BundleError
from pdp.facts.reference import read_reference

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle


def check_bundle(bundle: Bundle) -> list[Fault]:
    """Capabilities, texts of the reasons, what is asked of input and data, reference data.

    Raises EngineError where the parser cannot be used.
    """
    engines_differ = examine_bundle(bundle).faults
    faults = [*engines_differ, *unexplained_reasons(bundle)]
    modules, broken = parse_modules(bundle.modules)
    tests, broken_tests = parse_modules(bundle.tests)
    faults += [fault_at(one.name, (one.line, one.column), "syntax_error", one.message) for one in broken_tests]
    if not (broken or engines_differ):  # what a refused module defines would be missing everywhere else
        faults += type_faults(bundle, modules, tests)
    if bundle.profile == "zta":
        try:
            read_reference(bundle.data)
        except BundleError as fault:
            faults.append(unreadable(fault))
    return faults


def revision_faults(bundle: Bundle) -> list[Fault]:
    """The same of a bundle that is to be activated. Blocks. Raises EngineError.

    A worker gets what decides, without the bundle's own list of capabilities: by this house's list it must pass too.
    """
    found = check_bundle(bundle)
    if bundle.capabilities:
        known = {(fault.where, fault.code) for fault in found}
        plain = examine_bundle(bundle_of_canonical(bundle.canonical)).faults
        found += [fault for fault in plain if (fault.where, fault.code) not in known]
    return found


def unreadable(fault: BundleError) -> Fault:
    """A BundleError as a fault among others. Its place is in its message already, where it is known."""
    where = fault.where or ""
    message = fault.message.removeprefix(f"{where}: ") if where else fault.message
    file, line, column = _place(where)
    return Fault(file, line, column, fault.code, message, f"読み込めない: {message}")


def _place(where: str) -> tuple[str, int, int]:
    """`file:line:column`, or any shorter part of it."""
    file, *numbers = where.split(":")
    line, column, *_ = (*(int(n) for n in numbers if n.isdecimal()), 0, 0)
    return file, line, column
