"""A log without its proof: taken away, never there, or begun anew; told by what stands elsewhere."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from pdp.commands.absent_proof import Clues
from pdp.commands.log_checkup import log_findings
from pdp.commands.wholeness import Wholeness, examine
from pdp.declog.disk import PosixDisk
from pdp.declog.layout import Layout
from pdp.proving import TRAIL, open_keeper
from pdp.settings import load_settings
from pdp.trail.keeping import record_query
from tests.unit.archive.logs import Worker, some_records
from tests.unit.commands.conftest import only_json
from tests.unit.declog.samples import START, Clock
from tests.unit.transparency.notaries import ORIGIN, anchored, notary_at, signer

LEDGER = "local.000001.ledger"


def written(state: Path, name: str = "decisions", *, proof: bool = True, signed_at: Clock | None = None) -> None:
    """A log of three records, signed for once where there is to be a proof."""
    worker = Worker(state / name)
    worker.write(some_records(worker.clock.now, 3))
    worker.seal()
    for lock in ("start.lock", "local.w0.lock"):
        (state / name / "locks" / lock).touch()
    if proof:
        sign(state, name, signed_at)


def sign(state: Path, name: str, at: Clock | None = None) -> str | None:
    origin = ORIGIN if name == "decisions" else ORIGIN + TRAIL
    notary = notary_at(state / name, key=signer(1, origin), origin=origin, clock=at)
    try:
        (state / name / "locks" / "local.proof").touch()
        return notary.turn().note
    finally:
        notary.close()


def look(state: Path, **others: object) -> Wholeness:
    clues = Clues("local", ORIGIN, **others)  # type: ignore[arg-type]
    return examine(state / "decisions", trail=state / "trail", clues=clues, pause=lambda _: None)


def broken(state: Path, **others: object) -> list[tuple[str, str]]:
    return [(finding.segment, finding.kind) for finding in look(state, **others).breaks]


def test_a_proof_that_is_taken_away_is_missed_for_the_mark_of_its_notary(tmp_path: Path):
    written(tmp_path)
    assert broken(tmp_path) == []
    shutil.rmtree(tmp_path / "decisions" / "proof")
    assert broken(tmp_path) == [(LEDGER, "missing_ledger")]
    assert [one.traces for one in look(tmp_path).unproven] == [("mark", "lock")]


def test_a_lock_alone_shows_it_where_a_worker_had_ended_a_segment_by_itself(tmp_path: Path):
    """The notary signs for it at the latest then; only what killed processes left may have nothing signed."""
    written(tmp_path)
    shutil.rmtree(tmp_path / "decisions" / "proof")
    (tmp_path / "decisions" / "locks" / "local.signed").unlink()
    assert broken(tmp_path) == [(LEDGER, "missing_ledger")]
    assert [(one.traces, one.begun) for one in look(tmp_path).unproven] == [(("lock",), False)]


def test_a_signed_trail_shows_that_the_decisions_were_signed_for(tmp_path: Path):
    written(tmp_path)
    written(tmp_path, "trail")
    shutil.rmtree(tmp_path / "decisions" / "proof")
    for name in ("local.proof", "local.signed"):
        (tmp_path / "decisions" / "locks" / name).unlink()
    assert broken(tmp_path) == [(LEDGER, "missing_ledger")]
    assert [one.traces for one in look(tmp_path).unproven] == [("trail",)]


def test_the_trail_misses_its_proof_as_well(tmp_path: Path):
    written(tmp_path)
    written(tmp_path, "trail")
    shutil.rmtree(tmp_path / "trail" / "proof")
    assert broken(tmp_path) == [(f"trail/{LEDGER}", "missing_ledger")]


def test_a_proof_that_was_handed_out_shows_that_there_was_one(tmp_path: Path):
    written(tmp_path, proof=False)
    record_query(
        load_settings(environ={}, state_dir=str(tmp_path), node="local"), "audit.proof", {}, object="0199", rows=1
    )
    assert [one.traces for one in look(tmp_path).unproven] == [("proof",)]
    assert broken(tmp_path) == [(LEDGER, "missing_ledger")]


def test_the_key_that_a_notary_made_shows_that_there_was_one(tmp_path: Path):
    written(tmp_path, proof=False)
    (tmp_path / "log-signing.pem").touch()
    assert broken(tmp_path, key=tmp_path / "log-signing.pem") == [(LEDGER, "missing_ledger")]


def test_an_anchor_of_the_settings_shows_that_there_was_one(tmp_path: Path):
    written(tmp_path, proof=False)
    anchored(tmp_path / "heads", sign(tmp_path, "decisions"))
    shutil.rmtree(tmp_path / "decisions" / "proof")
    for name in ("local.proof", "local.signed"):
        (tmp_path / "decisions" / "locks" / name).unlink()
    assert broken(tmp_path) == []
    assert broken(tmp_path, heads=(tmp_path / "heads",)) == [(LEDGER, "missing_ledger")]
    assert broken(tmp_path, heads=(tmp_path / "not there",)) == []


def test_a_log_that_nobody_ever_signed_for_is_no_break_and_is_told(tmp_path: Path):
    written(tmp_path, proof=False)
    seen = look(tmp_path)
    assert seen.breaks == ()
    assert [(f.segment, f.kind) for f in seen.findings] == [(LEDGER, "unproven_log")]


def test_the_proof_of_one_of_two_nodes_is_missed(tmp_path: Path):
    written(tmp_path)
    worker = Worker(tmp_path / "decisions", "w1")
    worker.write(some_records(worker.clock.now, 1))
    worker.seal()
    segments = Layout(tmp_path / "decisions").segments
    (other,) = segments.glob("local.w1.*")
    other.rename(segments / other.name.replace("local.", "branch.", 1))
    (tmp_path / "decisions" / "locks" / "branch.signed").touch()
    assert ("branch.000001.ledger", "missing_ledger") in broken(tmp_path)


def test_a_proof_that_was_begun_anew_over_an_old_log_is_seen_by_the_trail(tmp_path: Path):
    written(tmp_path)
    written(tmp_path, "trail")
    shutil.rmtree(tmp_path / "decisions" / "proof")
    late = Clock()
    late.forward(hours=3)
    sign(tmp_path, "decisions", late)
    assert broken(tmp_path) == [(LEDGER, "rewritten")]
    assert [one.traces for one in look(tmp_path).unproven] == [("late",)]


def test_a_log_that_was_begun_after_the_trail_is_sound(tmp_path: Path):
    written(tmp_path, "trail")
    late = Clock()
    late.forward(hours=3)
    worker = Worker(tmp_path / "decisions", start=late.now)
    worker.write(some_records(late.now, 3))
    worker.seal()
    for lock in ("start.lock", "local.w0.lock"):
        (tmp_path / "decisions" / "locks" / lock).touch()
    sign(tmp_path, "decisions", late)
    assert broken(tmp_path) == []


# -- as people call it ---------------------------------------------------------------------------------


@pytest.fixture
def served(place: Path) -> Path:
    """A state directory in which a notary of the service's own has signed."""
    written(place / "var", proof=False)
    keeper = open_keeper(load_settings(environ={}, state_dir=str(place / "var"), node="local"))
    try:
        assert keeper.turn() is not None
    finally:
        keeper.stop()
    return place / "var"


def test_verify_ends_with_1_and_says_why_and_what_next(pdp, served: Path):
    assert pdp("audit", "verify").exit_code == 0
    shutil.rmtree(served / "decisions" / "proof")
    result = pdp("audit", "verify")
    assert result.exit_code == 1
    assert "there were some" in result.stdout and "next:" in result.stdout
    assert "以前はあった" in pdp("audit", "verify", lang="ja").stdout
    said = only_json(pdp("audit", "verify", "--json"))
    assert (said["ok"], said["unproven"]) == (
        False,
        [{"node": "local", "traces": ["mark", "lock", "key"], "of_trail": False, "begun": False}],
    )


def test_verify_holds_the_log_against_the_file_anchors_of_the_settings(
    pdp, place: Path, monkeypatch: pytest.MonkeyPatch
):
    """A proof that was taken away and begun anew within the hour: nothing but the anchor can tell."""
    monkeypatch.setenv("PDP_NODE", "local")
    written(place / "var", proof=False)
    settings = load_settings(
        environ={}, state_dir=str(place / "var"), node="local", log_anchors=[f"file:{place}/heads"]
    )

    def signs() -> None:
        keeper = open_keeper(settings)
        assert keeper.turn() is not None
        keeper.stop()

    signs()
    assert (place / "heads").exists()
    shutil.rmtree(place / "var" / "decisions" / "proof")
    (place / "var" / "log-signing.pem").unlink()
    (settings.decisions_path / "locks" / "local.signed").unlink()
    anchors, settings = settings.log_anchors, load_settings(environ={}, state_dir=str(place / "var"), node="local")
    signs()
    result = pdp("audit", "verify")
    assert (result.exit_code, "nothing here shows" in result.stdout) == (0, True)
    assert "照合はしていない" in pdp("audit", "verify", lang="ja").stdout
    assert only_json(pdp("audit", "verify", "--json"))["anchors"] == 0
    (place / "pdp.toml").write_text(f"log_anchors = {json.dumps(list(anchors))}\n")
    result = pdp("audit", "verify", "--json")
    assert (result.exit_code, only_json(result)["anchors"]) == (1, 1)
    assert "nothing here shows" not in result.stdout


def test_the_doctor_misses_a_proof_that_was_taken_away(served: Path):
    settings = load_settings(environ={}, state_dir=str(served), node="local")
    shutil.rmtree(served / "decisions" / "proof")
    found = log_findings(settings, START, lambda _, en: en)[0]
    assert (found.status, "there were some" in found.detail) == ("fail", True)


@pytest.mark.parametrize(
    ("setting", "words"), [("off", "log_proof = off"), ("on", "nothing shows that there were any")]
)
def test_verify_says_that_nothing_proves_that_there_was_no_proof(
    pdp, place: Path, monkeypatch, setting: str, words: str
):
    monkeypatch.setenv("PDP_LOG_PROOF", setting)
    written(place / "var", proof=False)
    result = pdp("audit", "verify")
    assert result.exit_code == 0
    assert words in result.stdout


def test_what_went_into_the_store_unsigned_is_not_covered(tmp_path: Path):
    """Also where the proof was taken away and begun anew, after the segment's file had gone."""
    from pdp.archive.store import LocalStore

    worker = Worker(tmp_path / "decisions")
    worker.segment(5)
    worker.begin()
    store = LocalStore(tmp_path / "decisions")
    with store.held():
        store.publish(store.waiting(), worker.clock.now)
        assert store.remove_segments(worker.clock.now + timedelta(days=1), worker.clock.now) == 1
    Layout(tmp_path / "decisions").make(PosixDisk())
    for lock in ("start.lock", "local.w0.lock"):
        (tmp_path / "decisions" / "locks" / lock).touch()
    sign(tmp_path, "decisions")
    assert 5 in [finding.at for finding in look(tmp_path).findings if finding.kind == "uncovered"]
