"""A small instance of `python -m tests.properties.flips`: every kind of evidence in a state directory, damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.properties.flips import DAMAGES, Known, everything, files_of, kind_of, run

COUNT = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("whole")
    everything(root)
    return root


def test_the_sound_state_has_every_kind_of_file_and_no_break(whole: Path):
    kinds = {kind_of(path, whole).rpartition("*")[2] for path in files_of(whole)}
    assert kinds >= {
        "anchor", ".open", ".ndjson", ".recovery.json", ".torn", ".ledger", ".checkpoint", ".standing", ".keys", ".db",
        ".seal", ".parquet", ".pieces", ".lock", ".proof", ".json", "pseudonyms.key",
    }  # fmt: skip
    assert (whole / "state" / "archive" / "rows").is_dir()
    assert Known().look(whole).breaks == ()


def test_whatever_is_done_to_one_file_is_found_and_the_file_is_named(whole: Path):
    seed = int.from_bytes(os.urandom(4))
    done, missed = run(whole, COUNT, seed)
    assert missed == [], f"seed {seed}"
    assert sum(done.values()) == COUNT
    assert {what for _, what in done} == set(DAMAGES)
