"""Works that go on beside one another until they are told to stop: each in a thread of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def side_by_side(
    works: Mapping[str, Callable[[threading.Event], None]],
    stop: threading.Event,
    *,
    end_s: float,
    failed: Callable[[str], None],
) -> None:
    """One that is dead delays no other. Returns after `stop`, and `end_s` for each at the most.

    What ends by itself with an exception ends them all: a supervisor starts the process again, and nobody believes
    that all goes on. `failed` is told whose it is, where the exception is at hand.
    """

    def kept(name: str) -> None:
        try:
            works[name](stop)
        except Exception:  # noqa: BLE001  # the thread has nobody else to tell
            failed(name)
            stop.set()

    threads = [threading.Thread(target=kept, args=(name,), name=name, daemon=True) for name in works]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(end_s)
