"""A process of ours that works beside the service: started bounded in memory, and ended for sure."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, NamedTuple, TypeVar

import msgspec

from pdp.engine.child_command import child_command, child_environment

LINE_BYTES: Final = 64 * 1024  # what a reader of its lines may hold, where nothing else is said: asyncio's own limit
_PART_BYTES: Final = 64 * 1024
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class ChildLimits(NamedTuple):
    """What a process may take, and what whoever asked it holds of its answer."""

    seconds: float
    memory_bytes: int
    answer_bytes: int


class AnswerTooLargeError(Exception):
    """A process says more than whoever asked it holds."""


class NoAnswerError(Exception):
    """A process ended, and what it had said is no answer. `returncode` as `subprocess` has it."""

    def __init__(self, returncode: int) -> None:
        super().__init__(f"no answer, and return code {returncode}")
        self.returncode = returncode


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


async def give_order(child: asyncio.subprocess.Process, order: bytes) -> None:
    """All of its input. Where it ended before it had read all, what it said tells why."""
    assert child.stdin is not None
    with contextlib.suppress(ConnectionError):
        child.stdin.write(order)
        await child.stdin.drain()
        child.stdin.write_eof()


async def ask_child(program: str, order: msgspec.Struct, answer: type[_Answer], limits: ChildLimits) -> _Answer:
    """The answer of a process that is started for this one order, and ended with whoever waits for it. Both are JSON.

    Raises TimeoutError when its seconds have passed, another OSError where it cannot be started, AnswerTooLargeError
    and NoAnswerError.
    """
    text = msgspec.json.encode(order)
    child = await start_child(program, limits.memory_bytes)
    try:
        async with asyncio.timeout(limits.seconds):
            await give_order(child, text)
            said = await _said(child, limits.answer_bytes)
            ended = await child.wait()
    finally:
        await asyncio.shield(end_child(child))
    try:
        return msgspec.json.decode(said, type=answer)
    except msgspec.MsgspecError:
        raise NoAnswerError(ended) from None


async def _said(child: asyncio.subprocess.Process, most_bytes: int) -> bytes:
    assert child.stdout is not None
    said = bytearray()
    while part := await child.stdout.read(_PART_BYTES):
        said += part
        if len(said) > most_bytes:
            raise AnswerTooLargeError
    return bytes(said)
