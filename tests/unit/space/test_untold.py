"""What stands in no literal of a policy and can be seen by it all the same is refused, or counted out as the engine has it.

Each of these policies was counted out wrongly once: its table gave another answer than the engine.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from pdp.errors import SpaceError
from tests.oracle.documents import set_at
from tests.unit.space.policy import HEAD, build, bundle_of
from tests.unit.table.policies import encoded, engine_answers, fine, policy

TIME = "2026-01-01T00:00:00Z"
REGISTERED = "if input.device.registered"
REFUSED = (
    # How often a word stands in a list, and where.
    ("fine if { every i, w in input.context.risk { i == 0 } }", "places of words"),
    ("fine if { every _, w in input.context.risk { w != 1 } }", "places of words"),
    # The places of a list are numbers that stand nowhere.
    ('fine if { ["a", "b", "c"][i] != "a"; input.subject.auth_age_min == i }', "a place in a list"),
    ('fine if { some i, w in ["a", "b"]; w != "a"; input.subject.auth_age_min == i }', "a place in a list"),
    ('fine if { every i, w in ["a", "b", "c"] { input.subject.auth_age_min != i + 0 } }', "makes a value"),
    # The names and keys that are there only while a policy is counted out.
    ("fine if not input.sekisho_space", "not a name for a policy"),
    ('fine if input["sekisho\\u005fspace_shelf"] >= 0', "not a name for a policy"),
    ("fine if not data.sekisho_space.answer", "not a name for a policy"),
    (f"sekisho_space_1 {REGISTERED}\n\nfine if sekisho_space_1", "not a name for a policy"),
    ("fine if count(data.lib) == 1", "a whole package"),
    ("fine if { some name, _ in data.lib; name in input.subject.roles }", "a whole package"),
    # A function of the policy that has a builtin's name.
    ('count(x) := 0 if "a" in x\n\nfine if count(input.resource.departments) == 0', "cannot be counted out"),
    # Rules that cannot be asked for by their name: `x.a-1` is a difference.
    (f'x["a-1"] := true {REGISTERED}\n\nfine if x["a-1"]', "cannot be asked for"),
    # JSON has texts for keys.
    (f'x := {{1: 4}} {REGISTERED} else := {{"1": 4}}\n\nfine if x[1]', "keys that are no texts"),
    # One time told from another, behind the answer that may hand it on.
    ("fine if { x := [input.context.work_permit_until]; x[0] in input.subject.roles }", "tell times apart"),
    ("fine if { x := [input.context.work_permit_until]; input.context.country == x[0] }", "tell times apart"),
    ("fine if { input.context.country == f(1) }\n\nf(_) := input.context.work_permit_until", "tell times apart"),
    (f'x := {{"a": input.context.work_permit_until}}\n\ny := "{TIME}"\n\nfine if x.a == y', "tell times apart"),
    ('x := {input.context.work_permit_until, "20-"}\n\nfine if [w | some w in x][0] == "20-"', "tell times apart"),
)
LIB = "package lib\n\na := 1 if input.device.registered else := 2\n"


@pytest.mark.parametrize(("body", "why"), REFUSED)
def test_what_a_policy_could_tell_and_its_facts_cannot_is_refused(body: str, why: str) -> None:
    with pytest.raises(SpaceError, match=why):
        build(bundle_of(body, None, **{"lib.rego": LIB}))


def test_an_answer_that_is_no_verdict_is_refused() -> None:
    with pytest.raises(SpaceError, match="no verdict"):
        build(policy("package pdp\n\ndecision contains input.device.class\n"))


EXACT = (
    # The keys of an object are texts too, and so is what the schema lets be nothing else.
    "fine if input.context.country == input.schema",
    "fine if { some k, _ in input.action; k in input.subject.roles }",
    "fine if input.context.country in object.keys(input.context.sources)",
    "x.a := 1\n\nfine if { some k, _ in x; k in input.subject.roles }",
    # A name that the rule takes for itself is not the rule of that name.
    'x := "a"\n\nfine if { x := "b"; x in input.subject.roles }',
    'x := "a"\n\nf(x) if x in input.subject.roles\n\nfine if f("b")',
    # Members that are named by what has to be escaped.
    f'deny contains "a\\\\b" {REGISTERED}\n\nfine if count(deny) == 0',
    f"deny contains `a\\b` {REGISTERED}\n\nfine if count(deny) == 0",
    # A member of a set by its name.
    f'deny contains "X" {REGISTERED}\n\nfine if deny["X"]',
    f'deny contains "X" {REGISTERED}\n\nfine if not deny.X',
    f'x := {{"a": {{"X"}}}} {REGISTERED} else := {{"a": {{"Y"}}}}\n\nfine if x.a.X',
    # JSON has an array for a set.
    f'x := {{"a": {{1}}}} {REGISTERED} else := {{"a": [1]}}\n\nfine if is_set(x.a)',
    # `else` in a rule that is no rule of its package, and a default in another file.
    f"x.b := true {REGISTERED} else := false if input.device.shared\n\nfine if x.b",
    f"p := false {REGISTERED} else := false if input.device.shared\n\nfine if p",
)
CHANGES: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("device", "registered"): (True, False),
    ("device", "shared"): (True, False),
    ("subject", "roles"): ([], ["a"], ["b"], ["name"]),
    ("context", "country"): ("JP", "pdp.input/v1", "posture"),
}


@pytest.mark.parametrize("body", EXACT)
def test_what_facts_can_tell_is_what_the_engine_says(body: str) -> None:
    of, documents = bundle_of(body, None, **{"z.rego": "package pdp\n\ndefault p := true\n"}), []
    space = build(of)
    for values in itertools.product(*CHANGES.values()):
        document = fine()
        for path, value in zip(CHANGES, values, strict=True):
            set_at(document, path, value)
        documents.append(document)
    outcomes = set()
    for document, said in zip(documents, engine_answers(of, [encoded(one) for one in documents]), strict=True):
        assert isinstance(said, bytes)
        assert space.judge(document) == json.loads(said), document
        outcomes.add(json.loads(said)["outcome"])
    assert outcomes == {"allow", "deny"}


def test_numbers_by_the_keys_of_data_are_still_counted_out() -> None:
    data = {"limits": {"JP": 5, "x": 2.5}}
    body = "fine if { some k, v in data.limits; k == input.context.country; input.device.posture.age_hours < v }"
    assert {fact.name for fact in build(bundle_of(body, data)).facts.values()} == {
        "context.country",
        "device.posture.age_hours",
    }


def test_a_time_is_handed_on_beside_a_text_that_is_held_against_a_constant() -> None:
    """The refusals of times must not take the ordinary policy's table away."""
    end = '{"outcome": "limit", "reasons": ["OK"], "obligations": {"end_at": input.context.work_permit_until}}'
    body = f'decision := {end} if {{ input.context.country == "JP"; "a" in input.subject.roles }}\n'
    space = build(policy(HEAD.partition('decision := {"outcome": "allow"')[0] + body))
    document = fine()
    set_at(document, ("context", "work_permit_until"), TIME)
    set_at(document, ("subject", "roles"), ["a"])
    assert space.judge(document)["obligations"] == {"end_at": TIME}
