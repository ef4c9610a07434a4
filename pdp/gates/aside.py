"""The gate `foresight` in a process of its own: everybody takes seconds of sorting, and a worker decides meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.gates.profile import plain_result
from pdp.jobs.child import run_child
from pdp.jobs.job import Order
from pdp.revisions.gate import GATE_S
from pdp.revisions.revision import GateResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.revisions.gate import Candidate
    from pdp.settings import Settings

_SPARE_S: Final = 10.0  # so that the child ends before the gate counts as stuck


class ForesightAside:
    """`pdp.gates.foresight.ForesightGate`, asked of a child."""

    name = "foresight"

    def __init__(
        self, settings: Settings, clock: Callable[[], datetime], expected: Callable[[], Bundle | None] = lambda: None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._expected = expected

    async def judge(self, candidate: Candidate) -> GateResult:
        """Raises BadRequestError and NotReadyError where the child gave no result."""
        if candidate.bundle.profile != "zta":  # nothing to simulate, and no process to start
            expected = await asyncio.to_thread(self._expected)
            return plain_result(self.name, expected, "only a policy of profile `zta` is asked for people")
        order = Order(work="gate_foresight", settings=self._settings, now=self._clock(), files=dict(candidate.files))
        outcome = await run_child(order, lambda _: None, seconds=GATE_S - _SPARE_S)
        found: dict[str, Any] = msgspec.json.decode(outcome.body)
        return GateResult(self.name, found["result"], found["summary"], found["details"])
