"""Names that end in `.tmp` are told: what could become one of ours, and what somebody put there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.archive.inspection import inspect_store
from pdp.archive.store import LocalStore
from pdp.commands.kept_files import policy_findings
from pdp.declog.layout import Layout
from pdp.transparency.inspection import inspect
from tests.unit.archive.logs import Worker
from tests.unit.archive.test_store import publish

SEGMENT = "local.w0.20260401T000000000000Z.000009.20260401T000000000000Z"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    worker = Worker(tmp_path)
    worker.segment(3)
    publish(LocalStore(tmp_path))
    for folder in ("proof", "torn", "store/tail", "bundles"):
        (tmp_path / folder).mkdir(exist_ok=True)
    return tmp_path


def told(log: Path) -> dict[str, str]:
    found = [*inspect(Layout(log)).findings, *inspect_store(log)[1], *policy_findings(log / "bundles", log)]
    return {finding.segment: finding.kind for finding in found if finding.segment.endswith(".tmp")}


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("segments", f"{SEGMENT}.recovery.json.tmp"),
        ("segments", f"{SEGMENT}.ndjson.7f3a00-2.tmp"),
        ("segments", "probe.tmp"),
        ("segments", "probe.tmp.tmp"),
        ("torn", f"{SEGMENT}.torn.tmp"),
        ("proof", "local.checkpoint.tmp"),
        ("store", "manifest.db.seal.tmp"),
        ("store", "tail.pieces.tmp"),
        ("store/rows", "20260401T000000000000Z-0123456789abcdef.parquet.tmp"),
        ("store/tail", f"{SEGMENT}.0.100.parquet.tmp"),
        ("bundles", f"{'ab' * 32}.json.tmp"),
    ],
)
def test_what_a_process_left_that_died_is_told_and_no_break(log: Path, place: str, name: str):
    (log / place / name).write_bytes(b"half")
    assert list(told(log).values()) == ["left_over"]


@pytest.mark.parametrize(
    "place", ["segments", "torn", "proof", "store", "store/rows", "store/hourly", "store/tail", "bundles"]
)
@pytest.mark.parametrize("name", ["kept.tmp", ".tmp", "names.csv.tmp", f"{SEGMENT}.tmp"])
def test_what_could_become_nothing_of_ours_is_a_stray_file(log: Path, place: str, name: str):
    (log / place / name).write_bytes(b"who was where")
    assert list(told(log).values()) == ["stray_file"]
