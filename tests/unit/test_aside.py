"""Work beside the decisions: one piece at a time, and a disk that hangs holds up nobody but itself."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest

from pdp.aside import Aside

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(30)]


async def done(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, 10)


async def test_work_is_done_in_another_thread_and_the_last_piece_before_the_end() -> None:
    aside, threads, first = Aside("disk"), [], threading.Event()
    assert aside.offer(lambda: (threads.append(threading.current_thread()), first.set()))
    await aside.close(lambda: threads.append(threading.current_thread()))
    assert [thread.name for thread in threads] == ["disk", "disk"]
    assert threads[0] is not threading.current_thread() and not threads[0].is_alive()


async def test_a_piece_that_hangs_drops_those_after_it_and_not_the_end() -> None:
    """Neither the offers nor the end wait for it; what was to be done last is done when the disk answers again."""
    aside, begun, answers, last = Aside("disk"), threading.Event(), threading.Event(), threading.Event()
    later: list[str] = []
    try:
        assert aside.offer(lambda: (begun.set(), answers.wait(30)))
        await done(begun)
        assert [aside.offer(lambda: later.append("dropped")) for _ in range(3)] == [False, False, False]
        await aside.close(last.set, within_s=0.01)
        assert not last.is_set()
    finally:
        answers.set()
    await done(last)
    assert later == []


async def test_a_piece_that_fails_is_logged_and_the_next_one_is_done(operators_log: io.StringIO) -> None:
    aside, failed = Aside("disk"), threading.Event()

    def fails() -> None:
        failed.set()
        raise OSError("no disk")

    aside.offer(fails)
    await done(failed)
    worked = threading.Event()
    async with asyncio.timeout(10):
        while not aside.offer(worked.set):  # the thread is still logging  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    await done(worked)
    await aside.close()
    assert "work beside the decisions failed" in operators_log.getvalue()
