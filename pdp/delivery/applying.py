"""A plan, step by step, so that it may be cut off anywhere and goes on.

1. the tenant is what the plan was made against, with the steps that are done; otherwise nothing is begun
2. each step: look at the thing. As the step wants it: done. As the plan expects it: ask the vendor. Anything else:
   somebody has changed it meanwhile, and the plan ends here
3. a vendor that leaves us unsure (`UNSURE`) is looked at again before it is asked again
4. the first failure ends the apply; what is done stays, and was never wider than the safe order allows
5. at the end everything is read once more, and has to be what was wanted
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pdp.delivery.journal import Line, applied_of
from pdp.delivery.plan import after_step, held_digest, orders, standing_digest
from pdp.delivery.port import UNSURE, Held, digest_of
from pdp.errors import ConflictError, ConnectorError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pdp.delivery.journal import Applied, InHand, Journal
    from pdp.delivery.plan import Plan, Step
    from pdp.delivery.port import Tenant

_GO_ON: Final = "run the same command again: it looks at what stands and goes on; `--anew` plans from there instead"
_CHANGED: Final = "look at what was changed there; `--anew` plans from what stands now"


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one step: its tries where the vendor leaves us unsure, and its seconds, all tries together."""

    tries: int = 5
    step_s: float = 300.0
    push_s: float = 1800.0  # a push to many gateways takes minutes; the vendor's own console waits 30


@dataclass(frozen=True, slots=True)
class Hands:
    """`now`: RFC 3339. `sleep`: of seconds. `told`: each step that is done, for the trail and the screen."""

    now: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]]
    told: Callable[[Step], Awaitable[None]]


async def apply(in_hand: InHand, tenant: Tenant, journal: Journal, hands: Hands, bounds: Bounds) -> Applied:
    """Do what is left of the plan in hand. Raises ConnectorError, ConflictError (somebody else's change) and
    RecordFailedError; what stands then is in the message.
    """
    applying = _Applying(in_hand, tenant, journal, hands, bounds)
    await applying.meet()
    for step in in_hand.plan.steps:
        if step.number not in applying.done:
            await applying.do(step)
    return await applying.finish()


class _Applying:
    def __init__(self, in_hand: InHand, tenant: Tenant, journal: Journal, hands: Hands, bounds: Bounds) -> None:
        self._in_hand = in_hand
        self._tenant = tenant
        self._journal = journal
        self._hands = hands
        self._bounds = bounds
        lines = journal.lines()
        self.done = {line.step for line in lines if line.is_ == "done"}
        self._begun = {line.step for line in lines if line.is_ == "begun"}
        self._jobs = {line.step: line.note for line in lines if line.is_ == "job"}
        self._now = in_hand.before
        for step in in_hand.plan.steps:
            if step.number in self.done:
                self._now = after_step(self._now, step)

    async def meet(self) -> None:
        """Rule 1."""
        there = standing_digest((await self._tenant.read()).held)
        expected = {standing_digest(self._now)}
        for step in self._in_hand.plan.steps:  # the one that was begun, and whose end nobody has written down
            if step.number in self._begun - self.done:
                expected.add(standing_digest(after_step(self._now, step)))
        if there not in expected:
            raise ConflictError(
                "the tenant is no longer what this was planned against" + self._so_far(), next_step=_CHANGED
            )

    async def do(self, step: Step) -> None:
        """Rules 2 to 4."""
        seconds = self._bounds.push_s if step.op == "push" else self._bounds.step_s
        try:
            async with asyncio.timeout(seconds):
                await self._until_done(step)
        except TimeoutError:
            raise self._stopped(step, ConnectorError("it took too long", fault="timeout")) from None
        except ConnectorError as fault:
            raise self._stopped(step, fault) from None
        await self._hands.told(step)  # before it counts as done: what the trail has twice is better than never
        self._note(step, "done")
        self._now = after_step(self._now, step)

    async def _until_done(self, step: Step) -> None:
        for turn in range(self._bounds.tries):
            how = await self._how_it_stands(step)
            if how == "done":
                return
            if how == "changed":
                words = step.words().en
                raise ConflictError(
                    f"somebody has changed what `{words}` is about" + self._so_far(), next_step=_CHANGED
                )
            if turn == 0:
                self._note(step, "begun")
            try:
                await self._ask(step)
            except ConnectorError as fault:
                if fault.fault != UNSURE or turn + 1 == self._bounds.tries:
                    raise
                await self._hands.sleep(float(2**turn))
            else:
                return

    async def _how_it_stands(self, step: Step) -> Literal["done", "expected", "changed"]:
        if step.op == "push" or step.key is None:
            return "expected"
        if step.op == "move":
            place = step.key.place
            there = digest_of(list(await self._tenant.order(place)))
            before, after = (digest_of(orders(one).get(place, [])) for one in (self._now, after_step(self._now, step)))
        else:
            there = held_digest(await self._tenant.look(step.key))
            before = step.expects
            after = held_digest(None if step.thing is None else Held(step.thing, step.live))
        if there == before:
            return "expected"
        return "done" if there == after else "changed"

    async def _ask(self, step: Step) -> None:
        tenant, key = self._tenant, step.key
        if key is None:
            number = step.number
            await tenant.push(self._jobs.get(number, ""), lambda job: self._note(step, "job", job))
        elif step.op == "remove":
            await tenant.remove(key)
        elif step.op == "move":
            await tenant.move(key, step.behind)
        elif step.thing is not None and step.op == "add":
            await tenant.add(step.thing, live=step.live)
        elif step.thing is not None:
            await tenant.change(step.thing, live=step.live)

    async def finish(self) -> Applied:
        """Rule 5."""
        standing = await self._tenant.read()
        if standing_digest(standing.held) != standing_digest(self._now):
            raise ConflictError("all steps are done, and the tenant has something else", next_step=_CHANGED)
        applied = applied_of(self._in_hand, standing.held, self._hands.now())
        self._journal.end(applied)
        return applied

    def _note(self, step: Step, what: Literal["begun", "job", "done"], note: str = "") -> None:
        self._journal.note(Line(step.number, what, self._hands.now(), note))
        if what == "done":
            self.done.add(step.number)
        if what == "job":
            self._jobs[step.number] = note

    def _so_far(self) -> str:
        return f" ({len(self.done)} of {len(self._in_hand.plan.steps)} steps are done{_staged(self._in_hand.plan)})"

    def _stopped(self, step: Step, fault: ConnectorError) -> ConnectorError:
        text = f"stopped at step {step.number}, `{step.words().en}`: {fault.message}{self._so_far()}"
        return ConnectorError(text, fault=fault.fault, retry_after_s=fault.retry_after_s, next_step=_GO_ON)


def _staged(plan: Plan) -> str:
    return ", and nothing of it counts before the push" if any(step.op == "push" for step in plan.steps) else ""
