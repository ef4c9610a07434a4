"""An export as it goes out: whole, or broken off."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from pdp.audit.exported import Streamed, filenames
from pdp.audit.question import Export, Tail
from pdp.errors import NotReadyError, RecordFailedError
from tests.unit.audit.world import DAY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

ASK = Export({name: [value] for name, value in DAY.items()}, "csv")


class FakeAnswer:
    def __init__(self, *pieces: bytes | Exception) -> None:
        self.tail: Tail | None = None
        self._pieces = pieces

    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece
        self.tail = Tail(1, "ab" * 32)


class Line:
    """Both ends of a connection, and the trail: everything that happens, in its order."""

    def __init__(self, answer: FakeAnswer, *, hangs: bool = False, record: Exception | None = None) -> None:
        self.happened: list[str] = []
        self.gone = asyncio.Event()
        self.hanging = asyncio.Event()
        self._hangs = hangs
        self._record = record
        self.stack = AsyncExitStack()
        self.stack.callback(self.happened.append, "ended")
        self.response = Streamed(ASK, answer, self.stack, self._finish, stall_s=0.01)  # type: ignore[arg-type]

    async def _finish(self, outcome: str, error: str | None = None) -> None:
        if self._record is not None:
            raise self._record
        self.happened.append(outcome if error is None else f"{outcome}:{error}")

    async def run(self) -> None:
        await self.response({}, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.happened.append("start")
            return
        if self._hangs:
            self.happened.append("hangs")
            self.hanging.set()
            await asyncio.Event().wait()
        self.happened.append(message["body"].decode() if message["more_body"] else "last")


async def test_how_it_ended_is_written_down_before_the_last_chunk() -> None:
    line = Line(FakeAnswer(b"a", b"b"))
    await line.run()
    assert line.happened == ["start", "a", "b", "done", "last", "ended"]


async def test_half_a_file_has_no_last_chunk() -> None:
    line = Line(FakeAnswer(b"a", NotReadyError("it took too long")))
    await line.run()
    assert line.happened == ["start", "a", "failed:not_ready", "ended"]


async def test_a_file_whose_end_cannot_be_written_down_has_no_last_chunk() -> None:
    line = Line(FakeAnswer(b"a"), record=RecordFailedError("full"))
    await line.run()
    assert line.happened == ["start", "a", "ended"]


async def test_a_client_that_has_gone_ends_the_question() -> None:
    line = Line(FakeAnswer(b"a", b"b"), hangs=True)
    line.response._stall_s = 60.0
    running = asyncio.ensure_future(line.run())
    await line.hanging.wait()
    line.gone.set()
    await running
    assert line.happened == ["start", "hangs", "failed:client_gone", "ended"]


async def test_a_client_that_reads_nothing_ends_the_question() -> None:
    line = Line(FakeAnswer(b"a", b"b"), hangs=True)
    await line.run()
    assert line.happened == ["start", "hangs", "failed:too_slow", "ended"]


async def test_a_request_that_is_cancelled_ends_the_question() -> None:
    line = Line(FakeAnswer(b"a"), hangs=True)
    line.response._stall_s = 60.0
    running = asyncio.ensure_future(line.run())
    await line.hanging.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert line.happened[-1] == "ended"


async def test_a_fault_of_ours_ends_the_question_and_comes_out() -> None:
    line = Line(FakeAnswer(b"a", RuntimeError("a bug")))
    with pytest.raises(RuntimeError):
        await line.run()
    assert line.happened == ["start", "a", "ended"]


def test_the_name_of_the_file_is_japanese_and_has_plain_letters_for_who_does_not_know_that() -> None:
    name, plain = filenames(ASK)
    assert plain == "decisions_20260401T0000Z-20260401T0100Z.csv"
    assert name.startswith("%E5%88%A4%E5%AE%9A")
    assert not set(plain) & set('"\\\r\n;/')
