"""How pushed reports are kept: in the order in which they come, many in one transaction, each whole or not at all.

INVARIANT (nothing older hides anything newer): of one device and source the report with the latest `observed_at`
stays. Reports of one instant are joined, and where they contradict one another the worse value stands
(`pdp.directory.posture.latest`): two states of one second must not be told apart by which of them came last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pdp.directory.changes import change, is_newer
from pdp.directory.posture import latest
from pdp.directory.reading import read_posture
from pdp.directory.registers import posture_key
from pdp.directory.rows import Reader
from pdp.errors import DirectoryError, NotReadyError
from pdp.logs import get_log
from pdp.posture.etag import etag_of
from pdp.posture.naming import match_devices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from pdp.model.directory import PostureReport
    from pdp.model.source import NameKind
    from pdp.posture.message import Name
    from pdp.sources.matching import Match
    from pdp.store.store import Store

MAX_GROUP: Final = 2_000  # reports of one transaction; as many rows as the change log names (`MAX_LOGGED`)
MAX_WAITING: Final = 5_000  # reports; a second's work of a slow disk
DEADLINE_S: Final = 15.0  # until a report is kept; the store itself gives up a lock after ten
_log = get_log("pdp.posture")

Fate = Literal[
    "stored",
    "same",
    "newer",
    "unknown_device",
    "ambiguous_device",
    "contradicted_device",
    "precondition_failed",
]
_NO_DEVICE: Final[Mapping[str, Fate]] = {"ambiguous": "ambiguous_device", "contradicted": "contradicted_device"}


@dataclass(frozen=True, slots=True)
class Push:
    """One report. `names`: what the source calls the device, by kind. `unless`: entity tags, of which the held report
    must have none (RFC 9110 section 13.1.2); `*` stands for any report at all.
    """

    names: Mapping[NameKind, str]
    report: PostureReport
    unless: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it. `held` is the report of this device and source that stands now, where there is one."""

    fate: Fate
    device: str | None = None
    held: PostureReport | None = None


class Ledger:
    """One worker's. `told(epoch)` is called on the event loop after each commit that changed something."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], datetime],
        told: Callable[[int], None],
        *,
        max_waiting: int = MAX_WAITING,
        count: Callable[[Iterable[str]], None] = lambda _: None,
    ) -> None:
        """`count` is given the fate of every report of a group; `failed` where the store did not take it."""
        self._store = store
        self._clock = clock
        self._told = told
        self._max_waiting = max_waiting
        self._count = count
        self._waiting: deque[tuple[Sequence[Push], asyncio.Future[list[Outcome]]]] = deque()
        self._waiting_reports = 0
        self._writing: asyncio.Task[None] | None = None

    async def push(self, pushes: Sequence[Push]) -> list[Outcome]:
        """Keep these reports; the outcome of each, in order, when they are on disk.

        Raises NotReadyError where the store does not take them, or not in time: then none of them was kept, or
        all of them are kept late. To send them again is safe either way.
        """
        if self._waiting_reports + len(pushes) > self._max_waiting:
            raise NotReadyError("too many reports wait to be stored")
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append((pushes, future))
        self._waiting_reports += len(pushes)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name="posture ledger")
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await future
        except TimeoutError:
            raise NotReadyError("the reports were not stored in time") from None

    async def close(self) -> None:
        """Wait for what is being written, as long as anybody waits for a report."""
        if self._writing is not None:
            await asyncio.wait((self._writing,), timeout=DEADLINE_S)

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._write_group()
        finally:
            self._writing = None

    async def _write_group(self) -> None:
        """While one group is on its way to the disk, the next one gathers."""
        group = [self._waiting.popleft()]
        count = len(group[0][0])
        while self._waiting and count + len(self._waiting[0][0]) <= MAX_GROUP:
            group.append(self._waiting.popleft())
            count += len(group[-1][0])
        self._waiting_reports -= count
        pushes = [push for some, _ in group for push in some]
        try:
            outcomes, epoch = await asyncio.to_thread(keep_reports, self._store, self._clock(), pushes)
        except BaseException as fault:
            self._count(["failed"] * count)
            self._refuse([future for _, future in group], fault)
            if not isinstance(fault, Exception):
                raise
            return
        self._count(outcome.fate for outcome in outcomes)
        if epoch is not None:
            self._told(epoch)
        rest = iter(outcomes)
        for some, future in group:
            mine = [next(rest) for _ in some]
            if not future.done():  # whoever asked may have gone
                future.set_result(mine)

    def _refuse(self, futures: Iterable[asyncio.Future[list[Outcome]]], fault: BaseException) -> None:
        if isinstance(fault, DirectoryError):
            _log.warning("reports could not be stored", code=fault.code, reason=fault.message)
        else:
            _log.error("reports could not be stored, unexpectedly", exc_info=fault)
        for future in futures:
            if not future.done():
                future.set_exception(NotReadyError("the reports could not be stored"))


def keep_reports(store: Store, now: datetime, pushes: Sequence[Push]) -> tuple[list[Outcome], int | None]:
    """Keep these in one transaction; (the outcome of each, the new epoch where anything changed).

    Raises DirectoryError: then nothing was kept.
    """
    with change(store, now) as inside:
        before = inside.epoch
        found = match_devices(inside.connection, [(push.names, push.report.source) for push in pushes])
        devices = {match.device for match in found if match.device is not None}
        held = read_posture(inside.connection, Reader(), devices)
        standing = dict(held)
        outcomes = [_judged(push, match, standing) for push, match in zip(pushes, found, strict=True)]
        changed = {key: report for key, report in standing.items() if held.get(key) != report}
        inside.add("posture", {key: report for key, report in changed.items() if key not in held})
        inside.replace("posture", {key: report for key, report in changed.items() if key in held})
    return outcomes, inside.epoch if inside.epoch != before else None


def _judged(push: Push, match: Match, standing: dict[str, PostureReport]) -> Outcome:
    """What becomes of one report; `standing` is what stands before it, and then after it."""
    device = match.device
    if device is None:
        return Outcome(_NO_DEVICE.get(match.why, "unknown_device"))
    key = posture_key(device, push.report.source)
    held = standing.get(key)
    if held is not None and push.unless & {"*", etag_of([held])}:
        return Outcome("precondition_failed", device, held)
    if held is None:
        standing[key] = push.report
        return Outcome("stored", device, push.report)
    if not is_newer(push.report, held):
        return Outcome("newer", device, held)
    next_one = latest([held, push.report]) if held.observed_at == push.report.observed_at else push.report
    if next_one == held:
        return Outcome("same", device, held)
    standing[key] = next_one
    return Outcome("stored", device, next_one)


def held_of(store: Store, name: Name, source: str) -> tuple[str | None, Mapping[str, PostureReport]]:
    """(the id of the device of this name, what each source says of it). Raises DirectoryError."""
    with store.read() as connection:
        (match,) = match_devices(connection, [({name.kind: name.value}, source)])
        if match.device is None:
            return None, {}
        reports = read_posture(connection, Reader(), [match.device])
        return match.device, {report.source: report for report in reports.values()}
