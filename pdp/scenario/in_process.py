"""The shortest way into the house: `Checkpoint.decide` itself, with an engine and nothing else that is real.

The clock stands still at each step's `now`, the directory is the story's own, and nothing is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.active_policy import ActivePolicy
from pdp.bundle.footprint import WHOLE
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.decide import Checkpoint
from pdp.declog.unsafe import UnsafeNoRecord
from pdp.errors import ScenarioError
from pdp.facts.reference import read_reference
from pdp.house import House
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NoIssuer
from pdp.scenario.runner import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.footprint import Footprint
    from pdp.cache.levels import VerdictCache
    from pdp.engine.port import Engine
    from pdp.facts.reference import Reference
    from pdp.model.decision import Decision
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest, Refusal

NARRATOR: Final = Caller("scenario", PERMISSIONS)  # who tells the story may say everything
_NO_ID: Final = "00000000-0000-7000-8000-000000000000"  # nothing is recorded, so nothing is looked up


class InProcess:
    """A `Way`. The engine must have activated this bundle. Questions may overlap: none leaves a trace."""

    def __init__(
        self, engine: Engine, bundle: Bundle, *, footprint: Footprint = WHOLE, cache: VerdictCache | None = None
    ) -> None:
        """Raises ScenarioError for a bundle that is not `zta`, BundleError where its reference data is not usable."""
        if bundle.profile != "zta":
            raise ScenarioError("scenarios need a bundle of profile `zta`")
        self.reference: Reference = read_reference(bundle.data)
        self._engine = engine
        self._cache = cache
        self._policy = ActivePolicy(bundle, self.reference, footprint)

    async def ask(self, snapshot: Snapshot, request: AccessRequest, now: datetime) -> Answer:
        verdict = (await self.decide(snapshot, request, now)).verdict
        return Answer(verdict.outcome.value, verdict.reasons, verdict.obligations, verdict.required_auth_level)

    async def decide(
        self, snapshot: Snapshot, request: AccessRequest, now: datetime, levels: LevelTable | None = None
    ) -> Decision:
        """The whole decision, for those who want more than an answer."""
        house = House(
            clock=lambda: now,
            stopwatch=lambda: 0,
            new_id=lambda: _NO_ID,
            policies=_Only(self._policy),
            directory=_Story(snapshot),
            levels=levels or LevelTable(),
            tokens=NoIssuer(),
            engine=self._engine,
            log=UnsafeNoRecord(),
            observer=_Nobody(),
            cache=self._cache,
        )
        return await Checkpoint(house).decide(request, NARRATOR)


@dataclass(frozen=True, slots=True)
class _Only:
    policy: ActivePolicy

    def active(self) -> ActivePolicy:
        return self.policy


@dataclass(frozen=True, slots=True)
class _Story:
    snapshot: Snapshot

    def current(self) -> Snapshot:
        return self.snapshot

    def is_stale(self) -> bool:
        return False  # a story's directory is as it tells it


class _Nobody:
    """An observer who does not count."""

    def decided(self, decision: Decision, wire: str, steps_us: Mapping[str, int]) -> None: ...

    def refused(self, refusal: Refusal) -> None: ...
