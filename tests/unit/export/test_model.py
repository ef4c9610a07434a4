"""The rule model of the shipped policy, and the harness that holds files to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
import pytest

from pdp.errors import SpaceError
from pdp.export.building import build_model
from pdp.export.catalogue import listed_resources
from pdp.export.checking import check
from pdp.export.port import Region, Sieve
from pdp.export.sieves import DocumentSieve, SpaceSieve
from pdp.model.directory import snapshot_of
from pdp.model.rules import Condition, Rule, RuleModel, decode_model, encode, section_of
from tests.spaces import DAY, shipped_model, shipped_space


@dataclass
class Rows:
    """What a target that can say everything would let through."""

    model: RuleModel
    given: Mapping[str, Any] = field(default_factory=dict)

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        found = sieve.nothing
        for rule in self.model.rules:
            if rule.resource == resource:
                found |= sieve.holding(self.model.conditions_of(rule))
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """Without the control, or with another value of it; minutes may be fewer."""
        found = sieve.nothing
        for rule in self.model.rules:
            said = rule.controls.get(control)
            strict = said == value or (isinstance(said, int) and isinstance(value, int) and said <= value)
            if rule.resource == resource and not strict:
                found |= sieve.holding(self.model.conditions_of(rule))
        return found


def changed(change: Callable[[Rule], Rule | None]) -> RuleModel:
    rules = [change(rule) for rule in shipped_model().rules]
    return msgspec.structs.replace(shipped_model(), rules=tuple(rule for rule in rules if rule is not None))


def without(conditions: Sequence[Condition], fact: str) -> tuple[Condition, ...]:
    return tuple(one for one in conditions if one.fact != fact)


def test_the_rules_allow_exactly_what_the_policy_allows() -> None:
    report = check(shipped_space(), shipped_model(), Rows(shipped_model()))
    assert report.sound
    assert report.gaps == ()
    assert all(one.permitted == one.exported and one.unsound == one.gap == "0" for one in report.counts)
    assert sum(int(one.permitted) for one in report.counts) > 10**18


def test_two_runs_give_the_same_bytes_and_they_can_be_read_back() -> None:
    space = shipped_space()
    again = build_model(space, listed_resources(space.bundle, snapshot_of(epoch=1), DAY), DAY.isoformat())
    assert encode(again) == encode(shipped_model())
    assert decode_model(encode(again)) == again


def test_no_rule_for_every_day_asks_for_disaster_mode_or_a_source_that_is_down() -> None:
    model = shipped_model()
    for rule in model.rules:
        asked = {one.fact: one.values for one in model.conditions_of(rule)}
        if rule.mode == "ordinary":
            assert True not in asked.get("context.disaster_mode", ())
            assert "ok" in asked.get("context.sources.posture", ("ok",))


def test_private_phones_have_rules_for_communication_and_nothing_else() -> None:
    model = shipped_model()
    groups = {model.resource(rule.resource).group for rule in model.rules if rule.device_class == "byod_phone"}
    assert groups == {"communication"}


def test_a_retired_system_has_no_rule() -> None:
    ended = {one.id for one in shipped_model().resources if one.status == "ended"}
    assert "slack-trial" in ended
    assert not ended & {rule.resource for rule in shipped_model().rules}


def test_every_rule_says_why_and_where() -> None:
    model = shipped_model()
    lines = {reason.code: reason.line for reason in model.reasons}
    takeout = [trace for rule in model.rules for trace in rule.traces if trace.fact == "device.takeout"]
    assert takeout
    assert {code for trace in takeout for code in trace.codes} == {"TAKEOUT_NOT_ALLOWED"}
    assert lines["TAKEOUT_NOT_ALLOWED"].startswith("rules/pdp/device_class.rego:")
    assert all(rule.codes for rule in model.rules)


def test_ids_are_ascii_and_nobodys_twice() -> None:
    model = shipped_model()
    for ids in ([rule.id for rule in model.rules], [one.id for one in model.profiles]):
        assert len(set(ids)) == len(ids)
        assert all(one.isascii() and one == one.lower() for one in ids)
    assert max(len(one.id) for one in model.profiles) <= 16


def test_conditions_stand_in_the_section_of_their_profile() -> None:
    model = shipped_model()
    for profile in model.profiles:
        assert {section_of(one.fact) for one in profile.conditions} == {profile.section}
    for rule in model.rules:
        assert not {section_of(one.fact) for one in rule.conditions} & {"user", "posture"}


@pytest.mark.parametrize(
    "fact", ["device.takeout", "device.permit", "subject.auth_level", "context.country", "subject.employment"]
)
def test_a_dropped_condition_is_found_with_a_counterexample(fact: str) -> None:
    model = shipped_model()
    profiles = tuple(msgspec.structs.replace(one, conditions=without(one.conditions, fact)) for one in model.profiles)
    wrong = msgspec.structs.replace(
        changed(lambda rule: msgspec.structs.replace(rule, conditions=without(rule.conditions, fact))),
        profiles=profiles,
    )
    report = check(shipped_space(), model, Rows(wrong))
    assert not report.sound
    found = report.counterexamples[0]
    assert found.policy in ("deny", "step_up")
    assert found.codes
    assert found.words.ja


def test_a_widened_value_is_found_even_if_it_is_one_of_ten_million() -> None:
    def widen(rule: Rule) -> Rule:
        if rule.resource == "finance" and rule.device_class == "mobile_pc":
            return msgspec.structs.replace(rule, device_class="section_pc")
        return rule

    report = check(shipped_space(), shipped_model(), Rows(changed(widen)))
    assert [one.resource for one in report.counterexamples] == ["finance"]
    assert report.counterexamples[0].facts["device.class"] == "section_pc"


def with_control(rule: Rule, control: str, value: str | int | None) -> Rule:
    controls = {name: said for name, said in rule.controls.items() if name != control}
    return msgspec.structs.replace(rule, controls=controls if value is None else {**controls, control: value})


@pytest.mark.parametrize(
    ("control", "asked", "carried"),
    [
        ("session_max_minutes", 60, 480),
        ("session_max_minutes", 60, None),
        ("clipboard", "off", "on"),
        ("record_session", "on", None),
        ("end_at", "(work_permit_until)", None),
    ],
)
def test_a_control_that_is_weaker_than_the_policys_is_found(
    control: str, asked: str | int, carried: str | int | None
) -> None:
    def weaken(rule: Rule) -> Rule:
        return with_control(rule, control, carried) if rule.controls.get(control) == asked else rule

    report = check(shipped_space(), shipped_model(), Rows(changed(weaken)))
    assert not report.sound
    assert {one.policy for one in report.counterexamples} <= {"allow", "limit"}
    assert all(one.controls == {control: asked} for one in report.counterexamples)
    assert sum(int(one.unsound) for one in report.counts) > 0


def test_a_control_that_is_stricter_than_the_policys_is_sound() -> None:
    def tighten(rule: Rule) -> Rule:
        return with_control(rule, "session_max_minutes", 30) if "session_max_minutes" in rule.controls else rule

    assert check(shipped_space(), shipped_model(), Rows(changed(tighten))).sound


def test_a_rule_that_is_left_out_is_a_gap_and_no_fault() -> None:
    model = shipped_model()
    left = next(rule for rule in model.rules if rule.resource == "finance" and rule.mode == "ordinary")
    report = check(shipped_space(), model, Rows(changed(lambda rule: None if rule.id == left.id else rule)))
    assert report.sound
    assert {gap.resource for gap in report.gaps} == {"finance"}
    assert sum(int(one.gap) for one in report.counts) == int(
        next(c.gap for c in report.counts if c.resource == "finance")
    )


def test_first_match_with_a_default_allow_is_found_without_its_complement() -> None:
    class Open:
        given: Mapping[str, Any] = {}

        def permitted(self, resource: str, sieve: Sieve) -> Region:
            return sieve.everything

        def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
            return sieve.nothing

    report = check(shipped_space(), shipped_model(), Open())
    assert not report.sound
    assert len(report.counterexamples) == len(shipped_model().resources)


def test_what_is_given_at_the_enforcement_point_is_not_asked_elsewhere() -> None:
    given = {f"context.pep∋{word}": True for word in ("clipboard", "save")}
    report = check(shipped_space(), shipped_model(), Rows(shipped_model(), given))
    assert report.sound
    for one in report.counts:
        assert int(one.vectors) > 0


def test_both_sieves_give_one_answer() -> None:
    space, model, rng = shipped_space(), shipped_model(), Random(5)
    rows, whole = Rows(model), SpaceSieve(space)
    regions = {one.id: rows.permitted(one.id, whole) for one in model.resources[:6]}
    for _ in range(300):
        vector = {level: rng.randrange(len(fact.values)) for level, fact in space.facts.items()}
        facts = space.named(vector)
        for resource, region in regions.items():
            said: Any = rows.permitted(resource, DocumentSieve(facts))
            held: Any = region
            assert said.holds == space.diagram.at(held.root, vector)


def test_a_fact_that_the_policy_does_not_read_cannot_be_asked_for() -> None:
    for sieve in (SpaceSieve(shipped_space()), DocumentSieve({})):
        with pytest.raises(SpaceError, match=r"device\.ownership"):
            sieve.where(["device.ownership"], lambda value: value == "private")
        with pytest.raises(SpaceError, match=r"device\.ownership"):
            sieve.holding([Condition("device.ownership", ("private",))])
