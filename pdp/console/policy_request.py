"""One request that nobody made, under a revision: any fact changed, all that is not met, and what would permit it.

The base is an example, a person and a terminal of the directory, or the document of a recorded decision, each as far as
the API shows it to this person.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pdp.console.foresight import FORESEERS
from pdp.console.foresight_words import ForesightWords
from pdp.console.pages import Page
from pdp.console.policy_words import PolicyWords
from pdp.explain.fact_table import FACTS, GROUPS, closed_values, kind_of_fact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

_ASKERS: Final[frozenset[Role]] = FORESEERS | {"auditor", "administrator"}
_BASE: Final = ("example", "user", "device", "resource", "context", "decision")
_MOST_TEXT: Final = 200  # characters of one value


async def show(visit: Visit) -> Response:
    """The form; with a base in the address, judged at once."""
    given = {name: visit.one(name) for name in _BASE}
    body, refused = await _body(visit, given)
    return await _page(visit, given, body, refused)


async def judge(visit: Visit) -> Response:
    given = {name: visit.field(name) for name in _BASE}
    try:
        document = json.loads(visit.field("document") or "null")
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and not visit.field("anew"):
        return await _page(visit, given, {"document": document, "facts": _facts(visit, document)})
    body, refused = await _body(visit, given)
    return await _page(visit, given, body, refused)


async def _body(visit: Visit, given: Mapping[str, str]) -> tuple[dict[str, Any] | None, Answer | None]:
    """What the API is asked, or None, and why not."""
    if given["decision"]:
        found = await visit.ask(f"/audit/v1/decisions/{given['decision']}")
        if not found.ok:
            return None, found
        record = found.data.get("record") or {}
        return ({"document": record["input"]} if isinstance(record.get("input"), dict) else None), None
    if given["example"].isdecimal() and len(given["example"]) < 4:  # noqa: PLR2004  # there are some twenty
        return {"example": int(given["example"])}, None
    if given["resource"]:
        return {name: given[name] for name in ("user", "device", "resource", "context") if given[name]}, None
    return None, None


async def _page(
    visit: Visit, given: Mapping[str, str], body: dict[str, Any] | None, refused: Answer | None = None
) -> Response:
    path = f"/admin/v1/revisions/{visit.path['number']}"
    revision, choices = await visit.ask(path), await visit.ask("/admin/v1/foresight/choices")
    bad = next((answer for answer in (revision, choices) if not answer.ok), None)
    if bad is not None:
        return visit.page("problem.html", status=bad.status, answer=bad)
    told = None if body is None else await visit.send("POST", f"{path}/request", body)
    words = await visit.words()
    judged = told.data if told is not None and told.ok else None
    refused = told if told is not None and not told.ok else refused
    return visit.page(
        "policy_request.html",
        status=200 if refused is None else refused.status,
        revision=revision.data,
        given=given,
        choices=choices.data,
        resources=words.resources(),
        hidden=bool(given["decision"]) and body is None and refused is None,
        judged=judged,
        document="" if judged is None else json.dumps(judged["document"], ensure_ascii=False),
        groups=[] if judged is None else _groups(visit, judged["facts"]),
        refused=refused,
        policy=PolicyWords(visit.lang),
        foreseen=ForesightWords(visit.lang, choices.data["contexts"]),
    )


def _groups(visit: Visit, facts: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(heading, facts with the text of their value and what else may be chosen)."""
    found = []
    for group, heading in GROUPS.items():
        rows = [_row(fact) for fact in facts if fact["group"] == group]
        found.append((str(getattr(heading, visit.lang)), rows))
    return found


def _row(fact: dict[str, Any]) -> dict[str, Any]:
    value, choices = fact["value"], [] if fact["kind"] == "list" else fact["choices"]
    options = [(json.dumps(one, ensure_ascii=False), one) for one in [value, *choices]]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return {**fact, "options": options, "text": text}


def _facts(visit: Visit, document: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says otherwise than the document."""
    changed = {}
    for fact in FACTS:
        if f"f:{fact.path}" not in visit.form:
            continue
        value = _read(fact.path, visit.field(f"f:{fact.path}")[:_MOST_TEXT])
        if value != _held(document, fact.path):
            changed[fact.path] = value
    return changed


def _read(path: str, text: str) -> Any:
    """A value as the form writes it; the API says where it is none."""
    kind = kind_of_fact(path)
    if kind == "list":
        return [part.strip() for part in text.replace("、", ",").split(",") if part.strip()]
    if len(closed_values(path)) > 1:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return int(text) if kind == "number" and text.isascii() and text.isdecimal() else text


def _held(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


PAGES: Final = (
    Page("policies/{number}/request", show, _ASKERS),
    Page("policies/{number}/request", judge, _ASKERS, method="POST"),
)
