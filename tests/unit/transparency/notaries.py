"""Notaries over logs made by hand, and keys that are the same in each run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pdp.declog.layout import Layout
from pdp.declog.recovery import previous_of, recover_dead
from pdp.transparency.notary import Notary
from pdp.transparency.place import ProofPlace
from pdp.transparency.signer import FileSigner
from tests.unit.declog.disks import HastyDisk, PowerCutDisk
from tests.unit.declog.logs import lines, writer_at
from tests.unit.declog.samples import Clock

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from pdp.declog.disk import Disk
    from pdp.transparency.note import Signer

ORIGIN = "example.jp/log/local"


def signer(number: int = 1, name: str = ORIGIN) -> FileSigner:
    return FileSigner(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32), name)


def notary_at(
    root: Path,
    *,
    key: Signer | None = None,
    previous: Signer | None = None,
    disk: Disk | None = None,
    origin: str = ORIGIN,
    clock: Clock | None = None,
) -> Notary:
    return Notary(
        Layout(root),
        ProofPlace(root, "local"),
        key or signer(),
        origin=origin,
        clock=clock or Clock(),
        disk=disk or HastyDisk(),
        previous=previous,
    )


def anchored(path: Path, note: str | None) -> None:
    if note is not None:
        with path.open("a") as file:
            file.write(json.dumps({"checkpoint": note}) + "\n")


def signed_log(root: Path, anchor: Path) -> None:
    """Two workers; sealed segments, one that was recovered with a torn line, one still open; two ledger files."""
    disk, clock = HastyDisk(), Clock()
    notary: Notary | None = None

    def sign() -> None:
        nonlocal notary
        notary = notary or notary_at(root, clock=clock)
        anchored(anchor, notary.turn().note)
        clock.forward(seconds=1)

    for number in range(2):
        writer = writer_at(
            root, clock=clock, disk=disk, previous=previous_of(Layout(root), "local", "w0") if number else None
        )
        writer.open()
        writer.commit(lines(3, 10 * number))
        sign()
        writer.commit(lines(2, 10 * number + 3))
        sign()
        writer.seal("close")
        clock.forward(minutes=10)
    dead = writer_at(root, worker="w1", clock=clock, disk=disk)
    dead.open()
    dead.commit(lines(4, 40))
    sign()
    with Layout(root).open_path(Layout(root).names()[-1]).open("ab") as file:
        file.write(b'{"seq":5,"chain":"tor')
    recover_dead(Layout(root), node="local", own_worker="w1", clock=clock, disk=disk)
    sign()
    assert notary is not None
    notary.close()
    notary = None
    living = writer_at(root, worker="w1", clock=clock, disk=disk, previous=previous_of(Layout(root), "local", "w1"))
    living.open()
    living.commit(lines(3, 50))
    sign()
    living.commit(lines(1, 53))
    sign()


class ReplacingPowerCut(PowerCutDisk):
    """A power cut where names are replaced: the old content may come back. What was synced whole stays as it was."""

    def __init__(self, operations: int) -> None:
        super().__init__(operations)
        self._replaced: dict[Path, bytes] = {}

    def rename(self, old: Path, new: Path) -> None:
        replaced = new.read_bytes() if new.exists() else None
        super().rename(old, new)
        if replaced is not None:
            self._replaced[new] = replaced

    def sync_directory(self, path: Path) -> None:
        super().sync_directory(path)
        self._replaced = {new: content for new, content in self._replaced.items() if new.parent != path}

    def crash(self, random: Random) -> None:
        for now, before in reversed(self._loose):
            if now.exists() and random.random() < 0.5:
                now.unlink() if before is None else now.rename(before)
                if now in self._replaced:
                    now.write_bytes(self._replaced[now])
        self._loose = []
        super().crash(random)

    def _lose(self, file: Path, random: Random) -> None:
        if self._synced.get(file.stat().st_ino) != file.stat().st_size:
            super()._lose(file, random)
