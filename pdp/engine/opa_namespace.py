"""A bundle as it is put into an OPA server: under a name of its own, behind a gate that proves it whole.

OPA's REST API takes one policy at a time, so a bundle of many files cannot be replaced in one step, and
several workers, with several bundles, may use one server. Therefore nothing is ever replaced:

- every module moves below `data.sekisho.b<digest>`: its package, and each reference to `data` in it. The
  bundle's data go there too. Another bundle has another digest and another place.
- every module carries one more rule, `sekisho_part_<n>`, and the data one more key.
- the gate, written last, is the only thing that is asked. In the one transaction of a query it looks for
  every part, and answers with the digest and the entry point's value.

INVARIANT (whole or nothing): an answer of the gate without the digest means that a part is missing: a
server that has restarted, a worker that tidied up. It is no decision; `pdp.engine.opa_server` loads anew.

The text is moved by a scanner of Rego's tokens; that it moved everything is then checked in the syntax tree
that OPA itself gives back (`strays`), before the gate is written.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.rules import Definition, RuleBook

OURS: Final = "sekisho/"  # how every path and policy id begins
_DIGEST_CHARS: Final = 32  # 128 bits of the digest name the place; the gate answers with all of it
_DATA_MARK: Final = "sekisho_data"
_PART_MARK: Final = "sekisho_part_"

_TOKEN: Final = re.compile(
    r"""(?P<skipped>\s+|\#[^\n]*|"(?:\\.|[^"\\\n])*"|`[^`]*`)
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class MovedModule:
    """One module under its new name. `insertions`: by line, where text was put in and how much of it."""

    id: str
    text: str
    insertions: Mapping[int, tuple[tuple[int, int], ...]]

    def original_column(self, line: int, column: int) -> int:
        """The column in the file as it was written. Columns count characters from 1."""
        shift = sum(length for at, length in self.insertions.get(line, ()) if at < column)
        return max(1, column - shift)


@dataclass(frozen=True, slots=True)
class Namespace:
    """Everything of one bundle that goes to the server, in the order in which it goes there."""

    digest: str
    data_path: str
    data: Mapping[str, Any]
    stubs: Mapping[str, str]  # by id
    modules: Mapping[str, MovedModule]  # by id
    gate_id: str
    gate: str
    question: str  # the package path that is asked

    @property
    def short(self) -> str:
        return self.digest[:_DIGEST_CHARS]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every policy, in the order in which they are taken away: the gate first."""
        return (self.gate_id, *self.modules, *self.stubs)

    def strays(self, tree: Any) -> bool:
        """Whether OPA's tree of a moved module refers to `data` outside of this namespace."""
        root = _root(self.short)
        pending = [tree]
        while pending:
            part = pending.pop()
            if isinstance(part, list):
                if part and _is_data(part[0]):
                    if [step.get("value") if isinstance(step, dict) else None for step in part[1:3]] != root:
                        return True
                    part = part[1:]
                pending += part
            elif isinstance(part, dict):
                if _is_data(part):  # alone, or not at the head of a reference: nothing that we put there
                    return True
                pending += part.values()
        return False

    def readable(self, message: str) -> str:
        """An error message of OPA without what the move has put in."""
        message = message.replace("data." + ".".join(_root(self.short)), "data")
        return message.replace(f"{_policy_root(self.short)}/modules/", "")

    def where(self, location: Any) -> str | None:
        """`file:line:column` of the bundle for a location in an answer of OPA."""
        if not isinstance(location, dict) or location.get("file") not in self.modules:
            return None
        module = self.modules[location["file"]]
        line, column = int(location.get("row", 0)), int(location.get("col", 0))
        return f"{self.readable(module.id)}:{line}:{module.original_column(line, column)}"


def namespace_of(bundle: Bundle, rules: RuleBook) -> Namespace:
    """Move a bundle. Raises BundleError where its text cannot be moved, naming file and line."""
    short = bundle.digest[:_DIGEST_CHARS]
    root = f"{_policy_root(short)}/modules"
    modules = [
        _moved(name, f"{root}/{name}", text, short, number)
        for number, (name, text) in enumerate(sorted(bundle.modules.items()))
    ]
    parts = [(*rules.packages[name][1:], f"{_PART_MARK}{number}") for number, name in enumerate(sorted(bundle.modules))]
    if _DATA_MARK in bundle.data:
        raise BundleError(f"the data must not have a key `{_DATA_MARK}`")
    return Namespace(
        digest=bundle.digest,
        data_path="/".join(_root(short)),
        data={**bundle.data, _DATA_MARK: True},
        stubs={
            f"{_policy_root(short)}/stubs/{number}": text
            for number, text in enumerate(_stubs(rules, ".".join(_root(short))))
        },
        modules={module.id: module for module in modules},
        gate_id=f"{_policy_root(short)}/gate",
        gate=_gate(bundle, short, parts),
        question=f"sekisho/g{short}/answer",
    )


def _root(short: str) -> list[str]:
    return ["sekisho", f"b{short}"]


def _policy_root(short: str) -> str:
    return f"sekisho/{short}"


def _is_data(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "var" and part.get("value") == "data"


def _moved(name: str, id_: str, text: str, short: str, number: int) -> MovedModule:
    root = ".".join(_root(short))
    pieces: list[str] = []
    insertions: dict[int, list[tuple[int, int]]] = {}
    line_ends = [match.start() for match in re.finditer("\n", text)]
    at = 0
    for position, insertion in _insertions(name, text, root):
        pieces += (text[at:position], insertion)
        at = position
        line = bisect_left(line_ends, position) + 1
        start = line_ends[line - 2] + 1 if line > 1 else 0
        known = insertions.setdefault(line, [])
        known.append((position - start + 1 + sum(length for _, length in known), len(insertion)))
    # On a line of its own at the end, so that no line of the module gets another number.
    pieces += (text[at:], f"\n\n{_PART_MARK}{number} := true\n")
    return MovedModule(id_, "".join(pieces), {line: tuple(known) for line, known in insertions.items()})


def _insertions(name: str, text: str, root: str) -> Iterator[tuple[int, str]]:
    before, in_package = "", False
    for match in _TOKEN.finditer(text):
        if match["skipped"] is not None:
            if before == "$" and match["skipped"][0] in '"`':
                line = text.count("\n", 0, match.start()) + 1
                raise BundleError("string interpolation cannot be moved", where=f"{name}:{line}")
            continue
        word = match[0]
        if before == "package" and not in_package:  # the first word of a module, and a key of an object later
            in_package = True
            yield match.start(), f"{root}."
        elif word == "data" and before != ".":
            yield match.end(), f".{root}"
        before = word


def _stubs(rules: RuleBook, root: str) -> Iterator[str]:
    """A module for each package, that defines what other modules need of it, and never matches.

    OPA compiles with every policy that it is given, and refuses a call of a function, or the name of a rule of
    the same package, that is not there yet. With these in place the modules can come in any order, also where
    they call one another. Their values are of any type, so that nothing is refused for its type meanwhile.
    """
    heads: dict[tuple[str, ...], set[str]] = {package: set() for package in rules.packages.values()}
    files = Counter(rules.packages.values())
    for path in rules.paths():
        for definition in rules.definitions(path):
            package = rules.packages[definition.module]
            if definition.arity is not None or files[package] > 1:
                heads[package].add(_never(definition, path[len(package) :]))
    for package, lines in sorted(heads.items()):
        if lines:
            text = "\n".join(sorted(lines))
            yield f"package {'.'.join((root, *package[1:]))}\n\n{text}\n"


def _never(definition: Definition, path: tuple[str, ...]) -> str:
    name = path[0] + "".join(f".{step}" if step.isidentifier() else f"[{json.dumps(step)}]" for step in path[1:])
    if definition.arity is not None:
        return f"{name}({', '.join(f'a{n}' for n in range(definition.arity))}) := input.nothing if false"
    if definition.is_set:
        return f"{name} contains input.nothing if false"
    return (
        f"{name}[input.nothing] := input.nothing if false"
        if definition.partial
        else f"{name} := input.nothing if false"
    )


def _gate(bundle: Bundle, short: str, parts: Iterable[tuple[str, ...]]) -> str:
    root = "data." + ".".join(_root(short))
    lines = "\n".join(f"\t{root}.{'.'.join(part)}" for part in parts)
    entrypoint = f"{root}.{bundle.entrypoint.replace('/', '.')}"
    return (
        f"package sekisho.g{short}\n\n"
        f"whole if {{\n\t{root}.{_DATA_MARK}\n{lines}\n}}\n\n"
        f'answer["digest"] := "{bundle.digest}" if whole\n\n'
        f'answer["verdict"] := {entrypoint} if whole\n'
    )
