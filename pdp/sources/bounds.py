"""How much one run may take away before somebody has to look. Pure.

Half a file is not a register: a feed that lost a page, a filter that lost a word or a tenant that was reset
look like a thousand departures on one day.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime  # msgspec reads it at run time
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

ALWAYS_ALLOWED: Final = 20  # rows: a small source must be able to lose a few without asking
SAMPLES: Final = 20  # of each fault, and of a removal, that are kept for people
MAX_COUNTS: Final = 64  # kinds of faults that are told apart in one run; a connector has five or ten
_SHOWN: Final = 120  # characters of a name in a sample
How = Literal["gone", "disabled"]


@dataclass(slots=True)
class Noted:
    """What a run came upon: how often, and the first names of each."""

    counts: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def note(self, what: str, whom: str) -> None:
        if what not in self.counts and len(self.counts) >= MAX_COUNTS:
            what = "refused_other"
        self.counts[what] += 1
        if len(self.samples[what]) < SAMPLES:
            self.samples[what].append(whom[:_SHOWN])


class RemovalPlan(msgspec.Struct, frozen=True):
    """What a run would take away. `of`: what the source has in effect. `samples`: the first keys, in order."""

    gone: int
    disabled: int
    of: int
    samples: list[str]
    at: datetime

    @property
    def count(self) -> int:
        return self.gone + self.disabled

    @property
    def percent(self) -> float:
        return 100 * self.count / self.of if self.of else 100.0


def removal_plan(removals: Mapping[str, How], of: int, now: datetime) -> RemovalPlan:
    """`removals`: what would go, by key: `gone` from the source, or `disabled` by it."""
    disabled = sum(1 for how in removals.values() if how == "disabled")
    return RemovalPlan(len(removals) - disabled, disabled, of, sorted(removals)[:SAMPLES], now)


def digest(removals: Mapping[str, How]) -> str:
    """What is approved is these rows and no others. SHA-256 in hex."""
    said = msgspec.json.encode(sorted(removals.items()))
    return hashlib.sha256(said).hexdigest()


def passes(removals: Collection[str], of: int, max_percent: float) -> bool:
    """Whether so many may go unasked."""
    return len(removals) <= ALWAYS_ALLOWED or len(removals) <= of * max_percent / 100
