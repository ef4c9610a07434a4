"""The check of a bundle before it may decide: each fault with its place, its code and both languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdp.bundle.bundle import make_bundle, read_bundle
from pdp.bundle.capabilities import MAX_FAULTS, default_capabilities
from pdp.bundle.fault import Fault
from pdp.engine.footprint_check import examine_bundle
from pdp.errors import BundleError

POLICIES = Path(__file__).parents[3] / "policies"


def bundle_of(text, *, data=None, capabilities=None, entrypoint="p/answer", **modules):
    return make_bundle(
        manifest={"revision": "1", "metadata": {"entrypoint": entrypoint}},
        modules={"p.rego": f"package p\n\n{text}\n", **{f"{name}.rego": module for name, module in modules.items()}},
        data=data or {},
        capabilities=capabilities,
    )


def faults_of(text, **parts):
    return examine_bundle(bundle_of(text, **parts)).faults


def codes(text, **parts):
    return [(fault.where, fault.code) for fault in faults_of(text, **parts)]


def test_the_policies_of_this_house_have_no_fault():
    assert examine_bundle(read_bundle(POLICIES)).faults == []


@pytest.mark.parametrize(
    "text",
    [
        'answer := count(split(input.x, "."))',
        "answer := f(1)\n\nf(x) := x + 1",
        "answer := data.lib.f(1, 2)",
        "answer := 1 if walk(input, [_, 1])",
        'answer := sprintf("%s %d %v %%", ["a", 1, []])',
        'answer := regex.match("^[0-9]+$", input.x)',
        "answer := 1 if not input.x",
        "answer := data.known",
    ],
)
def test_what_both_engines_run_alike_passes(text):
    assert codes(text, lib="package lib\n\nf(x, y) := x + y\n", data={"known": 1}) == []


@pytest.mark.parametrize(
    ("text", "where", "code"),
    [
        ("answer := http.send({})", "p.rego:3:11", "forbidden_builtin"),
        ("answer := 1 if {\n\ttime.now_ns() > 3\n}", "p.rego:4:2", "forbidden_builtin"),
        ("answer := [x | some y in input.l; x := rand.intn(y, 3)]", "p.rego:3:40", "forbidden_builtin"),
        ('answer := {"a": io.jwt.decode(input.t)}', "p.rego:3:17", "forbidden_builtin"),
        ("answer := 1 if print(input)", "p.rego:3:16", "forbidden_builtin"),
        ("answer := lower(input.x)", "p.rego:3:11", "forbidden_builtin"),
        ("f(x) := opa.runtime()\n\nanswer := f(1)", "p.rego:3:9", "forbidden_builtin"),
        ("default answer := 1\n\nanswer := uuid.rfc4122(input.x)", "p.rego:5:11", "forbidden_builtin"),
        ('answer := 1 if not crypto.sha256("x")', "p.rego:3:20", "forbidden_builtin"),
        ("answer := 1 if input.x with input.y as net.lookup_ip_addr(input.z)", "p.rego:3:40", "forbidden_builtin"),
        ("answer := 1 if every x in input.l { trace(x) }", "p.rego:3:37", "forbidden_builtin"),
        ("answer := 1 if input.a else := yaml.unmarshal(input.x) if input.b", "p.rego:3:32", "forbidden_builtin"),
        ("answer := nobody_knows(1)", "p.rego:3:11", "unknown_function"),
        ("answer := data.lib.g(1)", "p.rego:3:11", "unknown_function"),
        ("answer := data.nowhere.f(1)", "p.rego:3:11", "unknown_function"),
        ("answer := input.f(1)", "p.rego:3:11", "unknown_function"),
        ("other := 1\n\nanswer := other(1)", "p.rego:5:11", "unknown_function"),
        ("answer := count(1, 2, 3)", "p.rego:3:11", "wrong_arity"),
        ("answer := data.lib.f(1)", "p.rego:3:11", "wrong_arity"),
        ("answer := 1 if { [p, v] := walk(input); v == 1 }", "p.rego:3:28", "walk_without_output"),
        ("answer := [v | [p, v] := walk(input)]", "p.rego:3:26", "walk_without_output"),
        ('answer := $"{input.x}"', "p.rego:3:11", "string_interpolation"),
        ("answer := $`{input.x}`", "p.rego:3:11", "string_interpolation"),
        ("answer := {", "p.rego:4:1", "syntax_error"),
        ('answer := sprintf("%5d", [1])', "p.rego:3:11", "format_verbs"),
        ('answer := sprintf("100%", [])', "p.rego:3:11", "format_verbs"),
        ("answer := sprintf(input.f, [1])", "p.rego:3:11", "format_verbs"),
        (r"answer := regex.match(`\d+`, input.x)", "p.rego:3:11", "pattern_classes"),
        (r'answer := regex.replace(input.x, "a\\b", "")', "p.rego:3:11", "pattern_classes"),
        ("answer := 1 if not input.x in {1}", "p.rego:3:20", "undefinable_negation"),
        ("answer := 1 if not data.lib.f(input.x, 1)", "p.rego:3:31", "undefinable_negation"),
        ("other := 1", ".manifest", "no_entrypoint"),
        ("answer(x) := x", ".manifest", "entrypoint_is_function"),
    ],
)
def test_each_fault_is_found_where_it_stands(text, where, code):
    assert codes(text, lib="package lib\n\nf(x, y) := x + y\n\nh := 1\n") == [(where, code)]


def test_every_fault_speaks_both_languages_and_names_what_it_is_about():
    (fault,) = faults_of("answer := http.send({})")
    assert "`http.send`" in fault.message_en
    assert "network" in fault.message_en
    assert "`http.send`" in fault.message_ja
    assert "ネットワーク" in fault.message_ja


def test_all_faults_are_listed_in_the_order_of_files_and_lines():
    text = "answer := http.send({})\n\nb := rand.intn(1, 2)\n\nc := nobody(1)"
    found = faults_of(text, a="package a\n\nx := time.now_ns()\n")
    assert [(fault.file, fault.line) for fault in found] == [("a.rego", 3), ("p.rego", 3), ("p.rego", 5), ("p.rego", 7)]


def test_a_fault_in_one_module_does_not_hide_those_of_another():
    found = codes("answer := {", a="package a\n\nx := time.now_ns()\n")
    assert found == [("a.rego:3:6", "forbidden_builtin"), ("p.rego:4:1", "syntax_error")]


def test_names_are_followed_through_imports_and_packages():
    lib = "package deep.lib\n\nf(x) := x\n"
    text = "import data.deep.lib as l\nimport data.deep\n\nanswer := [l.f(1), deep.lib.f(2), l.f(1, 2), deep.lib.g(3)]"
    assert codes(text, lib=lib) == [("p.rego:6:35", "wrong_arity"), ("p.rego:6:46", "unknown_function")]


def test_a_function_of_another_file_of_the_package_is_known():
    assert codes("answer := f(1)", more="package p\n\nf(x) := x\n") == []


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        ({"p": {"answer": {"outcome": "allow"}}}, "data.p.answer"),
        ({"p": {"answer": None}}, "data.p.answer"),
        ({"p": True}, "data.p.answer"),
        ({"p": {"deep": {"rule": 1}}}, "data.p.deep.rule"),
    ],
)
def test_data_at_the_place_of_a_rule_are_a_fault(data, rule):
    found = faults_of("answer := 1 if input.x\n\ndeep.rule := 2 if input.y", data=data)
    assert {fault.code for fault in found} == {"data_in_place_of_rule"}
    assert any(f"`{rule}`" in fault.message_en for fault in found)


def test_data_beside_the_rules_of_a_package_are_none():
    assert codes("answer := 1", data={"p": {"table": {"a": 1}}, "answer": 1}) == []


# --- a capabilities.json of one's own


def test_a_bundle_may_permit_itself_what_the_default_forbids_for_differences():
    assert codes("answer := lower(input.x)", capabilities={"builtins": ["lower"]}) == []


@pytest.mark.parametrize("name", ["http.send", "time.now_ns", "opa.runtime", "rand.intn", "io.jwt.decode"])
def test_no_bundle_can_permit_itself_network_clock_environment_chance_or_tokens(name):
    arguments = {"http.send": "{}", "rand.intn": '"a", 1', "io.jwt.decode": "input.t"}.get(name, "")
    found = codes(f"answer := {name}({arguments})", capabilities={"builtins": [name]})
    assert found == [("p.rego:3:11", "forbidden_builtin")]


def test_what_a_bundle_does_not_list_it_may_not_call():
    found = codes("answer := count(input.x) / 2", capabilities={"builtins": ["abs"]})
    assert found == [
        ("p.rego:3:11", "unlisted_builtin"),
        ("p.rego:3:11", "unlisted_builtin"),
    ]


def test_operators_go_by_opas_names():
    capabilities = {"builtins": ["internal.member_2", "equal"], "forbidden": {"div": "it can fail"}}
    assert codes("answer := 1 if { input.x in [1]; input.y == 2 }", capabilities=capabilities) == []
    (fault,) = faults_of("answer := input.x / 2", capabilities=capabilities)
    assert (fault.code, fault.message_en) == ("forbidden_builtin", "`div` is forbidden: it can fail")
    assert codes("answer := 1 if 1, 2 in [2]", capabilities=capabilities) == [("p.rego:3:16", "unlisted_builtin")]


def test_a_reason_may_stand_for_a_family():
    capabilities = {"builtins": [], "forbidden": {"semver.*": "versions are compared elsewhere"}}
    (fault,) = faults_of('answer := semver.compare("1.0.0", input.v)', capabilities=capabilities)
    assert "compared elsewhere" in fault.message_en or "v1.2.3" in fault.message_en
    (fault,) = faults_of("answer := semver.latest(input.v)", capabilities=capabilities)
    assert "compared elsewhere" in fault.message_ja


def test_the_arity_comes_from_the_bundles_own_list_where_it_gives_it():
    own = {"builtins": [{"name": "abs", "decl": {"args": [{"type": "number"}], "result": {}, "type": "function"}}]}
    assert codes("answer := abs(1, 2)", capabilities=own) == [("p.rego:3:11", "wrong_arity")]


@pytest.mark.parametrize(
    "document", [{"builtins": 1}, {"other": []}, {"builtins": [{"nome": "abs"}]}, {"builtins": [1]}]
)
def test_a_capabilities_file_that_cannot_be_read_refuses_the_bundle(document):
    with pytest.raises(BundleError) as refusal:
        faults_of("answer := 1", capabilities=document)
    assert refusal.value.where == "capabilities.json"


def test_the_default_permits_nothing_that_it_forbids_and_explains_both_ways():
    default = default_capabilities()
    permitted = {builtin["name"] for builtin in default["builtins"]}
    assert not permitted & set(default["forbidden"])
    assert all(reason["en"] and reason["ja"] for reason in default["forbidden"].values())
    for name in ("http.send", "opa.runtime", "time.now_ns", "rand.intn", "uuid.rfc4122", "net.lookup_ip_addr"):
        assert default["forbidden"][name]["always"] is True
    assert json.dumps(default)


def test_rules_that_double_with_each_step_are_judged_in_no_time():
    chain = "\n\n".join(f"r{n} := [r{n + 1}, r{n + 1}]" for n in range(18))
    assert codes(f"answer := 1 if not 1 in r0\n\n{chain}\n\nr18 := 1") == []


def test_a_module_with_countless_faults_is_cut_short():
    assert len(faults_of("answer := [\n" + "\trand.intn(1, 2),\n" * 3_000 + "]")) == MAX_FAULTS


def test_a_place_without_a_line_is_the_file():
    assert Fault("data", 0, 0, "x", "", "").where == "data"
