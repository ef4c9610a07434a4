"""What a rule may say of the words of a list whose words the schema does not list.

Facts tell which of the policy's own words are in such a list, and not whether it has others. So all that can be counted
out is that one of its words is one of the policy's: a statement of its own beside the `some`. `every`, `!=`, `not`, how
many there are, and two open lists held against each other could tell lists apart that have equal facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.bundle.grammar import expressions_of
from pdp.bundle.syntax import constant_text, kind_of
from pdp.space.facts import RELATED
from pdp.space.reads import queries_in, uses_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.bundle.syntax import Node
    from pdp.space.facts import Path
    from pdp.space.naming import Names
    from pdp.space.reads import Reads, Sought

_EQUALITIES: Final = frozenset({"Eq", "Ne"})


def is_only_stated(names: Names, rule: Node, variable: str, path: Path, query: Node | None) -> bool:
    """Whether each use of the variable is a statement of its own beside the `some`: `v == "x"`, `v in LIST`."""
    if query is None or variable == "_":
        return False
    stated = 0
    for statement in query["stmts"]:
        ((kind, literal),) = statement["literal"].items()
        stated += kind == "Expr" and _states(names, literal["expr"], variable, path)
    uses = sum(1 for _ in uses_of(rule, variable))
    return uses == stated and (stated > 0 or path in RELATED)


def _states(names: Names, expression: Node, variable: str, path: Path) -> bool:
    if kind_of(expression) == "Membership":
        membership = expression["Membership"]
        sought = membership["key"] is None and variable_of(membership["value"]) == variable
        return sought and (path in RELATED or _is_own(names, membership["collection"]))
    if kind_of(expression) != "BoolExpr" or expression["BoolExpr"]["op"] != "Eq" or path in RELATED:
        return False
    left, right = expression["BoolExpr"]["lhs"], expression["BoolExpr"]["rhs"]
    return any(variable_of(one) == variable and _is_own(names, other) for one, other in ((left, right), (right, left)))


def _is_own(names: Names, node: Node) -> bool:
    """Whether an expression is the policy's own: a constant, data, or the value of a rule; no variable, no fact."""
    kind = kind_of(node)
    if kind in ("Var", "RefDot", "RefBrack"):
        reference = names.unwound(node)
        local = reference.root in names.own
        return not local and not reference.computed and names.data_path(reference) is not None
    if kind in ("Array", "Set"):
        return all(_is_own(names, one) for one in expressions_of(node))
    return kind in ("String", "RawString", "Number", "Bool")


def tells_a_word(names: Names, node: Node, parents: Sequence[Node], path: Path) -> bool:
    """A word of a list is compared with a constant, or looked for in the list that it is to be looked for in."""
    above = parents[-1] if parents else None
    kind = kind_of(above) if above is not None else None
    if above is not None and kind == "Membership" and above["Membership"]["value"] is node:
        other = names.open(above["Membership"]["collection"], ("related",))
        if path in RELATED:
            return other is not None and RELATED.get(other) == RELATED.get(path)
        return not names.reads_open(above["Membership"]["collection"])
    if above is not None and kind == "BoolExpr" and above["BoolExpr"]["op"] in _EQUALITIES and path not in RELATED:
        sides = above["BoolExpr"]
        return not names.reads_open(sides["rhs"] if sides["lhs"] is node else sides["lhs"])
    return False


def emptied(names: Names, call: Node, number: Node) -> Path | None:
    """The list that is held empty or not: `count(input.resource.departments) == 0`."""
    if kind_of(call) != "Call" or kind_of(number) != "Number" or number["Number"]["value"] != 0:
        return None
    base, arguments = names.unwound(call["Call"]["fcn"]), call["Call"]["params"]
    own = names.data_path(base) is not None  # a function of the policy that has this name
    if own or base.root != "count" or base.steps or len(arguments) != 1:
        return None
    path = names.open(arguments[0], ("related",))
    return path if path is not None and path[0] == "resource" else None


def sought(names: Names, reads: Reads, value: Node) -> Sought:
    """What is looked for in an open list: a text, what one rule says, or any constant."""
    text = constant_text(value)
    if text is not None:
        return text
    if kind_of(value) in ("Var", "RefDot", "RefBrack"):
        reference = names.unwound(value)
        path = None if reference.root in names.own else names.data_path(reference)
        rules = [(rule, steps) for rule, steps in reads.rules if (*rule, *steps) == path]
        if len(rules) == 1 and not reference.computed:
            return rules[0]
    return None


def is_related(names: Names, rule: Node, value: Node, of: Path) -> bool:
    """What is looked for in a list of the resource or the subject: their own, or a word of the other list."""
    name = variable_of(value)
    if name is not None:  # a variable of `some`: `reading` has looked at what becomes of it
        return _is_loop_variable(names, rule, name, of)
    reference = names.unwound(value)
    path = names.input_path(reference)
    if path == ("subject", "organisation"):
        return not reference.computed and of == ("resource", "organisations")
    return path == ("subject", "departments") and reference.first_number and of == ("resource", "departments")


def _is_loop_variable(names: Names, rule: Node, name: str, of: Path) -> bool:
    for query in queries_in(rule):
        for statement in query["stmts"]:
            ((kind, literal),) = statement["literal"].items()
            if kind == "SomeIn" and literal["key"] is None and variable_of(literal["value"]) == name:
                path = names.open(literal["collection"], ("related",))
                return path is not None and path != of and RELATED[path] == RELATED[of]
    return False


def variable_of(node: Node) -> str | None:
    """The name, where this is a variable and nothing more."""
    return str(node["Var"]["value"]) if kind_of(node) == "Var" else None
