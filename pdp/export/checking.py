"""Is what was exported ever wider than the policy? Every vector of every system, by the vendor's own reading.

The target's interpreter reads the files back and says what they let through, as a set; the policy's decision space says
what it permits, as a set; both are compared exactly. What the files let through and the policy does not is unsound,
and one vector is enough to refuse the export. So is what they let through without a control that the policy attaches
to it, or with a weaker one: a longer session, say. What the policy permits and the files do not is the gap: it stays
denied, and the report says how large it is and why.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp import __version__
from pdp.errors import ExportError
from pdp.export.building import conditions_words, restriction
from pdp.export.catalogue import office_of
from pdp.export.controls import demands_of
from pdp.export.cover import cover
from pdp.export.port import LeftOut
from pdp.export.sieves import SpaceRegion, SpaceSieve
from pdp.model.rules import Condition, FactValue, RuleModel, Words, encode, section_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.export.controls import Demand
    from pdp.export.port import Exported, Interpreter
    from pdp.model.rules import Resource
    from pdp.space.diagram import Vector
    from pdp.space.space import DecisionSpace

SCHEMA: Final = "sekisho.export/v1"
CERTIFICATE: Final = "certificate.json"
MODEL: Final = "model.json"
GAPS: Final = "gaps.json"
MAX_GAP_LINES: Final = 12  # products that the gap of one system is told by, at most


class Counterexample(msgspec.Struct, frozen=True):
    """One vector that the files let through and the policy does not. Facts that do not matter are not named."""

    resource: str
    facts: dict[str, FactValue]
    words: Words
    policy: str  # the policy's outcome
    codes: tuple[str, ...]
    controls: dict[str, str | int] = {}  # that the policy attaches and nobody carries out as strictly


class Gap(msgspec.Struct, frozen=True):
    """A part of what the policy permits and the files do not: it stays denied. `vectors` in decimal.

    `users` and `devices`: how many of the directory it can concern; None where no directory was given.
    """

    resource: str
    conditions: tuple[Condition, ...]
    words: Words
    vectors: str
    users: int | None = None
    devices: int | None = None


class Counts(msgspec.Struct, frozen=True):
    """Vectors of one system, in decimal. Of facts that are given at the enforcement point only those values count."""

    resource: str
    vectors: str
    permitted: str  # by the policy
    exported: str  # let through by the files
    unsound: str  # let through and not permitted
    gap: str  # permitted and not let through


class Report(msgspec.Struct, frozen=True):
    """`sound`: no vector is let through that the policy does not permit."""

    counts: tuple[Counts, ...]
    counterexamples: tuple[Counterexample, ...]
    gaps: tuple[Gap, ...]

    @property
    def sound(self) -> bool:
        return all(one.unsound == "0" for one in self.counts) and not self.counterexamples


class Inputs(msgspec.Struct, frozen=True):
    """What an export was made from besides the policy: digests in hex, empty where nobody says."""

    mapping_sha256: str = ""
    directory_sha256: str = ""


class Certificate(msgspec.Struct, frozen=True):
    """What was compared with what, and how it came out. Goes with the export; `verify` holds the files against it."""

    schema: str
    target: str
    policy_revision: str
    policy_digest: str
    model_sha256: str
    at: str
    rules: int
    left_out: int
    given: dict[str, FactValue]
    counts: tuple[Counts, ...]
    unsound: str
    gap: str
    files: dict[str, str]  # path to SHA-256, of every file but this one and its signatures
    tool: str  # `sekisho` and its version
    mapping_sha256: str  # of the mapping as canonical JSON: whose ids these are
    directory_sha256: str  # of the people, devices and systems that the export was made for (`population.digest_of`)


def check(space: DecisionSpace, model: RuleModel, interpreter: Interpreter) -> Report:
    """Compare for every system. Raises SpaceError where the interpreter asks for a fact that is not there.

    Raises ExportError for a model with other office hours than the policy's: interpreters read schedules by them.
    """
    if model.office != office_of(space.bundle):
        raise ExportError("the office hours of the rule model are not the policy's", where=MODEL)
    sieve = SpaceSieve(space)
    counts, counterexamples, gaps = [], [], []
    for resource in model.resources:
        permitted, universe, fixed = _policy(space, resource, interpreter.given)
        let_through = interpreter.permitted(resource.id, sieve)
        if not isinstance(let_through, SpaceRegion):
            raise TypeError("an interpreter answers with a region of the sieve that it was given")
        diagram = space.diagram
        exported = diagram.both(diagram.given(let_through.root, fixed), universe)
        gap = diagram.without(permitted, exported)
        weak = _weak(space, interpreter, resource, exported, fixed)
        unsound = diagram.either(diagram.without(exported, permitted), diagram.any_of([root for _, root in weak]))
        levels = [level for level in space.facts if level not in fixed]
        sizes = [str(diagram.size_of(root, levels)) for root in (universe, permitted, exported, unsound, gap)]
        counts.append(Counts(resource.id, *sizes))
        found = space.find(unsound)
        if found is not None:
            whole = dict.fromkeys(space.facts, 0) | fixed | dict(found)
            missing = {one.control: one.value for one, root in weak if diagram.at(root, whole) is True}
            counterexamples.append(_counterexample(space, resource, {**fixed, **found}, missing))
        gaps += _gaps(space, resource, gap, universe, levels)
    return Report(tuple(counts), tuple(counterexamples), tuple(gaps))


def certify(  # noqa: PLR0913  # all that a certificate binds together
    model: RuleModel,
    target: str,
    exported: Exported,
    report: Report,
    *,
    given: Mapping[str, FactValue],
    inputs: Inputs,
) -> Certificate:
    """The certificate of a sound export. Raises ValueError for one that is not."""
    if not report.sound:
        raise ValueError("an unsound export has no certificate")
    files = {path: hashlib.sha256(text).hexdigest() for path, text in sorted(exported.files.items())}
    return Certificate(
        schema=SCHEMA,
        target=target,
        policy_revision=model.policy_revision,
        policy_digest=model.policy_digest,
        model_sha256=hashlib.sha256(encode(model)).hexdigest(),
        at=model.at,
        rules=len(model.rules),
        left_out=len(exported.left_out),
        given=dict(sorted(given.items())),
        counts=report.counts,
        unsound="0",
        gap=str(sum(int(one.gap) for one in report.counts)),
        files=files,
        tool=f"sekisho {__version__}",
        mapping_sha256=inputs.mapping_sha256,
        directory_sha256=inputs.directory_sha256,
    )


def mapping_digest(mapping: Mapping[str, Any]) -> str:
    """SHA-256 of a mapping as canonical JSON, in hex: equal mappings, however their YAML is written."""
    text = json.dumps(mapping, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class GapReport(msgspec.Struct, frozen=True):
    """Why something stays denied, and how much: rules that the target cannot say, and what is not let through."""

    target: str
    left_out: tuple[LeftOut, ...]
    gaps: tuple[Gap, ...]
    remarks: tuple[Words, ...]


def _policy(
    space: DecisionSpace, resource: Resource, given: Mapping[str, FactValue]
) -> tuple[int, int, dict[int, int]]:
    """What the policy permits for this system, among which vectors, with which facts fixed."""
    _refuse_given(space, resource, given)
    fixed, among = restriction(space, (*resource.given, *(Condition(name, (value,)) for name, value in given.items())))
    diagram = space.diagram
    universe = diagram.both(diagram.given(space.possible, fixed), diagram.given(among, fixed))
    return diagram.both(diagram.given(space.permit, fixed), universe), universe, fixed


def _refuse_given(space: DecisionSpace, resource: Resource, given: Mapping[str, FactValue]) -> None:
    """Raises ExportError. Attack: what is given is not compared, so a word that means nothing, or that makes a system
    another one, would take the very accesses out of the comparison that the files let through.
    """
    own = {one.fact: one.values for one in resource.given}
    for name, value in given.items():
        try:
            section_of(name)
        except KeyError:
            raise ExportError(f"`given`: there is no fact `{name}`") from None
        if own.get(name, (value,)) != (value,):
            raise ExportError(f"`given`: `{name}` is a fact of `{resource.id}` itself")
        level = space.levels.get(name)  # none: a fact that this policy does not read
        values = () if level is None else space.facts[level].values
        if level is not None and not any(value == one and type(value) is type(one) for one in values):
            raise ExportError(f"`given`: `{name}` has no value `{value}`")


def _weak(
    space: DecisionSpace, interpreter: Interpreter, resource: Resource, exported: int, fixed: Mapping[int, int]
) -> list[tuple[Demand, int]]:
    """The controls that are not carried out, each with what is let through without it."""
    diagram, sieve, found = space.diagram, SpaceSieve(space), []
    for demand in demands_of(space):
        asked = diagram.both(diagram.given(demand.root, fixed), exported)
        if asked == diagram.false:
            continue
        unbound = interpreter.unbound(resource.id, demand.control, demand.value, sieve)
        if not isinstance(unbound, SpaceRegion):
            raise TypeError("an interpreter answers with a region of the sieve that it was given")
        root = diagram.both(asked, diagram.given(unbound.root, fixed))
        if root != diagram.false:
            found.append((demand, root))
    return found


def _counterexample(
    space: DecisionSpace, resource: Resource, vector: Vector, missing: Mapping[str, str | int]
) -> Counterexample:
    whole = dict.fromkeys(space.facts, 0) | dict(vector)
    verdict = space.verdict_of(whole)
    facts = space.named(vector)
    words = conditions_words([Condition(name, (value,)) for name, value in facts.items()])
    return Counterexample(resource.id, dict(facts), words, verdict["outcome"], tuple(verdict["reasons"]), dict(missing))


def _gaps(space: DecisionSpace, resource: Resource, gap: int, universe: int, levels: Sequence[int]) -> list[Gap]:
    """The gap of one system as products; the largest ones where there are many."""
    diagram = space.diagram
    if gap == diagram.false:
        return []
    within = diagram.either(gap, diagram.negated(universe))
    found = []
    for cube in cover(diagram, gap, within, sorted(levels, reverse=True), most=MAX_GAP_LINES):
        conditions = tuple(
            Condition(space.facts[level].name, tuple(space.facts[level].values[n] for n in sorted(cube[level])))
            for level in sorted(cube)
        )
        size = diagram.size_of(diagram.both(diagram.cube(cube), gap), levels)
        found.append((size, Gap(resource.id, conditions, conditions_words(conditions), str(size))))
    return [one for _, one in sorted(found, key=lambda pair: (-pair[0], pair[1].conditions))]
