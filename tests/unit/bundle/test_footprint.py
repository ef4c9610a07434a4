"""The footprint of a bundle, case by case. That it holds for whatever anybody writes: tests/properties/test_footprint.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.bundle.bundle import make_bundle, read_bundle
from pdp.bundle.footprint import WHOLE, Footprint, explain_footprint, footprint_of
from pdp.engine.footprint_check import bundle_footprint, examine_bundle
from pdp.engine.frames import MAX_BODY_BYTES
from pdp.engine.syntax import parse_modules

POLICIES = Path(__file__).parents[3] / "policies"


def parsed(text, **modules):
    modules = {"p.rego": f"package p\n{text}\n", **{f"{name}.rego": module for name, module in modules.items()}}
    found, broken = parse_modules(modules)
    assert broken == [], broken
    return found


def sees(text, **modules):
    """The footprint of `p/answer`, as a sorted list of dotted paths. The whole input is `[""]`."""
    return [".".join(path) for path in footprint_of(parsed(text, **modules), "p/answer").paths]


WHOLE_INPUT = [""]

CASES = {
    "references": {
        "dotted": ("answer if input.a.b == 1", ["a.b"]),
        "in brackets": ('answer if input["a"]["b"].c == 1', ["a.b.c"]),
        "in brackets with a raw string": ("answer if input[`a`].b == 1", ["a.b"]),
        "with an escape, which names the decoded key": (r'answer if input["a\u0062"] == 1', ["ab"]),
        "two that begin alike are both there": ("answer if { input.a.b; input.a.c }", ["a.b", "a.c"]),
        "one that is the beginning of another takes it in": ("answer if { input.a.b; input.a }", ["a"]),
        "that do not look alike at all": ("answer if { input.ab == 1; input.a.b == 2 }", ["a.b", "ab"]),
        "none": ("answer := 1", []),
    },
    "computed steps": {
        "a variable": ("answer if { some k; input.a[k] == 1 }", ["a"]),
        "a wildcard": ("answer if input.a[_].b == 1", ["a"]),
        "a number reads the list": ("answer if input.a[0].b == 1", ["a"]),
        "another part of the input": ("answer if input.a[input.b.c].d == 1", ["a", "b.c"]),
        "a value of the data": ("answer if input.a[data.names.first] == 1", ["a"]),
        "a set": ('answer if input.a[{"b"}] == 1', ["a"]),
        "of the input itself": ("answer if { some k; input[k] == 1 }", WHOLE_INPUT),
        "a comprehension as an index": ("answer if input.a[[x | x := input.b]] == 1", ["a", "b"]),
    },
    "imports": {
        "of a part of the input": ("import input.device as d\nanswer if d.posture.x == 1", ["device.posture.x"]),
        "without another name": ("import input.device\nanswer if device.x == 1", ["device.x"]),
        "of the input": ("import input\nanswer if input.a == 1", ["a"]),
        "of the input under another name": ("import input as i\nanswer if i.a == 1", ["a"]),
        "with a bracket": ('import input["device"].posture as d\nanswer if d.x == 1', ["device.posture.x"]),
        "of rego.v1": ("import rego.v1\nanswer if input.a == 1", ["a"]),
        "of keywords": ("import future.keywords\nanswer if input.a == 1", ["a"]),
        "that nothing uses": ("import input.a\nanswer if input.b == 1", ["b"]),
    },
    "local names": {
        "for a part": ("answer if { x := input.device; x.posture.y == 1 }", ["device.posture.y"]),
        "for a name": ("answer if { x := input.a; y := x.b; y.c == 1 }", ["a.b.c"]),
        "for the input": ("answer if { x := input; x.a == 1 }", ["a"]),
        "used whole": ("answer if { x := input.a; x == 1 }", ["a"]),
        "used both ways": ("answer if { x := input.a; x.b == 1; count(x) == 1 }", ["a"]),
        "of which nothing is used: it may be missing": ("answer if x := input.a", ["a"]),
        "with a computed step": ("answer if { x := input.a; x.b[_] == 1 }", ["a.b"]),
        "bound before and after in the text": ("answer if { x.b == 1; x := input.a }", ["a.b"]),
        "in an inner query": ("answer if { x := input.a; count([1 | x.b == 1]) == 1 }", ["a.b"]),
        "of two scopes": ("answer if { count([1 | x := input.a; x.c]) == 1; count([1 | x := input.b; x.d]) == 1 }", ["a.c", "a.d", "b.c", "b.d"]),
    },
    "unification": {
        "of a variable": ("answer if { x = input.a; x.b == 1 }", ["a"]),
        "the other way round": ("answer if { input.a = x; x.b == 1 }", ["a"]),
        "with a comparison": ("answer if { x := 1; x == input.a }", ["a"]),
        "of an object": ('answer if { {"a": x} = input; x.b == 1 }', WHOLE_INPUT),
        "of a list": ("answer if { [x, y] := input.a; x.b == y }", ["a"]),
        "of lists of parts": ("answer if { [x, y] := [input.a, input.b.c]; x.d == y }", ["a", "b.c"]),
        "with a part in the pattern": ("answer if { [input.a, x] = [1, 2] }", ["a"]),
    },
    "loops": {
        "some in": ("answer if { some x in input.list; x.a == 1 }", ["list"]),
        "some key in": ("answer if { some k, v in input.m; k == v }", ["m"]),
        "some with a pattern": ('answer if { some {"a": x} in input.list; x }', ["list"]),
        "some with a part in the pattern": ("answer if { some input.a, _ in data.names }", ["a"]),
        "some in a name": ("answer if { x := input.a; some y in x.b; y }", ["a.b"]),
        "every": ("answer if every x in input.list { x.a == input.b }", ["b", "list"]),
        "every key": ("answer if every k, v in input.m { k == v }", ["m"]),
        "membership": ("answer if input.a.b in input.c.d", ["a.b", "c.d"]),
        "membership with a key": ("answer if { input.a, input.b in input.c }", ["a", "b", "c"]),
        "a comprehension of a list": ("answer := [x.a | some x in input.list]", ["list"]),
        "a comprehension of a set": ("answer := {x | x := input.a; input.b.c}", ["a", "b.c"]),
        "a comprehension of an object": ("answer := {k: v | k := input.a.b; v := input.c}", ["a.b", "c"]),
    },
    "calls of builtins": {
        "with a leaf": ("answer if is_number(input.a.b)", ["a.b"]),
        "with an object": ("answer if count(input.a) == 1", ["a"]),
        "with the input": ("answer if count(input) == 1", WHOLE_INPUT),
        "object.get takes the object": ('answer if object.get(input.x, ["a", "b"], input.d) == 1', ["d", "x"]),
        "json.filter": ('answer if json.filter(input, ["a/b"]) == {}', WHOLE_INPUT),
        "walk": ("answer if walk(input.a, [_, 1])", ["a"]),
        "print": ("answer if print(input.a.b)", ["a.b"]),
        "of a name": ("answer if { x := input.a; count(x.b) == 1 }", ["a.b"]),
        "with an argument for the result": ("answer if { count(input.a, n); n == 1 }", ["a"]),
        "that nobody knows": ("answer if io.nothing(input.a)", ["a"]),
        "through a name that is a rule": ("answer if r.f(input.a)\nr := input.b", ["a", "b"]),
    },
    "operators": {
        "arithmetic": ("answer := input.a.b + input.c", ["a.b", "c"]),
        "union": ("answer := input.a | input.b", ["a", "b"]),
        "a list": ("answer if [1, input.a.b] == []", ["a.b"]),
        "a list that is asked for a member": ("answer := [input.a, 1][0].b", ["a"]),
        "an object": ('answer if {"k": input.a} == {}', ["a"]),
        "a key of an object": ("answer if {input.a: 1} == {}", ["a"]),
        "an object that is asked for a member": ('answer := {"k": input.a}.k.b', ["a"]),
        "a set": ("answer if {input.a, 1} == set()", ["a"]),
        "not": ("answer if not input.a.b", ["a.b"]),
        "not with a comparison": ("answer if not input.a.b == input.c", ["a.b", "c"]),
        "the input itself": ("answer if input", WHOLE_INPUT),
        "comparing the input": ("answer if input == {}", WHOLE_INPUT),
    },
    "rules": {
        "a condition": ("answer if r\nr if input.a == 1", ["a"]),
        "a value that is used": ("answer if r == 1\nr := input.a", ["a"]),
        "a value that is taken apart": ("answer if r.posture.x == 1\nr := input.device", ["device.posture.x"]),
        "with a constant bracket": ('answer if r["b"] == 1\nr := input.a', ["a.b"]),
        "with a computed step": ("answer if r[input.k].x == 1\nr := input.a", ["a", "k"]),
        "by its full path": ("answer if data.p.r.b == 1\nr := input.a", ["a.b"]),
        "by its full path in brackets": ('answer if data["p"]["r"].b == 1\nr := input.a', ["a.b"]),
        "of a rule": ("answer if r.c == 1\nr := s.b\ns := input.a", ["a.b.c"]),
        "that nothing reaches": ("answer if input.a\nr if input.b", ["a"]),
        "with a default": ("answer if r.b\ndefault r := {}\nr := input.a", ["a.b"]),
        "with a default that looks at the input": ("answer if r\ndefault r := [x | x := input.b]\nr := 1 if input.a", ["a", "b"]),
        "with an else": ("answer if r.x\nr := input.a if input.c\nelse := input.b if input.d\nelse := input.e", ["a.x", "b.x", "c", "d", "e.x"]),
        "with two definitions, whose values are compared": ("answer if r.x\nr := input.a if input.c\nr := input.b if input.d", ["a", "b", "c", "d"]),
        "with two bodies": ("answer if r.x\nr := input.a if { input.c } { input.d }", ["a", "c", "d"]),
        "of which nothing is used but that it is there": ("answer if { count([1 | r.x]) == 0 }\nr := input.a if input.c", ["a.x", "c"]),
        "a partial set": ("answer if r[1]\nr contains input.a if input.b", ["a", "b"]),
        "a partial object": ("answer if r.x == 1\nr[k] := v if some k, v in input.a", ["a"]),
        "a partial object of parts": ('answer if r.x.y == 1\nr["x"] := input.a\nr[k] := input.b if k := input.c', ["a", "b", "c"]),
        "a reference as a head": ("answer if r.x.y == 1\nr.x := input.a\nr.z := input.b", ["a.y"]),
        "the whole of a reference head": ("answer if r == {}\nr.x := input.a\nr.z := input.b", ["a", "b"]),
        "the whole of a reference head and a part of it": ("answer if { r == {}; r.x.y == 1 }\nr.x := input.a\nr.z := input.b", ["a", "b"]),
        "a reference head with a computed step": ("answer if r.x.y == 1\nr[input.k].y := input.a", ["a", "k"]),
        "a reference head with a dot in it": ('answer if r["x.y"].z == 1\nr["x.y"] := input.a', ["a"]),
        "a path that regorus takes for a head with a dot": ('answer if r.x.y\nr.x.z := 1\nr["x.y"] := to_number(input.a)', ["a"]),
        "a default with a computed head": ("answer if r\ndefault r[input.k] := 1", ["k"]),
        "a step that no rule has runs its siblings": ("answer if r.c\nr.a := to_number(input.x)", ["x"]),
        "the answer is read whole": ("answer := input.a", ["a"]),
        "the answer through a rule": ("answer := r\nr := input.a", ["a"]),
        "the answer by several definitions": ("answer := 1 if input.a\nanswer := 2 if input.b\ndefault answer := 0", ["a", "b"]),
        "the answer as a set": ("answer contains input.a if input.b", ["a", "b"]),
    },
    "functions": {
        "follow their parameter": ("answer if f(input.device)\nf(d) if d.posture.x == 1", ["device.posture.x"]),
        "use it whole": ("answer if f(input.a)\nf(x) := x == 1", ["a"]),
        "do not use it": ("answer if f(input.a)\nf(_) if input.b", ["a", "b"]),
        "hand it on": ("answer if f(input.a)\nf(x) if g(x.b)\ng(x) if x.c", ["a.b.c"]),
        "give a part of it back": ("answer if f(input.a).c == 1\nf(x) := x.b", ["a.b.c"]),
        "give back what they are given": ("answer if { y := f(input.a); y.c == 1 }\nf(x) := x", ["a.c"]),
        "are not told apart by call": ("answer if { f(input.a); f(input.b) }\nf(x) := x.c", ["a.c", "b.c"]),
        "with a constant parameter look at it": ('answer if f(input.a)\nf("x") := 1\nf(y) if y.z', ["a"]),
        "with a pattern look at it": ('answer if f(input.a)\nf({"x": y}) := y', ["a"]),
        "with a part of the input in a pattern": ("answer if f(input.a)\nf({input.k: x}) := x", ["a", "k"]),
        "with one name twice compare": ("answer if f(input.a, input.b)\nf(x, x) if x.c", ["a", "b"]),
        "with several clauses compare their results": ("answer if f(input.a).z\nf(x) := x.b if x.c\nf(x) := x.d if x.e", ["a.b", "a.c", "a.d", "a.e"]),
        "with an else do not": ("answer if f(input.a).z\nf(x) := x.b if x.c\nelse := x.d", ["a.b.z", "a.c", "a.d.z"]),
        "with a default": ("answer if f(input.a).z\ndefault f(_) := 1\nf(x) := x.b if x.c", ["a.b.z", "a.c"]),
        "with an argument for the result": ("answer if { f(input.a, y); y.z == 1 }\nf(x) := x.b", ["a"]),
        "with an argument for a result of their own": ("answer if { f(1, y); y.z == 1; input.b.c }\nf(_) := input.b", ["b"]),
        "in the way of a builtin": ("answer if time.clock(input.a)\ntime(x) if x.b", ["a"]),
        "by their full path": ("answer if data.p.f(input.a)\nf(x) if x.b", ["a.b"]),
        "without parameters": ("answer if f()\nf() := input.a", ["a"]),
        "in the place of a builtin": ("answer if count(input.a)\ncount(x) if x.b", ["a.b"]),
        "that call themselves come to an end": ("answer if f(input.a)\nf(x) := f(x.b)", [".".join(["a", *["b"] * 31])]),
        "whose parameter has the name of a rule": ("answer if f(input.a)\nf(r) := r.b\nr := input.c", ["a.b", "c.b"]),
    },
    "with": {
        "input": ("answer if r with input as {}\nr if input.a", WHOLE_INPUT),
        "a part of the input": ("answer if r with input.a as 1\nr if input.b", WHOLE_INPUT),
        "data": ("answer if r with data.x as 1\nr if input.b", WHOLE_INPUT),
        "a function": ("answer if f(1) with f as g\nf(x) := x\ng(x) := x", WHOLE_INPUT),
        "in a rule that nothing reaches": ("answer if input.a\nr if s with input as {}\ns if input.b", ["a"]),
        "in an inner query": ("answer if count([1 | input.a with input as {}]) == 1", WHOLE_INPUT),
    },
    "computed paths of data": {
        "run the whole subtree": ("answer if { some k; data.p[k] == 1 }\nr := input.a", ["a"]),
        "of everything": ("answer if { some k; data[k].r == 1 }\nr := input.a", ["a"]),
        "behind a constant": ("answer if data.p[input.k].x\nr := input.a\ns if input.b", ["a", "b", "k"]),
        "through data that no rule makes": ("answer if data.names[input.k].x\nr := input.a", ["k"]),
        "that are a package": ("answer if data.p == {}\nr := input.a", ["a"]),
        "with a dot in a step, which regorus reads as two": ('answer if data["p.r"] == 1\nr := to_number(input.a)', ["a"]),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def trees():
    """The modules of all cases, parsed at one go: a process for each would take ten seconds."""
    texts = [f"package p\n{text}\n" for cases in CASES.values() for text, _ in cases.values()]
    found, broken = parse_modules({text: text for text in texts})
    assert broken == [], broken
    return {module.text: module for module in found}


@pytest.mark.parametrize(
    ("text", "expected"), [pytest.param(*case, id=f"{group}: {name}") for group, cases in CASES.items() for name, case in cases.items()]
)  # fmt: skip
def test_the_footprint_of_a_rule(trees, text, expected):
    footprint = footprint_of([trees[f"package p\n{text}\n"]], "p/answer")
    assert [".".join(path) for path in footprint.paths] == expected


def test_rules_of_other_modules_count_where_they_are_reached():
    lib = "package lib\nr := input.a\ns if input.b\nf(x) if x.c"
    assert sees("answer if data.lib.r.x == 1", lib=lib) == ["a.x"]
    assert sees("import data.lib.r as q\nanswer if q.x == 1", lib=lib) == ["a.x"]
    assert sees("import data.lib.r.x as q\nanswer if q.y == 1", lib=lib) == ["a.x.y"]
    assert sees("import data.lib.f\nanswer if f(input.d)", lib=lib) == ["d.c"]
    assert sees("import data.lib\nanswer if lib.f(input.d)", lib=lib) == ["d.c"]
    assert sees("answer if data.lib.f(input.d)", lib=lib) == ["d.c"]
    assert sees("answer if input.x", lib=lib) == ["x"]


def test_an_imported_package_is_run_as_a_whole():
    """regorus does so; a rule beside the one that is asked for can end the evaluation in an error."""
    lib = "package lib\nr := 1\ns := to_number(input.b)"
    assert sees("import data.lib\nanswer if lib.r == 1", lib=lib) == ["b"]
    assert sees("import data.lib as l\nanswer if l.r == 1", lib=lib) == ["b"]
    assert sees("answer if data.lib.r == 1", lib=lib) == []


def test_an_import_holds_for_all_files_of_its_package():
    """regorus does so, whatever OPA says."""
    assert sees("answer if d.x", other="package p\nimport input.device as d\nr := 1") == ["device.x"]
    both = sees("import input.a as d\nanswer if d.x", other="package p\nimport input.b as d\nr := 1")
    assert both == ["a.x", "b.x"]


def test_a_name_stands_for_everything_that_it_can_stand_for():
    assert sees("import input.a as r\nanswer if r.x\nr := input.b") == ["a.x", "b.x"]
    assert sees("answer if { r := input.a; r.x }\nr := input.b") == ["a.x", "b.x"]


def test_a_package_below_a_rule_is_a_part_of_it():
    assert sees("answer if r == {}", other="package p.r.deep\ns := input.a") == ["a"]
    assert sees("answer if data.p.r", other="package p.r.deep\ns := input.a") == ["a"]


@pytest.mark.parametrize(
    "modules",
    [
        {"p": 'package p["x.y"]\nanswer := 1'},
        {"q": 'package q["x.y"]\nr := 1'},
        {"q": 'package q\nimport data["x.y"].z\nr := 1'},
    ],
)
def test_a_package_with_a_dot_in_its_name_is_not_analysed(modules):
    explained = explain_footprint(parsed("answer := 1", **modules), "p/answer")
    assert explained.footprint == WHOLE
    assert {reading.why for reading in explained.readings} == {"name"}


SPAN = {"start": 0}
NUMBER = {"Number": {"span": SPAN, "value": 1}}
COMPUTED = {"RefBrack": {"span": SPAN, "refr": {"Var": {"span": SPAN, "value": "input"}}, "index": NUMBER}}


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["package"].update(refr=COMPUTED),
        lambda tree: tree["package"].update(refr=NUMBER),
        lambda tree: tree["rules"][0]["Spec"]["head"]["Compr"].update(refr=NUMBER),
        lambda tree: tree["imports"].append({"refr": COMPUTED}),
        lambda tree: tree["imports"].append({"refr": NUMBER}),
        lambda tree: tree["imports"].append({"refr": {"Var": {"span": SPAN, "value": "elsewhere"}}}),
    ],
)
def test_a_name_of_another_form_than_any_parser_lets_through_is_not_analysed(change):
    modules = parsed("answer if input.a", other="package p\nr if input.b")
    change(modules[1].tree)
    explained = explain_footprint(modules, "p/answer")
    assert explained.footprint == WHOLE
    assert {reading.why for reading in explained.readings} == {"name"}


def test_a_path_that_grows_at_every_turn_ends():
    text = "answer if f(input)\n" + "\n".join(f"f(x) := f(x.{key})" for key in "abcdefgh")
    explained = explain_footprint(parsed(text), "p/answer")
    assert explained.footprint == WHOLE
    assert {reading.why for reading in explained.readings} == {"size"}


def test_a_module_that_is_nested_too_deep_sees_the_whole():
    modules = parsed("answer if input.a")
    expression = modules[0].tree["rules"][0]["Spec"]["bodies"][0]["query"]["stmts"][0]["literal"]["Expr"]
    for _ in range(5_000):
        expression["expr"] = {"RefDot": {"span": {"start": 0}, "refr": expression["expr"], "field": [{}, "a"]}}
    for _ in range(5_000):
        expression["expr"] = {"UnaryExpr": {"span": {"start": 0}, "expr": expression["expr"]}}
    assert footprint_of(modules, "p/answer") == WHOLE


@pytest.mark.parametrize("entrypoint", ["p/nothing", "q/answer", "answer", "", "p", "p/answer/deep"])
def test_an_entry_point_that_is_none_sees_the_whole_or_all_of_its_rules(entrypoint):
    explained = explain_footprint(parsed("answer := input.a if { input.b; input.a.c }"), entrypoint)
    if entrypoint in ("p", "p/answer/deep"):
        assert explained.footprint.paths == (("a",), ("b",))
    else:
        assert explained.footprint == WHOLE
        assert {reading.why for reading in explained.readings} == {"entrypoint"}


def test_a_function_that_is_looked_up_takes_its_arguments_whole():
    """No engine parses that today."""
    modules = parsed("answer if f.g(input.a, input.k)\nf.g(x, y) if x.b == y.c")
    assert footprint_of(modules, "p/answer").paths == (("a", "b"), ("k", "c"))
    expression = modules[0].tree["rules"][0]["Spec"]["bodies"][0]["query"]["stmts"][0]["literal"]["Expr"]["expr"]
    call = expression["Call"]
    call["fcn"] = {"RefBrack": {"span": {"start": 0}, "refr": call["fcn"], "index": call["params"][1]}}
    assert footprint_of(modules, "p/answer").paths == (("a",), ("k",))


def test_no_modules_see_the_whole():
    assert footprint_of([], "p/answer") == WHOLE


# The value itself.


def test_a_footprint_reads_what_lies_at_below_and_above_its_paths():
    footprint = Footprint((("a", "b"), ("c",)))
    assert [path for path in ("a", "a.b", "a.b.c", "c", "c.d") if not footprint.reads(path)] == []
    assert [path for path in ("a.c", "b", "a.bb", "d.c") if footprint.reads(path)] == []
    assert footprint.reads(())
    assert footprint.reads(("a", "b"))
    assert not footprint.reads(("a.b",))
    assert not footprint.whole


def test_the_whole_reads_everything_and_nothing_reads_nothing():
    assert WHOLE.whole
    assert WHOLE.reads("a.b")
    assert WHOLE.reads(())
    assert not Footprint(()).whole
    assert not Footprint(()).reads("a")


# What is said about it.


def readings(text, **modules):
    found = explain_footprint(parsed(text, **modules), "p/answer").readings
    return [(".".join(one.path), one.module, one.line, one.why) for one in found]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("answer if input.a == 1", "value"),
        ("answer if count(input.a)", "call"),
        ("answer if input.a[_]", "step"),
        ("answer if input.a[0]", "step"),
        ("answer if { some x in input.a; x }", "loop"),
        ("answer if every x in input.a { x }", "loop"),
        ("answer if 1 in input.a", "value"),
        ("answer if [input.a] == []", "collection"),
        ("answer := input.a", "answer"),
        ("answer if x := input.a", "presence"),
    ],
)
def test_each_reading_says_why(text, why):
    assert readings(text) == [("a", "p.rego", 2, why)]


def test_each_reading_names_its_line():
    assert readings("answer if {\n\tinput.a == 1\n\tr.x == 1\n}\n\n# 漢字\nr := input.b") == [
        ("a", "p.rego", 3, "value"),
        ("b.x", "p.rego", 4, "value"),
    ]
    assert readings("answer if r == 2\nr := input.a if input.b\nr := 1 if not input.b") == [
        ("a", "p.rego", 3, "clash"),
        ("b", "p.rego", 3, "value"),
        ("b", "p.rego", 4, "value"),
    ]
    assert readings("answer if input.a.b\nr if input.a", q="package q\nr := 1") == [("a.b", "p.rego", 2, "value")]


def test_a_widened_path_names_what_widens_it_and_not_what_lies_below():
    assert readings("answer if {\ninput.a.b == 1\ncount(input.a) == 2\n}") == [("a", "p.rego", 4, "call")]
    assert readings("answer if input.a\nr if input.b") == [("a", "p.rego", 2, "value")]
    assert readings("answer if {\ninput.a\nr with input.b as 1\n}\nr := 1") == [("", "p.rego", 4, "with")]


# The bundles of this house, and what stands around the analysis.


def test_the_policies_of_this_house_see_what_their_rules_name():
    footprint = bundle_footprint(read_bundle(POLICIES))
    assert [".".join(path) for path in footprint.paths] == [
        "action.name",
        "context.business_day",
        "context.business_hours",
        "context.country",
        "context.disaster_mode",
        "context.path_encrypted",
        "context.pep",
        "context.risk",
        "context.sources.posture",
        "context.underlay",
        "context.work_permit",
        "context.work_permit_until",
        "context.zone",
        "device.class",
        "device.loan",
        "device.permit",
        "device.posture.age_hours",
        "device.posture.certificate",
        "device.posture.disk_encrypted",
        "device.posture.edr_risk",
        "device.posture.edr_running",
        "device.posture.patch_age_days",
        "device.posture.screen_lock",
        "device.posture.tampered",
        "device.registered",
        "device.relation",
        "device.returned_from_outside",
        "device.shared",
        "device.state",
        "device.takeout",
        "resource.departments",
        "resource.group",
        "resource.organisations",
        "resource.segment",
        "resource.status",
        "resource.tenant",
        "schema",
        "subject.auth_level",
        "subject.departments",
        "subject.employment",
        "subject.identity_source",
        "subject.kind",
        "subject.organisation",
        "subject.roles",
    ]
    unread = ("subject.id", "device.id", "resource.id", "subject.auth_age_min", "resource.sensitivity", "device.ownership",
              "device.posture.av_current", "device.posture.firewall", "device.posture.source", "context.sources.identity")  # fmt: skip
    assert [path for path in unread if footprint.reads(path)] == []


def bundle_of(text, entrypoint="p/answer", **parts):
    manifest = {"revision": "1", "metadata": {"entrypoint": entrypoint}}
    return make_bundle(manifest=manifest, modules={"p.rego": f"package p\n{text}\n"}, data={}, **parts)


def test_a_bundle_with_a_module_that_does_not_parse_sees_the_whole():
    bundle = bundle_of("answer if {")
    assert bundle_footprint(bundle) == WHOLE
    examined = examine_bundle(bundle)
    assert [fault.code for fault in examined.faults][:1] == ["syntax_error"]
    assert [(one.module, one.why) for one in examined.sight.readings] == [("p.rego", "unparsed")]


def test_a_bundle_that_no_parser_can_be_given_sees_the_whole():
    assert bundle_footprint(bundle_of("answer if input.a\n#" + "x" * MAX_BODY_BYTES)) == WHOLE


def test_a_bundle_is_examined_for_faults_and_footprint_at_once():
    examined = examine_bundle(bundle_of("answer if { input.a; time.now_ns() > input.b }"))
    assert [fault.code for fault in examined.faults] == ["forbidden_builtin"]
    assert examined.sight.footprint.paths == (("a",), ("b",))


def test_the_tests_of_a_bundle_do_not_count():
    bundle = bundle_of("answer if input.a", tests={"p_test.rego": "package p\ntest_x if answer with input as input.b"})
    assert bundle_footprint(bundle).paths == (("a",),)
