"""Questions that were asked here before: steps 1 to 3 of a decision, which need not be taken a second time.

A gateway asks the same thing in the same words again and again. What these steps came to for one question of one
caller are its *grounds*; they are given out again for as long as nothing has changed of what the steps looked at:

| looked at | is the same where |
|---|---|
| the words of the question, and who asks | they have one reading (`AccessRequest.reading`), which no token has |
| the rights of the caller, its profile | the caller is equal |
| the policy, the directory | the *era* is the very object: each policy with each snapshot has its own |
| the clock | it lies between the instant at which the facts were built and the first at which one changes by itself |

Grounds stand at the reading, and go with it: those of an earlier era are held until the question is asked again, or
forgotten (`pdp.wire.authzen_readings` bounds how many there are), and hold neither that policy nor that snapshot.

INVARIANT (nothing dynamic stays): revocations, the age of the directory, the lease of the policy and the verdict itself
are no part of the grounds. `pdp.decide` looks at each of them for every decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pdp.cache.key import KeyMaker
from pdp.premises import PremisesMemory

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.active_policy import ActivePolicy
    from pdp.callers.caller import Caller
    from pdp.declog.sheet import Sheet
    from pdp.identity.proof import Shown
    from pdp.model.decision import Decision
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest
    from pdp.premises import Standing


class Era:
    """The time of one policy with one snapshot of the directory: the object itself is what is compared."""

    __slots__ = ()


class Grounds:
    """What steps 1 to 3 came to. `shown`: what of it a revocation could stand against; None: nothing was shown.

    `sheet`: the record of a decision on these grounds with the verdict of `sheet_of`, but for what is one's own.
    """

    __slots__ = ("caller", "era", "sheet", "sheet_of", "shown", "standing")

    def __init__(self, era: Era, caller: Caller, standing: Standing, shown: Shown | None) -> None:
        self.era = era
        self.caller = caller
        self.standing = standing
        self.shown = shown
        self.sheet: Sheet | None = None
        self.sheet_of: Decision | None = None


class Memory(NamedTuple):
    """What is remembered under one policy, and of one snapshot: another policy begins with nothing."""

    policy: ActivePolicy
    snapshot: Snapshot
    era: Era
    premises: PremisesMemory

    def with_snapshot(self, snapshot: Snapshot) -> Memory:
        return self._replace(snapshot=snapshot, era=Era())


def memory_of(policy: ActivePolicy, snapshot: Snapshot, engine: str, doubts: int) -> Memory:
    """A new one. `doubts`: how often what was remembered was forgotten; no key from before is made again."""
    mode = f"{policy.mode} after {doubts} doubts" if doubts else policy.mode
    keys = KeyMaker(policy.bundle, policy.sight, engine, mode)
    return Memory(policy, snapshot, Era(), PremisesMemory(policy.reference, policy.sight, keys))


def recalled(request: AccessRequest, caller: Caller, era: Era, now: datetime) -> Grounds | None:
    """The grounds of this very question, where they hold at `now`."""
    if request.reading is None:
        return None
    grounds: Grounds | None = request.reading.grounds
    if grounds is None or grounds.era is not era or not grounds.standing.holds(now):
        return None
    return grounds if grounds.caller is caller or grounds.caller == caller else None
