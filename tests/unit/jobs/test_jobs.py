"""Long work beside a worker: what the register says of it, and that it ends however it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import BadRequestError, ConflictError, NotFoundError, NotReadyError, PayloadTooLargeError
from pdp.jobs.child import run_child
from pdp.jobs.job import WAITING, Order, Outcome, Progress
from pdp.jobs.register import KEPT, LOST_AFTER, MAX_OWN, MAX_RUNNING, MAX_WAITING, JobRegister
from pdp.jobs.running import Jobs
from pdp.parts import utc_now
from pdp.revisions import results
from pdp.revisions.person import People
from pdp.revisions.register import Revisions
from pdp.revisions.results import Finding, Results
from pdp.revisions.revision import Revision
from pdp.settings import Settings
from pdp.store.store import Store, open_store
from tests.processes import children_of
from tests.revision_files import AUTHOR, NOW, WHY, after, policy

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    place = tmp_path_factory.mktemp("empty") / "sekisho.db"
    store = open_store(f"sqlite:///{place}")
    store.migrate()
    store.close()
    return place.read_bytes()


@pytest.fixture
def store(tmp_path: Path, empty: bytes) -> Iterator[Store]:
    (tmp_path / "sekisho.db").write_bytes(empty)
    opened = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    yield opened
    opened.close()


@pytest.fixture
def revisions(store: Store) -> Revisions:
    return Revisions(store, People())


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Child:
    """Stands for `run_child`: it says how far it is, and waits to be told what comes of it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.orders: list[Order] = []
        self.ended = False

    async def __call__(self, order: Order, told: Any, *, seconds: float) -> Outcome:
        self.orders.append(order)
        told(Progress("judging", 3, 9))
        self.begun.set()
        try:
            return await asyncio.shield(self.outcome)
        finally:
            self.ended = True


class House:
    def __init__(self, store: Store) -> None:
        self.clock, self.child = Clock(), Child()
        self.register = JobRegister(store)
        self.numbers = iter(range(1_000))
        self.jobs = Jobs(
            self.register,
            Settings(),
            clock=self.clock,
            new_id=lambda: f"job-{next(self.numbers)}",
            run=self.child,
            beat_s=0.01,
        )

    async def until(self, id_: str, *states: str, phase: str = "") -> Any:
        async with asyncio.timeout(30):
            while True:
                job = await asyncio.to_thread(self.register.one, id_, self.clock())
                if job.state in states and phase in job.phase:
                    return job
                await asyncio.sleep(0.01)


@pytest.fixture
async def house(store: Store) -> AsyncIterator[House]:
    found = House(store)
    yield found
    await found.jobs.close()


def a_draft(revisions: Revisions, name: str = "2026.4") -> tuple[Revision, dict[str, str]]:
    made = revisions.create(AUTHOR, policy(name), WHY, NOW)
    return revisions.files(made.number)


async def test_a_job_is_begun_told_and_kept_with_the_revision_that_it_is_about(
    house: House, revisions: Revisions, store: Store
) -> None:
    draft = a_draft(revisions)
    job = await house.jobs.begin("population", "caller:sato", {"contexts": ["office"]}, draft)
    running = await house.until(job.id, "running", phase="judging")
    assert (running.done, running.total, running.by) == (3, 9, "caller:sato")
    assert house.child.orders[0].files == draft[1]
    outcome = Outcome(draft[0].digest, "b" * 64, 0, summary={"losing": 2}, body=b'{"users": 5}')
    house.child.outcome.set_result(outcome)
    done = await house.until(job.id, "done")
    kept, body = Results(store).one(done.result)
    assert body == b'{"users": 5}'
    assert (kept.number, kept.kind, kept.summary, kept.by) == (1, "population", {"losing": 2}, "caller:sato")
    assert (kept.params, kept.source_digest, kept.stale) == (
        {"contexts": ["office"]},
        draft[0].source_digest,
        (),
    )


async def test_what_somebody_cancels_ends_its_child(house: House, revisions: Revisions) -> None:
    job = await house.jobs.begin("replay", "caller:sato", {"days": 3}, a_draft(revisions))
    await house.child.begun.wait()
    await asyncio.to_thread(house.register.cancel, job.id, "caller:tanaka", house.clock())
    ended = await house.until(job.id, "cancelled")
    assert (ended.cancelled_by, ended.result, house.child.ended) == ("caller:tanaka", None, True)
    with pytest.raises(ConflictError, match="over already"):
        house.register.cancel(job.id, "caller:tanaka", house.clock())


async def test_what_fails_says_why_and_keeps_nothing(house: House, revisions: Revisions, store: Store) -> None:
    job = await house.jobs.begin("population", "caller:sato", {}, a_draft(revisions))
    house.child.outcome.set_exception(NotReadyError("there is no decision log here", next_step="ask for one"))
    ended = await house.until(job.id, "failed")
    assert ended.fault == "there is no decision log here; ask for one"
    assert Results(store).all() == ()


async def test_a_bug_in_it_is_a_failure_that_tells_nothing_of_the_inside(house: House) -> None:
    job = await house.jobs.begin("export", "caller:sato", {"target": "matrix"})
    house.child.outcome.set_exception(RuntimeError("/srv/secret"))
    ended = await house.until(job.id, "failed")
    assert ended.fault == "it could not be done; the cause is in the service's log"


async def test_the_end_of_a_worker_interrupts_its_jobs(house: House) -> None:
    job = await house.jobs.begin("export", "caller:sato", {"target": "matrix"})
    await house.child.begun.wait()
    await house.jobs.close()
    assert (await house.until(job.id, "interrupted")).result is None
    assert house.child.ended


def test_a_job_whose_worker_was_killed_is_seen_to_be_interrupted_and_makes_room(store: Store) -> None:
    register = JobRegister(store)
    for number in range(MAX_RUNNING):
        register.begin(f"job-{number}", "export", None, {}, "caller:sato", NOW)
    assert register.begin("job-x", "export", None, {}, "caller:sato", NOW).phase == WAITING
    for silent in ("job-1", "job-x"):
        assert register.wait(silent, NOW + LOST_AFTER).state == "running"
    later = NOW + LOST_AFTER + timedelta(seconds=1)
    assert [one.state for one in register.all(later)] == ["running", "running", "interrupted"]
    assert register.wait("job-x", later).phase == ""
    assert not register.beat("job-0", Progress("judging", 9, 9), later)
    assert register.one("job-0", later).phase == ""


def soon(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_a_place_goes_to_whoever_has_none_and_nobody_fills_the_queue(store: Store) -> None:
    register = JobRegister(store)
    for number in range(MAX_RUNNING):
        assert register.begin(f"a-{number}", "mutation", None, {}, "user:sato", soon(number)).phase == ""
    for number in range(MAX_RUNNING, MAX_OWN):
        assert register.begin(f"a-{number}", "mutation", None, {}, "user:sato", soon(number)).phase == WAITING
    with pytest.raises(ConflictError, match=f"{MAX_OWN} jobs of this person"):
        register.begin("a-x", "mutation", None, {}, "user:sato", soon(4))
    assert register.begin("b-0", "export", None, {}, "user:suzuki", soon(5)).phase == WAITING
    register.end("a-0", "done", soon(6))
    assert register.wait("a-2", soon(7)).phase == WAITING, "who has a place waits for whoever has none"
    assert register.wait("b-0", soon(7)).phase == ""
    register.end("b-0", "done", soon(8))
    assert register.wait("a-2", soon(9)).phase == "", "nobody else waits: a second place is better used than empty"
    for number in range(MAX_WAITING - 1):
        register.begin(f"c-{number}", "replay", None, {}, f"user:{number}", soon(10))
    with pytest.raises(ConflictError, match=f"{MAX_WAITING} such jobs are waiting"):
        register.begin("c-x", "replay", None, {}, "user:x", soon(10))


async def test_a_job_that_waits_begins_when_its_turn_comes_and_can_be_cancelled_before(house: House) -> None:
    for number in range(MAX_RUNNING):
        house.register.begin(f"other-{number}", "export", None, {}, "user:suzuki", NOW)
    first = await house.jobs.begin("export", "user:sato", {"target": "matrix"})
    second = await house.jobs.begin("export", "user:tanaka", {"target": "matrix"})
    assert (first.phase, second.phase, house.child.orders) == (WAITING, WAITING, [])
    house.register.cancel(second.id, "user:tanaka", NOW)
    await house.until(second.id, "cancelled")
    house.register.end("other-0", "done", NOW)
    await house.until(first.id, "running", phase="judging")
    assert len(house.child.orders) == 1


async def test_a_check_says_which_gate_judges_and_needs_no_place(house: House, revisions: Revisions) -> None:
    number, go = a_draft(revisions)[0].number, asyncio.Event()
    for other in range(MAX_RUNNING):
        house.register.begin(f"other-{other}", "export", None, {}, "user:suzuki", NOW)

    async def check(told: Any) -> None:
        told(Progress("invariants", 3, 5))
        await go.wait()

    job = await house.jobs.check("user:sato", number, check)
    assert (await house.until(job.id, "running", phase="invariants")).total == 5
    with pytest.raises(ConflictError, match="being checked already"):
        await house.jobs.check("user:suzuki", number, check)
    other = await house.jobs.check("user:suzuki", a_draft(revisions, "2026.5")[0].number, check)
    assert (await house.until(other.id, "running", phase=WAITING)).done == 0
    house.register.cancel(other.id, "user:suzuki", NOW)
    await house.until(other.id, "cancelled")
    go.set()
    done = await house.until(job.id, "done")
    assert (done.result, done.fault) == (None, None)


def test_jobs_that_have_ended_make_room_and_running_ones_stay(store: Store) -> None:
    register = JobRegister(store)
    register.begin("stays", "export", None, {}, "caller:sato", NOW)
    for number in range(KEPT + 3):
        at = after(number + 1)
        register.beat("stays", Progress(), at)
        register.begin(f"job-{number}", "export", None, {}, "caller:sato", at)
        register.end(f"job-{number}", "failed", at)
    assert register.one("stays", after(KEPT + 3)).state == "running"
    with pytest.raises(NotFoundError):
        register.one("job-0", after(KEPT + 3))


# Results.


def finding(revision: Revision, **more: Any) -> Finding:
    return Finding("coverage", revision.number, revision.digest, b"{}", revision.source_digest, **more)


def test_a_result_says_what_has_moved_since(store: Store, revisions: Revisions) -> None:
    revision, _ = a_draft(revisions)
    kept = Results(store).keep(finding(revision, baseline="b" * 64, epoch=0), "caller:sato", NOW)
    assert kept.stale == ()
    stale = Results(store).keep(finding(revision, epoch=5), "caller:sato", NOW)
    assert stale.stale == ("directory",)
    changed = policy("2026.4", allow=False)
    revisions.edit(AUTHOR, revision.number, changed, WHY, after(1), source_digest=revision.source_digest)
    assert Results(store).one(kept.id)[0].stale == ("contents",)


def test_a_comment_alone_makes_a_result_about_the_files_old(store: Store, revisions: Revisions) -> None:
    revision, files = a_draft(revisions)
    whole = Results(store).keep(finding(revision), "caller:sato", NOW)
    rules = Results(store).keep(Finding("population", 1, revision.digest, b"{}"), "caller:sato", NOW)
    more = {**files, "notes.md": "a remark"}
    revisions.edit(AUTHOR, 1, more, WHY, after(1), source_digest=revision.source_digest)
    assert [Results(store).one(one.id)[0].stale for one in (whole, rules)] == [("contents",), ()]


def test_the_oldest_results_of_a_kind_and_label_make_room(store: Store, revisions: Revisions) -> None:
    revision, _ = a_draft(revisions)
    other = Results(store).keep(finding(revision, label="other"), "caller:sato", NOW)
    for _ in range(results.KEPT + 2):
        last = Results(store).keep(finding(revision), "caller:sato", NOW)
    kept = Results(store).all(1, "coverage")
    assert [one.label for one in kept] == [""] * results.KEPT + ["other"]
    assert kept[0].id == last.id
    assert Results(store).one(other.id)[0].label == "other"


def test_a_result_is_bounded_and_belongs_to_a_revision_that_is_there(store: Store, revisions: Revisions) -> None:
    revision, _ = a_draft(revisions)
    with pytest.raises(NotFoundError):
        Results(store).keep(Finding("tests", 77, "d" * 64, b"{}"), "caller:sato", NOW)
    with pytest.raises(PayloadTooLargeError):
        Results(store).keep(finding(revision, summary={"x": "y" * results.MAX_SUMMARY}), "caller:sato", NOW)
    with pytest.raises(PayloadTooLargeError):
        Results(store).keep(Finding("tests", 1, revision.digest, bytes(results.MAX_BODY + 1)), "caller:sato", NOW)


# The child itself.


async def test_a_child_says_what_was_asked_amiss_and_what_it_could_not_do(tmp_path: Path) -> None:
    settings = Settings(state_dir=str(tmp_path))
    seen: list[Progress] = []
    order = Order("population", settings, utc_now(), policy("x"), {"contexts": ["the moon"]})
    with pytest.raises(BadRequestError, match="there is no context `the moon`"):
        await run_child(order, seen.append, seconds=60)
    assert seen[0].phase == "reading"


async def test_a_child_that_takes_too_long_or_too_much_memory_is_ended(tmp_path: Path) -> None:
    order = Order("export", Settings(state_dir=str(tmp_path)), utc_now(), None, {"target": "matrix"})
    with pytest.raises(NotReadyError, match=r"no result within 0\.001 seconds"):
        await run_child(order, lambda _: None, seconds=0.001)
    with pytest.raises(NotReadyError):
        await run_child(order, lambda _: None, seconds=60, memory_bytes=16 * 1024 * 1024)


async def test_a_child_ends_with_whoever_waits_for_it(tmp_path: Path) -> None:
    order = Order("export", Settings(state_dir=str(tmp_path)), utc_now(), None, {"target": "matrix"})
    begun = asyncio.Event()
    waiting = asyncio.create_task(run_child(order, lambda _: begun.set(), seconds=60))
    await begun.wait()
    assert children()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not children()


def children() -> set[int]:
    """Processes of ours that do a job."""
    return children_of(os.getpid(), "pdp.job_child")
