"""The files of a revision: what is kept, what is refused, and the way to a directory and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdp.bundle.bundle import read_bundle
from pdp.errors import BadRequestError, PayloadTooLargeError, RecordDamagedError
from pdp.revisions.files import (
    bundle_of,
    check_files,
    decode_files,
    differences,
    encode_files,
    from_directory,
    to_directory,
)
from tests.revision_files import policy

SHIPPED = Path(__file__).parents[3] / "policies"


def test_the_shipped_policy_goes_into_a_revision_and_out_again_unchanged(tmp_path: Path) -> None:
    files = from_directory(SHIPPED)
    assert "README.md" in files
    to_directory(decode_files(*_kept(files)), tmp_path / "out")
    assert from_directory(tmp_path / "out") == files
    assert read_bundle(tmp_path / "out").digest == read_bundle(SHIPPED).digest == bundle_of(files).digest


def _kept(files: dict[str, str]) -> tuple[bytes, str]:
    from hashlib import sha256

    text = encode_files(files)
    return text, sha256(text).hexdigest()


@pytest.mark.parametrize(
    "path",
    [
        "../x.rego",
        "/etc/x.rego",
        "a/../../x.rego",
        "a//x.rego",
        "./x.rego",
        ".git/x.rego",
        "a/.hidden/x.rego",
        "data\\x.yaml",
        "x.sh",
        "scenarios/x.py",
        "x\n.rego",
        "x" * 300 + ".rego",
        "",
    ],
)
def test_a_path_that_could_leave_the_directory_or_is_no_file_of_a_policy_is_refused(path: str) -> None:
    with pytest.raises(BadRequestError):
        check_files({**policy("p"), path: "package x"})


@pytest.mark.parametrize("text", [7, None, "a\x00b", "\ud800", ["x"]])
def test_what_is_no_text_is_no_file(text: Any) -> None:
    with pytest.raises(BadRequestError):
        check_files({**policy("p"), "x.rego": text})


def test_too_many_files_and_too_large_ones_are_refused() -> None:
    with pytest.raises(PayloadTooLargeError):
        check_files({f"data/{number}.yaml": "a: 1" for number in range(2_001)})
    with pytest.raises(PayloadTooLargeError):
        check_files({**policy("p"), "x.rego": "x" * (16 * 1024 * 1024 + 1)})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({".manifest": "{"}, ".manifest"),
        ({"data/a.yaml": "a: 1", "data/b.yaml": "a: 2"}, "data/b.yaml"),
        ({"data/a.json": '{"a":1,"a":2}'}, "twice"),
        ({"capabilities.json": "[]"}, "capabilities.json"),
        ({".manifest": policy("x")[".manifest"].replace('"x"', '"\\ud800"')}, "bundle"),
        ({".manifest": policy("x")[".manifest"].replace('"x"', '"\\u0000"')}, "revision"),
        ({".manifest": policy("x" * 200)[".manifest"]}, "revision"),
        ({"data/a.json": '{"a":"\\ud800"}'}, ""),
    ],
)
def test_files_that_make_no_bundle_are_refused_with_their_place(changed: dict[str, str], told: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        bundle_of({**policy("p"), **changed})
    assert told in refused.value.message


def test_a_directory_that_is_not_empty_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadRequestError):
        to_directory(policy("p"), tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_files_that_are_not_what_was_kept_are_not_given_out() -> None:
    text, digest = _kept(policy("p"))
    with pytest.raises(RecordDamagedError):
        decode_files(text + b" ", digest)


def test_differences_name_what_was_added_removed_and_changed() -> None:
    before = {**policy("a"), "data/old.yaml": "a: 1\n"}
    after = {**policy("a", allow=False), "data/new.yaml": "b: 1"}
    found = {one["path"]: one for one in differences(before, after)}
    assert {path: one["change"] for path, one in found.items()} == {
        "data/new.yaml": "added",
        "data/old.yaml": "removed",
        "house/house.rego": "changed",
        "house/house_test.rego": "changed",
    }
    assert '-decision := {"decision": true' in found["house/house.rego"]["diff"]
    assert "\\ No newline at end of file" in found["data/new.yaml"]["diff"]
    assert differences(before, before) == []
