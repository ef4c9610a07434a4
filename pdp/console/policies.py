"""Policies: every revision, what is of record and which worker serves it; one revision, its files and differences."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pdp.console.diff_lines import lines_of
from pdp.console.pages import Page
from pdp.console.policy_steps import OFFERED
from pdp.console.policy_tests import latest
from pdp.console.policy_words import PolicyWords
from pdp.console.reading_order import reading_order
from pdp.console.words import N_
from pdp.revisions.states import STATES

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

CHECKERS: Final[frozenset[Role]] = frozenset({"author", "approver", "operator", "administrator"})
SIZE: Final = 30
MOST_LINES: Final = 3_000  # of one page: what is longer is read in parts


async def policies(visit: Visit) -> Response:
    state = visit.one("state") if visit.one("state") in STATES else ""
    answer = await visit.ask("/admin/v1/revisions", state=state, before=visit.one("before"), size=str(SIZE))
    standing = await visit.ask("/admin/v1/policy")
    return visit.page(
        "policies.html",
        status=200 if answer.ok else answer.status,
        answer=answer,
        standing=standing,
        state=state,
        states=STATES,
        before=visit.one("before"),
        policy=PolicyWords(visit.lang),
    )


async def revision(visit: Visit) -> Response:
    answer = await _detail(visit)
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    standing = await visit.ask("/admin/v1/policy")
    told = standing.data if standing.ok else {"active": None, "instances": []}
    number = answer.data["number"]
    jobs = await visit.ask(f"/admin/v1/revisions/{number}/jobs")
    check = next((one for one in (jobs.data["jobs"] if jobs.ok else ()) if one["kind"] == "check"), None)
    is_checked = check is not None and check["state"] == "running"
    return visit.page(
        "policy.html",
        revision=answer.data,
        offered=[
            OFFERED[step] for step in answer.data["may"] if step in OFFERED and not (is_checked and step == "pass")
        ],
        serving=[one for one in told["instances"] if one["number"] == number],
        instances=told["instances"],
        check=check,
        may_cancel=check is not None and (check["by"] == visit.session.person.id or visit.may("policy_approve")),
        policy=PolicyWords(visit.lang),
    )


async def cancel(visit: Visit) -> Response:
    """Ends a check that is under way; what the gates found before stands as it did."""
    stopped = await visit.send("POST", f"/admin/v1/jobs/{visit.path['job']}/cancel", {})
    if not stopped.ok:
        return visit.page("problem.html", status=stopped.status, answer=stopped)
    return visit.go(f"/console/policies/{visit.path['number']}")


async def difference(visit: Visit) -> Response:
    """Against the revision of record, or another one; rows beyond the bound are left out, and the page says so."""
    path = f"/admin/v1/revisions/{visit.path['number']}"
    given = visit.one("against")
    answer, diff = await _detail(visit), await visit.ask(f"{path}/diff", against=given)
    if not answer.ok or not diff.ok:
        bad = diff if answer.ok else answer
        return visit.page("problem.html", status=bad.status, answer=bad)
    files, left = await asyncio.to_thread(_files, diff.data["files"])
    return visit.page(
        "policy_diff.html",
        revision=answer.data,
        against=diff.data["against"],
        given=given,
        files=files,
        left=left,
        policy=PolicyWords(visit.lang),
    )


def _files(told: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """The files with their rows and how many were added and removed; how many rows were left out."""
    room, left, found = MOST_LINES, 0, []
    for file in told:
        rows = list(lines_of(file["diff"]))
        shown = rows[:room]
        room, left = room - len(shown), left + len(rows) - len(shown)
        counts = {kind: sum(row.kind == kind for row in rows) for kind in ("added", "removed")}
        found.append({**file, "diff": "", "rows": shown, **counts})
    return found, left


async def files(visit: Visit) -> Response:
    """The list of files; one of them with its line numbers, and with what the gates found at its lines."""
    answer = await _detail(visit)
    contents = await visit.ask(f"/admin/v1/revisions/{visit.path['number']}/files")
    if not answer.ok or not contents.ok:
        bad = contents if answer.ok else answer
        return visit.page("problem.html", status=bad.status, answer=bad)
    texts: dict[str, str] = contents.data["files"]
    path = visit.one("file")
    lines = texts[path].split("\n") if path in texts else []
    start = _number(visit.one("from"), len(lines))
    words = PolicyWords(visit.lang)
    tried = await latest(visit, "tests")
    found: dict[int, list[str]] = {}
    for gate in answer.data["gates"]:
        for finding in words.findings(gate):
            if finding.path == path:
                # A parser may expect something behind the end of the file.
                found.setdefault(min(finding.line, len(lines)), []).append(finding.text)
    return visit.page(
        "policy_files.html",
        status=200 if not path or path in texts else 404,
        revision=answer.data,
        names=reading_order(texts),
        file=path,
        known=path in texts,
        lines=list(enumerate(lines, 1))[start - 1 : start - 1 + MOST_LINES],
        start=start,
        total=len(lines),
        step=MOST_LINES,
        found=found,
        untouched=_untouched(tried, path, contents.data["source_digest"]),
        policy=words,
    )


def _untouched(tried: dict[str, Any] | None, path: str, digest: str) -> set[int]:
    """The lines that no test touches; none where the tests were run on other contents, or never."""
    coverage = tried["body"]["coverage"] if tried is not None and tried["source_digest"] == digest else None
    files = coverage["files"] if coverage is not None else []
    return {line for file in files if file["file"] == path for line in file["missing"]}


async def _detail(visit: Visit) -> Answer:
    return await visit.ask(f"/admin/v1/revisions/{visit.path['number']}")


def _number(text: str, most: int) -> int:
    """A line to begin at; 1 for anything that is none."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004  # no text of ours is longer
        return 1
    return min(max(int(text), 1), max(most, 1))


PAGES: Final = (
    Page("policies", policies, title=N_("Revisions"), group="policy"),
    Page("policies/{number}", revision),
    Page("policies/{number}/check/{job}/cancel", cancel, CHECKERS, method="POST"),
    Page("policies/{number}/diff", difference),
    Page("policies/{number}/files", files),
)
