"""Every kind of node that stands in a tree of regorus 0.13, and what stands below it.

INVARIANT (nothing skipped): whoever draws a conclusion from what a tree does *not* hold has to know all of it.
`unknown_part` finds the first thing in a module that is not described here: another kind, another member,
another shape. A newer engine that brings new syntax is then noticed, and not looked past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.syntax import Node, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.bundle.syntax import Module

# Forms: `leaf` holds no expression; `?` may be null or absent.
_SIDES: Final = {"op": "leaf", "lhs": "expression", "rhs": "expression"}
_COMPREHENSION: Final = {"term": "expression", "query": "query"}

EXPRESSIONS: Final[Mapping[str, Mapping[str, str]]] = {
    **{kind: {"value": "leaf"} for kind in ("String", "RawString", "Number", "Bool", "Null", "Var")},
    "Array": {"items": "expressions"},
    "Set": {"items": "expressions"},
    "Object": {"fields": "fields"},
    "ArrayCompr": _COMPREHENSION,
    "SetCompr": _COMPREHENSION,
    "ObjectCompr": {"key": "expression", "value": "expression", "query": "query"},
    "Call": {"fcn": "expression", "params": "expressions"},
    "UnaryExpr": {"expr": "expression"},
    "RefDot": {"refr": "expression", "field": "field"},
    "RefBrack": {"refr": "expression", "index": "expression"},
    "BinExpr": _SIDES,
    "BoolExpr": _SIDES,
    "ArithExpr": _SIDES,
    "AssignExpr": _SIDES,
    "Membership": {"key": "expression?", "value": "expression", "collection": "expression"},
}
_LITERALS: Final[Mapping[str, Mapping[str, str]]] = {
    "SomeVars": {"vars": "leaf"},
    "SomeIn": {"key": "expression?", "value": "expression", "collection": "expression"},
    "Expr": {"expr": "expression"},
    "NotExpr": {"expr": "expression"},
    "Every": {"key": "leaf", "value": "leaf", "domain": "expression", "query": "query"},
}
_HEADS: Final[Mapping[str, Mapping[str, str]]] = {
    "Compr": {"refr": "expression", "assign": "assign?"},
    "Set": {"refr": "expression", "key": "expression?"},
    "Func": {"refr": "expression", "args": "expressions", "assign": "assign?"},
}
_RULES: Final[Mapping[str, Mapping[str, str]]] = {
    "Spec": {"head": "head", "bodies": "bodies"},
    "Default": {"refr": "expression", "args": "expressions", "op": "leaf", "value": "expression"},
}
_FAMILIES: Final = {"expression": EXPRESSIONS, "literal": _LITERALS, "head": _HEADS, "rule": _RULES}

# Parts that are plain objects, without a kind.
_OBJECTS: Final[Mapping[str, Mapping[str, str]]] = {
    "module": {"package": "package", "imports": "imports", "rules": "rules"},
    "package": {"refr": "expression"},
    "import": {"refr": "expression", "as": "leaf"},
    "assign": {"op": "leaf", "value": "expression"},
    "body": {"assign": "assign?", "is_else": "leaf", "query": "query"},
    "query": {"stmts": "statements"},
    "statement": {"literal": "literal", "with_mods": "changes"},
    "change": {"refr": "expression", "as": "expression"},
}
_LISTS: Final = {
    "expressions": "expression",
    "rules": "rule",
    "imports": "import",
    "bodies": "body",
    "statements": "statement",
    "changes": "change",
}
_MAY_BE_ABSENT: Final = frozenset({"as", "with_mods"})
_NUMBERING: Final = frozenset(
    {"span", "eidx", "sidx", "qidx", "rego_v1", "num_expressions", "num_statements", "num_queries"}
)
_TEXT_PARTS: Final = 2  # of a field of a reference: span and text
_FIELD_PARTS: Final = 3  # of a field of an object: span, key and value


def unknown_part(module: Module) -> Node | None:
    """The innermost node around the first thing in this module that is not as described here; None for a known module.

    For what stands in no node it is the package's name, or `{}` where that is unknown too. Raises RecursionError
    for a tree too deep.
    """
    package = module.tree.get("package")
    name = package.get("refr") if isinstance(package, dict) else None
    return next(_unknown(module.tree, "module", name if kind_of(name) else {}), None)


def expressions_of(node: Node) -> Iterator[Node]:
    """The expressions directly below an expression of a known kind. Queries of comprehensions are not among them."""
    kind = str(kind_of(node))
    for member, form in EXPRESSIONS[kind].items():
        part = node[kind][member]
        if form == "expressions":
            yield from part
        elif form == "fields":
            yield from (side for field in part for side in field[1:])
        elif form in ("expression", "expression?") and part is not None:
            yield part


def _unknown(part: Any, form: str, around: Any) -> Iterator[Node]:
    """Nodes around what is unknown in this part, which should have this form."""
    optional, form = form.endswith("?"), form.removesuffix("?")
    if (optional and part is None) or form == "leaf":
        return
    if form in _FAMILIES:
        kind = kind_of(part)
        known = None if kind is None else _FAMILIES[form].get(kind)
        if kind is None or known is None:
            yield around if kind is None else part
        else:
            yield from _unknown_members(part[kind], known, part)
    elif form in _OBJECTS:
        yield from _unknown_members(part, _OBJECTS[form], around)
    elif form in _LISTS:
        for one in part if isinstance(part, list) else [None]:
            yield from _unknown(one, _LISTS[form], around)
    else:
        yield from _unknown_field(part, form, around)


def _unknown_members(body: Any, known: Mapping[str, str], around: Any) -> Iterator[Node]:
    if not isinstance(body, dict) or any(name not in known and name not in _NUMBERING for name in body):
        yield around
        return
    for member, form in known.items():
        if member in body:
            yield from _unknown(body[member], form, around)
        elif member not in _MAY_BE_ABSENT:
            yield around


def _unknown_field(part: Any, form: str, around: Any) -> Iterator[Node]:
    if form == "field":
        if not (isinstance(part, list) and len(part) == _TEXT_PARTS and isinstance(part[1], str)):
            yield around
        return
    for one in part if isinstance(part, list) else [None]:
        if isinstance(one, list) and len(one) == _FIELD_PARTS:
            yield from _unknown(one[1], "expression", around)
            yield from _unknown(one[2], "expression", around)
        else:
            yield around
