"""Whatever one hand does to one file of the log, the inspection finds it and names that file."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.declog.layout import Layout
from pdp.declog.verify import BREAKS
from pdp.transparency.inspection import Inspection, inspect
from tests.unit.transparency.notaries import signed_log

pytestmark = pytest.mark.timeout(600)
MANY = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    signed_log(root / "log", root / "anchor")
    return root


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound, tmp_path / "copy")
    return tmp_path / "copy"


def files_of(root: Path) -> list[Path]:
    """Every file but the locks, which are empty and say nothing."""
    return sorted(path for path in (root / "log").rglob("*") if path.is_file() and path.parent.name != "locks")


def found(root: Path) -> Inspection:
    return inspect(Layout(root / "log"), anchors=[root / "anchor"])


def stem(path: Path) -> str:
    """How findings name a file: a segment by its name, the rest by that of the file."""
    return path.name.removesuffix(".ndjson").removesuffix(".open")


def named(root: Path, path: Path) -> bool:
    breaks = [finding.segment for finding in found(root).findings if finding.kind in BREAKS]
    return path.name in breaks or stem(path) in breaks


def restore(sound: Path, root: Path) -> None:
    shutil.rmtree(root)
    shutil.copytree(sound, root)


def test_the_log_before_anything_is_done_to_it_is_sound(sound: Path):
    report = found(sound)
    assert report.breaks == 0
    assert {finding.kind for finding in report.findings} == {"unsealed", "torn_tail"}
    assert report.records == 18
    assert [(log.node, log.covered) for log in report.logs] == [("local", 18)]


@given(data=st.data())
@MANY
def test_any_flipped_bit_of_any_file_is_found_and_its_file_is_named(data, sound: Path, copied: Path):
    path = data.draw(st.sampled_from(files_of(copied)).filter(lambda path: path.stat().st_size > 0))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    try:
        assert named(copied, path), (path.name, at, whole[max(0, at - 20) : at + 20])
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@MANY
def test_any_file_cut_anywhere_is_found_and_named(data, sound: Path, copied: Path):
    path = data.draw(st.sampled_from(files_of(copied)).filter(lambda path: path.stat().st_size > 0))
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    try:
        assert named(copied, path), path.name
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@MANY
def test_a_line_taken_out_doubled_moved_or_added_is_found_and_its_file_is_named(data, sound: Path, copied: Path):
    path = data.draw(st.sampled_from(files_of(copied)).filter(lambda path: path.stat().st_size > 0))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    random = Random(data.draw(st.integers(0, 1 << 30)))
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match data.draw(st.sampled_from(["out", "doubled", "moved", "added"])):
        case "out":
            del lines[at]
        case "doubled":
            lines.insert(other, lines[at])
        case "moved":
            lines.insert(other, lines.pop(at))
        case "added":
            lines.insert(at, b"{}\n")
    changed = b"".join(lines)
    if changed == whole:
        return
    path.write_bytes(changed)
    try:
        assert named(copied, path), path.name
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@settings(MANY, max_examples=200)
def test_any_file_deleted_swapped_or_doubled_is_found_and_named(data, sound: Path, copied: Path):
    path, other = data.draw(st.lists(st.sampled_from(files_of(copied)), min_size=2, max_size=2, unique=True))
    whole, strange = path.read_bytes(), other.read_bytes()
    twin = path.with_name(data.draw(st.sampled_from(["copy-", "x."])) + path.name)
    match data.draw(st.sampled_from(["deleted", "swapped", "overwritten", "doubled"])):
        case "deleted":
            path.unlink()
            culprit = path
        case "swapped":
            path.write_bytes(strange)
            other.write_bytes(whole)
            culprit = path
        case "overwritten":
            path.write_bytes(strange)
            culprit = path
        case _:
            shutil.copy(path, twin)
            culprit = twin
    try:
        # A doubled ledger is that of a node which lacks the earlier ones.
        lone = any(finding.segment.startswith("copy-") for finding in found(copied).findings)
        sure = lone and culprit == twin and culprit.suffix == ".ledger"
        sure = sure or (
            path.exists() and path.read_bytes() == strange and named(copied, other)
        )  # of two that were swapped, the first
        assert whole == strange or sure or named(copied, culprit), (culprit.name, found(copied).findings)
    finally:
        twin.unlink(missing_ok=True)
        path.write_bytes(whole)
        other.write_bytes(strange)
