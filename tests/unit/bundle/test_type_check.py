from __future__ import annotations

from pathlib import Path

import pytest

from pdp.bundle.bundle import make_bundle, read_bundle
from pdp.bundle.input_schema import SCHEMA
from pdp.bundle.type_check import type_faults
from pdp.engine.syntax import parse_modules

HEAD = "package pdp\n\n"
TEST = 'package pdp_test\n\ntest_one if data.pdp.decision == "x" with input as {}\n'


def faults(text: str, *, test: str = TEST, profile: str = "zta", data: object = None, library: str | None = None):
    modules = {"a.rego": HEAD + text} | ({} if library is None else {"lib.rego": library})
    bundle = make_bundle(
        manifest={"revision": "r", "metadata": {"profile": profile, "entrypoint": "pdp/decision"}},
        modules=modules,
        tests={"a_test.rego": test},
        data={"zta": {"parameters": {"days": 3, "list": ["a"]}}} if data is None else data,
    )
    parsed, broken = parse_modules(bundle.modules)
    tests, broken_tests = parse_modules(bundle.tests)
    assert not broken and not broken_tests
    return [(one.where, one.code, one.message_en) for one in type_faults(bundle, parsed, tests)]


def codes(text: str, **more: object) -> list[tuple[str, str]]:
    return [(where, code) for where, code, _ in faults(text, **more)]


def test_a_misspelt_fact_is_told_with_its_place_and_what_is_meant():
    ((where, code, message),) = faults('decision := "x" if {\n\tinput.devise.class == "managed_pc"\n}\n')
    assert (where, code) == ("a.rego:4:2", "misspelt_fact")
    assert "`input.device`" in message


def test_a_fact_is_followed_through_names_arguments_and_imports():
    assert codes('decision := "x" if {\n\td := input.device\n\td.postur.tampered == false\n}\n') == [
        ("a.rego:5:2", "misspelt_fact")
    ]
    assert codes('decision := "x" if f(input.subject)\n\nf(s) if s.rolles\n') == [("a.rego:5:9", "misspelt_fact")]
    assert codes('import input.contexts as c\n\ndecision := "x" if c.zone\n')[0] == ("a.rego:3:8", "misspelt_fact")


def test_a_step_into_a_text_is_an_unknown_fact():
    ((_, code, message),) = faults('decision := "x" if input.device.class.name\n')
    assert code == "unknown_fact" and "input.device.class.name" in message


def test_lists_and_whole_objects_are_no_faults():
    assert (
        codes(
            'decision := "x" if {\n\tinput.subject.roles[_] == "a"\n\tcount(input.device) > 0\n\tsome n\n\tinput.device[n]\n'
            '\tinput.context.pep[0] == "save"\n}\n'
        )
        == []
    )


@pytest.mark.parametrize(
    "condition",
    [
        'input.device.class == "laptop"',
        '"laptop" != input.device.class',
        'input.context.zone in {"office", "home"}',
        '"hacked" in input.context.risk',
        'input.device.posture.edr_running == "no"',
    ],
)
def test_a_value_that_a_fact_never_has_is_told(condition):
    ((_, code),) = codes(f'decision := "x" if {condition}\n')
    assert code == "impossible_value"


def test_texts_that_are_open_are_left_alone():
    assert (
        codes(
            'decision := "x" if {\n\tinput.context.country == "FR"\n\tinput.device.posture.tampered == "unknown"\n}\n'
        )
        == []
    )


def test_data_that_is_not_there_is_told_also_behind_a_rule_that_stands_for_it():
    rule = "parameters := data.zta.parameters\n"
    assert codes(f'decision := "x" if data.zta.parameter.days\n{rule}\nb if parameters.days\n')[0] == (
        "a.rego:3:20",
        "unknown_data",
    )
    ((_, code, message),) = faults(f'decision := "x" if parameters.day == 3\n\n{rule}')
    assert code == "unknown_data" and "parameters.day`" in message
    assert codes(f'decision := "x" if parameters.list[0] == "a"\n\n{rule}') == []
    assert (
        codes('decision := "x" if data.zta[input.device.class].days\n\nu := 1 if decision\n')[0][1]
        == "unreachable_rule"
    )


def test_rules_of_other_packages_are_there_and_misspelt_ones_are_not():
    library = "package lib.deep\n\nfine := true\n"
    assert codes('decision := "x" if data.lib.deep.fine\n', library=library) == []
    assert codes('decision := "x" if count(data.lib) > 0\n', library=library) == []
    found = codes('import data.lib.dep\n\ndecision := "x" if dep.fine\n', library=library)
    assert ("a.rego:3:8", "unknown_data") in found
    assert [where for where, code in found if code == "unknown_data"] == ["a.rego:3:8"]  # told once


def test_the_tests_of_a_bundle_are_looked_at_too():
    test = "package pdp_test\n\nimport data.pdp.decison\n\ntest_one if input.devise == decison\n"
    found = codes('decision := "x"\n', test=test)
    assert ("a_test.rego:3:8", "unknown_data") in found
    assert ("a_test.rego:5:13", "misspelt_fact") in found


def test_a_rule_that_nothing_asks_for_is_told_unless_it_carries_texts():
    text = 'decision := "x"\n\nlost if input.device.shared\n\n'
    text += "# METADATA\n# custom:\n#   code: GONE\n#   group: error\n#   fix: none\n"
    text += "#   user: {ja: x, en: x}\n#   admin: {ja: x, en: x}\ngone := true\n"
    assert codes(text) == [("a.rego:5:1", "unreachable_rule")]


def test_another_profile_has_an_input_of_its_own():
    assert codes('decision := "x" if input.devise == "laptop"\n', profile="plain") == []


def test_the_schema_knows_every_fact():
    assert SCHEMA["device", "posture", "edr_running"].values == {"unknown", "not_managed"}
    assert SCHEMA["context", "risk"].items is not None
    assert SCHEMA["context", "country"].values is None
    assert SCHEMA["subject", "auth_level"].values == frozenset()


def test_the_shipped_policy_asks_only_for_what_there_is():
    bundle = read_bundle(Path(__file__).parents[3] / "policies")
    assert type_faults(bundle, parse_modules(bundle.modules)[0], parse_modules(bundle.tests)[0]) == []


def given(text: str) -> list[tuple[str, str]]:
    """The faults of a test whose input is this."""
    return codes(
        'decision := "x"\n', test=f"package pdp_test\n\nimport data.pdp\n\ntest_one if pdp.decision == 1 with {text}\n"
    )


def test_a_misspelt_fact_in_the_input_that_a_test_gives_is_told_with_line_and_column():
    test = (
        "package pdp_test\n\nimport data.pdp\n\ntest_one if {\n"
        '\tpdp.decision == "x" with input as {\n\t\t"subject": {"kind": "staff"},\n\t\t"devise": {"class": "managed_pc"},\n\t}\n}\n'
    )
    ((where, code, message),) = faults('decision := "x"\n', test=test)
    assert (where, code) == ("a_test.rego:8:4", "misspelt_fact")
    assert "`input.devise`" in message and "`input.device`" in message


def test_objects_within_objects_and_values_are_looked_at():
    assert given('input as {"device": {"posture": {"tamperd": false}}}') == [("a_test.rego:5:70", "misspelt_fact")]
    assert given('input as {"device": {"class": "manged_pc"}}') == [("a_test.rego:5:67", "impossible_value")]
    assert given('input as {"context": {"risk": ["malware_alert", "malware"]}}')[0][1] == "impossible_value"
    assert given('input as {"subject": {"kind": {"name": "staff"}}}')[0][1] == "unknown_fact"
    assert given('input as {"subject": {"kind": "staff"}} with input.device as {"clas": 1}')[0][1] == "misspelt_fact"
    assert given('input.device.class as "laptop"')[0][1] == "impossible_value"


def test_unions_and_names_of_the_same_file_are_followed():
    assert given('input as object.union({"device": {}}, {"devise": {}})')[0][1] == "misspelt_fact"
    assert given('input as object.union_n([{"device": {}}, {"subject": {"rolle": 1}}])')[0][1] == "misspelt_fact"
    found = given('input as base\n\nbase := {"resource": {"groop": "mail"}}')
    assert found == [("a_test.rego:7:24", "misspelt_fact")]


def test_what_a_test_may_well_say_is_no_fault():
    for text in (
        "input as {}",
        'input as {"subject": {"roles": ["anything"], "id": "u-1"}, "device": {"posture": {"edr_running": "not_managed"}}}',
        'input as {name: 1 | name := "devise"}',
        'input as {"device": {k: 1}} with data.zta as {"devise": 1}\n\nk := "clas"',
        'input as made("devise")\n\nmade(name) := {name: 1}',
        "input as again\n\nagain := other\n\nother := again",
    ):
        assert given(text) == [], text
    assert (
        codes(
            'decision := "x"\n',
            profile="plain",
            test='package t\n\ntest_one if data.pdp.decision with input as {"devise": 1}\n',
        )
        == []
    )
