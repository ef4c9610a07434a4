"""Disks on which the compactor comes to an end, and all that it does."""

from __future__ import annotations

from pathlib import Path
from random import Random

from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from tests.unit.archive.test_store import NOW, fresh_names, stored_files
from tests.unit.declog.disks import HastyDisk, PowerCutDisk


class Stopped(BaseException):
    """The process ends here."""


class StoppingDisk(HastyDisk):
    """The process ends before its n-th doing with the disk."""

    def __init__(self, operations: int) -> None:
        self._left = operations

    def _step(self) -> None:
        if self._left == 0:
            raise Stopped
        self._left -= 1

    def create(self, path: Path) -> int:
        self._step()
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> None:
        self._step()
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._step()

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self._step()


class CutDisk(PowerCutDisk):
    """Without zeros behind a file that was synced whole: nothing was ever written there."""

    def _lose(self, file: Path, random: Random) -> None:
        if self._synced.get(file.stat().st_ino) != file.stat().st_size:
            super()._lose(file, random)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._loose = [(now, before) for now, before in self._loose if now != old]


def compact_whole(store: LocalStore) -> None:
    """Everything that a run of the compactor does."""
    with store.held():
        publish_tails(store.layout, store.place, fresh_names(store), store.disk)
        store.publish(store.waiting(), NOW)
        if len(stored_files(store)) > 1:
            store.merge(stored_files(store), NOW)
        store.remove_segments(NOW, NOW)
