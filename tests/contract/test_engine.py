"""The port `Engine`: what regorus in its child processes and a real OPA server do alike."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.engine.opa_server import OpaServerEngine
from pdp.engine.port import MAX_DOCUMENT_BYTES
from pdp.engine.regorus import RegorusEngine
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineSupersededError, EngineTimeoutError
from tests.processes import children_of
from tests.servers import OpaServer, opa_server, wait_until_stopped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine

pytestmark = pytest.mark.anyio

DEADLINE = timedelta(seconds=15)  # nothing here should take so long, also on a busy machine
SHORT = timedelta(milliseconds=400)  # where something is meant not to end
meets_the_deadline = pytest.mark.parametrize("deadline", [SHORT], ids=["short"])
RECOVERY_S = 8.0

POLICY = """
package contract

import data.contract.words as w

answer := {"echo": input.value, "revision": data.revision, "word": w.shout("a")} if input.case == "echo"

answer := null if input.case == "null"

answer := 1 if input.case == "conflict"

answer := 2 if input.case == "conflict"

answer := to_number(input.value) if input.case == "builtin error"

answer := count(steps) if {
	input.case == "endless"
	steps := [1 | some i in numbers.range(1, 30000); some j in numbers.range(1, 30000); i * j < 0]
}

answer := "refused" if {
	input.case == "erring condition"
	not tolerated
}

tolerated if to_number(input.value) > 3
"""

WORDS = """
package contract.words

shout(x) := sprintf("%v!", [x])
"""


def bundle(revision: str = "r1", policy: str = POLICY, **data: Any) -> Bundle:
    return make_bundle(
        manifest={"revision": revision, "metadata": {"entrypoint": "contract/answer"}},
        modules={"contract.rego": policy, "contract/words.rego": WORDS},
        data={"revision": revision, **data},
    )


def ask(case: str, value: Any = None) -> bytes:
    return json.dumps({"case": case, "value": value}, ensure_ascii=False).encode()


def echo_of(answer: bytes | EngineError) -> Any:
    assert isinstance(answer, bytes), answer
    return json.loads(answer)["echo"]


def revisions(answers: Sequence[bytes | EngineError]) -> set[str]:
    assert all(isinstance(answer, bytes) for answer in answers), answers
    return {json.loads(answer)["revision"] for answer in answers}


@dataclass
class Part:
    """One adapter, and how to hurt what stands behind it."""

    engine: Engine
    kill: Callable[[], None]
    revive: Callable[[], None]
    freeze: Callable[[], None]
    thaw: Callable[[], None]


def evaluator_pids() -> set[int]:
    """The evaluator processes of this test process."""
    return children_of(os.getpid(), "regorus_child")


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaServer]:
    with opa_server() as server:
        yield server


@asynccontextmanager
async def regorus_part(deadline: timedelta) -> AsyncIterator[Part]:
    others = evaluator_pids()

    def send(number: int) -> Callable[[], None]:
        def to_all() -> None:
            for pid in evaluator_pids() - others:
                os.kill(pid, number)
                if number == signal.SIGSTOP:
                    wait_until_stopped(pid)

        return to_all

    engine = RegorusEngine(deadline=deadline)
    try:
        yield Part(engine, send(signal.SIGKILL), lambda: None, send(signal.SIGSTOP), lambda: None)
    finally:
        await engine.close()
    assert evaluator_pids() <= others, "an evaluator process outlived its engine"


@asynccontextmanager
async def opa_part(server: OpaServer, deadline: timedelta) -> AsyncIterator[Part]:
    engine = OpaServerEngine(server.url, deadline=deadline)
    try:
        yield Part(engine, server.kill, server.restart, server.pause, server.go_on)
    finally:
        await engine.close()


@pytest.fixture
def deadline() -> timedelta:
    return DEADLINE


@pytest.fixture(params=["regorus", "opa"])
async def part(request, deadline) -> AsyncIterator[Part]:
    regorus = request.param == "regorus"
    opened = regorus_part(deadline) if regorus else opa_part(request.getfixturevalue("opa"), deadline)
    async with opened as made:
        yield made


@pytest.fixture
async def engine(part) -> Engine:
    await part.engine.activate(bundle())
    return part.engine


async def recovered(engine: Engine) -> None:
    """Wait until an evaluation comes out right again; what comes before must be errors."""
    async with asyncio.timeout(RECOVERY_S):
        while True:
            (answer,) = await engine.evaluate([ask("echo", 1)])
            if not isinstance(answer, EngineError):
                assert echo_of(answer) == 1
                return
            await asyncio.sleep(0.01)


# --- one document


async def test_the_value_of_the_entry_point_comes_back_as_json(engine):
    (answer,) = await engine.evaluate([ask("echo", {"a": [1, True, None, "x"]})])
    assert json.loads(answer) == {"echo": {"a": [1, True, None, "x"]}, "revision": "r1", "word": "a!"}


async def test_no_documents_are_no_answers(engine):
    assert await engine.evaluate([]) == []


async def test_null_is_a_value(engine):
    (answer,) = await engine.evaluate([ask("null")])
    assert json.loads(answer) is None


async def test_an_undefined_entry_point_is_an_error_and_never_a_value(engine):
    (answer,) = await engine.evaluate([ask("nothing of the kind")])
    assert type(answer) is not bytes
    assert isinstance(answer, EngineError)
    assert "undefined" in str(answer)


async def test_rules_that_contradict_each_other_are_an_error(engine):
    (answer,) = await engine.evaluate([ask("conflict")])
    assert isinstance(answer, EngineError)
    assert "contract.rego:" in str(answer)


@pytest.mark.parametrize("case", ["builtin error", "erring condition"])
async def test_a_builtin_that_fails_is_an_error_also_inside_a_negation(engine, case):
    good, bad = await engine.evaluate([ask(case, "3"), ask(case, "three")])
    assert good in (b"3", b'"refused"')
    assert isinstance(bad, EngineError)
    assert "to_number" in str(bad) or "number" in str(bad)


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"{} {}", b'{"case": "echo", "value": NaN}', b'{"case": "echo", "value": "\xff"}', b"[" * 100_000],
    ids=["empty", "cut off", "two", "NaN", "not UTF-8", "deep"],
)
async def test_what_is_not_one_json_text_is_an_error(engine, document):
    bad, good = await engine.evaluate([document, ask("echo", 1)])
    assert isinstance(bad, EngineError)
    assert echo_of(good) == 1


async def test_a_document_cannot_bring_another_input_along(engine):
    (answer,) = await engine.evaluate([b'1}, {"input": {"case": "echo", "value": "smuggled"}'])
    assert isinstance(answer, EngineError)


@pytest.mark.parametrize(
    "value",
    [
        "関所、三重県 𝒳 \u2028 \x00 <&> é",
        'quote " and \\ and \n',
        "\U0001f510" * 3,
        -0.5,
        2**53 - 1,
        {"": {"キー": []}},
    ],
)
async def test_texts_and_numbers_come_through_unchanged(engine, value):
    (answer,) = await engine.evaluate([ask("echo", value)])
    assert echo_of(answer) == value


async def test_a_document_at_the_limit_comes_through_and_one_beyond_it_is_refused(engine):
    value = "関" * ((MAX_DOCUMENT_BYTES - len(ask("echo", ""))) // 3)
    large, too_large, after = await engine.evaluate([ask("echo", value), ask("echo", value + "関"), ask("echo", 1)])
    assert echo_of(large) == value
    assert isinstance(too_large, EngineError)
    assert echo_of(after) == 1


async def test_a_literal_error_message_carries_no_path_of_this_machine(engine):
    (answer,) = await engine.evaluate([ask("builtin error", "three")])
    assert str(Path.cwd()) not in str(answer)
    assert "stack" not in str(answer).lower()


# --- deadlines


@meets_the_deadline
async def test_an_endless_evaluation_is_stopped_and_its_neighbours_are_answered(engine):
    began = time.monotonic()
    answers = await engine.evaluate([ask("echo", 1), ask("endless"), ask("echo", 2)])
    took = time.monotonic() - began
    assert [type(answer) for answer in answers] == [bytes, EngineTimeoutError, bytes]
    assert [echo_of(answers[0]), echo_of(answers[2])] == [1, 2]
    assert SHORT.total_seconds() * 0.9 <= took < SHORT.total_seconds() + 2.0
    assert echo_of((await engine.evaluate([ask("echo", 3)]))[0]) == 3


@meets_the_deadline
async def test_an_endless_evaluation_does_not_block_the_event_loop(engine):
    turns, stop = 0, asyncio.Event()

    async def beat() -> None:
        nonlocal turns
        while not stop.is_set():
            await asyncio.sleep(0.005)
            turns += 1

    beating = asyncio.create_task(beat())
    (answer,) = await engine.evaluate([ask("endless")])
    seen = turns
    stop.set()
    await beating
    assert isinstance(answer, EngineTimeoutError)
    assert seen >= 5  # of some eighty; a blocked loop has none


# --- many at once


async def test_everybody_gets_his_own_answer(engine):
    async def one(number: int) -> Any:
        (answer,) = await engine.evaluate([ask("echo", number)])
        return echo_of(answer)

    assert await asyncio.gather(*(one(number) for number in range(300))) == list(range(300))


async def test_a_batch_keeps_its_order_with_bad_documents_in_the_middle(engine):
    documents = [ask("echo", number) for number in range(200)]
    documents[50], documents[70], documents[130] = b"{", ask("conflict"), ask("nothing of the kind")
    answers = await engine.evaluate(documents)
    assert len(answers) == 200
    for number, answer in enumerate(answers):
        if number in (50, 70, 130):
            assert isinstance(answer, EngineError)
        else:
            assert echo_of(answer) == number


async def test_a_waiter_that_goes_away_takes_nobody_elses_answer_along(engine):
    async def one(number: int) -> Any:
        (answer,) = await engine.evaluate([ask("echo", number)])
        return echo_of(answer)

    tasks = [asyncio.create_task(one(number)) for number in range(60)]
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    for number, answer in enumerate(answers):
        assert isinstance(answer, asyncio.CancelledError) if number % 3 == 0 else answer == number
    assert await one(1_000) == 1_000


# --- activation


async def test_before_the_first_activation_every_answer_is_an_error(part):
    (answer,) = await part.engine.evaluate([ask("echo", 1)])
    assert isinstance(answer, EngineError)


BROKEN = {
    "cut off": ("package contract\n\nanswer := {\n", "contract.rego:"),
    "unsafe variable": ("package contract\n\nanswer := x\n", "contract.rego:3:11"),
    "no entry point": ("package contract\n\nanother := 1\n", None),
    "fails for {}": ('package contract\n\nanswer := to_number("three")\n', "contract.rego:3:"),
    "never ends": (POLICY + '\nanswer := "x" if {\n\tnot input.case\n\t' + "count([1 | some i in numbers.range(1, 30000); some j in numbers.range(1, 30000); i * j < 0]) > 0\n}\n", None),
    "recursion": ("package contract\n\nanswer := a\n\na := b\n\nb := a\n", None),
}  # fmt: skip


@meets_the_deadline
@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_bundle_is_refused_and_the_one_before_keeps_serving(engine, name):
    policy, where = BROKEN[name]
    with pytest.raises(BundleError) as refusal:
        await engine.activate(bundle("r2", policy))
    if where is not None:
        assert str(refusal.value).startswith(where)
    assert str(Path.cwd()) not in str(refusal.value)
    assert revisions(await engine.evaluate([ask("echo", 1)])) == {"r1"}


async def test_data_cannot_take_the_place_of_the_entry_point(engine):
    with pytest.raises(BundleError):
        await engine.activate(bundle("r2", contract={"answer": {"outcome": "allow"}}))
    assert revisions(await engine.evaluate([ask("echo", 1)])) == {"r1"}


async def test_after_activation_the_new_bundle_serves(engine):
    await engine.activate(bundle("r2"))
    assert revisions(await engine.evaluate([ask("echo", 1)])) == {"r2"}
    await engine.activate(bundle("r1"))
    assert revisions(await engine.evaluate([ask("echo", 1)])) == {"r1"}


async def test_rules_of_the_former_bundle_are_gone(engine):
    await engine.activate(bundle("r2", POLICY.replace('"null"', '"nil"')))
    old, new = await engine.evaluate([ask("null"), ask("nil")])
    assert isinstance(old, EngineError)
    assert new == b"null"


async def test_one_call_is_judged_by_one_bundle_although_another_takes_over(engine):
    running = asyncio.create_task(engine.evaluate([ask("echo", number) for number in range(100)]))
    await asyncio.sleep(0)
    await engine.activate(bundle("r2"))
    after = await engine.evaluate([ask("echo", 1)])
    answers = await running
    assert revisions(answers) == {"r1"}
    assert [echo_of(answer) for answer in answers] == list(range(100))
    assert revisions(after) == {"r2"}


async def test_activations_under_load_never_mix_revisions_and_never_fail_a_document(engine):
    seen: list[set[str]] = []
    stop = asyncio.Event()

    async def load(number: int) -> None:
        while not stop.is_set():
            seen.append(revisions(await engine.evaluate([ask("echo", number)] * 5)))

    loading = [asyncio.create_task(load(number)) for number in range(4)]
    for revision in ("r2", "r3", "r4"):
        await engine.activate(bundle(revision))
    stop.set()
    await asyncio.gather(*loading)
    assert all(len(one) == 1 for one in seen)
    assert set.union(*seen) <= {"r1", "r2", "r3", "r4"}
    assert revisions(await engine.evaluate([ask("echo", 1)])) == {"r4"}


async def test_an_answer_comes_from_the_bundle_that_was_named_or_not_at_all(engine):
    old, new = bundle("old"), bundle("new")
    await engine.activate(old)
    (answer,) = await engine.evaluate([ask("echo")], digest=old.digest)
    assert json.loads(answer)["revision"] == "old"
    await engine.activate(new)
    (superseded,) = await engine.evaluate([ask("echo")], digest=old.digest)
    assert isinstance(superseded, EngineSupersededError)
    (answer,) = await engine.evaluate([ask("echo")], digest=new.digest)
    assert json.loads(answer)["revision"] == "new"


async def test_no_decision_falls_between_a_change_of_bundle_and_the_one_who_asked_for_it(engine):
    """Who decides takes the active bundle's name first and the engine's answer later: both must be one."""
    active = bundle("r0")
    await engine.activate(active)
    seen, running = set(), True

    async def decide_on():
        while running:
            named = active
            (answer,) = await engine.evaluate([ask("echo")], digest=named.digest)
            assert not isinstance(answer, EngineError), answer
            assert json.loads(answer)["revision"] == named.revision
            seen.add(named.revision)

    deciding = asyncio.gather(*(decide_on() for _ in range(4)))
    for number in range(1, 4):
        bringing = bundle(f"r{number}")
        await engine.activate(bringing)
        active = bringing
    running = False
    await deciding
    assert len(seen) >= 2


async def test_activations_at_the_same_time_leave_one_of_them_active(engine):
    await asyncio.gather(*(engine.activate(bundle(revision)) for revision in ("r2", "r3")))
    assert revisions(await engine.evaluate([ask("echo", number) for number in range(20)])) in ({"r2"}, {"r3"})


# --- when what stands behind it dies


async def test_a_killed_evaluator_comes_back_with_the_same_bundle(part, engine):
    part.kill()
    part.revive()
    await recovered(engine)
    assert revisions(await engine.evaluate([ask("echo", 1)])) == {"r1"}


async def test_a_death_under_load_costs_errors_and_no_wrong_answer(part, engine):
    stop = asyncio.Event()
    deaths = []

    async def load(first: int) -> None:
        number = first
        while not stop.is_set():
            (answer,) = await engine.evaluate([ask("echo", number)])
            if isinstance(answer, EngineError):
                deaths.append(answer)
                await asyncio.sleep(0.01)
            else:
                assert echo_of(answer) == number
            number += 100

    loading = [asyncio.create_task(load(number)) for number in range(8)]
    await recovered(engine)
    part.kill()
    await asyncio.sleep(0.05)
    part.revive()
    await recovered(engine)
    stop.set()
    await asyncio.gather(*loading)
    assert all(isinstance(death, EngineDiedError | EngineTimeoutError) for death in deaths)


@meets_the_deadline
async def test_a_frozen_evaluator_costs_a_deadline_and_comes_back(part, engine):
    part.freeze()
    began = time.monotonic()
    answers = await asyncio.gather(*(engine.evaluate([ask("echo", number)]) for number in range(4)))
    took = time.monotonic() - began
    part.thaw()
    kinds = {type(answer) for (answer,) in answers}
    assert kinds <= {EngineTimeoutError, bytes}
    assert EngineTimeoutError in kinds
    assert took < 4.0
    await recovered(engine)


# --- the end


async def test_closing_twice_is_closing_and_who_asks_later_is_told(part, engine):
    await engine.close()
    await engine.close()
    (answer,) = await engine.evaluate([ask("echo", 1)])
    assert isinstance(answer, EngineError)
    with pytest.raises(EngineError):
        await engine.activate(bundle("r2"))


async def test_closing_answers_those_who_wait(engine):
    waiting = asyncio.create_task(engine.evaluate([ask("endless"), ask("echo", 1)]))
    await asyncio.sleep(0.05)
    await engine.close()
    async with asyncio.timeout(5):
        answers = await waiting
    assert isinstance(answers[0], EngineError)


async def test_it_says_its_name(part):
    assert part.engine.name in ("regorus", "opa")
