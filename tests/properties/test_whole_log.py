"""Whatever one hand does to one file of the decision log, its store or its locks, `pdp audit verify` names that file."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdp.commands.wholeness import Wholeness, examine
from tests.properties.whole_log import whole_state

MANY = settings(
    max_examples=50 if settings().max_examples <= 100 else min(settings().max_examples, 2_000),  # `make fuzz`: more
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
pytestmark = pytest.mark.timeout(600)  # hundreds of looks at a whole log: beside a busy machine more than two minutes
ACCIDENTS = {"unsealed", "torn_tail", "retired"}


class Kept:
    """The sound state, and what was proven of it: a look at a copy derives only what differs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proven: set[object] = set()

    def seen(self, root: Path) -> Wholeness:
        return examine(root / "state" / "decisions", anchors=[root / "anchor"], proven=self.proven)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Kept:
    root = tmp_path_factory.mktemp("sound")
    whole_state(root / "state", root / "anchor")
    return Kept(root)


@pytest.fixture
def copied(sound: Kept, tmp_path: Path) -> Path:
    shutil.copytree(sound.root, tmp_path / "copy")
    return tmp_path / "copy"


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in (root / "state").rglob("*") if path.is_file())


def names_of(path: Path) -> set[str]:
    """How a finding may name a file: by its name, a data file with its folder, a segment without its ending."""
    return {path.name, f"{path.parent.name}/{path.name}", path.name.removesuffix(".ndjson").removesuffix(".open")}


def named(seen: Wholeness, path: Path) -> bool:
    """One more empty lock holds nothing and breaks nothing: it is told all the same."""
    empty_lock = path.parent.name == "locks" and path.exists() and not path.stat().st_size
    told = seen.findings if empty_lock else seen.breaks
    return bool(names_of(path) & {finding.segment for finding in told})


def test_before_anything_is_done_to_it_all_of_it_is_sound_and_nothing_is_left_out(sound: Kept):
    seen = sound.seen(sound.root)
    assert {finding.kind for finding in seen.findings} == ACCIDENTS
    assert (seen.records, seen.stored) == (37, 21)
    assert [(log.node, log.covered) for log in seen.logs] == [("local", 43)]
    kinds = {path.suffix for path in files_of(sound.root)}
    assert kinds >= {".open", ".ndjson", ".torn", ".json", ".ledger", ".db", ".seal", ".parquet", ".pieces", ".lock"}


@given(data=st.data())
@MANY
def test_any_flipped_bit_is_found_and_its_file_is_named(data, sound: Kept, copied: Path):
    path = data.draw(st.sampled_from(files_of(copied)).filter(lambda path: path.stat().st_size > 0))
    whole = path.read_bytes()
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    try:
        assert named(sound.seen(copied), path), (path.name, at)
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@MANY
def test_any_file_cut_lengthened_or_deleted_is_found_and_named(data, sound: Kept, copied: Path):
    path = data.draw(st.sampled_from(files_of(copied)))
    whole = path.read_bytes()
    match data.draw(st.sampled_from(["cut", "lengthened", "deleted"])):
        case "cut" if whole:
            path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        case "deleted":
            path.unlink()
        case _:
            # To an open segment a worker may still add: what is whole and follows is a record like any other.
            path.write_bytes(whole + data.draw(st.sampled_from([b"{}\n", b"\0\n", whole + b"\n"])))
    try:
        assert named(sound.seen(copied), path), path.name
    finally:
        path.write_bytes(whole)


@given(data=st.data())
@MANY
def test_any_two_files_swapped_and_any_file_doubled_or_renamed_are_found_and_named(data, sound: Kept, copied: Path):
    path, other = data.draw(st.lists(st.sampled_from(files_of(copied)), min_size=2, max_size=2, unique=True))
    whole, strange = path.read_bytes(), other.read_bytes()
    twin = path.with_name(data.draw(st.sampled_from(["copy-", "x."])) + path.name)
    what = data.draw(st.sampled_from(["swapped", "doubled", "renamed"]))
    match what:
        case "swapped":
            path.write_bytes(strange)
            other.write_bytes(whole)
        case "doubled":
            shutil.copy(path, twin)
        case _:
            path.rename(twin)
    try:
        seen = sound.seen(copied)
        # A copy under another node's name is that node's, whose log is then not whole.
        alien = any(finding.segment.startswith("copy-local") for finding in seen.breaks)
        culprits = (path, other) if what == "swapped" else (path, twin)
        assert whole == strange or alien or any(named(seen, culprit) for culprit in culprits), (what, path.name)
        assert what != "swapped" or whole == strange or named(seen, path) or named(seen, other)
    finally:
        twin.unlink(missing_ok=True)
        path.write_bytes(whole)
        other.write_bytes(strange)


@given(data=st.data())
@MANY
def test_lines_out_doubled_moved_or_added_are_found_and_the_first_record_is_named(data, sound: Kept, copied: Path):
    texts = [path for path in files_of(copied) if path.suffix in (".open", ".ndjson", ".ledger", ".pieces", ".keys")]
    path = data.draw(st.sampled_from(texts))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    random = Random(data.draw(st.integers(0, 1 << 30)))
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    match data.draw(st.sampled_from(["out", "doubled", "swapped", "added"])):
        case "out":
            del lines[at]
        case "doubled":
            lines.insert(other, lines[at])
        case "swapped":
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines.insert(at, b"{}\n")
    changed = b"".join(lines)
    if changed == whole:
        return
    path.write_bytes(changed)
    try:
        seen = sound.seen(copied)
        assert named(seen, path), path.name
        damaged = [f for f in seen.breaks if f.kind == "damaged_line" and f.segment in names_of(path)]
        if damaged and path.suffix in (".open", ".ndjson"):
            assert damaged[0] in seen.named, damaged
    finally:
        path.write_bytes(whole)
