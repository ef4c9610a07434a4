"""How long the steps of a decision took, and a decision that waits for its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pdp.declog.port import Kept
    from pdp.model.decision import Decision


class Steps:
    """How long each step took. `stopwatch` gives monotonic nanoseconds."""

    __slots__ = ("_last_ns", "_stopwatch", "taken_us")

    def __init__(self, stopwatch: Callable[[], int]) -> None:
        self._stopwatch = stopwatch
        self._last_ns = stopwatch()
        self.taken_us: dict[str, int] = {}  # whole microseconds by step, of the steps that have ended

    def end(self, step: str) -> None:
        now_ns = self._stopwatch()
        self.taken_us[step] = self.taken_us.get(step, 0) + (now_ns - self._last_ns) // 1_000
        self._last_ns = now_ns


class Recording:
    """A decision whose record is on its way to the log.

    INVARIANT (record first): nobody has the decision before `kept` is done, and nobody where it failed.
    """

    __slots__ = ("_count", "_decision", "kept")

    def __init__(self, kept: Kept, decision: Decision, count: Callable[[], None]) -> None:
        """`count` hears of it once, when the decision is taken out."""
        self.kept = kept
        self._decision = decision
        self._count = count

    def decision(self) -> Decision:
        """To be called once, when `kept` is done. Raises RecordFailedError where the log could not keep the record."""
        self.kept.result()
        self._count()
        return self._decision
