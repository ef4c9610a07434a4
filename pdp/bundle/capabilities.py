"""What a bundle may call and how it may be written, so that both engines give the same answer.

The engines are regorus and OPA; the probes in `tests/contract/test_builtins_alike.py` hold the default list
against both. A bundle may bring its own `capabilities.json`, in OPA's format (`opa check --capabilities` takes
the same file) or as a list of names; without one, `default_capabilities.json` counts. What the
default forbids `always` (network, clock, chance, environment, tokens) no bundle can permit itself: the
decision cache and the replay rely on answers that depend on the input and the bundle alone.

Nothing is run here. `pdp.engine.footprint_check` makes the trees and asks `find_faults`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import chain, islice
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.fault import Fault, fault_at
from pdp.bundle.negation import undefinable_negations
from pdp.bundle.rules import RuleBook
from pdp.bundle.syntax import constant_text, nodes_below, place_of, reference_of
from pdp.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.syntax import Module, Node, ParseFault


Complaint = tuple[str, tuple[object, ...]]  # a code, and what its sentence is filled with
Finding = tuple["Node", str, tuple[object, ...]]

MAX_FAULTS: Final = 500  # of one module: nobody reads more, and each is looked up in its text

# regorus' names for the operators, and OPA's.
_OPERATORS: Final[Mapping[str, Mapping[str, str]]] = {
    "ArithExpr": {"Add": "plus", "Sub": "minus", "Mul": "mul", "Div": "div", "Mod": "rem"},
    "BoolExpr": {"Eq": "equal", "Ne": "neq", "Lt": "lt", "Le": "lte", "Gt": "gt", "Ge": "gte"},
    "BinExpr": {"Union": "or", "Intersection": "and"},
    "AssignExpr": {"ColEq": "assign", "Eq": "eq"},
    "Membership": {},
}
_DIFFERING_CLASSES: Final = re.compile(r"\\[dDwWsSbB]")
_PATTERN_BUILTINS: Final = frozenset(
    {"regex.match", "regex.find_n", "regex.replace", "regex.find_all_string_submatch_n"}
)
_PATTERN_ARGUMENT: Final = {"regex.replace": 1}  # it names the text first
_VERBS: Final = re.compile(r"%(?:[sdv%]|(?P<other>.[^ ]{0,8}|$))", re.DOTALL)


@cache
def default_capabilities() -> Mapping[str, Any]:
    """What bundles without a `capabilities.json` may call. Its `forbidden` explains the rest."""
    document: Mapping[str, Any] = json.loads(
        FilePath(__file__).with_name("default_capabilities.json").read_text(encoding="utf-8")
    )
    return document


def find_faults(bundle: Bundle, modules: Sequence[Module], broken: Sequence[ParseFault]) -> list[Fault]:
    """Everything that is wrong with a bundle, by file and line. `modules` and `broken` are its parsed modules.

    Raises BundleError where `capabilities.json` itself cannot be read.
    """
    faults = [_syntax_fault(fault, bundle.modules[fault.name]) for fault in broken]
    rules = RuleBook(modules)
    capabilities = Capabilities(bundle.capabilities or default_capabilities())
    for module in modules:
        calls = _call_findings(module, rules, capabilities)
        negations = (
            (node, "undefinable_negation", (text,)) for node, text in undefinable_negations(module, rules, bundle.data)
        )
        faults += (
            fault_at(module.name, place_of(module, node), code, *values)
            for node, code, values in islice(chain(calls, negations), MAX_FAULTS)
        )
    faults += islice(_data_faults(bundle.data, rules), MAX_FAULTS)
    if not broken:  # the entry point may stand in the module that does not parse
        faults += _entrypoint_faults(bundle.entrypoint, rules)
    return sorted(set(faults), key=lambda fault: (fault.file, fault.line, fault.column, fault.code))


def _syntax_fault(fault: ParseFault, text: str) -> Fault:
    place = (fault.line, fault.column)
    lines = text.split("\n")
    rest = lines[fault.line - 1][max(fault.column - 1, 0) :] if 0 < fault.line <= len(lines) else ""
    if rest.startswith(('$"', "$`")):
        return fault_at(fault.name, place, "string_interpolation")
    return fault_at(fault.name, place, "syntax_error", fault.message)


class Capabilities:
    """What one bundle may call, and what is said about the rest.

    `builtins` holds names, or objects as in OPA's format; operators stand there under OPA's names for them
    (`div`, `internal.member_2`). `forbidden` maps a name, or `io.jwt.*` for a family, to its reason: one text,
    or one in `en` and one in `ja`. Raises BundleError where the document is not that.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        default = default_capabilities()
        self._always = {name for name, reason in default["forbidden"].items() if reason.get("always")}
        self._arities = {name: reason["args"] for name, reason in default["forbidden"].items()}
        self._arities |= {str(one["name"]): _declared_arity(one) for one in default["builtins"]}
        try:
            own = document["builtins"]
            self._arities |= {str(one["name"]): _declared_arity(one) for one in own if not isinstance(one, str)}
            self._permitted = {one if isinstance(one, str) else str(one["name"]) for one in own}
            reasons = {**default["forbidden"], **document.get("forbidden", {})}
            self._reasons = {name: _both_languages(reason) for name, reason in reasons.items()}
        except (LookupError, TypeError, AttributeError):
            raise BundleError(
                "`builtins` must be a list of names, or of objects as in OPA's capabilities", where="capabilities.json"
            ) from None

    def permits(self, name: str) -> bool:
        return name in self._permitted and name not in self._always

    def arity(self, name: str) -> int | None:
        """None where it is not known, or any number will do."""
        return self._arities.get(name)

    def refusal(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Why a builtin that is not permitted is not: a code, and what its sentence is filled with."""
        families = (one for one in self._reasons if one.endswith(".*") and name.startswith(one[:-1]))
        reason = self._reasons.get(name) or self._reasons.get(next(families, ""))
        if reason is not None:
            return "forbidden_builtin", (name, *reason)
        return ("unlisted_builtin" if name in self._arities else "unknown_function"), (name,)


def _both_languages(reason: str | Mapping[str, str]) -> tuple[str, str]:
    return (reason, reason) if isinstance(reason, str) else (str(reason["en"]), str(reason["ja"]))


def _declared_arity(builtin: Mapping[str, Any]) -> int | None:
    declared = builtin.get("decl", {})
    return None if "variadic" in declared else len(declared.get("args") or [])


def _call_findings(module: Module, rules: RuleBook, capabilities: Capabilities) -> Iterator[Finding]:
    for kind, node in nodes_below(module.tree["rules"]):
        if kind == "Call":
            for code, values in _one_call(module.name, rules, capabilities, node["Call"]):
                yield node, code, values
        elif kind in _OPERATORS:
            name = _operator_name(kind, node[kind])
            if not capabilities.permits(name):
                yield node, *capabilities.refusal(name)


def _operator_name(kind: str, body: Node) -> str:
    if kind == "Membership":
        return "internal.member_2" if body["key"] is None else "internal.member_3"
    return _OPERATORS[kind].get(body["op"], str(body["op"]))


def _one_call(module: str, rules: RuleBook, capabilities: Capabilities, call: Node) -> Iterator[Complaint]:
    reference, arguments = reference_of(call["fcn"]), call["params"]
    if reference is None:
        yield "unknown_function", ("…",)
        return
    found = rules.absolute(module, reference)
    if found is None:
        yield from _builtin_call(str(reference), arguments, capabilities)
        return
    arities = rules.functions.get(found[0]) if found[1] else None
    if arities is None:
        yield "unknown_function", (reference,)
    elif len(arguments) not in arities:
        yield "wrong_arity", (reference, len(arguments), " / ".join(str(arity) for arity in sorted(arities)))


def _builtin_call(name: str, arguments: Sequence[Node], capabilities: Capabilities) -> Iterator[Complaint]:
    takes = capabilities.arity(name)
    if not capabilities.permits(name):
        yield capabilities.refusal(name)
    elif name == "walk":
        if len(arguments) != 2:  # noqa: PLR2004  # the value, and where path and part go to
            yield "walk_without_output", ()
    elif takes is not None and len(arguments) != takes:
        yield "wrong_arity", (name, len(arguments), takes)
    else:
        yield from _literals(name, arguments)


def _literals(name: str, arguments: Sequence[Node]) -> Iterator[Complaint]:
    if name == "sprintf" and arguments:
        text = constant_text(arguments[0])
        other = None if text is None else next((m[0] for m in _VERBS.finditer(text) if m["other"] is not None), None)
        if text is None or other is not None:
            yield "format_verbs", ("…" if text is None else other,)
    elif name in _PATTERN_BUILTINS and len(arguments) > _PATTERN_ARGUMENT.get(name, 0):
        pattern = constant_text(arguments[_PATTERN_ARGUMENT.get(name, 0)])
        found = None if pattern is None else _DIFFERING_CLASSES.search(pattern)
        if found is not None:
            yield "pattern_classes", (found[0],)


def _data_faults(data: Mapping[str, Any], rules: RuleBook) -> Iterable[Fault]:
    """Attack: a datum at the path of a rule, which answers in its place. OPA refuses such a bundle."""
    for path in rules.paths():
        at: Any = data
        for step in path[1:]:
            if not isinstance(at, dict):  # a value stands above the rule: it hides the package
                yield fault_at("data", (0, 0), "data_in_place_of_rule", ".".join(path))
                break
            if step not in at:
                break
            at = at[step]
        else:
            yield fault_at("data", (0, 0), "data_in_place_of_rule", ".".join(path))


def _entrypoint_faults(entrypoint: str, rules: RuleBook) -> Iterable[Fault]:
    definitions = rules.definitions(("data", *entrypoint.split("/")))
    name = "data." + entrypoint.replace("/", ".")
    if not definitions:
        yield fault_at(".manifest", (0, 0), "no_entrypoint", name)
    elif any(one.arity is not None for one in definitions):
        yield fault_at(".manifest", (0, 0), "entrypoint_is_function", name)
