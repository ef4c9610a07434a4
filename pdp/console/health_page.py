"""How the service is, worker by worker, and how it has been for an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console import charts
from pdp.console.pages import Page
from pdp.console.words import N_, moment
from pdp.model.directory import JST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.visit import Visit


async def health(visit: Visit) -> Response:
    answer = await visit.ask("/admin/v1/health")
    workers: list[dict[str, Any]] = answer.data["workers"] if answer.ok else []
    now = moment(answer.data["now"]) if answer.ok else None
    for worker in workers:
        worker["plots"] = _plots(visit, worker) if worker["samples"] else None
        signed = worker["numbers"].get("log_signed_at")
        worker["signed_ago"] = None if signed is None or now is None else max(0.0, now.timestamp() - signed)
    return visit.page("health.html", status=200 if answer.ok else answer.status, answer=answer, workers=workers)


def _plots(visit: Visit, worker: Mapping[str, Any]) -> dict[str, Any]:
    samples = worker["samples"]
    labels = [at.astimezone(JST).strftime("%H:%M") for sample in samples if (at := moment(sample["at"])) is not None]
    lines = [
        charts.Line("p50", "p50", [sample["p50_ms"] for sample in samples]),
        charts.Line("p99", "p99", [sample["p99_ms"] for sample in samples]),
    ]
    counts = [
        charts.Column(at, {"allow": s["decisions"]}, f"{at} {s['decisions']}")
        for at, s in zip(labels, samples, strict=True)
    ]
    age = [charts.Line("age", visit.say("Age of the directory"), [sample["directory_age_s"] for sample in samples])]
    return {
        "latency": charts.lines(labels, lines, visit.say("Time of a decision in milliseconds, p50 and p99")),
        "load": charts.columns(counts, visit.say("Decisions in a minute"), parts=("allow",), height=140),
        "age": charts.lines(labels, age, visit.say("Age of the directory in seconds"), height=120),
        "rows": list(zip(labels, samples, strict=True)),
    }


PAGES: Final = (Page("health", health, title=N_("System health"), group="operation"),)
