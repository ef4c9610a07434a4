"""Tests and coverage of a revision: what was found last, and a button that runs them again; its mutants, on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.pages import Page
from pdp.console.policy_words import PolicyWords

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

TESTS_S: Final = 150.0  # the API's own bound is below
# Who may run them; everybody who sees revisions sees what was found.
_RUNNERS: Final[frozenset[Role]] = frozenset({"author", "approver"})


async def tests(visit: Visit) -> Response:
    return await _page(visit)


async def run(visit: Visit) -> Response:
    """Runs the tests, or begins to try mutants; then the page, or why not."""
    path = f"/admin/v1/revisions/{visit.path['number']}"
    if visit.field("do") == "mutation":
        begun = await visit.send("POST", f"{path}/jobs", {"kind": "mutation"})
    else:
        begun = await visit.send("POST", f"{path}/tests", {}, deadline_s=TESTS_S)
    if not begun.ok:
        return await _page(visit, refused=begun)
    return visit.go(f"/console/policies/{visit.path['number']}/tests")


async def cancel(visit: Visit) -> Response:
    stopped = await visit.send("POST", f"/admin/v1/jobs/{visit.path['job']}/cancel", {})
    if not stopped.ok:
        return await _page(visit, refused=stopped)
    return visit.go(f"/console/policies/{visit.path['number']}/tests")


async def _page(visit: Visit, *, refused: Answer | None = None) -> Response:
    path = f"/admin/v1/revisions/{visit.path['number']}"
    answer = await visit.ask(path)
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    jobs = await visit.ask(f"{path}/jobs")
    told: list[dict[str, Any]] = jobs.data["jobs"] if jobs.ok else []
    return visit.page(
        "policy_tests.html",
        status=200 if refused is None else refused.status,
        revision=answer.data,
        found=await latest(visit, "tests"),
        mutation=await latest(visit, "mutation"),
        job=next((one for one in told if one["kind"] == "mutation"), None),
        may=bool(_RUNNERS & visit.session.person.roles),
        refused=refused,
        policy=PolicyWords(visit.lang),
    )


async def latest(visit: Visit, kind: str) -> dict[str, Any] | None:
    """The newest result of this kind with its body; None where there is none, or it may not be seen."""
    kept = await visit.ask(f"/admin/v1/revisions/{visit.path['number']}/results", kind=kind)
    if not kept.ok or not kept.data["results"]:
        return None
    result = await visit.ask(f"/admin/v1/results/{kept.data['results'][0]['id']}")
    return result.data if result.ok else None


PAGES: Final = (
    Page("policies/{number}/tests", tests),
    Page("policies/{number}/tests", run, _RUNNERS, method="POST"),
    Page("policies/{number}/tests/{job}/cancel", cancel, _RUNNERS, method="POST"),
)
