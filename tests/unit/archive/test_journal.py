"""A journal that somebody lays beside the manifest: SQLite would take it for its own, and write it into the file."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pdp.archive.inspection import inspect_store
from pdp.archive.store import LocalStore
from pdp.errors import RecordDamagedError
from pdp.transparency.seal import digest_of
from tests.unit.archive.logs import Worker
from tests.unit.archive.test_store import store_at
from tests.unit.declog.samples import START

NOW: datetime = START + timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    worker = Worker(tmp_path)
    worker.segment(10)
    worker.begin()
    store = store_at(tmp_path, rows_per_file=10)
    with store.held():
        store.publish(store.waiting(), START)
    return store


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
        journal = aside.with_name(aside.name + "-journal").read_bytes()
        connection.execute("ROLLBACK")
    return journal


def laid(store: LocalStore, tmp_path: Path) -> Path:
    journal = store.place.manifest.with_name("manifest.db-journal")
    raw = forged_journal(store.place.manifest, tmp_path / "forged.db")
    # As large as the file is: nothing else of it would be cut off.
    journal.write_bytes(raw[:16] + (os.path.getsize(store.place.manifest) // 4096).to_bytes(4, "big") + raw[20:])
    return journal


def test_such_a_journal_is_named_and_the_manifest_is_as_it_was(store: LocalStore, tmp_path: Path):
    before = digest_of(store.place.manifest)
    laid(store, tmp_path)
    _, findings = inspect_store(store.layout.root)
    assert [(finding.segment, finding.kind) for finding in findings] == [("manifest.db-journal", "stray_file")]
    assert digest_of(store.place.manifest) == before


def test_no_change_is_sealed_over_such_a_journal(store: LocalStore, tmp_path: Path):
    laid(store, tmp_path)
    with pytest.raises(RecordDamagedError):
        store.manifest.place_hold(__import__("tests.unit.archive.test_retention", fromlist=["hold"]).hold())
    assert [finding.kind for finding in inspect_store(store.layout.root)[1]] != []
