"""An export as it goes out: a file that is whole, or a connection that is broken off.

Half a file must not look like a whole one: where the rest cannot be had, or cannot be written down, the last chunk
never comes and the server closes the connection. Whoever has gone, or reads nothing for a minute, ends the question.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from starlette.responses import Response

from pdp.audit.problem import NO_STORE
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from starlette.types import Receive, Scope, Send

    from pdp.audit.askers import Answer
    from pdp.audit.question import Export
    from pdp.trail.event import Outcome

STALL_S: Final = 60.0  # for one piece of a quarter of a megabyte; a slower line is no line
MOST_S: Final = 3_600.0  # of one export: thirty million records take some ten minutes
_MEDIA: Final = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


class Finish(Protocol):
    async def __call__(self, outcome: Outcome, error: str | None = None) -> None:
        """Write down how it ended. Raises RecordFailedError."""
        ...


class Streamed(Response):
    """`stack` ends the question; it is closed whatever happens."""

    def __init__(
        self, ask: Export, answer: Answer, stack: AsyncExitStack, finish: Finish, *, stall_s: float = STALL_S
    ) -> None:
        super().__init__(media_type=_MEDIA[ask.format])
        del self.headers["content-length"]
        name, plain = filenames(ask)
        self.headers["content-disposition"] = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{name}"
        self.headers[NO_STORE[0]] = NO_STORE[1]
        self._answer = answer
        self._stack = stack
        self._finish = finish
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI has it
        """Returns without the last chunk where the file is not whole: the server then breaks the connection off."""
        gone = asyncio.ensure_future(_gone(receive))
        sent = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait({gone, sent}, timeout=MOST_S, return_when=asyncio.FIRST_COMPLETED)
            if not sent.done():
                await _ended(sent)
                with contextlib.suppress(SekishoError):  # the beginning is written down; nobody waits for the end
                    await self._finish("failed", "client_gone" if gone.done() else "too_slow")
                return
            sent.result()
        finally:
            await _ended(gone)
            await _ended(sent)
            await self._stack.aclose()

    async def _send(self, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async for piece in self._answer.pieces():
                async with asyncio.timeout(self._stall_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await self._finish("done")
        except (SekishoError, TimeoutError) as fault:
            code = fault.code if isinstance(fault, SekishoError) else "too_slow"
            with contextlib.suppress(SekishoError):
                await self._finish("failed", code)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def filenames(ask: Export) -> tuple[str, str]:
    """The name of the file, encoded for RFC 6266 `filename*`, and in plain letters for who does not know that."""
    from urllib.parse import quote

    day = "-".join(_day(ask.filters[name][0]) for name in ("since", "until"))
    word = "判定ログ" if ask.lang == "ja" else "decisions"
    return quote(f"{word}_{day}.{ask.format}", safe=""), f"decisions_{day}.{ask.format}"


def _day(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y%m%dT%H%MZ")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _ended(task: asyncio.Future[None]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
