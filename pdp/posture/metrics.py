"""How many reports came, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import CollectorRegistry


class PostureMetrics:
    """`fate`: stored, same, newer, unknown_device, ambiguous_device, contradicted_device, precondition_failed, and
    `failed` where the store did not take it. What is refused before that is not counted here.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reports = Counter(
            "sekisho_posture_reports", "Pushed reports, by what became of them.", ["fate"], registry=registry
        )

    def count(self, fates: Iterable[str]) -> None:
        for fate in fates:
            self._reports.labels(fate).inc()
