"""Small wrong turns of a policy, one at a time: would anybody notice? Pure.

In the rules: a comparison turned or moved by one, a condition dropped, a condition negated, a number one more or less,
a text that is another of its kind. In the data that the rules read: a number, a switch, an entry of a list or a table
taken away, and a cell of the matrix that should not be there. A test that fails kills the mutant.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.bundle.input_schema import SCHEMA
from pdp.bundle.naming import Names
from pdp.bundle.syntax import kind_of, nodes_below

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.syntax import Module, Node

MutantKind = Literal["comparison", "dropped", "negated", "constant", "text", "data", "cell"]

_TURNED: Final[Mapping[str, tuple[str, ...]]] = {
    "Eq": ("!=",),
    "Ne": ("==",),
    "Lt": (">=", "<="),
    "Le": (">", "<"),
    "Gt": ("<=", ">="),
    "Ge": ("<", ">"),
}
_OPERATOR: Final = re.compile(rb"==|!=|<=|>=|<|>")
_PLAIN: Final = frozenset({"Var", "RefDot", "RefBrack", "Call", "Membership"})
_TEXTS: Final = frozenset({"String", "RawString"})
_OTHER: Final = "another"  # a text that stands nowhere else
_CELL: Final = {"office": {"level": 1}, "outside": {"level": 1}}
_TABLES: Final = ("matrix", "parameters")  # of `data.zta`: what decides; the rest is for those who make the facts


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. `lines` are those of the file that it touches; of data, none. `where` names the datum or the line.

    `text` is the changed module; of a change to the data it is None, and `data` is the whole changed document.
    """

    kind: MutantKind
    file: str
    where: str
    change: str
    lines: range = range(0)
    text: str | None = field(default=None, repr=False)
    data: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.lines.start}" if self.lines else self.file


def mutants_of(bundle: Bundle, modules: Sequence[Module]) -> list[Mutant]:
    """Every mutant of this bundle, by file and place. `modules` are its parsed modules, without tests."""
    names = Names(modules, bundle.data)
    found = [mutant for module in modules for mutant in _of_module(module, names)]
    return [*found, *_of_data(bundle)]


# -- rules ----------------------------------------------------------------------------------------------


def _of_module(module: Module, names: Names) -> Iterator[Mutant]:
    source = module.text.encode()
    for kind, node in sorted(nodes_below(module.tree["rules"]), key=lambda found: _span(found[1])):
        if kind == "BoolExpr":
            yield from _comparisons(module, source, node)
            yield from _compared_texts(module, source, node["BoolExpr"], names)
        elif kind == "Membership":
            yield from _membership_texts(module, source, node["Membership"], names)
        elif kind in ("Expr", "NotExpr"):
            yield from _conditions(module, source, kind, node)
        elif kind == "Number":
            yield from _numbers(module, source, node)


def _span(node: Node) -> tuple[int, int]:
    """From the first byte of a node to after its last. The tree's own spans leave the quotes of a text out."""
    spans = [
        (found[kind]["span"]["start"] - (kind in _TEXTS), found[kind]["span"]["end"] + (kind in _TEXTS))
        for kind, found in nodes_below(node)
    ]
    return min(start for start, _ in spans), max(end for _, end in spans)


def _changed(  # where, and what instead of what
    module: Module, source: bytes, kind: MutantKind, span: tuple[int, int], instead: str
) -> Mutant:
    start, end = span
    was = source[start:end].decode()
    first = source[:start].count(b"\n") + 1
    line = source.split(b"\n")[first - 1].decode().strip()
    return Mutant(
        kind,
        module.name,
        line,
        f"{' '.join(was.split())} → {instead}",
        range(first, source[:end].count(b"\n") + 2),
        (source[:start] + instead.encode() + source[end:]).decode(),
    )


def _comparisons(module: Module, source: bytes, node: Node) -> Iterator[Mutant]:
    body = node["BoolExpr"]
    left, right = _span(body["lhs"])[1], _span(body["rhs"])[0]
    sign = _OPERATOR.search(source, left, right)
    if sign is not None:
        for instead in _TURNED[body["op"]]:
            yield _changed(module, source, "comparison", sign.span(), instead)


def _conditions(module: Module, source: bytes, kind: str, node: Node) -> Iterator[Mutant]:
    """A condition that always holds, and one that holds when it should not."""
    inner = node[kind]["expr"]
    if kind_of(inner) == "AssignExpr":
        return  # what it names is used below
    start, end = _span(node)
    yield _changed(module, source, "dropped", (start, end), "true")
    if kind == "NotExpr":
        yield _changed(module, source, "negated", (start, end), source[_span(inner)[0] : end].decode())
    elif kind_of(inner) in _PLAIN:
        yield _changed(module, source, "negated", (start, end), f"not {source[start:end].decode()}")


def _numbers(module: Module, source: bytes, node: Node) -> Iterator[Mutant]:
    text = source[slice(*_span(node))].decode()
    if text.isdigit():
        for instead in (int(text) + 1, int(text) - 1):
            yield _changed(module, source, "constant", _span(node), str(instead))


def _compared_texts(module: Module, source: bytes, body: Node, names: Names) -> Iterator[Mutant]:
    for one, other in ((body["lhs"], body["rhs"]), (body["rhs"], body["lhs"])):
        if kind_of(one) == "String":
            yield _swapped(module, source, one, other, names)


def _membership_texts(module: Module, source: bytes, body: Node, names: Names) -> Iterator[Mutant]:
    if kind_of(body["value"]) == "String":
        yield _swapped(module, source, body["value"], body["collection"], names)
    collection = body["collection"]
    for item in collection[str(kind_of(collection))].get("items", ()):
        if kind_of(item) == "String":
            yield _swapped(module, source, item, body["value"], names)


def _swapped(module: Module, source: bytes, text: Node, beside: Node, names: Names) -> Mutant:
    """Another value that the fact beside it can have; of anything else, a text that is none."""
    path = names.absolute(module.name, beside)
    place = SCHEMA.get(path[1:]) if path is not None and path[0] == "input" else None
    allowed = sorted((place.items if place.is_list else place.values) or ()) if place is not None else []
    value = text["String"]["value"]
    instead = next((one for one in allowed if one > value), next((one for one in allowed if one != value), _OTHER))
    return _changed(module, source, "text", _span(text), f'"{instead}"')


# -- data -----------------------------------------------------------------------------------------------


def _of_data(bundle: Bundle) -> Iterator[Mutant]:
    zta = bundle.data.get("zta")
    rules = "\n".join(bundle.modules.values())
    for table in _TABLES:
        part = zta.get(table) if isinstance(zta, dict) else None
        if isinstance(part, dict):
            for name in part:
                if table != "parameters" or re.search(rf"[.\"]{re.escape(name)}\b", rules):
                    yield from _of_value(bundle, ("zta", table, name), part[name])
    rows = zta.get("matrix", {}).get("rows") if isinstance(zta, dict) else None
    if isinstance(rows, dict):
        for group, row in rows.items():
            for class_ in sorted(SCHEMA["device", "class"].values or ()):
                if class_ not in row:
                    path = ("zta", "matrix", "rows", group, class_)
                    yield _datum(bundle, "cell", path, f"× → {_CELL}", _CELL)


def _of_value(bundle: Bundle, path: tuple[str | int, ...], value: Any) -> Iterator[Mutant]:
    if isinstance(value, bool):
        yield _datum(bundle, "data", path, f"{value} → {not value}", not value)
    elif isinstance(value, int):
        for instead in (value + 1, value - 1):
            yield _datum(bundle, "data", path, f"{value} → {instead}", instead)
    elif isinstance(value, str):
        yield _datum(bundle, "data", path, f"{value} → {_OTHER}", _OTHER)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield _datum(bundle, "data", path, f"without {item}", value[:at] + value[at + 1 :])
    elif isinstance(value, dict):
        for key, inner in value.items():
            rest = {other: value[other] for other in value if other != key}
            yield _datum(bundle, "data", (*path, key), "taken away", rest, at=path)
            yield from _of_value(bundle, (*path, key), inner)


def _datum(  # noqa: PLR0913  # where, and what instead of what
    bundle: Bundle,
    kind: MutantKind,
    path: tuple[str | int, ...],
    change: str,
    value: Any,
    *,
    at: tuple[str | int, ...] | None = None,
) -> Mutant:
    """`value` stands at `at` then (None: at `path`)."""
    target = path if at is None else at
    data: Any = copy.deepcopy(dict(bundle.data))
    inner = data
    for step in target[:-1]:
        inner = inner[step]
    inner[target[-1]] = copy.deepcopy(value)
    return Mutant(kind, "data", ".".join(map(str, path)), change, data=data)
