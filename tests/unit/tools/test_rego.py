"""Which Rego checks run over which bundle. That opa itself says no is opa's own business."""

from __future__ import annotations

import pytest

from tools import rego


@pytest.fixture
def bundle(tmp_path):
    place = tmp_path / "policies"
    for name in (".manifest", "rules/a.rego", "rules/a_test.rego", "data/x.yaml", "data/notes.txt"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    return place


def test_every_directory_with_a_manifest_is_a_bundle(tmp_path, bundle):
    other = tmp_path / "tests" / "conformance" / "authzen" / "bundle"
    other.mkdir(parents=True)
    (other / ".manifest").touch()
    assert rego.bundles(tmp_path) == [bundle, other]


def test_data_files_are_given_one_by_one_so_that_each_merges_into_the_root(bundle):
    test = rego.commands(bundle, "opa")["test"]
    assert str(bundle / "data" / "x.yaml") in test
    assert str(bundle / "data") not in test
    assert str(bundle / "data" / "notes.txt") not in test


def test_a_bundle_with_tests_is_tested_and_one_without_is_not(bundle):
    assert set(rego.commands(bundle, "opa")) == {"fmt", "check", "test"}
    (bundle / "rules" / "a_test.rego").unlink()
    assert set(rego.commands(bundle, "opa")) == {"fmt", "check"}


def test_a_capabilities_file_bounds_what_is_compiled(bundle):
    assert "--capabilities" not in rego.commands(bundle, "opa")["check"]
    (bundle / "capabilities.json").touch()
    check = rego.commands(bundle, "opa")["check"]
    assert check[check.index("--capabilities") + 1] == str(bundle / "capabilities.json")
