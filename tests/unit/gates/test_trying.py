"""A draft tried out in a process of its own: every fault with its place, tests with the lines they leave out."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from pdp.errors import BundleError, EngineError, EngineTimeoutError
from pdp.gates import draft_tests
from pdp.gates.draft_faults import faults_report
from pdp.gates.draft_tests import mutation_report
from pdp.gates.trying import MAX_REPORT, Order, attempt
from tests.processes import no_further_files, own_child
from tests.revision_files import policy
from tests.unit.gates.small import small_files

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def found(report: dict[str, object]) -> set[tuple[str, int, int, str]]:
    faults: list[dict[str, object]] = report["faults"]  # type: ignore[assignment]
    assert all(fault["ja"] and fault["en"] for fault in faults)
    return {(str(f["file"]), int(f["line"]), int(f["column"]), str(f["code"])) for f in faults}  # type: ignore[call-overload]


async def test_every_kind_of_fault_stands_at_its_line_and_one_does_not_hide_the_others() -> None:
    files = small_files("2026.4", 'input.device.class == "managed_pc"')
    assert (await attempt(Order("check", files)))["faults"] == []
    files["more.rego"] = "package pdp\n\nlost if {\n\tinput.devise.id == 1\n}\n"
    assert found(await faults_report(files)) == {
        ("more.rego", 3, 1, "unreachable_rule"),
        ("more.rego", 4, 2, "misspelt_fact"),
    }
    files["more.rego"] = "package pdp\n\nlost if {\n\tinput.device.\n\n}\n"
    files["data/more.yaml"] = "zta:\n  own: [1\n"
    files["scenarios/one.yaml"] = "id: 三\nsteps: [\n"
    places = found(await faults_report(files))
    assert {(file, code) for file, _, _, code in places} == {
        ("more.rego", "syntax_error"),
        ("data/more.yaml", "bundle_refused"),
        ("scenarios/one.yaml", "scenario_unreadable"),
    }
    assert all(line for _, line, _, _ in places), places
    assert ("more.rego", 4, 15, "syntax_error") in places, "the line that stops in the middle, and not the next"


async def test_what_shows_only_when_it_is_loaded_is_told_with_its_place_too() -> None:
    files = policy("2026.4", more="\nwrong := x if y\n")
    (fault,) = (await faults_report(files))["faults"]
    in_line = {**files, "house/house.rego": "package house\n\nx[a] if {\n\tsome a, b, c in input.d\n}\n"}
    assert ("house/house.rego", 4, 13, "syntax_error") in found(await faults_report(in_line))
    assert (fault["file"], fault["line"] > 0) == ("house/house.rego", True)
    for manifest in ("{", '{"revision": "\\ud800"}', "[]"):
        told = await faults_report({**files, ".manifest": manifest})
        assert ".manifest" in {fault["file"] for fault in told["faults"]}


async def test_tests_are_told_one_by_one_with_the_lines_that_none_of_them_touches() -> None:
    files = policy("2026.4", more="\nother if {\n\tinput.a == 1\n\tinput.b == 2\n}\n")
    files["house/house_test.rego"] += "\ntest_fails if data.house.decision.decision == 7\n"
    files["house/house_test.rego"] += "\ntest_touches if not data.house.other with input as {}\n"
    report = await draft_tests.tests_report(files)
    assert (report["passed"], report["failed"]) == (2, 1)
    assert [one["name"] for one in report["tests"] if not one["passed"]] == ["data.house_test.test_fails"]
    assert report["tests"][0]["where"] == "house/house_test.rego:5"
    (file,) = report["coverage"]["files"]
    assert (file["file"], file["missing"]) == ("house/house.rego", [7])
    assert report["scenarios"] == []


async def test_a_story_that_cannot_be_read_is_told_without_a_path_of_this_host() -> None:
    files = {**small_files("2026.4", "true"), "scenarios/one.yaml": "nonsense: 1\n", "scenarios/two.yaml": "- [\n"}
    told = (await attempt(Order("tests", files)))["scenarios"]
    assert [one["passed"] for one in told] == [False, False]
    assert {Path(one["where"].partition(":")[0]).parent.as_posix() for one in told} == {"scenarios"}
    assert not any("/tmp" in text for one in told for text in (one["where"], *one["faults"]))


async def test_a_draft_that_does_not_end_or_grows_without_bound_is_ended_itself() -> None:
    endless = (
        "\nx contains a if {\n\tsome a in numbers.range(1, 9999)\n\tsome b in numbers.range(1, 9999)\n\ta + b < 0\n}\n"
    )
    files = {**policy("2026.4"), "house/house_test.rego": f"package house_test\n{endless}\ntest_it if count(x) > 1\n"}
    with pytest.raises(EngineTimeoutError, match="it took longer than 1 seconds, and was ended"):
        await attempt(Order("tests", files), most_s=1.0)
    with pytest.raises((EngineError, BundleError)):
        await attempt(Order("tests", policy("2026.4")), memory_bytes=8 * 1024 * 1024)
    waiting = asyncio.create_task(attempt(Order("tests", files)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_mutants_are_counted_and_a_draft_whose_tests_fail_has_none() -> None:
    files = policy("2026.4", more="\nold if input.age > 3\n")
    files["house/house_test.rego"] += '\ntest_old if data.house.old with input as {"age": 9}\n'
    steps: list[tuple[int, int]] = []
    report = await mutation_report(files, lambda done, total: steps.append((done, total)))
    assert report["mutants"] == report["killed"] + report["survived"] + report["stillborn"] > 0
    assert {one["where"] for one in report["survivors"]} == {"old if input.age > 3"}
    assert steps[0][0] == 0 and steps[-1][0] == steps[-1][1] == report["mutants"]
    same = report["survivors"][0]
    why = f"- {{file: house/house.rego, where: '{same['where']}', change: '{same['change']}', why: {{ja: 同, en: same}}}}\n"
    again = await mutation_report({**files, "mutants.yaml": why}, lambda *_: None)
    assert (again["equivalent"], again["survived"]) == (1, report["survived"] - 1)
    files["house/house_test.rego"] += "\ntest_fails if false\n"
    with pytest.raises(BundleError, match="a test fails"):
        await mutation_report(files, lambda *_: None)


async def test_a_small_draft_whose_report_would_be_huge_is_refused_and_not_held_in_the_worker() -> None:
    name = "p" * (MAX_REPORT // 60)
    files = policy("2026.4")
    files["house/long_test.rego"] = f"package {name}\n\n" + "".join(f"test_{n} if true\n" for n in range(64))
    assert sum(map(len, files.values())) < MAX_REPORT // 20
    with pytest.raises(BundleError, match="report"):
        await attempt(Order("tests", files))


async def test_a_process_that_is_killed_or_cannot_be_started_has_no_report_and_says_so() -> None:
    order = Order("tests", policy("2026.4"))
    trying = asyncio.create_task(attempt(order))
    os.kill(await own_child("pdp.gates.trying_child"), signal.SIGKILL)
    with pytest.raises(EngineError, match="the process that tries drafts ended without a report"):
        await trying
    with (
        no_further_files(),
        pytest.raises(EngineError, match="the process that tries drafts cannot be started: Too many open files"),
    ):
        await attempt(order)
