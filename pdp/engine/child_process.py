"""A process of ours that works beside the service: started bounded in memory, and ended for sure."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from pdp.engine.child_command import child_command, child_environment

LINE_BYTES: Final = 64 * 1024  # what a reader of its lines may hold, where nothing else is said: asyncio's own limit


async def start_child(program: str, memory_bytes: int, *, line_bytes: int = LINE_BYTES) -> asyncio.subprocess.Process:
    """One that is spoken with over its standard input and output. Raises OSError where it cannot be started."""
    return await asyncio.create_subprocess_exec(
        *child_command(memory_bytes, program=program),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=child_environment(),
        limit=line_bytes,
    )


async def end_child(child: asyncio.subprocess.Process) -> None:
    """Whatever it does. Its evaluators end with it: the kernel sees to that (`prepare_process`)."""
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    assert child.stdin is not None
    child.stdin.close()
    await child.communicate()  # reads the pipes to their end, so that they are closed
