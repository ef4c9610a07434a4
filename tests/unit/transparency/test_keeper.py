from __future__ import annotations

import threading
from pathlib import Path

from pdp.declog.layout import Layout
from pdp.declog.verify import BREAKS
from pdp.errors import RecordDamagedError
from pdp.transparency.anchor_feed import AnchorFeed
from pdp.transparency.anchor_file import FileAnchor
from pdp.transparency.inspection import inspect
from pdp.transparency.keeper import Keeper
from pdp.transparency.place import ProofPlace
from tests.unit.declog.logs import lines, writer_at
from tests.unit.transparency.notaries import notary_at, signer


def keeper_at(root: Path, *, anchor: Path | None = None, every_s: float = 0.01, on_fault=lambda _: None) -> Keeper:
    return Keeper(
        ProofPlace(root, "local"),
        lambda: notary_at(root),
        lambda: [] if anchor is None else [AnchorFeed(FileAnchor(anchor))],
        every_s=every_s,
        on_fault=on_fault,
    )


def clean(root: Path, *anchors: Path) -> bool:
    report = inspect(Layout(root), anchors=anchors)
    return not [finding for finding in report.findings if finding.kind in {*BREAKS, "uncovered"}]


def test_one_keeper_of_a_node_works_and_the_next_takes_over_when_it_ends(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(1))
    first, second = keeper_at(tmp_path), keeper_at(tmp_path)
    assert first.turn() is not None
    assert second.turn() is None
    assert (first.status.working, second.status.working) == (True, False)
    first.stop()
    writer.commit(lines(1, 1))
    turn = second.turn()
    assert turn is not None and turn.head is not None
    second.stop()
    assert clean(tmp_path)


def test_stopping_signs_for_the_last_record_also_where_another_held_the_lock_until_now(tmp_path: Path):
    anchor = tmp_path / "anchor"
    log = tmp_path / "log"
    writer = writer_at(log)
    writer.open()
    first, second = keeper_at(log, anchor=anchor, every_s=60), keeper_at(log, anchor=anchor, every_s=60)
    first.start()
    second.start()
    writer.commit(lines(5))
    stopping = threading.Thread(target=first.stop)
    stopping.start()
    writer.seal("close")
    second.stop()
    stopping.join()
    assert clean(log, anchor)
    assert anchor.read_text().count("checkpoint") >= 1


def test_the_thread_signs_by_itself_while_records_come(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    keeper = keeper_at(tmp_path)
    keeper.start()
    for number in range(50):
        writer.commit(lines(1, number))
    keeper.stop()
    assert clean(tmp_path)


def test_a_ledger_that_was_changed_is_told_once_and_never_stops_the_process(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(1))
    notary_at(tmp_path).turn()
    path = ProofPlace(tmp_path, "local").ledger(1)
    path.write_bytes(path.read_bytes().replace(b'"checkpoint"', b'"checkpoimt"'))
    told: list[str] = []
    heard = threading.Event()

    def hear(fault: str) -> None:
        told.append(fault)
        heard.set()

    keeper = keeper_at(tmp_path, on_fault=hear)
    keeper.start()
    assert heard.wait(10)
    assert not keeper.status.working
    keeper.stop()
    assert told == ["the ledger `local.000001.ledger` is not what was written"]


def test_a_place_that_cannot_be_used_is_a_fault_and_no_exception(tmp_path: Path):
    (tmp_path / "locks").write_text("a file where a directory should be")
    keeper = keeper_at(tmp_path)
    assert keeper.turn() is None
    assert keeper.status.fault == "EEXIST"
    keeper.stop()


def test_a_notary_that_cannot_be_opened_is_tried_again(tmp_path: Path):
    writer = writer_at(tmp_path)
    writer.open()
    writer.commit(lines(1))
    broken = [True]

    def opening():
        if broken[0]:
            raise RecordDamagedError("simulated")
        return notary_at(tmp_path, key=signer())

    keeper = Keeper(ProofPlace(tmp_path, "local"), opening, list, every_s=1)
    assert keeper.turn() is None
    assert keeper.status.fault == "simulated"
    broken[0] = False
    assert keeper.turn() is not None
    assert keeper.status.fault is None
    keeper.stop()
