"""What the walk through a bundle has found so far: parts of the input that are read, and where values travel.

Everything here only grows, and is bounded; so a walk that repeats until nothing is added comes to an end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pdp.bundle.reach import Reach
    from pdp.bundle.rules import Definition
    from pdp.bundle.syntax import Node, Path

Why = Literal["value", "call", "step", "loop", "collection", "answer", "clash", "presence", "with", "size", "syntax"]
Place = tuple[str, int]  # a module, and where in it a node starts, in bytes

MAX_FINDINGS: Final = 50_000  # the shipped policy has some 700; a recursion that multiplies paths ends here


class TooManyFindingsError(Exception):
    """The walk has found more than MAX_FINDINGS."""


class Findings:
    """`readings`: path, then where and why it is read. `seen`: handed on at this place, so it is there or it is not.

    `variables`, `arguments` and `values` hold the parts of the input that may stand in a local variable (by
    definition and name), in an argument (by function and position), in a rule or in the result of a function.
    Rules whose path is `opaque` are not entered; `asked` names those that were met.
    """

    def __init__(self, reach: Reach, entrypoint: Path, opaque: Collection[Path] = ()) -> None:
        self.readings: dict[Path, dict[tuple[Place, Why], Node]] = defaultdict(dict)
        self.seen: dict[Path, tuple[Place, Node]] = {}
        self.reached: dict[int, Definition] = {}
        self.variables: dict[tuple[int, str], set[Path]] = defaultdict(set)
        self.arguments: dict[tuple[Path, int], set[Path]] = defaultdict(set)
        self.values: dict[Path, set[Path]] = defaultdict(set)
        self.asked: set[Path] = set()
        self.count = 0
        self._opaque = opaque
        self._reach = reach
        self._entrypoint = entrypoint
        self._alone: dict[Path, bool] = {}

    def run(self, definitions: Iterable[Definition]) -> None:
        for definition in definitions:
            if definition.path in self._opaque:
                self.asked.add(definition.path)
            elif id(definition) not in self.reached:
                self.reached[id(definition)] = definition
                self._found()

    def read(self, path: Path, place: Place, node: Node, why: Why) -> None:
        places = self.readings[path]
        if (place, why) not in places:
            places[place, why] = node
            self._found()

    def hand_on(self, paths: Iterable[Path], into: set[Path], place: Place, node: Node) -> None:
        """The values at these paths travel, so that whoever waits for them learns whether they are there."""
        for path in paths:
            if path not in self.seen:
                self.seen[path] = (place, node)
                self._found()
            if path not in into:
                into.add(path)
                self._found()

    def is_answer(self, path: Path) -> bool:
        """The value at this path is a part of the entry point's value, or holds it."""
        entry = self._entrypoint
        return path[: len(entry)] == entry or entry[: len(path)] == path

    def is_alone(self, path: Path) -> bool:
        """One definition with one branch makes the value here, so that no engine compares it with another's.

        Asked of a path at which a definition stands that is no default.
        """
        if path not in self._alone:
            maker, *others = [one for one in self._reach.around(path) if not one.default]
            branches = sum(1 for body in maker.node["Spec"]["bodies"] if not body["is_else"])
            self._alone[path] = not others and not maker.partial and branches <= 1
        return self._alone[path]

    def _found(self) -> None:
        self.count += 1
        if self.count > MAX_FINDINGS:
            raise TooManyFindingsError
