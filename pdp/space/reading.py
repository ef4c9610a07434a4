"""What one rule reads directly: facts of the input, values of other rules, constants. Found in its syntax tree.

INVARIANT (nothing unread): a part's answer depends on nothing but what stands here; `tables` asks the engine once for
each combination of these values. So everything that a tree may read is named, more rather than less: functions count
to who calls them, and a reference with a computed step to everything below it.

A listed fact may be used in any way. What the schema leaves open (`facts`) may be used only as its fact can tell;
anything else is refused with SpaceError and its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.grammar import expressions_of
from pdp.bundle.syntax import kind_of
from pdp.errors import SpaceError
from pdp.space.facts import RELATED, TIMES
from pdp.space.naming import COMPREHENSIONS, Names
from pdp.space.reads import Reads, constants_in, declared_in, uses_of
from pdp.space.words import emptied, is_only_stated, is_related, sought, tells_a_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pdp.bundle.reach import Reach
    from pdp.bundle.rules import Definition
    from pdp.bundle.syntax import Node
    from pdp.space.facts import Leaf, Path

# Builtins whose texts and numbers are those that they are given.
_MAKES_NOTHING: Final = frozenset(
    {"is_number", "is_array", "is_string", "is_boolean", "is_object", "is_set", "is_null", "min", "max", "union",
     "intersection", "object.union", "object.union_n", "object.get", "object.keys", "array.concat", "array.slice"}
)  # fmt: skip
_IMPURE: Final = ("time.now_ns", "rand.", "uuid.", "http.", "net.lookup", "opa.runtime", "trace", "print")
_PLACE: Final = "a place in a list"
_COUNTS: Final = frozenset({"count", _PLACE})  # they make numbers only, and none but 0 may be held against one
_EQUALITIES: Final = frozenset({"Eq", "Ne"})


class Reader:
    """Reads the definitions of one bundle. `data` are its data, `leaves` the places of the schema."""

    def __init__(self, reach: Reach, data: Mapping[str, Any], leaves: Mapping[Path, Leaf]) -> None:
        self.reach = reach
        self.data = data
        self.leaves = leaves

    def read(self, definitions: Iterable[Definition]) -> Reads:
        """Everything that these definitions read. Raises SpaceError."""
        reads = Reads()
        for definition in definitions:
            self.definition(definition, reads, set())
        return self._sound(reads)

    def read_branch(self, definition: Definition, value: Node | None, query: Node) -> Reads:
        """The same for one branch of a rule with `else`."""
        reads = Reads()
        walk = _Walk(self, definition, reads, set())
        walk.query(query)
        if value is not None:
            walk.value(value)
        return self._sound(reads)

    def held(self, path: Path) -> Any:
        """What the data have at this path, which begins with `data`; None where it is nothing or a rule's."""
        held: Any = self.data
        for step in path[1:]:
            held = held.get(step) if isinstance(held, dict) else None
        return held

    def _sound(self, reads: Reads) -> Reads:
        """What an open fact is held against has to stand in the text, in the data, or in the value of another rule."""
        kinds = {self.leaves[path].kind for path in reads.facts}
        for name, where in reads.makes.items():
            if kinds & {"words", "text", "number"} and (name not in _COUNTS or "number" in kinds):
                raise SpaceError(f"`{name}` makes a value that an open fact may be held against", where=where)
        return reads

    def definition(self, definition: Definition, reads: Reads, done: set[int]) -> None:
        """Add what this definition reads; `done` are those that are added already."""
        if id(definition) in done:
            return
        done.add(id(definition))
        walk = _Walk(self, definition, reads, done)
        if kind_of(definition.node) == "Default":
            walk.value(definition.node["Default"]["value"])
            return
        (head,) = definition.node["Spec"]["head"].values()
        for one in (head["refr"], *head.get("args", ())):
            walk.head(one)
        if head.get("key") is not None:
            walk.value(head["key"])
        bodies = definition.node["Spec"]["bodies"]
        for body in bodies:
            walk.query(body["query"])
        for assign in (head.get("assign"), *(body["assign"] for body in bodies)):
            if assign is not None:
                walk.value(assign["value"])


class _Walk:
    """One pass through one definition, and through the functions that it calls."""

    def __init__(self, reader: Reader, definition: Definition, reads: Reads, done: set[int]) -> None:
        self._reader = reader
        self._reach = reader.reach
        own = frozenset(declared_in(definition.node, reader.reach.modules[definition.module].text.encode()))
        self._names = Names(reader.reach, definition.module, reader.leaves, own)
        self._definition = definition
        self._module = definition.module
        self._reads = reads
        self._done = done

    def refuse(self, node: Node, why: str) -> SpaceError:
        return SpaceError(why, where=self._names.place(node))

    # The parts of a rule.

    def head(self, node: Node) -> None:
        while kind_of(node) in ("RefDot", "RefBrack"):
            if kind_of(node) == "RefBrack":
                self.value(node["RefBrack"]["index"])
            node = node[str(kind_of(node))]["refr"]

    def query(self, query: Node, *, listed: bool = False) -> None:
        """`listed`: each way in which it holds becomes one member of an array."""
        for statement in query["stmts"]:
            ((kind, literal),) = statement["literal"].items()
            if statement.get("with_mods"):
                raise self.refuse(statement["with_mods"][0]["refr"], "`with` puts another input or rule in a place")
            if kind in ("Expr", "NotExpr"):
                self._expression(literal["expr"])
            elif kind == "Every":
                if literal["key"] is not None:
                    self._places(literal["domain"])
                self._loop(literal["domain"], self._text(literal["value"]), None)
                self.query(literal["query"])
            elif kind == "SomeIn":
                if listed and self._names.reads_open(literal["collection"]):
                    raise self.refuse(literal["collection"], "how often a word stands in a list cannot be counted out")
                self._some(literal, query)

    def _text(self, span: Node) -> str:
        return self._reach.modules[self._module].text.encode()[span["start"] : span["end"]].decode()

    def _some(self, literal: Node, query: Node) -> None:
        variable = literal["value"]
        if literal["key"] is None and kind_of(variable) == "Var":
            self._loop(literal["collection"], variable["Var"]["value"], query)
            return
        if literal["key"] is not None:
            self._places(literal["collection"])
        for one in (literal["key"], literal["value"], literal["collection"]):
            if one is not None:
                self._expression(one)

    def _places(self, lists: Node) -> None:
        """`every place, word in LIST`: the order of words and how often one stands there are no facts."""
        path = self._names.data_path(self._names.unwound(lists))
        if path is not None and self._names.is_fixed(lists) and isinstance(self._reader.held(path), dict):
            return  # its keys stand there
        if self._names.open(lists, ("words", "closed_words", "related")) is not None:
            raise self.refuse(lists, "the places of words cannot be counted out")
        self._makes(lists, _PLACE)

    def _loop(self, domain: Node, variable: str, query: Node | None) -> None:
        """`some v in LIST`, `every v in LIST` (no `query`): a word of an open list is used only as facts can tell."""
        path = self._names.open(domain, ("words", "closed_words", "related"))
        if path is None:
            self._expression(domain)
            return
        self._fact(path)
        if self._reader.leaves[path].kind == "words":
            self._moving(domain)
        if self._reader.leaves[path].kind != "closed_words" and not is_only_stated(
            self._names, self._definition.node, variable, path, query
        ):
            raise self.refuse(domain, f"what is done with the words of `{'.'.join(path)}` cannot be counted out")
        # A variable can be used outside of its query: in the head, in the term of a comprehension.
        for node, parents in uses_of(self._definition.node, variable):
            if path not in RELATED:
                self._reads.sought.setdefault(path, []).append(None)
            if node is not None and not tells_a_word(self._names, node, parents, path):
                raise self.refuse(domain, f"what is done with the words of `{'.'.join(path)}` cannot be counted out")

    # Expressions.

    def value(self, node: Node) -> None:
        """An expression whose value becomes part of the answer."""
        path = self._names.open(node, ("text",))
        if path is not None:
            if path not in TIMES:
                raise self.refuse(node, f"`{'.'.join(path)}` becomes part of the answer: there is no end of answers")
            self._reads.copied[path] = None
            self._fact(path)
            return
        self._expression(node)

    def _expression(self, node: Node) -> None:
        kind = str(kind_of(node))
        if kind in ("Var", "RefDot", "RefBrack"):
            self._reference(node)
        elif kind == "BoolExpr":
            self._comparison(node["BoolExpr"])
        elif kind == "Membership":
            self._membership(node)
        elif kind == "Call":
            self._call(node)
        elif kind in ("String", "RawString", "Number", "Bool"):
            self._reads.constants[node[kind]["value"]] = None
        else:
            self._parts(node, kind)

    def _parts(self, node: Node, kind: str) -> None:
        if kind == "ArithExpr":
            self._makes(node, "arithmetic")
        for one in expressions_of(node):
            if kind == "AssignExpr":  # whatever is done with the variable later
                self._expression(one)
            else:
                self.value(one)
        if kind in COMPREHENSIONS:
            self.query(node[kind]["query"], listed=kind == "ArrayCompr")

    def _comparison(self, sides: Node) -> None:
        left, right = sides["lhs"], sides["rhs"]
        for one, other in ((left, right), (right, left)):
            if self._names.reads_open(one) and not self._names.is_fixed(other):
                self._moving(other)
        if sides["op"] not in _EQUALITIES and "Number" not in (kind_of(left), kind_of(right)):
            self._reads.orders = self._reads.orders or self._names.place(left)
        for one, other in ((left, right), (right, left)):
            wanted = ("number", "text") if sides["op"] in _EQUALITIES else ("number",)
            path = self._names.open(one, wanted)
            if path is not None and not self._names.reads_open(other):
                self._fact(path)
                self._expression(other)
                return
            path = emptied(self._names, one, other)
            if path is not None:
                self._fact(path)
                return
        self._expression(left)
        self._expression(right)

    def _membership(self, node: Node) -> None:
        key, value, collection = (node["Membership"][part] for part in ("key", "value", "collection"))
        if key is not None:
            self._makes(node, _PLACE)
            self._expression(key)
        for one, other in ((value, collection), (collection, value)):
            if self._names.reads_open(one) and not self._names.is_fixed(other):
                self._moving(other)
        of = self._names.open(collection, ("words", "closed_words", "related"))
        if of is not None and key is not None:
            raise self.refuse(node, f"the places of the words of `{'.'.join(of)}` cannot be counted out")
        if of is None:
            path = self._names.open(value, ("number", "text"))
            if path is None:
                self._expression(value)
            else:
                self._fact(path)
            self._expression(collection)
            return
        self._fact(of)
        if of not in RELATED:
            if self._names.reads_open(value):
                raise self.refuse(value, "an open fact is looked for in an open list")
            self._expression(value)
            self._reads.sought.setdefault(of, []).append(sought(self._names, self._reads, value))
        elif not is_related(self._names, self._definition.node, value, of):
            raise self.refuse(value, f"`{'.'.join(of)}` is held against something else than the subject's own")

    def _call(self, node: Node) -> None:
        arguments = node["Call"]["params"]
        base = self._names.unwound(node["Call"]["fcn"])
        at = self._names.data_path(base)
        functions = [] if at is None else [one for one in self._reach.around(at) if one.arity is not None]
        if not functions:
            name = ".".join((base.root or "", *base.steps))
            if name.startswith(_IMPURE):
                raise self.refuse(node, f"`{name}` answers otherwise at another time")
            if name not in _MAKES_NOTHING:
                self._makes(node, name)
        if not functions and base.steps == () and base.root in ("is_number", "is_array", "is_string", "is_boolean"):
            for argument in arguments:  # the schema says so
                path = self._names.open(argument, ("number", "text", "words", "closed_words"))
                if path is None:
                    self._expression(argument)
                elif self._reader.leaves[path].kind == "number":  # `unknown` is no number
                    self._fact(path)
            return
        for argument in arguments:
            self._expression(argument)
        for function in functions:
            self._reader.definition(function, self._reads, self._done)

    def _reference(self, node: Node) -> None:
        reference = self._names.unwound(node)
        for index in reference.computed:
            if self._names.is_local(index):  # it may be the place that is looked for
                self._makes(index, _PLACE)
            self._expression(index)
        if reference.root is None:
            base = node
            while kind_of(base) in ("RefDot", "RefBrack"):
                base = base[str(kind_of(base))]["refr"]
            self._expression(base)
            return
        path = self._names.input_path(reference)
        if path is not None:
            self._read_input(path, node)
        at = self._names.data_path(reference)
        if at is not None:
            self._read_data(at, node)

    def _read_input(self, path: Path, node: Node) -> None:
        leaves = [leaf for at, leaf in self._reader.leaves.items() if at[: len(path)] == path[: len(at)]]
        for leaf in leaves:
            if leaf.kind == "listed":
                self._fact(leaf.path)
            elif leaf.kind != "constant":
                raise self.refuse(node, f"what is done with `{leaf.name}` cannot be counted out")
            # The keys of an object are texts of its value, and so is what the schema lets be nothing else.
            self._reads.constants |= dict.fromkeys(leaf.path[len(path) :])
            self._reads.constants |= dict.fromkeys(leaf.values if leaf.kind == "constant" else ())

    def _read_data(self, path: Path, node: Node) -> None:
        definitions = list(self._reach.around(path))
        for definition in definitions:
            if len(path) <= self._reach.package_length(definition):  # the questions' own rules may stand there too
                raise self.refuse(node, "what is done with a whole package cannot be counted out")
            self._reads.constants |= dict.fromkeys(definition.path[len(path) :])
            if definition.arity is not None:
                continue
            self._reads.rules[definition.path, path[len(definition.path) :]] = None
        self._reads.constants |= dict.fromkeys(constants_in(self._reader.held(path)))

    def _moving(self, node: Node) -> None:
        self._reads.moving = self._reads.moving or self._names.place(node)

    def _makes(self, node: Node, name: str) -> None:
        self._reads.makes.setdefault(name, self._names.place(node))

    def _fact(self, path: Path) -> None:
        self._reads.facts[path] = None
