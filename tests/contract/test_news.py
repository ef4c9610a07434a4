"""What every way of telling news promises: between simulated workers, and over a real Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Protocol

import pytest

from pdp.parts import utc_now
from pdp.signals.local import LocalNews
from pdp.signals.port import KINDS, Kind, News
from tests.news import EVERYTHING, following, stream_news, up
from tests.simulated_news import Exchange
from tests.valkey_server import ValkeyServer, valkey_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

AT_ONCE_S = 0.05  # what may pass in a call that does not wait


class House(Protocol):
    """Something that several workers share."""

    def worker(self) -> News: ...
    def fail(self) -> None: ...
    def recover(self) -> None: ...
    def forge(self, kind: Kind) -> None: ...


class OverValkey:
    def __init__(self, server: ValkeyServer) -> None:
        self._server = server

    def worker(self) -> News:
        return stream_news(self._server.url)

    def fail(self) -> None:
        self._server.kill()

    def recover(self) -> None:
        self._server.restart()

    def forge(self, kind: Kind) -> None:
        self._server.control.execute_command("XADD", "test:news", "*", "kind", kind, "mark", "999999")


class Simulated(Exchange):
    def forge(self, kind: Kind) -> None:
        self.spread(kind)


@pytest.fixture(params=["simulated", "stream"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    if request.param == "simulated":
        yield Simulated()
    else:
        with valkey_server() as server:
            yield OverValkey(server)


async def test_whoever_begins_to_follow_is_told_to_look_at_everything(house: House) -> None:
    news = house.worker()
    async with following(news) as ear:
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")
        assert news.status().gaps == 0, "nothing was missed by somebody who has just come"


@pytest.mark.parametrize("kind", KINDS)
async def test_what_one_publishes_every_worker_hears_the_publisher_too(house: House, kind: Kind) -> None:
    first, second, third = (house.worker() for _ in range(3))
    async with up(first) as one, up(second) as two, up(third) as three:
        second.publish(kind, "42")
        for ear in (one, two, three):
            await ear.hears(kind)
        assert second.status().unsent == 0


async def test_news_are_counted_by_who_publishes_and_by_who_hears(house: House) -> None:
    speaker, listener = house.worker(), house.worker()
    async with up(speaker) as mouth, up(listener) as ear:
        for mark in ("1", "2", "3"):
            speaker.publish("directory", mark)
            await ear.hears("directory")
        await mouth.counts(published=3)
        assert (listener.status().heard, listener.status().published) == (3, 0)
        lag = listener.status().lag_ms
        assert lag is not None and lag < 1_000


async def test_forged_and_doubled_news_are_heard_and_harm_nothing(house: House) -> None:
    async with up(house.worker()) as ear:
        for _ in range(3):
            house.forge("directory")
            await ear.hears("directory")
        await ear.sees("up")


async def test_publishing_never_waits_and_never_raises_whatever_has_become_of_the_stream(house: House) -> None:
    news = house.worker()
    news.publish("directory", "before anybody follows")
    async with up(news) as ear:
        house.fail()
        ear.heard.clear()
        began = time.perf_counter()
        for number in range(1_000):
            news.publish("directory", str(number) * 100)
        assert time.perf_counter() - began < AT_ONCE_S
        await ear.hears("directory")  # the process that made the change looks, stream or not
        await ear.sees("lost")
    news.publish("directory", "after the end")


async def test_what_the_stream_does_not_take_is_counted(house: House) -> None:
    news = house.worker()
    async with up(news) as ear:
        house.fail()
        await ear.sees("lost")
        news.publish("callers", "5")
        await ear.counts(unsent=1)


async def test_an_outage_is_seen_by_everybody_and_after_it_everybody_looks_at_everything(house: House) -> None:
    first, second = house.worker(), house.worker()
    async with up(first) as one, up(second) as two:
        began = first.status().since
        house.fail()
        for ear in (one, two):
            await ear.sees("lost")
            assert ear.news.status().fault
        lost = first.status().since
        house.recover()
        for ear in (one, two):
            await ear.is_told_to_look_at_everything()
            await ear.sees("up")
            assert ear.news.status().fault is None
        assert began <= lost <= first.status().since
        first.publish("policy", "7")
        await two.hears("policy")


async def test_nobody_hears_after_the_end_of_following(house: House) -> None:
    speaker, listener = house.worker(), house.worker()
    async with up(speaker) as ear:
        async with up(listener) as gone:
            pass
        gone.heard.clear()
        speaker.publish("directory", "8")
        await ear.hears("directory")
        assert gone.heard == []


async def test_no_task_outlives_following(house: House) -> None:
    before = asyncio.all_tasks()
    async with up(house.worker()):
        pass
    assert asyncio.all_tasks() <= before


async def test_without_a_stream_the_state_is_off_and_a_worker_hears_itself() -> None:
    news = LocalNews(utc_now)
    async with following(news) as ear:
        assert ear.heard == [EVERYTHING]
        news.publish("directory", "9")
        assert ear.heard[-1] == {"directory"}
    assert news.state == news.status().state == "off"
