"""Of pseudonymised records an auditor still has the proof that they were there, and what was decided about them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdp.archive.inspection import inspect_store
from pdp.archive.restoring import restorer
from pdp.archive.search import DuckSearch
from pdp.declog.layout import Layout
from pdp.declog.record import read_record
from pdp.declog.verify import BREAKS
from pdp.errors import BadRequestError
from pdp.merkle import leaf_hash
from pdp.transparency.inspection import inspect
from pdp.transparency.proofs import Place, prove
from tests.unit.archive.logs import Worker
from tests.unit.archive.test_pseudonymising import log_at, rewrite, store_at
from tests.unit.transparency.notaries import notary_at

SCRIPT = Path(__file__).parents[3] / "tools" / "verify_decision.py"


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    """A log of thirty records that was signed for, and pseudonymised since."""
    written = log_at(tmp_path)
    notary = notary_at(tmp_path)
    while notary.turn().behind:
        pass
    notary.close()
    assert len(rewrite(store_at(tmp_path))) == 3
    return written


def checked(tmp_path: Path, proof: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (tmp_path / "proof.json").write_text(json.dumps(proof))
    (tmp_path / "keys").write_text("\n".join(proof["keys"]) + "\n")
    command = [sys.executable, str(SCRIPT), "--keys", str(tmp_path / "keys"), str(tmp_path / "proof.json")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_log_is_still_whole_under_its_signed_heads(worker: Worker, tmp_path: Path):
    archived, restore = restorer(tmp_path)
    report = inspect(Layout(tmp_path), archived=archived, restore=restore)
    assert [finding for finding in report.findings if finding.kind in BREAKS] == []
    assert [log.covered for log in report.logs] == [len(worker.written)]
    assert inspect_store(tmp_path) == (30, ())


def test_the_proof_of_one_decision_has_its_hash_and_holds_offline(worker: Worker, tmp_path: Path):
    archived, restore = restorer(tmp_path)
    body = worker.written[14]
    proof = prove(Layout(tmp_path), read_record(body).id, archived=archived, restore=restore)
    assert (proof["record"], proof["record_hash"]) == (None, leaf_hash(body).hex())
    told = checked(tmp_path, proof)
    assert (told.returncode, told.stderr) == (0, "")
    assert "what it said is gone" in told.stdout
    other = checked(tmp_path, proof | {"record_hash": "00" * 32})
    assert other.returncode == 1
    assert "not in its segment" in other.stderr


def test_of_several_records_of_one_id_the_one_that_is_meant_is_proven(worker: Worker, tmp_path: Path):
    archived, restore = restorer(tmp_path)
    body = worker.written[14]
    row = next(row for row in DuckSearch([tmp_path]).one(read_record(body).id).select(["segment", "seq"]).to_pylist())
    meant = Place(row["segment"], row["seq"], body)
    proof = prove(Layout(tmp_path), read_record(body).id, archived=archived, restore=restore, only=meant)
    assert proof["record_hash"] == leaf_hash(body).hex()
    other = Place(row["segment"], row["seq"] + 1, body)
    with pytest.raises(BadRequestError, match="no record of"):
        prove(Layout(tmp_path), read_record(body).id, archived=archived, restore=restore, only=other)
