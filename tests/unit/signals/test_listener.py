"""From news to looks: each kind wakes its own look, in order, coalesced, and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pdp.parts import utc_now
from pdp.signals.listener import Nudge, listening
from pdp.signals.local import LocalNews
from pdp.signals.port import KINDS

pytestmark = pytest.mark.anyio

DEADLINE_S = 5.0
NEVER_S = 3_600.0


async def directory() -> None: ...
async def policy() -> None: ...
async def callers() -> None: ...
async def revocations() -> None: ...


ALL = {"directory": directory, "policy": policy, "callers": callers, "revocations": revocations}


async def taken(nudge: Nudge) -> tuple[Callable[[], Awaitable[object]], ...]:
    async with asyncio.timeout(DEADLINE_S):
        return await nudge.due()


async def nothing_is_due(nudge: Nudge) -> bool:
    """Whether `due` still waits when everything that could run has run."""
    waiting = asyncio.create_task(nudge.due())
    for _ in range(10):
        await asyncio.sleep(0)
    waited = not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    return waited


@pytest.mark.parametrize("kind", KINDS)
async def test_a_kind_wakes_its_own_look_only(kind: str) -> None:
    nudge = Nudge(ALL, spacing_s=0)
    nudge.hear((kind,))
    assert await taken(nudge) == (ALL[kind],)


async def test_looks_run_in_their_own_order_not_in_that_of_the_news() -> None:
    nudge = Nudge(ALL, spacing_s=0)
    for kind in reversed(KINDS):
        nudge.hear((kind,))
    assert await taken(nudge) == (directory, policy, callers, revocations)


async def test_a_thousand_pieces_of_news_are_one_look() -> None:
    nudge = Nudge(ALL, spacing_s=0)
    for _ in range(1_000):
        nudge.hear(("directory",))
    assert await taken(nudge) == (directory,)
    assert await nothing_is_due(nudge)


async def test_what_is_heard_while_a_look_runs_is_looked_at_again() -> None:
    nudge = Nudge(ALL, spacing_s=0)
    nudge.hear(("directory",))
    await taken(nudge)
    nudge.hear(("directory",))  # the look that was taken may have read the database before this change
    assert await taken(nudge) == (directory,)


async def test_a_kind_that_nobody_looks_at_wakes_nobody() -> None:
    nudge = Nudge({"directory": directory}, spacing_s=0)
    nudge.hear(("policy", "callers"))
    assert await nothing_is_due(nudge)


async def test_the_first_news_after_a_silence_do_not_wait_for_the_spacing() -> None:
    nudge = Nudge(ALL, spacing_s=NEVER_S)
    nudge.hear(("directory",))
    assert await taken(nudge) == (directory,)


async def test_looks_keep_their_spacing_however_much_is_heard() -> None:
    nudge = Nudge(ALL, spacing_s=0.02)
    clock = asyncio.get_running_loop().time
    began = clock()
    for _ in range(5):
        nudge.hear(KINDS)
        await taken(nudge)
    assert clock() - began >= 4 * 0.02


async def test_what_was_heard_before_a_cancellation_is_due_after_it() -> None:
    nudge = Nudge(ALL, spacing_s=0.05)
    nudge.hear(("directory",))
    await taken(nudge)
    nudge.hear(("callers",))
    assert await nothing_is_due(nudge), "it waits for the spacing, and is cancelled there"
    assert await taken(nudge) == (callers,)


async def test_listening_begins_with_a_look_at_everything() -> None:
    async with listening(LocalNews(utc_now), ALL) as nudge:
        assert await taken(nudge) == (directory, policy, callers, revocations)


async def test_without_a_stream_a_worker_hears_of_its_own_change_at_once() -> None:
    news = LocalNews(utc_now)
    async with listening(news, ALL) as nudge:
        await taken(nudge)
        news.publish("callers", "7")
        assert await taken(nudge) == (callers,)
    assert (news.state, news.status().published, news.status().heard) == ("off", 1, 1)


async def test_after_the_end_of_listening_nothing_is_heard_and_publishing_does_no_harm() -> None:
    news = LocalNews(utc_now)
    async with listening(news, ALL) as nudge:
        await taken(nudge)
    news.publish("directory", "8")
    assert await nothing_is_due(nudge)
