"""What a revision passes before people look at it. A gate is anything with a name that judges contents.

Gates of this house: `pdp.gates`, listed in `pdp.gates.opening`; their results are data, kept with the revision.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pdp.errors import SekishoError
from pdp.logs import get_log
from pdp.revisions.revision import BUNDLE_GATE, GateResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.bundle.bundle import Bundle

GATE_S: Final = 300.0  # of one gate: the tests and scenarios of the shipped policy take a few seconds
_log = get_log("pdp.revisions")


@dataclass(frozen=True, slots=True)
class Candidate:
    """The contents that are judged. `bundle` is made of `files`, with its tests and capabilities."""

    number: int
    files: Mapping[str, str]
    bundle: Bundle


class Gate(Protocol):
    @property
    def name(self) -> str:
        """One word, at most 32 characters, under which its result is kept."""
        ...

    async def judge(self, candidate: Candidate) -> GateResult:
        """May raise a SekishoError, which counts as a failure."""
        ...


async def run_gates(
    gates: Sequence[Gate], candidate: Candidate, told: Callable[[str, int, int], None] = lambda *_: None
) -> list[GateResult]:
    """Every gate's result, in order. Never raises: a gate that cannot be run has not let anything through.

    Where the first one, the bundle's own, fails, the others have nothing to judge. `told` hears, before each gate, its
    name, how many are done, and how many there are.
    """
    results: list[GateResult] = []
    for done, gate in enumerate(gates):
        told(gate.name, done, len(gates))
        if any(result.name == BUNDLE_GATE and result.result != "passed" for result in results):
            results.append(GateResult(gate.name, "not_run", "the bundle itself has faults"))
        else:
            results.append(await _judged(gate, candidate))
    return results


async def _judged(gate: Gate, candidate: Candidate) -> GateResult:
    try:
        async with asyncio.timeout(GATE_S):
            return await gate.judge(candidate)
    except TimeoutError:
        return GateResult(gate.name, "failed", f"no result within {GATE_S:g} seconds")
    except SekishoError as fault:
        return GateResult(gate.name, "failed", fault.message, {"code": fault.code})
    except Exception:  # noqa: BLE001  # whatever it is: not passed, and the cause is in the log
        _log.exception("a gate failed unexpectedly", gate=gate.name)
        return GateResult(gate.name, "failed", "it could not be run; the cause is in the service's log")
