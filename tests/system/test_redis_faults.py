"""What a Redis can do to its readers, done by a real one: no wrong answer, no exception, no waiting, and a way back.

Times are bounded generously, so that a busy machine fails nothing: what is excluded is a reader who waits for a
Redis that does not answer, and such a one would wait for ever.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot
from structlog.testing import capture_logs

from pdp.cache.batch import MAX_KEYS
from pdp.cache.breaker import FAILURES_IN_A_ROW
from pdp.cache.entry import Entry
from pdp.cache.lane import GRACE
from pdp.cache.line import MAX_UNDER_WAY
from pdp.cache.seal import MAX_SEALED_BYTES, Seal
from pdp.cache.shared import RedisLevel, open_shared_level
from pdp.logs import get_log
from pdp.model.decision import Outcome, Verdict
from pdp.redis_client import MAX_REPLY_BYTES, RedisPlace
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.namespace import Namespace
from tests.valkey_server import ValkeyServer, sentinel_service, valkey_cluster, valkey_server

pytestmark = [pytest.mark.anyio, pytest.mark.system]

DEADLINE_S = 0.05
SLOWEST_S = DEADLINE_S * (1 + GRACE) + 2.0
PATIENCE_S = 30.0
MINUTE = timedelta(minutes=1)
HEAD = b"sekisho:d1:"
CROWD = 2 * MAX_KEYS * MAX_UNDER_WAY  # more than may be under way
KEY = bytes(range(32))
VALUE = b"the value of that key"

Open = Callable[..., RedisLevel]


async def settled(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # what another process does raises no event here
            await asyncio.sleep(0.005)


async def asked(level: RedisLevel, key: bytes = KEY) -> bytes | None:
    """A read that must end in time, and must not raise."""
    begun = time.monotonic()
    value = await level.get(key)
    assert time.monotonic() - begun < SLOWEST_S
    return value


async def kept(level: RedisLevel, key: bytes = KEY, value: bytes = VALUE) -> None:
    """Put until it is found: what is put while Redis is away is dropped, on purpose."""
    async with asyncio.timeout(PATIENCE_S):
        level.put(key, value, MINUTE)
        while await asked(level, key) != value:
            level.put(key, value, MINUTE)
            await asyncio.sleep(0.01)


async def found_again(level: RedisLevel, key: bytes = KEY, value: bytes = VALUE) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await asked(level, key) != value:  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)


async def given_up(level: RedisLevel) -> None:
    """Read as a busy service does, until the level does not ask any more."""
    async with asyncio.timeout(PATIENCE_S):
        while level.status().state == "up":
            assert set(await asyncio.gather(*(asked(level, bytes([n])) for n in range(8)))) == {None}
            await asyncio.sleep(0)


async def is_up(level: RedisLevel) -> None:
    await settled(lambda: level.status().state == "up")


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The loop of the service; tests/contract/test_shared_cache.py runs on the other one."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
async def open_level() -> AsyncIterator[Open]:
    levels: list[RedisLevel] = []

    def opened(url: str, *, deadline_s: float = DEADLINE_S, **place: str) -> RedisLevel:
        level = open_shared_level(RedisPlace(url, **place), prefix="sekisho", deadline_s=deadline_s)
        levels.append(level)
        return level

    yield opened
    for level in levels:
        await level.close()


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey_server() as running:
        yield running


@pytest.fixture
def proxy(server: ValkeyServer) -> Iterator[FlakyProxy]:
    with flaky_proxy(server.path) as running:
        yield running


@pytest.fixture
async def level(server: ValkeyServer, open_level: Open) -> RedisLevel:
    return await _holding(open_level(server.url))


@pytest.fixture
async def behind(proxy: FlakyProxy, open_level: Open) -> RedisLevel:
    """A level that reaches its server through `proxy`, and knows KEY."""
    return await _holding(open_level(proxy.url))


async def _holding(level: RedisLevel) -> RedisLevel:
    await is_up(level)
    await kept(level)
    return level


# The server


async def test_a_redis_that_is_not_there_at_the_start_is_a_miss_until_it_comes(
    server: ValkeyServer, open_level: Open
) -> None:
    server.kill()
    level = open_level(server.url)
    assert await asked(level) is None
    await settled(lambda: level.status().fault == "ConnectionError")
    assert level.status().skipped == 1
    server.restart()
    await is_up(level)
    await kept(level)


async def test_a_killed_redis_is_a_miss_and_comes_back_empty(server: ValkeyServer, level: RedisLevel) -> None:
    server.kill()
    await given_up(level)
    assert await asked(level) is None
    status = level.status()
    assert status.opened == 1
    assert status.fault is not None
    level.put(KEY, VALUE, MINUTE)
    assert level.status().dropped == status.dropped + 1
    server.restart()
    await is_up(level)
    assert await asked(level) is None
    assert level.status().misses > 0
    await kept(level)


async def test_a_frozen_redis_costs_its_readers_a_deadline_and_then_nothing(
    server: ValkeyServer, level: RedisLevel
) -> None:
    server.freeze()
    assert await asked(level) is None
    await given_up(level)
    assert level.status().timeouts > 0
    assert level.status().fault == "timeout"
    before = level.status().skipped
    assert [await asked(level) for _ in range(1000)] == [None] * 1000
    assert level.status().skipped == before + 1000
    server.thaw()
    await is_up(level)
    await found_again(level)


async def test_after_a_few_late_answers_in_a_row_nobody_waits_any_more(server: ValkeyServer, open_level: Open) -> None:
    level = await _holding(open_level(server.url, deadline_s=DEADLINE_S / 10))
    server.freeze()
    before = level.status()
    async with asyncio.timeout(PATIENCE_S):
        while level.status().skipped == before.skipped:
            assert await asked(level) is None
    assert level.status().timeouts - before.timeouts <= FAILURES_IN_A_ROW


async def test_a_frozen_redis_that_nobody_reads_is_noticed_too(server: ValkeyServer, level: RedisLevel) -> None:
    server.freeze()
    await settled(lambda: level.status().fault == "timeout")
    server.thaw()
    await is_up(level)


async def test_a_full_redis_refuses_writes_and_is_read_all_the_same(server: ValkeyServer, level: RedisLevel) -> None:
    server.fill()
    level.put(b"more", VALUE, MINUTE)
    await settled(lambda: level.status().fault == "OutOfMemoryError")
    assert level.status().state == "up"
    assert level.status().dropped > 0
    assert await asked(level) == VALUE
    server.empty()
    await kept(level, b"more")
    await settled(lambda: level.status().fault is None)


async def test_a_server_that_became_a_replica_is_still_read(server: ValkeyServer, level: RedisLevel) -> None:
    with valkey_server() as master:
        master.control.set(HEAD + KEY, VALUE)
        server.control.replicaof("127.0.0.1", master.port)
        level.put(b"more", VALUE, MINUTE)
        await settled(lambda: level.status().fault == "ReadOnlyError")
        await found_again(level)
        server.control.replicaof("NO", "ONE")
        await kept(level, b"more")
        await settled(lambda: level.status().fault is None)


async def test_a_wrong_password_is_a_fault_with_a_name_and_no_error(open_level: Open, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("not this one")
    with valkey_server(password="open-sesame") as server:
        level, without = open_level(server.url, password_file=str(password)), open_level(server.url)
        for one in (level, without):
            await settled(lambda one=one: one.status().fault == "AuthenticationError")
            assert await asked(one) is None
            assert one.status().state in ("down", "probing")
        server.control.config_set("requirepass", "not this one")
        await is_up(level)
        await kept(level)


async def test_a_user_who_may_not_read_is_a_fault_with_a_name(server: ValkeyServer, level: RedisLevel) -> None:
    server.control.execute_command("ACL", "SETUSER", "default", "-mget")
    await given_up(level)
    await settled(lambda: level.status().fault == "NoPermissionError")
    server.control.execute_command("ACL", "SETUSER", "default", "+mget")
    await is_up(level)
    await found_again(level)


async def test_a_url_that_names_one_node_of_a_cluster_is_a_fault_with_a_name(open_level: Open) -> None:
    with valkey_cluster() as cluster:
        level = open_level(cluster.nodes[0].url)
        async with asyncio.timeout(PATIENCE_S):
            while level.status().fault not in ("MovedError", "ClusterCrossSlotError"):
                await asyncio.gather(*(asked(level, bytes([n])) for n in range(8)))
                await asyncio.sleep(0.01)


async def test_flushall_is_a_miss(server: ValkeyServer, level: RedisLevel) -> None:
    server.empty()
    assert await asked(level) is None
    assert level.status().state == "up"
    await kept(level)


async def test_a_connection_that_the_server_ends_is_made_again(server: ValkeyServer, level: RedisLevel) -> None:
    for times in range(1, 4):
        assert server.control.client_kill_filter(_type="normal", skipme=True) >= 1
        await settled(lambda times=times: level.status().opened >= times)
        await is_up(level)
        await found_again(level)


# The value


@pytest.mark.parametrize("damage", ["bit", "cut", "made up", "another key's", "another deployment's"])
async def test_a_value_that_somebody_changed_opens_as_nothing(
    damage: str, server: ValkeyServer, level: RedisLevel
) -> None:
    seal, other = Seal(b"s" * 32), Seal(b"t" * 32)
    deny = Entry(Verdict(Outcome.DENY, ("NO",)), datetime(2126, 1, 1, tzinfo=UTC))
    sealed = seal.close(KEY, deny)
    await kept(level, KEY, sealed)
    assert seal.open(KEY, await asked(level) or b"") == deny
    spot = random.Random(7).randrange(len(sealed) * 8)
    flipped = bytearray(sealed)
    flipped[spot // 8] ^= 1 << spot % 8
    changed = {
        "bit": bytes(flipped),
        "cut": sealed[:-1],
        "made up": sealed[:33] + b'["2126-01-01T00:00:00Z","allow",["OK"],{},null,null]',
        "another key's": seal.close(bytes(32), deny),
        "another deployment's": other.close(KEY, deny),
    }[damage]
    server.control.set(HEAD + KEY, changed)
    found = await asked(level)
    assert found == changed
    assert seal.open(KEY, found) is None


async def test_a_value_of_another_type_is_a_miss_and_is_replaced(server: ValkeyServer, level: RedisLevel) -> None:
    server.control.delete(HEAD + KEY)
    server.control.rpush(HEAD + KEY, VALUE)
    assert await asked(level) is None
    assert level.status().state == "up"
    await kept(level)


async def test_a_value_that_is_too_large_to_be_ours_is_a_miss(server: ValkeyServer, level: RedisLevel) -> None:
    server.control.set(HEAD + KEY, b"x" * (MAX_SEALED_BYTES + 1))
    assert await asked(level) is None
    assert level.status().corrupted == 1
    assert level.status().state == "up"
    await kept(level)


async def test_a_monstrous_value_is_not_taken_into_memory(server: ValkeyServer, level: RedisLevel) -> None:
    server.control.set(HEAD + KEY, b"x" * (8 * MAX_REPLY_BYTES))
    sent = server.control.info("stats")["total_net_output_bytes"]
    assert await asked(level) is None
    await settled(lambda: level.status().opened == 1)
    await is_up(level)
    assert server.control.info("stats")["total_net_output_bytes"] - sent < 3 * MAX_REPLY_BYTES  # the kernel holds some
    await kept(level)


# The way between


async def test_an_answer_that_is_late_goes_to_nobody(
    server: ValkeyServer, proxy: FlakyProxy, behind: RedisLevel
) -> None:
    values = {bytes([number]) * 32: b"value of %d" % number for number in range(200)}
    for key, value in values.items():
        server.control.set(HEAD + key, value)
    chance = random.Random(11)
    keys = list(values)
    for _ in range(60):
        late = chance.random() < 0.5
        if late:
            proxy.hold()
        some = chance.sample(keys, 5)
        found = await asyncio.gather(*(asked(behind, key) for key in some))
        assert all(value in (None, values[key]) for key, value in zip(some, found, strict=True))
        if late:
            proxy.let_go()
            other = chance.choice(keys)
            assert await asked(behind, other) in (None, values[other])
    await is_up(behind)
    await found_again(behind, keys[3], values[keys[3]])
    assert behind.status().timeouts > 0


async def test_the_next_question_does_not_get_the_answer_to_the_last(
    server: ValkeyServer, proxy: FlakyProxy, behind: RedisLevel
) -> None:
    values = {bytes([number]) * 32: b"value of %d" % number for number in range(10)}
    for key, value in values.items():
        server.control.set(HEAD + key, value)
    first, second = list(values)[:5], list(values)[5:]
    proxy.hold()
    assert await asyncio.gather(*(asked(behind, key) for key in first)) == [None] * 5
    reading = [asyncio.create_task(asked(behind, key)) for key in second]
    await asyncio.sleep(0.2 * DEADLINE_S)  # the second question is on its way, the first still unanswered
    proxy.let_go()
    for key, value in zip(second, await asyncio.gather(*reading), strict=True):
        assert value in (None, values[key])


async def test_a_slow_redis_is_not_asked_until_it_is_fast_again(proxy: FlakyProxy, behind: RedisLevel) -> None:
    proxy.delay_s = 4 * DEADLINE_S
    await given_up(behind)
    assert behind.status().fault == "timeout"
    connections = proxy.opened
    await settled(lambda: proxy.opened >= connections + 2)
    assert behind.status().state != "up"  # it connects, and its probes are late
    proxy.delay_s = 0.0
    await is_up(behind)
    await found_again(behind)


async def test_an_answer_that_is_cut_in_the_middle_is_a_miss(proxy: FlakyProxy, behind: RedisLevel) -> None:
    proxy.manner = "cut"
    assert await asked(behind) is None
    await given_up(behind)
    proxy.manner = "pass"
    await is_up(behind)
    await found_again(behind)


GARBAGE = {
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a status": b"+OK\r\n",
    "a number": b":1\r\n",
    "a string": b"$2\r\nhi\r\n",
    "an array of too few": b"*0\r\n",
    "an array of too many": b"*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    "an array within": b"*1\r\n*1\r\n$1\r\na\r\n",
    "a map": b"%1\r\n+a\r\n+b\r\n",
    "a huge string": b"$536870912\r\nx",
    "a huge array": b"*4294967295\r\n",
    "a length below nothing": b"$-7\r\n",
    "deep arrays": b"*1\r\n" * 2_000,
    "a push": b">2\r\n+invalidate\r\n*0\r\n",
    "many pushes": b">1\r\n+x\r\n" * 3_000,
    "a push of nothing": b">0\r\n",
    "zeros": bytes(1_000),
    "no line's end": b"+" + b"x" * 200_000,
    "an error": b"-ERR no\r\n",
    "an error that is no text": b"-\xff\xfe\r\n",
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n",
    "not let in": b"-NOAUTH Authentication required.\r\n",
    "moved": b"-MOVED 3999 127.0.0.1:1\r\n",
    "moved nowhere": b"-MOVED\r\n",
    "down": b"-CLUSTERDOWN The cluster is down\r\n",
    "master down": b"-MASTERDOWN Link with MASTER is down\r\n",
}


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
async def test_an_answer_that_is_none_is_a_miss(
    garbage: bytes, readers: int, proxy: FlakyProxy, behind: RedisLevel
) -> None:
    proxy.garbage = garbage
    proxy.manner = "garbage"
    for _ in range(12):
        found = await asyncio.gather(*(asked(behind, bytes([number])) for number in range(readers)))
        assert found == [None] * readers
    proxy.manner = "pass"
    await is_up(behind)
    await found_again(behind)


@pytest.mark.parametrize("more", [b"+OK\r\n", b"*1\r\n$5\r\nwrong\r\n", b"$-1\r\n", b"\r\n"])
async def test_an_answer_that_nobody_asked_for_shifts_no_later_one(
    more: bytes, proxy: FlakyProxy, behind: RedisLevel
) -> None:
    proxy.say(more)
    await settled(lambda: behind.status().opened == 1)
    await is_up(behind)
    await found_again(behind)


async def test_connections_that_break_are_made_again(proxy: FlakyProxy, behind: RedisLevel) -> None:
    for times in range(1, 4):
        proxy.drop_connections()
        await settled(lambda times=times: behind.status().opened >= times)
        await is_up(behind)
        await found_again(behind)


# A cable that is pulled needs root and `ip`; elsewhere only the proxy swallows in its place.
CABLES = ["a network namespace", "a proxy that swallows"] if Namespace.is_possible() else ["a proxy that swallows"]


@pytest.mark.parametrize("cable", CABLES)
async def test_a_partition_is_a_miss_until_it_ends(cable: str, open_level: Open) -> None:
    with ExitStack() as stack:
        if cable == "a network namespace":
            network = stack.enter_context(Namespace())
            server = stack.enter_context(valkey_server(host=network.address, namespace=network.name, port=7000))
            url, pull, mend = server.url, network.pull, network.mend
        else:
            proxy = stack.enter_context(flaky_proxy(stack.enter_context(valkey_server()).path))
            url, pull, mend = proxy.url, partial(proxy.swallow, on=True), partial(proxy.swallow, on=False)
        level = await _holding(open_level(url))
        pull()
        await given_up(level)
        assert await asked(level) is None
        mend()
        await is_up(level)
        await found_again(level)


# Ourselves


async def test_a_loop_that_was_busy_does_not_blame_redis(level: RedisLevel) -> None:
    for _ in range(20):
        reading = asyncio.create_task(level.get(KEY))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(1.5 * DEADLINE_S)  # noqa: ASYNC251  # the loop stands still on purpose
        assert await reading == VALUE
    assert level.status().timeouts == 0


async def test_a_redis_that_hangs_holds_up_no_crowd(server: ValkeyServer, level: RedisLevel) -> None:
    server.freeze()
    async with asyncio.timeout(PATIENCE_S):
        found = await asyncio.gather(*(level.get(number.to_bytes(32, "big")) for number in range(CROWD)))
    assert set(found) == {None}
    status = level.status()
    assert status.timeouts + status.failures + status.skipped >= CROWD
    server.thaw()
    await is_up(level)


async def test_writes_that_redis_does_not_take_are_bounded_and_counted(server: ValkeyServer, level: RedisLevel) -> None:
    server.freeze()
    before = level.status()
    for number in range(10_000):
        level.put(number.to_bytes(32, "big"), b"x" * 10_000, MINUTE)
    assert level.status().dropped - before.dropped > 9_000
    server.thaw()
    await found_again(level)
    await settled(lambda: level.status().written + level.status().dropped - before.written - before.dropped == 10_000)


async def test_a_change_is_said_once_and_not_for_every_request(
    server: ValkeyServer, open_level: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger that an earlier test has used keeps the configuration of that test, and cannot be captured; so does
    # what is bound from it when a level is opened.
    monkeypatch.setattr("pdp.cache.lane._log", get_log("pdp.cache.lane"))
    with capture_logs() as lines:
        level = await _holding(open_level(server.url))
        server.kill()
        await given_up(level)
        for _ in range(500):
            assert await asked(level) is None
            await asyncio.sleep(0.001)
        server.restart()
        await is_up(level)
    said = [line["event"] for line in lines if "in redis" in line["event"]]
    used, not_used = "the cache in redis is used", "the cache in redis is not used for now"
    assert said == [used, not_used, used]


# Sentinel and cluster


async def test_after_a_failover_the_new_master_is_read_and_written(open_level: Open) -> None:
    with sentinel_service() as service:
        level = await _holding(open_level(service.url))
        service.fail_over()
        await given_up(level)
        await is_up(level)
        await kept(level, b"after")
        assert service.replica.control.get(HEAD + b"after") == VALUE


async def test_a_dead_node_of_a_cluster_costs_its_own_keys_only(open_level: Open) -> None:
    with valkey_cluster() as cluster:
        level = open_level(cluster.url)
        await settled(lambda: level.status().state == "up" and len(level._lanes.all) == 3)
        keys = [bytes([number]) * 32 for number in range(24)]
        for key in keys:
            await kept(level, key, key)
        dead = cluster.nodes[1]
        its_own = [key for key in keys if 5_461 <= key_slot(HEAD + key) < 10_922]
        assert 0 < len(its_own) < len(keys)
        dead.kill()
        await settled(lambda: level.status().state != "up")
        for key in keys:
            if key in its_own:
                assert await asked(level, key) is None
            else:
                await found_again(level, key, key)
        dead.restart()
        await is_up(level)
        for key in its_own:
            await kept(level, key, key)


async def test_a_slot_that_moves_is_found_at_its_new_node(open_level: Open) -> None:
    with valkey_cluster() as cluster:
        level = open_level(cluster.url)
        await settled(lambda: level.status().state == "up" and len(level._lanes.all) == 3)
        slot = key_slot(HEAD + KEY)
        owner = cluster.nodes[3 * slot // 16_384]
        other = next(node for node in cluster.nodes if node is not owner)
        identity = other.control.execute_command("CLUSTER", "MYID")
        for node in (other, owner, *cluster.nodes):
            node.control.execute_command("CLUSTER", "SETSLOT", slot, "NODE", identity)
        await kept(level)
        assert other.control.get(HEAD + KEY) == VALUE
        assert level.status().state == "up"
        assert level.status().opened == 0  # that a key has moved is no fault of its node


async def test_a_cluster_that_is_not_there_is_a_miss_until_it_comes(open_level: Open) -> None:
    with valkey_cluster() as cluster:
        for node in cluster.nodes:
            node.kill()
        level = open_level(cluster.url)
        assert await asked(level) is None
        await settled(lambda: level.status().fault == "RedisClusterException")
        assert level.status().state == "down"
        for node in cluster.nodes:
            node.restart()
        await is_up(level)
        await kept(level)
        assert level.status().fault is None
