"""`GET /edl/NAME`: what is cut off now, as plain text with an entity tag, for callers with `read_cut_off`.

A withdrawal is on the list as soon as the worker knows of it: devices with the directory (a second at most, at once
with Redis), addresses with the next request. How often a gateway asks is its own affair: every five minutes.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from pdp.cut_off import entries as lists
from pdp.cut_off.register import entries
from pdp.errors import NotFoundError, NotPermittedError, NotReadyError, SekishoError
from pdp.wire.error_answer import error_answer
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.callers.caller import Caller
    from pdp.model.directory import Snapshot
    from pdp.store.store import Store
    from pdp.wire.exchange import HttpRequest

ADDRESSES: Final = "cut-off"
OF_DIRECTORY: Final[Mapping[str, Callable[[Snapshot], Sequence[str]]]] = {
    "cut-off-devices": lists.lost_devices,
    "cut-off-certificates": lists.lost_certificates,
    "cut-off-people": lists.people_of_lost_devices,
}
NAMES: Final = (ADDRESSES, *OF_DIRECTORY)
STORE_S: Final = 5.0  # one small query; a gateway that waits longer keeps the list that it has


class Registers(Protocol):
    """The directory that is decided on."""

    def current(self) -> Snapshot:
        """Raises NotReadyError before the first."""
        ...

    def is_stale(self) -> bool:
        """Whether nobody could confirm it for longer than decisions may rest on it."""
        ...


class CutOffDesk:
    def __init__(
        self,
        introduce: Callable[[HttpRequest], Awaitable[Caller]],
        store: Store,
        registers: Registers,
        clock: Callable[[], datetime],
    ) -> None:
        self._introduce = introduce
        self._store = store
        self._registers = registers
        self._clock = clock

    async def answer(self, request: HttpRequest, name: str) -> HttpAnswer:
        """The list, 304 for one that is known, or an error as every path gives it."""
        try:
            caller = await self._introduce(request)
            if not caller.may("read_cut_off"):
                raise NotPermittedError("this caller may not pull what is cut off")
            if name not in NAMES:
                raise NotFoundError(f"there is no list `{name[:64]}`", next_step=f"pull one of {', '.join(NAMES)}")
            known = request.header("if-none-match") or ""
            body = lists.text_of(await self._lines(name))
        except SekishoError as fault:
            return error_answer(fault)
        tag = lists.tag_of(body)
        headers = (("etag", tag), ("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-cache"))
        if known.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in known.split(",")]:
            return HttpAnswer(304, headers)
        return HttpAnswer(200, headers, body)

    async def _lines(self, name: str) -> Sequence[str]:
        """Raises NotReadyError, DirectoryError: a list that cannot be made is an error and never a shorter list."""
        if name in OF_DIRECTORY:
            snapshot = self._registers.current()
            if self._registers.is_stale():  # another worker may have answered a longer one: the gateway keeps that
                raise NotReadyError("nobody could confirm the directory for too long")
            return OF_DIRECTORY[name](snapshot)
        now = self._clock()
        try:
            async with asyncio.timeout(STORE_S):
                held = await asyncio.to_thread(entries, self._store, now)
        except TimeoutError:
            raise NotReadyError("the store does not answer") from None
        return lists.addresses(held, now)
