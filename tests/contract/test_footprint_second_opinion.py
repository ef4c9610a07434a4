"""The footprint, as OPA would have it: another parser, another reading of names, another evaluator.

Three opinions. A short walker over `opa parse`, which shares nothing with ours; OPA's own partial evaluation,
which says what of the input a rule still asks for once all else is known; and OPA's answers, for random policies
and pairs of documents that agree at the footprint (OPA reads names more narrowly than regorus, so one footprint
serves both engines).
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.bundle.footprint import Footprint
from pdp.engine.footprint_check import bundle_footprint
from tests.properties.test_footprint import another_with_one_key, trial_of
from tests.rego_writer import DATA, write_policy
from tests.rego_writer import random_document as random_json
from tests.servers import OpaServer, opa_binary, opa_server

POLICIES = Path(__file__).parents[2] / "policies"
POLICIES_TO_TRY = 120


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(POLICIES)


@pytest.fixture(scope="module")
def footprint(bundle: Bundle) -> Footprint:
    return bundle_footprint(bundle)


# A walker over OPA's own trees.


def terms_below(tree: Any) -> Iterator[list[dict[str, Any]]]:
    """Every reference in a tree: its terms."""
    pending = [tree]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            if part.get("type") == "ref":
                yield part["value"]
                pending += part["value"][1 if part["value"][0]["type"] == "var" else 0 :]
                continue
            if part.get("type") == "var":  # a name alone; OPA makes no reference of it
                yield [part]
            pending += part.values()
        elif isinstance(part, list):
            pending += part


def constant(terms: list[dict[str, Any]]) -> tuple[str, ...]:
    """The steps before the first computed one."""
    found: list[str] = []
    for term in terms:
        if term["type"] != "string":
            break
        found.append(term["value"])
    return tuple(found)


class OpaReading:
    """What `data.pdp.decision` reaches, by the trees of `opa parse`. Names are taken as OPA takes them: by file."""

    def __init__(self, bundle: Bundle) -> None:
        self.rules: list[tuple[tuple[str, ...], dict[str, tuple[str, ...]], Any]] = []
        for name in bundle.modules:
            parsed = subprocess.run(
                [opa_binary(), "parse", "-f", "json", POLICIES / name], capture_output=True, check=True, timeout=30
            )
            tree = json.loads(parsed.stdout)
            package = constant(tree["package"]["path"][1:])
            imports = {
                one.get("alias") or one["path"]["value"][-1]["value"]: (
                    one["path"]["value"][0]["value"],
                    *constant(one["path"]["value"][1:]),
                )
                for one in tree.get("imports", [])
            }
            for rule in tree["rules"]:
                head = rule["head"]["ref"]
                self.rules.append(
                    ((*package, head[0]["value"], *constant(head[1:])), {**imports, **self.own(tree, package)}, rule)
                )

    @staticmethod
    def own(tree: Any, package: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        names = [rule["head"]["ref"][0]["value"] for rule in tree["rules"]]
        return {name: ("data", *package, name) for name in names}

    def footprint(self, entrypoint: tuple[str, ...]) -> set[tuple[str, ...]]:
        packages = {path[:-1]: {} for path, _, _ in self.rules}
        for path, names, _ in self.rules:  # the files of one package share its rules
            packages[path[:-1]].update({name: at for name, at in names.items() if at[:-1] == ("data", *path[:-1])})
        found: set[tuple[str, ...]] = set()
        pending, done = [entrypoint], set()
        while pending:
            at = pending.pop()
            for number, (path, names, rule) in enumerate(self.rules):
                if number in done or (path[: len(at)] != at and at[: len(path)] != path):
                    continue
                done.add(number)
                for terms in terms_below({key: value for key, value in rule.items() if key != "annotations"}):
                    root = terms[0]["value"] if terms[0]["type"] == "var" else None
                    start = {"input": ("input",), "data": ("data",), **packages[path[:-1]], **names}.get(root)
                    if start is not None:
                        (found.add if start[0] == "input" else pending.append)((*start[1:], *constant(terms[1:])))
        return found


def test_a_walker_over_the_trees_of_opa_finds_the_same(bundle: Bundle, footprint: Footprint) -> None:
    """No difference has to be explained today. The walker knows no aliases: where a rule hands a part of the input on,
    it finds that part, and ours what is used of it; then each such path is to be named here, with its reason."""
    theirs = OpaReading(bundle).footprint(("pdp", "decision"))
    shortest = {path for path in theirs if not any(path[:length] in theirs for length in range(len(path)))}
    assert shortest == set(footprint.paths)


# Partial evaluation.


def ask(server: OpaServer, method: str, path: str, body: bytes | None, kind: str = "application/json") -> Any:
    request = Request(f"{server.url}{path}", data=body, method=method, headers={"Content-Type": kind})
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def server() -> Iterator[OpaServer]:
    with opa_server() as started:
        yield started


def put(server: OpaServer, modules: Mapping[str, str]) -> bool:
    """Whether OPA takes all of them in place of what it has. A function has to be there as long as it is called."""
    there = [policy["id"] for policy in ask(server, "GET", "/v1/policies", None)["result"]]
    assert in_any_order(server, "DELETE", dict.fromkeys(there, ""))
    return in_any_order(server, "PUT", modules)


def in_any_order(server: OpaServer, method: str, modules: Mapping[str, str]) -> bool:
    waiting = dict(modules)
    for _ in modules:
        for name, text in list(waiting.items()):
            try:
                ask(server, method, f"/v1/policies/{name}", text.encode() or None, "text/plain")
            except HTTPError as fault:
                assert fault.code == 400
            else:
                del waiting[name]
    return not waiting


def test_partial_evaluation_asks_for_nothing_outside(bundle: Bundle, footprint: Footprint) -> None:
    """Of each rule for itself: OPA does not look into a rule with `default` or `else` from outside."""
    with opa_server(str(POLICIES / "rules"), str(POLICIES / "data")) as server:
        asked, looked_into = asked_for(server, bundle)
    outside = {path for path in asked if not any(path[: len(known)] == known for known in footprint.paths)}
    assert outside == set()
    assert looked_into > 100
    assert len(asked) > len(footprint.paths) * 0.8


def asked_for(server: OpaServer, bundle: Bundle) -> tuple[set[tuple[str, ...]], int]:
    """What of the input partial evaluation leaves open, and in how many queries it left anything open."""
    asked: set[tuple[str, ...]] = set()
    looked_into = 0
    for path, _, rule in OpaReading(bundle).rules:
        if "args" in rule["head"]:
            continue
        name = "data." + ".".join(path)
        for query in (f"{name} = x", f"not {name}", f"{name}[x]"):
            question = json.dumps({"query": query, "unknowns": ["input"]}).encode()
            try:
                result = ask(server, "POST", "/v1/compile", question)["result"]
            except HTTPError as fault:  # it is true or a number, and has no members
                assert (fault.code, query[-3:]) == (400, "[x]")
                continue
            found = {constant(terms[1:]) for terms in terms_below(result) if terms[0].get("value") == "input"}
            looked_into += bool(found)
            asked |= found
    return asked, looked_into


# OPA's answers.


def answer(server: OpaServer, document: Any) -> Any:
    try:
        return ask(server, "POST", "/v1/data/p/answer", json.dumps({"input": document}).encode()).get(
            "result", "undefined"
        )
    except HTTPError as fault:
        assert fault.code == 500
        return "error"


def test_documents_that_agree_at_the_footprint_have_one_answer_from_opa(server: OpaServer) -> None:
    taken = compared = 0
    ask(server, "PUT", "/v1/data/base", json.dumps(DATA["base"]).encode())
    for seed in range(POLICIES_TO_TRY):
        rng = random.Random(seed)
        trial = trial_of(write_policy(rng))
        if trial is None or trial.footprint.whole:
            continue
        if not put(server, trial.modules):  # OPA sees at once what regorus sees when it gets there, or never
            continue
        taken += 1
        key_of = trial.key_maker(trial.footprint)
        for _ in range(6):
            document = random_json(rng)
            other = another_with_one_key(document, key_of, rng)
            compared += other != document
            assert answer(server, other) == answer(server, document), (trial.modules, trial.footprint, document, other)
    assert taken > POLICIES_TO_TRY / 10
    assert compared > taken * 3
