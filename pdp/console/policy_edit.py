"""The policy editor: one draft's files in a form, with what is wrong at its place, its tests, and a save with a reason.

The form works without a script: it holds the file that is shown, and hidden, whatever else was changed and is not saved
yet. The script (`tools/editor`) puts an editor in its place and sends the same form.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

from pdp.console.pages import Page
from pdp.console.policy_words import PolicyWords
from pdp.console.reading_order import first_file, reading_order
from pdp.console.refusals.telling import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

MOST: Final = 4 * 1024 * 1024  # bytes of the form: a letter of Japanese takes nine of them
TESTS_S: Final = 150.0  # the API's own bound is below
_AUTHORS: Final[frozenset[Role]] = frozenset({"author"})
_NOT_THERE: Final = 404
_MAX_PATH: Final = 200


@dataclass(frozen=True)
class Desk:
    """One draft as its author sees it. `changes`: what is not saved yet; None: a file that is to go.

    `seen`: the digest of the contents that the changes were made from.
    """

    revision: Mapping[str, Any]
    texts: Mapping[str, str]
    shown: str
    seen: str
    changes: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        return reading_order(self.texts, (*self.changes, self.shown))

    @property
    def text(self) -> str:
        """Of the shown file: as it was written, or as it is kept."""
        return self.changes.get(self.shown) or self.texts.get(self.shown, "")

    def look(self, path: str) -> str:
        """`gone`, `changed` or nothing."""
        return ("gone" if self.changes[path] is None else "changed") if path in self.changes else ""


async def show(visit: Visit) -> Response:
    desk = await _desk(visit, visit.one("file")[:_MAX_PATH], seen="", written={}, gone=())
    if isinstance(desk, Response):
        return desk
    return await _page(visit, desk, done=visit.one("done"), line=visit.one("line"))


async def send(visit: Visit) -> Response:
    """Checks, tries or saves what the form holds, and shows it again with what was found."""
    desk = await _written(visit)
    if isinstance(desk, Response):
        return desk
    match visit.field("do"):
        case "save":
            return await _save(visit, desk)
        case "tests":
            report = await visit.send("POST", "/admin/v1/policy/tests", _trial(desk), deadline_s=TESTS_S)
            if report.ok:
                return await _page(visit, desk, report=report)
            # What is wrong, each at its place.
            checked = await visit.send("POST", "/admin/v1/policy/check", _trial(desk))
            return await _page(visit, desk, report=report, checked=checked)
        case _:
            return await _page(visit, desk, checked=await visit.send("POST", "/admin/v1/policy/check", _trial(desk)))


async def faults(visit: Visit) -> Response:
    """What is wrong with what the form holds, for the script: the API's answer as it is."""
    desk = await _written(visit)
    if isinstance(desk, Response):
        return desk
    answer = await visit.send("POST", "/admin/v1/policy/check", _trial(desk))
    body = answer.data if answer.ok else {"detail": told(visit.lang, answer.problem.get("detail") or "").said}
    return Response(
        msgspec.json.encode(body), answer.status, headers={"cache-control": "no-store"}, media_type="application/json"
    )


async def source(visit: Visit) -> Response:
    """One file as it is kept; and, for the script, whether there is a session still, with its token."""
    contents = await visit.ask(f"/admin/v1/revisions/{visit.path['number']}/files")
    texts = contents.data["files"] if contents.ok else {}
    path = visit.one("file")
    known = path in texts
    return visit.house.view.plain(texts[path] if known else "", visit, 200 if known else _NOT_THERE)


async def _written(visit: Visit) -> Desk | Response:
    """What the form holds, over what is kept. A browser sends every line's end as CR and LF."""
    pairs = zip(visit.form.get("path", ()), visit.form.get("text", ()), strict=False)
    written = {path: text.replace("\r\n", "\n") for path, text in pairs}
    shown = visit.field("shown")[:_MAX_PATH]
    gone = [*visit.form.get("gone", ()), *([shown] if visit.field("taken") else [])]
    return await _desk(visit, shown, seen=visit.field("seen"), written=written, gone=gone)


async def _desk(
    visit: Visit, shown: str, *, seen: str, written: Mapping[str, str], gone: Sequence[str]
) -> Desk | Response:
    """The page that says why, where there is no such draft, or it is not to be edited."""
    path = f"/admin/v1/revisions/{visit.path['number']}"
    answer, contents = await visit.ask(path), await visit.ask(f"{path}/files")
    if not answer.ok or not contents.ok:
        bad = contents if answer.ok else answer
        return visit.page("problem.html", status=bad.status, answer=bad)
    texts: dict[str, str] = contents.data["files"]
    if "edit" not in answer.data["may"]:
        return visit.page("policy_closed.html", revision=answer.data, policy=PolicyWords(visit.lang))
    changes: dict[str, str | None] = {name: text for name, text in written.items() if texts.get(name) != text}
    changes |= {name: None for name in gone if name in texts}
    changes = {name: text for name, text in changes.items() if name not in gone or name in texts}
    return Desk(answer.data, texts, shown or first_file(texts), seen or contents.data["source_digest"], changes)


def _trial(desk: Desk) -> dict[str, Any]:
    return {"base": desk.revision["number"], "files": dict(desk.changes)}


async def _save(visit: Visit, desk: Desk) -> Response:
    files = {name: text for name, text in {**desk.texts, **desk.changes}.items() if text is not None}
    number = desk.revision["number"]
    body = {"reason": visit.field("reason"), "source_digest": desk.seen, "files": files}
    saved = await visit.send("PUT", f"/admin/v1/revisions/{number}/files", body)
    if not saved.ok:
        return await _page(visit, desk, refused=saved)
    shown = desk.shown if desk.shown in files else ""
    return visit.go(f"/console/policies/{number}/edit", file=shown, done="save")


async def _page(  # noqa: PLR0913  # what may have happened before it
    visit: Visit,
    desk: Desk,
    *,
    checked: Answer | None = None,
    report: Answer | None = None,
    refused: Answer | None = None,
    done: str = "",
    line: str = "",
) -> Response:
    number = desk.revision["number"]
    vocabulary = await visit.ask("/admin/v1/policy/vocabulary", revision=str(number))
    if not vocabulary.ok:  # the draft's own list of capabilities cannot be read: what counts without one
        vocabulary = await visit.ask("/admin/v1/policy/vocabulary")
    untried = report is not None and not report.ok and bool(checked and checked.ok and not checked.data["ok"])
    asked = (refused, checked, None if untried else report)
    bad = next((answer for answer in asked if answer is not None and not answer.ok), None)
    return visit.page(
        "policy_edit.html",
        status=200 if bad is None else bad.status,
        nonce=secrets.token_urlsafe(16),
        revision=desk.revision,
        desk=desk,
        faults=checked.data["faults"] if checked is not None and checked.ok else [],
        checked=checked,
        report=report,
        bad=bad,
        untried=untried,
        done=done,
        line=line if line.isascii() and line.isdigit() else "",
        reason=visit.field("reason"),
        vocabulary=vocabulary.data if vocabulary.ok else {"facts": [], "builtins": []},
        policy=PolicyWords(visit.lang),
    )


PAGES: Final = (
    Page("policies/{number}/edit", show, _AUTHORS),
    Page("policies/{number}/edit", send, _AUTHORS, method="POST", most=MOST),
    Page("policies/{number}/faults", faults, _AUTHORS, method="POST", most=MOST),
    Page("policies/{number}/source", source),
)
