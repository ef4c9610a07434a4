"""What every vendor's delivery is held to, over its simulator: the same questions with other couriers and tenants.

A test module of a vendor makes a `World` and calls these; none of them knows a vendor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pdp.delivery.applying import Bounds, Hands, apply
from pdp.delivery.drift import drift
from pdp.delivery.journal import InHand, Journal
from pdp.delivery.plan import Plan, Step, states
from pdp.delivery.planning import make_plan
from pdp.delivery.port import Courier, Held, Tenant
from pdp.export.sieves import SpaceRegion, SpaceSieve

if TYPE_CHECKING:
    from pdp.export.port import Target
    from pdp.space.space import DecisionSpace

Files = Mapping[str, bytes]


class CutOffError(BaseException):
    """The process ends here."""


@dataclass
class World:
    """`tenant`: a new hand to the one tenant there is. `snapshot`: what somebody else sees there, to be compared."""

    courier: Courier
    tenant: Callable[[], Tenant]
    folder: Path
    snapshot: Callable[[], Any]

    @property
    def journal(self) -> Journal:
        return Journal(self.folder, "test")


async def no_wait(_seconds: float) -> None:
    await asyncio.sleep(0)


async def plan_of(world: World, files: Files, *, known: bool = True, quiet_only: bool = False) -> InHand:
    async with world.tenant() as tenant:
        standing = await tenant.read()
    plan = make_plan(
        world.courier.things(files),
        standing,
        world.courier.capabilities,
        world.courier.stand_in,
        vendor="test",
        tenant="test",
        export="e",
        known=world.journal.known() if known else None,
        quiet_only=quiet_only,
    )
    return InHand(plan, standing.held)


async def carry_out(world: World, in_hand: InHand, told: Callable[[Step], None] = lambda _: None) -> None:
    """Apply the plan in hand, as a new process would."""

    async def tell(step: Step) -> None:
        told(step)

    hands = Hands(now=lambda: "2026-11-23T00:00:00Z", sleep=no_wait, told=tell)
    async with world.tenant() as tenant:
        await apply(in_hand, tenant, world.journal, hands, Bounds())


async def deliver(world: World, files: Files) -> Plan:
    """A plan for these files, applied."""
    in_hand = await plan_of(world, files)
    with world.journal.locked():
        world.journal.take(in_hand)
        await carry_out(world, in_hand)
    return in_hand.plan


async def arrives_and_stays(world: World, first: Files, second: Files) -> None:
    """Both exports arrive, one after the other; then nothing is left to do, and nothing has drifted."""
    for files in (first, second):
        assert (await deliver(world, files)).steps
        again = await plan_of(world, files)
        assert not again.plan.steps
        applied = world.journal.applied()
        assert applied is not None
        async with world.tenant() as tenant:
            assert not [one for one in drift(applied.held, await tenant.read()) if one.counts]


async def goes_on_after_a_cut(world: World, files: Files, at: int) -> bool:
    """The process ends right behind step `at`, before or after that is written down; a new one goes on.

    False once the plan has no such step.
    """
    in_hand = await plan_of(world, files)
    with world.journal.locked():
        world.journal.take(in_hand)
        if at > len(in_hand.plan.steps):
            return False

        def told(step: Step) -> None:
            if step.number == at:
                raise CutOffError

        try:
            await carry_out(world, in_hand, told)
        except CutOffError:
            pass
        else:
            raise AssertionError("it was not cut off")
    with world.journal.locked():
        found = world.journal.in_hand()
        assert found == in_hand
        await carry_out(world, found)
    assert not (await plan_of(world, files)).plan.steps
    return True


def never_wider(
    space: DecisionSpace,
    target: Target,
    courier: Courier,
    in_hand: InHand,
    exports: Sequence[Files],
    resources: Sequence[str],
) -> int:
    """No state of the plan lets through what neither the first nor the last does; how many states were told apart."""
    sieve = SpaceSieve(space)
    known: dict[tuple[Held, ...], dict[str, int]] = {}
    seen: dict[bytes, dict[str, int]] = {}

    def let_through(held: tuple[Held, ...]) -> dict[str, int]:
        files = courier.files(held, exports)
        key = b"".join(text for path, text in sorted(files.items()))
        if key not in seen:
            interpreter = target.interpreter(files)
            found = {}
            for resource in resources:
                region = interpreter.permitted(resource, sieve)
                assert isinstance(region, SpaceRegion)
                found[resource] = region.root
            seen[key] = found
        return seen[key]

    every = [let_through(held) for held in states(in_hand.before, in_hand.plan.steps)]
    diagram = space.diagram
    for found in every:
        for resource, root in found.items():
            both = diagram.either(every[0][resource], every[-1][resource])
            assert diagram.without(root, both) == diagram.false, resource
    del known
    return len(seen)
