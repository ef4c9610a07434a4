"""Which of two verdicts is nearer to an allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pdp.model.decision import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.bundle.annotations import Reason

Effect = Literal["eases", "hardens", "alters"]

_RANK: Final[Mapping[Outcome, int]] = {Outcome.DENY: 0, Outcome.STEP_UP: 1, Outcome.LIMIT: 2, Outcome.ALLOW: 3}


def effect(before: Verdict, after: Verdict, reasons: Mapping[str, Reason]) -> Effect | None:
    """What the step from one verdict to the other means for the person; None where nothing changed.

    Of two denies the one of a later group is nearer to an allow: everything before it was passed. Of two
    step-ups the one that asks for less is, and of two answers of one kind the one with fewer causes.
    """
    if _answer(before) == _answer(after):
        return None
    was, now = _standing(before, reasons), _standing(after, reasons)
    if was != now:
        return "eases" if now > was else "hardens"
    lost, won = set(before.reasons) - set(after.reasons), set(after.reasons) - set(before.reasons)
    if before.permits or (lost and won):
        return "alters"
    return "eases" if lost else "hardens"


def _answer(verdict: Verdict) -> tuple[object, ...]:
    return verdict.outcome, verdict.reasons, verdict.required_auth_level


def _standing(verdict: Verdict, reasons: Mapping[str, Reason]) -> tuple[int, int, int]:
    """Higher is nearer to an allow: the outcome, then the group that denies, then the level that is asked for."""
    group = 0
    if verdict.outcome is Outcome.DENY:
        reason = reasons.get(verdict.reasons[0]) if verdict.reasons else None
        group = int(reason.group) if reason is not None and reason.group.isdecimal() else 0
    return _RANK[verdict.outcome], group, -(verdict.required_auth_level or 0)
