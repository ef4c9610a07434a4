"""`pdp eval` as a program: its output is an interface that others rely on."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from tests.oracle.access_rules import judge
from tests.oracle.documents import healthy, malformed_document, random_document
from tests.servers import free_port, opa_server
from tests.unit.commands.conftest import DEADLINE_S, process

BAD = {"outcome": "deny", "reasons": ["BAD_INPUT"], "obligations": {}}


def test_the_answers_are_the_contracts_line_by_line():
    rng = random.Random(20261123)
    documents = [random_document(rng) if rng.random() < 0.9 else malformed_document(rng) for _ in range(400)]
    given = "".join(json.dumps(document) + "\n" for document in documents)
    result = process("eval", stdin=given.encode())
    assert result.returncode == 0
    assert result.stderr == b""
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert answers == [judge(document) for document in documents]


@pytest.mark.system
def test_an_opa_server_gives_the_same_answers(pdp, place):
    rng = random.Random(7)
    (place / "inputs.jsonl").write_text("".join(json.dumps(random_document(rng)) + "\n" for _ in range(100)))
    with opa_server() as opa:
        by_opa = pdp("eval", "--engine", "opa", "--opa-url", opa.url, "inputs.jsonl")
    by_regorus = pdp("eval", "inputs.jsonl", "--children", "1")
    assert by_opa.exit_code == by_regorus.exit_code == 0
    assert by_opa.stdout == by_regorus.stdout
    assert by_opa.stdout.count("\n") == 100


def test_what_is_wrong_with_a_line_is_said_only_when_asked(pdp, place):
    line = json.dumps(healthy()).encode()
    (place / "in").write_bytes(line + b'\n\n{"schema": "pdp.input/v1", "schema": "pdp.input/v1"}\nnull\n')
    quiet = pdp("eval", "in")
    loud = pdp("eval", "--explain-bad-input", "in")
    assert quiet.stdout == loud.stdout
    assert [json.loads(said) for said in quiet.stdout.splitlines()][1:] == [BAD] * 3
    assert quiet.stderr == ""
    assert [said[:7] for said in loud.stderr.splitlines()] == ["line 2:", "line 3:", "line 4:"]


def test_a_program_may_write_a_line_and_wait_for_its_answer():
    line = json.dumps(healthy()).encode() + b"\n"
    command = [sys.executable, "-m", "pdp.cli", "eval", "--children", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        for _ in range(3):
            child.stdin.write(line)
            child.stdin.flush()
            assert json.loads(child.stdout.readline())["outcome"] == "allow"
        child.stdin.close()
        assert child.stdout.read() == b""
        assert child.wait(DEADLINE_S) == 0


def test_a_reader_that_goes_away_ends_it_quietly(place):
    line = json.dumps(healthy()) + "\n"
    (place / "inputs.jsonl").write_text(line * 5_000)
    command = [sys.executable, "-m", "pdp.cli", "eval", "inputs.jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(DEADLINE_S) == 141


def test_a_plain_bundle_gets_its_documents_as_they_are(pdp, place):
    bundle = place / "plain"
    bundle.mkdir()
    (bundle / ".manifest").write_text('{"revision": "1", "metadata": {"profile": "plain", "entrypoint": "x/allow"}}')
    (bundle / "x.rego").write_text('package x\n\ndefault allow := false\n\nallow if input.subject.id == "alice"\n')
    (place / "in").write_text('{"subject": {"id": "alice"}}\n{}\n{"a":1,"a":1}\n')
    result = pdp("eval", "--bundle", bundle, "in")
    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert outcomes == [
        {"outcome": "allow", "reasons": [], "obligations": {}},
        {"outcome": "deny", "reasons": [], "obligations": {}},
        BAD,
    ]


def test_what_cannot_be_used_is_told_before_anything_is_answered(pdp, place):
    assert pdp("eval", "nowhere.jsonl").exit_code == 2
    assert pdp("eval", "--bundle", place / "nowhere").exit_code == 2
    unreachable = pdp("eval", "--engine", "opa", "--opa-url", f"http://127.0.0.1:{free_port()}", "/dev/null")
    assert unreachable.exit_code == 3
    assert unreachable.stdout == ""
    assert "Traceback" not in unreachable.stderr
