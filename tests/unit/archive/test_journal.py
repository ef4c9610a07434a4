"""A journal that somebody lays beside the manifest: SQLite would take it for its own, and write it into the file."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pdp.archive.inspection import inspect_store
from pdp.archive.store import LocalStore
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.transparency.seal import changed_in_place, digest_of, write_seal
from tests.unit.archive.logs import Worker
from tests.unit.archive.test_store import store_at
from tests.unit.declog.samples import START


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    worker = Worker(tmp_path)
    worker.segment(10)
    worker.begin()
    store = store_at(tmp_path, rows_per_file=10)
    with store.held():
        store.publish(store.waiting(), START)
    return store


def journal_of(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.name}-journal")


def forged_journal(manifest: Path, aside: Path) -> bytes:
    """Of a change that would be taken back to a manifest whose only file was removed by retention."""
    shutil.copy(manifest, aside)
    with closing(sqlite3.connect(aside, isolation_level=None)) as connection:
        connection.execute("UPDATE files SET tier = 'removed'")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE files SET tier = 'hot'")
        connection.execute("CREATE TABLE padding (a)")
        connection.executemany("INSERT INTO padding VALUES (?)", [["x" * 4000]] * 50)  # until it must write
        journal = journal_of(aside).read_bytes()
        connection.execute("ROLLBACK")
    return journal


def laid(store: LocalStore, tmp_path: Path) -> Path:
    journal = journal_of(store.place.manifest)
    raw = forged_journal(store.place.manifest, tmp_path / "forged.db")
    # As large as the file is: nothing else of it would be cut off.
    journal.write_bytes(raw[:16] + (store.place.manifest.stat().st_size // 4096).to_bytes(4, "big") + raw[20:])
    return journal


def test_such_a_journal_is_named_and_the_manifest_is_as_it_was(store: LocalStore, tmp_path: Path):
    before = digest_of(store.place.manifest)
    laid(store, tmp_path)
    _, findings = inspect_store(store.layout.root)
    assert [(finding.segment, finding.kind) for finding in findings] == [("manifest.db-journal", "stray_file")]
    assert digest_of(store.place.manifest) == before


def test_no_change_is_sealed_over_such_a_journal(store: LocalStore, tmp_path: Path):
    laid(store, tmp_path)
    with pytest.raises(RecordDamagedError), changed_in_place(store.disk, store.place.manifest):
        raise AssertionError("the journal was taken for the manifest's own")
    with pytest.raises(NotReadyError, match="journal"):
        store.manifest.files()


def test_the_journal_of_a_process_that_died_is_taken_back_as_ever(store: LocalStore, tmp_path: Path):
    """Its seal says `changing`: what the journal holds is the file as it was."""
    manifest = store.place.manifest
    files = store.manifest.files()
    write_seal(store.disk, manifest, 99, "changing")
    with closing(sqlite3.connect(manifest, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE files SET tier = 'removed'")
        connection.execute("CREATE TABLE padding (a)")
        connection.executemany("INSERT INTO padding VALUES (?)", [["x" * 4000]] * 50)
        for path in (manifest, journal_of(manifest)):
            shutil.copy(path, tmp_path / f"died-{path.name}")
        connection.execute("ROLLBACK")
    shutil.copy(tmp_path / f"died-{manifest.name}", manifest)
    shutil.copy(tmp_path / f"died-{journal_of(manifest).name}", journal_of(manifest))
    with store.held():
        assert store.manifest.files() == files
    assert inspect_store(store.layout.root) == (10, ())
