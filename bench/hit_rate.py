"""How often a cache would have known, computed from the stream: our key (the footprint) beside a key over all of it.

Both caches are ours otherwise: the same number of entries, the least recently used goes first, and an entry ends
with the ttl of its verdict. `at_once` is the stream at one instant, as the measured pass is; `in_an_hour` is the
same stream spread over an hour, facts built at each request's own instant: then the minutes since a log-in have
changed in most documents before they are asked about again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pdp.cache.key import KeyMaker
from pdp.engine.footprint_check import bundle_footprint
from pdp.model.input import encode_input
from pdp.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.documents import Archive
    from bench.prefecture import Question
    from pdp.model.input import InputV1

ENTRIES: Final = Settings().cache_entries
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class HitRates:
    """Shares of the requests; `entries`: keys that were met."""

    requests: int
    footprint: float
    whole_input: float
    footprint_keys: int
    whole_input_keys: int


class _Cache:
    def __init__(self, ttl: timedelta) -> None:
        self._ttl = ttl
        self._until: OrderedDict[bytes, datetime] = OrderedDict()
        self.hits = 0
        self.seen: set[bytes] = set()

    def ask(self, key: bytes, now: datetime) -> None:
        self.seen.add(key)
        if key in self._until and now < self._until[key]:
            self.hits += 1
            self._until.move_to_end(key)
            return
        self._until.pop(key, None)
        self._until[key] = now + self._ttl
        if len(self._until) > ENTRIES:
            self._until.popitem(last=False)


def hit_rates(archive: Archive, asked: Iterator[tuple[InputV1, datetime]]) -> HitRates:
    keys = KeyMaker(archive.bundle, bundle_footprint(archive.bundle), "bench")
    ttl = timedelta(seconds=archive.bundle.ttl_s)
    footprint, whole, requests = _Cache(ttl), _Cache(ttl), 0
    for document, now in asked:
        requests += 1
        footprint.ask(keys.of_input(document), now)
        whole.ask(sha256(encode_input(document)).digest(), now)
    return HitRates(requests, footprint.hits / requests, whole.hits / requests, len(footprint.seen), len(whole.seen))


def at_once(archive: Archive, questions: Sequence[Question], now: datetime) -> Iterator[tuple[InputV1, datetime]]:
    for question in questions:
        yield archive.facts(question, now).document, now


def in_an_hour(archive: Archive, questions: Sequence[Question], now: datetime) -> Iterator[tuple[InputV1, datetime]]:
    step = HOUR / len(questions)
    for number, question in enumerate(questions):
        moment = now + step * number
        yield archive.facts(question, moment).document, moment
