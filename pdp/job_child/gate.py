"""The gate `foresight`, whose sorting and counting would stand in the way of decisions in a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pdp.gates.opening import foresight_gate
from pdp.job_child.ground import PATIENT_MS, draft_of, ground_of
from pdp.jobs.job import Outcome
from pdp.parts import open_engine
from pdp.revisions.gate import Candidate

if TYPE_CHECKING:
    from pdp.job_child.ground import Say
    from pdp.jobs.job import Order


async def work(order: Order, say: Say) -> Outcome:
    """What the gate found, as `pdp.gates.aside` reads it."""
    say("judging")
    draft = draft_of(order)
    patient = msgspec.structs.replace(order.settings, engine_deadline_ms=PATIENT_MS)
    with ground_of(order) as ground:
        gate = foresight_gate(
            order.settings,
            ground.store,
            open_engine=lambda: open_engine(patient),
            configured=ground.configured,
            clock=lambda: order.now,
        )
        found = await gate.judge(Candidate(0, order.files or {}, draft))
    told = {"result": found.result, "summary": found.summary, "details": dict(found.details)}
    return Outcome(digest=draft.digest, body=msgspec.json.encode(told))
