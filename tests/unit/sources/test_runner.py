"""One run is whole or nothing, whatever the source, the store or another process does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import select, text

from connectors.port import Page, Refused
from pdp.directory.changes import change
from pdp.directory.reading import read_registers
from pdp.directory.registers import Registers
from pdp.directory.snapshot import load_snapshot, refresh_snapshot
from pdp.errors import ConnectorError, DirectoryError
from pdp.model.directory import PostureReport
from pdp.model.source import SourceSettings
from pdp.sources import applying, gathering, register
from pdp.sources.approval import approve, forget, latest_runs, reject, waiting
from pdp.sources.runner import Source, enrol_all
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.unit.sources.simulated import NOW, Simulated, Stage, Step, report, settings, user

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


def reports(*numbers: int, **facts: Any) -> Page[Any]:
    return Page(tuple(report({"serial": f"SN-{n}"}, **facts) for n in numbers))


def people(*numbers: int, **fields: Any) -> Page[Any]:
    return Page(tuple(user(f"u-{n}", **fields) for n in numbers))


def mdm(stage: Stage, *scripts: list[Step], connector: Simulated | None = None, **values: Any) -> Source:
    connector = connector or Simulated(list(scripts))
    return enrolled(stage, Source(settings(**values), "posture", connector))


def ldap(stage: Stage, *scripts: list[Step], **values: Any) -> Source:
    return enrolled(stage, Source(settings(name="ldap", kind="ldap", **values), "identity", Simulated(list(scripts))))


def enrolled(stage: Stage, source: Source) -> Source:
    enrol_all(stage.store, [(source.settings, source.brings)], stage.clock())
    return source


def asked(source: Source) -> list[str | None]:
    assert isinstance(source.connector, Simulated)
    return source.connector.asked


def row_of(store: Store, name: str = "mdm") -> register.SourceRow:
    with store.read() as connection:
        row = register.read_row(connection, name)
    assert row is not None
    return row


def held(store: Store) -> Registers:
    with store.read() as connection:
        return read_registers(connection)


# --- what a good run does


async def test_a_run_brings_what_its_source_said_and_tells_the_workers(stage: Stage) -> None:
    before = load_snapshot(stage.store)
    source = mdm(stage, [reports(0, 1), reports(2, tampered=True)])
    ending = await stage.runner(source).run(source)
    assert (ending.outcome, ending.counts["added"]) == ("applied", 3)
    after = refresh_snapshot(stage.store, before)
    assert after.devices["d-2"].posture == PostureReport(tampered=True, observed_at=NOW - HOUR, source="mdm")
    assert stage.told == [after.epoch]
    (health,) = after.sources
    assert (health.state(NOW), health.rows, health.fault, health.last_success_at) == ("ok", 3, None, NOW)
    assert after.devices == load_snapshot(stage.store).devices


async def test_the_cursor_of_a_run_is_what_the_next_one_goes_on_from(stage: Stage) -> None:
    source = mdm(stage, connector=Simulated([[reports(0, 1)], [reports(1, tampered=True)], []], cursors=["a", "b"]))
    runner = stage.runner(source)
    for _ in range(3):
        await runner.run(source)
    assert asked(source) == [None, "a", "b"]
    assert set(held(stage.store).posture) == {"d-0 mdm", "d-1 mdm"}
    assert load_snapshot(stage.store).devices["d-1"].posture.tampered is True


async def test_a_run_for_everything_is_asked_for_when_its_time_has_come_or_somebody_says_so(stage: Stage) -> None:
    source = mdm(stage, [reports(0)], full_every_s=3_600)
    runner = stage.runner(source)
    await runner.run(source)
    await runner.run(source)
    stage.clock.now += HOUR
    await runner.run(source)
    await runner.run(source, full=True)
    assert asked(source) == [None, "cursor-1", None, None]


async def test_other_settings_make_the_cursor_worthless(stage: Stage) -> None:
    source = mdm(stage, [reports(0)])
    await stage.runner(source).run(source)
    again = mdm(stage, connector=source.connector, facts=["tampered"])  # type: ignore[arg-type]
    await stage.runner(again).run(again)
    assert asked(source) == [None, None]


async def test_a_page_that_comes_twice_changes_nothing(stage: Stage) -> None:
    source = mdm(stage, [reports(0, 1), reports(0, 1), reports(2)])
    ending = await stage.runner(source).run(source)
    assert (ending.counts["added"], ending.counts["twice"]) == (3, 2)


async def test_what_was_learnt_finds_the_device_by_that_name_alone(stage: Stage) -> None:
    both = Page((report({"serial": "SN-4", "vendor_id": "9"}),))
    alone = Page((report({"vendor_id": "9"}, tampered=True, age=timedelta(0)),))
    source = mdm(stage, [both], [alone], learn_aliases=["vendor_id"])
    for _ in range(2):
        await stage.runner(source).run(source)
    assert load_snapshot(stage.store).devices["d-4"].posture.tampered is True


async def test_an_incremental_run_holds_a_record_against_all_that_is_known_of_its_device(stage: Stage) -> None:
    impostor = Page((report({"serial": "private", "host_name": "PC-3"}),))
    source = mdm(stage, [reports(3)], [impostor])
    runner = stage.runner(source)
    await runner.run(source)
    ending = await runner.run(source)
    assert ending.counts["contradicted"] == 1
    assert ending.outcome == "unchanged"


async def test_people_belong_to_the_source_that_brought_them(stage: Stage) -> None:
    with change(stage.store, NOW) as inside:
        inside.put_user(user("u-9", name="imported"))
    first = ldap(stage, [people(1, 2, 9)])
    assert (await stage.runner(first).run(first)).counts["conflict"] == 1
    other = enrolled(stage, Source(settings(name="hr", kind="csv_drop"), "identity", Simulated([[people(2, 3)]], "hr")))
    assert (await stage.runner(other).run(other)).counts["conflict"] == 1
    found = load_snapshot(stage.store).users
    assert found["u-9"].name == "imported"
    assert set(found) == {"u-1", "u-2", "u-3", "u-9"}
    with stage.store.read() as connection:
        owners = dict(connection.execute(select(tables.source_users.c.user_id, tables.source_users.c.source)).all())  # type: ignore[arg-type]
    assert owners == {"u-1": "ldap", "u-2": "ldap", "u-3": "hr"}


async def test_a_run_takes_away_only_what_its_own_source_had_said(stage: Stage) -> None:
    with change(stage.store, NOW) as inside:
        inside.report_posture("d-0", PostureReport(tampered=False, observed_at=NOW, source="asset"))
    source = mdm(stage, [reports(0, 1)], [reports(1)])
    for _ in range(2):
        await stage.runner(source).run(source, full=True)
    assert set(held(stage.store).posture) == {"d-0 asset", "d-1 mdm"}


# --- what a bad run does not


STEPS: list[tuple[str, Step]] = [
    ("unreachable", ConnectorError("the source does not answer", fault="unreachable")),
    ("internal", KeyError("value")),
    ("internal", ValueError("a secret stands here: hunter2")),
    ("timeout", TimeoutError()),
]


@pytest.mark.parametrize(("code", "step"), STEPS)
@pytest.mark.parametrize("page", [0, 1, 2])
async def test_a_connector_that_dies_at_any_page_changes_nothing_but_its_health(
    stage: Stage, code: str, step: Step, page: int
) -> None:
    good: list[Step] = [reports(0), reports(1)]
    source = mdm(stage, good, [*[reports(2), reports(3)][:page], step])
    runner = stage.runner(source)
    await runner.run(source)
    before, row = held(stage.store), row_of(stage.store)
    ending = await runner.run(source, full=True)
    assert (ending.outcome, ending.fault) == ("failed", code)
    assert held(stage.store) == before
    after = row_of(stage.store)
    assert (after.cursor, after.last_success_at, after.failures) == (row.cursor, row.last_success_at, 1)
    assert (after.fault, after.faults) == (code, {code: 1})
    assert "hunter2" not in after.fault_text + ending.text
    assert isinstance(source.connector, Simulated)
    assert source.connector.closed == 2  # its pages were closed, so its connections are


async def test_every_failure_counts_and_the_next_success_forgets_the_fault_and_not_the_count(stage: Stage) -> None:
    fault = ConnectorError("no", fault="refused")
    source = mdm(stage, [fault], [fault], [reports(0)])
    for _ in range(3):
        await stage.runner(source).run(source)
    row = row_of(stage.store)
    assert (row.failures, row.fault, row.faults) == (0, None, {"refused": 2})
    assert [run[2:4] for run in latest_runs(stage.store, "mdm", 9)] == [
        ("applied", None), ("failed", "refused"), ("failed", "refused"),
    ]  # fmt: skip


async def test_a_source_that_hangs_is_left_when_its_time_is_over(stage: Stage) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    source = mdm(stage, [reports(0), hang])
    shorter = SourceSettings(name="mdm", kind="intune", timeout_s=0)  # than a file may say: no test waits for it
    ending = await stage.runner(source).run(Source(shorter, "posture", source.connector))
    assert (ending.outcome, ending.fault) == ("failed", "timeout")
    assert held(stage.store).posture == {}


async def test_a_run_that_is_cancelled_while_it_reads_changes_nothing_and_frees_the_source(stage: Stage) -> None:
    reading = asyncio.Event()

    async def hang() -> None:
        reading.set()
        await asyncio.Event().wait()

    source = mdm(stage, [reports(0), hang], [reports(0)])
    before = held(stage.store)
    task = asyncio.create_task(stage.runner(source).run(source))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert held(stage.store) == before
    assert row_of(stage.store).lease_holder is None
    assert (await stage.runner(source, holder="runner-2").run(source)).outcome == "applied"


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_run_that_is_cancelled_at_any_moment_is_there_whole_or_not_at_all(stage: Stage, turns: int) -> None:
    source = mdm(stage, [reports(0, 1), reports(2, 3)])
    task = asyncio.create_task(stage.runner(source).run(source))
    for turn in range(turns):
        await asyncio.sleep(turn / 10_000)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    posture, row = held(stage.store).posture, row_of(stage.store)
    assert (len(posture), row.cursor) in ((0, None), (4, "cursor-1"))
    assert row.lease_holder is None  # whoever comes next need not wait for the lease's end


@pytest.mark.parametrize(
    ("bound", "pages"),
    [
        ("MAX_ROWS", [reports(*range(8)), reports(*range(8, 11))]),
        ("MAX_ROWS", [Page((), removed=tuple(f"v-{n}" for n in range(11)))]),
        ("MAX_PAGES", [Page(())] * 11),
        ("MAX_REFUSED_KEPT", [Page((), refused=tuple(Refused("x") for _ in range(11)))]),
    ],
)
async def test_a_source_that_gives_more_than_it_can_have_counts_for_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, bound: str, pages: list[Step]
) -> None:
    monkeypatch.setattr(gathering, bound, 10)
    source = mdm(stage, pages)
    assert (await stage.runner(source).run(source)).fault == "too_large"
    assert held(stage.store).posture == {}


async def test_a_cursor_that_cannot_be_one_counts_for_nothing(stage: Stage) -> None:
    source = mdm(stage, connector=Simulated([[reports(0)]], cursors=["x" * (gathering.MAX_CURSOR + 1)]))
    assert (await stage.runner(source).run(source)).fault == "malformed"


async def test_a_store_that_is_gone_is_an_error_and_not_a_fault_of_the_source(stage: Stage) -> None:
    async def break_it() -> None:
        with stage.store.write() as connection:
            connection.execute(text("ALTER TABLE posture_reports RENAME TO elsewhere"))

    source = mdm(stage, [reports(0), break_it])
    with pytest.raises(DirectoryError):
        await stage.runner(source).run(source)
    row = row_of(stage.store)
    assert (row.fault, row.cursor, row.lease_holder) == (None, None, None)


# --- two processes


async def test_two_processes_do_not_run_one_source_at_once(stage: Stage) -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        reading.set()
        await go_on.wait()

    source = mdm(stage, [wait, reports(0)], [reports(1)])
    first = asyncio.create_task(stage.runner(source).run(source))
    await reading.wait()
    assert (await stage.runner(source, holder="runner-2").run(source)).outcome == "busy"
    go_on.set()
    assert (await first).outcome == "applied"
    assert (await stage.runner(source, holder="runner-2").run(source)).outcome == "applied"


async def test_a_process_that_slept_through_its_lease_writes_nothing(stage: Stage) -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def sleep_long() -> None:
        reading.set()
        await go_on.wait()

    source = mdm(stage, [reports(0), sleep_long], [reports(1, 2)])
    slow = asyncio.create_task(stage.runner(source).run(source))
    await reading.wait()
    stage.clock.now += register.LEASE
    assert (await stage.runner(source, holder="runner-2").run(source)).outcome == "applied"
    after = row_of(stage.store)
    go_on.set()
    ending = await slow
    assert (ending.outcome, ending.fault) == ("failed", "lease_lost")
    assert set(held(stage.store).posture) == {"d-1 mdm", "d-2 mdm"}
    assert row_of(stage.store) == after  # not even its failure counts: the other one is who runs the source


# --- schedules


async def test_a_runner_keeps_its_sources_at_their_times(stage: Stage) -> None:
    source = mdm(stage, [reports(0)], interval_s=60)
    runs: list[Any] = []

    async def sleep(seconds: float) -> None:
        stage.clock.now += timedelta(seconds=seconds)
        runs.append((stage.clock.now, len(asked(source))))
        if len(asked(source)) == 3:
            raise asyncio.CancelledError

    around = stage.around()
    object.__setattr__(around, "sleep", sleep)
    task = asyncio.create_task(type(stage.runner())([source], around).forever())
    await asyncio.gather(task, return_exceptions=True)
    starts = [min(at for at, count in runs if count == number) for number in (1, 2, 3)]
    gaps = [(b - a).total_seconds() for a, b in pairwise(starts)]
    assert all(60 <= gap <= 60 * 1.1 + 10 for gap in gaps), gaps


async def test_a_store_that_does_not_answer_ends_no_runner(stage: Stage) -> None:
    source = mdm(stage, [reports(0)])
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            with stage.store.write() as connection:
                connection.execute(text("ALTER TABLE elsewhere RENAME TO sources"))
        if asked(source):
            raise asyncio.CancelledError

    with stage.store.write() as connection:
        connection.execute(text("ALTER TABLE sources RENAME TO elsewhere"))
    around = stage.around()
    object.__setattr__(around, "sleep", sleep)
    task = asyncio.create_task(type(stage.runner())([source], around).forever())
    await asyncio.gather(task, return_exceptions=True)
    assert waits[0] == 15.0
    assert set(held(stage.store).posture) == {"d-0 mdm"}


# --- removals


def many(*missing: int) -> list[Step]:
    return [reports(*(n for n in range(60) if n not in missing))]


async def test_a_run_that_would_take_away_too_much_stops_and_asks(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(21)))
    runner = stage.runner(source)
    await runner.run(source)
    before, row = held(stage.store), row_of(stage.store)
    ending = await runner.run(source, full=True)
    assert (ending.outcome, ending.fault) == ("stopped", "removals_pending")
    assert held(stage.store) == before
    plan, _, state = waiting(stage.store, "mdm")
    assert (plan.gone, plan.disabled, plan.of, state) == (21, 0, 60, "pending")
    assert plan.samples[:2] == ["d-0", "d-1"]
    after = row_of(stage.store)
    assert (after.cursor, after.last_success_at) == (row.cursor, row.last_success_at)
    assert load_snapshot(stage.store).sources[0].pending


async def test_twenty_rows_may_always_go(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(20)))
    for _ in range(2):
        ending = await stage.runner(source).run(source, full=True)
    assert ending.outcome == "applied"
    assert len(held(stage.store).posture) == 40


async def test_an_approved_removal_passes_once_and_without_waiting_for_its_time(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(30)), many(*range(30)), many(), many(*range(30)))
    runner = stage.runner(source)
    await runner.run(source)
    await runner.run(source, full=True)
    approve(stage.store, "mdm", by="operator", now=NOW)
    assert (await runner.run(source)).outcome == "applied"  # not asked to be full: the approval makes it so
    assert asked(source)[-1] is None
    assert len(held(stage.store).posture) == 30
    assert row_of(stage.store).plan is None
    await runner.run(source, full=True)
    assert (await runner.run(source, full=True)).outcome == "stopped"  # once is once


@pytest.mark.parametrize("other", [range(31), range(1, 31), range(29)])
async def test_an_approval_is_of_these_rows_and_no_others(stage: Stage, other: range) -> None:
    source = mdm(stage, many(), many(*range(30)), many(*other))
    runner = stage.runner(source)
    await runner.run(source)
    await runner.run(source, full=True)
    approve(stage.store, "mdm", by="operator", now=NOW)
    assert (await runner.run(source)).outcome == "stopped"
    assert len(held(stage.store).posture) == 60
    assert waiting(stage.store, "mdm")[2] == "pending"


async def test_an_approval_does_not_hold_for_ever(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(30)))
    await stage.runner(source).run(source)
    await stage.runner(source).run(source, full=True)
    approve(stage.store, "mdm", by="operator", now=NOW)
    stage.clock.now += register.APPROVAL
    assert (await stage.runner(source).run(source)).outcome == "stopped"


async def test_a_rejected_removal_is_not_asked_for_again_and_not_done(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(30)))
    await stage.runner(source).run(source)
    await stage.runner(source).run(source, full=True)
    reject(stage.store, "mdm", by="operator", now=NOW)
    ending = await stage.runner(source).run(source, full=True)
    assert (ending.outcome, ending.fault) == ("stopped", "removals_rejected")
    assert not load_snapshot(stage.store).sources[0].pending
    assert len(held(stage.store).posture) == 60


async def test_a_feed_that_is_whole_again_needs_no_answer(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(30)), many())
    for _ in range(3):
        ending = await stage.runner(source).run(source, full=True)
    assert ending.outcome == "unchanged"
    assert row_of(stage.store).plan_state == "none"


async def test_runs_of_changes_go_on_while_a_removal_waits(stage: Stage) -> None:
    source = mdm(stage, many(), many(*range(30)), [reports(5, tampered=True, age=timedelta(0))])
    runner = stage.runner(source)
    await runner.run(source)
    await runner.run(source, full=True)
    assert (await runner.run(source)).outcome == "applied"
    assert asked(source)[-1] == "cursor-1"
    assert load_snapshot(stage.store).devices["d-5"].posture.tampered is True
    assert waiting(stage.store, "mdm")[2] == "pending"


async def test_a_feed_that_ends_everybody_is_a_removal_too(stage: Stage) -> None:
    source = ldap(stage, [people(*range(100))], [people(*range(100), status="ended")])
    await stage.runner(source).run(source)
    ending = await stage.runner(source).run(source)
    assert ending.outcome == "stopped"
    plan, *_ = waiting(stage.store, "ldap")
    assert (plan.disabled, plan.gone, plan.of) == (100, 0, 100)
    assert load_snapshot(stage.store).users["u-1"].status == "active"


async def test_a_run_of_changes_is_bounded_by_all_that_the_source_owns(stage: Stage) -> None:
    source = ldap(stage, [people(*range(600))], [people(*range(29), status="ended")])
    await stage.runner(source).run(source)
    assert (await stage.runner(source).run(source)).outcome == "applied"  # 29 of 600: below five per cent


async def test_forgetting_a_source_takes_its_reports_and_leaves_its_people(stage: Stage) -> None:
    source = mdm(stage, many())
    await stage.runner(source).run(source)
    assert forget(stage.store, "mdm", NOW) == 60
    assert held(stage.store).posture == {}
    assert load_snapshot(stage.store).sources == ()
    staff = ldap(stage, [people(1)])
    await stage.runner(staff).run(staff)
    assert forget(stage.store, "ldap", NOW) == 0
    assert set(load_snapshot(stage.store).users) == {"u-1"}


# --- health


async def test_a_required_source_that_never_succeeded_makes_its_facts_unavailable(stage: Stage) -> None:
    mdm(stage, [], required=True)
    found = load_snapshot(stage.store)
    assert (found.posture_missing, found.identity_missing) == (True, False)


async def test_a_required_source_is_good_until_it_has_been_silent_too_long(stage: Stage) -> None:
    source = mdm(stage, [reports(0)], required=True, down_after_s=3_600)
    await stage.runner(source).run(source)
    found = load_snapshot(stage.store)
    assert (found.posture_missing, found.posture_until) == (False, NOW + HOUR)
    states = [found.sources[0].state(NOW + after) for after in (HOUR / 2, HOUR)]
    assert states == ["ok", "down"]


async def test_the_age_of_a_run_counts_from_when_the_source_was_asked(stage: Stage) -> None:
    async def slow() -> None:
        stage.clock.now += timedelta(minutes=10)

    source = mdm(stage, [slow, reports(0)])
    await stage.runner(source).run(source)
    assert row_of(stage.store).last_success_at == NOW


async def test_a_source_that_is_configured_no_longer_has_no_say(stage: Stage) -> None:
    mdm(stage, [], required=True)
    other = settings(name="edr", kind="fleet")
    enrol_all(stage.store, [(other, "posture")], NOW)
    found = load_snapshot(stage.store)
    assert ([source.name for source in found.sources], found.posture_missing) == (["edr"], False)


async def test_a_name_cannot_bring_people_today_and_posture_tomorrow(stage: Stage) -> None:
    mdm(stage, [])
    with pytest.raises(DirectoryError, match="brought something else"):
        enrol_all(stage.store, [(settings(), "identity")], NOW)


async def test_what_was_not_found_is_remembered_from_the_last_complete_run(stage: Stage) -> None:
    strangers = Page((report({"serial": "sn-404"}), report({"serial": "sn-1", "host_name": "pc-2"})))
    source = mdm(stage, [reports(0), strangers], [reports(0)])
    for _ in range(2):
        await stage.runner(source).run(source)
    (health,) = load_snapshot(stage.store).sources
    assert health.unmatched == 2
    assert row_of(stage.store).seen.samples == {
        "unknown": ["serial=sn-404"],
        "ambiguous": ["serial=sn-1, host_name=pc-2"],
    }


async def test_only_so_many_runs_are_remembered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "RUNS_KEPT", 3)
    source = mdm(stage, [reports(0)])
    for _ in range(6):
        await stage.runner(source).run(source)
    assert len(latest_runs(stage.store, "mdm", 99)) == 3


async def test_reading_few_and_reading_all_come_to_the_same(
    store: Store, stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def script() -> list[list[Step]]:
        odd = Page((report({"serial": "private", "host_name": "pc-3"}), report({"serial": "sn-404"})))
        later = [reports(1, tampered=True, age=timedelta(0)), odd, Page((), removed=("d-2",))]
        return [[reports(0, 1, 2)], later]

    def other_stage() -> Stage:
        import shutil

        copied = shutil.copy(tmp_path / "sekisho.db", tmp_path / "other.db")
        return Stage(open_store(f"sqlite:///{copied}"))

    stage.store.close()
    second = other_stage()
    endings: list[Callable[[], Any]] = []
    for limit, where in ((1_000, stage), (0, second)):
        monkeypatch.setattr(applying, "FEW", limit)
        source = mdm(where, *script())
        for _ in range(2):
            ending = await where.runner(source).run(source)
        endings.append(ending.counts)  # type: ignore[arg-type]
    assert endings[0] == endings[1]
    assert held(stage.store) == held(second.store)
    assert set(held(stage.store).posture) == {"d-0 mdm", "d-1 mdm"}
    second.store.close()


async def test_a_connector_that_makes_up_words_for_its_faults_fills_nothing(stage: Stage) -> None:
    raised = [[ConnectorError(f"no {n}\x00\x1b[31m", fault=f"fault-{n}-{'x' * 99}")] for n in range(40)]
    source = mdm(stage, *raised, [Page((), refused=tuple(Refused(f"code-{n}", f"d-{n}") for n in range(500)))])
    for _ in range(41):
        await stage.runner(source).run(source)
    row = row_of(stage.store)
    assert len(row.faults) == register.MAX_CODES + 1
    assert row.faults[register.OTHER] == 8
    assert all(len(code) <= register.MAX_CODE for code in row.faults)
    assert len(row.seen.counts) < 80
    assert row.seen.counts["refused_other"] > 400
