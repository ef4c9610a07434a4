"""What a name in a bundle can stand for, and which rules an engine may run when it is asked for a path.

Wider than any one engine on purpose, because the footprint stands on it. What regorus does beyond OPA:

- an import holds for every file of its package, not only for the file in which it stands;
- a rule and an import of the same name are not a fault: the rule counts where it is defined;
- whoever names something through an imported package (`import data.lib`, then `lib.a`) runs all of that package;
- whoever asks for a path where no rule stands (`limits.c`) runs those below the nearest name that has some
  (`limits.a`, `limits.b`);
- paths are compared as text, so `data["lib.a"]` runs `a` of the package `lib`. Hence the path of a rule ends here
  before a part with a dot in it, and a bundle whose packages or imports have such a part is not analysed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pdp.bundle.rules import RuleBook
from pdp.bundle.syntax import Path, reference_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pdp.bundle.rules import Definition
    from pdp.bundle.syntax import Module, Node

_WITHOUT_VALUE: Final = frozenset({"rego", "future"})  # `import rego.v1`, `import future.keywords.in`


class Reach:
    """The definitions of the modules, by path. The modules must be of the known grammar.

    `unclear` holds what makes a bundle impossible to analyse: the module, and the node where it stands.
    """

    def __init__(self, modules: Sequence[Module]) -> None:
        book = RuleBook(modules)
        self.modules = {module.name: module for module in modules}
        self.unclear: list[tuple[Module, Node]] = []
        self.definitions: list[Definition] = []
        self._packages: dict[str, Path] = book.packages
        self._imports: dict[tuple[Path, str], set[Path]] = {}
        self._at: dict[Path, list[Definition]] = {}
        self._below: dict[Path, list[Definition]] = {}
        self._family: dict[Path, list[Definition]] = {}  # as `_below`, but no packages: by the names of rules only
        for path in book.paths():
            for definition in book.definitions(path):
                self._add(definition)
        for module in modules:
            self._read_names(module)

    def roots(self, module: str, name: str) -> Iterator[tuple[Path, bool]]:
        """Every absolute path that a name may begin with beside a local variable, and whether an import says so."""
        if name in ("input", "data"):
            yield (name,), False
        for path in self._imports.get((self._packages[module], name), ()):
            yield path, True
        own = (*self._packages[module], name)
        if own in self._below:
            yield own, False

    def below(self, path: Path) -> Sequence[Definition]:
        """The definitions at this path and below it."""
        return self._below.get(path, ())

    def around(self, path: Path) -> Iterator[Definition]:
        """Every definition that has a part in the value at this path: above it, at it and below it."""
        for length in range(1, len(path)):
            yield from self._at.get(path[:length], ())
        yield from self.below(path)

    def package_length(self, definition: Definition) -> int:
        """Of the path of the package that this definition stands in."""
        return len(self._packages[definition.module])

    def run_for(self, path: Path) -> Iterator[Definition]:
        """Every definition that an engine may run when it is asked for this path."""
        yield from self.around(path)
        families = (self._family.get(path[:length]) for length in range(len(path), 0, -1))
        yield from next(filter(None, families), ())

    def _add(self, definition: Definition) -> None:
        package = len(self._packages[definition.module])
        plain = next((n for n, part in enumerate(definition.path) if n >= package and "." in part), None)
        if plain is not None:
            definition = replace(definition, path=definition.path[:plain], partial=True)
        self.definitions.append(definition)
        self._at.setdefault(definition.path, []).append(definition)
        for length in range(package + 1, len(definition.path) + 1):
            self._family.setdefault(definition.path[:length], []).append(definition)
        for length in range(1, len(definition.path) + 1):
            self._below.setdefault(definition.path[:length], []).append(definition)

    def _read_names(self, module: Module) -> None:
        source = module.text.encode()
        package = self._packages[module.name]
        rules = sum(1 for definition in self.definitions if definition.module == module.name)
        named = reference_of(module.tree["package"]["refr"])
        if named is None or None in named.steps or any("." in part for part in package):
            self.unclear.append((module, module.tree["package"]["refr"]))
        if rules != len(module.tree["rules"]):  # the head of a rule that names no path
            self.unclear.append((module, module.tree["package"]["refr"]))
        for entry in module.tree["imports"]:
            reference = reference_of(entry["refr"])
            if reference is not None and reference.root in _WITHOUT_VALUE:
                continue
            if reference is None or None in reference.steps or reference.root not in ("input", "data"):
                self.unclear.append((module, entry["refr"]))
                continue
            path = (reference.root, *reference.prefix)
            if path[0] == "data" and any("." in part for part in path):
                self.unclear.append((module, entry["refr"]))
            alias = entry.get("as")  # a bare span, in bytes of the module
            name = source[alias["start"] : alias["end"]].decode() if alias else path[-1]
            self._imports.setdefault((package, name), set()).add(path)
