"""Tables for the workers of one host: one of them has a table made, the others find it kept and sealed.

INVARIANT (no kept table without its seal): as `pdp.space.keeping`, under a key of its own. Files are read whole and
never mapped: what is replaced, cut or removed under a worker that has read it concerns that worker no more.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pdp.errors import EngineError, SpaceError
from pdp.logs import get_log
from pdp.space.keeping import Shelf, found_text, key_for, put, sealed
from pdp.table import laid, marks
from pdp.table.decision_table import DecisionTable, table_of
from pdp.table.making import Order, make
from pdp.table.proof import proof_documents

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.space.space import DecisionSpace

SCHEMA: Final = "pdp.table/v1"
_LOCK: Final = "making.lock"
_log = get_log("pdp.table")


class Found(NamedTuple):
    """A table, and the documents that it is to be held against an engine with before it answers."""

    table: DecisionTable
    documents: list[bytes]


@cache
def key_of_table(digest: str) -> str:
    """What a table is a function of: the space of the bundle with this digest, and how it is laid out and read."""
    made = "\n".join((SCHEMA, _sources(), key_for(digest)))
    return hashlib.sha256(made.encode()).hexdigest()


@cache
def _sources() -> str:
    """A digest of the text of what a look-up goes through."""
    texts = [
        (files("pdp.table") / f"{name}.py").read_bytes() for name in ("decision_table", "laid", "proof", "readers")
    ]
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()


def keep_table(shelf: Shelf, space: DecisionSpace) -> None:
    """Lay the space out and keep it; some three seconds. Raises SpaceError where it is too wide, and OSError."""
    key = key_of_table(space.bundle.digest)
    text = laid.dumped(
        laid.laid_out(space.bundle.digest, space.facts, space.diagram, space.verdict), proof_documents(space)
    )
    put(shelf.folder / f"{key}.table", sealed(text, key, shelf.secret))


def found_table(shelf: Shelf, digest: str) -> Found | None:
    """The table of the bundle with this digest, where one is kept that was sealed here."""
    key = key_of_table(digest)
    text = found_text(shelf, shelf.folder / f"{key}.table", key, laid.MAX_BYTES + 128)
    if text is None:
        return None
    try:
        kept, documents = laid.loaded(text)
        if kept.digest == digest:
            return Found(table_of(kept), documents)
    except (msgspec.MsgspecError, LookupError, SpaceError):
        pass
    shelf.refused()
    return None


class KeptTables:
    """Implements `pdp.table.keeper.Tables`. `clock` has the system's time in seconds."""

    def __init__(
        self,
        folder: Path,
        secret: bytes,
        *,
        clock: Callable[[], float] = time.time,
        making: Callable[[Order], Awaitable[None]] = make,
    ) -> None:
        self._shelf = Shelf(folder, secret, self._refused)
        self._clock = clock
        self._make = making

    async def table(self, bundle: Bundle) -> Found | None:
        """As the port says."""
        found = await asyncio.to_thread(found_table, self._shelf, bundle.digest)
        if found is not None:
            return found
        async with _alone(self._shelf.folder) as alone:
            if not alone:
                return None
            found = await asyncio.to_thread(found_table, self._shelf, bundle.digest)  # who had the lock has made it
            if found is None:
                await self._made(bundle)
                found = await asyncio.to_thread(found_table, self._shelf, bundle.digest)
        if found is None:
            raise EngineError("the table was made, and was not what was made when it was read")
        return found

    async def doubt(self, digest: str) -> None:
        """As the port says. The mark is of this version of what counts policies out: a mended one tries again."""
        await asyncio.to_thread(self._doubt, digest)

    async def doubted(self, digest: str) -> bool:
        """As the port says."""
        return await asyncio.to_thread(self._is_doubted, digest)

    async def _made(self, bundle: Bundle) -> None:
        """Have it made, with a note of the attempt for as long as it is none that succeeded."""
        begun = await asyncio.to_thread(self._begun, bundle.digest)
        file = self._file(bundle.digest, "attempt")
        order = Order(bundle.canonical.decode(), str(self._shelf.folder), self._shelf.secret)
        try:
            await self._make(order)
        except (EngineError, SpaceError) as fault:
            with suppress(OSError):  # then it is said that it did not come to its end
                await asyncio.to_thread(marks.note, file, begun.failed(fault))
            raise
        except asyncio.CancelledError:  # the service ends, or another policy is active: no failure
            with suppress(OSError):
                file.unlink()
            raise
        with suppress(OSError):
            await asyncio.to_thread(file.unlink)

    def _begun(self, digest: str) -> marks.Attempt:
        """Raises the last attempt's fault before it is time for another one; EngineError where nothing can be kept."""
        file = self._file(digest, "attempt")
        last, may_begin = marks.last_attempt(file, self._clock())
        if last is not None and not may_begin:
            raise last.fault
        begun = marks.Attempt(1 if last is None else last.tries + 1)
        try:
            marks.note(file, begun)
        except OSError as fault:
            raise EngineError(_UNWRITABLE.format(fault.strerror)) from None
        return begun

    def _doubt(self, digest: str) -> None:
        try:
            marks.doubt(self._file(digest, "doubted"))
        except OSError as fault:
            raise EngineError(_UNWRITABLE.format(fault.strerror)) from None
        with suppress(OSError):
            self._file(digest, "table").unlink()

    def _is_doubted(self, digest: str) -> bool:
        try:
            return marks.is_doubted(self._file(digest, "doubted"))
        except OSError as fault:
            raise EngineError(f"the folder of decision tables cannot be read: {fault.strerror}") from None

    def _file(self, digest: str, kind: str) -> Path:
        return self._shelf.folder / f"{key_of_table(digest)}.{kind}"

    @staticmethod
    def _refused() -> None:
        _log.warning("a kept decision table or space was not sealed here, or cannot be read; it is made anew")


_UNWRITABLE: Final = "the folder of decision tables cannot be written: {}"


@asynccontextmanager
async def _alone(folder: Path) -> AsyncIterator[bool]:
    """Whether nobody else of this host makes one now. Raises EngineError where the folder cannot be written."""
    taking = asyncio.ensure_future(asyncio.to_thread(_taken, folder))
    try:
        lock = await asyncio.shield(taking)
    except asyncio.CancelledError:
        taking.add_done_callback(_let_go)  # the thread goes on, and a lock that nobody lets go of would be for ever
        raise
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def _taken(folder: Path) -> int | None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise EngineError(_UNWRITABLE.format(fault.strerror)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _let_go(taking: asyncio.Future[int | None]) -> None:
    if not taking.cancelled() and taking.exception() is None and (lock := taking.result()) is not None:
        os.close(lock)
