"""A process that signs for a decision log, for the tests that kill it: `python -m tests.system.proof_keeper LOG ANCHOR`."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from pdp.declog.disk import PosixDisk
from pdp.declog.layout import Layout
from pdp.transparency.anchor_feed import AnchorFeed
from pdp.transparency.anchor_file import FileAnchor
from pdp.transparency.keeper import Keeper
from pdp.transparency.notary import Notary
from pdp.transparency.place import ProofPlace
from tests.unit.declog.samples import wall_clock
from tests.unit.transparency.notaries import ORIGIN, signer


def keeper_of(root: Path, anchor: Path) -> Keeper:
    layout, place = Layout(root), ProofPlace(root, "local")

    def opening() -> Notary:
        layout.make(PosixDisk())
        return Notary(layout, place, signer(), origin=ORIGIN, clock=wall_clock, disk=PosixDisk())

    return Keeper(place, opening, lambda: [AnchorFeed(FileAnchor(anchor))], every_s=0.01)


if __name__ == "__main__":
    keeper_of(Path(sys.argv[1]), Path(sys.argv[2])).start()
    sys.stdout.write("signing\n")
    sys.stdout.flush()
    threading.Event().wait()
