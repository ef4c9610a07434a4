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
    test = rego.commands(bundle, "opa", "pdp")["opa test"]
    assert str(bundle / "data" / "x.yaml") in test
    assert str(bundle / "data") not in test
    assert str(bundle / "data" / "notes.txt") not in test


def test_a_bundle_with_tests_is_tested_and_one_without_is_not(bundle):
    assert list(rego.commands(bundle, "opa", "pdp")) == ["opa fmt", "opa check", "opa test", "pdp bundle check"]
    (bundle / "rules" / "a_test.rego").unlink()
    assert list(rego.commands(bundle, "opa", "pdp")) == ["opa fmt", "opa check", "pdp bundle check"]


def test_the_service_itself_checks_the_bundle(bundle):
    check = rego.commands(bundle, "opa", ".venv/bin/pdp")["pdp bundle check"]
    assert check == [".venv/bin/pdp", "bundle", "check", str(bundle)]
