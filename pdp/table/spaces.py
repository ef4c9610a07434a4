"""Decision spaces for the workers of one host: one of them has a space made, the others find it kept and sealed."""

from __future__ import annotations

import asyncio
import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pdp.errors import EngineError
from pdp.space.keeping import file_of, found_space
from pdp.table.making import Order, make

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.space.keeping import Shelf
    from pdp.space.space import DecisionSpace

_LOCK: Final = "making.lock"


class KeptSpaces:
    """Implements `pdp.table.keeper.Spaces`. `secret_file` holds the secret of the shelf."""

    def __init__(self, shelf: Shelf, secret_file: Path) -> None:
        self._shelf = shelf
        self._secret_file = secret_file

    async def space(self, bundle: Bundle) -> DecisionSpace | None:
        """As the port says."""
        found = await asyncio.to_thread(found_space, self._shelf, bundle)
        if found is not None:
            return found
        with _alone(self._shelf.folder) as alone:
            if not alone:
                return None
            found = await asyncio.to_thread(found_space, self._shelf, bundle)  # who had the lock has made it
            if found is None:
                folder, secret_file = str(self._shelf.folder), str(self._secret_file)
                await make(Order(bundle.canonical.decode(), folder, secret_file))
                found = await asyncio.to_thread(found_space, self._shelf, bundle)
        if found is None:
            raise EngineError("the space was made, and could not be kept")
        return found

    def doubt(self, bundle: Bundle) -> None:
        """As the port says. The mark is of this version of what counts policies out: a mended one tries again."""
        with suppress(OSError):  # then each worker finds out by itself
            _mark_of(self._shelf, bundle).touch()
        with suppress(OSError):
            file_of(self._shelf, bundle).unlink()

    async def doubted(self, bundle: Bundle) -> bool:
        """As the port says."""
        return await asyncio.to_thread(_mark_of(self._shelf, bundle).exists)


def _mark_of(shelf: Shelf, bundle: Bundle) -> Path:
    return file_of(shelf, bundle).with_suffix(".doubted")


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else of this host makes one now. Raises EngineError where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise EngineError(f"the folder of decision spaces cannot be written: {fault.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)  # and with it the lock
