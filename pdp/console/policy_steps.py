"""The steps of a revision as forms: what it does is said, a reason is asked for, and the API takes it or refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.console.pages import Page, Step
from pdp.console.policy_words import PolicyWords
from pdp.console.words import N_
from pdp.console.written import in_japan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response

    from pdp.console.inner import Answer
    from pdp.console.visit import Visit
    from pdp.model.console import Role

_NO_PAGE: Final = 404
# Who may take any step at all; which of them, the API says for each revision.
_STEPPERS: Final[frozenset[Role]] = frozenset({"author", "approver", "operator", "administrator"})
_SEEN: Final = frozenset({"approve", "endorse"})  # steps that count for the contents that were looked at


STEPS: Final[Mapping[str, Step]] = {
    step.word: step
    for step in (
        Step("check", N_("Check"), N_("Every gate judges the files as they are now. This may take a minute.")),
        Step("submit", N_("Ask for approval"), N_("Approvers see it as waiting. Who wrote it cannot approve it.")),
        Step("approve", N_("Approve"), N_("It may then be activated. The approval counts for these very contents.")),
        Step("reject", N_("Send back"), N_("It becomes a draft again; approvals that it has count no longer.")),
        Step("activate", N_("Activate now"), N_("It decides from now on, on every worker within a second."),
             grave=True),
        Step("schedule", N_("Schedule"), N_("It decides from that time on, by itself.")),
        Step("unschedule", N_("Take off the schedule"), N_("It stays approved, and is not activated by itself.")),
        Step("rollback", N_("Roll back to this"), N_("It decides again from now on, on every worker within a second."),
             grave=True),
        Step("withdraw", N_("Take back"), N_("It becomes a draft again; approvals that it has count no longer.")),
        Step("endorse", N_("Endorse as an emergency"),
             N_("When two persons who wrote none of it have endorsed it, it may be activated although a test failed. "
                "A review is due afterwards."), grave=True),
        Step("discard", N_("Discard"), N_("It is given up for good, and stays in the history."), grave=True),
    )
}  # fmt: skip

# By the step of the API; `pass` is what a check leads to.
OFFERED: Final[Mapping[str, Step]] = {"pass": STEPS["check"], **{w: s for w, s in STEPS.items() if w != "check"}}


async def ask(visit: Visit) -> Response:
    """The form, before anything is done."""
    step = STEPS.get(visit.path["step"])
    if step is None:
        return visit.page("problem.html", status=_NO_PAGE, answer=None)
    return await _form(visit, step, seen=visit.one("seen"))


async def take(visit: Visit) -> Response:
    """Does it, and shows the revision; or the form again, with what the API says against it."""
    step = STEPS.get(visit.path["step"])
    if step is None:
        return visit.page("problem.html", status=_NO_PAGE, answer=None)
    number = visit.path["number"]
    # The gates take some seconds to minutes: the revision's page shows how far they are.
    what = "jobs" if step.word == "check" else step.word
    done = await visit.send("POST", f"/admin/v1/revisions/{number}/{what}", _body(visit, step))
    if done.ok:
        return visit.go(f"/console/policies/{done.data['number']}", done=step.word)
    return await _form(visit, step, seen=visit.field("seen"), refused=done)


async def _form(visit: Visit, step: Step, *, seen: str, refused: Answer | None = None) -> Response:
    answer = await visit.ask(f"/admin/v1/revisions/{visit.path['number']}")
    if not answer.ok:
        return visit.page("problem.html", status=answer.status, answer=answer)
    revision = answer.data
    # A time of warning lets the former revision's permissions go on: a first one cannot have it.
    policy = await visit.ask("/admin/v1/policy") if step.word == "submit" and revision["profile"] == "zta" else None
    return visit.page(
        "policy_step.html",
        status=200 if refused is None else refused.status,
        revision=revision,
        step=step,
        warns=policy is not None and policy.ok and policy.data["active"] is not None,
        may=step in [OFFERED.get(word) for word in revision["may"]],
        seen=seen or revision["source_digest"],
        refused=refused,
        given={name: visit.field(name) for name in ("reason", "at", "warn_days")},
        policy=PolicyWords(visit.lang),
    )


def _body(visit: Visit, step: Step) -> dict[str, Any]:
    if step.word == "check":
        return {"kind": "check"}
    body = {"reason": visit.field("reason")}
    if step.word in _SEEN:
        body["source_digest"] = visit.field("seen")
    if step.word == "schedule":
        body["at"] = in_japan(visit.field("at"))
    if step.word == "submit" and visit.field("warn_days"):
        body["warn_days"] = visit.field("warn_days")
    return body


PAGES: Final = (
    Page("policies/{number}/steps/{step}", ask, _STEPPERS),
    Page("policies/{number}/steps/{step}", take, _STEPPERS, method="POST"),
)
