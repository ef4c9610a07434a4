"""The walk from the entry point through everything that can be run: which parts of the input come into sight.

A value of the input may travel before it is looked at: through a local variable, a rule, a parameter, the
result of a function, an import. As long as it only travels, nothing of it has been read, and a constant step
on the way (`x.posture`) makes it smaller. Whatever is done with it beside travelling reads it whole.

INVARIANT (conservative): the only ways on which a value is followed are those five, each by one plain name.
Anything else, patterns, unification, collections, computed steps, calls of builtins, is "read whole here",
and after that nothing of it is left to follow. So what is not understood makes the footprint larger.

Names are resolved to everything that they can stand for, variables are not told apart by scope or order, and
functions not by call: the walk repeats until nothing more comes to light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.bundle.findings import Findings
from pdp.bundle.grammar import expressions_of
from pdp.bundle.syntax import Path, constant_text, kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pdp.bundle.findings import Place, Why
    from pdp.bundle.reach import Reach
    from pdp.bundle.rules import Definition
    from pdp.bundle.syntax import Node

Step = tuple[str | None, "Node"]  # a constant step, or None; and the node of the whole reference up to it

MAX_STEPS: Final = 32  # of a path that is followed; real ones have three. A recursion that goes deeper ends here

_NOTHING: Final[frozenset[Path]] = frozenset()
_COLLECTIONS: Final = frozenset({"Array", "Set", "Object", "ArrayCompr", "SetCompr", "ObjectCompr"})


def look(reach: Reach, entrypoint: Path, opaque: Collection[Path] = ()) -> Findings:
    """Everything that the entry point can read. Its path is absolute: `("data", "pdp", "decision")`.

    Rules at the `opaque` paths are not looked into: what they read is theirs, and their values are no part of the
    input here. Raises TooManyFindingsError where there is no end to it, RecursionError for a tree too deep.
    """
    findings = Findings(reach, entrypoint, opaque)
    findings.run(reach.around(entrypoint))
    before = -1
    while before != findings.count:
        before = findings.count
        for definition in list(findings.reached.values()):
            _Walk(reach, findings, definition).definition()
    return findings


class _Walk:
    """One pass through one definition."""

    def __init__(self, reach: Reach, findings: Findings, definition: Definition) -> None:
        self._reach = reach
        self._findings = findings
        self._definition = definition
        self._module = definition.module

    def definition(self) -> None:
        rule = self._definition.node
        if kind_of(rule) == "Default":
            self._read_all([*rule["Default"]["args"], rule["Default"]["value"]], "answer")
            self._head_steps(rule["Default"]["refr"])
            return
        (head,) = rule["Spec"]["head"].values()
        self._head_steps(head["refr"])
        for number, parameter in enumerate(head.get("args", ())):
            self._parameter(number, parameter)
        if head.get("key") is not None:
            self._read_all([head["key"]], "collection")
        bodies = rule["Spec"]["bodies"]
        for assign in (head.get("assign"), *(body["assign"] for body in bodies)):
            if assign is not None:
                self._result(assign["value"])
        for body in bodies:
            self._query(body["query"])

    def _head_steps(self, reference: Node) -> None:
        while (kind := kind_of(reference)) in ("RefDot", "RefBrack"):
            if kind == "RefBrack":
                self._read_all([reference["RefBrack"]["index"]], "collection")
            reference = reference[kind]["refr"]

    def _parameter(self, number: int, parameter: Node) -> None:
        given = self._findings.arguments[self._definition.path, number]
        name = parameter["Var"]["value"] if kind_of(parameter) == "Var" else None
        if name is None or self._stands_twice(name):  # a pattern looks into what it is given
            self._read_paths(given, parameter, "value")
            self._read_all([parameter], "value")
        else:
            self._hand_on(given, self._variable(name), parameter)

    def _stands_twice(self, name: str) -> bool:
        parameters = self._definition.node["Spec"]["head"]["Func"]["args"]
        return [kind_of(one) == "Var" and one["Var"]["value"] == name for one in parameters].count(True) > 1

    def _variable(self, name: str) -> set[Path]:
        return self._findings.variables[id(self._definition), name]

    def _result(self, value: Node) -> None:
        path = self._definition.path
        if self._findings.is_answer(path):
            self._read_all([value], "answer")
        elif self._findings.is_alone(path):
            self._hand_on(self._paths(value), self._findings.values[path], value)
        else:
            self._read_all([value], "clash")

    def _hand_on(self, paths: Iterable[Path], into: set[Path], node: Node) -> None:
        self._findings.hand_on(frozenset(paths), into, self._place(node), node)

    # Queries.

    def _query(self, query: Node) -> None:
        for statement in query["stmts"]:
            if statement.get("with_mods"):  # the input itself, or a rule or function on the way, is another below
                self._read_paths([()], statement["with_mods"][0]["refr"], "with")
            ((kind, literal),) = statement["literal"].items()
            if kind in ("Expr", "NotExpr"):
                self._read_all([literal["expr"]], "value")
            elif kind == "Every":
                self._read_all([literal["domain"]], "loop")
                self._query(literal["query"])
            elif kind == "SomeIn":
                self._read_all([one for one in (literal["key"], literal["value"]) if one is not None], "value")
                self._read_all([literal["collection"]], "loop")

    # Expressions.

    def _read_all(self, nodes: Iterable[Node], why: Why) -> None:
        for node in nodes:
            self._read_paths(self._paths(node), node, why)

    def _read_paths(self, paths: Iterable[Path], node: Node, why: Why) -> None:
        place = self._place(node)
        for path in list(paths):
            self._findings.read(path, place, node, why)

    def _place(self, node: Node) -> Place:
        return self._module, int(node[str(kind_of(node))]["span"]["start"])

    def _paths(self, node: Node) -> frozenset[Path]:
        """The parts of the input that this expression may be, unread so far. All that it reads, it has read."""
        kind = kind_of(node)
        if kind in ("Var", "RefDot", "RefBrack"):
            return self._reference(node)
        if kind == "Call":
            return self._call(node)
        if kind == "AssignExpr" and node["AssignExpr"]["op"] == "ColEq" and kind_of(node["AssignExpr"]["lhs"]) == "Var":
            name = node["AssignExpr"]["lhs"]["Var"]["value"]
            value = node["AssignExpr"]["rhs"]
            self._hand_on(self._paths(value), self._variable(name), value)
            return _NOTHING
        self._read_all(expressions_of(node), "collection" if kind in _COLLECTIONS else "value")
        if kind in ("ArrayCompr", "SetCompr", "ObjectCompr"):
            self._query(node[kind]["query"])
        return _NOTHING

    def _reference(self, node: Node) -> frozenset[Path]:
        base, steps = self._unwound(node)
        if kind_of(base) != "Var":
            return self._stepped(self._paths(base), steps)
        name = base["Var"]["value"]
        found = set(self._stepped(self._variable(name), steps))
        for root, imported in self._reach.roots(self._module, name):
            if root[0] == "input":
                found |= self._stepped([root[1:]], steps)
            else:
                if imported:
                    self._findings.run(self._reach.below(root))
                found |= self._data(root, steps, node)
        return frozenset(found)

    def _unwound(self, node: Node) -> tuple[Node, list[Step]]:
        """What a reference starts from, and its steps. Computed ones are read here."""
        steps: list[Step] = []
        while (kind := kind_of(node)) in ("RefDot", "RefBrack"):
            if kind == "RefDot":
                text: str | None = node["RefDot"]["field"][1]
            else:
                index = node["RefBrack"]["index"]
                text = constant_text(index)
                if text is None:
                    self._read_all([index], "value")
            steps.append((text, node))
            node = node[kind]["refr"]
        return node, steps[::-1]

    def _stepped(self, paths: Iterable[Path], steps: Sequence[Step]) -> frozenset[Path]:
        current = frozenset(paths)
        for text, node in steps:
            if text is None:
                self._read_paths(current, node, "step")
                return _NOTHING
            deep = [path for path in current if len(path) >= MAX_STEPS]
            self._read_paths(deep, node, "size")
            current = frozenset((*path, text) for path in current if len(path) < MAX_STEPS)
        return current

    def _data(self, root: Path, steps: Sequence[Step], node: Node) -> frozenset[Path]:
        """What the rules around a path of `data` may hand over. All of them are run."""
        asked = [*((part, node) for part in root), *steps]
        plain = next((n for n, (text, _) in enumerate(asked) if text is None or "." in text), len(asked))
        path = tuple(str(text) for text, _ in asked[:plain])
        self._findings.run(self._reach.run_for(path))
        found: set[Path] = set()
        for definition in self._reach.around(path):
            value = self._findings.values[definition.path]
            if len(definition.path) <= len(path):
                found |= self._stepped(value, asked[len(definition.path) :])
            else:
                self._read_paths(value, node, "collection")
        return frozenset(found)

    def _call(self, node: Node) -> frozenset[Path]:
        arguments = node["Call"]["params"]
        base, steps = self._unwound(node["Call"]["fcn"])
        path = tuple(text for text, _ in steps if text is not None)
        roots = list(self._reach.roots(self._module, base["Var"]["value"])) if kind_of(base) == "Var" else []
        functions = [
            definition for root, _ in roots if root[0] == "data" for definition in self._reach.around((*root, *path))
        ]
        called = {(*root, *path) for root, _ in roots}
        self._findings.run(functions)
        followed = len(path) == len(steps) and all(
            one.path in called and one.arity == len(arguments) for one in functions
        )
        if not functions or not followed:
            self._read_all(arguments, "call")
        return self._applied({one.path for one in functions}, arguments, node, followed=followed)

    def _applied(
        self, functions: Iterable[Path], arguments: Sequence[Node], node: Node, *, followed: bool
    ) -> frozenset[Path]:
        found: set[Path] = set()
        for path in functions:
            if followed:
                for number, argument in enumerate(arguments):
                    self._hand_on(self._paths(argument), self._findings.arguments[path, number], argument)
            found |= self._findings.values[path]
        if not followed:
            self._read_paths(found, node, "call")
            return _NOTHING
        return frozenset(found)
