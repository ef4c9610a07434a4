"""One worker's jobs: each a task that watches over a child. They end with the worker, and say so.

INVARIANT (aside): nothing of the work runs in the worker: it starts a process, reads what it says, and writes a row.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from pdp.errors import DirectoryError, SekishoError
from pdp.jobs.child import run_child
from pdp.jobs.job import JOB_S, Order, Progress
from pdp.logs import get_log
from pdp.revisions.results import Finding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime
    from typing import Any

    from pdp.jobs.job import Job, JobKind, Outcome
    from pdp.jobs.register import JobRegister
    from pdp.revisions.files import Files
    from pdp.revisions.revision import Revision
    from pdp.settings import Settings

    Run = Callable[..., Awaitable[Outcome]]

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

    async def begin(
        self, kind: JobKind, by: str, params: Mapping[str, Any], of: tuple[Revision, Files] | None = None
    ) -> Job:
        """A job that runs. `of`: the revision that it is about. Raises ConflictError and NotFoundError."""
        now = self._clock()
        revision, files = (None, None) if of is None else of
        number = None if revision is None else revision.number
        job = await asyncio.to_thread(self.register.begin, self._new_id(), kind, number, params, by, now)
        order = Order(work=kind, settings=self._settings, now=now, files=files, params=dict(params))
        source = None if revision is None else revision.source_digest
        task = asyncio.create_task(self._watched(job, order, source), name=f"job {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def ask(self, order: Order, seconds: float) -> Outcome:
        """Something short, waited for and not kept. Raises as `run_child`."""
        return await self._run(order, lambda _: None, seconds=seconds)

    def order(self, work: Any, params: Mapping[str, Any], files: Files | None = None) -> Order:
        return Order(work=work, settings=self._settings, now=self._clock(), files=files, params=dict(params))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _watched(self, job: Job, order: Order, source_digest: str | None) -> None:
        """Whatever happens, the row says how it ended."""
        try:
            outcome = await self._outcome(job, order)
            if outcome is None:
                await self._end(job, "cancelled")
                return
            finding = Finding(
                kind=job.kind,
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
        except asyncio.CancelledError:
            await asyncio.shield(self._end(job, "interrupted"))
            raise
        except SekishoError as fault:
            await self._end(job, "failed", f"{fault.message}; {fault.next_step}")
        except Exception:  # noqa: BLE001  # whatever it is: the job has failed, and the cause is in the log
            _log.exception("a job failed unexpectedly", job=job.id, kind=job.kind)
            await self._end(job, "failed", "it could not be done; the cause is in the service's log")

    async def _outcome(self, job: Job, order: Order) -> Outcome | None:
        """None where somebody cancelled it."""
        seen = Progress()

        def told(progress: Progress) -> None:
            nonlocal seen
            seen = progress

        child = asyncio.ensure_future(self._run(order, told, seconds=JOB_S[job.kind]))
        try:
            while True:
                done, _ = await asyncio.wait({child}, timeout=self._beat_s)
                if done:
                    await self._goes_on(job, seen)  # a row that says it is done says also that all was
                    return child.result()
                if not await self._goes_on(job, seen):
                    return None
        finally:
            child.cancel()
            with contextlib.suppress(asyncio.CancelledError, SekishoError):
                await child

    async def _goes_on(self, job: Job, seen: Progress) -> bool:
        try:
            return await asyncio.to_thread(self.register.beat, job.id, seen, self._clock())
        except DirectoryError:  # it may answer again before the work is done
            return True

    async def _end(self, job: Job, state: Any, fault: str | None = None) -> None:
        """Where the database does not answer, the row's age will say that it is over."""
        with contextlib.suppress(SekishoError):
            await asyncio.to_thread(self.register.end, job.id, state, self._clock(), fault)
