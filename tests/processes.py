"""Processes as the kernel has them, for tests of what is started and ended."""

from __future__ import annotations

import asyncio
import os
import resource
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_S: Final = 60.0  # of a machine that does much else


def parents() -> dict[int, int]:
    """Who started each process that has not ended."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if after_name[0] != "Z":
            found[int(stat.parent.name)] = int(after_name[1])
    return found


def command_of(pid: int) -> str:
    """Its words; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def children_of(parent: int, program: str) -> set[int]:
    """The processes that this one started, and whose command names the program."""
    return {pid for pid, its in parents().items() if its == parent and program in command_of(pid)}


async def own_child(program: str) -> int:
    """Of this process: awaited until it is there."""
    async with asyncio.timeout(_START_S):
        while not (found := children_of(os.getpid(), program)):  # noqa: ASYNC110  # the kernel tells nobody
            await asyncio.sleep(0.01)
    return min(found)


@contextmanager
def no_further_files() -> Iterator[None]:
    """Nothing can be opened, and no process started, as on a host that has run out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
