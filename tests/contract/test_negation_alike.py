"""What the check passes under `not` means the same in both engines, and what it refuses often does not.

Each form is asked with an input that has none of what the form refers to. Where the engines then differ, one
of them does not fire the rule around the form: as a deny rule, it would fail open.
"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.engine.footprint_check import examine_bundle
from pdp.engine.opa_server import OpaServerEngine
from pdp.engine.regorus import RegorusEngine
from pdp.errors import EngineError
from tests.servers import opa_server

pytestmark = pytest.mark.anyio

HELPERS = """package negation

import input.imported as alias

f(x) if x == 1

default total(_) := false

total(x) if x == 1

maybe := 1 if input.nothing

default always := 1

always := 2 if input.nothing

constant := {"a"}

copied := input.nothing

chained := constant

names contains "a" if input.nothing

table["a"] := 1 if input.nothing

rows[key] := 1 if some key in input.nothing
"""

FORMS = """
not input.x
not input.x == 1
not 1 == input.x
not input.x = 3
not input.x == input.y
not (input.x == 1)
not maybe
not maybe == 1
not 1 in {2}
not input in {1}
not input.x in {1}
not 1 in input.x
not "a", input.x in {"a": 1}
not alias in {1}
not alias.y in {1}
not input.x > 3
not input.x != 1
not input.x + 1 == 2
not input.x | {1} == {1}
not input.x - {1} == {1}
not [input.x] == [1]
not {input.x} == {1}
not {"a": input.x} == {"a": 1}
not f(input.x)
not f(1)
not f(2)
not f(maybe)
not total(input.x)
not startswith(input.x, "a")
not startswith(lower(input.x), "a")
not lower(input.x) == "a"
not count(input.x) > 1
not count([1 | input.x]) > 0
not 1 in {y | y := input.x}
not object.get(input.x, "a", 1) == 1
not data.known[input.x]
not data.known[input.x] == 1
not {"a": 1}[input.x] == 1
not {1}[input.x]
not input.l[input.x]
not 1 in data.known
not 1 in data.unknown
not 1 in data.known.deeper
not 1 in maybe
not always in {3}
not "z" in constant
not "z" in chained
not 1 in copied
not "z" in names
not 1 in table
not 1 in rows
not 1 in table.b
not f(f(2))
some y in [1]; not data.known[y]
some y in [1]; not y in {2}
some y in [1]; not y in data.unknown
some y in ["a"]; not startswith(y, input.x)
some y in input.rows; not y.missing in {1}
some y in input.rows; not y.missing == 1
not input.x in {1} with input as {}
"""


def forms() -> list[str]:
    return [line for line in FORMS.splitlines() if line]


def bundle_of(bodies):
    rules = "\n\n".join(f"answer := true if {{\n\tinput.n == {n}\n\t{body}\n}}" for n, body in enumerate(bodies))
    return make_bundle(
        manifest={"revision": "1", "metadata": {"entrypoint": "negation/answer"}},
        modules={"n.rego": f"{HELPERS}\ndefault answer := false\n\n{rules}\n"},
        data={"known": {"m": 1}},
        capabilities={
            "builtins": [
                *("lower", "or", "minus", "plus", "equal", "eq", "neq", "gt", "assign", "count", "startswith"),
                *("object.get", "internal.member_2", "internal.member_3"),
            ]
        },
    )


@pytest.fixture(scope="module")
async def answers():
    """By form: what regorus and OPA make of it."""
    with opa_server() as server:
        engines = (
            RegorusEngine(deadline=timedelta(seconds=20)),
            OpaServerEngine(server.url, deadline=timedelta(seconds=20)),
        )
        found = []
        for engine in engines:
            await engine.activate(bundle_of(forms()))
            documents = [json.dumps({"n": n, "rows": [{"a": 1}]}).encode() for n in range(len(forms()))]
            said = await engine.evaluate(documents)
            assert not any(isinstance(one, EngineError) for one in said), said
            found.append([json.loads(one) for one in said])
            await engine.close()
    return dict(zip(forms(), zip(*found, strict=True), strict=True))


@pytest.fixture(scope="module")
def refused():
    faults = examine_bundle(bundle_of(forms())).faults
    assert {fault.code for fault in faults} == {"undefinable_negation"}
    text = bundle_of(forms()).modules["n.rego"].splitlines()
    return {text[fault.line - 1].strip() for fault in faults}


async def test_the_check_refuses_exactly_what_the_engines_disagree_about(answers, refused):
    different = {form for form, (in_regorus, in_opa) in answers.items() if in_regorus != in_opa}
    assert refused == different
    assert {answers[form] for form in different} == {(True, False)}  # OPA does not fire the rule
    assert 20 < len(different) < len(answers)
