"""The default capabilities are what both engines run alike: each builtin on the list is asked of both.

A builtin that is forbidden because the engines differ is shown to differ: when an engine changes, this says so.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.bundle.capabilities import default_capabilities
from pdp.engine.opa_server import OpaServerEngine
from pdp.engine.regorus import RegorusEngine
from pdp.errors import EngineError
from tests.servers import opa_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pdp.engine.port import Engine

pytestmark = pytest.mark.anyio

DEADLINE = timedelta(seconds=20)

# One expression each. Where it is an error, it must be one in both engines.
ALIKE = r"""
abs(-3)
abs(-3.5)
ceil(3.2)
floor(-3.2)
round(2.5)
round(-2.5)
count([1, 2])
count({1, 2, 2})
count({"a": 1})
count("日本語")
count(input.one)
sum([1, 2.5])
sum([])
product([2, 3])
max([1, 3, 2])
max([])
min({"b", "a"})
sort([1, "a", null, true, [1], {"a": 1}])
numbers.range(4, 1)
numbers.range_step(1, 9, 3)
numbers.range_step(1, 9, 0)
concat(",", ["a", "b"])
concat(",", {"b", "a"})
contains("日本", "本")
endswith("abc", "c")
startswith("abc", "a")
startswith(input.one, "a")
contains("abc", "")
startswith("abc", "")
replace("abc", "", "x")
trim("abc", "")
trim_prefix("abc", "")
strings.any_prefix_match("abc", "")
concat("", [])
regex.match("", "abc")
regex.find_n("", "abc", -1)
regex.replace("abc", "", "x")
glob.match("", [], "")
format_int(-255, 2)
format_int(255, 7)
substring("", 0, 1)
sum([x | x := input[_]; x != 1])
max(input.one)
sort(input.one)
object.union_n([])
hex.decode("a")
net.cidr_expand("2001:db8::/126")
net.cidr_is_valid("2001:db8::/32")
replace("aab", "a", "b")
split("a.b.c", ".")
split("abc", "")
split("", ".")
substring("日本語", 1, 1)
substring("abc", 1, -1)
substring("abc", -1, 2)
substring("abc", 5, 1)
trim("xxaxx", "x")
trim_left("xxa", "x")
trim_right("axx", "x")
trim_prefix("abc", "a")
trim_suffix("abc", "c")
trim_space(" a\t\n")
strings.any_prefix_match("abc", ["x", "a"])
strings.any_suffix_match(["abc", "x"], "c")
strings.reverse("日本")
format_int(255, 16)
format_int(10.5, 10)
sprintf("%s-%d-%v %%", ["a", 3, true])
sprintf("%v %v %v", [{"a": 1}, ["a", "b"], {"a", "b"}])
sprintf("%v %v %v", [null, 1.5, "日本"])
regex.match("^a.c$", "abc")
regex.match("(?i)ABC", "abc")
regex.match(`\p{L}+`, "日本")
regex.match("[", "a")
regex.match(`(a)\1`, "aa")
regex.match("a(?=b)", "ab")
regex.is_valid("[")
regex.find_n("a", "aaa", 2)
regex.replace("abab", "a(b)", "$1")
regex.find_all_string_submatch_n("a(b)", "abab", -1)
glob.match("*.example.com", ["."], "a.example.com")
glob.match("*.example.com", [], "a.b.example.com")
glob.match("**.example.com", ["."], "a.b.example.com")
glob.match("{a,b}", [], "a")
glob.match("[a-c]", [], "b")
glob.match("a[!b]", [], "ac")
glob.match("*", null, "a.b")
glob.match("/a/*", ["/"], "/a/b/c")
glob.quote_meta("*.a")
object.get({"a": 1}, "b", 0)
object.get({"a": {"b": 1}}, ["a", "b"], 0)
object.get({"a": [1]}, ["a", 0], 9)
object.get({"a": 1}, [], 0)
object.get(input.one, "a", 0)
object.keys({"a": 1})
object.remove({"a": 1, "b": 2}, ["a"])
object.filter({"a": 1, "b": 2}, ["a"])
object.union({"a": {"b": 1}}, {"a": {"c": 2}})
object.union_n([{"a": 1}, {"b": 2}])
object.subset({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}})
object.subset([1, 2, 3], [1, 2])
json.filter({"a": {"b": 1, "c": 2}}, ["a/b"])
json.remove({"a": {"b": 1, "c": 2}}, ["a/b"])
json.is_valid("{")
json.unmarshal(`{"a": [1, 1.5, 1e2, "日本", null]}`)
json.unmarshal("{")
json.unmarshal("")
base64.encode("日本")
base64.decode("5pel5pys")
base64.decode("!!")
base64.is_valid("!!")
base64url.encode("a?>")
base64url.encode_no_pad("a")
base64url.decode("YT8-")
hex.encode("ab")
hex.decode("6162")
hex.decode("zz")
urlquery.encode("a b&c/日")
urlquery.encode_object({"a": "1 2", "b": ["x", "y"]})
array.concat([1], [2])
array.concat(input.one, [2])
array.slice([1, 2, 3], 1, 2)
array.slice([1, 2], -1, 9)
array.slice([1, 2], 2, 1)
array.reverse([1, 2])
union({{1}, {2}})
union(set())
intersection({{1, 2}, {2}})
type_name({1})
is_string(1)
is_number(1)
is_boolean(false)
is_array([])
is_set({1})
is_object({})
is_null(null)
bits.and(6, 3)
bits.or(6, 3)
bits.xor(6, 3)
bits.negate(5)
bits.rsh(8, 2)
graph.reachable({"a": ["b"], "b": ["c"], "c": []}, ["a"])
[[p, w] | walk({"a": [1]}, [p, w])]
net.cidr_is_valid("10.0.0.0/33")
net.cidr_is_valid("10.0.0.1/8")
net.cidr_is_valid("x")
net.cidr_expand("10.0.0.0/30")
net.cidr_expand("x")
time.date(1735689600000000000)
time.date([1735689600000000000, "Asia/Tokyo"])
time.date([1735689600000000000, "Nowhere"])
time.clock([1735689600000000000, "Asia/Tokyo"])
time.weekday([1735689600000000000, "Asia/Tokyo"])
time.parse_ns("2006-01-02", "2025-03-04")
time.parse_ns("2006-01-02", "soon")
5 % 3
-5 % 3
5 % 0
7 / 2
1 / 0
1 == 1.0
"é" < "z"
"𝒳" < "ﬀ"
null < true
"a" < 1
{1, 2} - {1}
{1} | {2}
{1, 2} & {2}
input.one | {2}
1 in {1}
"a", "x" in {"a": "x"}
1 in "abc"
9223372036854775807 + 1
{"b": [1, {"a"}], "a": {true, null}}
"""

# By builtin: one expression that shows the difference which its reason speaks of.
DIFFERENT = {
    "json.marshal": 'json.marshal("<&>")',
    "json.match_schema": 'json.match_schema({"a": 1}, {"type": "object"})',
    "json.patch": '[1 | json.patch({"a": 1}, [{"op": "remove", "path": "/z"}])]',
    "indexof": 'indexof("abc", "")',
    "indexof_n": 'indexof_n("abc", "")',
    "lower": 'lower("İ")',
    "net.cidr_contains": 'net.cidr_contains("10.0.0.0/8", "::ffff:10.1.2.3")',
    "regex.split": 'regex.split("", "abc")',
    "regex.template_match": 'regex.template_match("urn:{.*}:x", "urn:a:x", "{", "}")',
    "semver.compare": 'semver.compare("v1.2.3", "1.2.3")',
    "semver.is_valid": 'semver.is_valid("v1.2.3")',
    "strings.count": 'strings.count("aaaa", "aa")',
    "strings.replace_n": 'strings.replace_n({"a": "b", "b": "c"}, "ab")',
    "bits.lsh": "bits.lsh(9007199254740993, 60)",
    "time.add_date": "time.add_date(1738281600000000000, 0, 1, 0)",
    "time.format": 'time.format([1735689600000000000, "Asia/Tokyo", "RFC1123"])',
    "time.parse_duration_ns": 'time.parse_duration_ns("1d")',
    "time.parse_rfc3339_ns": 'time.parse_rfc3339_ns("2025-01-01 00:00:00Z")',
    "to_number": 'to_number(" 3")',
    "upper": 'upper("ß")',
    "urlquery.decode": 'urlquery.decode("%zz")',
}

PATTERN_CLASSES = [r'regex.match(`\d`, "٣")', r'regex.match(`\w`, "é")', r'regex.match(`\bé`, "é")']
FORMATS = ['sprintf("%s", [1])', 'sprintf("%d", ["a"])']


def expressions() -> list[str]:
    return [line for line in ALIKE.splitlines() if line]


@pytest.fixture(scope="module")
async def engines() -> AsyncIterator[tuple[Engine, Engine]]:
    with opa_server() as server:
        pair = RegorusEngine(deadline=DEADLINE), OpaServerEngine(server.url, deadline=DEADLINE)
        yield pair
        for engine in pair:
            await engine.close()


async def both(engines: tuple[Engine, Engine], probes: list[str]) -> list[tuple[Any, Any]]:
    """What each expression is in either engine; "error" stands for any error, an undefined value too."""
    rules = "\n\n".join(f"answer := v if {{\n\tinput.n == {n}\n\tv := {probe}\n}}" for n, probe in enumerate(probes))
    bundle = make_bundle(
        manifest={"revision": "probes", "metadata": {"entrypoint": "probes/answer"}},
        modules={"probes.rego": f"package probes\n\n{rules}\n"},
        data={},
    )
    documents = [json.dumps({"n": n, "one": 1}).encode() for n in range(len(probes))]
    found = []
    for engine in engines:
        await engine.activate(bundle)
        answers = await engine.evaluate(documents)
        found.append(["error" if isinstance(said, EngineError) else json.loads(said) for said in answers])
    return list(zip(*found, strict=True))


async def test_what_the_default_permits_gives_the_same_in_both_engines(engines):
    probes = expressions()
    answers = await both(engines, probes)
    different = {
        probe: answer for probe, answer in zip(probes, answers, strict=True) if repr(answer[0]) != repr(answer[1])
    }
    assert {probe: pair for probe, pair in different.items() if pair[0] != pair[1]} == {}
    errors = sum(answer[0] == "error" for answer in answers)
    assert 5 < errors < len(answers) / 5  # otherwise the probes show nothing


def test_every_builtin_of_the_default_list_is_asked():
    named = {
        builtin["name"]
        for builtin in default_capabilities()["builtins"]
        if "infix" not in builtin and not builtin["name"].startswith("internal.")
    }
    asked = {name for name in named if any(f"{name}(" in probe for probe in expressions())}
    assert named == asked


async def test_what_is_forbidden_for_its_difference_differs(engines):
    probes = [*DIFFERENT.values(), *PATTERN_CLASSES, *FORMATS]
    answers = await both(engines, probes)
    assert [probe for probe, (one, other) in zip(probes, answers, strict=True) if one == other] == []


def test_every_difference_that_a_reason_claims_is_shown():
    claimed = {
        name for name, reason in default_capabilities()["forbidden"].items() if "the engines differ" in reason["en"]
    }
    assert claimed == set(DIFFERENT)
