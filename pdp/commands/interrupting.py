"""Ctrl-C that asks a long command to end, so that it can say what it has."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def ctrl_c() -> Iterator[Callable[[], bool]]:
    """Whether it was pressed. The first one asks for an end; the second ends at once."""
    loop = asyncio.get_running_loop()
    asked: list[bool] = []

    def ask() -> None:
        asked.append(True)
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        loop.remove_signal_handler(signal.SIGINT)
