"""`not` around something that can be undefined: the one construct that fails open, and on which the engines differ.

OPA evaluates what stands inside a negated expression first (`not input.x in {1}` becomes `y = input.x; not y
in {1}`), so that an undefined reference makes the whole expression undefined and the rule around it does not
fire, a deny rule neither. regorus takes the expression as false and the negation as true. Seen with OPA 1.22
and regorus 0.13 for membership, calls, comparisons other than `==`, arithmetic, literals and computed steps
of a reference. Alike are: a bare reference, and `==` between references and constants.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.syntax import Path, is_reference, kind_of, nodes_below, parts_of, reference_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.bundle.rules import Definition, RuleBook
    from pdp.bundle.syntax import Module, Node

_COMPREHENSIONS: Final = frozenset({"ArrayCompr", "SetCompr", "ObjectCompr"})  # empty, never undefined
_MAX_DEPTH: Final = 20  # rules that stand for one another; beyond, a rule counts as one that can be undefined


def undefinable_negations(module: Module, rules: RuleBook, data: Mapping[str, Any]) -> Iterator[tuple[Node, str]]:
    """Each part of a negated expression of the module that can be undefined: its node and how it reads."""
    judge = _Judge(rules, data)
    for kind, node in nodes_below(module.tree["rules"]):
        if kind == "NotExpr":
            for operand in _evaluated_first(node["NotExpr"]["expr"]):
                yield from judge.undefinable(module.name, operand)


def _evaluated_first(negated: Node) -> list[Node]:
    """What both engines have to evaluate before they can negate."""
    kind = kind_of(negated) or ""
    body = negated.get(kind, {})
    if kind in ("BoolExpr", "AssignExpr") and body["op"] == "Eq":
        sides = (body["lhs"], body["rhs"])
        return [part for side in sides for part in (_steps(side) if is_reference(side) else [side])]
    if is_reference(negated):
        return _steps(negated)
    if kind == "Call":
        return list(body["params"])
    return [negated]


def _steps(reference: Node) -> list[Node]:
    """The computed steps of a reference, and what it starts from where that is not a name."""
    steps: list[Node] = []
    while (kind := kind_of(reference)) in ("RefDot", "RefBrack"):
        if kind == "RefBrack":
            steps.append(reference["RefBrack"]["index"])
        reference = reference[kind]["refr"]
    return steps if kind == "Var" else [*steps, reference]


class _Judge:
    def __init__(self, rules: RuleBook, data: Mapping[str, Any]) -> None:
        self._rules = rules
        self._data = data
        self._total: dict[Path, bool] = {}

    def undefinable(self, module: str, node: Any, depth: int = 0) -> Iterator[tuple[Node, str]]:
        pending = [node]
        while pending:
            part = pending.pop()
            kind = kind_of(part)
            if kind in _COMPREHENSIONS:
                continue
            if kind == "Call":
                pending += part["Call"]["params"]
                if self._call_can_be_undefined(module, part, depth):
                    yield part, f"{reference_of(part['Call']['fcn'])}(…)"
            elif kind is not None and is_reference(part):
                pending += _steps(part)
                if self._can_be_undefined(module, part, depth):
                    yield part, str(reference_of(part))
            else:
                pending += parts_of(part)

    def _can_be_undefined(self, module: str, node: Node, depth: int) -> bool:
        reference = reference_of(node)
        if reference is None:
            return True
        found = self._rules.absolute(module, reference)
        if found is None:  # a local variable has a value, but not every member that one may ask it for
            return bool(reference.steps)
        path, whole = found
        if path[0] == "input":
            return len(path) > 1 or not whole
        defined = self._stands_in_data(path) or self._rules.is_prefix(path) or self._is_total(path, depth)
        return not (whole and defined)

    def _stands_in_data(self, path: Path) -> bool:
        at: Any = self._data
        for step in path[1:]:
            if not isinstance(at, dict) or step not in at:
                return False
            at = at[step]
        return True

    def _is_total(self, path: Path, depth: int) -> bool:
        """A rule with a default, a partial rule, or one without a condition whose value is always there."""
        if path not in self._total:
            self._total[path] = False  # while it is being looked at: a rule that needs itself has no value
            self._total[path] = depth < _MAX_DEPTH and any(
                one.default or one.partial or (not one.conditional and self._has_value(one, depth))
                for one in self._rules.definitions(path)
            )
        return self._total[path]

    def _has_value(self, definition: Definition, depth: int) -> bool:
        value = definition.value
        return value is None or next(self.undefinable(definition.module, value, depth + 1), None) is None

    def _call_can_be_undefined(self, module: str, call: Node, depth: int) -> bool:
        """A function of the bundle may match none of its definitions; a builtin has a value or an error."""
        reference = reference_of(call["Call"]["fcn"])
        found = None if reference is None else self._rules.absolute(module, reference)
        return found is not None and not self._is_total(found[0], depth)
