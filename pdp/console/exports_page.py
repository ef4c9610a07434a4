"""Exports: the policy of record as rules for other enforcement points, with the certificate that they are not wider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.foresight_words import TARGETS, ForesightWords
from pdp.console.pages import Page
from pdp.console.words import N_

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

EXPORTERS: Final[frozenset[Role]] = frozenset({"operator", "administrator"})
GAPS: Final = 40  # that are shown; gaps.json has all of them


async def exports(visit: Visit) -> Response:
    return await _page(visit)


async def begin(visit: Visit) -> Response:
    begun = await visit.send("POST", "/admin/v1/exports", {"target": visit.field("target")})
    return visit.go("/console/exports") if begun.ok else await _page(visit, refused=begun)


async def cancel(visit: Visit) -> Response:
    stopped = await visit.send("POST", f"/admin/v1/jobs/{visit.path['job']}/cancel", {})
    return visit.go("/console/exports") if stopped.ok else await _page(visit, refused=stopped)


async def _page(visit: Visit, refused: Answer | None = None) -> Response:
    answer = await visit.ask("/admin/v1/exports")
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    targets: list[dict[str, Any]] = answer.data["targets"]
    jobs = [job for target in targets for job in target["jobs"]]
    return visit.page(
        "exports.html",
        status=200 if refused is None else refused.status,
        active=answer.data["active"],
        targets=targets,
        deliveries=answer.data["deliveries"],
        running=[job for job in jobs if job["state"] == "running"],
        ended=[job for job in jobs if job["state"] not in ("running", "done")],
        may=bool(EXPORTERS & visit.session.person.roles),
        refused=refused,
        name_of=lambda target: _name(visit, target),
        foreseen=ForesightWords(visit.lang),
    )


async def one(visit: Visit) -> Response:
    found = await visit.ask(f"/admin/v1/results/{visit.path['result']}")
    if not found.ok or found.data["kind"] != "export":
        return visit.page("problem.html", status=404 if found.ok else found.status, answer=None if found.ok else found)
    body = found.data["body"]
    gaps = sorted(body["gaps"]["gaps"], key=lambda gap: -int(gap["vectors"]))
    return visit.page(
        "export.html",
        kept=found.data,
        certificate=body["certificate"],
        left_out=_left_out(body["gaps"]["left_out"]),
        gaps=gaps[:GAPS],
        more=max(0, len(gaps) - GAPS),
        files=body["files"],
        name=_name(visit, found.data["label"]),
        words=await visit.words(),
        foreseen=ForesightWords(visit.lang),
    )


async def archive(visit: Visit) -> Response:
    return visit.hand_on(f"/admin/v1/results/{visit.path['result']}/files", {})


def _left_out(told: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rules that the target cannot say, put together by why."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for rule in told:
        same = found.setdefault((rule["what"], rule["why"]["en"]), {**rule, "count": 0})
        same["count"] += 1
    return sorted(found.values(), key=lambda rule: -rule["count"])


def _name(visit: Visit, target: str) -> str:
    return visit.say(TARGETS[target]) if target in TARGETS else target


PAGES: Final = (
    Page("exports", exports, title=N_("Exports"), group="operation"),
    Page("exports", begin, EXPORTERS, method="POST"),
    Page("exports/{result}", one),
    Page("exports/{result}/export.zip", archive),
    Page("exports/{job}/cancel", cancel, EXPORTERS, method="POST"),
)
