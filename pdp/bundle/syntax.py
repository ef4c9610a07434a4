"""Rego modules as trees, in the form in which regorus prints them, and how to read such a tree.

A node is an object with one key, its kind, and a body with a `span`: `{"Var": {"span": {…}, "value": "x"}}`.
References are nested inside out: `input.device.id` is RefDot(RefDot(Var input, device), id). The trees are
made by `pdp.engine.syntax`, in a process of its own; here nothing is run.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Node = dict[str, Any]
Path = tuple[str, ...]

_REFERENCES: Final = frozenset({"Var", "RefDot", "RefBrack"})
_TEXTS: Final = frozenset({"String", "RawString"})


@dataclass(frozen=True, slots=True)
class Module:
    """One module that parses. `tree` has `package`, `imports` and `rules`."""

    name: str
    text: str = field(repr=False)
    tree: Node = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParseFault:
    """One module that does not. `line` and `column` count from 1; 0 where they are not known."""

    name: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Reference:
    """`root` is the name that it starts from; `steps` holds a text for a constant step, None for a computed one.

    `computed` are the nodes of the computed steps. For `input.a[x].b`: root input, steps (a, None, b).
    """

    root: str
    steps: tuple[str | None, ...]
    computed: tuple[Node, ...]

    @property
    def prefix(self) -> Path:
        """The constant steps before the first computed one."""
        constant: list[str] = []
        for step in self.steps:
            if step is None:
                break
            constant.append(step)
        return tuple(constant)

    def __str__(self) -> str:
        return self.root + "".join("[…]" if step is None else f".{step}" for step in self.steps)


def kind_of(node: Any) -> str | None:
    """The kind of a node; None for anything else that stands in a tree."""
    if isinstance(node, dict) and len(node) == 1:
        (kind,) = node
        if isinstance(node[kind], dict) and "span" in node[kind]:
            return str(kind)
    return None


def is_reference(node: Node) -> bool:
    return kind_of(node) in _REFERENCES


def constant_text(node: Node) -> str | None:
    """The value of a string literal."""
    kind = kind_of(node)
    return str(node[kind]["value"]) if kind in _TEXTS else None


def reference_of(node: Node) -> Reference | None:
    """The reference that this node is; None where it starts from a literal or a call, as in `{"a": 1}[x]`."""
    steps: list[str | None] = []
    computed: list[Node] = []
    while True:
        kind = kind_of(node)
        if kind == "RefDot":
            steps.append(str(node["RefDot"]["field"][1]))
            node = node["RefDot"]["refr"]
        elif kind == "RefBrack":
            index = node["RefBrack"]["index"]
            constant = constant_text(index)
            steps.append(constant)
            if constant is None:
                computed.append(index)
            node = node["RefBrack"]["refr"]
        elif kind == "Var":
            return Reference(str(node["Var"]["value"]), tuple(reversed(steps)), tuple(reversed(computed)))
        else:
            return None


def parts_of(node: Any) -> list[Any]:
    """What stands directly below a node, a list or a plain object of a tree."""
    if isinstance(node, dict):
        return [part for key, part in node.items() if key != "span"]
    return list(node) if isinstance(node, list) else []


def nodes_below(tree: Any) -> Iterator[tuple[str, Node]]:
    """Every node in a tree with its kind, in no particular order. It does not recurse: trees can be deep."""
    pending = [tree]
    while pending:
        part = pending.pop()
        kind = kind_of(part)
        if kind is not None:
            yield kind, part
        pending += parts_of(part)


def place_of(module: Module, node: Node) -> tuple[int, int]:
    """Line and column of the first character of a node, in characters from 1.

    A span's own line and column are those of an operator, with a tab as four columns; its `start` counts the
    bytes before the first character.
    """
    before = module.text.encode()[: node[str(kind_of(node))]["span"]["start"]].decode(errors="replace")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def statements_of(module: Module) -> list[range]:
    """The lines of every statement in a rule's body, or in a comprehension's: what an engine can pass or not."""
    source = module.text.encode()
    found = []
    for _, node in nodes_below(module.tree["rules"]):
        for query in _queries(node):
            for statement in query["stmts"]:
                span = statement["span"]
                first = source[: span["start"]].count(b"\n") + 1
                found.append(range(first, source[: span["end"]].count(b"\n") + 2))
    return sorted(found, key=lambda lines: lines.start)


def _queries(node: Node) -> Iterator[Node]:
    body = node[str(kind_of(node))]
    if "query" in body:
        yield body["query"]
    for one in body.get("bodies", ()):
        if one["query"] is not None:
            yield one["query"]
