"""From settings to a client: which URLs there are, what is refused, and that no message repeats a secret."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisConnectionError

from pdp.errors import SettingsError
from pdp.redis_client import RedisPlace, open_redis, read_url
from tests.certificates import Authority
from tests.flaky_proxy import flaky_proxy
from tests.valkey_server import sentinel_service, valkey_cluster, valkey_server

pytestmark = pytest.mark.anyio


def opened(place: RedisPlace) -> Redis | RedisCluster:
    return open_redis(place, deadline_s=5.0, max_connections=2)


@pytest.mark.parametrize(
    ("url", "form", "tls", "addresses", "service", "database"),
    [
        ("redis://redis", "server", False, (("redis", 6379),), "", 0),
        ("redis://redis:7000/3", "server", False, (("redis", 7000),), "", 3),
        ("rediss://redis.example.jp/0", "server", True, (("redis.example.jp", 6379),), "", 0),
        ("redis://[::1]:7000/", "server", False, (("::1", 7000),), "", 0),
        ("redis+sentinel://a,b:1/pdp", "sentinel", False, (("a", 26379), ("b", 1)), "pdp", 0),
        ("rediss+sentinel://a:1/pdp/2", "sentinel", True, (("a", 1),), "pdp", 2),
        ("redis+cluster://a:1,b:2,[fe80::1]:3", "cluster", False, (("a", 1), ("b", 2), ("fe80::1", 3)), "", 0),
        ("rediss+cluster://a/", "cluster", True, (("a", 6379),), "", 0),
    ],
)
def test_each_form_of_a_url_is_understood(
    url: str, form: str, tls: bool, addresses: Any, service: str, database: int
) -> None:
    target = read_url(url)
    assert (target.form, target.tls, target.addresses) == (form, tls, addresses)
    assert (target.service, target.database) == (service, database)


def test_a_unix_url_names_a_path() -> None:
    assert read_url("unix:///run/a%20b.sock").path == "/run/a b.sock"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis",
        "redis://",
        "redis:///0",
        "http://redis",
        "redis://a,b",
        "redis://a:0",
        "redis://a:65536",
        "redis://a:x",
        "redis://a b",
        "redis://a/x",
        "redis://a/1/2",
        "redis://a/²",
        "redis://a/99999",
        "redis://a?db=1",
        "redis://a#f",
        "redis://[::1",
        "redis+://a",
        "redis+tls://a",
        "redis+cluster://a/1",
        "redis+cluster://",
        "redis+cluster://" + ",".join(["a"] * 33),
        "redis+sentinel://a",
        "redis+sentinel://a/p q",
        "redis+sentinel://a/p/x",
        "unix://redis.sock",
        "unix://",
        "unix:///",
    ],
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        opened(RedisPlace(url))
    assert refused.value.message[0] in "`abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    "url",
    ["redis://:geheim@a", "redis://user:geheim@a", "redis://geheim@a", "redis+cluster://a,b:geheim@c", "x://geheim@a"],
)
def test_credentials_in_a_url_are_refused_without_a_word_of_them(url: str) -> None:
    with pytest.raises(SettingsError, match="redis_password_file") as refused:
        opened(RedisPlace(url))
    assert "geheim" not in refused.value.message


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 5_000, None])
def test_a_password_file_that_holds_none_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="redis_password_file") as refused:
        opened(RedisPlace("redis://a", password_file=str(file)))
    assert str(tmp_path) not in refused.value.message


def test_files_for_tls_need_a_url_with_tls(tmp_path: Path) -> None:
    ours = Authority(tmp_path).certificate
    with pytest.raises(SettingsError, match="rediss"):
        opened(RedisPlace("redis://a", ca_file=str(ours)))


@pytest.mark.parametrize("broken", ["ca", "cert", "key", "key of another", "key alone"])
def test_a_file_for_tls_that_cannot_be_used_is_refused_at_once(broken: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours, other = authority.issue("worker", "worker"), authority.issue("other", "other")
    absent, rubbish = str(tmp_path / "absent"), tmp_path / "rubbish"
    rubbish.write_text("no certificate")
    ca, cert, key = str(authority.certificate), str(ours.certificate), str(ours.key)
    place = {
        "ca": RedisPlace("rediss://a", ca_file=str(rubbish)),
        "cert": RedisPlace("rediss://a", ca_file=ca, cert_file=absent, key_file=key),
        "key": RedisPlace("rediss://a", ca_file=ca, cert_file=cert, key_file=str(rubbish)),
        "key of another": RedisPlace("rediss://a", ca_file=ca, cert_file=cert, key_file=str(other.key)),
        "key alone": RedisPlace("rediss://a", ca_file=ca, key_file=key),
    }[broken]
    with pytest.raises(SettingsError) as refused:
        opened(place)
    assert str(tmp_path) not in refused.value.message


@pytest.mark.system
async def test_with_a_ca_file_nobody_elses_certificate_is_trusted(tmp_path: Path) -> None:
    ours, theirs = Authority(_folder(tmp_path, "ours")), Authority(_folder(tmp_path, "theirs"))
    named = ours.issue("localhost", "named", host="localhost")
    with valkey_server() as server, flaky_proxy(server.path, tls=named) as proxy:
        client = opened(RedisPlace(proxy.url, ca_file=str(ours.certificate)))
        assert await client.execute_command("PING") is True
        await client.aclose()
        for place in (RedisPlace(proxy.url, ca_file=str(theirs.certificate)), RedisPlace(proxy.url)):
            client = opened(place)
            with pytest.raises(RedisConnectionError, match="certificate"):
                await client.execute_command("PING")
            await client.aclose()


@pytest.mark.system
async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    other = ours.issue("other", "other", host="other.example")
    with valkey_server() as server, flaky_proxy(server.path, tls=other) as proxy:
        client = opened(RedisPlace(proxy.url, ca_file=str(ours.certificate)))
        with pytest.raises(RedisConnectionError, match="certificate"):
            await client.execute_command("PING")
        await client.aclose()


@pytest.mark.system
async def test_a_cluster_is_spoken_to_over_tls_with_our_authority(tmp_path: Path) -> None:
    """redis-py takes neither a context nor a parser for a cluster; we put them into every node that it makes."""
    authority = Authority(tmp_path)
    client = opened(RedisPlace("rediss+cluster://localhost:7000,localhost:7001", ca_file=str(authority.certificate)))
    assert isinstance(client, RedisCluster)
    nodes = list(client.nodes_manager.startup_nodes.values())
    made = [node.acquire_connection() for node in nodes]
    for connection in made:
        arguments = connection._connection_arguments()
        assert isinstance(arguments["ssl"], ssl.SSLContext)
        assert arguments["ssl"].cert_store_stats()["x509_ca"] == 1
        assert type(connection._parser).__name__ == "_BoundedParser"
    await client.aclose()
    with valkey_cluster() as cluster:
        plain = opened(RedisPlace(cluster.url))
        assert isinstance(plain, RedisCluster)
        await plain.set("a", b"1")
        assert await plain.get("a") == b"1"
        found = plain.nodes_manager.nodes_cache.values()
        assert {type(node.acquire_connection()._parser).__name__ for node in found} == {"_BoundedParser"}
        await plain.aclose()


async def test_a_sentinel_service_is_spoken_to_over_tls_with_our_authority(tmp_path: Path) -> None:
    client = opened(RedisPlace("rediss+sentinel://localhost:1/pdp/2", ca_file=str(Authority(tmp_path).certificate)))
    pool: Any = client.connection_pool
    sentinels = [sentinel.connection_pool.make_connection() for sentinel in pool.sentinel_manager.sentinels]
    for connection in (pool.make_connection(), *sentinels):
        assert connection._connection_arguments()["ssl"].cert_store_stats()["x509_ca"] == 1
        assert type(connection._parser).__name__ == "_BoundedParser"
        assert connection.socket_timeout == connection.socket_connect_timeout == 5.0
        assert connection.retry.get_retries() == 0
    await client.aclose()


@pytest.mark.system
async def test_a_sentinel_that_does_not_know_our_user_is_asked_without_one(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("open-sesame")
    with sentinel_service(users=["pdp on >open-sesame ~* +@all"]) as service:
        client = opened(RedisPlace(service.url, username="pdp", password_file=str(password)))
        assert await client.execute_command("ACL WHOAMI") == b"pdp"
        await client.aclose()


@pytest.mark.system
async def test_a_cancelled_command_leaves_no_answer_behind_for_the_next(tmp_path: Path) -> None:
    with valkey_server() as server:
        client = opened(RedisPlace(server.unix_url))
        assert isinstance(client, Redis)
        await client.set("here", b"value")
        for turns in range(200):
            leaving = asyncio.create_task(client.get("here"))
            for _ in range(turns % 12):
                await asyncio.sleep(0)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            assert await client.get("absent") is None
        await client.aclose()


@pytest.mark.system
async def test_nothing_is_tried_twice() -> None:
    with valkey_server() as server, flaky_proxy(server.path) as proxy:
        client = opened(RedisPlace(proxy.url))
        await client.execute_command("PING")
        proxy.manner = "cut"
        with pytest.raises(RedisConnectionError):
            await client.execute_command("PING")
        assert proxy.opened == 1
        await client.aclose()


def _folder(base: Path, name: str) -> Path:
    folder = base / name
    folder.mkdir()
    return folder
