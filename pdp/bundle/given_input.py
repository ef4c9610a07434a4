"""What tests say that the input is: the objects in `with input as {…}`, held against `pdp.input/v1`. Pure.

A fact that is misspelt in a test's own input is worse than one in a rule: the test passes, and shows nothing. Objects
are looked into where they are written, as the arguments of `object.union` and `object.union_n`, and where a rule of the
same file is their name. What a function makes is not followed. A key that is computed may be any; a key that is missing
is no fault, because tests leave out what their rule does not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.fault import Fault, fault_at
from pdp.bundle.input_schema import SCHEMA, nearest
from pdp.bundle.syntax import constant_text, kind_of, nodes_below, parts_of, place_of, reference_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.bundle.naming import Names
    from pdp.bundle.syntax import Module, Node, Path

_UNIONS: Final = frozenset({"object.union", "object.union_n"})
_MAX_DEPTH: Final = 32  # of names that stand for names; only a file made for it has more


def given_faults(module: Module, names: Names) -> Iterator[Fault]:
    """The faults of one file of tests."""
    named = _named(module)
    for change in _changes(module.tree["rules"]):
        path = names.absolute(module.name, change["refr"])
        if path is not None and path[0] == "input" and path[1:] in SCHEMA:
            yield from _value(module, named, path[1:], change["as"], 0)


def _changes(tree: object) -> Iterator[Node]:
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            yield from part.get("with_mods") or ()
        pending += parts_of(part)


def _named(module: Module) -> Mapping[str, Node]:
    """By name, what the rules of this file are that are nothing but a value."""
    found: dict[str, Node] = {}
    for _, node in nodes_below(module.tree["rules"]):
        head = node.get("Spec", {}).get("head", {}).get("Compr") if isinstance(node.get("Spec"), dict) else None
        if head and head.get("assign") and kind_of(head["refr"]) == "Var":
            found[str(head["refr"]["Var"]["value"])] = head["assign"]["value"]
    return found


def _value(module: Module, named: Mapping[str, Node], path: Path, node: Node, depth: int) -> Iterator[Fault]:
    """The faults of a value that is said to stand at this path."""
    kind = kind_of(node)
    if depth > _MAX_DEPTH:
        return
    if kind == "Var":
        other = named.get(str(node["Var"]["value"]))
        if other is not None:
            yield from _value(module, named, path, other, depth + 1)
    elif kind == "Call":
        for argument in _united(node["Call"]):
            yield from _value(module, named, path, argument, depth + 1)
    elif kind == "Object":
        for field in node["Object"]["fields"]:
            yield from _member(module, named, path, field, depth)
    elif kind in ("Array", "Set"):
        allowed = SCHEMA[path].items
        for item in node[kind]["items"]:
            yield from _text(module, path, item, allowed)
    else:
        place = SCHEMA[path]
        yield from _text(module, path, node, None if place.members or place.is_list else place.values)


def _united(call: Any) -> list[Node]:
    reference = reference_of(call["fcn"])
    if reference is None or str(reference) not in _UNIONS:
        return []
    arguments: list[Node] = []
    for argument in call["params"]:
        arguments += argument["Array"]["items"] if kind_of(argument) == "Array" else [argument]
    return arguments


def _member(module: Module, named: Mapping[str, Node], path: Path, field: Any, depth: int) -> Iterator[Fault]:
    _, key, value = field
    name = constant_text(key)
    if name is None:
        return
    below = (*path, name)
    if below in SCHEMA:
        yield from _value(module, named, below, value, depth + 1)
        return
    instead = nearest(below, len(path)) if SCHEMA[path].members else None
    written, place = ".".join(("input", *below)), place_of(module, key)
    if instead is None:
        yield fault_at(module.name, place, "unknown_fact", written)
    else:
        yield fault_at(module.name, place, "misspelt_fact", written, ".".join(("input", *path, instead)))


def _text(module: Module, path: Path, node: Node, allowed: frozenset[str] | None) -> Iterator[Fault]:
    text = constant_text(node)
    if text is not None and allowed is not None and text not in allowed:
        listed = ", ".join(sorted(allowed)) or "–"
        written = ".".join(("input", *path))
        yield fault_at(module.name, place_of(module, node), "impossible_value", written, text, listed)
