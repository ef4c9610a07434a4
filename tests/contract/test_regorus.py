"""What only the embedded engine promises: it can be neither stalled, nor crashed, nor filled up, nor orphaned."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.engine.evaluator import GRACE_S
from pdp.engine.regorus import RegorusEngine
from pdp.engine.syntax import parse_modules
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineTimeoutError
from tests.processes import children_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

DEADLINE = timedelta(milliseconds=400)
MEMORY = 200 * 1024 * 1024

POLICY = """
package p

default answer := "no"

answer := input.echo

answer := strings.count(input.panic, "")

answer := "endless" if {
	input.endless
	count([1 | some i in numbers.range(1, 30000); some j in numbers.range(1, 30000); i * j < 0]) > 0
}

answer := count(rows) if {
	input.hungry
	rows := [numbers.range(1, 5000) | some _ in numbers.range(1, 30000)]
}

answer := "<undefined>" if input.pretender
"""


def bundle(policy: str = POLICY, **data: Any) -> Any:
    return make_bundle(
        manifest={"revision": "r", "metadata": {"entrypoint": "p/answer"}}, modules={"p.rego": policy}, data=data
    )


def echo(value: Any) -> bytes:
    return json.dumps({"echo": value}).encode()


def evaluators_of(parent: int) -> set[int]:
    return children_of(parent, "regorus_child")


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def wait_until_gone(pids: set[int]) -> bool:
    """Whether all of them have ended within five seconds."""
    for pid in pids:
        try:
            ending = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([ending], [], [], 5.0)[0]:
                return False
        finally:
            os.close(ending)
    return True


@asynccontextmanager
async def engine_with(**options: Any) -> AsyncIterator[RegorusEngine]:
    engine = RegorusEngine(**{"deadline": DEADLINE, **options})
    try:
        await engine.activate(bundle())
        yield engine
    finally:
        await engine.close()


@pytest.fixture
async def engine() -> AsyncIterator[RegorusEngine]:
    async with engine_with() as made:
        yield made


async def answers(engine: RegorusEngine, *documents: bytes) -> list[Any]:
    return [
        said if isinstance(said, EngineError) else json.loads(said) for said in await engine.evaluate(list(documents))
    ]


async def comes_back(engine: RegorusEngine) -> bool:
    """Whether it answers again within some seconds."""
    for _ in range(500):
        (answer,) = await answers(engine, echo(1))
        if answer == 1:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_a_panic_is_one_error_and_a_fresh_process(engine):
    before = evaluators_of(os.getpid())
    first, panic, after = await answers(engine, echo(1), b'{"panic": "xx"}', echo(2))
    assert (first, after) == (1, 2)
    assert isinstance(panic, EngineDiedError)
    assert "panicked" in str(panic)
    assert not before & evaluators_of(os.getpid())


async def test_an_evaluation_that_eats_memory_dies_alone():
    async with engine_with(memory_limit_bytes=MEMORY, deadline=timedelta(seconds=10)) as engine:
        first, hungry, after = await answers(engine, echo(1), b'{"hungry": true}', echo(2))
        assert (first, after) == (1, 2)
        assert isinstance(hungry, EngineDiedError)
        assert "allocation" in str(hungry)


async def test_a_policy_cannot_pretend_to_be_undefined_nor_be_taken_for_a_value(engine):
    (pretender,) = await answers(engine, b'{"pretender": true}')
    assert isinstance(pretender, EngineError)


async def test_a_document_that_ended_a_process_is_not_tried_again(engine):
    """Two processes are used up by two endless documents: a second try would need more, and more time."""
    seen = set(evaluators_of(os.getpid()))
    running = asyncio.ensure_future(
        answers(engine, b'{"endless": 1}', echo(1), b'{"endless": 2}', *map(echo, range(2, 40)))
    )
    while not running.done():
        seen |= evaluators_of(os.getpid())
        await asyncio.sleep(0.01)
    said = running.result()
    assert [type(one) for one in said[:3]] == [EngineTimeoutError, int, EngineTimeoutError]
    assert said[3:] == list(range(2, 40))
    assert len(seen | evaluators_of(os.getpid())) == 3


async def test_the_deadline_holds_although_the_service_blocks_the_alarm_signal():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    former = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    try:
        await the_kernel_ends_an_endless_evaluation()
    finally:
        signal.signal(signal.SIGALRM, former)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})


async def test_the_kernel_ends_an_evaluation_long_before_the_service_would():
    await the_kernel_ends_an_endless_evaluation()


async def the_kernel_ends_an_endless_evaluation() -> None:
    async with engine_with(deadline=timedelta(milliseconds=50)) as engine:
        loop = asyncio.get_running_loop()
        began = loop.time()
        (endless,) = await answers(engine, b'{"endless": 1}')
        assert isinstance(endless, EngineTimeoutError)
        assert loop.time() - began < 0.05 + GRACE_S * 0.8


async def test_signals_to_the_whole_group_do_not_end_an_evaluator(engine):
    before = evaluators_of(os.getpid())
    for pid in before:
        os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGTERM)
    assert await answers(engine, echo(1)) == [1]
    assert evaluators_of(os.getpid()) == before


async def test_the_secrets_of_the_service_are_not_in_the_evaluators_environment(monkeypatch):
    monkeypatch.setenv("PDP_OPA_TOKEN", "a-secret-of-the-service")
    before = evaluators_of(os.getpid())
    async with engine_with():
        environments = [environment_of(pid) for pid in evaluators_of(os.getpid()) - before]
    assert environments
    assert not any(b"a-secret-of-the-service" in environment for environment in environments)


async def test_several_evaluators_work_at_the_same_time():
    async with engine_with(children=3) as engine:
        loop = asyncio.get_running_loop()
        began = loop.time()
        said = await answers(engine, *[b'{"endless": true}'] * 3, *map(echo, range(30)))
        took = loop.time() - began
    assert [type(one) for one in said[:3]] == [EngineTimeoutError] * 3
    assert said[3:] == list(range(30))
    assert took < 2.5 * DEADLINE.total_seconds()


async def test_a_worker_begins_with_one_process_and_needs_no_other_while_nobody_waits():
    async with engine_with(children=3) as engine:
        first = evaluators_of(os.getpid())
        assert len(first) == 1
        for number in range(50):
            assert await answers(engine, echo(number)) == [number]
        assert evaluators_of(os.getpid()) == first


async def test_behind_a_document_that_does_not_end_another_process_is_started_and_answers():
    async with engine_with(children=2, deadline=timedelta(seconds=30)) as engine:
        first = evaluators_of(os.getpid())
        endless = asyncio.create_task(engine.evaluate([b'{"endless": 1}']))
        await asyncio.sleep(0)  # it is asked first
        for number in range(20):
            assert await answers(engine, echo(number)) == [number]
        assert not endless.done()
        assert len(evaluators_of(os.getpid()) - first) == 1
        endless.cancel()


async def test_however_many_wait_no_more_processes_are_started_than_were_allowed():
    before = evaluators_of(os.getpid())
    async with engine_with(children=2) as engine:
        running = asyncio.create_task(answers(engine, *[b'{"endless": true}'] * 4, *map(echo, range(40))))
        most = 0
        while not running.done():
            most = max(most, len(evaluators_of(os.getpid()) - before))
            await asyncio.sleep(0.01)
        assert [type(one) for one in running.result()] == [EngineTimeoutError] * 4 + [int] * 40
        assert most == 2


async def test_a_process_that_is_started_later_and_fails_takes_nothing_from_the_first(tmp_path):
    python, tried = tmp_path / "python", tmp_path / "tried"
    python.symlink_to(sys.executable)
    async with engine_with(children=2, deadline=timedelta(seconds=30), python=str(python)) as engine:
        (first,) = evaluators_of(os.getpid())
        python.unlink()
        python.write_text(f"#!/bin/sh\ntouch {tried}\nexit 1\n")
        python.chmod(0o700)
        os.kill(first, signal.SIGSTOP)
        asked = asyncio.create_task(answers(engine, *map(echo, range(20))))
        async with asyncio.timeout(20):
            while not tried.exists():  # noqa: ASYNC110  # another process does it
                await asyncio.sleep(0.01)
        os.kill(first, signal.SIGCONT)
        assert await asked == list(range(20))
        assert evaluators_of(os.getpid()) == {first}


async def test_a_process_that_is_on_its_way_when_the_engine_closes_does_not_stay():
    async with engine_with(children=2, deadline=timedelta(seconds=30)) as engine:
        asked = asyncio.create_task(answers(engine, b'{"endless": 1}', echo(1)))
        async with asyncio.timeout(20):
            while len(found := evaluators_of(os.getpid())) < 2:  # noqa: ASYNC110  # the kernel knows
                await asyncio.sleep(0)
        await engine.close()
        assert all(isinstance(one, EngineError) for one in await asked)
        assert await asyncio.to_thread(wait_until_gone, found)


async def test_of_several_evaluators_all_are_replaced_or_none():
    async with engine_with(children=2) as engine:
        before = evaluators_of(os.getpid())
        with pytest.raises(BundleError):
            await engine.activate(bundle("package p\n\nanswer := x\n"))
        assert await asyncio.to_thread(wait_until_gone, evaluators_of(os.getpid()) - before)
        assert evaluators_of(os.getpid()) == before
        await engine.activate(bundle(POLICY + "\n# another\n"))
        assert await answers(engine, *map(echo, range(20))) == list(range(20))
        assert await asyncio.to_thread(wait_until_gone, before)


async def test_lines_longer_than_a_screen_are_read(engine):
    names = ", ".join(f'"{number:010d}"' for number in range(2_000))
    await engine.activate(bundle(f"package p\n\nanswer := input.echo in {{{names}}}\n"))
    assert await answers(engine, echo("0000001999"), echo("nobody")) == [True, False]


async def test_who_asks_while_too_many_wait_is_told_at_once():
    async with engine_with(max_waiting=10) as engine:
        first = asyncio.create_task(engine.evaluate([b'{"endless": 1}', *map(echo, range(40))]))
        await asyncio.sleep(0)
        (refused,) = await answers(engine, echo(1))
        assert isinstance(refused, EngineError)
        assert "wait" in str(refused)
        await first


async def test_who_waits_too_long_for_a_turn_is_told():
    async with engine_with(patience=timedelta(milliseconds=300)) as engine:
        said = await answers(engine, *[b'{"endless": true}'] * 3, echo(1))
        assert all(isinstance(one, EngineTimeoutError) for one in said)
        assert "turn" in str(said[-1])
        assert await comes_back(engine)


async def test_an_engine_that_cannot_start_its_process_says_so_and_is_not_the_bundles_fault():
    engine = RegorusEngine(deadline=DEADLINE, python="/nowhere/python")
    with pytest.raises(EngineError) as refusal:
        await engine.activate(bundle())
    assert "/nowhere" not in str(refusal.value)
    await engine.close()


async def test_an_evaluator_that_cannot_be_replaced_costs_errors_until_it_can(tmp_path):
    python = tmp_path / "python"
    python.symlink_to(sys.executable)
    async with engine_with(python=str(python)) as engine:
        python.unlink()
        (endless,) = await answers(engine, b'{"endless": 1}')
        (missing,) = await answers(engine, echo(1))
        assert isinstance(endless, EngineTimeoutError)
        assert isinstance(missing, EngineDiedError)
        python.symlink_to(sys.executable)
        assert await comes_back(engine)


@pytest.mark.parametrize(("deadline_ms", "children"), [(0, 1), (-1, 1), (100, 0), (100, 65)])
def test_limits_that_are_none_are_refused(deadline_ms, children):
    with pytest.raises(ValueError, match="deadline"):
        RegorusEngine(timedelta(milliseconds=deadline_ms), children)


ORPHAN = """
import asyncio, sys
from tests.contract.test_regorus import DEADLINE, RegorusEngine, bundle

async def main():
    engine = RegorusEngine(deadline=DEADLINE)
    await engine.activate(bundle())
    print("ready", flush=True)
    if sys.argv[1] == "busy":
        asyncio.create_task(engine.evaluate([b'{"endless": true}'] * 50))
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["idle", "busy", "stopped"])
def test_an_evaluator_does_not_outlive_a_killed_service(state):
    root = Path(__file__).parents[2]
    service = subprocess.Popen([sys.executable, "-c", ORPHAN, state], stdout=subprocess.PIPE, cwd=root)
    try:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        children = evaluators_of(service.pid)
        for child in children if state == "stopped" else ():
            os.kill(child, signal.SIGSTOP)
    finally:
        service.kill()
        service.wait()
        service.stdout.close()
    assert len(children) == 1
    assert wait_until_gone(children)


# --- the parser


def test_modules_that_would_hang_or_crash_a_parser_are_named_and_the_others_are_read():
    modules = {
        "a.rego": "package a\n\nx := 1\n",
        "chain.rego": "package b\n\nx := 1" + " + 1" * 200_000 + "\n",
        "cut.rego": "package c\n\nx := {\n",
        "z.rego": "package z\n\nx := 1\n",
    }
    parsed, broken = parse_modules(modules)
    assert [module.name for module in parsed] == ["a.rego", "z.rego"]
    assert {fault.name: fault.line for fault in broken} == {"chain.rego": 0, "cut.rego": 4}


def test_a_module_that_takes_the_parser_exponential_time_is_given_up():
    parsed, broken = parse_modules({"deep.rego": "package a\n\nx := " + "[" * 100 + "]" * 100 + "\n"})
    assert parsed == []
    assert "did not finish" in broken[0].message
