"""What an operator says to a removal that waits, and how a source is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from pdp.directory.changes import change
from pdp.directory.reading import read_reports_of
from pdp.directory.rows import Reader
from pdp.errors import BadRequestError
from pdp.sources import register
from pdp.store import tables

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.sources.bounds import RemovalPlan
    from pdp.store.store import Store


def waiting(store: Store, name: str) -> tuple[RemovalPlan, str, register.PlanState]:
    """The removal that was stopped, its digest, and what was said to it. Raises BadRequestError where none was."""
    with store.read() as connection:
        row = register.read_row(connection, name)
    if row is None:
        raise BadRequestError(f"there is no source `{name}`", next_step="`pdp directory status` lists them")
    if row.plan is None or row.plan_digest is None:
        raise BadRequestError(f"no removal of `{name}` waits for an answer", next_step="see `pdp directory status`")
    return row.plan, row.plan_digest, row.plan_state


def approve(store: Store, name: str, *, by: str, now: datetime, digest: str | None = None) -> RemovalPlan:
    """Let the pending removal pass, once, if the next complete run asks for the same rows and no others.

    `digest`: the one that was shown; another means that the plan has changed meanwhile. Raises BadRequestError
    where nothing waits, DirectoryError.
    """
    return _answer(store, name, "approved", by, now, digest)


def reject(store: Store, name: str, *, by: str, now: datetime, digest: str | None = None) -> RemovalPlan:
    """Say no: the same removal is not asked for again, and the source's complete runs keep being stopped by it."""
    return _answer(store, name, "rejected", by, now, digest)


def _answer(  # noqa: PLR0913, PLR0917
    store: Store, name: str, state: register.PlanState, by: str, now: datetime, digest: str | None
) -> RemovalPlan:
    with change(store, now) as inside:
        row = register.read_row(inside.connection, name, lock=True)
        if row is None:
            raise BadRequestError(f"there is no source `{name}`", next_step="`pdp directory status` lists them")
        if row.plan is None or row.plan_state not in ("pending", "rejected" if state == "approved" else "pending"):
            raise BadRequestError(f"no removal of `{name}` waits for an answer", next_step="see `pdp directory status`")
        if digest is not None and digest != row.plan_digest:
            raise BadRequestError("the removal is no longer the one that was shown", next_step="look at it again")
        until = now + register.APPROVAL if state == "approved" else None
        register.write(inside.connection, name, {"plan_state": state, "plan_until": until, "plan_by": by})
        inside.note_sources()
        return row.plan


def forget(store: Store, name: str, now: datetime) -> int:
    """Take away every report of this source and the source itself; how many reports that were.

    People whom it brought stay as they are, and belong to nobody (as if imported). Aliases that it taught go.
    Raises BadRequestError where there is no such source, or it is running now; DirectoryError.
    """
    with change(store, now) as inside:
        connection = inside.connection
        row = register.read_row(connection, name, lock=True)
        if row is None:
            raise BadRequestError(f"there is no source `{name}`", next_step="`pdp directory status` lists them")
        if row.lease_until is not None and row.lease_until > now:
            raise BadRequestError(f"the source `{name}` is being run", next_step="end its runner first")
        reports = read_reports_of(connection, Reader(), name)
        inside.remove("posture", reports)
        aliases = tables.device_aliases
        connection.execute(delete(aliases).where(aliases.c.source == name))
        owners = tables.source_users
        connection.execute(delete(owners).where(owners.c.source == name))
        connection.execute(delete(tables.source_runs).where(tables.source_runs.c.source == name))
        connection.execute(delete(tables.sources).where(tables.sources.c.name == name))
        inside.note_sources()
        return len(reports)


def latest_runs(store: Store, name: str, limit: int) -> list[tuple[datetime, bool, str, str | None, str]]:
    """(at, complete, outcome, fault, counts as JSON) of the latest runs, the newest first."""
    t = tables.source_runs.c
    query = select(t.at, t.complete, t.outcome, t.fault, t.counts).where(t.source == name)
    with store.read() as connection:
        return [(*row,) for row in connection.execute(query.order_by(t.id.desc()).limit(limit))]
