"""Foresight: what a revision would change for everybody, on a later day, and for the decisions of the last days."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console import charts
from pdp.console.foresight_words import CHANGES, DIMENSIONS, ForesightWords
from pdp.console.pages import Page
from pdp.console.policy_words import PolicyWords
from pdp.console.words import N_
from pdp.console.written import in_japan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

FORESEERS: Final[frozenset[Role]] = frozenset({"author", "approver", "operator"})
TOP: Final = 8  # rows of one table of a result; the API has all of them
PLOTTED: Final = 20  # departments of the plot
KINDS: Final = 15  # kinds of changes that are shown
DRAFTS: Final = 20
_JOBS: Final = ("population", "replay")
_BACK: Final = "/admin/v1/revisions"


async def overview(visit: Visit) -> Response:
    """Where to begin: revisions that are worked on, what runs, and the draft that judges beside the service."""
    drafts = await visit.ask(_BACK, state="draft,checked,in_review,approved,scheduled,active", size=str(DRAFTS))
    jobs = await visit.ask("/admin/v1/jobs")
    bad = next((answer for answer in (drafts, jobs) if not answer.ok), None)
    if bad is not None:
        return visit.page("problem.html", status=bad.status, answer=bad)
    health = await visit.ask("/admin/v1/health")
    beside = [one for one in (health.data["workers"] if health.ok else []) if one.get("shadow")]
    return visit.page(
        "foresight.html",
        drafts=drafts.data["revisions"],
        jobs=[job for job in jobs.data["jobs"] if job["kind"] in _JOBS][:DRAFTS],
        shadow=_shadow(beside),
        decision=visit.one("decision"),
        policy=PolicyWords(visit.lang),
        foreseen=ForesightWords(visit.lang),
    )


def _shadow(workers: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The workers of this host together."""
    if not workers:
        return None
    results: dict[str, int] = {}
    outcomes: dict[tuple[str, str], int] = {}
    samples: list[Mapping[str, Any]] = []
    for worker in workers:
        told = worker["shadow"]
        samples += told["samples"]
        for name, count in told["results"].items():
            results[name] = results.get(name, 0) + count
        for one in told["outcomes"]:
            pair = (one["active"], one["draft"])
            outcomes[pair] = outcomes.get(pair, 0) + one["decisions"]
    ordered = sorted(outcomes.items(), key=lambda entry: -entry[1])
    shown = [{"active": pair[0], "draft": pair[1], "decisions": count} for pair, count in ordered]
    return {"revision": workers[0]["shadow"]["revision"], "results": results, "outcomes": shown, "samples": samples}


async def foresight(visit: Visit) -> Response:
    return await _page(visit)


async def begin(visit: Visit) -> Response:
    """Begins what was asked for, and shows how far it is."""
    kind = visit.field("kind")
    body: dict[str, Any] = {"kind": kind}
    if kind == "replay":
        body["days"] = int(text) if (text := visit.field("days")).isdecimal() and len(text) < 5 else text  # noqa: PLR2004  # more is no number of days
    else:
        body["contexts"] = list(visit.form.get("context", ()))
        if visit.field("at"):
            body["at"] = in_japan(visit.field("at"))
        if visit.field("warn_days") not in ("", "0"):
            body["warn_days"] = visit.field("warn_days")
    begun = await visit.send("POST", f"{_BACK}/{visit.path['number']}/jobs", body)
    if begun.ok:
        return visit.go(f"/console/policies/{visit.path['number']}/foresight")
    return await _page(visit, refused=begun)


async def cancel(visit: Visit) -> Response:
    stopped = await visit.send("POST", f"/admin/v1/jobs/{visit.path['job']}/cancel", {})
    if stopped.ok:
        return visit.go(f"/console/policies/{visit.path['number']}/foresight")
    return await _page(visit, refused=stopped)


async def _page(visit: Visit, refused: Answer | None = None) -> Response:
    path = f"{_BACK}/{visit.path['number']}"
    asked = [await visit.ask(path), await visit.ask(f"{path}/jobs"), await visit.ask(f"{path}/results")]
    choices = await visit.ask("/admin/v1/foresight/choices")
    bad = next((answer for answer in (*asked, choices) if not answer.ok), None)
    if bad is not None:
        return visit.page("problem.html", status=bad.status, answer=bad)
    answer, jobs, results = asked
    told = [job for job in jobs.data["jobs"] if job["kind"] in _JOBS]
    return visit.page(
        "policy_foresight.html",
        status=200 if refused is None else refused.status,
        revision=answer.data,
        running=[job for job in told if job["state"] == "running"],
        ended=[job for job in told if job["state"] not in ("running", "done")][:3],
        results=[one for one in results.data["results"] if one["kind"] in _JOBS],
        contexts=choices.data["contexts"],
        most_days=choices.data["most_days"],
        may=bool(FORESEERS & visit.session.person.roles),
        refused=refused,
        given={name: visit.field(name) for name in ("kind", "at", "days", "warn_days")},
        chosen=list(visit.form.get("context", ())),
        policy=PolicyWords(visit.lang),
        foreseen=ForesightWords(visit.lang, choices.data["contexts"]),
    )


async def result(visit: Visit) -> Response:
    answer = await visit.ask(f"{_BACK}/{visit.path['number']}")
    found = await visit.ask(f"/admin/v1/results/{visit.path['result']}")
    choices = await visit.ask("/admin/v1/foresight/choices")
    bad = next((one for one in (answer, found, choices) if not one.ok), None)
    if bad is not None:
        return visit.page("problem.html", status=bad.status, answer=bad)
    if found.data["kind"] not in _JOBS or found.data["number"] != answer.data["number"]:
        return visit.page("problem.html", status=404, answer=None)
    whole = found.data["body"]
    everybody = found.data["kind"] == "population"
    return visit.page(
        "foresight_everybody.html" if everybody else "foresight_replay.html",
        revision=answer.data,
        kept=found.data,
        found=whole,
        plot=_plot(visit, whole) if everybody else None,
        tables=_tables(whole) if everybody else _spread(whole),
        systems=_systems(whole) if everybody else {},
        kinds=KINDS,
        words=await visit.words(),
        policy=PolicyWords(visit.lang),
        foreseen=ForesightWords(visit.lang, choices.data["contexts"]),
    )


def _plot(visit: Visit, found: Mapping[str, Any]) -> Any:
    """People who lose and who gain a system altogether, by department; None where nobody does."""
    lose, gain = (found["people"][name]["department"] for name in ("losing", "gaining"))
    names = sorted({*lose, *gain}, key=lambda name: (-(lose.get(name, 0) + gain.get(name, 0)), name))[:PLOTTED]
    rows = [(name or "—", lose.get(name, 0), gain.get(name, 0)) for name in names]
    if not rows:
        return None
    label = visit.say("People who lose or gain a system, by department")
    return {"picture": charts.facing(rows, label), "rows": rows, "label": label}


def _systems(found: Mapping[str, Any]) -> dict[str, list[tuple[str, list[tuple[str, int]]]]]:
    """By system the circumstances in which people lose or gain it, those of most people first."""
    shown = {}
    for which in ("systems_lost", "systems_gained"):
        rows = [
            (system, sorted(contexts.items(), key=lambda entry: -entry[1]))
            for system, contexts in found["people"][which].items()
        ]
        shown[which] = sorted(rows, key=lambda row: -row[1][0][1])[:TOP]
    return shown


def _tables(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Of each change that there is, the cells by each dimension, the largest first."""
    return [
        {
            "change": change,
            "cells": found["changes"][change]["cells"],
            "users": found["changes"][change]["users"],
            "dimensions": [
                {
                    "name": name,
                    "rows": list(found["changes"][change].get(name, {}).items())[:TOP],
                    "more": max(0, len(found["changes"][change].get(name, {})) - TOP),
                }
                for name in DIMENSIONS
            ],
        }
        for change in CHANGES
        if found["changes"][change]["cells"]
    ]


def _spread(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Decisions that would be others, by department, application and kind of device."""
    tables = []
    for name, values in found["spread"].items():
        counts = sorted(((value, sum(by.values())) for value, by in values.items()), key=lambda row: -row[1])
        if counts:
            tables.append({"name": name, "rows": counts[:TOP], "more": max(0, len(counts) - TOP)})
    return tables


PAGES: Final = (
    Page("foresight", overview, title=N_("Foresight"), group="policy"),
    Page("policies/{number}/foresight", foresight),
    Page("policies/{number}/foresight", begin, FORESEERS, method="POST"),
    Page("policies/{number}/foresight/{result}", result),
    Page("policies/{number}/foresight/{job}/cancel", cancel, FORESEERS, method="POST"),
)
