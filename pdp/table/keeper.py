"""The tables of one worker: had in the background, held against the engine before they answer and ever after.

    answer()      for a decision, at once: the policy's answer, or None, and then the engine is asked
    following()   beside the service, three things, none of which waits for another:
        look()    a table for the policy that is active, as soon as there can be one
        check()   what was looked up in the last second, put to the engine too
        heed()    what the workers of this host call wrong

INVARIANT (the engine is the judge): a table answers only after this worker's own engine has given, for each answer that
stands in it, the same answer to a document. From then on look-ups are put to the engine too, up to 64 each second, the
newest first. One difference, in whichever worker of the host, and the table is never asked again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.ending import end
from pdp.errors import BundleError, EngineError, EngineSupersededError, NotReadyError, SpaceError
from pdp.logs import get_log
from pdp.memory import give_back
from pdp.table.comparing import compared, few
from pdp.table.port import TableStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.table.decision_table import DecisionTable
    from pdp.table.kept import Found
    from pdp.table.port import Tables

LOOK_S: Final = 1.0
SETTLED_S: Final = 3.0  # after the start: who has just begun to answer does nothing beside it
_WAIT_S: Final = 30.0  # after what did not work; what takes long is held back for longer (`pdp.table.marks`)
_LONGEST_WAIT_S: Final = 3600.0  # where the engine does not answer what the table is held against it with
_CHECKED: Final = 64  # look-ups put to the engine each second: 4 % of a core, and in a quiet hour all of them
_KNOWN: Final = 4  # tables in memory, of some megabytes each: a roll-back finds its own
_DIFFERS: Final = "the engine answers otherwise than the table"
_ELSEWHERE: Final = "another process of this host counts the policy out; until then the engine is asked"
_log = get_log("pdp.table")


class _LookUp(NamedTuple):
    """One that waits for its check."""

    table: DecisionTable
    document: bytes
    said: bytes


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why the policy with this digest has no table now. `until`: of the clock; then it is tried again."""

    digest: str
    why: str
    where: str | None
    lasting: bool
    until: float
    proofs: int  # that the engine did not answer, in a row


class TableKeeper:
    """Implements `pdp.house.Table`. `active` is the bundle that decides now; it may raise NotReadyError."""

    def __init__(  # noqa: PLR0913  # the first three are its parts
        self,
        engine: Engine,
        active: Callable[[], Bundle],
        tables: Tables,
        *,
        differed: Callable[[], None] = lambda: None,
        settled_s: float = SETTLED_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`differed` is called when a table has answered otherwise than the engine: what is remembered is in doubt."""
        self._tell_difference = differed
        self._settled_s = settled_s
        self._clock = clock
        self._engine = engine
        self._active = active
        self._source = tables
        self._tables: dict[str, DecisionTable] = {}  # by digest, the newest first
        self._doubted: set[str] = set()  # digests; one is not forgotten while another policy is active
        self._unmarked: dict[str, str] = {}  # those of them that the others are to be told of yet; why they were not
        self._trouble: _Trouble | None = None
        self._elsewhere = False
        self._to_check: deque[_LookUp] = deque(maxlen=_CHECKED)
        self._looked_up = self._unread = self._checked = self._differed = self._unchecked = 0

    def answer(self, document: bytes, digest: str) -> bytes | None:
        """The answer of the policy with this digest, as JSON; None: ask the engine."""
        table = self._tables.get(digest)
        if table is None:
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
            digest = self._active().digest
        except NotReadyError:
            return TableStatus("none", "no policy is active", None, 0, 0, *counts)
        table, trouble = self._tables.get(digest), self._trouble
        if table is not None:
            return TableStatus("ready", "", None, table.facts, table.answers, *counts)
        if digest in self._doubted:
            untold = f"; the other workers cannot be told: {why}" if (why := self._unmarked.get(digest)) else ""
            return TableStatus("refused", _DIFFERS + untold, None, 0, 0, *counts)
        if trouble is None or trouble.digest != digest:
            return TableStatus("making", _ELSEWHERE if self._elsewhere else "", None, 0, 0, *counts)
        if trouble.lasting:
            return TableStatus("refused", trouble.why, trouble.where, 0, 0, *counts)
        return TableStatus(
            "waiting", f"none yet, the engine is asked: {trouble.why}; it is tried again", None, 0, 0, *counts
        )

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Have tables made, and held against the engine, in the background while the block runs."""
        tasks = [
            asyncio.create_task(self._forever(name, turn), name=f"decision-table-{name}")
            for name, turn in (("look", self.look), ("check", self.check), ("heed", self.heed))
        ]
        try:
            yield
        finally:
            await end(*tasks)

    async def _forever(self, name: str, turn: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(self._settled_s)
        while True:
            wait_s = LOOK_S
            try:
                await turn()
            except Exception as fault:  # noqa: BLE001  # decisions go on without a table
                _log.error("a turn of the decision table failed", turn=name, exc_info=fault)
                wait_s = _WAIT_S
            await asyncio.sleep(wait_s)

    # A table for the active policy.

    async def look(self) -> None:
        """One turn: a table for the active policy, where there is none and it is time to try.

        Where another policy becomes active meanwhile that has none either, what was begun is let go of.
        """
        bundle = self._wanted()
        if bundle is None:
            return
        having = asyncio.create_task(self._have(bundle), name="decision-table-having")
        try:
            while not having.done():
                await asyncio.wait([having], timeout=LOOK_S)
                if (wanted := self._wanted()) is not None and wanted.digest != bundle.digest:
                    break
        finally:
            await end(having)

    def _wanted(self) -> Bundle | None:
        """The active bundle, where a table of it is missing and can be had."""
        try:
            bundle = self._active()
        except NotReadyError:
            return None
        trouble, digest = self._trouble, bundle.digest
        held_back = trouble is not None and trouble.digest == digest and self._clock() < trouble.until
        return None if held_back or digest in self._tables or digest in self._doubted else bundle

    async def _have(self, bundle: Bundle) -> None:
        proving = False
        try:
            if await self._source.doubted(bundle.digest):
                self._distrust(bundle.digest)
                return
            found = await self._found(bundle)
            self._elsewhere = found is None
            if found is not None:
                proving = True
                await self._prove(bundle, found)
        except EngineSupersededError:
            pass  # the next turn sees which policy is active now
        except (EngineError, BundleError) as fault:
            self._hold_back(bundle, fault, proving=proving)
        except Exception as fault:  # noqa: BLE001  # decisions go on without a table
            _log.error("the decision table could not be had", exc_info=fault)
            self._hold_back(bundle, EngineError("a fault of ours; the log has it"))

    async def _found(self, bundle: Bundle) -> Found | None:
        if bundle.profile != "zta":
            raise SpaceError("a policy of the profile plain has no closed input: nothing to count out")
        return await self._source.table(bundle)

    async def _prove(self, bundle: Bundle, found: Found) -> None:
        """Hold it against the engine, and take it where they agree. Raises EngineError where the engine is silent."""
        table = found.table
        for some in few((document, table.answer(document)) for document in found.documents):
            seen = await compared(self._engine, bundle.digest, some)
            if seen.otherwise:
                await self._call_wrong(bundle.digest)
                return
            if seen.unsaid:
                raise seen.unsaid[0]
        found.documents.clear()
        await asyncio.to_thread(give_back)
        if await self._source.doubted(bundle.digest):  # another worker was faster
            self._distrust(bundle.digest)
        else:
            self._tables = {bundle.digest: table, **dict(list(self._tables.items())[: _KNOWN - 1])}
            self._trouble = None
            _log.info("the policy is counted out", revision=bundle.revision, facts=table.facts, answers=table.answers)

    def _hold_back(self, bundle: Bundle, fault: EngineError | BundleError, *, proving: bool = False) -> None:
        """The engine answers everything until it is tried again. Told once, and again where it is another fault."""
        former = self._trouble if self._trouble is not None and self._trouble.digest == bundle.digest else None
        lasting = isinstance(fault, SpaceError)
        where = fault.where if isinstance(fault, SpaceError) else None
        proofs = (0 if former is None else former.proofs) + 1 if proving else 0
        wait_s = min(_WAIT_S * 2 ** max(0, proofs - 1), _LONGEST_WAIT_S)
        self._trouble = _Trouble(bundle.digest, fault.message, where, lasting, self._clock() + wait_s, proofs)
        if former is None or (former.why, former.where) != (fault.message, where):
            told = _log.info if lasting else _log.warning
            told("no decision table", revision=bundle.revision, reason=fault.message, where=where)

    # Its answers, held against the engine.

    async def check(self) -> None:
        """What was looked up since the last time, as far as it was remembered; the same document once."""
        waiting = list(self._to_check)
        self._to_check.clear()
        try:
            digest = self._active().digest
        except NotReadyError:
            return
        table = self._tables.get(digest)
        said = {one.document: one.said for one in reversed(waiting) if one.table is table}
        for some in few(said.items()):
            seen = await compared(self._engine, digest, some)
            self._checked += seen.same + seen.otherwise
            self._differed += seen.otherwise
            self._unchecked += len(seen.unsaid)
            if seen.otherwise:
                await self._call_wrong(digest)
            if digest in self._doubted:
                return

    async def heed(self) -> None:
        """The marks of this host: those that are still to be set, and those of other workers."""
        for digest in sorted(self._unmarked):
            await self._mark(digest)
        for digest in list(self._tables):
            if await self._source.doubted(digest):
                self._distrust(digest)

    async def _call_wrong(self, digest: str) -> None:
        """No worker of this host may use it. First of all this one: the disk may take its time."""
        self._unmarked[digest] = ""
        self._distrust(digest)
        await self._mark(digest)

    def _distrust(self, digest: str) -> None:
        """The table answered otherwise than the engine, here or in another worker: nothing that it said is kept."""
        self._tables.pop(digest, None)
        if digest not in self._doubted:
            self._doubted.add(digest)
            self._tell_difference()
            _log.error("no decision table", digest=digest, reason=_DIFFERS)

    async def _mark(self, digest: str) -> None:
        """`heed` tries again until it is done."""
        try:
            await self._source.doubt(digest)
        except EngineError as fault:
            if self._unmarked.get(digest) != fault.message:
                self._unmarked[digest] = fault.message
                _log.error("the other workers cannot be told", digest=digest, reason=fault.message)
        else:
            self._unmarked.pop(digest, None)
