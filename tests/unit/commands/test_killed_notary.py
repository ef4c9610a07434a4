"""A notary that is killed, at whatever instant, leaves a log without a break; one that has signed leaves its mark."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pdp.commands.absent_proof import Clues
from pdp.commands.wholeness import Wholeness, examine
from pdp.declog.layout import Layout
from pdp.transparency.notary import Notary
from pdp.transparency.place import ProofPlace
from tests.unit.archive.logs import Worker, some_records
from tests.unit.commands.conftest import only_json
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import Clock
from tests.unit.transparency.notaries import ORIGIN, signer


class Killed(BaseException):
    """The process ends here."""


class KillingDisk(HastyDisk):
    """Lets so many operations be done; of a write that is the next, a half."""

    def __init__(self, operations: int) -> None:
        self._left = operations

    def _spend(self) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1

    def create(self, path: Path) -> int:
        self._spend()
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        try:
            self._spend()
        except Killed:
            super().write(descriptor, data[: len(data) // 2])
            raise
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._spend()

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._spend()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._spend()
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self._spend()


class House:
    """A state directory with one worker, which records, and notaries, which come and go."""

    def __init__(self, state: Path) -> None:
        self.state, self.log = state, state / "decisions"
        self.worker = Worker(self.log)
        self.worker.write(some_records(self.worker.clock.now, 3))
        for lock in ("start.lock", "local.w0.lock", "local.proof"):
            (self.log / "locks" / lock).touch()
        (state / "log-signing.pem").touch()

    def notary(self, disk: HastyDisk, *, key: int = 1) -> Notary:
        return Notary(
            Layout(self.log),
            ProofPlace(self.log, "local"),
            signer(key),
            origin=ORIGIN,
            clock=Clock(),
            disk=disk,
            previous=signer(key - 1) if key > 1 else None,
        )

    def records(self) -> None:
        self.worker.write(some_records(self.worker.clock.now, 2))

    def look(self) -> Wholeness:
        clues = Clues("local", ORIGIN, self.state / "log-signing.pem")
        return examine(self.log, trail=self.state / "trail", clues=clues, pause=lambda _: None)


def lives(house: House, disk: HastyDisk) -> None:
    """Two notaries, the second with a new key, over a log that grows."""
    first = house.notary(disk)
    first.turn()
    house.records()
    first.turn()
    first.close()
    house.records()
    second = house.notary(disk, key=2)
    second.turn()
    house.records()
    second.turn()
    second.close()


def test_whenever_it_is_killed_the_log_has_no_break_and_the_next_one_goes_on(tmp_path: Path):
    killed = 0
    for operations in range(1_000):
        house = House(tmp_path / str(operations))
        try:
            lives(house, KillingDisk(operations))
        except Killed:
            killed += 1
        else:
            break
        seen = house.look()
        assert seen.breaks == (), operations
        again = house.notary(HastyDisk(), key=2)
        again.turn()
        again.close()
        after = house.look()
        assert after.breaks == (), operations
        assert [log.covered for log in after.logs] == [after.records], operations
    assert killed > 40


def test_a_service_that_was_killed_before_its_notary_signed_is_told_as_such(tmp_path: Path):
    house = House(tmp_path)
    seen = house.look()
    assert seen.breaks == ()
    assert [(one.traces, one.begun) for one in seen.unproven] == [((), True)]


@pytest.mark.parametrize("also", [(), ("local.proof",)])
def test_a_proof_that_was_there_for_one_second_is_missed(tmp_path: Path, also: tuple[str, ...]):
    house = House(tmp_path)
    notary = house.notary(HastyDisk())
    notary.turn()
    notary.close()
    assert house.look().breaks == ()
    shutil.rmtree(house.log / "proof")
    for lock in also:
        (house.log / "locks" / lock).unlink()
    seen = house.look()
    assert ("local.000001.ledger", "missing_ledger") in [(one.segment, one.kind) for one in seen.breaks]
    assert [one.traces for one in seen.unproven] == [("mark", "key")]


def test_a_mark_that_was_taken_away_is_missed_and_comes_back_with_the_next_notary(tmp_path: Path):
    house = House(tmp_path)
    notary = house.notary(HastyDisk())
    notary.turn()
    house.records()
    notary.turn()
    notary.close()
    (house.log / "locks" / "local.signed").unlink()
    assert [(one.segment, one.kind) for one in house.look().breaks] == [("local.signed", "missing_file")]
    house.notary(HastyDisk()).close()
    assert house.look().breaks == ()


def test_the_command_says_that_a_notary_had_only_begun(pdp, place: Path):
    House(place / "var")
    result = pdp("audit", "verify")
    assert result.exit_code == 0, result.stdout
    assert "had not signed yet" in result.stdout
    assert "まだ署名していない" in pdp("audit", "verify", lang="ja").stdout
    assert only_json(pdp("audit", "verify", "--json"))["unproven"] == [
        {"node": "local", "traces": [], "of_trail": False, "begun": True}
    ]


def test_a_trail_of_the_first_moment_is_not_missed_beside_a_proof(tmp_path: Path):
    house = House(tmp_path)
    notary = house.notary(HastyDisk())
    notary.turn()
    notary.close()
    trail = Worker(tmp_path / "trail")
    trail.write(some_records(trail.clock.now, 1))
    for lock in ("start.lock", "local.w0.lock", "local.proof"):
        (tmp_path / "trail" / "locks" / lock).touch()
    assert house.look().breaks == ()
