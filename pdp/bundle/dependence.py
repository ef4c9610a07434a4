"""What each rule of a bundle reads by itself, and which other rules it asks: the policy as a graph of small steps.

INVARIANT (by parts): the value of a rule is a function of the input at its own `reads` and of the values of the rules
that it `asks`. So two inputs that agree on those give it one value, and whoever has judged the steps need not judge
the whole for every input. It holds by the walk that the footprint stands on (`sight`), taken from one rule at a time.

Functions are no steps: they are followed into from where they are called. Neither are rules that hand a part of the
input on (`device := input.device`), which would make their whole value a fact, nor rules that ask one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Final

from pdp.bundle.findings import TooManyFindingsError
from pdp.bundle.grammar import unknown_part
from pdp.bundle.reach import Reach
from pdp.bundle.sight import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.syntax import Module, Path

_MOST_ROUNDS: Final = 20  # rules that ask one another by a wide reference; real policies have none


@dataclass(frozen=True, slots=True)
class Step:
    """One rule. `path` is absolute, `("data", "pdp", "decision")`; `reads` are parts of the input, `()` all of it."""

    path: Path
    reads: tuple[Path, ...]
    asks: tuple[Path, ...]

    @property
    def reference(self) -> str:
        return ".".join(self.path)


def steps_of(modules: Sequence[Module], entrypoint: str) -> tuple[Step, ...]:
    """The rules that an entry point such as `pdp/decision` stands on, each after those that it asks; itself is last.

    What cannot be analysed is one step that reads everything. Never raises.
    """
    entry = ("data", *entrypoint.split("/"))
    whole = (Step(entry, ((),), ()),)
    try:
        if any(unknown_part(module) is not None for module in modules):
            return whole
        reach = Reach(modules)
        if reach.unclear or not any(reach.around(entry)):
            return whole
        return _ordered(reach, entry)
    except (TooManyFindingsError, RecursionError, CycleError):
        return whole


def _ordered(reach: Reach, entry: Path) -> tuple[Step, ...]:
    findings = look(reach, entry)
    functions = {one.path for one in reach.definitions if one.arity is not None}
    rules = {one.path for one in findings.reached.values()} - functions
    opaque = {path for path in rules if not findings.values[path]} | {entry}
    for _ in range(_MOST_ROUNDS):
        steps = _steps(reach, entry, opaque)
        try:
            order = TopologicalSorter({step.path: step.asks for step in steps.values()}).static_order()
            return tuple(steps[path] for path in order)
        except CycleError as fault:
            opaque -= set(fault.args[1]) - {entry}
    raise CycleError("no order", [])


def _steps(reach: Reach, entry: Path, opaque: set[Path]) -> dict[Path, Step]:
    found: dict[Path, Step] = {}
    pending = [entry]
    while pending:
        path = pending.pop()
        if path in found:
            continue
        seen = look(reach, path, opaque - {path})
        asks = tuple(sorted(seen.asked))
        found[path] = Step(path, tuple(sorted(seen.readings)), asks)
        pending += asks
    return found
