"""Jobs in the control database, so that every worker sees them, and a job whose worker ended is seen to be over.

Each method is one transaction, and blocks. Changes queue where changes of policies do (`pdp.revisions.rows.begin`),
so that no two workers begin the last job that there is room for.

Who asks while all places are taken waits, `WAITING` being the phase of the job. INVARIANT (fair turns): a place that
becomes free goes to whoever has none, in the order in which they asked, before anybody has a second one.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, insert, select, update

from pdp.errors import ConflictError, NotFoundError
from pdp.jobs.job import ENDS, WAITING, Job
from pdp.jobs.turns import next_turns
from pdp.revisions.results import keep_finding
from pdp.revisions.rows import begin, revision_at
from pdp.store import tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection

    from pdp.jobs.job import JobKind, Progress, State
    from pdp.revisions.results import Finding, Kept
    from pdp.store.store import Store

MAX_RUNNING: Final = 2  # on all hosts together: each takes two cores, and decisions go first
MAX_WAITING: Final = 8  # behind them: the last one would wait for some minutes, or for hours
MAX_OWN: Final = 4  # of one person, running and waiting: nobody fills the queue
LOST_AFTER: Final = timedelta(seconds=30)  # without a word of its worker, which says one each second
KEPT: Final = 200  # jobs that have ended; what they found is kept beside the revision
MAX_LISTED: Final = 50

_TABLE: Final = tables.policy_jobs


class JobRegister:
    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(  # noqa: PLR0913, PLR0917  # what a row begins with
        self, id_: str, kind: JobKind, number: int | None, params: Mapping[str, Any], by: str, now: datetime
    ) -> Job:
        """A job that runs, or waits for its turn.

        Raises ConflictError where there is no room to wait either, NotFoundError for a revision that is none.
        """
        with self._store.write() as connection:
            begin(connection)
            if number is not None:
                revision_at(connection, number)
            _find_lost(connection, now)
            if kind == "check":
                _require_unchecked(connection, number)
            else:
                _require_place(connection, by)
            _make_room(connection)
            values = {
                "id": id_,
                "kind": kind,
                "number": number,
                "params": json.dumps(dict(params), ensure_ascii=False, sort_keys=True),
                "by": by,
                "at": now,
                "state": "running",
                "phase": "" if kind == "check" else WAITING,
                "done": 0,
                "total": 0,
                "beat_at": now,
            }
            connection.execute(insert(_TABLE).values(**values))
            _give_turns(connection)
            return _job_at(connection, id_)

    def wait(self, id_: str, now: datetime) -> Job:
        """Say that it still waits; the job, which has its turn where its phase is another one."""
        with self._store.write() as connection:
            begin(connection)
            connection.execute(update(_TABLE).where(_TABLE.c.id == id_, _is_under_way()).values(beat_at=now))
            _find_lost(connection, now)
            _give_turns(connection)
            return _job_at(connection, id_)

    def beat(self, id_: str, progress: Progress, now: datetime) -> bool:
        """Say that it runs, and how far it is. Whether it is to go on: False where somebody has cancelled it."""
        values = {"phase": progress.phase, "done": progress.done, "total": progress.total, "beat_at": now}
        with self._store.write() as connection:
            connection.execute(update(_TABLE).where(_TABLE.c.id == id_, _TABLE.c.state == "running").values(**values))
            job = _job_at(connection, id_)
            return job.state == "running" and job.cancelled_by is None

    def end(self, id_: str, state: State, now: datetime, fault: str | None = None) -> None:
        """It is over, without a result."""
        assert state in ENDS
        with self._store.write() as connection:
            _end(connection, id_, state, now, fault=fault)

    def keep(self, id_: str, finding: Finding, now: datetime) -> Kept:
        """It is over, and this is what it found: one transaction for both. Raises as `keep_finding`."""
        with self._store.write() as connection:
            begin(connection)
            kept = keep_finding(connection, finding, _job_at(connection, id_).by, now)
            _end(connection, id_, "done", now, result=kept.id)
            return kept

    def cancel(self, id_: str, by: str, now: datetime) -> Job:
        """Its worker ends it within a second or two. Raises NotFoundError, and ConflictError where it is over."""
        with self._store.write() as connection:
            begin(connection)
            _find_lost(connection, now)
            if _job_at(connection, id_).state != "running":
                raise ConflictError("it is over already")
            connection.execute(update(_TABLE).where(_TABLE.c.id == id_).values(cancelled_by=by))
            return _job_at(connection, id_)

    def one(self, id_: str, now: datetime) -> Job:
        """Raises NotFoundError."""
        with self._store.read() as connection:
            return _as_seen(_job_at(connection, id_), now)

    def all(self, now: datetime, number: int | None = None, kind: JobKind | None = None) -> tuple[Job, ...]:
        """The newest first."""
        query = select(_TABLE).order_by(_TABLE.c.at.desc(), _TABLE.c.id.desc()).limit(MAX_LISTED)
        if number is not None:
            query = query.where(_TABLE.c.number == number)
        if kind is not None:
            query = query.where(_TABLE.c.kind == kind)
        with self._store.read() as connection:
            return tuple(_as_seen(_job_of(row), now) for row in connection.execute(query))


def _is_under_way() -> ColumnElement[bool]:
    return _TABLE.c.state == "running"


def _require_place(connection: Connection, by: str) -> None:
    under_way = connection.execute(select(_TABLE.c.by, _TABLE.c.phase).where(_is_under_way(), _TABLE.c.kind != "check"))
    rows = list(under_way)
    waiting, own = sum(row.phase == WAITING for row in rows), sum(row.by == by for row in rows)
    if waiting >= MAX_WAITING:
        raise ConflictError(f"{waiting} such jobs are waiting already", next_step="wait for one to end, or cancel it")
    if own >= MAX_OWN:
        raise ConflictError(
            f"{own} jobs of this person are under way already", next_step="wait for one to end, or cancel it"
        )


def _require_unchecked(connection: Connection, number: int | None) -> None:
    same = select(_TABLE.c.id).where(_is_under_way(), _TABLE.c.kind == "check", _TABLE.c.number == number)
    if connection.execute(same).first() is not None:
        raise ConflictError("this revision is being checked already", next_step="wait for one to end, or cancel it")


def _give_turns(connection: Connection) -> None:
    """Checks have turns of their own, in their worker (`pdp.jobs.running`): they need no place here."""
    jobs = select(_TABLE.c.id, _TABLE.c.by, _TABLE.c.phase).where(_is_under_way(), _TABLE.c.kind != "check")
    rows = list(connection.execute(jobs.order_by(_TABLE.c.at, _TABLE.c.id)))
    busy = [row.by for row in rows if row.phase != WAITING]
    waiting = [(row.id, row.by) for row in rows if row.phase == WAITING]
    for id_ in next_turns(busy, waiting, MAX_RUNNING - len(busy)):
        connection.execute(update(_TABLE).where(_TABLE.c.id == id_).values(phase=""))


def _as_seen(job: Job, now: datetime) -> Job:
    """A row that nobody writes to any more says by its age that its worker has gone."""
    lost = job.state == "running" and now - job.beat_at > LOST_AFTER
    return replace(job, state="interrupted", ended_at=job.beat_at) if lost else job


def _find_lost(connection: Connection, now: datetime) -> None:
    silent = (_TABLE.c.state == "running") & (_TABLE.c.beat_at < now - LOST_AFTER)
    connection.execute(update(_TABLE).where(silent).values(state="interrupted", ended_at=_TABLE.c.beat_at))


def _make_room(connection: Connection) -> None:
    over = select(_TABLE.c.id).where(_TABLE.c.state != "running").order_by(_TABLE.c.at.desc(), _TABLE.c.id.desc())
    old = list(connection.execute(over).scalars())[KEPT:]
    if old:
        connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(old)))


def _end(  # noqa: PLR0913  # what a row ends with
    connection: Connection,
    id_: str,
    state: State,
    now: datetime,
    *,
    fault: str | None = None,
    result: int | None = None,
) -> None:
    values = {"state": state, "ended_at": now, "fault": fault, "result": result}
    connection.execute(update(_TABLE).where(_TABLE.c.id == id_, _TABLE.c.state == "running").values(**values))


def _job_at(connection: Connection, id_: str) -> Job:
    row = connection.execute(select(_TABLE).where(_TABLE.c.id == id_)).first()
    if row is None:
        raise NotFoundError("there is no such job", next_step="older ones make room for newer ones")
    return _job_of(row)


def _job_of(row: Any) -> Job:
    values = {name: getattr(row, name) for name in Job.__slots__ if name != "params"}
    return Job(**values, params=json.loads(row.params))
