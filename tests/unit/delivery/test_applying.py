"""An apply that is cut off anywhere goes on; one that meets somebody else's change stops; nothing is asked for twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.delivery.applying import Bounds, Hands, apply
from pdp.delivery.journal import Applied, InHand, Journal, Line
from pdp.delivery.plan import Step
from pdp.delivery.planning import make_plan
from pdp.delivery.port import UNSURE, Capabilities, Held, Standing, Thing
from pdp.errors import ConflictError, ConnectorError, ExportError, RecordDamagedError, SettingsError
from tests.unit.delivery.toy import ToyCourier, ToyTenant, inert, let_through, rule

pytestmark = pytest.mark.anyio

STAGED = Capabilities(staging=True)
BEFORE = (
    inert("a", {0, 1}), inert("b", {2}),
    rule("x", "closes", "b", ordered=True), rule("u", "opens", "a", ordered=True), rule("v", "opens", "b", ordered=True),
)  # fmt: skip
AFTER = (
    inert("a", {0}), inert("b", {2}), inert("c", {4, 5}),
    rule("x", "closes", "bc", ordered=True), rule("w", "opens", "c", ordered=True), rule("u", "opens", "a", ordered=True),
    rule("z", "closes", "a", ordered=True),
)  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class KilledError(BaseException):
    """The process ends."""


def in_hand(held: tuple[Held, ...], wanted: tuple[Thing, ...]) -> InHand:
    plan = make_plan(wanted, Standing(held), STAGED, ToyCourier(STAGED).stand_in, vendor="toy", tenant="t", export="e")
    return InHand(plan, held)


async def carry_out(given: InHand, tenant: ToyTenant, journal: Journal, pauses: list[float] | None = None) -> Applied:
    async def sleep(seconds: float) -> None:
        if pauses is not None:
            pauses.append(seconds)

    async def told(_: Step) -> None:
        return None

    return await apply(given, tenant, journal, Hands(lambda: "now", sleep, told), Bounds())


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, "t")


HELD = tuple(Held(one) for one in BEFORE)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_that_is_killed_at_any_write_goes_on_and_nothing_was_ever_wider(
    tmp_path: Path, when: str
) -> None:
    given = in_hand(HELD, AFTER)
    limits = let_through(HELD, default_open=True) | let_through([Held(one) for one in AFTER], default_open=True)
    for cut in range(len(given.plan.steps)):
        journal = Journal(tmp_path, f"t{cut}")

        def kill(now: str, count: int, cut: int = cut) -> None:
            if now == when and count == cut + (when == "after"):
                raise KilledError

        tenant = ToyTenant(HELD, kill)
        with journal.locked():
            journal.take(given)
            with pytest.raises(KilledError):
                await carry_out(given, tenant, journal)
        again = ToyTenant(tenant.held)
        with journal.locked():
            found = journal.in_hand()
            assert found == given
            applied = await carry_out(found, again, journal)
        assert {one.thing.key for one in applied.held} == {one.key for one in AFTER}
        assert journal.in_hand() is None
        assert journal.lines() == []
        for held in (*tenant.history, *again.history):
            assert let_through(held, default_open=True) <= limits
        pushed = any(step.op == "push" for step in given.plan.steps)
        assert not pushed or tenant.jobs + again.jobs == 1


async def test_a_vendor_that_leaves_us_unsure_is_looked_at_before_it_is_asked_again(journal: Journal) -> None:
    given = in_hand(HELD, AFTER)
    unsure = ConnectorError("no answer", fault=UNSURE)
    seen: set[tuple[str, int]] = set()

    def fail(when: str, count: int) -> None:
        if (when, count) not in seen and count % 2 == (when == "after"):
            seen.add((when, count))
            raise unsure

    tenant, pauses = ToyTenant(HELD, fail), list[float]()
    with journal.locked():
        journal.take(given)
        await carry_out(given, tenant, journal, pauses)
    assert len(tenant.history) == len(given.plan.steps)  # what it was, and once for each step but the push
    assert pauses


async def test_a_vendor_that_never_says_ends_the_apply_after_a_few_tries(journal: Journal) -> None:
    given = in_hand(HELD, AFTER)
    tries: list[int] = []

    def fail(_: str, count: int) -> None:
        tries.append(count)
        raise ConnectorError("no answer", fault=UNSURE)

    with journal.locked():
        journal.take(given)
        with pytest.raises(
            ConnectorError, match=r"stopped at step 1, .*0 of .* steps are done, and nothing of it counts"
        ):
            await carry_out(given, ToyTenant(HELD, fail), journal)
    assert len(tries) == Bounds().tries


async def test_a_refusal_is_not_asked_for_again(journal: Journal) -> None:
    def refuse(when: str, count: int) -> None:
        if (when, count) == ("before", 2):
            raise ConnectorError("a limit is reached", fault="refused")

    given, tenant = in_hand(HELD, AFTER), ToyTenant(HELD, refuse)
    with journal.locked():
        journal.take(given)
        with pytest.raises(ConnectorError, match=r"stopped at step 3, .*: a limit is reached") as stopped:
            await carry_out(given, tenant, journal)
    assert "run the same command again" in stopped.value.next_step
    assert tenant.writes == 2


async def test_somebody_elses_change_of_what_comes_next_stops_it(journal: Journal) -> None:
    given, tenant = in_hand(HELD, AFTER), ToyTenant(HELD)
    with journal.locked():
        journal.take(given)
        changed = rule("v", "opens", "a", ordered=True)
        tenant.held = tuple(Held(changed) if one.thing.key == changed.key else one for one in HELD)
        with pytest.raises(ConflictError, match="no longer what this was planned against"):
            await carry_out(given, tenant, journal)
    assert tenant.writes == 0


async def test_a_half_written_line_counts_as_not_written_and_a_damaged_one_is_told(
    tmp_path: Path, journal: Journal
) -> None:
    with journal.locked():
        journal.take(in_hand(HELD, AFTER))
        journal.note(Line(1, "begun", "now"))
        path = tmp_path / "delivery" / "t" / "journal.jsonl"
        path.write_bytes(path.read_bytes() + b'{"step":1,"is":"do')
        assert [line.is_ for line in journal.lines()] == ["begun"]
        journal.note(Line(1, "done", "now"))
        assert [line.is_ for line in journal.lines()] == ["begun", "done"]
        path.write_bytes(b"damaged\n" + path.read_bytes())
        with pytest.raises(RecordDamagedError):
            journal.lines()


async def test_one_apply_at_a_time_and_a_tenants_name_is_no_path(tmp_path: Path, journal: Journal) -> None:
    with journal.locked(), pytest.raises(ConflictError), Journal(tmp_path, "t").locked():
        pass
    for name in ("../x", "", "A", "a/b"):
        with pytest.raises(SettingsError):
            Journal(tmp_path, name)


def test_what_was_not_delivered_from_here_is_not_taken_over_unasked() -> None:
    courier = ToyCourier(STAGED)
    with pytest.raises(ExportError, match="were not delivered from here"):
        make_plan(
            AFTER, Standing(HELD), STAGED, courier.stand_in, vendor="toy", tenant="t", export="e", known=frozenset()
        )


def test_a_plan_that_has_no_safe_order_is_refused() -> None:
    before = (inert("a", {0}), inert("b", {1}), rule("x", "closes", "a"), rule("y", "closes", "b"))
    after = (inert("a", {2}), inert("b", {3}), rule("x", "closes", "a"), rule("y", "closes", "b"))
    with pytest.raises(ExportError, match="no order is safe"):
        in_hand(tuple(Held(one) for one in before), after)


def test_what_may_still_wait_in_the_candidate_is_pushed_though_nothing_is_to_be_changed() -> None:
    courier = ToyCourier(STAGED)
    for unpushed in (True, False):
        plan = make_plan(
            BEFORE, Standing(HELD), STAGED, courier.stand_in, vendor="toy", tenant="t", export="e", unpushed=unpushed
        )
        assert [step.op for step in plan.steps] == (["push"] if unpushed else [])


def test_a_vendor_without_a_state_in_which_rules_do_not_count_has_no_report_only_plan() -> None:
    courier = ToyCourier(STAGED)
    with pytest.raises(ExportError, match="without effect"):
        make_plan(
            AFTER, Standing(HELD), STAGED, courier.stand_in, vendor="toy", tenant="t", export="e", quiet_only=True
        )


def test_a_plan_says_what_it_does_in_both_languages_and_has_one_digest() -> None:
    plan = in_hand(HELD, AFTER).plan
    assert plan.digest == in_hand(HELD, AFTER).plan.digest
    assert all(step.words().ja and step.words().en for step in plan.steps)
    assert [str(key) for key in plan.paused] == ["rule/u"]
    assert plan.steps[-1].op == "push"
