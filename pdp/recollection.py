"""Questions that were asked here before: steps 1 to 3 of a decision, which need not be taken a second time.

A gateway asks the same thing in the same words again and again. What these steps came to for one question of one
caller are its *grounds*; they are given out again for as long as nothing has changed of what the steps looked at:

| looked at | is the same where |
|---|---|
| the words of the question | they have one reading (`AccessRequest.reading`), which no token has |
| the caller, its rights, its profile | it is equal |
| the policy, the directory | they are the very objects |
| the clock | it lies between the instant at which the facts were built and the first at which one changes by itself |

INVARIANT (nothing dynamic stays): revocations, the age of the directory, the lease of the policy and the verdict itself
are no part of the grounds. `pdp.decide` looks at each of them for every decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.recent import MAX_QUESTIONS, Recent

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.callers.caller import Caller
    from pdp.declog.sheet import Sheet
    from pdp.identity.proof import Shown
    from pdp.model.decision import Decision
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest, Reading
    from pdp.premises import Standing


class Grounds:
    """What steps 1 to 3 came to. `shown`: what of it a revocation could stand against; None: nothing was shown.

    `sheet`: the record of a decision on these grounds with the verdict of `sheet_of`, but for what is one's own.
    """

    __slots__ = ("caller", "sheet", "sheet_of", "shown", "standing")

    def __init__(self, caller: Caller, standing: Standing, shown: Shown | None) -> None:
        self.caller = caller
        self.standing = standing
        self.shown = shown
        self.sheet: Sheet | None = None
        self.sheet_of: Decision | None = None


class Recollection:
    """The grounds under one policy, of the questions that were asked last."""

    def __init__(self, most: int = MAX_QUESTIONS) -> None:
        self._snapshot: Snapshot | None = None
        self._held: Recent[tuple[Reading, str], Grounds] = Recent(most)

    def __len__(self) -> int:
        return len(self._held)

    def recall(self, request: AccessRequest, caller: Caller, snapshot: Snapshot, now: datetime) -> Grounds | None:
        """The grounds of this very question, where they hold at `now`."""
        if request.reading is None or snapshot is not self._snapshot:
            return None
        grounds = self._held.get((request.reading, caller.id))
        if grounds is None or not grounds.standing.holds(now):
            return None
        return grounds if grounds.caller is caller or grounds.caller == caller else None

    def note(self, request: AccessRequest, snapshot: Snapshot, grounds: Grounds) -> None:
        """Remember what the steps came to for this question, with this snapshot."""
        if request.reading is None:
            return
        if snapshot is not self._snapshot:
            self._held.clear()
            self._snapshot = snapshot
        self._held.keep((request.reading, grounds.caller.id), grounds)
