"""`pdp eval`, line by line: documents in, verdicts out in the same order, and never more than a few batches held.

A batch is what one read gives, so that a program that writes one line and waits for its answer gets it,
and a file goes through in large pieces.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.decide import judge_raw
from pdp.errors import BadRequestError, EngineError
from pdp.model.decision import BAD_INPUT, EVALUATION_ERROR, Verdict, denied
from pdp.model.input import check_input, encode_input
from pdp.wire.strict_json import parse_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pdp.bundle.bundle import Bundle, Profile
    from pdp.engine.port import Engine

MAX_LINE_BYTES: Final = 256 * 1024  # as the service takes; a document of ours has under 2 KiB
READ_BYTES: Final = 256 * 1024  # some 150 documents: enough to keep every core busy
_IN_FLIGHT: Final = 2  # batches: one is evaluated while the next is read; more would wait longer than engines allow
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


def read_document(line: bytes | None, profile: Profile) -> bytes:
    """The document of one line, as the engine gets it.

    Raises BadRequestError for anything but one strict JSON text (a name twice is not), and in profile
    `zta` for what is not `pdp.input/v1`. A blank line is no document either.
    """
    if line is None:
        raise BadRequestError(_TOO_LONG)
    value = parse_json(line, max_bytes=MAX_LINE_BYTES)
    return encode_input(check_input(value)) if profile == "zta" else line


class LineEvaluator:
    """The way of all lines: read, evaluated some batches at a time, written in order."""

    def __init__(
        self,
        engine: Engine,
        bundle: Bundle,
        *,
        on_fault: Callable[[Fault], None] = lambda _: None,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`on_done` is told the bytes of input that were answered since it was last called."""
        self._engine = engine
        self._bundle = bundle
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
                    documents = [self._document(line) for line in splitter.feed(chunk)]
                    await in_order.put((group.create_task(self._judge(documents)), len(chunk)))
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

    def _document(self, line: bytes | None) -> bytes | None:
        self._lines += 1
        try:
            return read_document(line, self._bundle.profile)
        except BadRequestError as fault:
            self._on_fault(Fault(self._lines, fault.message))
            return None

    async def _judge(self, documents: list[bytes | None]) -> list[Verdict | None]:
        """One verdict per document; None where the engine gave none. A line that was no document is denied."""
        raws = iter(await self._engine.evaluate([document for document in documents if document is not None]))
        return [denied(BAD_INPUT) if document is None else self._verdict(next(raws)) for document in documents]

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
    ready: asyncio.Queue[bytes | OSError] = asyncio.Queue(1)
    threading.Thread(target=_read_all, args=(descriptor, loop, ready), name="eval-input", daemon=True).start()
    while True:
        chunk = await ready.get()
        if isinstance(chunk, OSError):
            raise chunk
        yield chunk
        if not chunk:
            return


def _read_all(descriptor: int, loop: asyncio.AbstractEventLoop, ready: asyncio.Queue[bytes | OSError]) -> None:
    chunk: bytes | OSError = b"?"
    while chunk and not isinstance(chunk, OSError):
        try:
            chunk = os.read(descriptor, READ_BYTES)
        except OSError as fault:
            chunk = fault
        try:
            asyncio.run_coroutine_threadsafe(ready.put(chunk), loop).result()
        except (RuntimeError, CancelledError):  # the command has ended; nobody reads any more
            return
