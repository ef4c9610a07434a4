"""The life of a revision, as the table says it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pdp.errors import ConflictError, NotPermittedError
from pdp.revisions.person import MAY, ROLES, People, Person
from pdp.revisions.states import STATES, STEPS, TRANSITIONS, State, Step, after, steps_from

THE_LONG_WAY: list[tuple[Step, State]] = [
    ("pass", "checked"),
    ("submit", "in_review"),
    ("approve", "approved"),
    ("schedule", "scheduled"),
    ("activate", "active"),
    ("retire", "retired"),
    ("rollback", "active"),
]


def test_a_revision_goes_from_draft_to_retired_and_back() -> None:
    state: State = "draft"
    for step, reached in THE_LONG_WAY:
        state = after(state, step)
        assert state == reached


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("state", STATES)
def test_whatever_is_not_in_the_table_is_refused_with_a_next_step(state: State, step: Step) -> None:
    if state in TRANSITIONS[step]:
        assert step in steps_from(state)
        return
    with pytest.raises(ConflictError) as refused:
        after(state, step)
    assert state in refused.value.message
    assert refused.value.next_step
    assert step not in steps_from(state)


@given(some.lists(some.sampled_from(STEPS), max_size=12))
def test_nothing_becomes_active_that_was_not_approved(steps: list[Step]) -> None:
    state: State = "draft"
    approved = False
    for step in steps:
        if state not in TRANSITIONS[step]:
            continue
        state = after(state, step)
        if step in ("approve", "endorse"):
            approved = True
        elif state in ("draft", "discarded"):
            approved = False
        assert state not in ("active", "scheduled", "retired") or approved


@given(some.lists(some.sampled_from(STEPS), max_size=10))
def test_what_was_discarded_stays_so(steps: list[Step]) -> None:
    for step in steps:
        assert "discarded" not in TRANSITIONS[step]


@pytest.mark.parametrize("role", sorted(ROLES))
@pytest.mark.parametrize("deed", sorted(MAY))
def test_a_person_may_do_what_one_of_their_roles_may_and_nothing_else(deed: Step, role: str) -> None:
    somebody = Person("caller:x", frozenset({role}))  # type: ignore[arg-type]
    if role in MAY[deed]:
        somebody.require(deed)
    else:
        with pytest.raises(NotPermittedError):
            somebody.require(deed)


def test_nobody_both_writes_and_approves_by_one_role_and_administrators_do_neither() -> None:
    assert not MAY["create"] & MAY["approve"]
    assert not MAY["edit"] & MAY["endorse"]
    for deed in ("create", "edit", "submit", "approve", "endorse", "activate", "schedule", "rollback", "grant"):
        assert "administrator" not in MAY[deed]  # type: ignore[index]
    assert "auditor" not in set().union(*(MAY[step] for step in STEPS))


def test_the_names_of_one_person_are_found_however_they_are_written_and_chained() -> None:
    people = People({"tanaka": ["caller:tanaka-key", "os_user:tanaka"], "user:u-0001": ["os_user:Tanaka"]})
    assert people.same("caller:tanaka-key", "user:u-0001")
    assert people.same("CALLER:TANAKA-KEY ", "ｏｓ_user:tanaka")
    assert not people.same("caller:tanaka-key", "caller:sato")
    assert people.count(["tanaka", "user:u-0001", "caller:sato", "Caller:Sato"]) == 2
    assert people.among("user:u-0001", ["caller:sato", "os_user:tanaka"])
    assert not people.among("user:u-0001", [])
