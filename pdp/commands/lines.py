"""`pdp eval`, line by line: documents in, verdicts out in the same order, and never more than a few batches held.

A batch is what one read gives, so that a program that writes one line and waits for its answer gets it,
and a file goes through in large pieces. Lines that the policy cannot tell apart are evaluated once.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.cache.key import KeyMaker
from pdp.errors import BadRequestError, EngineError
from pdp.judging import judge_raw
from pdp.model.decision import BAD_INPUT, EVALUATION_ERROR, Verdict, denied
from pdp.model.input import check_input, encode_input
from pdp.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Iterator

    from pdp.active_policy import ActivePolicy
    from pdp.engine.port import Engine

MAX_LINE_BYTES: Final = 256 * 1024  # as the service takes; a document of ours has under 2 KiB
READ_BYTES: Final = 256 * 1024  # some 150 documents: enough to keep every core busy
_IN_FLIGHT: Final = 2  # batches: one is evaluated while the next is read; more would wait longer than engines allow
_READ_AHEAD: Final = 2  # chunks that are read and not yet taken
_REMEMBERED: Final = 100_000  # lines whose answer is kept for others like them: some 40 MB
_TOO_LONG: Final = f"the line is longer than {MAX_LINE_BYTES} bytes"


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of output. Programs rely on these keys; a further one would be a change of the interface."""

    outcome: str
    reasons: list[str]
    obligations: dict[str, str | int]
    required_auth_level: int | None = None


_encode: Final = msgspec.json.Encoder().encode


def answer_line(verdict: Verdict) -> bytes:
    answer = Answer(
        verdict.outcome.value, list(verdict.reasons), dict(verdict.obligations), verdict.required_auth_level
    )
    return _encode(answer) + b"\n"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line was no document. `number` counts from 1."""

    number: int
    message: str


class Splitter:
    """Cuts chunks into lines. A line beyond the limit is not held; it comes out as None."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes | None]:
        """The lines that are whole by now, without their newlines; an empty chunk is the end of the input."""
        return list(self._cut(chunk) if chunk else self._last())

    def _cut(self, chunk: bytes) -> Iterator[bytes | None]:
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        for line in whole:
            yield None if self._skipping or len(line) > MAX_LINE_BYTES else line
            self._skipping = False
        if len(self._rest) > MAX_LINE_BYTES:
            self._rest, self._skipping = b"", True

    def _last(self) -> Iterator[bytes | None]:
        if self._rest or self._skipping:
            yield None if self._skipping else self._rest
        self._rest, self._skipping = b"", False


@dataclass(frozen=True, slots=True)
class Question:
    """A document as the engine gets it. Equal keys: the policy cannot tell the documents apart."""

    document: bytes
    key: Hashable


def read_question(line: bytes | None, keys: KeyMaker | None) -> Question:
    """The question of one line; `keys` belongs to a bundle of profile `zta`, None to one of `plain`.

    Raises BadRequestError for anything but one strict JSON text (a name twice is not), and in profile
    `zta` for what is not `pdp.input/v1`. A blank line is no document either. A line of `plain` is like
    another only where it is the same text: an engine may tell `1.0` from `1.00`.
    """
    if line is None:
        raise BadRequestError(_TOO_LONG)
    value = parse_json(line, max_bytes=MAX_LINE_BYTES)
    if keys is None:
        return Question(line, line)
    document = check_input(value)
    return Question(encode_input(document), keys.of_input(document))


class LineEvaluator:
    """The way of all lines: read, evaluated some batches at a time, written in order."""

    def __init__(
        self,
        engine: Engine,
        policy: ActivePolicy,
        *,
        distinct: bool = True,
        on_fault: Callable[[Fault], None] = lambda _: None,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_done` is told the bytes of input that were answered since it was last called.

        `distinct` False: every line is evaluated, also one that is like another.
        """
        self._engine = engine
        self._bundle = policy.bundle
        self._keys = KeyMaker(policy.bundle, policy.footprint, engine.name) if policy.bundle.profile == "zta" else None
        self._distinct = distinct
        self._answers: OrderedDict[Hashable, asyncio.Future[Verdict | None]] = OrderedDict()
        self._on_fault = on_fault
        self._on_done = on_done
        self._lines = 0
        self.unanswered = 0  # lines that the engine gave no verdict for

    async def run(self, chunks: AsyncIterator[bytes], write: Callable[[bytes], None]) -> None:
        """Answer every line; `chunks` ends with an empty one. Raises what `write` raises."""
        in_order: asyncio.Queue[tuple[asyncio.Task[list[Verdict | None]], int] | None] = asyncio.Queue(_IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write_all(in_order, write))
                splitter = Splitter()
                async for chunk in chunks:
                    questions = [self._question(line) for line in splitter.feed(chunk)]
                    await in_order.put((group.create_task(self._judge(questions)), len(chunk)))
                await in_order.put(None)
        except* OSError as faults:
            raise faults.exceptions[0] from None

    async def _write_all(
        self,
        in_order: asyncio.Queue[tuple[asyncio.Task[list[Verdict | None]], int] | None],
        write: Callable[[bytes], None],
    ) -> None:
        while (batch := await in_order.get()) is not None:
            task, size = batch
            verdicts = await task
            self.unanswered += verdicts.count(None)
            if verdicts:
                write(b"".join(answer_line(verdict or denied(EVALUATION_ERROR)) for verdict in verdicts))
            self._on_done(size)

    def _question(self, line: bytes | None) -> Question | None:
        self._lines += 1
        try:
            return read_question(line, self._keys)
        except BadRequestError as fault:
            self._on_fault(Fault(self._lines, fault.message))
            return None

    async def _judge(self, questions: list[Question | None]) -> list[Verdict | None]:
        """One verdict per question; None where the engine gave none. A line that was no document is denied."""
        fresh: list[tuple[Question, asyncio.Future[Verdict | None]]] = []
        answers = [None if question is None else self._answer(question, fresh) for question in questions]
        try:
            raws = await self._engine.evaluate([question.document for question, _ in fresh])
        except BaseException:
            for _, answer in fresh:
                answer.cancel()  # for a batch behind this one that waits for it
            raise
        for (question, answer), raw in zip(fresh, raws, strict=True):
            answer.set_result(self._verdict(raw))
            if answer.result() is None:
                self._answers.pop(question.key, None)  # an error is nobody else's answer
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        return [denied(BAD_INPUT) if answer is None else await answer for answer in answers]

    def _answer(
        self, question: Question, fresh: list[tuple[Question, asyncio.Future[Verdict | None]]]
    ) -> asyncio.Future[Verdict | None]:
        """Where the answer will be; a question that nobody has asked before goes on the list."""
        answer = self._answers.get(question.key)
        if answer is None:
            answer = asyncio.get_running_loop().create_future()
            fresh.append((question, answer))
            if self._distinct:
                self._answers[question.key] = answer
        return answer

    def _verdict(self, raw: bytes | EngineError) -> Verdict | None:
        try:
            return judge_raw(raw, self._bundle)
        except EngineError:
            return None


async def chunks_of(descriptor: int) -> AsyncIterator[bytes]:
    """What can be read, as it comes; last an empty chunk. Raises OSError.

    The reading thread is a daemon, so that Ctrl-C ends a command that waits at a terminal or a pipe.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(_READ_AHEAD)
    threading.Thread(target=_read_all, args=(descriptor, loop, ready, room), name="eval-input", daemon=True).start()
    while True:
        chunk = await ready.get()
        room.release()
        if isinstance(chunk, OSError):
            raise chunk
        yield chunk
        if not chunk:
            return


def _read_all(
    descriptor: int, loop: asyncio.AbstractEventLoop, ready: asyncio.Queue[bytes | OSError], room: threading.Semaphore
) -> None:
    """Hands chunks over by plain calls: a coroutine that the ending loop never begins would be complained about."""
    chunk: bytes | OSError = b"?"
    while chunk and not isinstance(chunk, OSError):
        room.acquire()
        try:
            chunk = os.read(descriptor, READ_BYTES)
        except OSError as fault:
            chunk = fault
        try:
            loop.call_soon_threadsafe(ready.put_nowait, chunk)
        except RuntimeError:  # the command has ended; nobody reads any more
            return
