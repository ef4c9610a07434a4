"""The parts of a policy that can be asked alone, and what each of them reads: a graph without a cycle.

A part is as small as the engine can be asked for: a rule; one member of a set or an object whose members are named
by constants (`deny contains "X"`); one branch of a rule with `else`, as a rule of its own in a module that is added
beside the bundle's for the asking, with the branch's own text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.bundle.grammar import unknown_part
from pdp.bundle.reach import Reach
from pdp.bundle.syntax import constant_text, kind_of, place_of
from pdp.errors import SpaceError
from pdp.space.naming import QUESTION
from pdp.space.reading import Reader
from pdp.space.reads import Reads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.bundle.rules import Definition
    from pdp.bundle.syntax import Module, Node
    from pdp.space.facts import Leaf, Path

Kind = Literal["rule", "union", "member", "chain", "branch"]
PACKAGE: Final = QUESTION
ANSWER: Final = f"{PACKAGE}/answer"
SHELF: Final = f"{QUESTION}_shelf"  # the key of a document that says among which parts stands the one in QUESTION
_SHELF_SIZE: Final = 16
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")  # `data.a-b` asks for a difference


@dataclass(frozen=True, slots=True)
class Part:
    """One part. `number` names it in a question; `query` is what the engine is asked, `where` the file and line.

    `inputs` are the parts that it reads, with the constant steps into their values, in a fixed order. Of a union:
    its members, named by `keys`; of a chain: its branches, first to last. `is_set`: a union that is a set.
    """

    number: int
    name: str
    kind: Kind
    path: Path
    query: str
    where: str
    reads: Reads
    inputs: tuple[tuple[int, Path], ...]
    keys: tuple[str, ...] = ()
    is_set: bool = False
    after: tuple[int, ...] = ()  # of a branch: those that come before it, and have to be undefined


@dataclass(frozen=True, slots=True)
class Parts:
    """All that the entry point needs, each after what it reads. `modules` are to be added for the asking."""

    all: tuple[Part, ...]
    entry: int
    modules: Mapping[str, str]
    by_name: Mapping[str, int] = field(default_factory=dict)


def parts_of(modules: Sequence[Module], entrypoint: str, data: Mapping[str, Any], leaves: Mapping[Path, Leaf]) -> Parts:
    """The parts of a policy. Raises SpaceError where one of them cannot be told apart from the rest of the world."""
    for module in modules:
        unknown = unknown_part(module)
        if unknown is not None:
            line = place_of(module, unknown)[0] if unknown else 1
            raise SpaceError("this syntax is not known", where=f"{module.name}:{line}")
    reach = Reach(modules)
    for module, node in reach.unclear:
        raise SpaceError("this name has no clear meaning", where=f"{module.name}:{place_of(module, node)[0]}")
    maker = _Maker(reach, Reader(reach, data, leaves))
    entry = maker.part(("data", *entrypoint.split("/")))
    all_parts = tuple(maker.parts)
    return Parts(all_parts, entry, maker.modules(), {part.name: part.number for part in all_parts})


def shelf_of(number: int) -> int:
    return number // _SHELF_SIZE


class _Maker:
    def __init__(self, reach: Reach, reader: Reader) -> None:
        self._reach = reach
        self._reader = reader
        self.parts: list[Part] = []
        self._numbers: dict[Path, int | None] = {}  # None while it is being made
        self._branches: dict[str, list[str]] = {}

    def part(self, path: Path) -> int:
        """The number of the part that is the whole rule at this path."""
        if path in self._numbers:
            number = self._numbers[path]
            if number is None:
                raise SpaceError(f"`{_dotted(path)}` needs itself", where=self._where(self._at(path)[0]))
            return number
        self._numbers[path] = None
        definitions = self._at(path)
        if not definitions:
            raise SpaceError(f"there is no rule `{_dotted(path)}`")
        keys = [_constant_key(one) for one in definitions]
        own = all(one.path == path for one in definitions)
        for one in definitions:
            for step in one.path:
                if _NAME.fullmatch(step) is None or step.startswith(QUESTION):
                    raise SpaceError(f"a rule called `{step}` cannot be asked for", where=self._where(one))
        if own and all(one.partial for one in definitions) and None not in keys:
            number = self._union(path, definitions, [str(key) for key in keys])
        elif own and (first := self._of_branches(definitions)) is not None:
            number = self._chain(path, definitions, first)
        else:
            number = self._new(_dotted(path), "rule", _dotted(path), definitions[0], self._reader.read(definitions))
        self._numbers[path] = number
        return number

    def _at(self, path: Path) -> list[Definition]:
        """The definitions that have a part in the whole value: `step_up["X"]` is one of `step_up`."""
        return list(self._reach.below(path))

    def _new(self, name: str, kind: Kind, query: str, first: Definition, reads: Reads, **more: Any) -> int:
        inputs = tuple((self.part(path), steps) for path, steps in reads.rules)
        number = len(self.parts)
        self.parts.append(Part(number, name, kind, first.path, query, self._where(first), reads, inputs, **more))
        return number

    def _of_branches(self, definitions: Sequence[Definition]) -> Definition | None:
        """The rule with `else`, where its branches can stand beside it as rules of their own."""
        bodies = [one for one in definitions if not one.default]
        if len(bodies) != 1 or not _has_else(bodies[0]):
            return None
        alone = len(bodies[0].path) == self._reach.package_length(bodies[0]) + 1  # no `a.b := 1 if … else := 2`
        return bodies[0] if alone and all(one.module == bodies[0].module for one in definitions) else None

    def _union(self, path: Path, definitions: Sequence[Definition], keys: Sequence[str]) -> int:
        name, is_set = _dotted(path), definitions[0].is_set
        members = []
        for key in dict.fromkeys(keys):
            of = [one for one, other in zip(definitions, keys, strict=True) if other == key]
            text = json.dumps(key)
            query = f"{text} in {name}" if is_set else f"{name}[{text}]"
            members.append(self._new(f"{name}[{key}]", "member", query, of[0], self._reader.read(of)))
        number = len(self.parts)
        inputs: tuple[tuple[int, Path], ...] = tuple((member, ()) for member in members)
        where = self._where(definitions[0])
        self.parts.append(
            Part(
                number,
                name,
                "union",
                path,
                name,
                where,
                Reads(),
                inputs,
                keys=tuple(dict.fromkeys(keys)),
                is_set=is_set,
            )
        )
        return number

    def _chain(self, path: Path, definitions: Sequence[Definition], body: Definition) -> int:
        module = self._reach.modules[body.module]
        source = module.text.encode()
        (head,) = body.node["Spec"]["head"].values()
        branches: list[int] = []
        for at, one in enumerate(body.node["Spec"]["bodies"]):
            assign = head.get("assign") if at == 0 else one["assign"]
            rule = f"{QUESTION}_{len(self.parts)}_{at}_{path[-1]}"
            self._branches.setdefault(body.module, []).append(rule + _branch_text(source, assign, one))
            reads = self._reader.read_branch(body, None if assign is None else assign["value"], one["query"])
            query, after = _dotted((*path[:-1], rule)), tuple(branches)
            branches.append(self._new(f"{_dotted(path)}#{at + 1}", "branch", query, body, reads, after=after))
        defaults = [one for one in definitions if one.default]
        if defaults:
            reads = self._reader.read(defaults)
            rule = f"{QUESTION}_{len(self.parts)}_default"
            default = defaults[0].node["Default"]
            at_value = _source_text(source, default["refr"]["Var"]["span"]["end"], default["span"]["end"])
            self._branches.setdefault(body.module, []).append(rule + at_value)
            query, after = _dotted((*path[:-1], rule)), tuple(branches)
            branches.append(self._new(f"{_dotted(path)}#default", "branch", query, defaults[0], reads, after=after))
        inputs: tuple[tuple[int, Path], ...] = tuple((branch, ()) for branch in branches)
        number = len(self.parts)
        name = _dotted(path)
        self.parts.append(Part(number, name, "chain", path, name, self._where(body), Reads(), inputs))
        return number

    def _where(self, definition: Definition) -> str:
        module = self._reach.modules[definition.module]
        return f"{definition.module}:{place_of(module, definition.node)[0]}"

    def modules(self) -> dict[str, str]:
        """The module of questions, and one for the branches of each module of the bundle."""
        found = {}
        for name, texts in self._branches.items():
            module = self._reach.modules[name]
            head = [_package_text(module)]
            imports = [f"import {_import_text(module, one)}" for one in module.tree["imports"]]
            found[f"{PACKAGE}/{name}"] = "\n".join([*head, *imports, *texts]) + "\n"
        lines = [f"package {PACKAGE}", 'default answer := {"defined": false}']
        shelves = range(shelf_of(len(self.parts) - 1) + 1)  # an engine tries the rules of one shelf, and not of all
        lines += [f"answer := shelf_{shelf} if input.{SHELF} == {shelf}" for shelf in shelves]
        for part in self.parts:
            told = '{"defined": true, "type": type_name(x), "sets": sets(x), "odd": odd(x), "value": x}'
            asked = f"input.{QUESTION} == {part.number}; x := {part.query}"
            lines.append(f"shelf_{shelf_of(part.number)} := {told} if {{ {asked} }}")
        # What JSON does not tell, and a rule may: a set from an array, a key that is no text from one that is.
        lines.append("sets(x) := [path | walk(x, [path, value]); is_set(value)]")
        lines.append("odd(x) := [1 | walk(x, [_, value]); is_object(value); some key, _ in value; not is_string(key)]")
        found[f"{PACKAGE}/questions.rego"] = "\n".join(lines) + "\n"
        return found


def _dotted(path: Path) -> str:
    return ".".join(path)


def _constant_key(definition: Definition) -> str | None:
    """The constant that a partial rule adds: `deny contains "X"`, `step_up["X"] := …`."""
    if not definition.partial or kind_of(definition.node) != "Spec":
        return None
    ((kind, head),) = definition.node["Spec"]["head"].items()
    if kind == "Set":
        return None if head.get("key") is None else constant_text(head["key"])
    reference = head["refr"]
    if kind_of(reference) == "RefBrack" and kind_of(reference["RefBrack"]["refr"]) == "Var":
        return constant_text(reference["RefBrack"]["index"])
    return None


def _has_else(definition: Definition) -> bool:
    return not definition.partial and definition.arity is None and len(definition.node["Spec"]["bodies"]) > 1


def _branch_text(source: bytes, assign: Node | None, body: Node) -> str:
    """A branch as the end of a rule: ` := VALUE if BODY`, in its own words."""
    end = body["query"]["span"]["end"] if body["query"]["stmts"] else body["span"]["end"]
    if assign is None:
        return " if " + _source_text(source, body["query"]["span"]["start"], end)
    return " " + _source_text(source, assign["span"]["start"], max(end, assign["span"]["end"]))


def _source_text(source: bytes, start: int, end: int) -> str:
    """A span of regorus ends before the quotation mark of a text that it ends with."""
    return source[start : end + 1 if source[end : end + 1] in (b'"', b"`") else end].decode()


def _package_text(module: Module) -> str:
    node = module.tree["package"]["refr"]
    span = node[str(kind_of(node))]["span"]
    return "package " + _source_text(module.text.encode(), span["start"], span["end"])


def _import_text(module: Module, entry: Node) -> str:
    source = module.text.encode()
    span = entry["refr"][str(kind_of(entry["refr"]))]["span"]
    text = _source_text(source, span["start"], span["end"])
    alias = entry.get("as")
    return text if not alias else f"{text} as {source[alias['start'] : alias['end']].decode()}"
