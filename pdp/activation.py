"""Which policy decides now, and how another one takes its place: checked, loaded, proven, then swapped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from pdp.decide import ActivePolicy
from pdp.engine.footprint_check import examine_bundle
from pdp.errors import BundleError, NotReadyError
from pdp.facts.reference import read_reference

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine


_KNOWN: Final = 4  # policies that are kept ready in memory, each of some megabytes at most


class BundleKeeper(Protocol):
    def keep(self, bundle: Bundle) -> None:
        """Have the bundle durably kept when this returns; blocks. Raises NotReadyError where it cannot be."""
        ...


class Activation:
    """Holds the active policy of one worker. Implements `pdp.decide.Policies`.

    `archive` keeps what becomes active; None where nothing is recorded that it would be needed for.
    """

    def __init__(self, engine: Engine, archive: BundleKeeper | None = None) -> None:
        self.engine = engine
        self._archive = archive
        self._active: ActivePolicy | None = None
        self._known: dict[str, ActivePolicy] = {}  # what decided here before: a roll-back need not look at it anew
        self._turn = asyncio.Lock()

    def active(self) -> ActivePolicy:
        if self._active is None:
            raise NotReadyError("no policy is active")
        return self._active

    def is_active(self) -> bool:
        return self._active is not None

    async def activate(self, bundle: Bundle) -> None:
        """Make this bundle the one that decides; the former one keeps deciding until it does, and if it cannot.

        Raises BundleError where the bundle calls what it may not, lacks its reference data, or does not
        load; EngineError where the engine cannot be reached; NotReadyError where it cannot be archived.
        """
        policy = self._known.get(bundle.digest)
        if policy is None or policy.bundle.capabilities != bundle.capabilities:  # which the digest does not cover
            policy = await asyncio.to_thread(_examined, bundle)
        async with self._turn:
            if self._archive is not None:  # INVARIANT (replayable): kept before the first decision under it
                await asyncio.to_thread(self._archive.keep, bundle)
            await self.engine.activate(bundle)
            self._active = policy
            self._known = {bundle.digest: policy, **dict(list(self._known.items())[: _KNOWN - 1])}


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
