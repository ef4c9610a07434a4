"""Whole services beside a real Valkey that is hurt in every way: no wrong answer, no error, and a way back.

Two services share one Valkey: one worker with both levels of the cache, and two workers with Redis only. They
are asked all the time (`tests.steady_stream`), and each test does one thing to the Valkey. What holds in every
one of them: each answer is a 200 with the outcome and the reasons that `decide` gives without a cache, each is
recorded, `/readyz` says ready, and the metrics show the fault and its end.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pdp.bundle.bundle import read_bundle
from pdp.cache.entry import Entry
from pdp.cache.seal import Seal
from pdp.model.decision import Outcome, Verdict
from pdp.settings import load_settings
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.fleet import House, Samples, Service, house, services
from tests.namespace import Namespace
from tests.steady_stream import Fleet, Question, Stream, asked, questions
from tests.valkey_server import ValkeyServer, valkey_server

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

BUNDLE = load_settings(environ={}).bundle_path
PASSWORD = "first"
SECRET = b"the secret of this fleet, 32 bytes and more"
DEADLINE_MS = 20  # so that a busy machine is not taken for a slow Redis; how long it takes is bench/faults.py's
FEW = 4  # verdicts in the process: most questions go on to Redis
HEAD = b"sekisho:d1:"
NEWS = "sekisho:news"
GRACE_S = 15.0  # the service gives its last answers ten seconds
IN_NAMESPACE = Namespace.is_possible()
PARTITION = "partitioned-in-a-network-namespace" if IN_NAMESPACE else "partitioned-by-a-proxy-that-swallows"


@pytest.fixture(scope="module")
def network() -> Iterator[Namespace | None]:
    if not IN_NAMESPACE:
        yield None
        return
    with Namespace() as own:
        yield own


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> House:
    made = house(tmp_path_factory.mktemp("house"))
    (made.place / "password").write_text(PASSWORD, encoding="utf-8")
    (made.place / "secret").write_bytes(SECRET)
    return made


@pytest.fixture(scope="module")
def known(home: House) -> list[Question]:
    return questions(home, read_bundle(BUNDLE))


@pytest.fixture(scope="module")
def valkey(network: Namespace | None) -> Iterator[ValkeyServer]:
    place = {} if network is None else {"host": network.address, "namespace": network.name, "port": 7000}
    with valkey_server(password=PASSWORD, **place) as server:
        yield server


def shared(home: House, url: str, **more: object) -> dict[str, object]:
    """Settings of a service that shares its cache with the others of the house."""
    return {
        "redis_url": url,
        "redis_password_file": home.place / "password",
        "redis_secret_file": home.place / "secret",
        "redis_deadline_ms": DEADLINE_MS,
        **more,
    }


@pytest.fixture(scope="module")
def proxy(valkey: ValkeyServer) -> Iterator[FlakyProxy]:
    with flaky_proxy(valkey.path) as running:
        yield running


@pytest.fixture(scope="module")
def everybody(
    home: House, valkey: ValkeyServer, proxy: FlakyProxy, later: socket.socket
) -> Iterator[dict[str, Service]]:
    """Started at once, which is quicker; and what they recorded is proven when all is over."""
    settings = {
        "one-worker-both-levels": shared(home, valkey.url, cache_entries=FEW),
        "two-workers-redis-only": shared(home, valkey.url, cache_entries=0, workers=2),
        "behind-a-proxy": shared(home, proxy.url, cache_entries=0, redis_prefix="behind"),
        "not-let-in": shared(home, valkey.url, cache_entries=0, redis_username="late"),
        "before-its-redis": {
            "redis_url": f"redis://127.0.0.1:{later.getsockname()[1]}",
            "redis_deadline_ms": DEADLINE_MS,
        },
    }
    with services(home, settings) as started:
        yield started
    for service in started.values():
        by_worker = service.recorded()
        assert len(by_worker) == service.workers
        assert all(by_worker.values()) or not any(by_worker.values()), f"{service}: one worker answered everything"
        assert service.audit() == {"ok": True, "records": sum(by_worker.values()), "findings": []}
        assert not [line for line in service.log() if line["level"] in ("error", "critical") or "exception" in line]


@pytest.fixture(scope="module")
def later() -> Iterator[socket.socket]:
    """Keeps the port of a Valkey that is not there yet: whoever connects is refused."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept


@pytest.fixture
def fleet(everybody: dict[str, Service], valkey: ValkeyServer, known: list[Question]) -> Fleet:
    own = [service for name, service in everybody.items() if name.startswith(("one-", "two-"))]
    return Fleet(own, valkey, known)


@pytest.fixture
def proxied(everybody: dict[str, Service], valkey: ValkeyServer, known: list[Question]) -> Fleet:
    return Fleet([everybody["behind-a-proxy"]], valkey, known)


# --- Redis is away


def lost(fleet: Fleet, stream: Stream, *, word: str = "") -> None:
    """Nobody asks Redis, everybody says so, and answers end soon because a change might be heard of late."""
    fleet.see(fleet.rises("redis_breaker_opened_total"), "not every worker stopped asking")
    fleet.see(lambda _, now: now["redis_up", ""] == now["news_up", ""] == 0, "not everybody noticed")
    fleet.say_so("shared_cache", f"does not answer ({word}")
    fleet.say_so("news", "lost")
    stream.ends_soon()
    fleet.look()
    fleet.see(fleet.one_rises("redis_reads_total", "skipped"), "Redis is still asked")
    fleet.see(fleet.one_rises("cache_lookups_total", "miss"), "nothing is evaluated")
    stream.goes_on()
    stream.may_last()


def found(fleet: Fleet, stream: Stream) -> None:
    fleet.are_well()
    stream.lasts_again()


def killed(server: ValkeyServer) -> Iterator[None]:
    server.freeze()
    time.sleep(DEADLINE_MS / 2_000)  # so that questions are under way that it will never answer
    server.kill()
    yield
    server.restart()


def frozen(server: ValkeyServer) -> Iterator[None]:
    server.freeze()
    yield
    server.thaw()


AWAY: dict[str, Callable[[ValkeyServer], Iterator[None]]] = {"killed": killed, "frozen": frozen}


@pytest.mark.parametrize("how", AWAY)
def test_every_answer_is_right_while_redis_is(fleet: Fleet, how: str) -> None:
    with fleet.asked() as stream:
        with contextmanager(AWAY[how])(fleet.valkey):
            lost(fleet, stream)
        found(fleet, stream)


def test_every_answer_is_right_while_redis_has_another_password_until_the_file_has_it_too(
    fleet: Fleet, home: House
) -> None:
    control, file = fleet.valkey.control, home.place / "password"
    with fleet.asked() as stream:
        control.config_set("requirepass", "second")
        control.client_kill_filter(_type="normal", skipme=True)
        lost(fleet, stream, word="AuthenticationError")
        file.write_text("second", encoding="utf-8")
        found(fleet, stream)
        file.write_text(PASSWORD, encoding="utf-8")
        control.config_set("requirepass", PASSWORD)


@pytest.mark.parametrize("how", [PARTITION])
def test_every_answer_is_right_while_redis_is_cut_off(
    fleet: Fleet, proxied: Fleet, network: Namespace | None, proxy: FlakyProxy, how: str
) -> None:
    hurt = proxied if network is None else fleet
    with hurt.asked() as stream:
        if network is None:
            proxy.manner = "swallow"
        else:
            network.pull()
        lost(hurt, stream)
        if network is None:
            proxy.manner = "pass"
            proxy.drop_connections()
        else:
            network.mend()
        found(hurt, stream)


def test_every_answer_is_right_when_redis_comes_back_empty(fleet: Fleet) -> None:
    with fleet.asked() as stream:
        fleet.valkey.restart()
        fleet.see(fleet.rises("redis_breaker_opened_total"), "nobody noticed")
        fleet.see(fleet.one_rises("cache_lookups_total", "miss"), "nothing was asked anew")
        fleet.are_well()
        fleet.see(fleet.one_rises("redis_reads_total", "hits"), "it does not fill again")
        stream.goes_on()


def test_every_answer_is_right_while_redis_answers_late(proxied: Fleet, proxy: FlakyProxy) -> None:
    with proxied.asked() as stream:
        proxy.delay_s = 0.05
        proxied.see(proxied.one_rises("redis_reads_total", "timeouts"), "nothing is late")
        proxied.see(proxied.rises("redis_breaker_opened_total"), "it goes on asking")
        proxied.say_so("shared_cache", "does not answer (timeout)")
        proxied.look()
        proxied.see(proxied.one_rises("redis_reads_total", "skipped"), "Redis is still asked")
        stream.goes_on()
        proxied.say_so("news", "up")  # seconds are in time for news
        proxy.delay_s = 0.0
        proxied.are_well()


def test_a_service_that_redis_does_not_let_in_answers_without_it_until_it_does(
    everybody: dict[str, Service], valkey: ValkeyServer, known: list[Question]
) -> None:
    service = everybody["not-let-in"]
    shut_out = Fleet([service], valkey, known)
    with asked([service], known) as stream:
        stream.goes_on()
        shut_out.look()
        shut_out.say_so("shared_cache", "does not answer (AuthenticationError)")
        shut_out.say_so("news", "lost")
        stream.ends_soon()
        stream.goes_on()
        stream.may_last()
        valkey.control.acl_setuser(
            "late", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], channels=["*"], categories=["+@all"]
        )
        found(shut_out, stream)
        shut_out.see(shut_out.one_rises("redis_reads_total", "hits"), "it finds nothing")


def test_a_service_that_starts_before_its_redis_answers_and_finds_it_later(
    everybody: dict[str, Service], later: socket.socket, known: list[Question]
) -> None:
    service = everybody["before-its-redis"]
    with asked([service], known) as stream:
        stream.goes_on()
        assert "does not answer" in service.details()["shared_cache"]
        stream.ends_soon()
        stream.may_last()
        port = later.getsockname()[1]
        later.close()
        with valkey_server(port=port) as server:
            alone = Fleet([service], server, known)
            alone.look()
            found(alone, stream)
            assert service.metrics()["redis_breaker_opened_total", ""] == 0  # it had never been closed
        stream.goes_on()


# --- Redis answers, and not what it was told


def keys(server: ValkeyServer) -> list[bytes]:
    return list(server.control.scan_iter(match=HEAD + b"*", count=1000))


def put(server: ValkeyServer, values: dict[bytes, bytes]) -> None:
    pipe = server.control.pipeline(transaction=False)
    for key, value in values.items():
        pipe.set(key, value, ex=60)
    pipe.execute()


def garbage(server: ValkeyServer) -> None:
    put(server, {key: os.urandom(200) for key in keys(server)})


def values_of_other_keys(server: ValkeyServer) -> None:
    names = keys(server)
    values: Any = server.control.mget(names)
    put(server, {name: value or b"" for name, value in zip(names, [*values[1:], *values[:1]], strict=True)})


def forged(secret: bytes, *, until_s: float) -> Callable[[ValkeyServer], None]:
    """Everything is allowed, under this secret's seal."""

    def forge(server: ValkeyServer) -> None:
        entry = Entry(Verdict(Outcome.ALLOW, ("OK",)), datetime.now(UTC) + timedelta(seconds=until_s))
        seal = Seal(secret)
        put(server, {name: seal.close(name.removeprefix(HEAD), entry) for name in keys(server)})

    return forge


def another_type(server: ValkeyServer) -> None:
    pipe = server.control.pipeline(transaction=True)
    for name in keys(server):
        pipe.delete(name)
        pipe.lpush(name, b"x")
    pipe.execute()


def nothing(server: ValkeyServer) -> None:
    server.control.flushall()


NOT_OURS = {
    "garbage": (garbage, "corrupted"),
    "the-values-of-other-keys": (values_of_other_keys, "corrupted"),
    "sealed-with-another-secret": (forged(b"what an attacker does not know, and guesses", until_s=60), "corrupted"),
    "sealed-with-our-secret-and-ended": (forged(SECRET, until_s=-1), "hits"),
    "of-another-type": (another_type, "misses"),
    "gone-again-and-again": (nothing, "misses"),
}


@pytest.mark.parametrize("values", NOT_OURS)
def test_every_answer_is_right_while_all_values_are(fleet: Fleet, values: str) -> None:
    hurt, counted = NOT_OURS[values]
    with fleet.asked() as stream:

        def seen(service: Service, now: Samples) -> bool:
            """The services put their own in the place of what they find, so it is done again and again."""
            hurt(fleet.valkey)
            both = fleet.one_rises("redis_reads_total", counted), fleet.one_rises("cache_lookups_total", "miss")
            return all(rose(service, now) for rose in both)

        fleet.see(seen, f"{values}: neither counted nor asked anew")
        stream.goes_on()


def test_every_answer_is_right_while_redis_is_full(fleet: Fleet) -> None:
    control = fleet.valkey.control
    with fleet.asked() as stream:
        fleet.valkey.fill()

        def dropped(service: Service, now: Samples) -> bool:
            for name in keys(fleet.valkey):
                control.delete(name)  # so that there is something to write
            return fleet.one_rises("redis_writes_total", "dropped")(service, now)

        fleet.see(dropped, "nobody wanted to write")
        fleet.see(lambda _, now: now["news_up", ""] == 0, "news that nobody could tell were not missed")
        assert all(service.metrics()["redis_up", ""] == 1 for service in fleet.services), "it can be read"
        stream.ends_soon()
        stream.goes_on()
        stream.may_last()
        fleet.valkey.empty()
        control.config_set("maxmemory", 0)
        fleet.look()
        fleet.see(fleet.one_rises("redis_writes_total", "written"), "no writes any more")
        found(fleet, stream)


def test_a_stream_that_is_gone_is_seen_and_answers_stay_right(fleet: Fleet) -> None:
    control = fleet.valkey.control
    with fleet.asked() as stream:
        control.xadd(NEWS, {"kind": "directory", "mark": "1"})
        fleet.see(fleet.rises("news_heard_total"), "not every worker heard it")
        control.delete(NEWS)
        fleet.see(fleet.rises("news_gaps_total"), "not every worker saw the gap")
        fleet.look()
        control.xadd(NEWS, {"kind": "directory", "mark": "2"})
        fleet.see(fleet.rises("news_heard_total"), "not every worker hears again")
        stream.goes_on()


# --- the service itself ends


def test_a_service_ends_in_time_while_redis_is_frozen_and_finds_everything_when_it_starts_again(
    home: House, known: list[Question]
) -> None:
    with valkey_server() as own:
        settings = {"workers": 2, "redis_url": own.url, "cache_entries": 0, "redis_deadline_ms": DEADLINE_MS}
        with services(home, {"ending": settings}) as started:
            (service,) = started.values()
            with asked([service], known, exactly=False) as stream:
                stream.goes_on(len(known) * 2)
                fleet = Fleet([service], own, known)
                fleet.are_well()
                own.freeze()
                fleet.see(lambda _, now: now["redis_up", ""] == 0, "nobody noticed")
                stream.service_ends(service)
                service.terminate()
                service.process.wait(GRACE_S)
            answered = stream.answered[service.name]
            first = service.audit()
            assert first["findings"] == []
            assert answered <= first["records"] <= answered + 3  # one on each line may have lost its answer
            assert not [line for line in service.log() if line["level"] in ("error", "critical")]
            own.thaw()
            held = len(keys(own))
            assert held > len(known) / 2
        with services(home, {"ending": settings}) as started:
            (service,) = started.values()
            fleet = Fleet([service], own, known)
            fleet.are_well()
            with asked([service], known) as stream:
                stream.goes_on(len(known))
            counts = service.metrics()
            assert counts["cache_lookups_total", "hit"] > counts.get(("cache_lookups_total", "miss"), 0)
            assert counts["redis_reads_total", "corrupted"] == 0, "the secret of the first start opens everything"
        assert service.audit() == {"ok": True, "records": first["records"] + stream.answered["ending"], "findings": []}
