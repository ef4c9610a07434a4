"""A new draft, made from a revision, or from the configured policy where there is none yet; then it is edited."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from pdp.console.pages import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

_AUTHORS: Final[frozenset[Role]] = frozenset({"author"})
_MANIFEST: Final = ".manifest"
_NAMED: Final = re.compile(r'("revision"\s*:\s*)"(?P<name>[^"\\]*)"')
_PLAIN: Final = re.compile(r"[^\x00-\x1f\"\\]{1,128}")
_BAD: Final = 400


async def form(visit: Visit) -> Response:
    return await _form(visit, visit.one("parent"))


async def make(visit: Visit) -> Response:
    """Makes it and opens it; or the form again, with what the API says against it."""
    parent, name = visit.field("parent"), visit.field("name")
    body: dict[str, Any] = {"reason": visit.field("reason")}
    if name and not _PLAIN.fullmatch(name):
        return await _form(visit, parent, misnamed=True)
    contents = await visit.ask("/admin/v1/policy/files", revision=parent)
    if not contents.ok:
        return await _form(visit, parent, refused=contents)
    files = dict(contents.data["files"])
    if name and _MANIFEST in files:
        files[_MANIFEST] = _NAMED.sub(lambda found: f'{found[1]}"{name}"', files[_MANIFEST], count=1)
    body |= {"files": files} | ({"parent": contents.data["number"]} if contents.data["number"] else {})
    made = await visit.send("POST", "/admin/v1/revisions", body)
    if not made.ok:
        return await _form(visit, parent, refused=made)
    return visit.go(f"/console/policies/{made.data['number']}/edit")


async def _form(visit: Visit, parent: str, *, refused: Answer | None = None, misnamed: bool = False) -> Response:
    """`parent` empty: the revision of record, or else the configured policy."""
    contents = await visit.ask("/admin/v1/policy/files", revision=parent)
    if not contents.ok:
        return visit.page("problem.html", status=contents.status, answer=contents)
    found = _NAMED.search(contents.data["files"].get(_MANIFEST, ""))
    named = "" if found is None else found["name"]
    return visit.page(
        "policy_new.html",
        status=_BAD if misnamed else 200 if refused is None else refused.status,
        parent=parent,
        number=contents.data["number"],
        named=named,
        name=visit.field("name"),  # never proposed: two revisions of one name are told apart by nobody
        reason=visit.field("reason"),
        refused=refused,
        misnamed=misnamed,
    )


PAGES: Final = (
    Page("policies/new", form, _AUTHORS),
    Page("policies/new", make, _AUTHORS, method="POST"),
)
