"""What others find in a bundle, beside the checks of this house (`pdp.gates.bundle_faults`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.bundle.fault import Fault


def outside_faults(bundle: Bundle) -> list[Fault]:
    """What OPA and Regal find, where they are installed. Raises EngineError where one of them does not run."""
    from pdp.commands.bundle_outside import opa_faults, regal_faults

    return [*(opa_faults(bundle) or ()), *(regal_faults(bundle) or ())]
