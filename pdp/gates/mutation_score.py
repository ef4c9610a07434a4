"""What became of a policy's mutants, counted: of those that are another policy, how many a test notices. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdp.bundle.equivalents import explained

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.equivalents import Equivalent
    from pdp.engine.mutation import Fate


@dataclass(frozen=True, slots=True)
class MutationScore:
    """`score` in per cent. `wrong`: said to be the same policy, and a test notices it."""

    mutants: int
    killed: int
    equivalent: int
    stillborn: int
    score: float
    survivors: tuple[Fate, ...]
    wrong: tuple[Equivalent, ...]

    def as_json(self, most: int | None = None) -> dict[str, Any]:
        """`most`: survivors that are told; all are counted."""
        return {
            "mutants": self.mutants,
            "killed": self.killed,
            "survived": len(self.survivors),
            "equivalent": self.equivalent,
            "stillborn": self.stillborn,
            "score": round(self.score, 2),
            "survivors": [_told(fate) for fate in self.survivors[:most]],
            "not_equivalent": [f"{one.file}: {one.where}: {one.change}" for one in self.wrong],
        }


def score_of(fates: Sequence[Fate], known: Sequence[Equivalent]) -> MutationScore:
    """`known`: mutants that are the policy itself in other words, which no test can notice."""
    equivalent = explained([fate.mutant for fate in fates], known)
    survivors = tuple(fate for at, fate in enumerate(fates) if fate.survived and at not in equivalent)
    stillborn = sum(fate.stillborn is not None for fate in fates)
    same = sum(fate.survived and at in equivalent for at, fate in enumerate(fates))
    counted = len(fates) - stillborn - same
    killed = counted - len(survivors)
    alive = {one for at, one in equivalent.items() if fates[at].survived}
    wrong = tuple(one for one in dict.fromkeys(equivalent.values()) if one not in alive)
    score = 100 * killed / counted if counted else 0.0
    return MutationScore(len(fates), killed, same, stillborn, score, survivors, wrong)


def _told(fate: Fate) -> dict[str, Any]:
    one = fate.mutant
    return {"kind": one.kind, "place": one.place, "where": one.where, "change": one.change}
