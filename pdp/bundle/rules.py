"""What a bundle defines: its packages, rules and functions, and what a name in a module stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pdp.bundle.syntax import Module, Node, Path, Reference, kind_of, reference_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Definition:
    """One rule of a module. `path` is absolute, `("data", "pdp", "decision")`; of a partial rule, its constant part.

    `value` is None where it is `true`. `arity` is None for a rule that is not a function.
    """

    module: str
    path: Path
    node: Node = field(repr=False)
    default: bool = False
    partial: bool = False
    conditional: bool = True
    value: Node | None = field(default=None, repr=False)
    arity: int | None = None
    is_set: bool = False


class RuleBook:
    """Everything that the modules of one bundle define."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.packages: dict[str, Path] = {}
        self._imports: dict[str, dict[str, Path]] = {}
        self._definitions: dict[Path, list[Definition]] = {}
        for module in modules:
            self.packages[module.name] = _package(module.tree)
            self._imports[module.name] = dict(_imports(module))
            for definition in _definitions(module, self.packages[module.name]):
                self._definitions.setdefault(definition.path, []).append(definition)
        self._prefixes = {path[:length] for path in self._definitions for length in range(1, len(path))}
        self.functions = self._functions()

    def definitions(self, path: Path) -> list[Definition]:
        return self._definitions.get(path, [])

    def paths(self) -> Iterable[Path]:
        return self._definitions.keys()

    def is_prefix(self, path: Path) -> bool:
        """Rules stand below this path: as a value it is an object, empty perhaps, and never undefined."""
        return path in self._prefixes

    def _functions(self) -> Mapping[Path, frozenset[int]]:
        """The arities with which each function is defined; more than one is a fault that OPA finds."""
        found: dict[Path, frozenset[int]] = {}
        for path, definitions in self._definitions.items():
            arities = frozenset(one.arity for one in definitions if one.arity is not None)
            if arities:
                found[path] = arities
        return found

    def root_of(self, module: str, name: str) -> Path | None:
        """The absolute path that a name begins with in this module; None for a local variable."""
        if name in ("data", "input"):
            return (name,)
        if name in self._imports[module]:
            return self._imports[module][name]
        own = (*self.packages[module], name)
        return own if own in self._definitions or own in self._prefixes else None

    def absolute(self, module: str, reference: Reference) -> tuple[Path, bool] | None:
        """The absolute path of a reference's constant part, and whether that is all of it; None for a local one."""
        root = self.root_of(module, reference.root)
        if root is None:
            return None
        prefix = reference.prefix
        return (*root, *prefix), len(prefix) == len(reference.steps)


def _package(tree: Node) -> Path:
    reference = reference_of(tree["package"]["refr"])
    return ("data",) if reference is None else ("data", reference.root, *reference.prefix)


def _imports(module: Module) -> Iterator[tuple[str, Path]]:
    source = module.text.encode()
    for entry in module.tree["imports"]:
        reference = reference_of(entry["refr"])
        if reference is None or reference.root not in ("data", "input"):
            continue  # `import rego.v1`
        path = (reference.root, *reference.prefix)
        alias = entry.get("as")  # a bare span, in bytes of the module
        yield (source[alias["start"] : alias["end"]].decode() if alias else path[-1]), path


def _definitions(module: Module, package: Path) -> Iterator[Definition]:
    for rule in module.tree["rules"]:
        kind = kind_of(rule)
        body = rule[kind] if kind else {}
        if kind == "Default":
            reference = reference_of(body["refr"])
            if reference is not None:
                arity = len(body["args"]) or None
                yield Definition(
                    module.name, _path(package, reference), rule, default=True, value=body["value"], arity=arity
                )
        elif kind == "Spec":
            yield from _specified(module.name, package, rule, body)


def _specified(module: str, package: Path, rule: Node, body: Node) -> Iterator[Definition]:
    head_kind, head = next(iter(body["head"].items()))
    reference = reference_of(head["refr"])
    if reference is None:
        return
    assign = head.get("assign")
    yield Definition(
        module,
        _path(package, reference),
        rule,
        partial=head_kind == "Set" or len(reference.prefix) < len(reference.steps),
        conditional=bool(body["bodies"]),
        value=assign["value"] if assign else None,
        arity=len(head["args"]) if head_kind == "Func" else None,
        is_set=head_kind == "Set",
    )


def _path(package: Path, reference: Reference) -> Path:
    return (*package, reference.root, *reference.prefix)
