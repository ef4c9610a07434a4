"""What a part of a policy reads, as `reading` finds it; and small looks into trees and values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pdp.bundle.syntax import kind_of, nodes_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.bundle.syntax import Node
    from pdp.space.facts import Constant, Path

Sought = str | tuple[tuple[str, ...], tuple[str, ...]] | None


@dataclass(slots=True)
class Reads:
    """Of one part. `rules` are (path of a rule, constant steps into its value), in the order of reading.

    `words`, `texts` and `numbers` say which open facts are read; `constants` what stands in the text or the data to
    hold them against. `copied`: the value of an open text becomes part of the answer. What is looked for in a list is a
    text, a member of a rule's value, or None: any constant that this part can have.
    """

    facts: dict[Path, None] = field(default_factory=dict)
    rules: dict[tuple[Path, Path], None] = field(default_factory=dict)
    constants: dict[Constant, None] = field(default_factory=dict)
    copied: dict[Path, None] = field(default_factory=dict)
    sought: dict[Path, list[Sought]] = field(default_factory=dict)  # what is looked for in an open list
    orders: str = ""  # where two values are put in an order, and neither is a number that stands there
    moving: str = ""  # where an open fact is held against what may be more than a constant
    makes: dict[str, str] = field(default_factory=dict)  # what makes values that stand nowhere: its name, its place


def constants_in(held: Any) -> Iterator[Constant]:
    """Every text and number in a value, keys too."""
    if isinstance(held, dict):
        for key, value in held.items():
            yield key
            yield from constants_in(value)
    elif isinstance(held, (list, tuple)):
        for value in held:
            yield from constants_in(value)
    elif isinstance(held, (str, int, float)) and not isinstance(held, bool):
        yield held


def queries_in(rule: Node) -> Iterator[Node]:
    """Every query in a rule, those of `every` and of comprehensions too."""
    pending: list[Any] = [rule]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if "stmts" in part:
                yield part
            pending += part.values()
        elif isinstance(part, list):
            pending += part


def declared_in(rule: Node, source: bytes) -> Iterator[str]:
    """The names that a rule takes for itself: arguments, `some`, `every`, `:=`. `source` is its module's text."""
    pending: list[Any] = [rule]
    while pending:
        part = pending.pop()
        pending += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        kind = kind_of(part)
        if kind == "SomeVars":
            yield from (_spelled(span, source) for span in part[kind]["vars"])
        elif kind == "Every":
            yield from (_spelled(span, source) for span in (part[kind]["key"], part[kind]["value"]) if span)
        elif kind == "SomeIn":
            yield from _variables_in([part[kind]["key"], part[kind]["value"]])
        elif kind == "AssignExpr":
            yield from _variables_in(part[kind]["lhs"])
        elif kind == "Func":
            yield from _variables_in(part[kind]["args"])


def _spelled(span: Mapping[str, int], source: bytes) -> str:
    return source[span["start"] : span["end"]].decode()


def _variables_in(tree: Any) -> Iterator[str]:
    return (str(node["Var"]["value"]) for kind, node in nodes_below(tree) if kind == "Var")


def uses_of(query: Node, name: str) -> Iterator[tuple[Node | None, list[Node]]]:
    """Where a variable stands in a query: its node, and the nodes around it, the nearest last. Its `some` is no use."""
    pending: list[tuple[Any, list[Node]]] = [(query, [])]
    while pending:
        part, parents = pending.pop()
        kind = kind_of(part)
        if kind == "Var" and part["Var"]["value"] == name:
            above = parents[-1] if parents else None
            declared = above is not None and kind_of(above) == "SomeIn" and above["SomeIn"]["value"] is part
            if not declared:
                yield part, parents
            continue
        inside = [*parents, part] if kind else parents
        if isinstance(part, dict):
            pending += [(one, inside) for key, one in part.items() if key != "span"]
        elif isinstance(part, list):
            pending += [(one, inside) for one in part]
