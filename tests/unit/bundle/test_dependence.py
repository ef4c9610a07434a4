from __future__ import annotations

from itertools import product

import regorus

from pdp.bundle.dependence import steps_of
from pdp.engine.syntax import parse_modules

POLICY = """package pdp

import data.lib

default decision := "deny"

decision := "allow" if {
	young
	not lib.far
	level(input.subject) > 1
}

young if input.device.age < limit

limit := 24

device := input.device

own if device.owner == input.subject.id
"""
LIBRARY = """package lib

far if input.context.zone != "office"

unused if input.context.country == "JP"
"""


def steps(**modules: str):
    parsed, broken = parse_modules({f"{name}.rego": text for name, text in modules.items()})
    assert not broken
    return {step.reference: step for step in steps_of(parsed, "pdp/decision")}


def test_each_rule_is_told_with_what_it_reads_itself_and_what_it_asks():
    found = steps(pdp=POLICY + "\nlevel(subject) := subject.level\n", lib=LIBRARY)
    assert list(found)[-1] == "data.pdp.decision"
    assert found["data.pdp.young"].reads == (("device", "age"),)
    assert found["data.pdp.young"].asks == (("data", "pdp", "limit"),)
    assert found["data.lib.far"].reads == (("context", "zone"),)
    decision = found["data.pdp.decision"]
    assert decision.reads == (("subject", "level"),)  # the function is followed into
    assert {("data", "pdp", "young"), ("data", "lib", "far")} <= set(decision.asks)
    assert "data.pdp.own" not in found  # nobody asks it


def test_a_rule_that_hands_a_part_of_the_input_on_is_no_step():
    text = POLICY.replace("\tlevel(input.subject) > 1\n", "\town\n")
    found = steps(pdp=text, lib=LIBRARY)
    assert "data.pdp.device" not in found
    assert set(found["data.pdp.own"].reads) == {("device", "owner"), ("subject", "id")}


def test_every_step_stands_after_those_that_it_asks():
    found = steps(pdp=POLICY.replace("\tlevel(input.subject) > 1\n", ""), lib=LIBRARY)
    seen: set[str] = set()
    for reference, step in found.items():
        assert {".".join(path) for path in step.asks} <= seen
        seen.add(reference)


def test_what_cannot_be_analysed_is_one_step_that_reads_everything():
    dotted = LIBRARY.replace("package lib", 'package lib["a.b"]')
    (step,) = steps(pdp=POLICY, lib=dotted).values()
    assert step.reads == ((),)
    assert step.reference == "data.pdp.decision"


def test_equal_reads_and_equal_answers_of_those_asked_give_one_value():
    """The invariant itself, by trying every input of a small space."""
    modules = {"pdp": POLICY.replace("\tlevel(input.subject) > 1\n", "\tinput.subject.level > 1\n"), "lib": LIBRARY}
    found = steps(**modules)
    engine = regorus.Engine()
    for name, text in modules.items():
        engine.add_policy(name, text)
    seen: dict[str, dict[object, object]] = {reference: {} for reference in found}
    for age, zone, level in product((3, 24, 30), ("office", "home"), (1, 2, 3)):
        document = {"device": {"age": age}, "context": {"zone": zone}, "subject": {"level": level, "id": "u"}}
        engine.set_input(document)
        values = {reference: str(engine.eval_query(reference)["result"]) for reference in found}
        for reference, step in found.items():
            sight = (
                tuple(str(document[path[0]].get(path[1])) for path in step.reads),
                tuple(values[".".join(path)] for path in step.asks),
            )
            assert seen[reference].setdefault(sight, values[reference]) == values[reference]
