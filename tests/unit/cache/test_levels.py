"""Two levels, one evaluation for those who ask at once, and never an error that is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdp.cache.entry import Entry
from pdp.cache.levels import VerdictCache
from pdp.cache.local import LocalLevel
from pdp.cache.seal import Seal
from pdp.errors import EngineDiedError, EngineError, EngineSupersededError, EngineTimeoutError
from pdp.model.decision import Outcome, Verdict
from tests.simulated_shared_level import Fault, Redis, SimulatedShared

pytestmark = pytest.mark.anyio

NOW = datetime(2023, 8, 1, 1, tzinfo=UTC)
STEP = timedelta(microseconds=1)
END = NOW + timedelta(minutes=5)
KEY, OTHER = b"k" * 32, b"o" * 32
ALLOW = Verdict(Outcome.ALLOW, ("OK",))
DENY = Verdict(Outcome.DENY, ("DEVICE_LOST",), {"wipe": "request"})
SEAL = Seal(b"s" * 32)


class Policy:
    """An engine that answers when it is told to. `asked` counts the evaluations that were begun."""

    def __init__(self, said: Verdict | BaseException = ALLOW, until: datetime = END) -> None:
        self.said = said
        self.until = until
        self.asked = 0
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self) -> Entry:
        self.asked += 1
        await self.go.wait()
        if isinstance(self.said, BaseException):
            raise self.said
        return Entry(self.said, self.until)


def two_levels(redis: Redis, entries: int = 8, seal: Seal = SEAL) -> tuple[VerdictCache, SimulatedShared]:
    shared = SimulatedShared(redis)
    return VerdictCache(LocalLevel(entries), (shared, seal)), shared


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0)


# --- The way of one question ----------------------------------------------------------------------------------------


async def test_what_was_evaluated_once_is_here_until_its_end() -> None:
    cache, policy = VerdictCache(LocalLevel(8)), Policy()
    assert cache.here(KEY, NOW) is None
    assert await cache.judged(KEY, NOW, policy) == (ALLOW, "miss")
    assert cache.here(KEY, END - STEP) == ALLOW
    assert cache.here(OTHER, NOW) is None
    assert cache.here(KEY, END) is None
    assert await cache.judged(KEY, END, Policy(DENY, END + timedelta(hours=1))) == (DENY, "miss")
    status = cache.status()
    assert (status.entries, status.local_hits, status.shared_hits, status.kept, status.joined) == (1, 1, 0, 2, 0)
    assert status.shared is None


async def test_another_host_has_what_one_host_has_evaluated_and_then_keeps_it_itself() -> None:
    redis = Redis()
    first, _ = two_levels(redis)
    second, way = two_levels(redis)
    await first.judged(KEY, NOW, Policy(DENY))
    policy = Policy()
    assert await second.judged(KEY, NOW, policy) == (DENY, "hit")
    assert second.here(KEY, NOW) == DENY
    assert (policy.asked, second.status().shared_hits, way.asked) == (0, 1, [KEY])


async def test_the_shared_value_lives_as_long_as_the_entry() -> None:
    cache, way = two_levels(Redis())
    await cache.judged(KEY, NOW, Policy(until=NOW + timedelta(seconds=7)))
    assert way.ttls == [timedelta(seconds=7)]


async def test_a_shared_entry_ends_where_it_ended_on_the_host_that_made_it() -> None:
    redis = Redis()
    first, _ = two_levels(redis)
    await first.judged(KEY, NOW, Policy(DENY))
    for now, expected in ((END - STEP, (DENY, "hit")), (END, (ALLOW, "miss"))):
        later, _ = two_levels(Redis(dict(redis.values)))
        assert await later.judged(KEY, now, Policy(ALLOW, END + timedelta(hours=1))) == expected
    kept, _ = two_levels(Redis(dict(redis.values)))
    await kept.judged(KEY, END - STEP, Policy())
    assert kept.here(KEY, END) is None, "the level in the process must not make it live longer"


async def test_without_room_in_the_process_everything_comes_from_redis() -> None:
    cache, way = two_levels(Redis(), entries=0)
    policy = Policy()
    paths = [(await cache.judged(KEY, NOW, policy))[1] for _ in range(3)]
    assert (paths, policy.asked, way.asked) == (["miss", "hit", "hit"], 1, [KEY] * 3)
    assert cache.here(KEY, NOW) is None


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.OLD])
async def test_whatever_redis_does_wrong_is_a_miss(fault: Fault) -> None:
    cache, way = two_levels(Redis(), entries=0)
    way.faults.append(fault if fault is Fault.DROPPED else Fault.ABSENT)
    await cache.judged(OTHER, NOW, Policy(DENY))
    await cache.judged(KEY, NOW, Policy(ALLOW))
    if fault is Fault.DROPPED:
        assert OTHER not in way.redis.values
        return
    way.faults.clear()
    way.faults.append(fault)
    policy = Policy(ALLOW)
    assert await cache.judged(KEY, NOW, policy) == (ALLOW, "miss")
    assert policy.asked == 1
    shared = cache.status().shared
    assert shared is not None
    assert shared.corrupted == (fault in (Fault.ANOTHERS, Fault.FLIPPED, Fault.CUT)), "what is no value of ours counts"


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00", b"\xff" * 100, b"\x01" + b"\x00" * 200, b'{"outcome":"allow","reasons":["OK"]}', b"x" * 10**6],
)
async def test_a_value_that_somebody_else_put_there_is_a_counted_miss(value: bytes) -> None:
    """Attack: whoever can write to Redis writes an allow."""
    cache, way = two_levels(Redis({KEY: value}))
    assert await cache.judged(KEY, NOW, Policy(DENY)) == (DENY, "miss")
    assert cache.status().shared.corrupted == 1
    assert SEAL.open(KEY, way.redis.values[KEY]) == Entry(DENY, END), "and it is put right"


async def test_a_value_under_another_secret_or_for_another_key_is_no_value() -> None:
    redis = Redis()
    foreign, _ = two_levels(redis, seal=Seal(b"f" * 32))
    await foreign.judged(KEY, NOW, Policy(ALLOW))
    own, _ = two_levels(redis)
    redis.values[OTHER] = SEAL.close(KEY, Entry(ALLOW, END))
    for key in (KEY, OTHER):
        assert await own.judged(key, NOW, Policy(DENY)) == (DENY, "miss")


async def test_keep_replaces_what_both_levels_had() -> None:
    redis = Redis()
    cache, _ = two_levels(redis)
    await cache.judged(KEY, NOW, Policy(ALLOW))
    assert cache.keep(KEY, NOW, Entry(DENY, END)) == DENY
    assert cache.here(KEY, NOW) == DENY
    other, _ = two_levels(redis)
    assert await other.judged(KEY, NOW, Policy(ALLOW)) == (DENY, "hit")


# --- Several who ask at once ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shared", [False, True])
async def test_concurrent_misses_of_one_key_evaluate_once(shared: bool) -> None:
    cache, way = two_levels(Redis()) if shared else (VerdictCache(LocalLevel(8)), None)
    policy = Policy(DENY)
    policy.go.clear()
    tasks = [asyncio.create_task(cache.judged(KEY, NOW, policy)) for _ in range(50)]
    other = asyncio.create_task(cache.judged(OTHER, NOW, Policy(ALLOW)))
    assert await other == (ALLOW, "miss"), "another key does not wait"
    policy.go.set()
    answers = await asyncio.gather(*tasks)
    assert answers == [(DENY, "miss")] + [(DENY, "hit")] * 49
    assert policy.asked == 1
    assert cache.status().joined == 49
    if way is not None:
        assert way.asked == [KEY, OTHER]


async def test_a_leader_who_goes_away_takes_nobody_elses_answer_with_it() -> None:
    cache, policy = VerdictCache(LocalLevel(8)), Policy(DENY)
    policy.go.clear()
    leader, *others = [asyncio.create_task(cache.judged(KEY, NOW, policy)) for _ in range(3)]
    await until(lambda: policy.asked == 1)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    policy.go.set()
    assert await asyncio.gather(*others) == [(DENY, "hit")] * 2
    assert (policy.asked, cache.here(KEY, NOW)) == (1, DENY)


async def test_a_waiter_who_goes_away_changes_nothing_for_the_leader() -> None:
    cache, policy = VerdictCache(LocalLevel(8)), Policy(DENY)
    policy.go.clear()
    leader, waiter = [asyncio.create_task(cache.judged(KEY, NOW, policy)) for _ in range(2)]
    await until(lambda: policy.asked == 1)
    waiter.cancel()
    policy.go.set()
    assert await leader == (DENY, "miss")


@pytest.mark.parametrize("said", [DENY, EngineError("undefined")])
async def test_when_all_have_gone_away_the_evaluation_ends_quietly_and_the_next_one_asks_anew(said: Any) -> None:
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    cache, policy = VerdictCache(LocalLevel(8)), Policy(said)
    policy.go.clear()
    tasks = [asyncio.create_task(cache.judged(KEY, NOW, policy)) for _ in range(3)]
    await until(lambda: policy.asked == 1)
    for task in tasks:
        task.cancel()
    assert all(isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*tasks, return_exceptions=True))
    policy.go.set()
    await until(lambda: cache.here(KEY, NOW) is not None or said is not DENY)
    for _ in range(5):
        await asyncio.sleep(0)
    assert unseen == []
    if said is not DENY:
        assert cache.here(KEY, NOW) is None
        assert await cache.judged(KEY, NOW, Policy(ALLOW)) == (ALLOW, "miss")


ERRORS = (
    EngineError("undefined"),
    EngineTimeoutError("too slow"),
    EngineDiedError("gone"),
    EngineSupersededError("another bundle has become active"),
    RuntimeError("a bug of ours"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_reaches_all_who_wait_and_is_remembered_by_nobody(error: Exception) -> None:
    redis = Redis()
    cache, way = two_levels(redis)
    policy = Policy(error)
    policy.go.clear()
    tasks = [asyncio.create_task(cache.judged(KEY, NOW, policy)) for _ in range(3)]
    await until(lambda: policy.asked == 1)
    policy.go.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [error] * 3
    assert (cache.here(KEY, NOW), cache.status().entries, cache.status().kept) == (None, 0, 0)
    assert (redis.values, way.ttls) == ({}, [])
    again = Policy(ALLOW)
    assert await cache.judged(KEY, NOW, again) == (ALLOW, "miss")
    assert again.asked == 1


async def test_closing_ends_what_is_under_way_and_those_who_wait_are_told_so() -> None:
    cache, policy = VerdictCache(LocalLevel(8)), Policy()
    policy.go.clear()
    tasks = [asyncio.create_task(cache.judged(KEY, NOW, policy)) for _ in range(2)]
    await until(lambda: policy.asked == 1)
    await cache.close()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(end) for end in ends] == [EngineError] * 2, "a decision that nobody cancelled must end with a word"
    await cache.close()


# --- Many entries, few verdicts ---------------------------------------------------------------------------------------


async def test_equal_verdicts_are_one_object_and_others_are_not() -> None:
    redis = Redis()
    first, _ = two_levels(redis)
    for number in range(5):
        await first.judged(
            bytes([number]) * 32, NOW, Policy(Verdict(Outcome.DENY, ("DEVICE_LOST",), {"wipe": "request"}))
        )
    second, _ = two_levels(redis)
    held = [(await second.judged(bytes([number]) * 32, NOW, Policy()))[0] for number in range(5)]
    assert len({id(verdict) for verdict in held}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Verdict(Outcome.ALLOW, ("OK",)), Verdict(Outcome.DENY, ("OK",))),
        (Verdict(Outcome.DENY, ("A", "B")), Verdict(Outcome.DENY, ("B", "A"))),
        (Verdict(Outcome.LIMIT, ("OK",), {"save": "off"}), Verdict(Outcome.LIMIT, ("OK",), {"print": "off"})),
        (Verdict(Outcome.STEP_UP, ("A",), {}, 2), Verdict(Outcome.STEP_UP, ("A",), {}, 3)),
        (Verdict(Outcome.DENY, (), context=None), Verdict(Outcome.DENY, (), context={})),
        (Verdict(Outcome.DENY, (), context={"n": 1}), Verdict(Outcome.DENY, (), context={"n": True})),
        (Verdict(Outcome.DENY, (), context={"n": 1}), Verdict(Outcome.DENY, (), context={"n": 1.0})),
        (Verdict(Outcome.DENY, (), context={"n": [None]}), Verdict(Outcome.DENY, (), context={"n": []})),
    ],
)
@pytest.mark.parametrize("entries", [0, 8])
async def test_verdicts_that_differ_at_all_never_stand_for_each_other(
    one: Verdict, other: Verdict, entries: int
) -> None:
    cache, _ = two_levels(Redis(), entries)
    for key, verdict in ((KEY, one), (OTHER, other)):
        await cache.judged(key, NOW, Policy(verdict))
    for key, verdict in ((KEY, one), (OTHER, other)):
        found = cache.here(key, NOW) if entries else (await cache.judged(key, NOW, Policy(ALLOW)))[0]
        assert repr(found) == repr(verdict)  # Python takes 1, 1.0 and True for one


async def test_a_policy_may_answer_with_any_json() -> None:
    """A cache changes no answer: a number beyond 64 bits is JSON, and the engine gives it."""
    context: dict[str, Any] = {"n": 10**30, "f": 1e300, "deep": [[[{"x": None}]]], "text": "é\U0001f600\x00"}
    verdict = Verdict(Outcome.ALLOW, (), context=context)
    redis = Redis()
    for path in ("miss", "hit"):
        cache, _ = two_levels(redis)
        assert await cache.judged(KEY, NOW, Policy(verdict)) == (verdict, path)
