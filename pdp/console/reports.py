"""Reports for auditors: the named questions of the audit, shown and taken away as CSV."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.console.decisions import READERS
from pdp.console.pages import Page
from pdp.console.windows import window_of
from pdp.console.words import N_

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit

SPAN: Final = timedelta(days=30)
MOST_SHOWN: Final = 500  # rows of a page; the file has them all


async def listed(visit: Visit) -> Response:
    answer = await visit.ask("/audit/v1/reports")
    return visit.page("reports.html", answer=answer, ten=_those(answer, ten=True), others=_those(answer, ten=False))


async def shown(visit: Visit) -> Response:
    report, given, answer = await _asked(visit)
    rows = answer.data["rows"] if answer is not None and answer.ok else []
    return visit.page(
        "report.html",
        status=200 if answer is None or answer.ok else answer.status,
        report=report,
        words=await visit.words(),
        given=given,
        answer=answer,
        rows=rows[:MOST_SHOWN],
        count=len(rows),
        columns=list(rows[0]) if rows else [],
        fields={**window_of(visit, SPAN).fields(), "utc_offset": "540"},
    )


async def file(visit: Visit) -> Response:
    """The API's own file, as a spreadsheet takes it."""
    report, given = await _question(visit)
    path = f"/audit/v1/reports/{report['name']}"
    return visit.hand_on(path, {**given, "format": "csv", "lang": visit.lang})


async def _asked(visit: Visit) -> tuple[dict[str, Any], dict[str, str], Answer | None]:
    """(the report, its parameters, its answer). None while a parameter that it needs is missing."""
    report, given = await _question(visit)
    if any(kind in ("text", "id") and key not in given for key, kind in report["parameters"].items()):
        return report, given, None
    return report, given, await visit.ask(f"/audit/v1/reports/{report['name']}", **given)


async def _question(visit: Visit) -> tuple[dict[str, Any], dict[str, str]]:
    """(the report, the parameters that were given)."""
    listed = await visit.ask("/audit/v1/reports")
    known = {report["name"]: report for report in listed.data["reports"]} if listed.ok else {}
    name = visit.path["name"]
    report = known.get(name, {"name": name, "title": name, "note": None, "parameters": {}})
    parameters: dict[str, str] = report["parameters"]
    given: dict[str, str] = {}
    if "since" in parameters:
        window = window_of(visit, SPAN)
        given |= (window.whole_hours() if _is_hourly(name) else window).params()
    return report, given | {key: visit.one(key) for key in parameters if key not in given and visit.one(key)}


def _is_hourly(name: str) -> bool:
    from pdp.archive.queries import QUERIES

    return name in QUERIES and "hourly" in QUERIES[name].views


def _those(answer: Answer, *, ten: bool) -> list[dict[str, Any]]:
    reports = answer.data["reports"] if answer.ok else []
    return [report for report in reports if report["name"].startswith("report_") == ten]


PAGES: Final = (
    Page("reports", listed, READERS, N_("Reports"), "log"),
    Page("reports/{name}", shown, READERS),
    Page("reports/{name}/csv", file, READERS),
)
