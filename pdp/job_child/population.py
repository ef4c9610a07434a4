"""Everybody under the draft instead of what is of record; today, or on a later day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pdp.directory.snapshot import load_snapshot
from pdp.errors import BadRequestError
from pdp.gates.foresight import CONTEXTS
from pdp.job_child.ground import draft_of, ground_of
from pdp.jobs.job import Outcome
from pdp.revisions.warning import require_alike
from pdp.scenario.format import moment
from pdp.simulate.population import Course, Simulation, World, later

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.job_child.ground import Say
    from pdp.jobs.job import Order
    from pdp.simulate.contexts import Stated
    from pdp.simulate.report import Report

SAMPLES = 5  # cells named of each kind of change
MOST_KINDS = 200  # that are kept, of 500 that are counted one by one


async def work(order: Order, say: Say) -> Outcome:
    """Params: `at`, a later time; `contexts`, the names of those under which everybody is to ask; `warn_days`, of the
    time of warning with which the draft is to be submitted. Raises ConflictError for a draft that cannot have one.
    """
    say("reading")
    contexts = chosen_contexts(order.params.get("contexts"))
    with ground_of(order) as ground:
        active, draft = ground.of_record(), draft_of(order)
        snapshot = load_snapshot(ground.store, order.now)
        at = moment(order.params["at"]) if order.params.get("at") else order.now
        if at < order.now:
            raise BadRequestError("the day is over: what is past was decided, and can be replayed", pointer="/at")
        if draft.digest == active.digest and at == order.now:
            raise BadRequestError(
                "this policy is of record already: nothing would change", next_step="name a later day, or a draft"
            )
        warns = bool(order.params.get("warn_days"))
        if warns:
            require_alike(active, draft)
        after = World(draft, snapshot if at == order.now else later(snapshot, order.now, at), at)
        before = World(active, snapshot, order.now)
        total = done = 0

        def begun(steps: int) -> None:
            nonlocal total
            total = steps
            say("judging", 0, total)

        def advanced(steps: int) -> None:
            nonlocal done
            done += steps
            say("judging" if done < total else "comparing", done, total)

        simulation = Simulation(before, after, contexts, ground.engine, samples=SAMPLES, warns=warns)
        report = await simulation.run(Course(begun, advanced))
    assert report is not None  # it is ended from outside, together with this process
    return Outcome(
        digest=draft.digest,
        baseline=active.digest,
        epoch=snapshot.epoch,
        summary=summary_of(report),
        body=msgspec.json.encode(told(report)),
    )


def chosen_contexts(names: Any) -> Sequence[Stated]:
    """Those of these names, in our order; without names all. Raises BadRequestError for a name that is none."""
    if not names:
        return CONTEXTS
    known = {one.id: one for one in CONTEXTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise BadRequestError(f"there is no context `{str(unknown[0])[:32]}`", pointer="/contexts")
    return [one for one in CONTEXTS if one.id in names]


def summary_of(report: Report) -> dict[str, Any]:
    old, new = report.halves
    return {
        "users": len(report.pairs.users),
        "losing": len(report.losing),
        "gaining": len(report.gaining),
        "cells": report.cells,
        "held": None if report.differences.held is None else len(report.differences.held.users),
        "at": new.at.isoformat() if new.at != old.at else None,
        "seconds": round(report.seconds, 1),
    }


def told(report: Report) -> dict[str, Any]:
    found = report.as_json()
    kinds = found["kinds"]
    found["further_kinds"] += sum(kind["cells"] for kind in kinds[MOST_KINDS:])
    names = {one.id: {"ja": one.ja or one.id, "en": one.en or one.id} for one in report.contexts}
    return {**found, "kinds": kinds[:MOST_KINDS], "context_names": names}
