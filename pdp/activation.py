"""Which policy decides now, and how another one takes its place: checked, loaded, proven, then swapped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pdp.active_policy import ActivePolicy
from pdp.engine.footprint_check import examine_bundle
from pdp.errors import BundleError, NotReadyError, SekishoError
from pdp.facts.reference import read_reference
from pdp.grace import Grace

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.errors import EngineError


_KNOWN: Final = 4  # policies that are kept ready in memory, each of some megabytes at most


class Former(NamedTuple):
    """The policy whose permission goes on counting until `until` (aware), where the new one would refuse."""

    bundle: Bundle
    until: datetime


class Counted(Protocol):
    """Who counts what happens in a time of warning."""

    def held_over(self, outcome: str, code: str) -> None: ...

    def former_failed(self, fault: EngineError) -> None: ...


class BundleKeeper(Protocol):
    def keep(self, bundle: Bundle) -> None:
        """Have the bundle durably kept when this returns; blocks. Raises NotReadyError where it cannot be."""
        ...


class Activation:
    """Holds the active policy of one worker. Implements `pdp.house.Policies`.

    `archive` keeps what becomes active; None where nothing is recorded that it would be needed for. `beside` makes a
    further engine, for a time of warning; `counted` hears what happens in one.
    """

    def __init__(
        self,
        engine: Engine,
        archive: BundleKeeper | None = None,
        *,
        beside: Callable[[], Engine] | None = None,
        counted: Counted | None = None,
    ) -> None:
        self.engine = engine
        self._archive = archive
        self._beside = beside
        self._counted = counted
        self._active: ActivePolicy | None = None
        self._known: dict[str, ActivePolicy] = {}  # what decided here before: a roll-back need not look at it anew
        self._turn = asyncio.Lock()

    def active(self) -> ActivePolicy:
        if self._active is None:
            raise NotReadyError("no policy is active")
        return self._active

    def is_active(self) -> bool:
        return self._active is not None

    async def activate(self, bundle: Bundle, former: Former | None = None) -> None:
        """Make this bundle the one that decides; the one before keeps deciding until it does, and if it cannot.

        With `former`, that one's permissions go on counting for a time. Raises BundleError where a bundle calls what
        it may not, lacks its reference data, or does not load, or where the two cannot judge one document; EngineError
        where an engine cannot be reached; NotReadyError where a bundle cannot be archived.
        """
        policy = await self._examined(bundle)
        grace = None if former is None else await self._grace(policy, former)
        try:
            async with self._turn:
                await self._keep(bundle)
                await self.engine.activate(bundle)
                leaving = self._grace_of(self._active)
                self._active = policy if grace is None else replace(policy, grace=grace)
                self._known = {bundle.digest: policy, **dict(list(self._known.items())[: _KNOWN - 1])}
        except BaseException:
            await _close(grace)
            raise
        await _close(leaving)

    async def forget_former(self, now: datetime) -> None:
        """Let go of the former policy once its time is over; its permissions ended at that instant by themselves."""
        async with self._turn:
            grace = self._grace_of(self._active)
            if self._active is None or grace is None or now < grace.until:
                return
            self._active = self._active.strict
        await _close(grace)

    async def close(self) -> None:
        """Let go of the former policy's engine; the own one is whoever's that made it."""
        await _close(self._grace_of(self._active))

    @staticmethod
    def _grace_of(policy: ActivePolicy | None) -> Grace | None:
        return None if policy is None else policy.grace

    async def _examined(self, bundle: Bundle) -> ActivePolicy:
        known = self._known.get(bundle.digest)
        if known is None or known.bundle.capabilities != bundle.capabilities:  # which the digest does not cover
            known = await asyncio.to_thread(_examined, bundle)
        return known

    async def _keep(self, bundle: Bundle) -> None:
        if self._archive is not None:  # INVARIANT (replayable): kept before the first decision under it
            await asyncio.to_thread(self._archive.keep, bundle)

    async def _grace(self, policy: ActivePolicy, former: Former) -> Grace:
        """Raises as `activate`; then no engine is left behind."""
        if self._beside is None:
            raise NotReadyError("there is no second engine here for the former policy")
        before = await self._examined(former.bundle)
        if policy.reference is None or before.reference != policy.reference:
            raise BundleError("the two policies would judge different documents: their catalogues or networks differ")
        await self._keep(former.bundle)
        grace = Grace(former.bundle, self._beside(), former.until, before.footprint)
        if self._counted is not None:
            grace = replace(grace, told=self._counted.held_over, failed=self._counted.former_failed)
        try:
            await grace.engine.activate(former.bundle)
        except BaseException:
            await _close(grace)
            raise
        return grace


async def _close(grace: Grace | None) -> None:
    if grace is not None:
        with suppress(SekishoError):
            await grace.engine.close()


def _examined(bundle: Bundle) -> ActivePolicy:
    """Raises BundleError, and EngineError where the parser cannot be used. Blocks."""
    examined = examine_bundle(bundle)
    if faults := examined.faults:
        first = faults[0]
        raise BundleError(
            f"{first.message_en}" + (f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""),
            where=first.where,
        )
    reference = read_reference(bundle.data) if bundle.profile == "zta" else None
    return ActivePolicy(bundle, reference, examined.sight.footprint)
