"""The trail says who looked at what: an anchor that knows its heads shows that it is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pdp.commands.wholeness import Wholeness, examine
from pdp.proving import TRAIL
from tests.unit.archive.logs import Worker, some_records
from tests.unit.transparency.notaries import ORIGIN, anchored, notary_at, signer


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A decision log and a trail, each signed for once, and an anchor that knows both heads."""
    for name, origin in (("decisions", ORIGIN), ("trail", ORIGIN + TRAIL)):
        worker = Worker(tmp_path / name)
        worker.write(some_records(worker.clock.now, 3))
        worker.seal()
        notary = notary_at(tmp_path / name, key=signer(1, origin), origin=origin)
        try:
            anchored(tmp_path / "anchor", notary.turn().note)
        finally:
            notary.close()
        for lock in ("start.lock", "local.w0.lock", "local.proof"):
            (tmp_path / name / "locks" / lock).touch()
    return tmp_path


def look(state: Path) -> Wholeness:
    return examine(state / "decisions", trail=state / "trail", anchors=[state / "anchor"])


def test_a_trail_that_is_there_is_no_finding(state: Path):
    seen = look(state)
    assert seen.breaks == ()
    assert [log.covered for log in seen.logs] == [3, 3]


@pytest.mark.parametrize("gone", ["trail", "trail/proof"])
def test_a_trail_whose_heads_somebody_knows_cannot_be_taken_away_unseen(state: Path, gone: str):
    shutil.rmtree(state / gone)
    assert (ORIGIN + TRAIL, "missing_ledger") in [(finding.segment, finding.kind) for finding in look(state).breaks]
