"""A draft tried out by a process of its own: its faults; its tests with coverage.

Parsing and type checks are seconds of Python, and drafts are whatever somebody typed: none of it runs in a worker.
The process is bounded in time and memory, and ends with whoever waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from pdp.engine.child_process import end_child, start_child
from pdp.errors import BundleError, EngineError, EngineTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

Attempt = Literal["check", "tests"]

MEMORY_BYTES: Final = 1024 * 1024 * 1024  # the shipped policy takes 0.1 GB
MOST_S: Final[dict[Attempt, float]] = {
    "check": 20.0,  # the shipped policy takes one; somebody waits while typing
    "tests": 120.0,  # it takes five
}
MAX_REPORT: Final = 4 * 1024 * 1024  # bytes; the shipped policy's has 33,000
NICE: Final = 10  # decisions go first


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`files`: all of the draft's."""

    what: Attempt
    files: dict[str, str]


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `report`, or why there is none (`fault`)."""

    report: dict[str, Any] | None = None
    fault: str = ""
    where: str | None = None


async def attempt(order: Order, *, most_s: float | None = None, memory_bytes: int = MEMORY_BYTES) -> dict[str, Any]:
    """The report. Cancelling ends the process.

    Raises BundleError where the files make no bundle, or none that can be tried so; EngineTimeoutError where it took
    too long; EngineError where the process cannot be started or ended without a report.
    """
    limit = MOST_S[order.what] if most_s is None else most_s
    try:
        child = await start_child("pdp.gates.trying_child", memory_bytes)
    except OSError as fault:
        raise EngineError(f"the process that tries drafts cannot be started: {fault.strerror}") from None
    try:
        async with asyncio.timeout(limit):
            said = await _said(child, msgspec.json.encode(order))
    except TimeoutError:
        raise EngineTimeoutError(f"it took longer than {limit:g} seconds, and was ended") from None
    finally:
        await asyncio.shield(end_child(child))
    try:
        answer = msgspec.json.decode(said, type=Answer)
    except msgspec.MsgspecError:
        raise EngineError("the process that tries drafts ended without a report") from None
    if answer.report is None:
        raise BundleError(answer.fault, where=answer.where)
    return answer.report


async def _said(child: asyncio.subprocess.Process, order: bytes) -> bytes:
    """All that it says, as far as a worker may hold it.

    Attack: a package with a name of a megabyte, which is told anew with each of its tests.
    """
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(ConnectionError):  # it ended before it had read all: what it said tells why
        child.stdin.write(order)
        await child.stdin.drain()
        child.stdin.write_eof()
    said = bytearray()
    while part := await child.stdout.read(64 * 1024):
        said += part
        if len(said) > MAX_REPORT:
            raise BundleError(f"its report is larger than {MAX_REPORT} bytes: look for names of great length")
    return bytes(said)


class Trials:
    """What the API asks while somebody writes (`pdp.governance.drafts_desk.Trying`)."""

    async def faults(self, files: Mapping[str, str]) -> dict[str, Any]:
        return await attempt(Order("check", dict(files)))

    async def tests(self, files: Mapping[str, str]) -> dict[str, Any]:
        return await attempt(Order("tests", dict(files)))
