"""Decision diagrams over facts of a few values each: a node for each open question, a leaf for each answer.

Ordered, reduced and shared (Bryant 1986, with many-valued variables and arbitrary leaves: an MTMDD). So equal
functions have equal ids, and an equality of two functions is a comparison of two numbers. Written here and not taken
from a library: `dd` has no leaves but true and false without its C extension, and no variables of more than two values.

A function is the id of its root. Ids are given in the order of making, and making is deterministic, so equal
inputs give equal diagrams in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

Payload = Any  # of a leaf: anything hashable
_Walk = Any  # a function that is told to call itself
Vector = dict[int, int]  # level of a fact -> number of its value; a level that is not named may have any

LEAF: Final = 1 << 30  # the level of leaves: below every fact
MAX_NODES: Final = 12_000_000  # some 3 GB; the shipped policy needs a hundredth


class Diagram:
    """All functions of one space. `sizes`: how many values the fact of each level has; lower levels ask first."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self._levels: list[int] = []
        self._kids: list[tuple[int, ...]] = []
        self._payloads: dict[int, Payload] = {}
        self._nodes: dict[tuple[int, tuple[int, ...]], int] = {}
        self._leaves: dict[Hashable, int] = {}
        self.false = self.leaf(False)
        self.true = self.leaf(True)
        self._both: dict[tuple[int, int], int] = {}
        self._either: dict[tuple[int, int], int] = {}
        self._not: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._levels)

    # Making.

    def leaf(self, payload: Payload) -> int:
        key = (type(payload), payload)  # True and 1 are equal in Python, and two answers of a policy
        found = self._leaves.get(key)
        if found is None:
            found = self._leaves[key] = self._new(LEAF, ())
            self._payloads[found] = payload
        return found

    def node(self, level: int, kids: tuple[int, ...]) -> int:
        first = kids[0]
        for kid in kids:
            if kid != first:
                break
        else:
            return first
        key = (level, kids)
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = self._new(level, kids)
        return found

    def _new(self, level: int, kids: tuple[int, ...]) -> int:
        if len(self._levels) >= MAX_NODES:
            raise SpaceError(f"the decision space needs more than {MAX_NODES} nodes")
        self._levels.append(level)
        self._kids.append(kids)
        return len(self._levels) - 1

    def fact(self, level: int) -> int:
        """The function whose answer is the number of this fact's value."""
        return self.node(level, tuple(self.leaf(number) for number in range(self.sizes[level])))

    def where(self, level: int, numbers: Iterable[int]) -> int:
        """True where this fact has one of these values."""
        wanted = frozenset(numbers)
        return self.node(level, tuple(self.true if n in wanted else self.false for n in range(self.sizes[level])))

    # Looking.

    def is_leaf(self, root: int) -> bool:
        return self._levels[root] == LEAF

    def level(self, root: int) -> int:
        return self._levels[root]

    def kids(self, root: int) -> tuple[int, ...]:
        return self._kids[root]

    def payload(self, leaf: int) -> Payload:
        return self._payloads[leaf]

    def at(self, root: int, vector: Mapping[int, int]) -> Payload:
        """The answer for one vector, which names every fact that is asked for."""
        while self._levels[root] != LEAF:
            root = self._kids[root][vector[self._levels[root]]]
        return self._payloads[root]

    def below(self, root: int) -> Iterator[int]:
        """Every node that can be reached, the root first; each once, in a fixed order."""
        seen, pending = {root}, [root]
        while pending:
            one = pending.pop()
            yield one
            for kid in reversed(self._kids[one]):
                if kid not in seen:
                    seen.add(kid)
                    pending.append(kid)

    def leaves(self, root: int) -> list[int]:
        return [one for one in self.below(root) if self._levels[one] == LEAF]

    def support(self, root: int) -> set[int]:
        """The levels of the facts that the answer depends on."""
        return {self._levels[one] for one in self.below(root)} - {LEAF}

    def witnesses(self, root: int) -> dict[int, Vector]:
        """One vector for each leaf that can be reached, as short as there is (breadth first)."""
        came: dict[int, tuple[int, int, int] | None] = {root: None}
        queue = [root]
        for one in queue:
            for number, kid in enumerate(self._kids[one]):
                if kid not in came:
                    came[kid] = (one, self._levels[one], number)
                    queue.append(kid)
        found: dict[int, Vector] = {}
        for one in queue:
            if self._levels[one] == LEAF:
                vector: Vector = {}
                step = came[one]
                while step is not None:
                    above, level, number = step
                    vector[level] = number
                    step = came[above]
                found[one] = vector
        return found

    def pick(self, root: int) -> Vector | None:
        """A vector for which the answer is true, or None where there is none."""
        return self.witnesses(root).get(self.true)

    # Changing.

    def mapped(self, root: int, change: Callable[[Payload], Payload]) -> int:
        """The same questions, other answers."""
        memo: dict[int, int] = {}

        def walk(one: int, again: _Walk) -> int:  # a name of its own would be a cycle, which holds the memo and more
            found = memo.get(one)
            if found is None:
                if self._levels[one] == LEAF:
                    found = self.leaf(change(self._payloads[one]))
                else:
                    found = self.node(self._levels[one], tuple([again(kid, again) for kid in self._kids[one]]))
                memo[one] = found
            return found

        return walk(root, walk)

    def paired(
        self, first: int, second: int, of: Callable[[Payload, Payload], Payload], stop: Payload | None = None
    ) -> int:
        """Both answers made into one. Where the first is `stop`, that is the answer and the second is not asked."""
        levels, kids, payloads = self._levels, self._kids, self._payloads
        memo: dict[tuple[int, int], int] = {}
        stopping = None if stop is None else self.leaf(stop)

        def walk(a: int, b: int, again: _Walk) -> int:
            if a == stopping:
                return a
            key = (a, b)
            found = memo.get(key)
            if found is not None:
                return found
            at_a, at_b = levels[a], levels[b]
            if at_a < at_b:
                found = self.node(at_a, tuple([again(kid, b, again) for kid in kids[a]]))
            elif at_b < at_a:
                found = self.node(at_b, tuple([again(a, kid, again) for kid in kids[b]]))
            elif at_a == LEAF:
                found = self.leaf(of(payloads[a], payloads[b]))
            else:
                found = self.node(at_a, tuple([again(x, y, again) for x, y in zip(kids[a], kids[b], strict=True)]))
            memo[key] = found
            return found

        return walk(first, second, walk)

    def given(self, root: int, facts: Mapping[int, int]) -> int:
        """The function that is left once these facts are known."""
        memo: dict[int, int] = {}

        def walk(one: int) -> int:
            level = self._levels[one]
            if level == LEAF:
                return one
            found = memo.get(one)
            if found is None:
                known = facts.get(level)
                if known is not None:
                    found = walk(self._kids[one][known])
                else:
                    found = self.node(level, tuple([walk(kid) for kid in self._kids[one]]))
                memo[one] = found
            return found

        return walk(root)

    def copied(self, root: int, into: Diagram) -> int:
        """The same function in another diagram, whose facts have the same levels."""
        memo: dict[int, int] = {}

        def walk(one: int) -> int:
            found = memo.get(one)
            if found is None:
                if self._levels[one] == LEAF:
                    found = into.leaf(self._payloads[one])
                else:
                    found = into.node(self._levels[one], tuple([walk(kid) for kid in self._kids[one]]))
                memo[one] = found
            return found

        return walk(root)

    # True and false.

    def both(self, a: int, b: int) -> int:
        if b in (a, self.true):
            return a
        if a == self.true:
            return b
        if self.false in (a, b):
            return self.false
        key = (a, b) if a < b else (b, a)
        found = self._both.get(key)
        if found is None:
            found = self._both[key] = self._stepped(self.both, a, b)
        return found

    def either(self, a: int, b: int) -> int:
        if b in (a, self.false):
            return a
        if a == self.false:
            return b
        if self.true in (a, b):
            return self.true
        key = (a, b) if a < b else (b, a)
        found = self._either.get(key)
        if found is None:
            found = self._either[key] = self._stepped(self.either, a, b)
        return found

    def _stepped(self, of: Callable[[int, int], int], a: int, b: int) -> int:
        at_a, at_b = self._levels[a], self._levels[b]
        if at_a < at_b:
            return self.node(at_a, tuple([of(kid, b) for kid in self._kids[a]]))
        if at_b < at_a:
            return self.node(at_b, tuple([of(a, kid) for kid in self._kids[b]]))
        return self.node(at_a, tuple([of(x, y) for x, y in zip(self._kids[a], self._kids[b], strict=True)]))

    def negated(self, a: int) -> int:
        found = self._not.get(a)
        if found is None:
            if self._levels[a] == LEAF:
                found = self.false if a == self.true else self.true
            else:
                found = self.node(self._levels[a], tuple([self.negated(kid) for kid in self._kids[a]]))
            self._not[a] = found
        return found

    def without(self, a: int, b: int) -> int:
        return self.both(a, self.negated(b))

    def any_of(self, roots: Sequence[int]) -> int:
        found = self.false
        for root in roots:
            found = self.either(found, root)
        return found

    def all_of(self, roots: Sequence[int]) -> int:
        found = self.true
        for root in roots:
            found = self.both(found, root)
        return found

    def cube(self, literals: Mapping[int, Iterable[int]]) -> int:
        """True where each of these facts has one of its values: a product of sets."""
        found = self.true
        for level in sorted(literals, reverse=True):
            wanted = frozenset(literals[level])
            kids = tuple(found if n in wanted else self.false for n in range(self.sizes[level]))
            found = self.node(level, kids)
        return found

    def lies_within(self, cube: Mapping[int, frozenset[int]], within: int) -> bool:
        """Whether every vector of a product is in a set."""
        seen = {within}
        pending = [within]
        while pending:
            one = pending.pop()
            if one == self.false:
                return False
            values = cube.get(self._levels[one])
            kids = self._kids[one]
            for kid in kids if values is None or not kids else (kids[number] for number in values):
                if kid not in seen:
                    seen.add(kid)
                    pending.append(kid)
        return True

    def usual(self, root: int, preferred: Mapping[int, int]) -> Vector | None:
        """A vector for which the answer is true, with preferred values where it can have them, and no fact too many."""
        if root == self.false:
            return None
        found: Vector = {}
        at = root
        while at != self.true:
            kids = self._kids[at]
            liked = preferred.get(self._levels[at])
            fit = [number for number, kid in enumerate(kids) if kid != self.false]
            found[self._levels[at]] = liked if liked is not None and liked in fit else fit[0]
            at = kids[found[self._levels[at]]]
        for level in sorted(found, reverse=True):
            rest = {one: frozenset({number}) for one, number in found.items() if one != level}
            if self.lies_within(rest, root):
                del found[level]
        return found

    def count(self, root: int, levels: Sequence[int] | None = None) -> dict[Payload, int]:
        """How many vectors over these levels (all of the space) have each answer. Exact, however many there are."""
        order = sorted(self.sizes if levels is None else levels)
        place = {level: at for at, level in enumerate(order)}
        weights = [1] * (len(order) + 1)  # weights[n]: the vectors over the levels from the n-th on
        for at in range(len(order) - 1, -1, -1):
            weights[at] = weights[at + 1] * self.sizes[order[at]]
        # From the root downwards: how many vectors of the levels above come to each node.
        arriving: dict[int, int] = {}
        start = 0 if self._levels[root] == LEAF else place[self._levels[root]]
        arriving[root] = weights[0] // weights[start]
        found: dict[Payload, int] = {}
        for one in sorted(self.below(root), key=lambda node: (self._levels[node], node)):
            if self._levels[one] == LEAF:
                found[self._payloads[one]] = arriving[one] * (weights[0] if one == root else 1)
                continue
            at = place[self._levels[one]]
            for kid in self._kids[one]:
                to = len(order) if self._levels[kid] == LEAF else place[self._levels[kid]]
                arriving[kid] = arriving.get(kid, 0) + arriving[one] * (weights[at + 1] // weights[to])
        return found

    def size_of(self, root: int, levels: Sequence[int] | None = None) -> int:
        """How many vectors over these levels are true."""
        return self.count(root, levels).get(True, 0)
