"""What the policy attaches to its allows, with the values: an allow without its control is wider than the policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from pdp.space.facts import OTHER_TIME
from pdp.space.space import PERMITTED

if TYPE_CHECKING:
    from pdp.space.space import DecisionSpace


END_OF_WINDOW: Final = "(work_permit_until)"  # a control whose value is a time of the request


@dataclass(frozen=True, slots=True)
class Demand:
    """A control of the policy for the vectors of `root`. Its value as rules have it: END_OF_WINDOW is a time."""

    control: str
    value: str | int
    root: int


_KNOWN: Final[WeakKeyDictionary[DecisionSpace, tuple[Demand, ...]]] = WeakKeyDictionary()


def demands_of(space: DecisionSpace) -> tuple[Demand, ...]:
    """Every control with every value that an allow of this policy carries. Kept by space."""
    if space not in _KNOWN:
        diagram = space.diagram
        found = {pair for leaf in diagram.leaves(space.verdict) for pair in controls_of(diagram.payload(leaf)).items()}
        _KNOWN[space] = tuple(
            Demand(*pair, diagram.both(diagram.mapped(space.verdict, partial(_asks, pair)), space.permit))
            for pair in sorted(found, key=str)
        )
    return _KNOWN[space]


def controls_of(text: str) -> dict[str, str | int]:
    """The controls of an allow, from its verdict as canonical JSON; none for any other verdict. A warning is none."""
    verdict = json.loads(text)
    if verdict["outcome"] not in PERMITTED:
        return {}
    return {
        name: END_OF_WINDOW if value == OTHER_TIME else value
        for name, value in verdict["obligations"].items()
        if name != "warn"
    }


def _asks(pair: tuple[str, str | int], text: str) -> bool:
    return controls_of(text).get(pair[0]) == pair[1]
