from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from pdp.archive.store import LocalStore
from pdp.declog.disk import PosixDisk
from pdp.declog.layout import SEALED, Layout
from pdp.declog.reader import records_of
from pdp.declog.writer import Epoch, SegmentWriter
from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.test_replay import decided
from tests.unit.declog.samples import Clock

__all__ = ["decided"]

SCRIPT = Path(__file__).resolve().parents[3] / "tools" / "verify_decision.py"


def script(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )


def test_a_decision_is_proven_from_the_commands_alone(pdp, decided, place: Path):
    assert pdp("audit", "checkpoint", "--out", "head.checkpoint").exit_code == 0
    assert pdp("audit", "keys", "--out", "auditor.keys").exit_code == 0
    result = pdp("audit", "prove", decided["allow"], "--out", "proof.json")
    assert result.exit_code == 0, result.stderr
    checked = script("--keys", "auditor.keys", "proof.json")
    assert checked.returncode == 0, checked.stderr
    assert decided["allow"] in checked.stdout
    assert script("--keys", "auditor.keys", "head.checkpoint").returncode == 0
    assert pdp("audit", "consistency", "head.checkpoint", "head.checkpoint", "--out", "same.json").exit_code == 0
    assert script("--keys", "auditor.keys", "same.json").returncode == 0


def test_verify_holds_the_log_against_a_head_that_was_kept_elsewhere(pdp, decided, place: Path):
    log = place / "var" / "decisions"
    pdp("audit", "checkpoint", "--out", "head.checkpoint")
    (place / "anchor").write_text(json.dumps({"checkpoint": (place / "head.checkpoint").read_text()}) + "\n")
    pdp("audit", "keys", "--out", "auditor.keys")
    result = pdp("audit", "verify", "--anchor", "anchor", "--keys", "auditor.keys", "--json")
    assert result.exit_code == 0
    told_logs = only_json(result)["logs"]
    assert told_logs[0]["covered"] == len(decided)
    shutil.rmtree(log / "proof")
    assert pdp("audit", "verify").exit_code == 1  # the key and the lock of a notary are there
    result = pdp("audit", "verify", "--anchor", "anchor")
    assert result.exit_code == 1
    assert "missing_ledger" in result.stdout


def test_a_key_is_rotated_and_the_log_stays_proven(pdp, decided, place: Path):
    pdp("audit", "checkpoint", "--out", "head.checkpoint")
    result = pdp("audit", "rotate-key", "--json")
    assert only_json(result)["signed"] is True
    assert len(pdp("audit", "keys").stdout.splitlines()) == 2
    assert pdp("audit", "keys").stdout.splitlines()[1] == only_json(result)["key"]
    assert pdp("audit", "rotate-key").exit_code == 0
    assert pdp("audit", "verify").exit_code == 0
    pdp("audit", "checkpoint", "--out", "later.checkpoint")
    pdp("audit", "keys", "--out", "auditor.keys")
    assert pdp("audit", "consistency", "head.checkpoint", "later.checkpoint", "--out", "between.json").exit_code == 0
    assert script("--keys", "auditor.keys", "between.json").returncode == 0


def test_keys_that_are_none_and_ids_that_are_unknown_are_said(pdp, decided, place: Path):
    (place / "auditor.keys").write_text("no key\n")
    assert "holds something else" in told(pdp("audit", "verify", "--keys", "auditor.keys"))[0]
    assert "no record" in told(pdp("audit", "prove", "no-id"))[0]


def test_of_a_doubled_id_the_record_that_is_named_is_proven(pdp, decided, place: Path):
    log = place / "var" / "decisions"
    (name,) = Layout(log).names()
    record = next(body for _, body in records_of(Layout(log).sealed_path(name)) if decided["deny"].encode() in body)
    other, clock = Epoch(name.node, "w7", name.epoch), Clock(name.created_at)
    writer = SegmentWriter(
        Layout(log), other, None, durability="power", max_segment_bytes=1 << 20, clock=clock, disk=PosixDisk()
    )
    writer.open()
    writer.commit([record.replace(b'"deny"', b'"allow"', 1)])
    writer.seal("close")
    pdp("audit", "checkpoint")
    pdp("audit", "keys", "--out", "auditor.keys")
    message, next_step = told(pdp("audit", "prove", decided["deny"]))
    assert "2 records that differ" in message
    found = re.findall(r"--segment (\S+) --seq (\d+)", next_step)
    assert len(found) == 2
    outcomes = set()
    for segment, seq in found:
        said = pdp("audit", "prove", decided["deny"], "--segment", segment, "--seq", seq, "--out", "proof.json")
        assert said.exit_code == 0, said.stderr
        assert script("--keys", "auditor.keys", "proof.json").returncode == 0
        outcomes.add(json.loads(json.loads((place / "proof.json").read_text())["record"])["outcome"])
    assert outcomes == {"deny", "allow"}
    assert "belong together" in told(pdp("audit", "prove", decided["deny"], "--seq", "1"))[0]


def test_without_a_log_or_a_head_nothing_is_ready(pdp, place: Path):
    for arguments in (("prove", "x"), ("checkpoint",), ("keys",)):
        assert pdp("audit", *arguments).exit_code == 3


def removed_into_the_store(log: Path) -> LocalStore:
    """Every sealed segment as Parquet, and its file gone."""
    store, now = LocalStore(log), datetime.now(UTC)
    with store.held():
        names = store.layout.names(SEALED)
        store.publish(names, now)
        store.remove_these(names, now)
    assert store.layout.names() == []
    return store


def test_records_that_lie_in_the_store_alone_are_still_held_against_their_heads(pdp, decided, place: Path):
    log = place / "var" / "decisions"
    store = removed_into_the_store(log)
    result = pdp("audit", "verify", "--json")
    assert result.exit_code == 0, result.stdout
    assert only_json(result)["logs"][0]["covered"] == len(decided)
    pdp("audit", "keys", "--out", "auditor.keys")
    assert pdp("audit", "prove", decided["deny"], "--out", "proof.json").exit_code == 0
    assert script("--keys", "auditor.keys", "proof.json").returncode == 0
    (file,) = store.manifest.files()
    rows = store.rows_path(file)
    whole = rows.read_bytes()
    rows.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
    result = pdp("audit", "verify")
    assert result.exit_code == 1
    assert f"damaged_store  rows/{file.name}" in result.stdout
