"""The embedded engine: regorus, in child processes that it can kill.

Each `activate` starts a fresh process with the new bundle, and takes it into service when it has proved it; until
then, and if it refuses, the old ones go on. Further ones follow when questions wait (`pdp.engine.crew`). A call of
`evaluate` stays with the processes that it began with, so that its answers come from one bundle.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.engine.child_command import MEMORY_LIMIT_BYTES
from pdp.engine.crew import MAX_WAITING, PATIENCE, WINDOW, Crew
from pdp.engine.evaluator import load_of
from pdp.errors import BundleError, EngineError, EngineSupersededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.bundle import Bundle

DEADLINE: Final = timedelta(milliseconds=250)  # a hundred times the p99 of a 650-line policy
_MAX_CHILDREN: Final = 64


class RegorusEngine:
    """The port `Engine` over regorus. `deadline` bounds each evaluation; `children` is how many run at once, at most.

    The deadline holds even where an evaluation can be neither interrupted nor reached: the kernel ends the
    process. Memory is bounded by `memory_limit_bytes` for each process (RLIMIT_DATA). A document waits for its
    turn for `patience` at most (None: two seconds, or eight deadlines where that is more), and no more than
    `max_waiting` of them do. `python` runs the processes, where
    `sys.executable` is no interpreter. Raises ValueError for limits that are none.
    """

    def __init__(  # noqa: PLR0913  # each is one limit, named at the call
        self,
        deadline: timedelta = DEADLINE,
        children: int = 1,
        *,
        patience: timedelta | None = None,
        max_waiting: int = MAX_WAITING,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        python: str | None = None,
    ) -> None:
        if deadline <= timedelta(0) or not 1 <= children <= _MAX_CHILDREN:
            raise ValueError(f"a deadline above zero and 1 to {_MAX_CHILDREN} children are needed")
        self._deadline = deadline
        self._children = children
        self._patience = max(PATIENCE, WINDOW * deadline) if patience is None else patience
        self._max_waiting = max_waiting
        self._memory_limit_bytes = memory_limit_bytes
        self._python = python
        self._crew: Crew | None = None
        self._digest: str | None = None  # of the crew's bundle
        self._former: list[Crew] = []  # each until its last call has ended and its processes are gone
        self._activating = asyncio.Lock()
        self._closed = False

    @property
    def name(self) -> str:
        return "regorus"

    async def activate(self, bundle: Bundle) -> None:
        """As the port says. A bundle whose evaluation of `{}` fails or does not end is refused too."""
        _refuse_data_in_place_of_the_entry_point(bundle)
        load = load_of(bundle, self._deadline, self._memory_limit_bytes, self._python)
        async with self._activating:
            if self._closed:
                raise EngineError("the engine is closed")
            crew = Crew(load, self._children, self._patience, self._max_waiting)
            await crew.start()
            former, self._crew, self._digest = self._crew, crew, bundle.digest
            self._former = [one for one in self._former if not one.gone]
            if former is not None:
                former.retire()
                self._former.append(former)

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        """As the port says."""
        crew = self._crew
        if crew is None:
            return [EngineError("no bundle is active") for _ in documents]
        if digest is not None and digest != self._digest:
            return [EngineSupersededError("another bundle has become active") for _ in documents]
        return await crew.evaluate(documents)

    async def close(self) -> None:
        """End the processes; those who still wait are told so."""
        self._closed = True
        async with self._activating:
            crew, self._crew = self._crew, None
            crews = self._former if crew is None else [crew, *self._former]
            await asyncio.gather(*(one.close() for one in crews))


def _refuse_data_in_place_of_the_entry_point(bundle: Bundle) -> None:
    # Attack: where the rule is undefined, regorus answers with the datum at its path, say an allow.
    at: Any = bundle.data
    for part in bundle.entrypoint.split("/"):
        if not isinstance(at, dict) or part not in at:
            return
        at = at[part]
    raise BundleError(f"the data have a value at the entry point `{bundle.entrypoint}`")
