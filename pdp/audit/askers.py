"""The processes that ask the engine for one worker: few, started when they are needed, ended when nobody asks.

Why processes: reading the fresh tail and writing rows as JSON is Python, which holds the interpreter lock; beside the
event loop of a worker it would cost every decision milliseconds. Here a question costs the decisions nothing but its
share of the processor, and one that takes too long, or whose asker has gone, is ended for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.audit.metrics import NoWatch
from pdp.audit.question import BYTES, ERRORS, FAULT, GROUND, HEAD, QUESTION, READY, TAIL, Fault, Head, Tail
from pdp.engine.frames import FrameError, FrameReader, frame
from pdp.errors import (
    NotReadyError,
    SekishoError,
    TooManyRequestsError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pdp.audit.metrics import Watch
    from pdp.audit.question import Ground, Question

START_S: Final = 30.0  # the engine's libraries are loaded; 0.5 s on an idle core
GRACE_S: Final = 15.0  # beyond the engine's own deadline: the tail is read before, the answer written after
IDLE_S: Final = 300.0  # a process that nobody has asked for so long gives its memory back
STALL_S: Final = 60.0  # between two pieces of an export
MOST_BYTES: Final = 64 * 1024 * 1024  # of an answer that is no export; the process refuses before
_READ: Final = 1 << 18
_encode: Final = msgspec.msgpack.Encoder().encode


class Answer:
    """One answer as it comes: its head, then `pieces`, then its `tail`."""

    def __init__(self, asker: _Asker, head: Head, deadline_s: float) -> None:
        self.head: Final = head
        self.tail: Tail | None = None  # once every piece was taken: the answer is whole
        self._asker = asker
        self._deadline_s = deadline_s

    async def pieces(self) -> AsyncIterator[bytes]:
        """Raises what became of the question, also after the first piece: then the answer is not whole."""
        while True:
            kind, body = await self._asker.frame(self._deadline_s)
            if kind == BYTES:
                yield body
            elif kind == TAIL:
                self.tail = msgspec.msgpack.decode(body, type=Tail)
                return
            else:
                raise _fault_of(kind, body)

    async def whole(self) -> bytes:
        """All of it. Raises as `pieces`."""
        gathered = bytearray()
        async for piece in self.pieces():
            gathered += piece
            if len(gathered) > MOST_BYTES:
                raise NotReadyError("the answer is too large", next_step="ask for less, or take an export")
        return bytes(gathered)


class Askers:
    """At most `most` questions at once, and of one caller `each`. Belongs to one event loop; `close` it.

    `each` of 0 is all places but one: whoever asks much leaves a place for the others.
    """

    def __init__(
        self, ground: Ground, *, most: int, each: int = 0, idle_s: float = IDLE_S, watch: Watch | None = None
    ) -> None:
        self._ground: Final = ground
        self._most: Final = most
        self._each: Final = each or max(1, most - 1)
        self._watch: Final = watch or NoWatch()
        self._callers: Counter[str] = Counter()
        self._idle_s: Final = idle_s
        self._busy = 0
        self._idle: list[tuple[_Asker, asyncio.TimerHandle]] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def busy(self) -> int:
        return self._busy

    @asynccontextmanager
    async def asking(self, question: Question, who: str) -> AsyncIterator[Answer]:
        """Ask for a caller, and hand over the answer as it comes. Whoever leaves before it is whole ends the question.

        Raises TooManyRequestsError where this caller, and NotReadyError where everybody asks too many already, and
        what became of the question.
        """
        if self._callers[who] >= self._each:
            raise TooManyRequestsError(f"this caller has {self._each} questions under way, as many as it may")
        if self._busy >= self._most or self._closed:
            raise NotReadyError(
                f"{self._busy} questions are being answered already", next_step="ask again in a few seconds"
            )
        self._busy += 1
        self._callers[who] += 1
        self._watch.answering(1)
        asker: _Asker | None = None
        fit = False
        try:
            asker = await self._hire()
            deadline_s = self._ground.deadline_s + GRACE_S
            asker.send(QUESTION, _encode(question))
            kind, body = await asker.frame(deadline_s)
            if kind != HEAD:
                fit = kind == FAULT
                raise _fault_of(kind, body)
            answer = Answer(asker, msgspec.msgpack.decode(body, type=Head), deadline_s)
            yield answer
            fit = answer.tail is not None
        finally:
            # The place is free at once: the next question starts a process of its own while this one ends.
            self._busy -= 1
            self._callers[who] -= 1
            if not self._callers[who]:
                del self._callers[who]
            self._watch.answering(-1)
            if asker is not None:
                self._put_back(asker, fit=fit)

    async def close(self) -> None:
        """End every process."""
        self._closed = True
        for asker, timer in self._idle:
            timer.cancel()
            self._let_go(asker)
        self._idle.clear()
        while self._leaving:
            await asyncio.gather(*self._leaving, return_exceptions=True)

    async def _hire(self) -> _Asker:
        while self._idle:
            asker, timer = self._idle.pop()
            timer.cancel()
            if asker.alive:
                return asker
            self._let_go(asker)
        return await _Asker.start(self._ground)

    def _put_back(self, asker: _Asker, *, fit: bool) -> None:
        if not (fit and asker.alive) or self._closed:
            self._let_go(asker)
            return
        entry: list[tuple[_Asker, asyncio.TimerHandle]] = []

        def leave() -> None:
            if entry[0] in self._idle:
                self._idle.remove(entry[0])
                self._let_go(asker)

        entry.append((asker, asyncio.get_running_loop().call_later(self._idle_s, leave)))
        self._idle.append(entry[0])

    def _let_go(self, asker: _Asker) -> None:
        task = asyncio.get_running_loop().create_task(asker.end())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


class _Asker:
    """One process. Answers one question at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reader = FrameReader()
        self._frames: list[tuple[int, bytes]] = []

    @classmethod
    async def start(cls, ground: Ground) -> _Asker:
        try:
            process = await asyncio.create_subprocess_exec(
                *_command(ground),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
                limit=_READ,
            )
        except OSError as fault:
            raise NotReadyError(f"no process can be started to ask: {fault.strerror}") from None
        asker = cls(process)
        try:
            asker.send(GROUND, _encode(ground))
            await asker.expect(READY, START_S)
        except BaseException:
            await asyncio.shield(asker.end())
            raise
        return asker

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def send(self, kind: int, body: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(frame(kind, 0, body))

    async def frame(self, deadline_s: float) -> tuple[int, bytes]:
        """The next one. Raises NotReadyError where none comes in time, or the process has ended."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(deadline_s):
                while not self._frames:
                    chunk = await self._process.stdout.read(_READ)
                    if not chunk:
                        raise NotReadyError("the process that asked has ended", next_step="ask for a shorter time")
                    self._frames = [(kind, body) for kind, _, body in self._reader.feed(chunk)]
        except TimeoutError:
            raise NotReadyError("the answer took too long", next_step="ask for a shorter time") from None
        except FrameError:
            raise NotReadyError("the process that asked gave no answer") from None
        return self._frames.pop(0)

    async def expect(self, wanted: int, deadline_s: float) -> None:
        """Raises NotReadyError for another frame than this."""
        kind, _ = await self.frame(deadline_s)
        if kind != wanted:
            raise NotReadyError("the process that asks did not start as it should")

    async def end(self) -> None:
        """Kill it, and wait until it is gone and its pipes are closed."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        while await self._process.stdout.read(_READ):  # its transport closes once its pipe is read to the end
            pass
        await self._process.wait()


def _fault_of(kind: int, body: bytes) -> SekishoError:
    if kind != FAULT:
        return NotReadyError("the process that asked gave no answer")
    fault = msgspec.msgpack.decode(body, type=Fault)
    return ERRORS.get(fault.kind, SekishoError)(fault.message, next_step=fault.next_step)


def _command(ground: Ground) -> list[str]:
    return [sys.executable, "-P", "-m", "pdp.audit.asker", str(os.getpid()), str(ground.memory_mb)]


def _environment() -> dict[str, str]:
    """Where to import from, and nothing else of the service's environment: its secrets stay with it."""
    return {
        "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ARROW_IO_THREADS": "2",
        "OMP_NUM_THREADS": "2",
        "TZ": "UTC",
    }
