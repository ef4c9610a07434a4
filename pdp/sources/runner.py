"""Runs sources: one at a time each, in this process or in another, on their schedules or once.

A run is read to its end before anything is written (`gathering`), then written in one transaction (`applying`).
A connector that dies, hangs or is ended half-way changes nothing but the record of the attempt.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from pdp.directory.changes import change
from pdp.ending import end
from pdp.errors import ConnectorError, DirectoryError, SekishoError
from pdp.logs import get_log
from pdp.sources import register, schedule
from pdp.sources.applying import apply_run
from pdp.sources.gathering import gather

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.model.source import Brings, SourceSettings
    from pdp.sources.applying import Applied
    from pdp.sources.gathering import Gathered
    from pdp.sources.port import Connector
    from pdp.sources.register import SourceRow
    from pdp.store.store import Store

_log = get_log("pdp.sources")
_T = TypeVar("_T")
_BUSY_S: Final = 30.0  # before looking again at a source that another process runs
_STORE_GONE_S: Final = 15.0  # before asking a store again that did not answer
_NAP_S: Final = 10.0  # the longest sleep: an approval, or a clock that was set, is seen after it
_RENEW_S: Final = register.LEASE.total_seconds() / 4

Ended = Literal["applied", "unchanged", "stopped", "failed", "busy"]


@dataclass(frozen=True, slots=True)
class Source:
    """A source that can be run. `connector` was made by the composition root."""

    settings: SourceSettings
    brings: Brings
    connector: Connector


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the runner takes from outside. `chance` gives numbers in [0, 1). `tell` tells workers of an epoch.

    `holder`: this process's name on leases, unlike any other's.
    """

    store: Store
    clock: Callable[[], datetime]
    sleep: Callable[[float], Awaitable[None]]
    chance: Callable[[], float]
    tell: Callable[[int], Awaitable[None]]
    holder: str


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended. `fault`: its code where it did not count; `text`: the same for people."""

    source: str
    outcome: Ended
    counts: Mapping[str, int]
    fault: str | None = None
    text: str = ""
    took_s: float = 0.0


class Runner:
    """Runs these sources. Construct with what `enrol_all` has taken into the store."""

    def __init__(self, sources: Sequence[Source], around: Surroundings) -> None:
        self._sources = sources
        self._around = around

    async def forever(self) -> None:
        """Every source on its own schedule, until cancelled. A fault of one keeps no other from its time."""
        async with asyncio.TaskGroup() as group:
            for source in self._sources:
                group.create_task(self._keep(source), name=f"source {source.settings.name}")

    async def once(self, *, full: bool = False) -> list[Ending]:
        """Every source now, one after another, whatever its schedule says. Raises DirectoryError."""
        return [await self.run(source, full=full) for source in self._sources]

    async def run(self, source: Source, *, full: bool = False) -> Ending:
        """One run. Raises DirectoryError where the store does not answer; the source's own faults are endings."""
        name = source.settings.name
        started = asyncio.get_running_loop().time()
        try:
            row = await self._claimed(name)
            if row is None:
                return Ending(name, "busy", {}, "busy", "another process runs this source now")
            renewing = asyncio.create_task(self._renew(name), name=f"lease of {name}")
            try:
                ending = await self._attempt(source, row, full=full)
            finally:
                await end(renewing)
        finally:
            await self._release(name)
        took_s = asyncio.get_running_loop().time() - started
        _log.info("source ran", source=name, outcome=ending.outcome, fault=ending.fault, took_s=round(took_s, 3))
        return Ending(name, ending.outcome, ending.counts, ending.fault, ending.text, took_s)

    async def _attempt(self, source: Source, row: SourceRow, *, full: bool) -> Ending:
        settings, name = source.settings, source.settings.name
        started_at = self._around.clock()
        whole = full or schedule.is_full_due(row, settings, started_at)
        try:
            gathered = await self._gather(source, None if whole else row.cursor, started_at)
            applied = await self._apply(settings, gathered, started_at)
        except ConnectorError as fault:
            return await self._failed(source, row, fault.fault, fault.message, fault.retry_after_s)
        except DirectoryError:
            raise
        except SekishoError as fault:
            return await self._failed(source, row, fault.code, fault.message, None)
        except Exception as fault:  # noqa: BLE001  # a bug of one vendor's island must not end the others
            _log.exception("the connector failed unexpectedly", source=name)
            return await self._failed(source, row, "internal", f"unexpected {type(fault).__name__}", None)
        await self._around.tell(applied.epoch)
        text = "" if applied.fault is None else "removals wait for `pdp connector approve`, or were rejected"
        return Ending(name, applied.outcome, applied.counts, applied.fault, text)

    async def _gather(self, source: Source, cursor: str | None, now: datetime) -> Gathered:
        limit = asyncio.timeout(source.settings.timeout_s)
        try:
            async with limit:
                return await gather(await source.connector.run(cursor, now))
        except TimeoutError as fault:
            if limit.expired():
                message = f"the run took longer than {source.settings.timeout_s} s"
                raise ConnectorError(message, fault="timeout") from None
            raise ConnectorError("the source did not answer in time", fault="timeout") from fault

    async def _apply(self, settings: SourceSettings, gathered: Gathered, started_at: datetime) -> Applied:
        around = self._around
        now = around.clock()

        def write() -> Applied:
            next_run_at = schedule.next_after_success(settings, now, around.chance())
            return apply_run(
                around.store,
                settings,
                gathered,
                holder=around.holder,
                now=now,
                next_run_at=next_run_at,
                started_at=started_at,
            )

        return await _to_its_end(write)

    async def _failed(
        self, source: Source, row: SourceRow, code: str, text: str, retry_after_s: float | None
    ) -> Ending:
        """Record the attempt; the directory's facts stay as they are, and age."""
        around, name = self._around, source.settings.name
        now = around.clock()
        later = schedule.next_after_failure(source.settings, now, row.failures + 1, around.chance(), retry_after_s)

        def write() -> int:
            with change(around.store, now) as inside:
                held = register.read_row(inside.connection, name, lock=True)
                if held is None or held.lease_holder != around.holder:
                    return inside.epoch  # the attempt of whoever took over is the one that counts
                register.write(inside.connection, name, register.failed(held, code, text, now, later))
                inside.note_sources()
                register.journal(
                    inside.connection,
                    name,
                    {
                        "at": now,
                        "complete": False,
                        "outcome": "failed",
                        "fault": code[: register.MAX_CODE],
                        "epoch": inside.epoch + 1,
                        "counts": "{}",
                    },
                )
                return inside.epoch + 1

        await around.tell(await _to_its_end(write))
        return Ending(name, "failed", {}, code, text)

    async def _keep(self, source: Source) -> None:
        name = source.settings.name
        while True:
            try:
                wait = await self._due_in(name)
                if wait <= 0:
                    ending = await self.run(source)
                    wait = _BUSY_S if ending.outcome == "busy" else 0.0
            except DirectoryError as fault:
                _log.warning("the store does not answer; the source waits", source=name, reason=fault.message)
                wait = _STORE_GONE_S
            await self._around.sleep(min(wait, _BUSY_S) if wait > 0 else 0.0)

    async def _due_in(self, name: str) -> float:
        row = await self._stored(lambda connection: register.read_row(connection, name))
        if row is None or not row.enabled:
            return _BUSY_S  # it was forgotten, or another configuration reigns: say nothing, look again
        now = self._around.clock()
        wait = (schedule.due_at(row, now) - now).total_seconds()
        return min(wait, _NAP_S)

    async def _claimed(self, name: str) -> SourceRow | None:
        around = self._around
        now = around.clock()

        def claim() -> SourceRow | None:
            with around.store.write() as connection:
                if not register.claim(connection, name, around.holder, now):
                    return None
                return register.read_row(connection, name)

        return await _to_its_end(claim)

    async def _renew(self, name: str) -> None:
        """Keep the lease while a run is being read. Whether it was lost is judged where the run is written."""
        while True:
            await asyncio.sleep(_RENEW_S)
            with suppress(DirectoryError):
                await self._claimed(name)

    async def _release(self, name: str) -> None:
        around = self._around

        def release() -> None:
            with around.store.write() as connection:
                register.release(connection, name, around.holder)

        with suppress(DirectoryError):  # it ends by itself
            await _to_its_end(release)

    async def _stored(self, read: Callable[[Connection], _T]) -> _T:
        def reading() -> _T:
            with self._around.store.read() as connection:
                return read(connection)

        return await _to_its_end(reading)


async def _to_its_end(work: Callable[[], _T]) -> _T:
    """Run it in a thread. A cancellation waits for what was begun: a lease that was just taken can be given back.

    The store's own deadlines bound the wait.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it was seen; the cancellation is what counts
        raise


def enrol_all(store: Store, sources: Sequence[tuple[SourceSettings, Brings]], now: datetime) -> int:
    """Take the configuration of every source into the store; sources that it does not name no longer count.

    Call with all that are configured, also where only some are run. Returns the epoch. Raises DirectoryError.
    """
    with change(store, now) as inside:
        changed = [register.enrol(inside.connection, settings, brings) for settings, brings in sources]
        names = [settings.name for settings, _ in sources]
        if register.retire_others(inside.connection, names) or any(changed):
            inside.note_sources()
            return inside.epoch + 1
        return inside.epoch
