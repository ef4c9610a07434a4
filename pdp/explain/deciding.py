"""Which facts decided: those whose change alone would have made another answer of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.errors import BadRequestError
from pdp.explain.fact_table import FACTS, other_values, value_at, with_values
from pdp.explain.standing import effect

if TYPE_CHECKING:
    from pdp.explain.case import Case
    from pdp.explain.fact_table import Value
    from pdp.explain.standing import Effect
    from pdp.model.decision import Verdict
    from pdp.model.input import InputV1


@dataclass(frozen=True, slots=True)
class Turn:
    """What the answer would have been, had the fact this value."""

    value: Value
    verdict: Verdict
    effect: Effect


@dataclass(frozen=True, slots=True)
class Deciding:
    """One fact that the answer hangs on. `turns` is not empty."""

    path: str
    value: Value
    turns: tuple[Turn, ...]

    @property
    def holds_back(self) -> bool:
        """Another value of this fact alone would be nearer to an allow: it is a cause of the answer."""
        return any(turn.effect == "eases" for turn in self.turns)


async def deciding_facts(case: Case) -> tuple[list[Deciding], int]:
    """The facts whose single change changes outcome, reasons or level, in document order; and what was evaluated.

    A fact is tried with every other value of its enumeration and with both sides of every threshold. The
    documents need not be likely (a private phone that the register calls the organisation's), but each is
    one that the policy could be asked.
    """
    trials = [(path, value, document) for path, value, document in _trials(case)]
    verdicts = await case.evaluate([document for _, _, document in trials])
    turns: dict[str, list[Turn]] = {}
    for (path, value, _), verdict in zip(trials, verdicts, strict=True):
        change = effect(case.verdict, verdict, case.reasons)
        if change is not None:
            turns.setdefault(path, []).append(Turn(value, verdict, change))
    found = [Deciding(path, value_at(case.document, path), tuple(turned)) for path, turned in turns.items()]
    return found, len(trials)


def _trials(case: Case) -> list[tuple[str, Value, InputV1]]:
    found: list[tuple[str, Value, InputV1]] = []
    for fact in FACTS:
        for value in other_values(case.document, fact.path, case.parameters):
            try:
                found.append((fact.path, value, with_values(case.document, {fact.path: value})))
            except BadRequestError:
                continue  # for example a known group in an unknown segment: nobody can be asked that
    return found
