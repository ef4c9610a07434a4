"""How long the steps of a decision took, and a decision that waits for its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from pdp.model.decision import Decision


class Steps:
    """How long each step took. `stopwatch` gives monotonic nanoseconds."""

    __slots__ = ("_begun_ns", "_ended", "_stopwatch")

    def __init__(self, stopwatch: Callable[[], int]) -> None:
        self._stopwatch = stopwatch
        self._begun_ns = stopwatch()
        self._ended: list[tuple[str, int]] = []

    def end(self, step: str) -> None:
        self._ended.append((step, self._stopwatch()))

    def since_last_us(self) -> int:
        return (self._stopwatch() - self._ended[-1][1]) // 1_000 if self._ended else 0

    def taken_us(self) -> dict[str, int]:
        """Whole microseconds by step, of the steps that have ended."""
        taken: dict[str, int] = {}
        last_ns = self._begun_ns
        for step, ended_ns in self._ended:
            taken[step] = taken.get(step, 0) + (ended_ns - last_ns) // 1_000
            last_ns = ended_ns
        return taken


class Recording:
    """A decision whose record is on its way to the log.

    INVARIANT (record first): nobody has the decision before `kept` is done, and nobody where it failed.
    """

    __slots__ = ("_count", "_decision", "kept")

    def __init__(self, kept: Future[None], decision: Decision, count: Callable[[], None]) -> None:
        """`count` hears of it once, when the decision is taken out."""
        self.kept = kept
        self._decision = decision
        self._count = count

    def decision(self) -> Decision:
        """To be called once, when `kept` is done. Raises RecordFailedError where the log could not keep the record."""
        self.kept.result()
        self._count()
        return self._decision
