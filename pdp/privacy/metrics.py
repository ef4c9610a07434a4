"""What masking could not do, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class MaskingMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._failures = Counter(
            "sekisho_log_masking_failures",
            "Records that were written with their payload erased, because a masking rule failed.",
            registry=registry,
        )

    def failed(self) -> None:
        self._failures.inc()
