"""What a reference in a bundle points to, and whether there is something: rules, packages, data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pdp.bundle.rules import RuleBook
from pdp.bundle.syntax import is_reference, reference_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.bundle.syntax import Module, Node, Path

_MOST_ALIASES = 16  # of rules that stand for one another; a circle of them is a fault that engines find


class Names:
    """Of all modules of a bundle, its tests among them."""

    def __init__(self, modules: Sequence[Module], data: Mapping[str, Any]) -> None:
        self._book = RuleBook(modules)
        self._data = data
        self._packages = set(self._book.packages.values())

    def absolute(self, module: str, node: Node) -> Path | None:
        """The path of a reference up to its first computed step; None for a local name or what is no reference."""
        reference = reference_of(node) if is_reference(node) else None
        if reference is None:
            return None
        found = self._book.absolute(module, reference)
        return None if found is None else found[0]

    @staticmethod
    def is_constant(node: Node) -> bool:
        """Whether every step of a reference stands there as a text."""
        reference = reference_of(node)
        return reference is not None and None not in reference.steps

    def missing(self, path: Path, *, _depth: int = 0) -> int | None:
        """The place of the first step of a path in `data` where there is neither rule, package nor datum; else None.

        A rule that only stands for a datum is followed; into the value of any other rule nobody looks here.
        """
        at: Any = self._data
        for length in range(2, len(path) + 1):
            here = path[:length]
            definitions = self._book.definitions(here)
            if definitions:
                return self._through(path, length, _depth)
            at = at.get(path[length - 1]) if isinstance(at, dict) else None
            if at is None and not self._book.is_prefix(here) and here not in self._packages:
                return None if _in_a_list(self._data, here) else length - 1
        return None

    def _through(self, path: Path, length: int, depth: int) -> int | None:
        definitions = self._book.definitions(path[:length])
        one = definitions[0]
        if len(definitions) > 1 or one.partial or one.conditional or one.arity is not None or one.value is None:
            return None
        if length == len(path) or depth > _MOST_ALIASES:
            return None
        reference = reference_of(one.value) if is_reference(one.value) else None
        found = None if reference is None else self._book.absolute(one.module, reference)
        if found is None or not found[1] or found[0][0] != "data":
            return None
        missing = self.missing((*found[0], *path[length:]), _depth=depth + 1)
        return None if missing is None or missing < len(found[0]) else missing - len(found[0]) + length


def _in_a_list(data: Any, path: Path) -> bool:
    """A datum above this path is a list or a single value: no name below it can be held against anything."""
    for step in path[1:]:
        if isinstance(data, list):
            return True
        data = data.get(step) if isinstance(data, dict) else None
    return False
