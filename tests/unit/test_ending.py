"""A task that is to end does, also where something in it takes a cancellation for itself."""

from __future__ import annotations

import asyncio

import pytest

from pdp.ending import end

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(10)]


async def stubborn(swallows: int) -> None:
    """As `asyncio.wait_for` before Python 3.12, now and then."""
    for _ in range(swallows):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


@pytest.mark.parametrize("swallows", [0, 1, 3])
async def test_a_task_that_swallows_cancellations_ends_all_the_same(swallows: int) -> None:
    tasks = [asyncio.create_task(stubborn(swallows)) for _ in range(2)]
    await asyncio.sleep(0)
    await end(*tasks)
    assert all(task.cancelled() for task in tasks)


async def test_a_task_that_fails_at_its_end_is_no_failure_of_the_end() -> None:
    async def fails() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("gone")

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await end(task)
    assert isinstance(task.exception(), OSError)


async def test_whoever_waits_for_the_end_can_be_cancelled() -> None:
    task = asyncio.create_task(stubborn(1_000))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await end(task)
    task.cancel()
    for _ in range(1_001):
        task.cancel()
        await asyncio.sleep(0)
    assert task.done()
