"""The whole explanation of one answer: what it hung on, and what would change it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.explain.deciding import deciding_facts
from pdp.explain.ways_out import MOST_EVALUATIONS, ways_out

if TYPE_CHECKING:
    from pdp.explain.case import Case
    from pdp.explain.deciding import Deciding
    from pdp.explain.ways_out import WaysOut


@dataclass(frozen=True, slots=True)
class Explanation:
    """`deciding` in document order; `evaluated` counts every question to the policy."""

    deciding: tuple[Deciding, ...]
    ways_out: WaysOut
    evaluated: int

    def marked(self, *, permits: bool) -> frozenset[str]:
        """The paths to mark: of a refusal its causes, of a permission all that it hangs on."""
        return frozenset(fact.path for fact in self.deciding if permits or fact.holds_back)


async def explain(case: Case, *, limit: int = MOST_EVALUATIONS) -> Explanation:
    """Raises what `case.evaluate` raises. `limit` bounds the search for ways out, not the single changes."""
    deciding, evaluated = await deciding_facts(case)
    found = await ways_out(case, limit=limit)
    return Explanation(tuple(deciding), found, evaluated + found.evaluated)
