"""From a decision space to the rule model: the fewest rules for every system and class of device.

Covers are found for the ordinary case first, then for what is more while the source of posture is down, then for
disaster mode, so that the rules of every day do not depend on those of bad days. Within each, allows of different
controls are covered apart, because a rule carries one set of controls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, partial
from operator import eq
from typing import TYPE_CHECKING, Any, Final

from pdp.explain.fact_words import fact_words, value_words
from pdp.export.catalogue import office_of
from pdp.export.controls import controls_of
from pdp.export.cover import cover
from pdp.model.rules import (
    SCHEMA,
    Condition,
    Fact,
    Profile,
    Reason,
    Resource,
    Rule,
    RuleModel,
    Trace,
    Words,
    section_of,
    short_digest,
)
from pdp.space.facts import DEPARTMENTS, ORGANISATION, UNKNOWN
from pdp.space.space import PERMITTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pdp.export.cover import Cube
    from pdp.model.directory import CatalogueRow
    from pdp.model.input import Resource as ResourceFacts
    from pdp.model.rules import FactValue, Mode, Section
    from pdp.space.space import DecisionSpace

METHOD: Final = "prime and irredundant cover of the decision diagram, many-valued (espresso EXPAND, IRREDUNDANT)"
_CLASS: Final = "device.class"
_PROFILED: Final[tuple[Section, ...]] = ("user", "device", "posture")
_NAMED: Final = ("first", "later", "none", "nobody")


def build_model(space: DecisionSpace, resources: Sequence[tuple[CatalogueRow, ResourceFacts]], at: str) -> RuleModel:
    """The rules of these systems, each with its facts on the day `at`. In the order of the resources' ids."""
    builder = _Builder(space)
    listed = sorted((builder.resource(row, facts) for row, facts in resources), key=lambda one: one.id)
    rules = [rule for one in listed for rule in builder.rules(one)]
    return RuleModel(
        schema=SCHEMA,
        policy_revision=space.bundle.revision,
        policy_digest=space.bundle.digest,
        at=at,
        method=METHOD,
        facts=tuple(_fact(space, name) for name in space.levels),
        resources=tuple(listed),
        profiles=tuple(sorted(builder.profiles.values(), key=lambda one: one.id)),
        reasons=_reasons(space, rules),
        rules=tuple(rules),
        office=office_of(space.bundle),
    )


def restriction(space: DecisionSpace, given: Iterable[Condition]) -> tuple[dict[int, int], int]:
    """What is given, as facts with one value and as a set of vectors for those with several."""
    fixed: dict[int, int] = {}
    among = space.diagram.true
    for condition in given:
        level = space.levels.get(condition.fact)
        if level is None:
            continue
        values = space.facts[level].values
        if len(condition.values) == 1:
            fixed[level] = values.index(condition.values[0])
        else:
            among = space.diagram.both(among, space.where(condition.fact, condition.values))
    return fixed, among


@dataclass(frozen=True, slots=True)
class _Product:
    """A rule of every system that has these facts; which one it is does not matter yet."""

    device_class: str
    controls: dict[str, Any]
    mode: Mode
    conditions: tuple[Condition, ...]
    codes: tuple[str, ...]
    traces: tuple[Trace, ...]
    vectors: str


class _Builder:
    def __init__(self, space: DecisionSpace) -> None:
        self._space = space
        self._diagram = space.diagram
        self.profiles: dict[str, Profile] = {}
        self._signed = self._diagram.mapped(space.verdict, _signature)
        self._covers: dict[tuple[Condition, ...], list[_Product]] = {}

    def resource(self, row: CatalogueRow, facts: ResourceFacts) -> Resource:
        named = _NAMED if facts.departments else ("open", "open-nobody")
        given = [
            Condition("resource.group", (facts.group,)),
            Condition("resource.segment", (facts.segment,)),
            Condition("resource.status", (facts.status,)),
            Condition(DEPARTMENTS, named),
            Condition(ORGANISATION, ("named", "none")),
        ]
        return Resource(
            id=row.id,
            title=Words(row.title_ja or row.id, row.title_en or row.id),
            group=facts.group,
            segment=facts.segment,
            status=facts.status,
            departments=tuple(facts.departments),
            organisations=tuple(row.organisations),
            given=tuple(one for one in given if one.fact in self._space.levels),
        )

    def rules(self, resource: Resource) -> list[Rule]:
        """The rules of one system, in a fixed order."""
        if resource.given not in self._covers:
            self._covers[resource.given] = list(self._products(resource.given))
        made = [self._rule(resource, product) for product in self._covers[resource.given]]
        return sorted(made, key=lambda rule: (self._class_number(rule.device_class), rule.mode != "ordinary", rule.id))

    def _class_number(self, name: str) -> int:
        return self._space.facts[self._space.levels[_CLASS]].values.index(name)

    def _products(self, given: Sequence[Condition]) -> Iterable[_Product]:
        space, diagram = self._space, self._diagram
        fixed, among = restriction(space, given)
        for number, name in enumerate(space.facts[space.levels[_CLASS]].values):
            here = {**fixed, space.levels[_CLASS]: number}
            root = diagram.given(self._signed, here)
            verdict = cache(partial(diagram.given, space.verdict, here))  # large; where nothing is allowed, not needed
            found = (diagram.payload(leaf) for leaf in diagram.leaves(root))
            for signature in sorted(text for text in found if text is not None):
                allowed = diagram.mapped(root, partial(eq, signature))
                for mode, cube in self._covered(allowed, among):
                    conditions = self._conditions(given, cube)
                    codes, traces = self._why(verdict(), here, among, cube, conditions)
                    size = str(self._size(here, among, cube))
                    yield _Product(str(name), json.loads(signature), mode, conditions, codes, traces, size)

    def _covered(self, allowed: int, among: int) -> Iterable[tuple[Mode, Cube]]:
        diagram = self._diagram
        order = sorted(diagram.sizes, reverse=True)
        within = diagram.either(allowed, diagram.negated(among))
        left = diagram.both(allowed, among)
        for mode, when in self._modes():
            cubes = cover(diagram, diagram.both(left, when), within, order)
            left = diagram.without(left, diagram.any_of([diagram.cube(cube) for cube in cubes]))
            yield from ((mode, cube) for cube in cubes)

    def _modes(self) -> list[tuple[Mode, int]]:
        space = self._space
        quiet = space.where("context.disaster_mode", [False, UNKNOWN])
        answering = space.where("context.sources.posture", ["ok"])
        return [
            ("ordinary", self._diagram.both(quiet, answering)),
            ("degraded", quiet),
            ("disaster", self._diagram.true),
        ]

    # One rule.

    def _rule(self, resource: Resource, product: _Product) -> Rule:
        by_section: dict[Section, list[Condition]] = {}
        for condition in product.conditions:
            by_section.setdefault(section_of(condition.fact), []).append(condition)
        users, device, posture = (
            self._profile(section, by_section.pop(section, []), resource) for section in _PROFILED
        )
        rest = tuple(one for section in by_section.values() for one in section)
        said = short_digest([resource.id, product.device_class, product.controls, users, device, posture, sorted(rest)])
        words = value_words(_CLASS, product.device_class)
        return Rule(
            id=f"{resource.id}.{product.device_class}.{said}",
            resource=resource.id,
            device_class=product.device_class,
            users=users,
            device=device,
            posture=posture,
            conditions=rest,
            controls=product.controls,
            mode=product.mode,
            codes=product.codes,
            traces=product.traces,
            vectors=product.vectors,
            title=Words(f"{resource.title.ja}／{words.ja}", f"{resource.title.en}, {words.en}"),
        )

    def _conditions(self, given: Sequence[Condition], cube: Cube) -> tuple[Condition, ...]:
        """The conditions that the product says, without what is given of the system anyway."""
        known = {one.fact: one.values for one in given}
        found = []
        for level in sorted(cube):
            fact = self._space.facts[level]
            values = tuple(fact.values[number] for number in sorted(cube[level]))
            if fact.name in known:
                values = tuple(value for value in values if value in known[fact.name])
                if values == tuple(value for value in fact.values if value in known[fact.name]):
                    continue
            found.append(Condition(fact.name, values))
        return tuple(found)

    def _profile(self, section: Section, conditions: Sequence[Condition], resource: Resource) -> str:
        if not conditions:
            return ""
        asked = {condition.fact for condition in conditions}
        departments = resource.departments if DEPARTMENTS in asked else ()
        organisations = resource.organisations if ORGANISATION in asked else ()
        beginning = {"user": "users"}.get(section, section)
        profile_id = f"{beginning}-{short_digest([sorted(conditions), departments, organisations])}"
        self.profiles[profile_id] = Profile(
            profile_id,
            section,
            tuple(conditions),
            conditions_words(conditions, departments),
            departments,
            organisations,
        )
        return profile_id

    def _size(self, here: Mapping[int, int], among: int, cube: Cube) -> int:
        levels = [level for level in self._space.facts if level not in here]
        return self._diagram.size_of(self._diagram.both(self._diagram.cube(cube), among), levels)

    # Why.

    def _why(
        self, verdict: int, here: Mapping[int, int], among: int, cube: Cube, conditions: Sequence[Condition]
    ) -> tuple[tuple[str, ...], tuple[Trace, ...]]:
        space, diagram = self._space, self._diagram
        inside = diagram.both(diagram.cube(cube), among)
        vector = dict.fromkeys(space.facts, 0) | (space.find(inside) or {}) | dict(here)
        codes: dict[str, None] = {}
        for leaf in diagram.leaves(diagram.paired(inside, verdict, lambda _, text: text, stop=False)):
            text = diagram.payload(leaf)
            codes |= dict.fromkeys(json.loads(text)["reasons"] if text is not False else ())
        return tuple(sorted(codes)), tuple(self._trace(vector, condition) for condition in conditions)

    def _trace(self, vector: Mapping[int, int], condition: Condition) -> Trace:
        """The codes that the policy gives for one vector of the rule, with another value of this fact."""
        level = self._space.levels[condition.fact]
        codes: dict[str, None] = {}
        for number, value in enumerate(self._space.facts[level].values):
            if value not in condition.values:
                verdict = self._space.verdict_of({**vector, level: number})
                if verdict["outcome"] not in PERMITTED:
                    codes |= dict.fromkeys(verdict["reasons"])
        return Trace(condition.fact, tuple(codes))


def _reasons(space: DecisionSpace, rules: Sequence[Rule]) -> tuple[Reason, ...]:
    codes = {code for rule in rules for code in rule.codes}
    codes |= {code for rule in rules for trace in rule.traces for code in trace.codes}
    known = space.bundle.reasons
    return tuple(
        Reason(code, known[code].where, Words(known[code].admin.ja, known[code].admin.en))
        for code in sorted(codes)
        if code in known
    )


def conditions_words(conditions: Sequence[Condition], departments: Sequence[str] = ()) -> Words:
    """Conditions as one line for people."""
    ja, en = [], []
    for condition in conditions:
        name = fact_words(condition.fact)
        values = [value_words(condition.fact, value) for value in condition.values]
        if condition.fact == DEPARTMENTS and departments:
            ja.append(f"{name.ja}: {'、'.join(departments)}")
            en.append(f"{name.en}: {', '.join(departments)}")
            continue
        ja.append(f"{name.ja}: {'、'.join(value.ja for value in values)}")
        en.append(f"{name.en}: {', '.join(value.en for value in values)}")
    return Words("；".join(ja), "; ".join(en))


def _signature(text: str) -> str | None:
    """The controls of an allow, as JSON; None for anything else."""
    if json.loads(text)["outcome"] not in PERMITTED:
        return None
    return json.dumps(controls_of(text), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _fact(space: DecisionSpace, name: str) -> Fact:
    fact = space.facts[space.levels[name]]
    title = fact_words(name)
    words: list[FactValue] = list(fact.values)
    shown = [value_words(name, value) for value in words]
    return Fact(
        name, section_of(name), fact.values, Words(title.ja, title.en), tuple(Words(one.ja, one.en) for one in shown)
    )
