"""Memory that this process has freed, given back to the system.

glibc keeps what a thread has freed for that thread: what loading a table left behind, some 10 MB, is of no use to the
event loop's own thread, and stays until somebody asks for it back.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def give_back() -> None:
    """Some milliseconds: for a thread beside the decisions, after much was freed. Nothing where libc is another."""
    _trim()(0)


@cache
def _trim() -> Callable[[int], object]:
    """malloc_trim(3), which glibc alone has."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # no libc of that name, Windows, musl or macOS
        return lambda _: None
    trim.argtypes = [ctypes.c_size_t]
    trim.restype = ctypes.c_int
    found: Callable[[int], object] = trim
    return found
