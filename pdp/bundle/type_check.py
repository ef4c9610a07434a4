"""What a bundle asks of things that are not there: facts that no `pdp.input/v1` has, values that a fact never is, data
and rules that do not exist, rules that nobody asks. Each of them is undefined in service, without a word.

Two ways of looking, because each misses something: every reference as it is written, also in rules that are not
reached and in tests; and where values of the input travel under other names (`sight`). Beside them what tests say that
the input is (`given_input`). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.bundle.fault import Fault, fault_at
from pdp.bundle.findings import TooManyFindingsError
from pdp.bundle.given_input import given_faults
from pdp.bundle.grammar import unknown_part
from pdp.bundle.input_schema import SCHEMA, first_unknown, nearest
from pdp.bundle.naming import Names
from pdp.bundle.reach import Reach
from pdp.bundle.sight import look
from pdp.bundle.syntax import constant_text, is_reference, kind_of, nodes_below, parts_of, place_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.findings import Findings
    from pdp.bundle.syntax import Module, Node, Path

_EQUALITY: Final = frozenset({"Eq", "Ne"})
MAX_FAULTS: Final = 500  # nobody reads more


def type_faults(bundle: Bundle, modules: Sequence[Module], tests: Sequence[Module]) -> list[Fault]:
    """The faults of these parsed modules, by file and line, each once. `tests` are the bundle's `_test.rego` files."""
    names = Names([*modules, *tests], bundle.data)
    found: dict[tuple[str, int, int, str], Fault] = {}
    for fault in _all(bundle, modules, tests, names):
        found.setdefault((fault.file, fault.line, fault.column, fault.code), fault)
        if len(found) >= MAX_FAULTS:
            break
    return sorted(found.values(), key=lambda fault: (fault.file, fault.line, fault.column))


def _all(bundle: Bundle, modules: Sequence[Module], tests: Sequence[Module], names: Names) -> Iterator[Fault]:
    closed = bundle.profile == "zta"  # another profile's input is whatever its caller sends
    for module in (*modules, *tests):
        yield from _as_written(module, names, closed=closed)
    if closed:
        for module in tests:
            yield from given_faults(module, names)
    findings = _followed(bundle, modules)
    if findings is None:
        return
    by_name = {module.name: module for module in modules}
    if closed:
        yield from _travelling(findings, by_name)
    yield from _unreached(findings, modules)


# -- every reference as it is written -------------------------------------------------------------------


def _as_written(module: Module, names: Names, *, closed: bool) -> Iterator[Fault]:
    told: set[str] = set()  # an import of nothing is told once, and not at each use
    for entry in module.tree["imports"]:
        for fault in _one_reference(module, entry["refr"], names, closed=closed):
            told.add(fault.message_en)
            yield fault
    for node in _outermost(module.tree["rules"]):
        yield from (
            fault for fault in _one_reference(module, node, names, closed=closed) if fault.message_en not in told
        )
    if closed:
        for kind, node in nodes_below(module.tree["rules"]):
            yield from _comparison(module, kind, node, names)


def _outermost(tree: object) -> Iterator[Node]:
    """References, each as a whole: of `input.device.class` not `input.device` too. Computed steps are looked into."""
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, dict) and kind_of(part) is not None and is_reference(part):
            yield part
            while (kind := kind_of(part)) in ("RefDot", "RefBrack"):
                if kind == "RefBrack":
                    pending.append(part["RefBrack"]["index"])
                part = part[kind]["refr"]
            if kind != "Var":
                pending.append(part)
            continue
        pending += parts_of(part)


def _one_reference(module: Module, node: Node, names: Names, *, closed: bool) -> Iterator[Fault]:
    path = names.absolute(module.name, node)
    if path is None:
        return
    if path[0] == "input":
        if closed:
            yield from _input_path(module, node, path[1:])
    elif (missing := names.missing(path)) is not None:
        yield fault_at(module.name, place_of(module, node), "unknown_data", ".".join(path[: missing + 1]))


def _input_path(module: Module, node: Node, path: Path) -> Iterator[Fault]:
    unknown = first_unknown(path)
    if unknown is None:
        return
    written = ".".join(("input", *path[: unknown + 1]))
    instead = nearest(path, unknown)
    if instead is None:
        yield fault_at(module.name, place_of(module, node), "unknown_fact", written)
    else:
        better = ".".join(("input", *path[:unknown], instead))
        yield fault_at(module.name, place_of(module, node), "misspelt_fact", written, better)


def _comparison(module: Module, kind: str, node: Node, names: Names) -> Iterator[Fault]:
    """A fact that is held against a text which it never is: the condition never holds, or always."""
    body = node[kind]
    if kind == "BoolExpr" and body["op"] in _EQUALITY:
        for one, other in ((body["lhs"], body["rhs"]), (body["rhs"], body["lhs"])):
            yield from _values(module, names, one, [other], of_items=False)
    elif kind == "Membership" and body["key"] is None:
        collection = body["collection"]
        if kind_of(collection) in ("Set", "Array"):
            items = collection[str(kind_of(collection))]["items"]
            yield from _values(module, names, body["value"], items, of_items=False)
        yield from _values(module, names, collection, [body["value"]], of_items=True)


def _values(module: Module, names: Names, fact: Node, others: Iterable[Node], *, of_items: bool) -> Iterator[Fault]:
    path = names.absolute(module.name, fact)
    if path is None or path[0] != "input" or path[1:] not in SCHEMA or not names.is_constant(fact):
        return
    place = SCHEMA[path[1:]]
    allowed = place.items if of_items else place.values
    if allowed is None or place.is_list is not of_items or place.members:
        return
    for other in others:
        text = constant_text(other)
        if text is not None and text not in allowed:
            listed = ", ".join(sorted(allowed)) or "–"
            yield fault_at(module.name, place_of(module, other), "impossible_value", ".".join(path), text, listed)


# -- values that travel, and rules that nobody asks -----------------------------------------------------


def _followed(bundle: Bundle, modules: Sequence[Module]) -> Findings | None:
    """None where the bundle cannot be followed: the footprint says why."""
    try:
        if any(unknown_part(module) is not None for module in modules):
            return None
        reach = Reach(modules)
        entry = ("data", *bundle.entrypoint.split("/"))
        return None if reach.unclear or not any(reach.around(entry)) else look(reach, entry)
    except (TooManyFindingsError, RecursionError):
        return None


def _travelling(findings: Findings, modules: dict[str, Module]) -> Iterator[Fault]:
    for path, places in findings.readings.items():
        for (name, _), _why in places:
            node = places[(name, _), _why]
            yield from _input_path(modules[name], node, path)
    for path, ((name, _), node) in findings.seen.items():
        yield from _input_path(modules[name], node, path)


def _unreached(findings: Findings, modules: Sequence[Module]) -> Iterator[Fault]:
    """INVARIANT (wider than any engine): what the walk does not reach, no engine runs for an answer."""
    reach = Reach(modules)
    reached = {(one.module, one.path) for one in findings.reached.values()}
    by_name = {module.name: module for module in modules}
    for one in reach.definitions:
        if (one.module, one.path) in reached:
            continue
        module = by_name[one.module]
        body = one.node[str(kind_of(one.node))]
        head = body["refr"] if "refr" in body else next(iter(body["head"].values()))["refr"]
        if not _carries_texts(module, head):
            yield fault_at(module.name, place_of(module, head), "unreachable_rule", ".".join(one.path[1:]))


def _carries_texts(module: Module, head: Node) -> bool:
    """Whether the rule is there for the METADATA above it: the texts of a reason that the service itself gives."""
    lines = module.text.splitlines()[: place_of(module, head)[0] - 1]
    above: list[str] = []
    while lines and lines[-1].startswith("#"):
        above.append(lines.pop())
    return "# METADATA" in (line.rstrip() for line in above) and any("code:" in line for line in above)
