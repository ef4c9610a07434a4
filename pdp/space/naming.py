"""What a reference in a rule starts from and goes to: the input, other rules, data, or a local variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.bundle.grammar import expressions_of
from pdp.bundle.syntax import constant_text, kind_of, place_of
from pdp.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pdp.bundle.reach import Reach
    from pdp.bundle.syntax import Node
    from pdp.space.facts import Leaf, Path

QUESTION: Final = "sekisho_space"  # begins every name that is made for the asking
REFERENCES: Final = ("Var", "RefDot", "RefBrack")
COMPREHENSIONS: Final = frozenset({"ArrayCompr", "SetCompr", "ObjectCompr"})


@dataclass(frozen=True, slots=True)
class Reference:
    """An unwound reference: what it starts from, its constant steps, and the computed step that ends them, if any."""

    root: str | None
    steps: tuple[str, ...]
    computed: tuple[Node, ...]  # the index of every computed step
    first_number: bool = False  # the first computed step is the number 0


class Names:
    """The names of one module. Raises SpaceError for one that can stand for two things.

    `own` are those that the rule in question takes for itself: elsewhere they may stand for more.
    """

    def __init__(
        self, reach: Reach, module: str, leaves: Mapping[Path, Leaf], own: Collection[str] = frozenset()
    ) -> None:
        self.own = own
        self._reach = reach
        self._module = module
        self._leaves = leaves

    def place(self, node: Node) -> str:
        """File, line and column of a node."""
        module = self._reach.modules[self._module]
        line, column = place_of(module, node) if kind_of(node) else (1, 1)
        return f"{self._module}:{line}:{column}"

    def unwound(self, node: Node) -> Reference:
        """A reference by its parts; for anything else `root` is None."""
        steps: list[str | None] = []
        computed: list[Node] = []
        while (kind := kind_of(node)) in ("RefDot", "RefBrack"):
            if kind == "RefDot":
                steps.append(node["RefDot"]["field"][1])
            else:
                index = node["RefBrack"]["index"]
                text = constant_text(index)
                steps.append(text)
                if text is None:
                    computed.append(index)
            node = node[kind]["refr"]
        steps.reverse()
        computed.reverse()
        constant = tuple(one for one in steps[: steps.index(None) if None in steps else len(steps)] if one is not None)
        zero = bool(computed) and kind_of(computed[0]) == "Number" and computed[0]["Number"]["value"] == 0
        root = str(node["Var"]["value"]) if kind_of(node) == "Var" else None
        return Reference(root, constant, tuple(computed), zero and len(steps) == len(constant) + 1)

    def input_path(self, reference: Reference) -> Path | None:
        """Where in the input it goes to; None where it does not."""
        root = self._root(reference)
        return self._plain((*root[1:], *reference.steps)) if root and root[0] == "input" else None

    def data_path(self, reference: Reference) -> Path | None:
        """Where in the rules and data it goes to; None where it does not."""
        root = self._root(reference)
        return self._plain((*root, *reference.steps)) if root and root[0] == "data" else None

    def _plain(self, path: Path) -> Path:
        """What is put beside a policy and its input to ask for its parts is there for nobody else."""
        if any(step.startswith(QUESTION) for step in path):
            raise SpaceError(f"`{QUESTION}` is not a name for a policy", where=self._module)
        return path

    def is_fixed(self, node: Node) -> bool:
        """Whether an expression is a constant, or data that no rule has a part in."""
        kind = kind_of(node)
        if kind in REFERENCES:
            reference = self.unwound(node)
            path = None if reference.root in self.own else self.data_path(reference)
            return path is not None and not reference.computed and not any(self._reach.around(path))
        if kind in ("Array", "Set"):
            return all(self.is_fixed(one) for one in expressions_of(node))
        return kind in ("String", "RawString", "Number", "Bool")

    def is_local(self, node: Node) -> bool:
        """Whether this is a variable of the rule."""
        reference = self.unwound(node)
        return kind_of(node) == "Var" and (reference.root in self.own or self._root(reference) is None)

    def _root(self, reference: Reference) -> Path | None:
        if reference.root is None:
            return None
        roots = {root for root, _ in self._reach.roots(self._module, reference.root)}
        if len(roots) > 1:  # an import holds for every file of a package (`pdp.bundle.reach`)
            raise SpaceError(f"`{reference.root}` can stand for two things", where=self._module)
        return next(iter(roots), None)

    def open(self, node: Node, kinds: Sequence[str]) -> Path | None:
        """The path of the open fact that this node is, of one of these kinds."""
        if kind_of(node) not in REFERENCES:
            return None
        reference = self.unwound(node)
        path = None if reference.computed else self.input_path(reference)
        leaf = None if path is None else self._leaves.get(path)
        return path if leaf is not None and leaf.kind in kinds else None

    def reads_open(self, node: Node) -> bool:
        """Whether anything in this expression is an open fact."""
        kind = kind_of(node)
        if kind in REFERENCES:
            path = self.input_path(self.unwound(node))
            if path is not None:
                leaves = self._leaves.items()
                return any(
                    at[: len(path)] == path[: len(at)] and leaf.kind not in ("listed", "constant")
                    for at, leaf in leaves
                )
            return False
        if kind in COMPREHENSIONS:
            return True
        return any(self.reads_open(one) for one in expressions_of(node))
