"""Is every invariant proven for the draft, over its whole decision space? If not, here is the counterexample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.gates.proving import Order, find
from pdp.revisions.revision import GateResult

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.revisions.gate import Candidate

MAX_NAMED: Final = 3  # invariants that the one line names; all of them stand in the details


class InvariantsGate:
    """What cannot be proven, because it is too large or says more than facts can be counted out of, is not passed."""

    name = "invariants"

    def __init__(self, folder: Path | None, own: str = "") -> None:
        """`folder`: where spaces are kept from one check to the next. `own`: a file with invariants of this house."""
        self._folder = folder
        self._own = own

    async def judge(self, candidate: Candidate) -> GateResult:
        """Raises SpaceError."""
        if candidate.bundle.profile != "zta":
            return GateResult(self.name, "not_run", "only a policy of profile `zta` has a closed input")
        folder = "" if self._folder is None else str(self._folder)
        found = await find(Order(candidate.bundle.canonical.decode(), folder, self._own))
        if found.fault:
            fault = {"where": found.where, "code": found.code, "en": found.fault, "ja": f"証明できない: {found.fault}"}
            return GateResult(self.name, "failed", f"nothing is proven: {found.fault}", {"faults": [fault]})
        told = {"vectors": found.vectors, "invariants": found.proofs, "faults": found.faults}
        violated = [fault["code"] for fault in found.faults]
        proven = len(found.proofs) - len(violated)
        if not violated and proven:
            return GateResult(self.name, "passed", f"{proven} proven", told)
        names = ", ".join(violated[:MAX_NAMED]) + (", …" if len(violated) > MAX_NAMED else "")
        return GateResult(self.name, "failed", f"{proven} proven, {len(violated)} violated: {names}", told)
