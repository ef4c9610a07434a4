"""One worker's jobs: each a task that watches over a child. They end with the worker, and say so.

INVARIANT (aside): nothing of the work runs in the worker: it starts a process, reads what it says, and writes a row.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final, TypeVar

from pdp.errors import DirectoryError, SekishoError
from pdp.jobs.child import run_child
from pdp.jobs.job import JOB_S, WAITING, Order, Progress
from pdp.logs import get_log
from pdp.revisions.results import Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from datetime import datetime
    from typing import Any

    from pdp.jobs.job import ChildKind, Job, Outcome
    from pdp.jobs.register import JobRegister
    from pdp.revisions.files import Files
    from pdp.revisions.revision import Revision
    from pdp.settings import Settings

    Run = Callable[..., Awaitable[Outcome]]
    Tell = Callable[[Progress], None]
    Check = Callable[[Tell], Awaitable[object]]

T = TypeVar("T")
BEAT_S: Final = 1.0
_log = get_log("pdp.jobs")


class Jobs:
    """Whoever makes one closes it: its jobs are then `interrupted`. `run` is `run_child`, or what stands for it."""

    def __init__(  # noqa: PLR0913  # what it stands on
        self,
        register: JobRegister,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        run: Run = run_child,
        beat_s: float = BEAT_S,
    ) -> None:
        self.register: Final = register
        self._settings = settings
        self._clock = clock
        self._new_id = new_id
        self._run = run
        self._beat_s = beat_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._checking: Final = asyncio.Lock()  # one after the other, in the order in which they were asked for

    async def begin(
        self, kind: ChildKind, by: str, params: Mapping[str, Any], of: tuple[Revision, Files] | None = None
    ) -> Job:
        """A job that runs, or waits for its turn. `of`: the revision that it is about.

        Raises ConflictError and NotFoundError.
        """
        now = self._clock()
        revision, files = (None, None) if of is None else of
        number = None if revision is None else revision.number
        job = await asyncio.to_thread(self.register.begin, self._new_id(), kind, number, params, by, now)
        order = Order(work=kind, settings=self._settings, now=now, files=files, params=dict(params))
        source = None if revision is None else revision.source_digest
        self._watch(job, self._watched(job, lambda: self._kept(job, kind, order, source)))
        return job

    async def check(self, by: str, number: int, check: Check) -> Job:
        """The gates of a revision, one check at a time in this worker. `check` keeps what they found, and is told whom
        to tell how far it is. Raises ConflictError where it is being checked already, and NotFoundError.
        """
        job = await asyncio.to_thread(self.register.begin, self._new_id(), "check", number, {}, by, self._clock())
        self._watch(job, self._watched(job, lambda: self._checked(job, check)))
        return job

    def _watch(self, job: Job, watched: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(watched, name=f"job {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(self, order: Order, seconds: float) -> Outcome:
        """Something short, waited for and not kept. Raises as `run_child`."""
        return await self._run(order, lambda _: None, seconds=seconds)

    def order(self, work: Any, params: Mapping[str, Any], files: Files | None = None) -> Order:
        return Order(work=work, settings=self._settings, now=self._clock(), files=files, params=dict(params))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watched(self, job: Job, work: Callable[[], Awaitable[bool]]) -> None:
        """Whatever happens, the row says how it ended. `work` says False where somebody has cancelled it."""
        try:
            if not await work():
                await self._end(job, "cancelled")
        except asyncio.CancelledError:
            await asyncio.shield(self._end(job, "interrupted"))
            raise
        except SekishoError as fault:
            await self._end(job, "failed", f"{fault.message}; {fault.next_step}")
        except Exception:  # noqa: BLE001  # whatever it is: the job has failed, and the cause is in the log
            _log.exception("a job failed unexpectedly", job=job.id, kind=job.kind)
            await self._end(job, "failed", "it could not be done; the cause is in the service's log")

    async def _kept(self, job: Job, kind: ChildKind, order: Order, source_digest: str | None) -> bool:
        """When its turn has come, the work of a child; its outcome is kept."""
        if not await self._turn(job):
            return False

        async def run(told: Tell) -> Outcome:
            return await self._run(order, told, seconds=JOB_S[kind])

        outcome = await self._outcome(job, run)
        if outcome is None:
            return False
        finding = Finding(
            kind=kind,
            number=job.number,
            digest=outcome.digest,
            body=outcome.body,
            source_digest=source_digest,
            baseline=outcome.baseline,
            epoch=outcome.epoch,
            label=outcome.label,
            form=outcome.form,
            params=job.params,
            summary=outcome.summary,
        )
        await asyncio.to_thread(self.register.keep, job.id, finding, self._clock())
        return True

    async def _turn(self, job: Job) -> bool:
        """Waits for it. False where somebody has cancelled it, or it has been silent for too long."""
        now = job
        while now.state == "running" and now.phase == WAITING and now.cancelled_by is None:
            await asyncio.sleep(self._beat_s)
            with contextlib.suppress(DirectoryError):  # it may answer again
                now = await asyncio.to_thread(self.register.wait, job.id, self._clock())
        return now.state == "running" and now.cancelled_by is None

    async def _checked(self, job: Job, check: Check) -> bool:
        async def run(told: Tell) -> bool:
            if self._checking.locked():
                told(Progress(WAITING))
            async with self._checking:
                await check(told)
            return True

        if await self._outcome(job, run) is None:
            return False
        await self._end(job, "done")
        return True

    async def _outcome(self, job: Job, run: Callable[[Tell], Awaitable[T]]) -> T | None:
        """None where somebody cancelled it."""
        seen = Progress()

        def told(progress: Progress) -> None:
            nonlocal seen
            seen = progress

        work = asyncio.ensure_future(run(told))
        try:
            while True:
                done, _ = await asyncio.wait({work}, timeout=self._beat_s)
                if done:
                    await self._goes_on(job, seen)  # a row that says it is done says also that all was
                    return work.result()
                if not await self._goes_on(job, seen):
                    return None
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError, SekishoError):
                await work

    async def _goes_on(self, job: Job, seen: Progress) -> bool:
        try:
            return await asyncio.to_thread(self.register.beat, job.id, seen, self._clock())
        except DirectoryError:  # it may answer again before the work is done
            return True

    async def _end(self, job: Job, state: Any, fault: str | None = None) -> None:
        """Where the database does not answer, the row's age will say that it is over."""
        with contextlib.suppress(SekishoError):
            await asyncio.to_thread(self.register.end, job.id, state, self._clock(), fault)
