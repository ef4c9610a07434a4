"""The life of a revision as one table: which step leads from which state to which. Pure.

    draft -> checked -> in_review -> approved -> scheduled -> active -> retired
                            |            |           |                    |
                            +-> draft <--+-----------+      active <------+  (roll-back)

Whatever is not in the table is refused, and the refusal names what may be done instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from pdp.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["draft", "checked", "in_review", "approved", "scheduled", "active", "retired", "discarded"]
"""`retired`: it was active once, and can be again. `discarded`: it never was, and never will be."""

Step = Literal[
    "create",
    "edit",
    "pass",  # every gate let it through
    "fail",  # one did not
    "submit",
    "withdraw",
    "approve",
    "reject",
    "endorse",  # one of the two further persons of an emergency; the second one's leads to `approved`
    "schedule",
    "unschedule",
    "activate",
    "rollback",
    "renew",  # the same revision under a new epoch
    "retire",  # another revision has become active
    "discard",
]

STATES: Final[tuple[State, ...]] = get_args(State)
STEPS: Final[tuple[Step, ...]] = get_args(Step)

TRANSITIONS: Final[Mapping[Step, Mapping[State, State]]] = {
    "create": {},  # from nothing, to `draft`
    "edit": {"draft": "draft", "checked": "draft"},
    "pass": {"draft": "checked", "checked": "checked"},
    "fail": {"draft": "draft", "checked": "draft"},
    "submit": {"checked": "in_review"},
    "withdraw": {"in_review": "draft", "approved": "draft"},
    "approve": {"in_review": "approved"},
    "reject": {"in_review": "draft", "approved": "draft", "scheduled": "draft"},
    "endorse": {"draft": "approved", "checked": "approved", "in_review": "approved"},
    "schedule": {"approved": "scheduled", "scheduled": "scheduled"},
    "unschedule": {"scheduled": "approved"},
    "activate": {"approved": "active", "scheduled": "active"},
    "rollback": {"retired": "active"},
    "renew": {"active": "active"},
    "retire": {"active": "retired"},
    "discard": {"draft": "discarded", "checked": "discarded", "in_review": "discarded", "approved": "discarded"},
}

_NEXT: Final[Mapping[State, str]] = {
    "draft": "check it (`pdp bundle submit` does so first), or edit it",
    "checked": "submit it for review, or edit it",
    "in_review": "a second person approves or rejects it; its author may withdraw it",
    "approved": "activate it, or schedule it",
    "scheduled": "wait for its time, activate it now, or take it off the schedule",
    "active": "nothing: it decides now; activate another revision, or roll back to an earlier one",
    "retired": "roll back to it, or make a new draft of it",
    "discarded": "make a new draft of it",
}


def after(state: State, step: Step) -> State:
    """The state that the step leads to. Raises ConflictError, with what may be done, where it leads nowhere."""
    found = TRANSITIONS[step].get(state)
    if found is None:
        raise ConflictError(f"a revision that is {state} does not take the step `{step}`", next_step=_NEXT[state])
    return found


def steps_from(state: State) -> tuple[Step, ...]:
    """What may happen next, in the order of `STEPS`."""
    return tuple(step for step in STEPS if state in TRANSITIONS[step])
