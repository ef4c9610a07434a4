"""Threads of the transmitter's own, few: a worker's other threads read revocations and the directory for its decisions.

The attack: receivers that acknowledge while an import holds the store's lock. Each waits for it in a thread; where all
that the worker has wait there, no revocation is read until the import is done.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
THREADS: Final = 4


class Threads:
    """For one kind of work; what is too much waits for its turn."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix=name)

    async def run(self, act: Callable[[], _T]) -> _T:
        """What `act` gives; as `asyncio.to_thread`, with the caller's context."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(act))

    def close(self) -> None:
        """Nothing more is begun, and nothing is waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
