"""One evaluator process, seen from the event loop: documents go out, values come back in the same order.

INVARIANT (first come, first answered): the child answers in the order of arrival, so the answer that comes
next belongs to the document that waits longest here, and the document that waits longest is the one that a
dying child was busy with. The number in each frame proves it; a wrong one ends the child.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from pdp.engine.child_command import child_command, child_environment
from pdp.engine.frames import (
    EVALUATE,
    FAULT,
    HELLO,
    LOAD,
    PANIC,
    UNDEFINED,
    VALUE,
    FrameError,
    FrameReader,
    frame,
)
from pdp.engine.regorus_fault import read_fault
from pdp.errors import BundleError, EngineDiedError, EngineError, EngineTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from pdp.bundle.bundle import Bundle

Answer = bytes | EngineError

LOAD_DEADLINE_S: Final = 30.0  # 100,000 rows of data load in 2 s
_START_DEADLINE_S: Final = 10.0  # 30 ms measured; a host that swaps may take its time
GRACE_S: Final = 0.5  # the child's own timer comes first, also on a busy host
SILENT_TICKS: Final = 4
_NUMBERS: Final = 1 << 32
_STDERR: Final = 2
_LAST_WORDS_BYTES: Final = 300  # enough for the line in which Python or Rust says why


@dataclass(eq=False, slots=True)
class Task:
    """One document and who waits for its answer. `born` is the tick at which it was asked."""

    document: bytes
    answer: asyncio.Future[Answer]
    born: int = 0

    def settle(self, answer: Answer) -> None:
        if not self.answer.done():  # done: the waiter was cancelled, or has been told that it took too long
            self.answer.set_result(answer)


@dataclass(frozen=True, slots=True)
class Load:
    """The bundle as the child wants it, encoded once for every child."""

    frame: bytes = field(repr=False)
    deadline_s: float
    memory_limit_bytes: int
    python: str | None = None
    modules: Mapping[str, str] = field(default_factory=dict, repr=False)


def load_of(bundle: Bundle, deadline: timedelta, memory_limit_bytes: int, python: str | None) -> Load:
    """Raises BundleError where the bundle does not fit into a frame."""
    body = {
        "entrypoint": bundle.query,
        "modules": dict(bundle.modules),
        "data": json.dumps(dict(bundle.data), allow_nan=False),
        "deadline_s": deadline.total_seconds(),
        "load_deadline_s": LOAD_DEADLINE_S,
    }
    try:
        encoded = frame(LOAD, 0, json.dumps(body).encode())
    except FrameError as fault:
        raise BundleError(f"the bundle is too large: {fault}") from None
    return Load(encoded, deadline.total_seconds(), memory_limit_bytes, python, bundle.modules)


class Evaluator(asyncio.SubprocessProtocol):
    """A child that has loaded its bundle. `start` makes one."""

    def __init__(
        self, modules: Mapping[str, str], on_room: Callable[[], None], on_end: Callable[[Evaluator], None]
    ) -> None:
        self.in_flight: deque[Task] = deque()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._modules = modules
        self._on_room = on_room
        self._on_end = on_end
        self._reader = FrameReader()
        self._next_number = 0
        self._next_answer = 0
        self._spent = False  # it has panicked or broken the protocol, and answers nothing any more
        self._serving = False
        self._stuck = False  # the parent's own deadline has ended it
        self._silent_ticks = 0
        self._last_words = b""
        self._started: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self._process: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None

    @classmethod
    async def start(cls, load: Load, on_room: Callable[[], None], on_end: Callable[[Evaluator], None]) -> Evaluator:
        """A child that has proved the bundle by one evaluation.

        Raises BundleError where the bundle does not load, EngineError where the process does not start.
        """
        loop = asyncio.get_running_loop()
        try:
            _, evaluator = await loop.subprocess_exec(
                lambda: cls(load.modules, on_room, on_end),
                *child_command(load.memory_limit_bytes, load.python),
                env=child_environment(),
                bufsize=0,
            )
        except OSError as fault:
            raise EngineError(f"the evaluator process cannot be started: {fault.strerror}") from None
        try:
            await evaluator.begin(load)
        except BaseException:
            await evaluator.close()
            raise
        return evaluator

    async def begin(self, load: Load) -> None:
        """Wait for the process, hand the bundle over and wait for its proof; `start` says what is raised."""
        kind, _ = await self._step(_START_DEADLINE_S, "the evaluator process did not start")
        if kind != HELLO:
            raise EngineError("the evaluator process did not start as it should")
        self._started = asyncio.get_running_loop().create_future()
        self._send(load.frame)
        deadline = LOAD_DEADLINE_S + load.deadline_s + GRACE_S
        try:
            kind, body = await self._step(deadline, "the bundle was not loaded and proved")
        except EngineError as end:  # a runaway evaluation, a stack or memory that was eaten up
            raise BundleError(str(end)) from None
        if kind != VALUE:
            fault = read_fault(body.decode(errors="replace"), load.modules)
            raise BundleError(fault.message, where=fault.where)
        self._serving = True

    async def _step(self, deadline_s: float, failure: str) -> tuple[int, bytes]:
        try:
            async with asyncio.timeout(deadline_s):
                return await self._started
        except TimeoutError:
            raise EngineError(f"{failure} in time") from None
        except EOFError as fault:
            raise EngineError(f"{failure}: {fault}") from None

    def send(self, tasks: list[Task]) -> None:
        """Ask for these documents, with one write."""
        frames = []
        for task in tasks:
            frames.append(frame(EVALUATE, self._next_number, task.document))
            self._next_number = (self._next_number + 1) % _NUMBERS
        self.in_flight.extend(tasks)
        self._send(b"".join(frames))

    def _send(self, data: bytes) -> None:
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(data)

    def tick(self) -> None:
        """End a child that has been silent for too many ticks with a document in hand: it was stopped, say.

        Ticks are counted and not seconds, so that a stall of this very event loop, during which answers
        pile up unread, is one tick long.
        """
        self._silent_ticks = self._silent_ticks + 1 if self.in_flight else 0
        if self._silent_ticks > SILENT_TICKS:
            self._stuck = True
            self._kill()

    def _kill(self) -> None:
        # Not the transport's `kill`: before Python 3.13 it may reap the process, and then its exit status,
        # by which a timeout is told from a crash, is lost (python/cpython#127049).
        if self._process is not None and self._process.get_returncode() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.get_pid(), signal.SIGKILL)

    async def close(self) -> None:
        """End the process and wait until it is gone. `on_end` is not called."""
        self._serving = False
        self._kill()
        try:
            await self._gone()
        except asyncio.CancelledError:  # two children that refuse one bundle: the second is told while it goes
            await self._gone()
            raise

    async def _gone(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_DEADLINE_S):
                await asyncio.shield(self.ended)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast("asyncio.SubprocessTransport", transport)
        self._stdin = cast("asyncio.WriteTransport | None", self._process.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self._last_words = (self._last_words + data)[-_LAST_WORDS_BYTES:]
            return
        try:
            for kind, number, body in self._reader.feed(data):
                self._received(kind, number, body)
        except FrameError:
            self._break_off()
        if self._serving:
            self._on_room()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        # All that the child has written has been read by now, and its exit status is known.
        if self._process is not None:
            self._process.close()
        if not self._started.done():
            self._started.set_exception(EOFError(self._how_it_ended()))
            self._started.exception()  # looked at: nobody may be waiting any more
        if not self.ended.done():
            self.ended.set_result(None)
        if self._serving:
            self._serving = False
            self._on_end(self)

    def _received(self, kind: int, number: int, body: bytes) -> None:
        if not self._serving:
            if not self._started.done():
                self._started.set_result((kind, body))
            return
        if self._spent:
            return
        if not self.in_flight or number != self._next_answer:
            self._break_off()
            return
        self._next_answer = (number + 1) % _NUMBERS
        self._silent_ticks = 0
        self.in_flight.popleft().settle(_read_answer(kind, body, self._modules))
        self._spent = kind == PANIC

    def _break_off(self) -> None:
        """It does not keep to the protocol: nothing of what it still says is believed."""
        self._spent = True
        self._kill()

    def verdict_on_head(self) -> EngineError | None:
        """What the document that it was busy with is to be told, or None where it is not to blame."""
        if self._spent:
            return None
        if self._stuck or self._exit_code() == -signal.SIGALRM:
            return EngineTimeoutError(self._how_it_ended())
        return EngineDiedError(self._how_it_ended())

    def _exit_code(self) -> int | None:
        return None if self._process is None else self._process.get_returncode()

    def _how_it_ended(self) -> str:
        code = self._exit_code()
        if self._stuck or code == -signal.SIGALRM:
            return "the evaluation took longer than its deadline and was stopped"
        if code is not None and code < 0:
            return f"the evaluator process was ended by signal {-code}{self._last_line()}"
        return f"the evaluator process ended with status {code}{self._last_line()}"

    def _last_line(self) -> str:
        lines = [
            line for line in self._last_words.decode(errors="replace").splitlines() if "note: run with" not in line
        ]
        return f": {lines[-1]}" if lines else ""


def _read_answer(kind: int, body: bytes, modules: Mapping[str, str]) -> Answer:
    if kind == VALUE:
        return body
    if kind == UNDEFINED:
        return EngineError("the policy has no answer: its entry point is undefined for this input")
    fault = read_fault(body.decode(errors="replace"), modules)
    if kind == FAULT:
        return EngineError(str(fault))
    return EngineDiedError(f"the evaluator panicked: {fault}")
