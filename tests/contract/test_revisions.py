"""Revisions of policies in the control database: SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, text, update

from pdp.directory.changes import change
from pdp.directory.snapshot import load_snapshot
from pdp.errors import BadRequestError, ConflictError, NotFoundError, NotPermittedError
from pdp.jobs.job import Progress
from pdp.jobs.register import JobRegister
from pdp.model.directory import Device, Post, User
from pdp.revisions.activation_rows import MAX_EPOCH
from pdp.revisions.activations import FIRE_AGAIN, Activations
from pdp.revisions.exceptions import Exceptions, Scope
from pdp.revisions.instances import Instances, Reviews
from pdp.revisions.person import People, Person
from pdp.revisions.register import Revisions
from pdp.revisions.results import KEPT as RESULTS_KEPT
from pdp.revisions.results import Finding, Results
from pdp.revisions.revision import GateResult, Instance, Revision
from pdp.revisions.sealing import MAX_JUMP, Sealing, Signed, unsealed
from pdp.revisions.statement import read_keys, read_signing_key, write_signatures
from pdp.revisions.warning import warn_in
from pdp.store import tables
from pdp.store.store import open_store
from tests.contract.stores import postgres_databases, sqlite_databases
from tests.postgres_server import postgres_server
from tests.revision_files import (
    APPROVER,
    AUDITOR,
    AUTHOR,
    EVERYTHING,
    FINE,
    NOW,
    OPERATOR,
    OTHER_APPROVER,
    WHY,
    after,
    key_pair,
    person,
    policy,
    zta_policy,
)

if TYPE_CHECKING:
    from pdp.store.store import Store
    from tests.contract.stores import Databases


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    else:
        with postgres_server() as server:
            yield postgres_databases(server)


class House:
    def __init__(self, store: Store, people: People, sealing: Sealing) -> None:
        self.store = store
        self.revisions = Revisions(store, people, sealing, warn_max_days=31)
        self.activations = Activations(store, people, sealing, warn_max_days=31)
        self.instances = Instances(store)
        self.reviews = Reviews(store, people)

    def draft(self, name: str = "2026.4", author: Person = AUTHOR, **policies: Any) -> Revision:
        return self.revisions.create(author, policy(name, **policies), WHY, NOW)

    def checked(self, name: str = "2026.4", author: Person = AUTHOR, **policies: Any) -> Revision:
        made = self.draft(name, author, **policies)
        return self.revisions.keep_gates(author, made.number, made.source_digest, FINE, NOW)

    def in_review(self, name: str = "2026.4", author: Person = AUTHOR, **policies: Any) -> Revision:
        return self.revisions.submit(author, self.checked(name, author, **policies).number, WHY, NOW)

    def approved(self, name: str = "2026.4", **policies: Any) -> Revision:
        return self.revisions.approve(APPROVER, self.in_review(name, **policies).number, WHY, NOW)

    def active(self, name: str = "2026.4", **policies: Any) -> Revision:
        number = self.approved(name, **policies).number
        self.activations.activate(OPERATOR, number, WHY, NOW)
        return self.now(number)

    def now(self, number: int) -> Revision:
        return self.revisions.detail(number).revision


@pytest.fixture
def store(databases: Databases) -> Iterator[Store]:
    store = open_store(databases.migrated())
    yield store
    store.close()


@pytest.fixture
def house(store: Store) -> House:
    return House(store, People(), Sealing())


def test_a_revision_lives_from_draft_to_retired_with_its_whole_history(house: House) -> None:
    first, second = house.active("2026.4"), house.active("2026.5", allow=False)
    found = house.revisions.detail(first.number)
    assert found.revision.state == "retired"
    assert [entry.step for entry in found.history] == ["create", "pass", "submit", "approve", "activate", "retire"]
    assert [entry.after for entry in found.history] == [
        "draft",
        "checked",
        "in_review",
        "approved",
        "active",
        "retired",
    ]
    assert found.history[-1].details == {"replaced_by": second.number, "epoch": 2}
    assert found.approvals[0].digest == first.digest
    assert [gate.result for gate in found.gates] == ["passed", "passed"]
    current = house.activations.current()
    assert current is not None
    assert (current.epoch, current.number, current.digest) == (2, second.number, second.digest)
    assert [one.epoch for one in house.activations.past()] == [2, 1]
    assert [one.number for one in house.revisions.all()] == [second.number, first.number]
    assert [one.number for one in house.revisions.all(["active"])] == [second.number]
    assert house.revisions.all(before=first.number) == ()
    assert house.revisions.files(first.number)[1] == policy("2026.4")


def test_what_was_taken_as_of_record_comes_with_the_text_that_its_digest_names(house: House) -> None:
    made = house.active()
    found = house.activations.current_text(0)
    assert found is not None
    active, body = found
    assert (active.digest, active.number) == (made.digest, made.number)
    from hashlib import sha256

    assert sha256(body).hexdigest() == made.digest
    assert house.activations.current_text(active.epoch) is None


def test_nobody_approves_what_they_wrote_whatever_roles_they_have(house: House) -> None:
    made = house.in_review(author=EVERYTHING)
    with pytest.raises(NotPermittedError):
        house.revisions.approve(EVERYTHING, made.number, WHY, NOW)
    assert house.now(made.number).state == "in_review"
    assert house.revisions.approve(APPROVER, made.number, WHY, NOW).state == "approved"


def test_nobody_approves_what_they_wrote_under_another_name(store: Store) -> None:
    people = People({"sato": ["caller:sato", "os_user:sato", "user:u-0042"]})
    house = House(store, people, Sealing())
    made = house.in_review()
    for name in ("os_user:sato", "user:u-0042", "USER:U-0042", "sato"):
        with pytest.raises(NotPermittedError):
            house.revisions.approve(person(name, "approver"), made.number, WHY, NOW)


def test_whoever_edited_a_draft_of_somebody_else_does_not_approve_it(house: House) -> None:
    made = house.draft()
    helper = person("caller:helper", "author", "approver")
    edited = house.revisions.edit(
        helper, made.number, policy("2026.4", allow=False), WHY, NOW, source_digest=made.source_digest
    )
    house.revisions.keep_gates(AUTHOR, made.number, edited.source_digest, FINE, NOW)
    house.revisions.submit(AUTHOR, made.number, WHY, NOW)
    with pytest.raises(NotPermittedError):
        house.revisions.approve(helper, made.number, WHY, NOW)
    assert house.revisions.detail(made.number).authors == {AUTHOR.id, helper.id}


def test_an_approval_counts_for_the_contents_that_it_was_given_for(house: House) -> None:
    made = house.in_review()
    house.revisions.withdraw(AUTHOR, made.number, WHY, NOW)
    edited = house.revisions.edit(
        AUTHOR, made.number, policy("2026.4", allow=False), WHY, NOW, source_digest=made.source_digest
    )
    house.revisions.keep_gates(AUTHOR, made.number, edited.source_digest, FINE, NOW)
    house.revisions.submit(AUTHOR, made.number, WHY, NOW)
    with pytest.raises(ConflictError):
        house.revisions.approve(APPROVER, made.number, WHY, NOW, source_digest=made.source_digest)
    house.revisions.approve(APPROVER, made.number, WHY, NOW, source_digest=edited.source_digest)


def test_an_approval_is_looked_at_again_at_the_activation(house: House) -> None:
    """Attack: somebody with the database sets the state, or the contents, of a revision by hand."""
    made = house.in_review()
    with house.store.write() as connection:
        connection.execute(update(tables.policy_revisions).values(state="approved"))
    with pytest.raises(ConflictError, match="approvals"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW)
    good, other = house.approved("good"), house.draft("other", allow=False)
    with house.store.write() as connection:
        connection.execute(
            update(tables.policy_revisions)
            .where(tables.policy_revisions.c.number == good.number)
            .values(digest=other.digest)
        )
    with pytest.raises(ConflictError, match="approvals"):
        house.activations.activate(OPERATOR, good.number, WHY, NOW)


def test_an_emergency_needs_two_further_persons_and_leaves_a_review_behind(house: House) -> None:
    made = house.draft()
    number = made.number
    with pytest.raises(ConflictError):
        house.revisions.endorse(APPROVER, number, WHY, NOW)  # nobody has shown that it loads
    results = (GateResult("bundle", "passed"), GateResult("tests", "failed", "0 passed, 3 failed"))
    assert house.revisions.keep_gates(AUTHOR, number, made.source_digest, results, NOW).state == "draft"
    assert house.revisions.endorse(APPROVER, number, WHY, NOW).state == "draft"
    with pytest.raises(ConflictError):
        house.revisions.endorse(APPROVER, number, WHY, NOW)
    with pytest.raises(NotPermittedError):
        house.revisions.endorse(person(AUTHOR.id, "author", "approver"), number, WHY, NOW)
    with pytest.raises(ConflictError):
        house.activations.activate(OPERATOR, number, WHY, NOW)
    done = house.revisions.endorse(OTHER_APPROVER, number, WHY, NOW)
    assert (done.state, done.emergency) == ("approved", True)
    active = house.activations.activate(APPROVER, number, WHY, NOW)
    assert active.kind == "emergency"
    (review,) = house.reviews.all()
    assert (review.number, review.due_at) == (number, NOW + timedelta(days=7))
    for partaker in (APPROVER, OTHER_APPROVER, person(AUTHOR.id, "auditor")):
        with pytest.raises(NotPermittedError):
            house.reviews.close(partaker, review.id, WHY, NOW)
    assert house.reviews.close(AUDITOR, review.id, "everything was in order", NOW).closed_by == AUDITOR.id
    assert house.reviews.all() == ()
    assert len(house.reviews.all(closed=True)) == 1
    with pytest.raises(ConflictError):
        house.reviews.close(AUDITOR, review.id, WHY, NOW)


def test_an_endorsement_ends_with_the_contents_that_it_was_given_for(house: House) -> None:
    made = house.checked()
    house.revisions.endorse(APPROVER, made.number, WHY, NOW)
    edited = house.revisions.edit(
        AUTHOR, made.number, policy("2026.4", allow=False), WHY, NOW, source_digest=made.source_digest
    )
    house.revisions.keep_gates(AUTHOR, made.number, edited.source_digest, FINE, NOW)
    assert house.revisions.endorse(OTHER_APPROVER, made.number, WHY, NOW).state == "checked"
    assert house.revisions.endorse(APPROVER, made.number, WHY, NOW).state == "approved"


def test_two_names_of_one_person_are_not_two_further_persons(store: Store) -> None:
    house = House(store, People({"suzuki": [APPROVER.id, "os_user:suzuki"]}), Sealing())
    made = house.checked()
    house.revisions.endorse(APPROVER, made.number, WHY, NOW)
    with pytest.raises(ConflictError):
        house.revisions.endorse(person("os_user:suzuki", "approver"), made.number, WHY, NOW)


@pytest.mark.parametrize(
    "results",
    [
        (),
        (GateResult("bundle", "not_run"),),
        (GateResult("tests", "passed"),),
        (GateResult("bundle", "passed"), GateResult("tests", "failed")),
    ],
)
def test_what_no_gate_let_through_is_not_checked(house: House, results: tuple[GateResult, ...]) -> None:
    made = house.draft()
    assert house.revisions.keep_gates(AUTHOR, made.number, made.source_digest, results, NOW).state == "draft"
    with pytest.raises(ConflictError):
        house.revisions.submit(AUTHOR, made.number, WHY, NOW)


def test_results_for_other_contents_are_not_kept(house: House) -> None:
    made = house.draft()
    house.revisions.edit(AUTHOR, made.number, policy("2026.4", allow=False), WHY, NOW, source_digest=made.source_digest)
    with pytest.raises(ConflictError):
        house.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, NOW)
    with pytest.raises(ConflictError):
        house.revisions.edit(AUTHOR, made.number, policy("x"), WHY, NOW, source_digest=made.source_digest)


def test_every_earlier_revision_can_be_rolled_back_to_at_once(house: House) -> None:
    first, second, third = house.active("1"), house.active("2"), house.active("3")
    back = house.activations.rollback(APPROVER, first.number, "it lets everybody in", NOW)
    assert (back.epoch, back.kind, back.digest) == (4, "rollback", first.digest)
    assert [house.now(one.number).state for one in (first, second, third)] == ["active", "retired", "retired"]
    with pytest.raises(ConflictError):
        house.activations.rollback(OPERATOR, first.number, WHY, NOW)  # it is active
    with pytest.raises(ConflictError):
        house.activations.rollback(OPERATOR, house.approved("4").number, WHY, NOW)  # it never was
    with pytest.raises(NotPermittedError):
        house.activations.rollback(AUTHOR, second.number, WHY, NOW)
    with pytest.raises(BadRequestError):
        house.activations.rollback(OPERATOR, second.number, "  x ", NOW)
    with pytest.raises(NotFoundError):
        house.activations.rollback(OPERATOR, 4_000, WHY, NOW)


def test_a_scheduled_revision_becomes_active_at_its_time_and_once(house: House) -> None:
    house.active("now")
    made = house.approved("2026.10")
    with pytest.raises(BadRequestError):
        house.activations.schedule(OPERATOR, made.number, NOW, WHY, NOW)
    with pytest.raises(BadRequestError):
        house.activations.schedule(OPERATOR, made.number, NOW + timedelta(days=500), WHY, NOW)
    house.activations.schedule(OPERATOR, made.number, after(30), WHY, NOW)
    assert house.activations.look(after(29)) == (1, ())
    assert house.activations.fire(made.number, after(29)) is None
    assert house.activations.look(after(30)) == (1, (made.number,))
    fired = house.activations.fire(made.number, after(30))
    assert fired is not None
    assert (fired.epoch, fired.kind, fired.by) == (2, "scheduled", OPERATOR.id)
    assert house.activations.fire(made.number, after(31)) is None
    assert house.activations.look(after(31)) == (2, ())


def test_what_is_taken_off_the_schedule_does_not_happen(house: House) -> None:
    made = house.approved()
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    house.activations.schedule(OPERATOR, made.number, after(5), WHY, NOW)
    assert house.now(made.number).scheduled_at == after(5)
    assert house.activations.unschedule(OPERATOR, made.number, WHY, NOW).state == "approved"
    assert house.activations.look(after(60)) == (0, ())
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    assert house.revisions.reject(APPROVER, made.number, WHY, NOW).state == "draft"
    assert house.activations.look(after(60)) == (0, ())
    assert house.activations.fire(made.number, after(60)) is None


def test_workers_that_see_the_time_come_together_activate_once(house: House) -> None:
    made = house.approved()
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    fired: list[Any] = []
    gate = threading.Barrier(4)

    def worker() -> None:
        gate.wait()
        fired.append(house.activations.fire(made.number, after(2)))

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fired) == 4
    assert [one.epoch for one in fired if one is not None] == [1]


def test_activations_at_the_same_time_get_different_epochs(house: House) -> None:
    numbers = [house.approved(f"2026.{number}").number for number in range(4)]
    gate = threading.Barrier(4)
    epochs: list[int] = []

    def worker(number: int) -> None:
        gate.wait()
        epochs.append(house.activations.activate(OPERATOR, number, WHY, NOW).epoch)

    threads = [threading.Thread(target=worker, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(epochs) == [1, 2, 3, 4]
    assert sorted(house.now(number).state for number in numbers) == ["active", "retired", "retired", "retired"]


def _sealing(place: Path, *, own: bool) -> Sealing:
    private, public = key_pair()
    (place / "key.pem").write_bytes(private)
    (place / "key.pub").write_bytes(public)
    key = read_signing_key(str(place / "key.pem"))
    return Sealing(lambda: read_keys([str(place / "key.pub")]), lambda: key if own else None)


def test_nothing_becomes_of_record_unsigned_where_there_are_keys(store: Store, tmp_path: Path) -> None:
    house = House(store, People(), _sealing(tmp_path, own=False))
    made = house.approved()
    with pytest.raises(ConflictError, match="signed"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW)
    with pytest.raises(ConflictError, match="signed"):
        house.activations.schedule(OPERATOR, made.number, after(5), WHY, NOW)
    assert house.activations.current() is None
    assert house.now(made.number).state == "approved"


def test_a_statement_is_signed_elsewhere_for_the_next_epoch(store: Store, tmp_path: Path) -> None:
    house = House(store, People(), _sealing(tmp_path, own=False))
    key = read_signing_key(str(tmp_path / "key.pem"))
    made, other = house.approved("a"), house.approved("b")

    def signed(number: int, step: Any = "activate") -> Signed:
        said = house.activations.statement_for(number, step, NOW).text
        return Signed(said, write_signatures([key.sign(said)]))

    first, late = signed(made.number), signed(other.number)
    with pytest.raises(BadRequestError):
        house.activations.activate(OPERATOR, other.number, WHY, NOW, signed=first)
    with pytest.raises(BadRequestError):
        house.activations.activate(OPERATOR, made.number, WHY, NOW, signed=signed(made.number, "schedule"))
    with pytest.raises(BadRequestError):
        house.activations.activate(OPERATOR, made.number, WHY, NOW, signed=Signed("{}", "[]"))
    assert house.activations.activate(OPERATOR, made.number, WHY, NOW, signed=first).epoch == 1
    with pytest.raises(ConflictError, match="epoch 1"):
        house.activations.activate(OPERATOR, other.number, WHY, NOW, signed=late)
    house.activations.activate(OPERATOR, other.number, WHY, NOW, signed=signed(other.number))
    with pytest.raises(BadRequestError):  # the signature of its first time does not serve for a roll-back
        house.activations.rollback(OPERATOR, made.number, WHY, NOW, signed=first)


def test_a_schedule_that_was_signed_for_an_epoch_that_is_taken_stays_approved_and_says_why(
    store: Store, tmp_path: Path
) -> None:
    house = House(store, People(), _sealing(tmp_path, own=False))
    key = read_signing_key(str(tmp_path / "key.pem"))
    planned, urgent = house.approved("planned"), house.approved("urgent")
    said = house.activations.statement_for(planned.number, "schedule", NOW).text
    house.activations.schedule(
        OPERATOR, planned.number, after(5), WHY, NOW, signed=Signed(said, write_signatures([key.sign(said)]))
    )
    said = house.activations.statement_for(urgent.number, "activate", NOW).text
    house.activations.activate(
        OPERATOR, urgent.number, WHY, NOW, signed=Signed(said, write_signatures([key.sign(said)]))
    )
    assert house.activations.fire(planned.number, after(6)) is None
    found = house.revisions.detail(planned.number)
    assert found.revision.state == "approved"
    assert "epoch 1" in found.history[-1].reason


def test_a_restored_database_counts_on_from_where_workers_have_been(house: House) -> None:
    made = house.active()
    with pytest.raises(ConflictError):
        house.activations.renew(OPERATOR, WHY, NOW, epoch=1)
    again = house.activations.renew(OPERATOR, WHY, NOW, epoch=50)
    assert (again.epoch, again.number, again.digest) == (50, made.number, made.digest)
    assert house.now(made.number).state == "active"
    assert house.activations.renew(OPERATOR, WHY, NOW).epoch == 51
    with pytest.raises(NotPermittedError):
        house.activations.renew(AUTHOR, WHY, NOW)


def test_no_epoch_is_taken_that_leaves_none_to_come(store: Store, tmp_path: Path) -> None:
    """Attack: one renewal as the last epoch of all, after which nothing can be rolled back."""
    house = House(store, People(), _sealing(tmp_path, own=True))
    made = house.active()
    for epoch in (MAX_EPOCH, MAX_JUMP + 2):
        with pytest.raises(ConflictError, match="above the highest"):
            house.activations.renew(OPERATOR, WHY, NOW, epoch=epoch)
    said = unsealed(made, "activate", MAX_EPOCH, NOW).text
    key = read_signing_key(str(tmp_path / "key.pem"))
    with pytest.raises(ConflictError, match="above the highest"):
        house.activations.renew(OPERATOR, WHY, NOW, signed=Signed(said, write_signatures([key.sign(said)])))
    assert house.activations.renew(OPERATOR, WHY, NOW, epoch=MAX_JUMP + 1).epoch == MAX_JUMP + 1


def test_an_emergency_that_waits_for_its_time_leaves_a_review_behind_too(house: House) -> None:
    made = house.checked()
    house.revisions.endorse(APPROVER, made.number, WHY, NOW)
    house.revisions.endorse(OTHER_APPROVER, made.number, WHY, NOW)
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    fired = house.activations.fire(made.number, after(2))
    assert fired is not None
    assert fired.kind == "scheduled"
    assert [(one.number, one.epoch) for one in house.reviews.all()] == [(made.number, 1)]


def test_a_host_without_its_key_leaves_a_schedule_to_the_others(store: Store, tmp_path: Path) -> None:
    sealing = _sealing(tmp_path, own=True)
    house = House(store, People(), sealing)
    made = house.approved()
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    lost = str(tmp_path / "lost.pem")
    keyless = Activations(store, People(), Sealing(sealing.keys))
    for other in (
        keyless,
        Activations(store, People(), Sealing(sealing.keys, lambda: read_signing_key(lost))),
        Activations(store, People(), Sealing(lambda: read_keys([lost]), sealing.own)),
    ):
        assert other.fire(made.number, after(2)) is None
        assert house.now(made.number).state == "scheduled"
    fired = house.activations.fire(made.number, after(2))
    assert fired is not None
    assert fired.number == made.number


def test_a_host_that_has_its_key_again_fires_after_a_while(store: Store, tmp_path: Path) -> None:
    sealing = _sealing(tmp_path, own=True)
    house = House(store, People(), sealing)
    made = house.approved()
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    keys: list[Any] = [None]
    other = Activations(store, People(), Sealing(sealing.keys, lambda: keys[0]))
    assert other.fire(made.number, after(2)) is None
    keys[0] = sealing.own()
    assert other.fire(made.number, after(2)) is None, "not four times a second"
    assert other.fire(made.number, after(2) + FIRE_AGAIN) is not None


@pytest.mark.parametrize("own", [True, False])
def test_contents_that_were_never_of_record_are_neither_renewed_nor_rolled_back_to(
    store: Store, tmp_path: Path, own: bool
) -> None:
    """Attack: somebody with the database sets the digest of a row, for the service's own key to sign."""
    house = House(store, People(), _sealing(tmp_path, own=True) if own else Sealing())
    old, current = house.active("old"), house.active("current")
    other = house.draft("other", allow=False)
    rows = tables.policy_revisions
    for one in (old, current):
        with house.store.write() as connection:
            connection.execute(update(rows).where(rows.c.number == one.number).values(digest=other.digest))
    with pytest.raises(ConflictError, match="trusted"):
        house.activations.renew(OPERATOR, WHY, NOW)
    with pytest.raises(ConflictError, match="trusted"):
        house.activations.rollback(OPERATOR, old.number, WHY, NOW)
    with house.store.write() as connection:
        connection.execute(update(rows).where(rows.c.number == old.number).values(digest=old.digest))
    assert house.activations.rollback(OPERATOR, old.number, WHY, NOW).digest == old.digest


def test_an_activation_that_nobody_signed_is_no_ground_for_a_roll_back(store: Store, tmp_path: Path) -> None:
    house = House(store, People(), _sealing(tmp_path, own=True))
    old = house.active("old")
    house.active("current")
    table = tables.policy_activations
    with house.store.write() as connection:
        connection.execute(update(table).where(table.c.epoch == 1).values(signatures="[]"))
    with pytest.raises(ConflictError, match="trusted"):
        house.activations.rollback(OPERATOR, old.number, WHY, NOW)


def test_a_revision_that_nobody_wrote_is_not_renewed(house: House) -> None:
    house.active()
    with house.store.write() as connection:
        connection.execute(delete(tables.policy_history))
    with pytest.raises(ConflictError, match="nobody wrote"):
        house.activations.renew(OPERATOR, WHY, NOW)


def test_a_revision_that_nobody_wrote_is_not_activated_at_its_time_either(house: House) -> None:
    """Attack: somebody with the database enters a whole revision with its approval and its plan."""
    made = house.approved()
    house.activations.schedule(OPERATOR, made.number, after(1), WHY, NOW)
    with house.store.write() as connection:
        connection.execute(delete(tables.policy_history))
    assert house.activations.fire(made.number, after(2)) is None
    assert house.activations.current() is None
    found = house.revisions.detail(made.number)
    assert found.revision.state == "approved"
    assert "nobody wrote" in found.history[-1].reason
    with pytest.raises(ConflictError, match="nobody wrote"):
        house.activations.activate(OPERATOR, made.number, WHY, after(3))


def test_an_exception_is_ended_by_operators_and_approvers_alone(peopled: House) -> None:
    exceptions = Exceptions(peopled.store, People())
    number = _ask(peopled, "disaster")
    granted = exceptions.grant(APPROVER, number, WHY, NOW)[0]
    for who in (AUTHOR, AUDITOR, person("caller:x", "administrator")):
        assert exceptions.may(who, granted) == ()
        with pytest.raises(NotPermittedError):
            exceptions.end(who, number, WHY, NOW)
    for who in (OPERATOR, APPROVER):
        assert exceptions.may(who, granted) == ("end",)
    assert exceptions.end(APPROVER, number, WHY, NOW)[0].state == "ended"


def test_what_a_worker_serves_is_told_and_forgotten(house: House) -> None:
    one = Instance("node-1/7", 1, 3, "2026.4", "a" * 64, NOW)
    house.instances.report(one)
    house.instances.report(Instance("node-1/8", 1, 3, "2026.4", "a" * 64, NOW, "signature: it is not signed", True))
    house.instances.report(Instance("node-1/7", 2, 4, "2026.5", "b" * 64, after(1)))
    found = house.instances.all()
    assert [(each.id, each.epoch, each.fault, each.lapsed) for each in found] == [
        ("node-1/7", 2, None, False),
        ("node-1/8", 1, "signature: it is not signed", True),
    ]
    house.instances.report(Instance("node-1/9", 2, 4, "2026.5", "b" * 64, NOW + timedelta(days=1, seconds=30)))
    assert [each.id for each in house.instances.all()] == ["node-1/7", "node-1/9"]
    house.instances.leave("node-1/9")
    assert [each.id for each in house.instances.all()] == ["node-1/7"]


def test_equal_contents_of_two_revisions_are_kept_once_and_nothing_is_removed(house: House) -> None:
    first, second = house.draft(), house.draft()
    assert first.source_digest == second.source_digest
    assert first.number != second.number
    with house.store.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM policy_texts")).scalar() == 2
    house.revisions.discard(AUTHOR, first.number, WHY, NOW)
    assert house.revisions.files(first.number)[1] == policy("2026.4")


def test_a_draft_names_a_parent_that_is_there(house: House) -> None:
    first = house.active()
    child = house.revisions.create(AUTHOR, policy("x"), WHY, NOW, parent=first.number)
    assert child.parent == first.number
    with pytest.raises(NotFoundError):
        house.revisions.create(AUTHOR, policy("x"), WHY, NOW, parent=999)


@pytest.mark.parametrize("role", ["approver", "operator", "auditor", "administrator"])
def test_only_authors_write(house: House, role: Any) -> None:
    somebody = person("caller:x", role)
    with pytest.raises(NotPermittedError):
        house.revisions.create(somebody, policy("x"), WHY, NOW)
    made = house.draft()
    with pytest.raises(NotPermittedError):
        house.revisions.edit(somebody, made.number, policy("x"), WHY, NOW, source_digest=made.source_digest)


# --- exceptions


NOBODY = Scope()


@pytest.fixture
def peopled(house: House) -> House:
    with change(house.store, NOW) as inside:
        inside.put_user(User("u-1", "staff", posts=(Post("digital"),)))
        inside.put_device(Device("d-1", "byod_phone", owner="u-1"))
    return house


def _ask(house: House, kind: Any, scope: Scope = NOBODY, *, days: int = 3, people: People | None = None) -> int:
    exceptions = Exceptions(house.store, people or People())
    return exceptions.ask(AUTHOR, kind, scope, starts=NOW, ends=NOW + timedelta(days=days), reason=WHY, now=NOW).id


WORK = Scope(("u-1",), ("d-1",), ("finance",))
DEVICE = Scope(("u-1",), ("d-1",))


def test_a_declaration_is_granted_by_a_second_person_and_ends_by_itself(peopled: House) -> None:
    exceptions = Exceptions(peopled.store, People())
    number = _ask(peopled, "disaster")
    assert not load_snapshot(peopled.store).emergencies
    granted, epoch = exceptions.grant(APPROVER, number, WHY, NOW)
    assert (granted.state, granted.decided_by) == ("granted", APPROVER.id)
    snapshot = load_snapshot(peopled.store)
    assert snapshot.epoch == epoch
    (declared,) = snapshot.emergencies
    assert declared.period.holds(NOW)
    assert not declared.period.holds(NOW + timedelta(days=3))
    (standing,) = exceptions.all(NOW)
    assert standing.in_force
    (standing,) = exceptions.all(NOW + timedelta(days=3))
    assert not standing.in_force


def test_permits_for_work_and_for_a_device_come_into_the_directory_and_can_be_ended_early(peopled: House) -> None:
    exceptions = Exceptions(peopled.store, People())
    work, device = _ask(peopled, "work", WORK), _ask(peopled, "device", DEVICE)
    for number in (work, device):
        exceptions.grant(APPROVER, number, WHY, NOW)
    snapshot = load_snapshot(peopled.store)
    (permit,) = snapshot.work_permits
    assert (permit.users, permit.resources) == ({"u-1"}, {"finance"})
    assert snapshot.permits["d-1"][0].user == "u-1"
    for number in (work, device):
        assert exceptions.end(OPERATOR, number, WHY, NOW)[0].state == "ended"
    snapshot = load_snapshot(peopled.store)
    assert (snapshot.work_permits, dict(snapshot.permits)) == ((), {})
    with pytest.raises(ConflictError):
        exceptions.end(OPERATOR, work, WHY, NOW)


def test_nobody_grants_what_they_asked_for_and_nobody_without_the_role(peopled: House) -> None:
    people = People({"sato": [AUTHOR.id, "user:u-sato"]})
    exceptions = Exceptions(peopled.store, people)
    number = _ask(peopled, "disaster", people=people)
    for who in (person(AUTHOR.id, "author", "approver"), person("user:u-sato", "approver"), OPERATOR, AUDITOR):
        with pytest.raises(NotPermittedError):
            exceptions.grant(who, number, WHY, NOW)
    with pytest.raises(NotPermittedError):
        exceptions.withdraw(OPERATOR, number, WHY, NOW)
    assert exceptions.withdraw(AUTHOR, number, WHY, NOW).state == "withdrawn"
    with pytest.raises(ConflictError):
        exceptions.grant(APPROVER, number, WHY, NOW)
    refused = _ask(peopled, "disaster")
    assert exceptions.refuse(APPROVER, refused, WHY, NOW).state == "refused"
    assert not load_snapshot(peopled.store).emergencies
    with pytest.raises(NotFoundError):
        exceptions.grant(APPROVER, 999, WHY, NOW)


def test_what_is_granted_too_late_or_twice_is_not_granted(peopled: House) -> None:
    exceptions = Exceptions(peopled.store, People())
    late, one, again = (_ask(peopled, "disaster") for _ in range(3))
    with pytest.raises(ConflictError):
        exceptions.grant(APPROVER, late, WHY, NOW + timedelta(days=3))
    exceptions.grant(APPROVER, one, WHY, NOW)
    with pytest.raises(ConflictError, match="same beginning"):
        exceptions.grant(APPROVER, again, WHY, NOW)


def test_an_exception_without_an_end_in_sight_or_for_nobody_is_not_asked_for(peopled: House) -> None:
    cases: list[tuple[Any, Scope, int]] = [
        ("disaster", Scope(), 15),
        ("disaster", Scope(), 0),
        ("disaster", WORK, 3),
        ("work", DEVICE, 3),
        ("work", Scope(("nobody",), ("d-1",), ("finance",)), 3),
        ("device", WORK, 3),
        ("device", Scope(("u-1",), ("d-9",)), 3),
        ("device", Scope(("u-1",) * 201, ("d-1",)), 3),
    ]
    for kind, scope, days in cases:
        with pytest.raises(BadRequestError):
            _ask(peopled, kind, scope, days=days)
    assert Exceptions(peopled.store, People()).all(NOW) == ()


def test_a_copy_of_somebodys_draft_is_not_approved_by_who_wrote_it(house: House) -> None:
    """Attack: the author has somebody else make a draft of their draft, and approves that."""
    made = house.draft(author=EVERYTHING)
    copy = house.revisions.create(AUTHOR, policy("2026.4"), WHY, NOW, parent=made.number)
    house.revisions.keep_gates(AUTHOR, copy.number, copy.source_digest, FINE, NOW)
    house.revisions.submit(AUTHOR, copy.number, WHY, NOW)
    assert house.revisions.detail(copy.number).authors == {EVERYTHING.id, AUTHOR.id}
    with pytest.raises(NotPermittedError):
        house.revisions.approve(EVERYTHING, copy.number, WHY, NOW)
    assert house.revisions.approve(APPROVER, copy.number, WHY, NOW).state == "approved"


def test_neither_does_the_author_of_the_draft_that_a_changed_copy_was_made_from(house: House) -> None:
    first = house.draft(author=EVERYTHING)
    second = house.revisions.create(AUTHOR, policy("2026.5"), WHY, NOW, parent=first.number)
    third = house.revisions.create(AUTHOR, policy("2026.6"), WHY, NOW, parent=second.number)
    assert house.revisions.detail(third.number).authors == {EVERYTHING.id, AUTHOR.id}


def test_the_same_contents_have_the_same_authors_wherever_they_came_from(house: House) -> None:
    made = house.draft(author=EVERYTHING)
    house.revisions.edit(EVERYTHING, made.number, policy("else"), WHY, NOW, source_digest=made.source_digest)
    alike = house.in_review(author=AUTHOR)
    with pytest.raises(NotPermittedError):
        house.revisions.approve(EVERYTHING, alike.number, WHY, NOW)


def test_who_wrote_what_was_of_record_may_approve_what_others_make_of_it(house: House) -> None:
    """Two persons who take turns: each approves what the other has changed in an approved text."""
    first = house.in_review(author=EVERYTHING)
    house.revisions.approve(APPROVER, first.number, WHY, NOW)
    house.activations.activate(OPERATOR, first.number, WHY, NOW)
    second = house.revisions.create(AUTHOR, policy("2026.5"), WHY, NOW, parent=first.number)
    house.revisions.keep_gates(AUTHOR, second.number, second.source_digest, FINE, NOW)
    house.revisions.submit(AUTHOR, second.number, WHY, NOW)
    assert house.revisions.approve(EVERYTHING, second.number, WHY, NOW).state == "approved"


def _forged(house: House, number: int, **changes: Any) -> None:
    table = tables.policy_approvals
    with house.store.write() as connection:
        connection.execute(update(table).where(table.c.number == number).values(**changes))


@pytest.mark.parametrize(
    "changes", [{"by": "caller:nobody"}, {"seal": None}, {"seal": "[]"}, {"seal": '{"authors":[],"signature":0}'}]
)
def test_the_key_of_a_host_signs_nothing_for_an_approval_that_it_did_not_seal(
    store: Store, tmp_path: Path, changes: dict[str, Any]
) -> None:
    house = House(store, People(), _sealing(tmp_path, own=True))
    made = house.approved()
    _forged(house, made.number, **changes)
    with pytest.raises(ConflictError, match="sealed"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW)
    with pytest.raises(ConflictError, match="sealed"):
        house.activations.schedule(OPERATOR, made.number, after(5), WHY, NOW)


def test_a_name_that_was_taken_out_of_the_history_voids_the_approval(store: Store, tmp_path: Path) -> None:
    """Attack: the second author's edit is written to another name, who may then be the one that approved."""
    house = House(store, People(), _sealing(tmp_path, own=True))
    made = house.approved()
    table = tables.policy_history
    with house.store.write() as connection:
        connection.execute(update(table).where(table.c.number == made.number).values(by="caller:somebody"))
    with pytest.raises(ConflictError, match="sealed"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW)


def test_a_copy_that_others_make_of_an_approved_revision_voids_nothing(store: Store, tmp_path: Path) -> None:
    house = House(store, People(), _sealing(tmp_path, own=True))
    made = house.approved()
    house.draft(author=EVERYTHING)
    assert house.activations.activate(OPERATOR, made.number, WHY, NOW).number == made.number


def test_an_approval_that_nobody_sealed_counts_where_the_statement_is_signed_elsewhere(
    store: Store, tmp_path: Path
) -> None:
    house = House(store, People(), _sealing(tmp_path, own=True))
    made = house.approved()
    _forged(house, made.number, seal=None)
    said = house.activations.statement_for(made.number, "activate", NOW).text
    key = read_signing_key(str(tmp_path / "key.pem"))
    signed = Signed(said, write_signatures([key.sign(said)]))
    assert house.activations.activate(OPERATOR, made.number, WHY, NOW, signed=signed).number == made.number


class Warners:
    """Revisions of profile `zta`, one after the other."""

    def __init__(self, house: House) -> None:
        self.house = house

    def approved(self, name: str, days: int, *, allow: bool = True, **others: Any) -> Revision:
        made = self.house.revisions.create(AUTHOR, zta_policy(name, allow=allow, **others), WHY, NOW)
        self.house.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, NOW)
        self.house.revisions.submit(AUTHOR, made.number, WHY, NOW, warn_days=days)
        return self.house.revisions.approve(APPROVER, made.number, WHY, NOW)

    def active(self, name: str, days: int = 0, **others: Any) -> Revision:
        made = self.approved(name, days, **others)
        self.house.activations.activate(OPERATOR, made.number, WHY, NOW)
        return self.house.now(made.number)


def test_a_time_of_warning_is_part_of_what_is_approved_and_signed(store: Store, tmp_path: Path) -> None:
    house = House(store, People(), _sealing(tmp_path, own=True))
    warning = Warners(house)
    before, made = warning.active("before"), warning.approved("newer", 14, allow=False)
    assert house.revisions.detail(made.number).history[-2].details == {"warn_days": 14}
    rows = tables.policy_revisions
    with house.store.write() as connection:
        connection.execute(update(rows).where(rows.c.number == made.number).values(warn_days=30))
    with pytest.raises(ConflictError, match="sealed"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW)
    with house.store.write() as connection:
        connection.execute(update(rows).where(rows.c.number == made.number).values(warn_days=14))
    found = warn_in(house.activations.activate(OPERATOR, made.number, WHY, NOW))
    assert found is not None
    assert (found.former, found.end) == (before.digest, NOW + timedelta(days=14))


def test_a_scheduled_revision_warns_from_its_time_on(house: House) -> None:
    warning = Warners(house)
    warning.active("before")
    made = warning.approved("newer", 7, allow=False)
    house.activations.schedule(OPERATOR, made.number, after(60), WHY, NOW)
    fired = house.activations.fire(made.number, after(61))
    assert fired is not None
    warn = warn_in(fired)
    assert warn is not None
    assert warn.end == after(61) + timedelta(days=7)


def test_what_cannot_warn_is_refused_by_name(house: House) -> None:
    warning = Warners(house)
    with pytest.raises(BadRequestError, match="at most 31 days"):
        warning.approved("long", 32)
    plain = house.checked("plain")
    with pytest.raises(BadRequestError, match="`zta`"):
        house.revisions.submit(AUTHOR, plain.number, WHY, NOW, warn_days=1)
    with pytest.raises(ConflictError, match="nothing was ever activated") as first:
        warning.approved("first", 1)
    assert "without a time of warning" in first.value.next_step
    warning.active("before")
    other = warning.approved("other", 3, networks=[{"cidr": "10.0.0.0/8", "zone": "office"}])
    with pytest.raises(ConflictError, match="other facts"):
        house.activations.activate(OPERATOR, other.number, WHY, NOW)
    newer = warning.approved("newer", 3, allow=False)
    house.activations.activate(OPERATOR, newer.number, WHY, NOW)
    second = warning.approved("second", 3, more="\n# changed\nx := 1\n")
    with pytest.raises(ConflictError, match="is running"):
        house.activations.activate(OPERATOR, second.number, WHY, NOW)
    assert house.activations.activate(OPERATOR, second.number, WHY, after(3 * 24 * 60)).number == second.number


def test_a_statement_signed_elsewhere_warns_for_no_longer_than_was_approved(store: Store, tmp_path: Path) -> None:
    house = House(store, People(), _sealing(tmp_path, own=False))
    key = read_signing_key(str(tmp_path / "key.pem"))

    def signed(said: str) -> Signed:
        return Signed(said, write_signatures([key.sign(said)]))

    warning = Warners(house)
    before = warning.approved("before", 0)
    house.activations.activate(
        OPERATOR,
        before.number,
        WHY,
        NOW,
        signed=signed(house.activations.statement_for(before.number, "activate", NOW).text),
    )
    made = warning.approved("newer", 14, allow=False)
    late = house.activations.statement_for(made.number, "activate", after(60)).text
    with pytest.raises(BadRequestError, match="longer than was approved"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW, signed=signed(late))
    silent = unsealed(made, "activate", 2, NOW).text
    with pytest.raises(BadRequestError, match="another revision, or of another step"):
        house.activations.activate(OPERATOR, made.number, WHY, NOW, signed=signed(silent))
    early = house.activations.statement_for(made.number, "activate", NOW).text
    assert house.activations.activate(OPERATOR, made.number, WHY, after(60), signed=signed(early)).epoch == 2


def test_results_and_jobs_are_kept_and_make_room_on_both_databases(store: Store) -> None:
    made = Revisions(store, People()).create(AUTHOR, policy("2026.4"), WHY, NOW)
    kept_ones = Results(store)
    for number in (made.number, None):
        found = Finding("export", number, made.digest, b"zip", label="matrix", form="zip", summary={"rules": 3})
        for _ in range(RESULTS_KEPT + 1):
            last = kept_ones.keep(found, "caller:tanaka", NOW)
        assert len([one for one in kept_ones.all(kind="export") if one.number == number]) == RESULTS_KEPT
        assert kept_ones.one(last.id) == (last, b"zip")
    register = JobRegister(store)
    job = register.begin("job-1", "export", None, {"target": "matrix"}, "caller:tanaka", NOW)
    assert register.beat(job.id, Progress("rules", 2, 4), after(0))
    kept = register.keep(job.id, Finding("export", None, made.digest, b"zip", form="zip"), after(1))
    done = register.one(job.id, after(2))
    assert (done.state, done.phase, done.result, done.ended_at) == ("done", "rules", kept.id, after(1))
    assert kept_ones.one(kept.id)[0].by == "caller:tanaka"
    lost = register.begin("job-2", "export", made.number, {}, "caller:tanaka", after(2))
    register.begin("job-3", "export", None, {}, "caller:tanaka", after(9))
    assert register.one(lost.id, after(9)).state == "interrupted"
    assert not register.beat(lost.id, Progress(), after(9))
