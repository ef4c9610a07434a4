"""How the log is asked, counted: how often, how long, how much was given, and who was refused.

No label holds a person. The names of callers are bounded as everywhere (`pdp.metrics.MOST_CALLERS`).
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from pdp.trail.event import Action, Outcome

# From a page out of one file to the deadline of a question, and an export's hour.
_SECONDS: Final = (0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 600.0, 3600.0)
MOST_CALLERS: Final = 200
OTHER_CALLERS: Final = "-other"  # no caller can be called so


class Watch(Protocol):
    """What is told of questions."""

    def begun(self) -> float:
        """When a question came, in seconds of a clock that only runs forward."""
        ...

    def ended(self, caller: str, action: Action, outcome: Outcome, begun: float, rows: int | None) -> None:
        """A question was answered, refused, or failed."""
        ...

    def answering(self, more: int) -> None:
        """So many more questions are being answered than before, or fewer."""
        ...


class NoWatch:
    """Nobody counts."""

    def begun(self) -> float:
        return 0.0

    def ended(self, caller: str, action: Action, outcome: Outcome, begun: float, rows: int | None) -> None:
        """Nobody is told."""

    def answering(self, more: int) -> None:
        """Nobody is told."""


class AuditMetrics:
    """A `Watch` of one worker."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._questions = Counter(
            "sekisho_audit_questions", "Questions to the decision log, by how they ended.",
            ("action", "outcome"), registry=registry,
        )  # fmt: skip
        self._refused = Counter(
            "sekisho_audit_refused", "Questions that a caller might not ask.", ("caller",), registry=registry
        )
        self._rows = Counter("sekisho_audit_rows", "Rows that were given.", ("action",), registry=registry)
        self._seconds = Histogram(
            "sekisho_audit_seconds", "Time of a question until its answer, or the end of its file.",
            ("action",), registry=registry, buckets=_SECONDS,
        )  # fmt: skip
        self._running = Gauge(
            "sekisho_audit_running",
            "Questions that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._callers: set[str] = set()

    def begun(self) -> float:
        return perf_counter()

    def ended(self, caller: str, action: Action, outcome: Outcome, begun: float, rows: int | None) -> None:
        self._questions.labels(action, outcome).inc()
        self._seconds.labels(action).observe(max(0.0, perf_counter() - begun))
        if rows and outcome == "done":
            self._rows.labels(action).inc(rows)
        if outcome == "refused":
            if caller not in self._callers and len(self._callers) >= MOST_CALLERS:
                caller = OTHER_CALLERS
            self._callers.add(caller)
            self._refused.labels(caller).inc()

    def answering(self, more: int) -> None:
        self._running.inc(more)
