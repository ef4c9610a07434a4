"""What is done once a second waits for no disk: decisions and health go on being answered while one hangs."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from pdp.archive.standing import standing_path
from pdp.insight.opening import workers_path
from pdp.main import compose
from tests.unit.test_main import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.directory.source import DirectorySource
    from pdp.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

QUESTION = {
    "subject": {"type": "user", "id": "u"},
    "action": {"name": "access"},
    "resource": {"type": "application", "id": "mail"},
}


def chosen(place: Path) -> Settings:
    plain = place / "plain"
    plain.mkdir()
    (plain / ".manifest").write_text('{"revision": "p", "metadata": {"profile": "plain", "entrypoint": "p/yes"}}')
    (plain / "p.rego").write_text("package p\n\nyes := true\n")
    return settings(place / "state", bundle=str(plain), directory_poll_s=0.01, log_proof="off")


@contextmanager
def stalled(path: Path) -> Iterator[list[int]]:
    """A file that nobody gets to the end of: whoever reads it hangs in the kernel, as on a dead mount.

    What it yields holds a descriptor as soon as somebody hangs there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)
    held: list[int] = []
    try:
        yield held
    finally:
        with suppress(OSError):
            held.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        path.unlink()
        for descriptor in held:
            os.close(descriptor)


async def somebody_hangs(path: Path, held: list[int]) -> None:
    async with asyncio.timeout(20):
        while not held:
            try:
                held.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # nobody reads: ENXIO
            except OSError as fault:
                assert fault.errno == errno.ENXIO
                await asyncio.sleep(0.005)


async def looked_at_again(directory: DirectorySource) -> None:
    """An age grows by itself, and shrinks when the registers were seen to be current once more."""
    before = timedelta()
    async with asyncio.timeout(20):
        while (age := directory.age() or timedelta()) >= before:
            before = age
            await asyncio.sleep(0.002)


async def test_decisions_and_health_are_answered_while_the_disk_hangs(tmp_path: Path) -> None:
    its = chosen(tmp_path)
    path = standing_path(its.state_path)
    with stalled(path) as held:
        async with compose(its) as service:
            await somebody_hangs(path, held)
            transport = httpx.ASGITransport(app=service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://pdp") as client:
                assert (await client.post("/access/v1/evaluation", json=QUESTION)).json()["decision"] is True
                assert (await client.get("/healthz")).status_code == 200
                assert (await client.get("/readyz")).status_code == 200
            await looked_at_again(service.directory)
            os.close(held.pop())  # the disk answers again


async def test_the_file_of_a_worker_is_there_while_it_runs_and_goes_with_it(tmp_path: Path) -> None:
    its = chosen(tmp_path)
    file = workers_path(its) / f"{os.getpid()}.json"
    async with compose(its) as service:
        async with asyncio.timeout(20):
            while not file.exists():  # noqa: ASYNC110  # the worker writes by itself
                await asyncio.sleep(0.005)
        assert service.log.writable()
    assert not file.exists()
