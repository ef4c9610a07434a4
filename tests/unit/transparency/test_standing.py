"""A notary goes on from its standing, and reads everything where the standing does not hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.declog.recovery import previous_of
from pdp.declog.verify import BREAKS
from pdp.errors import RecordDamagedError
from pdp.merkle import Frontier, leaf_hash
from pdp.transparency import ledger as ledgers
from pdp.transparency.entries import KeyLeaf, SegmentLeaf
from pdp.transparency.inspection import inspect
from pdp.transparency.ledger import Ledger, LedgerWriter, read_ledger
from pdp.transparency.place import ProofPlace
from pdp.transparency.standing import Closed, read_standing, resume
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.logs import lines, writer_at
from tests.unit.declog.samples import Clock
from tests.unit.transparency.notaries import ORIGIN, notary_at, signer


def place(root: Path) -> ProofPlace:
    return ProofPlace(root, "local")


def clean(root: Path) -> bool:
    return not [finding for finding in inspect(Layout(root)).findings if finding.kind in {*BREAKS, "uncovered"}]


class Counted:
    """Counts the lines that the next reading takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines = 0
        decode = ledgers.entries.decode

        def counting(raw: bytes):
            self.lines += 1
            return decode(raw)

        monkeypatch.setattr(ledgers.entries, "decode", counting)


def test_a_tree_is_the_same_again_from_its_peaks():
    tree = Frontier()
    for number in range(40):
        again = Frontier.of(tree.size, tree.peaks)
        assert again.root() == tree.root()
        again.append(leaf_hash(b"x"))
        tree.append(leaf_hash(b"x"))
        assert again.root() == tree.root(), number
    for size, peaks in ((1, []), (3, [b""]), (-1, []), (4, [b"", b""])):
        with pytest.raises(ValueError, match="peaks"):
            Frontier.of(size, peaks)


def test_a_long_ledger_is_not_read_again_at_a_start(tmp_path: Path, monkeypatch):
    """As many heads as ten minutes of busy seconds; a year is the same, only more of it."""
    proof = place(tmp_path)
    proof.directory.mkdir(parents=True)
    key = signer()
    ledger_writer = LedgerWriter(proof, Ledger(), ORIGIN, disk=HastyDisk())
    ledger_writer.write([KeyLeaf(str(key.key), "t")], [key])
    for number in range(600):
        leaf = SegmentLeaf(
            "local.w0.20260401T000000123456Z.000001.20260401T000000123456Z", "open", number, "", "", "", "t"
        )
        ledger_writer.write([leaf], [key])
    ledger_writer.close()
    writer = writer_at(tmp_path, worker="w1", disk=HastyDisk())
    writer.open()
    writer.commit(lines(1))
    whole = Counted(monkeypatch)
    notary_at(tmp_path).close()  # without a standing all is read, and one is left
    assert whole.lines > 1_200
    resumed = Counted(monkeypatch)
    notary = notary_at(tmp_path)
    assert resumed.lines == 0
    assert notary.turn().head is not None
    notary.close()
    assert read_ledger(proof).finding is None


def test_it_reads_on_from_a_standing_that_is_older_than_the_ledger(tmp_path: Path, monkeypatch):
    clock, proof = Clock(), place(tmp_path)
    writer = writer_at(tmp_path, clock=clock)
    writer.open()
    notary = notary_at(tmp_path)
    writer.commit(lines(2))
    notary.turn()
    early = proof.standing.read_bytes()
    writer.commit(lines(2, 2))
    notary.turn()
    writer.seal("close")
    notary.turn()
    notary.close()
    assert proof.standing.read_bytes() != early
    proof.standing.write_bytes(early)  # the process died before it wrote a newer one
    counted = Counted(monkeypatch)
    again = notary_at(tmp_path)
    assert counted.lines == 4  # two leaves, two heads
    assert again.turn().head is None
    clock.forward(minutes=1)
    writer = writer_at(tmp_path, clock=clock, previous=previous_of(Layout(tmp_path), "local", "w0"))
    writer.open()
    writer.commit(lines(1, 4))
    assert again.turn().head is not None
    again.close()
    assert clean(tmp_path)


def test_an_open_segment_that_was_altered_while_nobody_looked_is_noticed_after_a_resumed_start(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(3))
    notary = notary_at(tmp_path)
    notary.turn()
    notary.close()
    path = Layout(tmp_path).open_path(Layout(tmp_path).names()[0])
    path.write_bytes(path.read_bytes().replace(b'"note":""', b'"note":"x"'))
    writer.commit(lines(1, 3))
    again = notary_at(tmp_path)
    again.turn()
    assert again.altered or not clean(tmp_path)
    again.close()


@pytest.mark.parametrize("spoilt", ["flipped", "cut", "empty", "gone", "another's", "moved"])
def test_a_standing_that_does_not_hold_is_not_believed_and_named(tmp_path: Path, spoilt: str, monkeypatch):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(3))
    notary = notary_at(tmp_path)
    notary.turn()
    writer.commit(lines(1, 3))
    notary.turn()
    notary.close()
    standing = place(tmp_path).standing
    raw = standing.read_bytes()
    match spoilt:
        case "flipped":
            standing.write_bytes(raw.replace(b'"number":1', b'"number":2'))
        case "cut":
            standing.write_bytes(raw[: len(raw) // 2])
        case "empty":
            standing.write_bytes(b"")
        case "gone":
            standing.unlink()
        case "another's":
            other = notary_at(tmp_path / "other", key=signer(2))
            (tmp_path / "other" / "segments").mkdir(parents=True)
            other.turn()
            other.close()
            standing.write_bytes((tmp_path / "other" / "proof" / "local.standing").read_bytes())
        case _:
            standing.write_bytes(raw)
            ledger = place(tmp_path).ledger(1)
            ledger.write_bytes(ledger.read_bytes().replace(b"\n", b"\n\n", 1))
    if spoilt == "moved":
        with pytest.raises(RecordDamagedError):
            notary_at(tmp_path)
        return
    assert (standing.name, "damaged_standing") in {
        (finding.segment, finding.kind) for finding in inspect(Layout(tmp_path)).findings
    }
    counted = Counted(monkeypatch)
    notary_at(tmp_path).close()
    assert counted.lines >= 4
    assert clean(tmp_path)


def test_a_handover_keeps_a_standing_that_the_old_key_signed(tmp_path: Path, monkeypatch):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(3))
    notary_at(tmp_path).turn()
    counted = Counted(monkeypatch)
    again = notary_at(tmp_path, key=signer(2), previous=signer(1))
    assert counted.lines == 0
    assert again.turn().head is not None
    again.close()
    known = resume(place(tmp_path), [signer(2).key], lambda: None)
    assert known is not None and known.ledger.keys == [signer(1).key, signer(2).key]
    assert read_standing(place(tmp_path).standing.read_bytes(), [signer(1).key]) is None
    assert clean(tmp_path)


def test_closed_segments_are_remembered_by_one_mark_for_each_worker(tmp_path: Path):
    clock = Clock()
    for _ in range(5):
        for worker in ("w0", "w1"):
            writer = writer_at(tmp_path, worker=worker, clock=clock)
            writer.open()
            writer.seal("close")
        clock.forward(minutes=1)
    names = Layout(tmp_path).names()
    closed = Closed.of(())
    for name in names[:3] + names[4:]:
        closed.add(name)
    closed.gather(names)
    assert [name in closed for name in names] == [number != 3 for number in range(10)]
    upto, beyond = closed.written()
    assert upto == {"local.w0": str(names[2]), "local.w1": str(names[9])}
    assert beyond == (str(names[4]),)
    closed.add(names[3])
    closed.gather(names)
    assert closed.written() == ({"local.w0": str(names[4]), "local.w1": str(names[9])}, ())
