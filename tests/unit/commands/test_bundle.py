from __future__ import annotations

from typing import get_args

import pytest

from pdp.bundle.findings import Why
from pdp.commands.bundle_sight import WHYS
from tests.unit.commands.conftest import only_json, told

MANIFEST = '{"revision": "7", "metadata": {"profile": "plain", "entrypoint": "x/allow"}}'


@pytest.fixture
def bundle(place):
    """A small plain bundle with a test that holds."""
    root = place / "bundle"
    root.mkdir()
    (root / ".manifest").write_text(MANIFEST)
    (root / "x.rego").write_text('package x\n\ndefault allow := false\n\nallow if input.user == "a"\n')
    (root / "x_test.rego").write_text('package x_test\n\ntest_a if data.x.allow with input as {"user": "a"}\n')
    return root


def test_the_shipped_bundle_can_be_activated(pdp):
    result = pdp("bundle", "check", "--json")
    assert result.exit_code == 0
    assert only_json(result)["ok"] is True


def test_every_fault_is_told_with_its_place_and_in_both_languages(pdp, bundle):
    (bundle / "y.rego").write_text('package y\n\nasks if http.send({"url": input.url})\n\nodd if nobody_knows(1)\n')
    result = pdp("bundle", "check", bundle, "--json")
    assert result.exit_code == 1
    faults = only_json(result)["faults"]
    assert [fault["where"].rpartition(":")[0] for fault in faults] == ["y.rego:3", "y.rego:5"]
    assert [fault["code"] for fault in faults] == ["forbidden_builtin", "unknown_function"]
    assert all(fault["message"]["ja"] and fault["message"]["en"] for fault in faults)
    people = pdp("bundle", "check", bundle, lang="ja")
    assert people.exit_code == 1
    assert people.stdout.startswith("y.rego:3:")
    assert "使えない" in people.stdout


def test_a_module_that_does_not_parse_is_a_fault_with_line_and_column(pdp, bundle):
    (bundle / "x.rego").write_text("package x\n\nallow if {\n")
    result = pdp("bundle", "check", bundle)
    assert result.exit_code == 1
    assert result.stdout.startswith("x.rego:")


def test_a_bundle_that_cannot_even_be_read_is_a_fault_too(pdp, bundle):
    (bundle / ".manifest").write_text("{}")
    result = pdp("bundle", "check", bundle, "--json")
    assert result.exit_code == 1
    (fault,) = only_json(result)["faults"]
    assert (fault["where"], fault["code"]) == (".manifest", "bundle_refused")
    assert only_json(result)["revision"] is None


def test_a_policy_that_only_fails_when_it_runs_is_found_by_its_one_evaluation(pdp, bundle):
    (bundle / "x.rego").write_text('package x\n\nallow := to_number(object.get(input, ["n"], "no number")) > 0\n')
    result = pdp("bundle", "check", bundle)
    assert result.exit_code == 1
    assert "error" not in result.stderr


def test_reference_data_that_are_missing_are_a_fault(pdp, bundle):
    (bundle / ".manifest").write_text(MANIFEST.replace("plain", "zta"))
    result = pdp("bundle", "check", bundle, "--json")
    faults = only_json(result)["faults"]
    assert {"reason_without_text", "bundle_refused", "unknown_fact"} == {fault["code"] for fault in faults}


def test_inspect_shows_what_names_a_bundle(pdp, bundle):
    found = only_json(pdp("bundle", "inspect", bundle, "--json"))
    assert found["revision"] == "7"
    assert len(found["digest"]) == 64
    assert found["modules"] == {"x.rego": 5}
    assert found["tests"] == ["x_test.rego"]
    table = pdp("bundle", "inspect").stdout
    assert "OK_BYOD_COMMUNICATION" in table
    assert "rules/pdp/decision.rego" in table


def test_a_bundle_that_is_none_is_bad_input_for_inspect(pdp, place):
    result = pdp("bundle", "inspect", place)
    assert result.exit_code == 2
    assert told(result)[0].startswith(".manifest")


def test_the_tests_of_a_bundle_run_and_failures_are_named(pdp, bundle):
    fine = pdp("bundle", "test", bundle)
    assert (fine.exit_code, fine.stdout) == (0, "1 passed, 0 failed\n")
    (bundle / "y_test.rego").write_text('package y_test\n\ntest_b if data.x.allow with input as {"user": "b"}\n')
    failed = pdp("bundle", "test", bundle)
    assert failed.exit_code == 1
    assert failed.stdout.splitlines() == ["FAILED data.y_test.test_b", "  y_test.rego:3", "1 passed, 1 failed"]
    assert only_json(pdp("bundle", "test", bundle, "--json"))["failed"] == [
        {"test": "data.y_test.test_b", "where": "y_test.rego:3", "fault": None}
    ]


def test_a_bundle_without_a_test_does_not_pass(pdp, bundle):
    (bundle / "x_test.rego").unlink()
    result = pdp("bundle", "test", bundle)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "0 passed, 0 failed"


def test_inspect_shows_what_the_policy_can_see_and_where(pdp, bundle):
    footprint = only_json(pdp("bundle", "inspect", bundle, "--json"))["footprint"]
    assert footprint == {
        "whole": False,
        "paths": [["user"]],
        "readings": [{"path": ["user"], "module": "x.rego", "line": 5, "why": "value"}],
    }
    english = pdp("bundle", "inspect", bundle, lang="en").stdout
    assert "paths of the input that the policy can see: 1" in english
    assert [line.split() for line in english.splitlines() if "x.rego:5" in line] == [
        ["user", "its", "value", "is", "used", "x.rego:5"]
    ]
    japanese = pdp("bundle", "inspect", bundle, lang="ja").stdout
    assert "ポリシーが見る入力: 1 か所" in japanese
    assert "比較や条件で値を使う" in japanese


def test_inspect_says_why_a_policy_sees_everything(pdp, bundle):
    (bundle / "x.rego").write_text("package x\n\nallow if {\n\tinput.a[_]\n\tcount(input) > 1\n}\n")
    footprint = only_json(pdp("bundle", "inspect", bundle, "--json"))["footprint"]
    assert footprint == {
        "whole": True,
        "paths": [[]],
        "readings": [{"path": [], "module": "x.rego", "line": 5, "why": "call"}],
    }
    assert "(the whole input)" in pdp("bundle", "inspect", bundle, lang="en").stdout
    assert "（入力の全体）" in pdp("bundle", "inspect", bundle, lang="ja").stdout


def test_inspect_shows_a_bundle_that_does_not_parse_too(pdp, bundle):
    (bundle / "x.rego").write_text("package x\n\nallow if {\n")
    footprint = only_json(pdp("bundle", "inspect", bundle, "--json"))["footprint"]
    assert footprint["whole"] is True
    assert [reading["why"] for reading in footprint["readings"]] == ["unparsed"]


def test_inspect_names_the_first_places_and_counts_the_rest(pdp, bundle):
    (bundle / "x.rego").write_text("package x\n\n" + "".join(f"allow if input.user == {n}\n\n" for n in range(5)))
    table = pdp("bundle", "inspect", bundle, lang="en").stdout
    assert "x.rego:3, x.rego:5, x.rego:7, +2" in table


def test_every_reason_for_a_reading_has_its_words_in_both_languages():
    assert set(WHYS) == {*get_args(Why), "name", "entrypoint", "unparsed"}
    assert all(text.ja and text.en and text.ja != text.en for text in WHYS.values())


def test_coverage_names_the_lines_that_no_test_touches(pdp, bundle):
    assert pdp("bundle", "test", bundle, "--coverage").exit_code == 0
    (bundle / "z.rego").write_text("package z\n\nspare if {\n\tinput.user\n}\n")
    result = pdp("bundle", "test", bundle, "--coverage", "--json")
    assert result.exit_code == 1
    assert only_json(result)["coverage"]["missing"] == {"z.rego": [4]}
    people = pdp("bundle", "test", bundle, "--coverage", lang="ja")
    assert "z.rego: テストが通らない行 4" in people.stdout


def test_mutants_that_no_test_notices_are_listed(pdp, bundle):
    thorough = pdp("bundle", "mutate", bundle, "--json")
    weak = only_json(thorough)
    assert thorough.exit_code == 1  # nobody tests that another user is refused
    assert {"place": "x.rego:5", "change": 'input.user == "a" → true'}.items() <= {
        key: value for one in weak["survivors"] for key, value in one.items() if one["kind"] == "dropped"
    }.items()
    (bundle / "x_test.rego").write_text(
        'package x_test\n\ntest_a if data.x.allow with input as {"user": "a"}\n\n'
        'test_b if not data.x.allow with input as {"user": "b"}\n'
    )
    fine = pdp("bundle", "mutate", bundle)
    assert fine.exit_code == 0
    assert fine.stdout.splitlines()[-1] == "mutation score 100.00 %"


def test_what_other_tools_find_is_found(pdp, bundle, monkeypatch):
    from pathlib import Path

    opa = Path(__file__).parents[3] / ".tools" / "bin" / "opa"
    if not opa.exists():
        pytest.skip("`make tools` installs OPA")
    monkeypatch.setenv("PATH", str(opa.parent))
    assert pdp("bundle", "test", bundle, "--with-opa").exit_code == 0
    (bundle / "x.rego").write_text(
        'package x\n\nimport data.unused\n\ndefault allow := false\n\nallow if input.user == "a"\n'
    )
    (bundle / "unused.rego").write_text("package unused\n\ny := 1\n")
    found = only_json(pdp("bundle", "check", bundle, "--json"))["faults"]
    assert any(fault["code"].startswith(("opa_", "unreachable")) for fault in found)
    monkeypatch.setenv("PATH", "")
    assert pdp("bundle", "test", bundle, "--with-opa").exit_code == 3
