"""The tables of one worker: had in the background, held against the engine before they answer and ever after.

    answer()      for a decision, at once: the policy's answer, or None, and then the engine is asked
    following()   beside the service: a table for the policy that is active, as soon as there can be one

INVARIANT (the engine is the judge): a table answers only after this worker's own engine has given, for each answer that
stands in it, the same answer to a document. From then on look-ups are put to the engine too, up to 64 each second, the
newest first. One difference, in whichever worker of the host, and the table is never asked again.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol

from pdp.ending import end
from pdp.errors import BundleError, EngineError, EngineSupersededError, NotReadyError, SpaceError
from pdp.logs import get_log
from pdp.memory import give_back
from pdp.space.payloads import canonical
from pdp.table.decision_table import table_of
from pdp.table.proof import proof_documents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.space.space import DecisionSpace
    from pdp.table.decision_table import DecisionTable

State = Literal["none", "making", "ready", "refused"]
LOOK_S: Final = 1.0
SETTLED_S: Final = 3.0  # after the start: who has just begun to answer does nothing beside it
_CHUNK: Final = 4  # documents put to the engine at once: a decision that needs it waits for two milliseconds
_PAUSE_S: Final = 0.002  # between them
_TRIES: Final = 5  # of what may work another time
_WAIT_S: Final = 30.0  # between them
_CHECKED: Final = 64  # look-ups put to the engine each second: 4 % of a core, and in a quiet hour all of them
_KNOWN: Final = 4  # tables in memory, of some megabytes each: a roll-back finds its own
_DIFFERS: Final = "the engine answers otherwise than the table"
_log = get_log("pdp.table")


@dataclass(frozen=True, slots=True)
class TableStatus:
    """Of this worker. `why` there is no table, and `where` in the policy; counts since its start.

    `looked_up`: answers given; `unread`: documents that the table has none for. Of the look-ups put to the engine too:
    `checked`, those that `differed`, and those `unchecked`, where it gave no answer.
    """

    state: State
    why: str = ""
    where: str | None = None
    facts: int = 0
    answers: int = 0
    looked_up: int = 0
    unread: int = 0
    checked: int = 0
    differed: int = 0
    unchecked: int = 0


class Spaces(Protocol):
    """Where spaces come from (`pdp.table.spaces`)."""

    async def space(self, bundle: Bundle) -> DecisionSpace | None:
        """The bundle's space; None while another worker makes it.

        Raises SpaceError where the policy cannot be counted out, EngineError where it did not work this time.
        """
        ...

    def doubt(self, bundle: Bundle) -> None:
        """It is not what it should be: no worker of this host may use it from now on, and none makes it again."""
        ...

    async def doubted(self, bundle: Bundle) -> bool:
        """Whether any worker of this host has called it so."""
        ...


class _LookUp(NamedTuple):
    """One that waits for its check."""

    table: DecisionTable
    document: bytes
    said: bytes


class TableKeeper:
    """Implements `pdp.house.Table`. `active` is the bundle that decides now; it may raise NotReadyError."""

    def __init__(
        self,
        engine: Engine,
        active: Callable[[], Bundle],
        spaces: Spaces,
        *,
        differed: Callable[[], None] = lambda: None,
        settled_s: float = SETTLED_S,
    ) -> None:
        """`differed` is called when a table has answered otherwise than the engine: what is remembered is in doubt."""
        self._tell_difference = differed
        self._settled_s = settled_s
        self._engine = engine
        self._active = active
        self._spaces = spaces
        self._table: DecisionTable | None = None
        self._known: dict[str, DecisionTable] = {}
        self._refused: dict[str, SpaceError] = {}
        self._tries: dict[str, int] = {}
        self._to_check: deque[_LookUp] = deque(maxlen=_CHECKED)
        self._looked_up = self._unread = self._checked = self._differed = self._unchecked = 0

    def answer(self, document: bytes, digest: str) -> bytes | None:
        """The answer of the policy with this digest, as JSON; None: ask the engine."""
        table = self._table
        if table is None or table.digest != digest:
            return None
        said = table.answer(document)
        if said is None:
            self._unread += 1
        else:
            self._looked_up += 1
            self._to_check.append(_LookUp(table, document, said))
        return said

    def status(self) -> TableStatus:
        counts = (self._looked_up, self._unread, self._checked, self._differed, self._unchecked)
        try:
            bundle = self._active()
        except NotReadyError:
            return TableStatus("none", "no policy is active", None, 0, 0, *counts)
        table = self._table
        if table is not None and table.digest == bundle.digest:
            return TableStatus("ready", "", None, table.facts, table.answers, *counts)
        refused = self._refused.get(bundle.digest)
        if refused is not None:
            return TableStatus("refused", refused.message, refused.where, 0, 0, *counts)
        return TableStatus("making", "", None, 0, 0, *counts)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Have tables made in the background while the block runs."""
        task = asyncio.create_task(self._forever(), name="decision-table")
        try:
            yield
        finally:
            await end(task)

    async def look(self) -> bool:
        """One turn: a table for the active policy, where there is none; and the check. False: try again later."""
        try:
            bundle = self._active()
        except NotReadyError:
            return True
        worked = True
        if bundle.digest not in self._refused:
            if await self._spaces.doubted(bundle):
                self._distrust(bundle)
            else:
                worked = await self._have(bundle)
        await self._check()
        return worked

    async def _forever(self) -> None:
        await asyncio.sleep(self._settled_s)
        while True:
            try:
                worked = await self.look()
            except Exception as fault:  # noqa: BLE001  # decisions go on without a table
                _log.error("the decision table could not be had", exc_info=fault)
                worked = False
            await asyncio.sleep(LOOK_S if worked else _WAIT_S)

    async def _have(self, bundle: Bundle) -> bool:
        table = self._known.get(bundle.digest)
        try:
            if table is None and (table := await self._made(bundle)) is not None:
                self._known = {bundle.digest: table, **dict(list(self._known.items())[: _KNOWN - 1])}
                await asyncio.to_thread(give_back)  # a space takes ten times what is kept of it
        except EngineSupersededError:
            return True  # the next turn sees which policy is active now
        except SpaceError as fault:
            self._refuse(bundle, fault)
        except (EngineError, BundleError) as fault:
            return self._failed(bundle, fault)
        self._table = table
        return True

    async def _made(self, bundle: Bundle) -> DecisionTable | None:
        if bundle.profile != "zta":
            raise SpaceError("a policy of the profile plain has no closed input: nothing to count out")
        space = await self._spaces.space(bundle)
        if space is None:
            return None
        table, documents = await asyncio.to_thread(_laid_out, space)
        for begin in range(0, len(documents), _CHUNK):
            chunk = documents[begin : begin + _CHUNK]
            if await self._alike(bundle, chunk, [table.answer(document) for document in chunk]) < len(chunk):
                self._spaces.doubt(bundle)
                raise SpaceError(_DIFFERS)
            await asyncio.sleep(_PAUSE_S)
        _log.info("the policy is counted out", revision=bundle.revision, facts=table.facts, answers=table.answers)
        return table

    async def _alike(self, bundle: Bundle, documents: Sequence[bytes], said: Sequence[bytes | None]) -> int:
        """Of how many, up to the first difference, the engine says the same. Raises EngineError where it is silent."""
        told = await self._engine.evaluate(documents, digest=bundle.digest)
        for number, (raw, own) in enumerate(zip(told, said, strict=True)):
            if isinstance(raw, EngineError):
                raise raw
            if own is None or canonical(json.loads(raw)) != canonical(json.loads(own)):
                return number
        return len(documents)

    async def _check(self) -> None:
        """What was looked up since the last time, as far as it was remembered; the same document once."""
        table, bundle = self._table, self._active()
        waiting = [one for one in reversed(self._to_check) if one.table is table and table.digest == bundle.digest]
        self._to_check.clear()
        said = {one.document: one.said for one in waiting}
        documents = list(said)
        for begin in range(0, len(documents), _CHUNK):
            chunk = documents[begin : begin + _CHUNK]
            try:
                alike = await self._alike(bundle, chunk, [said[document] for document in chunk])
            except EngineError:
                self._unchecked += len(chunk)
                continue
            self._checked += alike
            if alike < len(chunk):
                self._checked += 1
                self._differed += 1
                self._spaces.doubt(bundle)
                self._distrust(bundle)
                return
            await asyncio.sleep(_PAUSE_S)

    def _distrust(self, bundle: Bundle) -> None:
        """The table answered otherwise than the engine, here or in another worker: nothing that it said is kept."""
        self._table = None
        self._known.pop(bundle.digest, None)
        self._tell_difference()
        self._refuse(bundle, SpaceError(_DIFFERS))

    def _refuse(self, bundle: Bundle, fault: SpaceError) -> None:
        """The engine answers everything from here on."""
        self._refused[bundle.digest] = fault
        told = _log.error if fault.message == _DIFFERS else _log.info
        told("no decision table", revision=bundle.revision, reason=fault.message, where=fault.where)

    def _failed(self, bundle: Bundle, fault: EngineError | BundleError) -> bool:
        tries = self._tries[bundle.digest] = self._tries.get(bundle.digest, 0) + 1
        if tries >= _TRIES:
            self._refuse(bundle, SpaceError(fault.message))
        return tries >= _TRIES


def _laid_out(space: DecisionSpace) -> tuple[DecisionTable, list[bytes]]:
    """The table, and documents to hold it against the engine with."""
    table = table_of(space.bundle.digest, space.facts, space.diagram, space.verdict)
    return table, proof_documents(space)
