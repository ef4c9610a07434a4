"""The process in which a draft is held to its invariants. Started as a program, never imported.

A decision space takes some ten seconds of Python and a few hundred megabytes: here neither delays an answer of the
worker. It reads one `Order` to the end of its input, writes one `Finding`, and ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.bundle.bundle import bundle_of_canonical
from pdp.engine.child_bounds import prepare_process
from pdp.engine.regorus import RegorusEngine
from pdp.errors import SekishoError
from pdp.gates.proofs import confirmed, proof_told, violation_words
from pdp.gates.proving import CONFIRM_DEADLINE, NICE, Finding, Order
from pdp.space.asking import asker_for
from pdp.space.invariants import SHIPPED, prove, read_invariants
from pdp.space.space import build_space

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.space.invariants import Proof
    from pdp.space.space import DecisionSpace

_CHILDREN: Final = 2  # evaluators at once: a check may take longer, decisions may not


def main() -> None:
    """Arguments: the parent's process id, bytes of memory."""
    prepare_process(parent=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
    os.nice(NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        found = asyncio.run(_finding(order))
    except SekishoError as fault:
        found = Finding(fault=fault.message, code=fault.code, where=getattr(fault, "where", None))
    except MemoryError:
        found = Finding(fault="the decision space is larger than the memory for it", code="space_too_large")
    sys.stdout.buffer.write(msgspec.json.encode(found))


async def _finding(order: Order) -> Finding:
    bundle = bundle_of_canonical(order.canonical.encode())
    asked = [*SHIPPED, *(read_invariants(Path(order.invariants)) if order.invariants else ())]
    # Made anew each time: who can write to the folder of kept spaces could put a proof there.
    space = await build_space(bundle, partial(asker_for, children=_CHILDREN))
    proofs = [prove(space, one) for one in asked]
    sure = await _confirmed(bundle, space, proofs)
    return Finding(
        proofs=[proof_told(space, proof, sure) for proof in proofs],
        faults=[_fault(space, proof) for proof in proofs if not proof.holds],
        vectors=str(space.count(space.diagram.true)),
    )


async def _confirmed(bundle: Bundle, space: DecisionSpace, proofs: list[Proof]) -> dict[str, bool]:
    if all(proof.holds for proof in proofs):
        return {}
    engine = RegorusEngine(CONFIRM_DEADLINE, 1)
    try:
        await engine.activate(bundle)
        return await confirmed(engine, space, proofs)
    finally:
        await engine.close()


def _fault(space: DecisionSpace, proof: Proof) -> dict[str, Any]:
    words = violation_words(space, proof)
    return {"where": None, "code": proof.invariant.id, "en": words.en, "ja": words.ja}


if __name__ == "__main__":
    main()
