from __future__ import annotations

from datetime import timedelta

import pytest

from pdp.errors import BadRequestError
from pdp.sources import register
from pdp.sources.approval import approve, forget, reject, waiting
from pdp.sources.runner import enrol_all
from pdp.store.store import Store
from tests.unit.sources.simulated import NOW, settings


@pytest.fixture
def enrolled(store: Store) -> Store:
    enrol_all(store, [(settings(), "posture")], NOW)
    return store


@pytest.mark.parametrize("name", ["mdm", "nobody"])
def test_there_is_nothing_to_say_where_nothing_waits(enrolled: Store, name: str) -> None:
    for say in (approve, reject):
        with pytest.raises(BadRequestError):
            say(enrolled, name, by="operator", now=NOW)
    with pytest.raises(BadRequestError):
        waiting(enrolled, name)


def pending(store: Store, digest: str = "d" * 64) -> None:
    plan = b'{"gone":30,"disabled":0,"of":60,"samples":["d-0"],"at":"2023-08-01T01:00:00Z"}'
    with store.write() as connection:
        register.write(connection, "mdm", {"plan": plan.decode(), "plan_digest": digest, "plan_state": "pending"})


def test_an_answer_is_to_the_plan_that_was_shown(enrolled: Store) -> None:
    pending(enrolled)
    _, digest, state = waiting(enrolled, "mdm")
    assert state == "pending"
    pending(enrolled, "e" * 64)
    with pytest.raises(BadRequestError, match="no longer"):
        approve(enrolled, "mdm", by="operator", now=NOW, digest=digest)
    assert waiting(enrolled, "mdm")[2] == "pending"


def test_a_rejection_may_be_taken_back_and_an_approval_may_not_be_given_twice(enrolled: Store) -> None:
    pending(enrolled)
    assert reject(enrolled, "mdm", by="operator", now=NOW).gone == 30
    assert approve(enrolled, "mdm", by="operator", now=NOW).gone == 30
    with enrolled.read() as connection:
        row = register.read_row(connection, "mdm")
    assert row is not None
    assert (row.plan_state, row.plan_by) == ("approved", "operator")
    assert row.approves("d" * 64, NOW)
    assert not row.approves("e" * 64, NOW)
    assert not row.approves("d" * 64, NOW + register.APPROVAL)
    with pytest.raises(BadRequestError):
        approve(enrolled, "mdm", by="operator", now=NOW)


def test_a_source_that_is_being_run_is_not_forgotten(enrolled: Store) -> None:
    with enrolled.write() as connection:
        assert register.claim(connection, "mdm", "runner-1", NOW)
    with pytest.raises(BadRequestError, match="being run"):
        forget(enrolled, "mdm", NOW)
    assert forget(enrolled, "mdm", NOW + register.LEASE) == 0
    with pytest.raises(BadRequestError):
        forget(enrolled, "mdm", NOW + timedelta(hours=1))


def test_a_lease_is_one_processes_until_it_ends(enrolled: Store) -> None:
    with enrolled.write() as connection:
        assert register.claim(connection, "mdm", "runner-1", NOW)
        assert register.claim(connection, "mdm", "runner-1", NOW)
        assert not register.claim(connection, "mdm", "runner-2", NOW + register.LEASE / 2)
        register.release(connection, "mdm", "runner-2")  # not its own to give back
        assert not register.claim(connection, "mdm", "runner-2", NOW + register.LEASE / 2)
        assert register.claim(connection, "mdm", "runner-2", NOW + register.LEASE)
        register.release(connection, "mdm", "runner-2")
        assert register.claim(connection, "mdm", "runner-3", NOW)
        assert not register.claim(connection, "nobody", "runner-3", NOW)
