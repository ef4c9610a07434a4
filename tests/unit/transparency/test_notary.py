from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.declog.marks import Footer
from pdp.declog.reader import scan_segment
from pdp.declog.recovery import previous_of, recover_dead
from pdp.declog.verify import BREAKS
from pdp.errors import RecordDamagedError, SettingsError
from pdp.merkle import leaf_hash, root_of
from pdp.transparency.follower import CHUNK
from pdp.transparency.inspection import inspect
from pdp.transparency.ledger import read_ledger
from pdp.transparency.note import parse_note
from pdp.transparency.place import ProofPlace
from tests.unit.declog.disks import FaultyDisk
from tests.unit.declog.logs import dead_segment, lines, sealed_segment, writer_at
from tests.unit.declog.samples import Clock
from tests.unit.transparency.notaries import ORIGIN, ReplacingPowerCut, anchored, notary_at, signed_log, signer


def broken(root: Path, **others: object) -> list[tuple[str, str]]:
    report = inspect(Layout(root), **others)
    return [(finding.segment, finding.kind) for finding in report.findings if finding.kind in BREAKS]


def place(root: Path) -> ProofPlace:
    return ProofPlace(root, "local")


def test_the_footer_names_the_root_over_the_records(tmp_path: Path):
    footer = scan_segment(sealed_segment(tmp_path, 5)).footer
    assert isinstance(footer, Footer)
    assert footer.root == root_of(leaf_hash(line) for line in lines(5)).hex()


def test_what_is_signed_for_is_the_root_over_the_records_and_the_state(tmp_path: Path):
    sealed_segment(tmp_path, 5)
    head = notary_at(tmp_path).turn().head
    ledger = read_ledger(place(tmp_path))
    ((_, leaf),) = next(iter(ledger.segments.values()))
    assert (leaf.records, leaf.state) == (5, "sealed")
    assert leaf.root == root_of(leaf_hash(line) for line in lines(5)).hex()
    assert head is not None and (head.origin, head.size) == (ORIGIN, 2)  # the key and the segment
    assert head.root == ledger.root_at(2)


def test_without_anything_new_nothing_is_signed(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(1))
    notary = notary_at(tmp_path)
    assert notary.turn().head is not None
    assert notary.turn().head is None
    writer.commit(lines(1, 1))
    assert notary.turn().head is not None
    assert broken(tmp_path) == []


def test_a_notary_that_starts_again_goes_on_where_the_last_one_ended(tmp_path: Path):
    clock = Clock()
    writer = writer_at(tmp_path, clock=clock)
    writer.open()
    for turn in range(4):
        writer.commit(lines(3, 3 * turn))
        notary = notary_at(tmp_path)
        assert notary.turn().head is not None
        notary.close()
    writer.seal("close")
    assert notary_at(tmp_path).turn().head is not None
    assert notary_at(tmp_path).turn().head is None
    ledger = read_ledger(place(tmp_path))
    assert ledger.number == 5
    assert [leaf.records for _, leaf in next(iter(ledger.segments.values()))] == [3, 6, 9, 12, 12]
    assert broken(tmp_path) == []


def test_records_since_the_last_head_are_told_and_break_nothing(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(2))
    notary_at(tmp_path).turn()
    writer.commit(lines(3, 2))
    report = inspect(Layout(tmp_path))
    assert [(finding.kind, finding.at) for finding in report.findings] == [("unsealed", 0), ("uncovered", 3)]
    assert report.breaks == 0


def test_a_skilled_forger_who_rewrites_the_chain_is_named_with_the_range_of_records(tmp_path: Path):
    from pdp.declog.line import GENESIS, frame, parse

    writer = writer_at(tmp_path)
    notary = notary_at(tmp_path)
    writer.open()
    for number in range(3):
        writer.commit(lines(4, 4 * number))
        notary.turn()
    name = Layout(tmp_path).names()[0]
    path = Layout(tmp_path).open_path(name)
    chain, rows = GENESIS, []
    for number, raw in enumerate(path.read_bytes().splitlines(keepends=True)):
        line = parse(raw)
        assert line is not None
        body = line.body.replace(b'"note":""', b'"note":"forged"') if number == 6 else line.body
        row, chain = frame(chain, line.kind, line.seq, body)
        rows.append(row)
    path.write_bytes(b"".join(rows))
    (finding,) = [finding for finding in inspect(Layout(tmp_path)).findings if finding.kind in BREAKS]
    assert (finding.segment, finding.kind, finding.at, finding.until) == (str(name), "altered", 5, 8)


def test_the_newest_segment_taken_away_is_missed_although_no_other_names_it(tmp_path: Path):
    path = sealed_segment(tmp_path)
    notary_at(tmp_path).turn()
    path.unlink()
    assert broken(tmp_path) == [(path.stem, "missing_segment")]
    assert broken(tmp_path, archived={path.stem}) == []


def test_a_log_rolled_back_with_its_proof_is_betrayed_only_by_an_anchor(tmp_path: Path):
    import shutil

    log, anchor, early = tmp_path / "log", tmp_path / "anchor", tmp_path / "early"
    writer = writer_at(log)
    writer.open()
    writer.commit(lines(2))
    notary = notary_at(log)
    anchored(anchor, notary.turn().note)
    shutil.copytree(log, early)
    writer.commit(lines(2, 2))
    anchored(anchor, notary.turn().note)
    assert broken(log, anchors=[anchor]) == []
    assert broken(early) == []
    assert broken(early, anchors=[anchor]) == [("local.000001.ledger", "missing_heads")]


def test_a_log_that_is_gone_with_its_proof_is_missed_by_an_anchor(tmp_path: Path):
    import shutil

    log, anchor = tmp_path / "log", tmp_path / "anchor"
    signed_log(log, anchor)
    shutil.rmtree(log / "proof")
    for path in [*(log / "segments").iterdir(), *(log / "torn").iterdir()]:
        path.unlink()
    assert broken(log) == []
    assert broken(log, anchors=[anchor]) == [(ORIGIN, "missing_ledger")]


def test_a_log_written_anew_with_the_right_key_does_not_hold_what_an_anchor_knows(tmp_path: Path):
    anchor = tmp_path / "anchor"
    signed_log(tmp_path / "log", anchor)
    sealed_segment(tmp_path / "other", 9)
    notary = notary_at(tmp_path / "other")
    notary.turn()
    for number in range(20):
        sealed_segment(tmp_path / "other", 1, worker=f"v{number}")
        notary.turn()
    assert broken(tmp_path / "other") == []
    assert {kind for _, kind in broken(tmp_path / "other", anchors=[anchor])} == {"rewritten"}


def test_a_log_written_anew_under_another_key_is_not_trusted_by_who_brings_his_own(tmp_path: Path):
    sealed_segment(tmp_path)
    notary_at(tmp_path, key=signer(7)).turn()
    assert broken(tmp_path) == []
    assert broken(tmp_path, trusted=[signer(7).key]) == []
    assert broken(tmp_path, trusted=[signer(1).key]) == [("local.000001.ledger", "bad_signature")]


def test_an_anchor_of_forged_or_damaged_heads_is_named(tmp_path: Path):
    sealed_segment(tmp_path)
    note = notary_at(tmp_path).turn().note
    assert note is not None
    anchor = tmp_path / "anchor"
    anchor.write_text('{"checkpoint":"half of\n<109>1 - - a line of a syslog without one\n')
    anchored(anchor, note.replace("\n2\n", "\n3\n"))
    anchored(anchor, note)
    assert broken(tmp_path, anchors=[anchor]) == [("anchor", "damaged_head")] * 2


def test_a_new_key_is_signed_for_by_the_old_one_and_both_prove_their_heads(tmp_path: Path):
    sealed_segment(tmp_path)
    anchor = tmp_path / "anchor"
    anchored(anchor, notary_at(tmp_path).turn().note)
    second = notary_at(tmp_path, key=signer(2), previous=signer(1))
    turn = second.turn()
    anchored(anchor, turn.note)
    note = parse_note(turn.note or "")
    assert note is not None and note.signers([signer(1).key, signer(2).key]) == (signer(1).key, signer(2).key)
    sealed_segment(tmp_path, worker="w2")
    third = second.turn().note
    anchored(anchor, third)
    alone = parse_note(third or "")
    assert alone is not None and [made.key_id for made in alone.signatures] == [signer(2).key.id]
    for trusted in (None, [signer(1).key], [signer(2).key]):
        assert broken(tmp_path, anchors=[anchor], trusted=trusted) == []
    assert place(tmp_path).keys.read_text().splitlines() == [str(signer(1).key), str(signer(2).key)]


def test_a_key_that_nobody_handed_over_to_signs_nothing(tmp_path: Path):
    sealed_segment(tmp_path)
    notary_at(tmp_path).turn()
    for others in ({}, {"previous": signer(3)}):
        with pytest.raises(SettingsError, match="is signed with the key"):
            notary_at(tmp_path, key=signer(2), **others)
    notary_at(tmp_path, key=signer(2), previous=signer(1)).turn()
    with pytest.raises(SettingsError, match="does not come back"):
        notary_at(tmp_path, key=signer(1), previous=signer(2))


def test_a_ledger_keeps_its_origin(tmp_path: Path):
    sealed_segment(tmp_path)
    notary_at(tmp_path).turn()
    with pytest.raises(SettingsError, match="was begun as"):
        notary_at(tmp_path, origin="another/log")


@pytest.mark.parametrize("what", ["ledger", "checkpoint"])
def test_nothing_is_signed_on_top_of_a_ledger_that_was_changed(tmp_path: Path, what: str):
    sealed_segment(tmp_path)
    notary_at(tmp_path).turn()
    path = place(tmp_path).ledger(1) if what == "ledger" else place(tmp_path).checkpoint
    path.write_bytes(path.read_bytes()[:-9])
    if what == "ledger":
        assert broken(tmp_path)
    with pytest.raises(RecordDamagedError):
        notary_at(tmp_path)


def test_for_a_segment_that_was_changed_nothing_more_is_signed(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(3))
    notary_at(tmp_path).turn()
    path = Layout(tmp_path).open_path(Layout(tmp_path).names()[0])
    path.write_bytes(path.read_bytes().replace(b'"note":""', b'"note":"x"', 1))
    writer.commit(lines(1, 3))
    notary = notary_at(tmp_path)
    assert notary.turn().head is None
    assert notary.altered == (str(Layout(tmp_path).names()[0]),)


def test_a_segment_that_vanishes_while_it_is_followed_is_objected_to(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(3))
    notary = notary_at(tmp_path)
    notary.turn()
    Layout(tmp_path).open_path(Layout(tmp_path).names()[0]).unlink()
    assert notary.turn().head is None
    assert len(notary.altered) == 1


def test_a_recovered_segment_is_signed_for_with_its_note(tmp_path: Path):
    path = dead_segment(tmp_path)
    notary = notary_at(tmp_path)
    notary.turn()
    path.write_bytes(path.read_bytes() + b"torn")
    recover_dead(Layout(tmp_path), node="local", own_worker="w0", clock=Clock(), disk=FaultyDisk())
    notary.turn()
    assert broken(tmp_path) == []
    (note,) = (tmp_path / "segments").glob("*.json")
    note.write_bytes(note.read_bytes().replace(b'"by":"local.w0"', b'"by":"local.w9"'))
    assert broken(tmp_path) == [(note.name, "damaged_note")]


def test_a_segment_that_is_first_seen_when_it_is_sealed_is_read_to_its_end_before_it_is_signed_for(tmp_path: Path):
    """One that came home from the refuge, longer than what is read in one turn and shorter than twice that."""
    writer = writer_at(tmp_path)
    writer.open()
    for one in lines(12, note="x" * (CHUNK // 8)):
        writer.commit([one])
    writer.seal("size")
    notary = notary_at(tmp_path)
    while notary.turn().behind:
        pass
    notary.close()
    report = inspect(Layout(tmp_path))
    assert (report.breaks, report.logs[0].covered) == (0, 12)


def test_segments_of_another_node_are_its_own_business(tmp_path: Path):
    from pdp.transparency.notary import Notary
    from tests.unit.declog.disks import HastyDisk

    sealed_segment(tmp_path)
    other = Notary(
        Layout(tmp_path), ProofPlace(tmp_path, "other"), signer(), origin="o", clock=Clock(), disk=HastyDisk()
    )
    assert [leaf.records for leaves in read_ledger(place(tmp_path)).segments.values() for _, leaf in leaves] == []
    turn = other.turn()
    assert turn.head is not None and turn.head.size == 1  # its key


@pytest.mark.parametrize("fault", ["full", "sync_fails", "rename_fails"])
def test_a_disk_that_fails_costs_a_turn_and_never_the_ledger(tmp_path: Path, fault: str):
    disk = FaultyDisk()
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(2))
    notary = notary_at(tmp_path, disk=disk)
    notary.turn()
    writer.commit(lines(2, 2))
    disk.write_part = 40
    setattr(disk, fault, True)
    with pytest.raises(OSError, match="simulated") if fault != "sync_fails" else nullcontext():
        assert notary.turn().head is None  # what cannot be synced is not signed for
    setattr(disk, fault, False)
    writer.commit(lines(2, 4))
    assert notary.turn().head is not None
    assert broken(tmp_path) == []
    ledger = read_ledger(place(tmp_path))
    assert ledger.finding is None
    assert next(iter(ledger.segments.values()))[-1][1].records == 6


@pytest.mark.parametrize("operations", range(1, 40))
def test_after_a_power_cut_at_any_moment_the_ledger_is_sound_and_goes_on(tmp_path: Path, operations: int):
    from random import Random

    disk, clock = ReplacingPowerCut(operations), Clock()
    writer = writer_at(tmp_path, clock=clock)
    writer.open()
    with suppress(OSError):
        notary = notary_at(tmp_path, disk=disk)
        for number in range(6):
            writer.commit(lines(2, 2 * number))
            notary.turn()
    disk.crash(Random(operations))
    again = notary_at(tmp_path)
    writer.commit(lines(1, 50))
    assert again.turn().head is not None
    assert broken(tmp_path) == []


def test_the_previous_segment_of_a_worker_is_still_found_by_its_footer(tmp_path: Path):
    sealed_segment(tmp_path)
    previous = previous_of(Layout(tmp_path), "local", "w0")
    assert previous is not None and previous.ended == "sealed"


def test_a_footer_without_a_root_is_read_as_before():
    from pdp.declog.reader import decode_mark

    old = b'{"schema":"sekisho.segment/v1","segment":"s","records":1,"first_seq":1,"last_seq":1,"created":"c","sealed":"d","cause":"age"}'
    footer = decode_mark(old, Footer)
    assert footer is not None and footer.root is None
