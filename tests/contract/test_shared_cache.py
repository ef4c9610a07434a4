"""One suite for the shared level of the cache: a simulated Redis, and a real one in each form that a URL can name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from pdp.cache.port import SharedLevel
from pdp.cache.seal import MAX_SEALED_BYTES
from pdp.cache.shared import open_shared_level
from pdp.redis_client import RedisPlace
from tests.certificates import Authority
from tests.flaky_proxy import flaky_proxy
from tests.simulated_redis import SimulatedRedis
from tests.valkey_server import sentinel_service, valkey_cluster, valkey_server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.system,
    # A TLS connection of redis-py says goodbye after `aclose`; where the test's loop ends first, its socket is collected.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

MINUTE = timedelta(minutes=1)
PATIENCE_S = 15.0
DEADLINE_S = 1.0  # generous, because this suite is about values; tests/system/test_redis_faults.py is about time
KEY = bytes(range(32))

Level = tuple[Callable[..., SharedLevel], Callable[[timedelta], Awaitable[None]]]

# What the cache needs and no more: the docs name the same commands.
ACL = "pdp on >open-sesame resetchannels ~sekisho*:d1:* -@all +get +mget +set"
CLUSTER_ACL = f"{ACL} +cluster|slots +command"


async def settled(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what another process does raises no event here
            await asyncio.sleep(0.005)


def _simulated(_: ExitStack, __: Path) -> tuple[RedisPlace | SimulatedRedis, Callable[[], Any]]:
    store = SimulatedRedis()
    return store, store.values.clear


def _unix(stack: ExitStack, _: Path) -> tuple[RedisPlace, Callable[[], Any]]:
    server = stack.enter_context(valkey_server())
    return RedisPlace(server.unix_url), server.empty


def _tcp_with_database(stack: ExitStack, _: Path) -> tuple[RedisPlace, Callable[[], Any]]:
    server = stack.enter_context(valkey_server())
    return RedisPlace(f"{server.url}/7"), server.empty


def _tls_and_acl(stack: ExitStack, folder: Path) -> tuple[RedisPlace, Callable[[], Any]]:
    authority = Authority(folder)
    server = stack.enter_context(valkey_server(users=[ACL]))
    ours = authority.issue("localhost", "redis", host="localhost")
    worker = authority.issue("worker", "worker")
    proxy = stack.enter_context(flaky_proxy(server.path, tls=ours, trust=authority.certificate))
    password = folder / "password"
    password.write_text("open-sesame\n")
    place = RedisPlace(
        proxy.url,
        username="pdp",
        password_file=str(password),
        ca_file=str(authority.certificate),
        cert_file=str(worker.certificate),
        key_file=str(worker.key),
    )
    return place, server.empty


def _sentinel(stack: ExitStack, folder: Path) -> tuple[RedisPlace, Callable[[], Any]]:
    service = stack.enter_context(sentinel_service(password="open-sesame"))
    password = folder / "password"
    password.write_text("open-sesame")
    return RedisPlace(service.url, password_file=str(password)), service.master.empty


def _cluster(stack: ExitStack, folder: Path) -> tuple[RedisPlace, Callable[[], Any]]:
    cluster = stack.enter_context(valkey_cluster(users=[CLUSTER_ACL]))
    password = folder / "password"
    password.write_text("open-sesame")
    return RedisPlace(cluster.url, username="pdp", password_file=str(password)), cluster.empty


FORMS = [_simulated, _unix, _tcp_with_database, _tls_and_acl, _sentinel, _cluster]


@pytest.fixture(scope="module", params=FORMS, ids=lambda form: form.__name__.strip("_"))
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with ExitStack() as stack:
        yield request.param(stack, tmp_path_factory.mktemp("redis"))


@pytest.fixture
async def opened(place: Any) -> AsyncIterator[Callable[..., Awaitable[SharedLevel]]]:
    """Opens levels on an empty Redis, and closes them at the end."""
    where, empty = place
    empty()
    levels: list[SharedLevel] = []

    async def open_level(prefix: str = "sekisho") -> SharedLevel:
        if isinstance(where, SimulatedRedis):
            level: SharedLevel = where.level(prefix)
        else:
            level = open_shared_level(where, prefix=prefix, deadline_s=DEADLINE_S)
        levels.append(level)
        await settled(lambda: level.status().state == "up")
        return level

    yield open_level
    for level in levels:
        await level.close()


@pytest.fixture
async def level(opened: Callable[..., Awaitable[SharedLevel]]) -> SharedLevel:
    return await opened()


async def kept(level: SharedLevel, entries: dict[bytes, bytes], ttl: timedelta = MINUTE) -> None:
    written = level.status().written
    for key, value in entries.items():
        level.put(key, value, ttl)
    await settled(lambda: level.status().written == written + len(entries))


async def test_a_value_is_found_as_it_was_put(level: SharedLevel) -> None:
    await kept(level, {KEY: b"value"})
    assert await level.get(KEY) == b"value"


async def test_another_worker_finds_it_too(opened: Callable[..., Awaitable[SharedLevel]]) -> None:
    one, other = await opened(), await opened()
    await kept(one, {KEY: b"value"})
    assert await other.get(KEY) == b"value"


async def test_another_deployment_does_not_find_it(opened: Callable[..., Awaitable[SharedLevel]]) -> None:
    one, other = await opened("sekisho"), await opened("sekisho2")
    await kept(one, {KEY: b"value"})
    assert await other.get(KEY) is None


async def test_what_was_never_put_is_a_miss_and_no_failure(level: SharedLevel) -> None:
    assert await level.get(b"absent") is None
    assert level.status().misses == 1
    assert level.status().failures == level.status().timeouts == 0


async def test_keys_and_values_are_any_bytes(level: SharedLevel) -> None:
    entries = {
        b"\r\n$5\r\nhello\r\n": b"\r\n*3\r\n$3\r\nSET\r\n",
        b"{tag}" + bytes(27): b"\x00" * 32,
        b"}{" + b"\xff" * 30: b"$-1\r\n",
        b" " * 32: b"_\r\n",
    }
    await kept(level, entries)
    found = await asyncio.gather(*(level.get(key) for key in entries))
    assert dict(zip(entries, found, strict=True)) == entries


async def test_a_later_value_takes_the_place_of_an_earlier_one(level: SharedLevel) -> None:
    await kept(level, {KEY: b"one"})
    await kept(level, {KEY: b"two"})
    assert await level.get(KEY) == b"two"


async def test_a_value_ends_with_its_time(level: SharedLevel, place: Any) -> None:
    await kept(level, {KEY: b"value"}, timedelta(milliseconds=50))
    if isinstance(place[0], SimulatedRedis):
        place[0].now += timedelta(milliseconds=50)
    async with asyncio.timeout(PATIENCE_S):
        while await level.get(KEY) is not None:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)


async def test_what_has_no_time_left_is_not_kept(level: SharedLevel) -> None:
    level.put(KEY, b"value", timedelta(0))
    level.put(KEY, b"value", -MINUTE)
    assert level.status().dropped == 2
    assert await level.get(KEY) is None


async def test_a_value_that_is_too_large_is_not_kept(level: SharedLevel) -> None:
    level.put(KEY, b"x" * (MAX_SEALED_BYTES + 1), MINUTE)
    assert level.status().dropped == 1
    await kept(level, {b"largest": b"x" * MAX_SEALED_BYTES})
    assert len(await level.get(b"largest") or b"") == MAX_SEALED_BYTES


async def test_many_readers_at_once_each_get_the_value_of_their_own_key(level: SharedLevel) -> None:
    entries = {os.urandom(32): os.urandom(50) for _ in range(500)}
    await kept(level, entries)
    asked = [*entries, *(os.urandom(32) for _ in range(100)), *entries]
    found = await asyncio.gather(*(level.get(key) for key in asked))
    assert found == [entries.get(key) for key in asked]


async def test_a_reader_who_is_cancelled_takes_nobody_elses_answer_along(level: SharedLevel) -> None:
    entries = {os.urandom(32): os.urandom(50) for _ in range(64)}
    await kept(level, entries)
    for turns in range(40):
        keys = list(entries)
        leaving = [asyncio.create_task(level.get(key)) for key in keys[::2]]
        for _ in range(turns % 10):
            await asyncio.sleep(0)
        staying = [asyncio.create_task(level.get(key)) for key in keys]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        assert await asyncio.gather(*staying) == [entries[key] for key in keys]
        await asyncio.gather(*leaving, return_exceptions=True)


async def test_every_read_is_counted_once(level: SharedLevel) -> None:
    await kept(level, {KEY: b"value"})
    await asyncio.gather(*(level.get(key) for key in (KEY, KEY, b"absent", KEY, b"absent", b"absent too")))
    status = level.status()
    assert (status.hits, status.misses) == (3, 3)
    assert status.failures + status.timeouts + status.skipped + status.corrupted == 0


async def test_a_level_that_is_closed_finds_nothing_and_keeps_nothing(level: SharedLevel) -> None:
    await kept(level, {KEY: b"value"})
    await level.close()
    level.put(KEY, b"value", MINUTE)
    assert await level.get(KEY) is None
    await level.close()


async def test_a_healthy_level_says_so(level: SharedLevel) -> None:
    status = level.status()
    assert (status.state, status.fault, status.opened) == ("up", None, 0)


def test_the_acl_of_the_docs_is_as_narrow_as_it_says() -> None:
    with valkey_server(users=[ACL]) as server:
        client = redis.Redis(unix_socket_path=str(server.path), username="pdp", password="open-sesame", protocol=3)
        with client, pytest.raises(redis.exceptions.NoPermissionError):
            client.flushall()
