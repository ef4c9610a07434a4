"""Metrics of the cache and of the news between workers, read off their status once a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from pdp.cache.levels import CacheStatus
    from pdp.signals.port import NewsStatus

_READS: Final = ("hits", "misses", "failures", "timeouts", "skipped", "corrupted")
_WRITES: Final = ("written", "dropped")
_NEWS: Final = {"up": 1, "lost": 0, "off": -1}


class CacheMetrics:
    """`show` brings the metrics up to a status. Statuses count from the start of the process, and never back."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sekisho_{name}", text, labels, registry=registry)

        def worst(name: str, text: str) -> Gauge:  # of several workers the one that is worst off
            return Gauge(f"sekisho_{name}", text, registry=registry, multiprocess_mode="livemin")

        self._hits = counter("cache_hits", "Verdicts found, by level.", "level")
        self._joined = counter("cache_joined", "Decisions that waited for another one's evaluation.")
        self._evicted = counter("cache_evicted", "Entries that went from a worker for want of room.")
        self._entries = Gauge(
            "sekisho_cache_entries", "Entries held in the workers.", registry=registry, multiprocess_mode="livesum"
        )
        self._reads = counter("redis_reads", "Reads of the shared cache, by what came of them.", "result")
        self._writes = counter("redis_writes", "Writes to the shared cache.", "result")
        self._opened = counter("redis_breaker_opened", "How often a worker stopped asking Redis.")
        self._redis_up = worst("redis_up", "1 while the shared cache answers; -1 where there is none.")
        self._news_up = worst("news_up", "1 while changes are heard at once, 0 while polling sees them; -1: no stream.")
        self._heard = counter("news_heard", "Pieces of news heard.")
        self._gaps = counter("news_gaps", "How often news were, or may have been, missed.")
        self._lag = Gauge(
            "sekisho_news_lag_seconds", "Age of the latest news when heard.", registry=registry, multiprocess_mode="max"
        )
        self._shown: dict[object, int] = {}

    def show(self, cache: CacheStatus | None, news: NewsStatus) -> None:
        """`cache` None: it is off."""
        if cache is not None:
            self._show_cache(cache)
        shared = None if cache is None else cache.shared
        self._redis_up.set(-1 if shared is None else shared.state == "up")
        self._news_up.set(_NEWS[news.state])
        self._add(self._heard, news.heard)
        self._add(self._gaps, news.gaps)
        if news.lag_ms is not None:
            self._lag.set(news.lag_ms / 1_000)

    def _show_cache(self, cache: CacheStatus) -> None:
        self._entries.set(cache.entries)
        self._add(self._hits, cache.local_hits, "local")
        self._add(self._hits, cache.shared_hits, "shared")
        self._add(self._joined, cache.joined)
        self._add(self._evicted, cache.evicted)
        if cache.shared is not None:
            for result in _READS:
                self._add(self._reads, getattr(cache.shared, result), result)
            for result in _WRITES:
                self._add(self._writes, getattr(cache.shared, result), result)
            self._add(self._opened, cache.shared.opened)

    def _add(self, counter: Counter, total: int, *labels: str) -> None:
        before = self._shown.get((counter, labels), 0)
        (counter.labels(*labels) if labels else counter).inc(max(total - before, 0))
        self._shown[counter, labels] = max(total, before)
