"""What can happen to the server of the news, with a real Valkey: it is noticed, nothing is missed unnoticed, it heals.

What an outage can never do, change an answer, follows from what news are (`pdp.signals.port`); the decisions
while it lasts are asked for in test_news.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import SettingsError
from pdp.redis_client import RedisPlace
from pdp.signals.announcing import announcing
from pdp.signals.follower import Patience
from pdp.signals.port import KINDS, Kind
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.news import QUICK, Ear, following, stream_news, up
from tests.servers import free_port
from tests.valkey_server import ValkeyServer, sentinel_service, valkey_cluster, valkey_server

pytestmark = [pytest.mark.system, pytest.mark.anyio, pytest.mark.timeout(60)]

STREAM = "test:news"
LOST_WITHIN_S = 3.0  # as the documentation promises
GIANT = "x" * 13_000_000  # more than a client takes in one answer


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey_server() as running:
        yield running


def run(server: ValkeyServer, *command: str) -> Any:
    return server.control.execute_command(*command)


def say(server: ValkeyServer, kind: str = "directory") -> None:
    """A piece of news from another host."""
    run(server, "XADD", STREAM, "*", "kind", kind, "mark", "1")


@asynccontextmanager
async def cut_off(server: ValkeyServer, *, told: int = 1) -> AsyncIterator[tuple[Ear, FlakyProxy]]:
    """A worker whose place in the stream is after `told` pieces of news, and whose connection has been cut."""
    with flaky_proxy(server.path) as proxy:
        async with up(stream_news(proxy.url)) as ear:
            for _ in range(told):
                say(server)
                await ear.hears("directory")
            proxy.manner = "swallow"
            await ear.sees("lost")
            ear.heard.clear()
            yield ear, proxy


# --- it is noticed in time


@pytest.mark.parametrize("phase_s", [0.0, 0.4, 0.9])
async def test_a_frozen_server_is_lost_within_three_seconds_whenever_it_freezes(
    server: ValkeyServer, phase_s: float
) -> None:
    async with up(stream_news(server.url, Patience())) as ear:
        await asyncio.sleep(phase_s)  # of the second that a read waits
        server.freeze()
        began = time.perf_counter()
        await ear.sees("lost")
        assert time.perf_counter() - began < LOST_WITHIN_S
        server.thaw()
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")


async def test_a_partition_is_lost_within_three_seconds(server: ValkeyServer) -> None:
    with flaky_proxy(server.path) as proxy:
        async with up(stream_news(proxy.url, Patience())) as ear:
            proxy.manner = "swallow"
            began = time.perf_counter()
            await ear.sees("lost")
            assert time.perf_counter() - began < LOST_WITHIN_S


async def test_a_killed_server_is_lost_at_once_and_found_again(server: ValkeyServer) -> None:
    async with up(stream_news(server.url, Patience())) as ear:
        server.kill()
        await ear.sees("lost")
        server.restart()
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")
        say(server)
        await ear.hears("directory")


async def test_a_server_slower_than_our_patience_is_lost_and_one_within_it_is_not(server: ValkeyServer) -> None:
    with flaky_proxy(server.path) as proxy:
        async with up(stream_news(proxy.url)) as ear:
            proxy.delay_s = 0.02
            say(server)
            await ear.hears("directory")
            await ear.sees("up")
            proxy.delay_s = QUICK.answer_s
            await ear.sees("lost")
            proxy.delay_s = 0.0
            await ear.sees("up")


async def test_a_silent_stream_is_not_a_dead_one(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        await asyncio.sleep(5 * QUICK.quiet_s)
        assert (ear.news.state, ear.heard) == ("up", [])
        assert ear.news.status().lag_ms is not None, "beats were heard"
        assert ear.news.status().heard == 0, "and are no news"


async def test_a_fleet_needs_hardly_more_beats_than_one_worker(server: ValkeyServer) -> None:
    patience = replace(QUICK, quiet_s=0.5)
    async with AsyncExitStack() as fleet:
        for _ in range(20):
            await fleet.enter_async_context(up(stream_news(server.url, patience)))
        before, since = run(server, "XLEN", STREAM), time.monotonic()
        await asyncio.sleep(3 * patience.quiet_s)
        written, quiet_times = run(server, "XLEN", STREAM) - before, (time.monotonic() - since) / patience.quiet_s
    assert 1 <= written <= 10 * quiet_times, "each of twenty by itself would have written 14 to 27 in each quiet time"


async def test_a_server_that_hangs_up_is_not_run_over_by_those_who_come_back() -> None:
    with flaky_proxy(("127.0.0.1", free_port())) as proxy:
        async with AsyncExitStack() as fleet:
            for _ in range(10):
                await fleet.enter_async_context(following(stream_news(proxy.url, Patience())))
            await asyncio.sleep(2.0)
            assert 10 <= proxy.opened <= 150


async def test_a_fault_of_our_own_is_an_outage_like_any_other_and_passes(server: ValkeyServer) -> None:
    news = stream_news(server.url)
    ear = Ear(news)
    faults = [RuntimeError("a bug of ours")]

    def hear(kinds: Collection[Kind]) -> None:
        if faults:
            raise faults.pop()
        ear.hear(kinds)

    async with news.following(hear):
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")
        news.publish("policy", "1")
        await ear.hears("policy")


# --- nothing is missed unnoticed


async def test_what_was_published_while_away_is_read_afterwards(server: ValkeyServer) -> None:
    async with cut_off(server) as (ear, proxy):
        say(server, "callers")
        proxy.manner = "pass"
        await ear.is_told_to_look_at_everything()
        await ear.counts(heard=2, gaps=0)


async def test_a_connection_that_was_killed_is_replaced_without_a_gap(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        say(server)
        await ear.hears("directory")
        assert run(server, "CLIENT", "KILL", "TYPE", "normal") >= 1
        say(server, "callers")
        await ear.counts(heard=2, gaps=0)
        await ear.sees("up")


def _trim(server: ValkeyServer) -> None:
    for _ in range(3):
        say(server)
    run(server, "XTRIM", STREAM, "MAXLEN", "2")


def _restart_empty(server: ValkeyServer) -> None:
    server.kill()
    server.restart()


def _restart_with_others(server: ValkeyServer) -> None:
    _restart_empty(server)
    say(server, "callers")


def _fall_behind(server: ValkeyServer) -> None:
    """As after a failover to a replica that had not heard the last news: its stream ends before our place."""
    run(server, "DEL", STREAM)
    run(server, "XADD", STREAM, "1-0", "kind", "directory", "mark", "1")


GAPS: dict[str, Callable[[ValkeyServer], object]] = {
    "deleted": lambda server: run(server, "DEL", STREAM),
    "flushed": lambda server: run(server, "FLUSHALL"),
    "trimmed past us": _trim,
    "restarted empty": _restart_empty,
    "restarted, and others were quicker": _restart_with_others,
    "a replica that is behind": _fall_behind,
}


@pytest.mark.parametrize("what", GAPS.values(), ids=GAPS)
async def test_a_stream_that_is_not_ours_any_more_is_a_gap_and_everything_is_looked_at(
    server: ValkeyServer, what: Callable[[ValkeyServer], object]
) -> None:
    async with cut_off(server) as (ear, proxy):
        await asyncio.to_thread(what, server)
        proxy.manner = "pass"
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")
        await ear.counts(gaps=1)
        if what is not _fall_behind:
            say(server, "callers")
            await ear.hears("callers")


@pytest.mark.parametrize("what", [GAPS["deleted"], GAPS["flushed"], _fall_behind], ids=["DEL", "FLUSHALL", "behind"])
async def test_the_same_is_noticed_while_connected(
    server: ValkeyServer, what: Callable[[ValkeyServer], object]
) -> None:
    async with up(stream_news(server.url)) as ear:
        say(server)
        await ear.hears("directory")
        what(server)
        await ear.is_told_to_look_at_everything()
        await ear.counts(gaps=1)
        await ear.sees("up")


async def test_after_a_gap_the_same_stream_is_no_gap_again(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        say(server)
        await ear.hears("directory")
        run(server, "DEL", STREAM)
        await ear.counts(gaps=1)
        for _ in range(3):
            say(server)
            await ear.hears("directory")
        assert ear.news.status().gaps == 1


async def test_a_flood_is_looked_at_not_read(server: ValkeyServer) -> None:
    async with cut_off(server) as (ear, proxy):
        for _ in range(300):
            say(server)
        proxy.manner = "pass"
        await ear.sees("up")
        ear.heard.clear()
        say(server, "callers")
        await ear.until(lambda: any("callers" in kinds for kinds in ear.heard), "callers were not heard")
        assert ear.news.status().heard < 150


# --- a server that answers and takes no news


async def test_a_wrong_type_under_our_key_is_lost_and_left_to_its_owner(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        say(server)
        await ear.hears("directory")
        run(server, "SET", STREAM, "somebody else's")
        await ear.sees("lost")
        assert run(server, "GET", STREAM) == b"somebody else's"
        run(server, "DEL", STREAM)
        await ear.sees("up")


async def test_a_full_memory_is_lost_until_there_is_room(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        run(server, "CONFIG", "SET", "maxmemory-policy", "noeviction")
        run(server, "CONFIG", "SET", "maxmemory", "1")
        await ear.sees("lost")
        assert ear.news.status().fault == "OutOfMemoryError"
        run(server, "CONFIG", "SET", "maxmemory", "0")
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")


async def test_a_server_that_became_a_replica_of_nobody_is_lost_until_it_is_not(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        run(server, "REPLICAOF", "127.0.0.1", "1")
        await ear.sees("lost")
        run(server, "REPLICAOF", "NO", "ONE")
        await ear.sees("up")


async def test_a_user_who_may_read_but_not_write_has_lost_the_news(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        run(server, "ACL", "SETUSER", "default", "-xadd")
        await ear.sees("lost")
        assert ear.news.status().fault == "NoPermissionError"
        run(server, "ACL", "SETUSER", "default", "+xadd")
        await ear.sees("up")


async def test_an_entry_too_large_to_read_is_stepped_over(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        say(server)
        await ear.hears("directory")
        run(server, "XADD", STREAM, "*", "kind", "directory", "mark", GIANT)
        await ear.is_told_to_look_at_everything()
        await ear.sees("up")
        say(server, "callers")
        await ear.hears("callers")


@pytest.mark.parametrize(
    "fields",
    [("kind", "tomorrow's"), ("else", "x"), ("kind", ""), ("kind", "\xff\x00"), ("kind", "beat")],
)
async def test_what_this_version_does_not_know_is_passed_over(server: ValkeyServer, fields: tuple[str, str]) -> None:
    async with up(stream_news(server.url)) as ear:
        run(server, "XADD", STREAM, "*", *fields)
        say(server, "callers")
        await ear.until(lambda: bool(ear.heard), "nothing was heard")
        await ear.counts(heard=1)
        assert frozenset().union(*ear.heard) == {"callers"}


# --- passwords


async def test_a_wrong_password_is_lost_until_the_file_holds_the_right_one(
    server: ValkeyServer, tmp_path: Path
) -> None:
    run(server, "CONFIG", "SET", "requirepass", "right")  # the connection that said so stays
    file = tmp_path / "password"
    file.write_text("wrong\n")
    async with following(stream_news(server.url, password_file=str(file))) as ear:
        await ear.until(lambda: ear.news.status().fault is not None, "nobody minds the password")
        assert ear.news.state == "lost"
        assert "right" not in repr(ear.news.status()) and "wrong" not in repr(ear.news.status())
        file.write_text("right\n")
        await ear.sees("up")
        file.unlink()
        assert run(server, "CLIENT", "KILL", "TYPE", "normal") >= 1
        await ear.until(lambda: "`redis_password_file`" in (ear.news.status().fault or ""), "the file is not missed")
        file.write_text("right\n")
        await ear.sees("up")


async def test_the_documented_permissions_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    allowed = f"news on >secret resetchannels ~{STREAM} -@all +xadd +xread +xrange +xrevrange"
    with valkey_server(users=("default on nopass ~* +@all", allowed)) as server:
        news = stream_news(server.url, username="news", password_file=str(file))
        async with up(news) as ear:
            news.publish("callers", "1")
            await ear.counts(published=1)
            await ear.until(lambda: ear.news.status().lag_ms is not None, "nothing was read")
            await asyncio.sleep(3 * QUICK.quiet_s)
            assert (news.state, news.status().unsent) == ("up", 0)


def test_a_place_that_cannot_be_used_is_refused_at_the_start() -> None:
    with pytest.raises(SettingsError):
        stream_news("http://127.0.0.1")


# --- telling from a command


async def test_a_command_tells_every_worker(server: ValkeyServer) -> None:
    async with up(stream_news(server.url)) as ear:
        assert await asyncio.to_thread(_told, server.url) is None
        await ear.hears("callers")


def _told(url: str) -> str | None:
    with announcing(RedisPlace(url), "test") as publish:
        return publish("callers", "")


def test_a_command_that_cannot_tell_says_why_within_its_deadline(server: ValkeyServer) -> None:
    server.kill()
    began = time.perf_counter()
    assert _told(server.url) == "ConnectionError"
    assert time.perf_counter() - began < 1.5


def test_a_command_before_a_frozen_server_ends_within_its_deadlines(server: ValkeyServer) -> None:
    server.freeze()
    began = time.perf_counter()
    assert _told(server.url) == "TimeoutError"
    assert time.perf_counter() - began < 1.0 + 0.5, "connecting, telling, and a little"


def test_a_connection_that_died_during_a_long_import_is_replaced(server: ValkeyServer) -> None:
    with announcing(RedisPlace(server.url), "test") as publish:
        server.kill()
        server.restart()
        assert publish("directory", "3") is None
    assert run(server, "XLEN", STREAM) == 1


def test_a_place_that_cannot_be_used_stops_no_command() -> None:
    with announcing(RedisPlace("redis://127.0.0.1", password_file="/nonexistent"), "test") as publish:
        assert publish("callers", "") == "`redis_password_file` cannot be read: No such file or directory"


# --- more than one server


async def test_a_failover_is_an_outage_and_the_new_master_is_found() -> None:
    with sentinel_service() as service:
        news, other = stream_news(service.url), stream_news(service.url)
        async with up(news) as ear, up(other):
            other.publish("directory", "1")
            await ear.hears("directory")
            await asyncio.to_thread(service.fail_over)
            await ear.is_told_to_look_at_everything()
            await ear.sees("up")
            await ear.until(lambda: other.state == "up", "the other one is not up")
            ear.heard.clear()
            other.publish("callers", "2")
            await ear.hears("callers")


async def test_a_partitioned_master_that_became_a_replica_is_left(server: ValkeyServer) -> None:
    """As a master that comes back after a failover: our connection to it is whole, and nobody writes there."""
    with valkey_server() as master:
        async with up(stream_news(server.url)) as ear:
            run(server, "REPLICAOF", "127.0.0.1", str(master.port))
            await ear.sees("lost")
            run(server, "REPLICAOF", "NO", "ONE")
            await ear.sees("up")


async def test_a_cluster_has_the_stream_on_one_of_its_nodes_and_workers_find_it() -> None:
    with valkey_cluster() as cluster:
        first, second = stream_news(cluster.url), stream_news(cluster.url)
        async with up(first) as ear, up(second):
            for kind in KINDS:
                second.publish(kind, "1")
                await ear.hears(kind)
            (keeper,) = [node for node in cluster.nodes if node.control.keys("*")]
            keeper.freeze()
            await ear.sees("lost")
            keeper.thaw()
            await ear.is_told_to_look_at_everything()
            await ear.sees("up")


def test_a_command_tells_over_a_cluster_and_over_sentinels() -> None:
    with valkey_cluster() as cluster:
        assert _told(cluster.url) is None
    with sentinel_service() as service:
        assert _told(service.url) is None
