from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from pdp.archive.keeper import Keeper
from pdp.archive.standing import read_standing, standing_path, write_standing
from pdp.archive.store import LocalStore
from pdp.log_metrics import ProofMetrics, StoreMetrics
from pdp.transparency.anchor_feed import AnchorHealth
from pdp.transparency.keeper import KeeperStatus
from tests.unit.archive.logs import Worker
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START


def test_the_store_is_shown_as_its_keeper_left_it(tmp_path: Path):
    worker = Worker(tmp_path / "decisions")
    worker.segment(5)
    store = LocalStore(tmp_path / "decisions", disk=HastyDisk())
    registry = CollectorRegistry()
    metrics = StoreMetrics(registry, tmp_path)

    def value(name: str) -> float | None:
        return registry.get_sample_value(f"sekisho_store_{name}")

    metrics.show()
    assert value("round_timestamp_seconds") == 0
    keeper = Keeper(store, keep_segments_days=0, tell=lambda kept, now: write_standing(tmp_path, store, kept, now))
    keeper.once(START + timedelta(days=1))
    worker.segment(1)
    write_standing(tmp_path, store, keeper.once(START), START)
    StoreMetrics(CollectorRegistry(), tmp_path).show()
    standing = read_standing(tmp_path)
    assert standing is not None
    assert (standing.files, standing.records, standing.waiting, standing.oldest) == (2, 6, 0, "")
    for _ in range(15):
        metrics.show()
    assert value("round_timestamp_seconds") == START.timestamp()
    assert value("records") == 6
    standing_path(tmp_path).write_text("{")
    assert read_standing(tmp_path) is None


def test_only_the_worker_whose_notary_works_shows_the_proof():
    registry = CollectorRegistry()
    metrics = ProofMetrics(registry)
    metrics.show(KeeperStatus(working=False, size=0, fault=None, altered=(), anchors=()))
    assert registry.get_sample_value("sekisho_log_signed_timestamp_seconds") == 0
    down = AnchorHealth("file:/a", published=3, waiting=2, dropped=0, fault="ENOSPC")
    metrics.show(KeeperStatus(working=True, size=9, fault=None, altered=("x",), anchors=(down,), turned=17.5))
    assert registry.get_sample_value("sekisho_log_signed_timestamp_seconds") == 17.5
    assert registry.get_sample_value("sekisho_log_altered_segments") == 1
    assert registry.get_sample_value("sekisho_log_anchor_up", {"anchor": "file:/a"}) == 0
    assert registry.get_sample_value("sekisho_log_anchor_waiting_heads", {"anchor": "file:/a"}) == 2
