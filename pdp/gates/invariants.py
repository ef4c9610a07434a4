"""Is every invariant proven for the draft, over its whole decision space? If not, here is the counterexample."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pdp.gates.profile import plain_result
from pdp.gates.proving import Order, find
from pdp.revisions.revision import GateResult

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.bundle.bundle import Bundle
    from pdp.revisions.gate import Candidate

MAX_NAMED: Final = 3  # invariants that the one line names; all of them stand in the details


class InvariantsGate:
    """What cannot be proven, because it is too large or says more than facts can be counted out of, is not passed."""

    name = "invariants"

    def __init__(self, own: str = "", expected: Callable[[], Bundle | None] = lambda: None) -> None:
        """`own`: a file with invariants of this house. `expected` reads what is of record, and blocks."""
        self._own = own
        self._expected = expected

    async def judge(self, candidate: Candidate) -> GateResult:
        """Raises SpaceError, and as `expected`."""
        if candidate.bundle.profile != "zta":
            expected = await asyncio.to_thread(self._expected)
            return plain_result(self.name, expected, "only a policy of profile `zta` has a closed input")
        found = await find(Order(candidate.bundle.canonical.decode(), self._own))
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
