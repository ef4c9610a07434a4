"""Percentiles out of a histogram's buckets. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_PERCENT = 100
_MS = 1_000


@dataclass(frozen=True, slots=True)
class Buckets:
    """`counts[n]` took at most `bounds_s[n]` seconds and longer than the bound before; the last has no bound."""

    bounds_s: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        return sum(self.counts)

    def since(self, before: Buckets) -> Buckets:
        return Buckets(self.bounds_s, tuple(max(0, b - a) for a, b in zip(before.counts, self.counts, strict=True)))


def percentile(buckets: Buckets, percent: float) -> float | None:
    """In milliseconds, as if a bucket's values lay evenly in it; beyond the last bound, that bound. None of none."""
    wanted = buckets.count * percent / _PERCENT
    if not buckets.count:
        return None
    passed, low = 0, 0.0
    for count, bound in zip(buckets.counts, buckets.bounds_s, strict=False):
        if passed + count >= wanted and count:
            return (low + (bound - low) * (wanted - passed) / count) * _MS
        passed, low = passed + count, bound
    return low * _MS
