"""Decisions: the search, page by page, its file, and saved questions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.archive.asking import OUTCOMES
from pdp.console.pages import Page
from pdp.console.windows import Window, window_of
from pdp.console.words import N_

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.visit import Visit
    from pdp.model.console import Role

READERS: Final[frozenset[Role]] = frozenset({"auditor", "operator", "administrator"})
SPAN: Final = timedelta(hours=24)
SIZE: Final = 50
# Fields of the form, as the API's filters are called.
TEXTS: Final = (
    "person",
    "department",
    "device",
    "resource",
    "resource_group",
    "reason",
    "caller",
    "revision",
    "source_ip",
)
FLAGS: Final = ("exception", "disaster_mode")


async def search(visit: Visit) -> Response:
    window, filters = window_of(visit, SPAN), filters_of(visit)
    before = visit.one("before")
    found = await visit.ask("/audit/v1/decisions", **window.params(), **filters, size=str(SIZE), before=before or None)
    saved = await visit.ask("/audit/v1/queries")
    return visit.page(
        "decisions.html",
        status=200 if found.ok else found.status,
        found=found,
        words=await visit.words(),
        window=window,
        filters=filters,
        fields=_fields(visit, window),
        before=before,
        outcomes=OUTCOMES,
        saved=[query for query in saved.data["queries"] if query["kind"] == "decisions"] if saved.ok else [],
        said_what=visit.one("said"),
    )


async def find(visit: Visit) -> Response:
    """One decision by the number on the page that denied."""
    wanted = visit.one("id")
    return visit.go(f"/console/decisions/{wanted}" if _is_id(wanted) else "/console/decisions?said=no-id")


async def export(visit: Visit) -> Response:
    window = window_of(visit, SPAN)
    form = "parquet" if visit.one("format") == "parquet" else "jsonl" if visit.one("format") == "jsonl" else "csv"
    return visit.hand_on(
        "/audit/v1/decisions/export", {**window.params(), **filters_of(visit), "format": form, "lang": visit.lang}
    )


async def save(visit: Visit) -> Response:
    """Keep the search under a name; its time stays open."""
    names = {*TEXTS, *FLAGS, "outcome"}
    parameters = {name: [v for v in values if v] for name, values in visit.form.items() if name in names}
    body = {
        "kind": "decisions",
        "parameters": {name: values for name, values in parameters.items() if values},
        "title": visit.field("title"),
        "shared": visit.field("shared") == "true",
    }
    kept = await visit.send("PUT", f"/audit/v1/queries/{visit.field('name')}", body)
    if not kept.ok:
        return visit.page("problem.html", status=kept.status, answer=kept)
    return visit.go("/console/decisions", said="saved")


async def drop(visit: Visit) -> Response:
    gone = await visit.send("DELETE", f"/audit/v1/queries/{visit.field('name')}")
    return visit.go("/console/decisions", said="deleted" if gone.ok else "not-deleted")


def filters_of(visit: Visit) -> dict[str, Any]:
    """The filters that were given, by the API's names."""
    given: dict[str, Any] = {name: visit.one(name) for name in TEXTS if visit.one(name)}
    outcomes = [value for value in visit.query.get("outcome", ()) if value in OUTCOMES]
    if outcomes:
        given["outcome"] = outcomes
    return given | {name: "true" for name in FLAGS if visit.one(name) == "true"}


def _fields(visit: Visit, window: Window) -> dict[str, Any]:
    return {**window.fields(), **{name: visit.one(name) for name in (*TEXTS, *FLAGS)}}


def _is_id(text: str) -> bool:
    return len(text) == 36 and all(letter in "0123456789abcdefABCDEF-" for letter in text)  # noqa: PLR2004  # a uuid


PAGES: Final = (
    Page("decisions", search, READERS, N_("Decisions"), "log"),
    Page("find", find, READERS),
    Page("decisions.file", export, READERS),
    Page("queries/save", save, READERS, method="POST"),
    Page("queries/delete", drop, READERS, method="POST"),
)
