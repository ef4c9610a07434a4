"""Nothing in a tree is looked past: what is not described makes the footprint the whole input."""

from __future__ import annotations

import copy
from functools import cache

import pytest

from pdp.bundle.footprint import WHOLE, explain_footprint, footprint_of
from pdp.bundle.grammar import EXPRESSIONS, expressions_of, unknown_part
from pdp.bundle.syntax import Module, kind_of, nodes_below
from pdp.engine.syntax import parse_modules

# Every kind of node that the parser can be made to produce.
EVERYTHING = """package p.q["r"]

import rego.v1
import input.device as d
import data.x["y"]

default answer := -1

default f(_) := `raw`

answer := x if {
	some k, z
	x := input.a[k]
	not y
	z = [1, {2}, {"k": null}]
	input.b with input as {} with data.z as 3
} else := 4 if {
	every i, v in input.x { v > i + 1 }
} else := true

y contains n if some m, n in input.l

o[k] := [v | some v in input.m] if k := {u | u := 1}[_]

s := {w: 1 | w := input.y} if { 1 in {1, 2}; 1, 2 in [2]; s1 & s2 == set(); count(input.z) != 2 }

f("a") := false

f(g) := -z if z := g
"""

KINDS = {
    *("String", "RawString", "Number", "Bool", "Null", "Var", "Array", "Set", "Object", "ArrayCompr", "SetCompr"),
    *("ObjectCompr", "Call", "UnaryExpr", "RefDot", "RefBrack", "BinExpr", "BoolExpr", "ArithExpr", "AssignExpr"),
    *("Membership", "SomeVars", "SomeIn", "Expr", "NotExpr", "Every", "Compr", "Func", "Spec", "Default"),
}


@cache
def everything():
    modules, broken = parse_modules({"everything.rego": EVERYTHING})
    assert broken == []
    return modules[0]


def found_kinds(module):
    return {kind for kind, _ in nodes_below(module.tree)}


def test_every_kind_of_node_is_known_and_occurs_here():
    module = everything()
    assert unknown_part(module) is None
    assert found_kinds(module) - {"Set"} == KINDS - {"Set"}
    assert set(EXPRESSIONS) <= found_kinds(module)


def invented(module, change):
    """The module with one node changed, and that node."""
    tree = copy.deepcopy(module.tree)
    return Module(module.name, module.text, tree), change(tree)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_node_of_an_invented_kind_is_never_skipped(kind):
    """In the place of each kind of node that there is."""

    def rename(tree):
        node = next(node for found, node in nodes_below(tree) if found == kind)
        node["Invented"] = node.pop(kind)
        return node

    module, node = invented(everything(), rename)
    found = unknown_part(module)
    assert found is node or (found is not None and node in [below for _, below in nodes_below(found)])
    explained = explain_footprint([module], "p/q/r/answer")
    assert explained.footprint == WHOLE
    assert [reading.why for reading in explained.readings] == ["syntax"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_member_that_nobody_knows_is_never_skipped(kind):
    def add(tree):
        next(node for found, node in nodes_below(tree) if found == kind)[kind]["invented"] = {
            "Var": {"span": {}, "value": "input"}
        }

    module, _ = invented(everything(), add)
    assert unknown_part(module) is not None
    assert footprint_of([module], "p/q/r/answer") == WHOLE


@pytest.mark.parametrize("kind", sorted(KINDS - {"String", "RawString", "Number", "Bool", "Null", "Var", "SomeVars"}))
def test_a_member_that_is_missing_or_of_another_form_is_never_skipped(kind):
    members = [
        m
        for m in next(node for found, node in nodes_below(everything().tree) if found == kind)[kind]
        if m not in ("span", "eidx")
    ]
    for member in members:
        for change in (lambda body, member: body.pop(member), lambda body, member: body.update({member: 7})):

            def apply(tree, change=change, member=member):
                change(next(node for found, node in nodes_below(tree) if found == kind)[kind], member)

            module, _ = invented(everything(), apply)
            leaf = member in ("op", "vars") or (kind == "Every" and member in ("key", "value"))
            if not leaf or member not in next(node for k, node in nodes_below(module.tree) if k == kind)[kind]:
                assert footprint_of([module], "p/q/r/answer") == WHOLE, (kind, member)


@pytest.mark.parametrize("part", ["module", "package", "import", "body", "query", "statement", "change", "assign"])
def test_an_addition_to_a_part_without_a_kind_is_never_skipped(part):
    def add(tree):
        rule = next(body["Spec"] for body in tree["rules"] if "Spec" in body)
        places = {
            "module": tree,
            "package": tree["package"],
            "import": tree["imports"][1],
            "body": rule["bodies"][0],
            "query": rule["bodies"][0]["query"],
            "statement": rule["bodies"][0]["query"]["stmts"][0],
            "change": rule["bodies"][0]["query"]["stmts"][4]["with_mods"][0],
            "assign": rule["bodies"][1]["assign"],
        }
        places[part]["invented"] = 1

    module, _ = invented(everything(), add)
    assert unknown_part(module) is not None
    assert footprint_of([module], "p/q/r/answer") == WHOLE


@pytest.mark.parametrize("change", ["rules", "imports", "package", "bodies", "stmts", "fields", "field"])
def test_a_list_that_is_none_is_never_skipped(change):
    def break_it(tree):
        if change in tree:
            tree[change] = "nothing"
            return
        holder = {"bodies": "Spec", "stmts": None, "fields": "Object", "field": "RefDot"}[change]
        if holder is None:
            next(rule["Spec"] for rule in tree["rules"] if "Spec" in rule)["bodies"][0]["query"]["stmts"] = None
        else:
            next(node for found, node in nodes_below(tree) if found == holder)[holder][change] = [[1]]

    module, _ = invented(everything(), break_it)
    assert footprint_of([module], "p/q/r/answer") == WHOLE


def test_a_fault_in_one_module_makes_the_whole_of_all():
    def rename(tree):
        tree["rules"][0]["Invented"] = tree["rules"][0].pop("Default")

    good, broken = parse_modules({"p.rego": "package p\nanswer if input.a"})
    assert broken == []
    module, _ = invented(everything(), rename)
    assert footprint_of([*good, module], "p/answer") == WHOLE
    assert footprint_of(good, "p/answer").paths == (("a",),)


def test_the_expressions_below_an_expression_are_all_of_them():
    """Against a second, blunt reading: every node below that is an expression is reached by going down."""
    for kind, node in nodes_below(everything().tree["rules"]):
        if kind in EXPRESSIONS and EXPRESSIONS[kind].keys() <= node[kind].keys() and "query" not in node[kind]:
            below = []
            for part in [one for key, one in node[kind].items() if key != "span"]:
                pending = [part]
                while pending:
                    one = pending.pop()
                    if kind_of(one) in EXPRESSIONS:
                        below.append(one)
                    elif isinstance(one, dict):
                        pending += one.values()
                    elif isinstance(one, list):
                        pending += one
            assert sorted(map(id, below)) == sorted(id(one) for one in expressions_of(node)), kind
