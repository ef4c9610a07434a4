"""What a replay found, as values: counts, kinds of differences with their first ids, and where they lie."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pdp.replaying.answer import Answer, parts_that_differ

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.replaying.court import Judgement

MAX_KINDS: Final = 2_000  # of differences, told one by one; what is beyond is counted with the rest
DIMENSIONS: Final = ("department", "resource", "device_class")


class Kind(NamedTuple):
    """Decisions that differ in the same way. `digest` is of the bundle that they were recorded under."""

    digest: str
    revision: str | None
    recorded: Answer
    judgement: Judgement

    @property
    def recomputed(self) -> Answer:
        """What the first engine said."""
        return self.judgement[0].answer

    @property
    def disagree(self) -> bool:
        """Whether the engines do not agree with one another."""
        return any(said.answer != self.recomputed for said in self.judgement)

    @property
    def parts(self) -> tuple[str, ...]:
        """In what an engine's answer is another than the recorded one."""
        differing = {part for said in self.judgement for part in parts_that_differ(self.recorded, said.answer)}
        return tuple(part for part in Answer._fields if part in differing)

    @property
    def transition(self) -> str:
        return f"{self.recorded.outcome} → {self.recomputed.outcome}"


@dataclass(slots=True)
class Found:
    """How often a kind was met, and the ids of the earliest."""

    decisions: int = 0
    ids: list[str] = field(default_factory=list)

    def add(self, decisions: int, ids: Sequence[str], most: int) -> None:
        self.decisions += decisions
        self.ids = nsmallest(most, {*self.ids, *ids})  # a uuid7 sorts by its time


@dataclass(slots=True)
class Judged:
    """One bundle's share."""

    revision: str | None = None
    decisions: int = 0
    equal: int = 0


@dataclass
class Tally:
    """Counts of decisions. `failed`: denied because no verdict could be had then, by what the policy says now.

    `lost`: an engine gave no verdict now, twice. `missing`: recorded under a bundle that is not to be had, with why.
    """

    most_ids: int = 10
    records: int = 0
    equal: int = 0
    apart: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    missing: Counter[tuple[str, str | None, str]] = field(default_factory=Counter)
    bundles: dict[str, Judged] = field(default_factory=dict)
    differences: dict[Kind, Found] = field(default_factory=dict)
    more: int = 0  # decisions that differ in further ways
    spread: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by (transition, dimension, value)

    def judged(self, digest: str, revision: str | None, decisions: int, *, equal: bool) -> None:
        bundle = self.bundles.setdefault(digest, Judged(revision))
        bundle.decisions += decisions
        if equal:
            bundle.equal += decisions
            self.equal += decisions

    def differs(self, kind: Kind, decisions: int, ids: Sequence[str]) -> None:
        if kind not in self.differences and len(self.differences) >= MAX_KINDS:
            self.more += decisions
            return
        self.differences.setdefault(kind, Found()).add(decisions, ids, self.most_ids)

    def take(self, other: Tally) -> None:
        """Add what a unit of the log gave."""
        self.records += other.records
        self.equal += other.equal
        self.lost += other.lost
        self.more += other.more
        for mine, theirs in ((self.apart, other.apart), (self.failed, other.failed)):
            mine.update(theirs)
        self.missing.update(other.missing)
        self.spread.update(other.spread)
        for digest, judged in other.bundles.items():
            bundle = self.bundles.setdefault(digest, Judged(judged.revision))
            bundle.decisions += judged.decisions
            bundle.equal += judged.equal
        for kind, found in other.differences.items():
            self.differs(kind, found.decisions, found.ids)

    @property
    def differing(self) -> int:
        return sum(found.decisions for found in self.differences.values()) + self.more

    @property
    def disagreeing(self) -> int:
        """Decisions on which the engines do not agree with one another."""
        return sum(found.decisions for kind, found in self.differences.items() if kind.disagree)

    @property
    def transitions(self) -> Counter[str]:
        """Differing decisions by `recorded → recomputed` outcome; a change of reasons alone keeps its outcome."""
        counted: Counter[str] = Counter()
        for kind, found in self.differences.items():
            counted[kind.transition] += found.decisions
        return counted


@dataclass(frozen=True)
class Report:
    """The end of a replay. `whole`: it was not ended early. `against`: the revision of a draft, for a what-if."""

    tally: Tally
    engines: tuple[str, ...]
    evaluated: int
    seconds: float
    whole: bool
    against: str | None
    sample: int | None
    total: int

    @property
    def equal(self) -> bool:
        """Everything that could be recomputed came out as it was recorded, and nothing impossible stands there."""
        tally = self.tally
        return not (tally.differing or tally.lost or tally.apart["impossible"] or tally.apart["wrong_policy"])

    def as_json(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "whole": self.whole,
            "equal": self.equal,
            "against": self.against,
            "sample": self.sample,
            "engines": list(self.engines),
            "records_in_range": self.total,
            "records": tally.records,
            "recomputed": {
                "equal": tally.equal,
                "different": tally.differing,
                "engines_disagree": tally.disagreeing,
                "no_verdict_now": tally.lost,
            },
            "not_recomputed": dict(sorted(tally.apart.items())),
            "failed_then": dict(sorted(tally.failed.items())),
            "missing_bundles": [
                {"digest": digest, "revision": revision, "why": why, "decisions": count}
                for (digest, revision, why), count in sorted(tally.missing.items(), key=lambda entry: entry[0][0])
            ],
            "bundles": [
                {"digest": digest, "revision": one.revision, "decisions": one.decisions, "equal": one.equal}
                for digest, one in sorted(tally.bundles.items())
            ],
            "differences": [self._difference(kind, found) for kind, found in self.by_count()],
            "further_differences": tally.more,
            "transitions": dict(tally.transitions.most_common()),
            "spread": self._spread(),
            "evaluated": self.evaluated,
            "seconds": round(self.seconds, 3),
            "decisions_per_s": round(tally.records / self.seconds) if self.seconds else None,
        }

    def by_count(self) -> list[tuple[Kind, Found]]:
        """The most frequent differences first."""
        return sorted(
            self.tally.differences.items(), key=lambda entry: (-entry[1].decisions, entry[0].digest, entry[1].ids)
        )

    def _difference(self, kind: Kind, found: Found) -> dict[str, Any]:
        return {
            "decisions": found.decisions,
            "ids": found.ids,
            "digest": kind.digest,
            "revision": kind.revision,
            "parts": list(kind.parts),
            "engines_disagree": kind.disagree,
            "recorded": kind.recorded.as_json(),
            "recomputed": recomputed_json(self.engines, kind.judgement),
        }

    def _spread(self) -> dict[str, dict[str, dict[str, int]]]:
        """By dimension, value and transition."""
        found: dict[str, dict[str, dict[str, int]]] = {dimension: {} for dimension in DIMENSIONS}
        for (transition, dimension, value), count in sorted(self.tally.spread.items()):
            found[dimension].setdefault(value, {})[transition] = count
        return found


def recomputed_json(engines: Sequence[str], judgement: Judgement) -> Mapping[str, Any]:
    return {name: said.answer.as_json() | {"fault": said.fault} for name, said in zip(engines, judgement, strict=True)}
