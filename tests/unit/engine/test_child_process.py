"""One order to a process, one answer from it; and the process has ended whatever happened."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import msgspec
import pytest

from pdp.engine.child_process import AnswerTooLargeError, ChildLimits, NoAnswerError, ask_child
from tests.processes import children_of, no_further_files, own_child
from tests.unit.engine import hasty_child
from tests.unit.engine.child import PROGRAM, Answer, Order

pytestmark = pytest.mark.anyio

LONG_S = 60.0
MUCH = "x" * (1 << 20)  # a pipe holds 64 KiB


@pytest.fixture(autouse=True)
def _all_have_ended() -> Iterator[None]:
    yield
    assert not children_of(os.getpid(), "tests.unit.engine.")


async def asked(
    order: Order, program: str = PROGRAM, *, within_s: float = LONG_S, most_bytes: int = 2 * len(MUCH)
) -> Answer:
    return await ask_child(program, order, Answer, ChildLimits(within_s, 1 << 30, most_bytes))


async def test_order_and_answer_come_whole_though_no_pipe_holds_them() -> None:
    assert (await asked(Order("answer", MUCH))).text == MUCH


async def test_what_it_said_counts_though_it_ended_before_it_had_read_its_order() -> None:
    assert (await asked(Order("answer", MUCH), hasty_child.PROGRAM)).text == "there is no room"


@pytest.mark.parametrize("does", ["half", "nothing"])
async def test_a_process_that_ends_without_a_whole_answer_gave_none(does: str) -> None:
    with pytest.raises(NoAnswerError) as none:
        await asked(Order(does))  # type: ignore[arg-type]  # one of them
    assert none.value.returncode == 0


async def test_what_ended_a_process_is_known() -> None:
    waiting = asyncio.create_task(asked(Order("wait")))
    os.kill(await own_child(PROGRAM), signal.SIGKILL)
    with pytest.raises(NoAnswerError) as none:
        await waiting
    assert none.value.returncode == -signal.SIGKILL


async def test_no_more_of_an_answer_is_held_than_was_said() -> None:
    whole = len(msgspec.json.encode(Answer(MUCH)))
    assert (await asked(Order("answer", MUCH), most_bytes=whole)).text == MUCH
    with pytest.raises(AnswerTooLargeError):
        await asked(Order("answer", MUCH), most_bytes=whole - 1)


async def test_a_process_that_takes_too_long_is_ended() -> None:
    with pytest.raises(TimeoutError):
        await asked(Order("wait"), within_s=0.5)


async def test_a_process_ends_with_whoever_waits_for_it() -> None:
    waiting = asyncio.create_task(asked(Order("wait")))
    await own_child(PROGRAM)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_process_that_cannot_be_started_is_said_to_be_so() -> None:
    with no_further_files(), pytest.raises(OSError, match="Too many open files"):
        await asked(Order("answer"))
