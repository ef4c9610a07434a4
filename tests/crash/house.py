"""A node of the decision log in one process, over which the power fails: `python -m tests.crash.house STATE SOCKET …`.

Two workers under load, a notary whose heads go to an anchor, and a compactor, all as the service has them but with
small segments and short intervals, so that there is something to cut everywhere. What leaves the machine goes to the
descriptor SOCKET, a line each: `+ID` for an answered decision, `+{"checkpoint":…}` for an anchored head.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import itertools
import os
import random
import threading
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.declog.disk import PosixDisk
from pdp.declog.layout import Layout
from pdp.declog.limits import Limits
from pdp.declog.segments import SegmentLog
from pdp.errors import RecordFailedError, SekishoError
from pdp.transparency.anchor import anchor_line
from pdp.transparency.anchor_feed import AnchorFeed
from pdp.transparency.keeper import Keeper
from pdp.transparency.notary import Notary
from pdp.transparency.place import ProofPlace
from tests.unit.declog.samples import full_record, new_id, wall_clock
from tests.unit.transparency.notaries import ORIGIN, signer

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE: Final = "local"
WORKERS: Final = ("w0", "w1")
SEGMENT_BYTES: Final = 40_000  # some twenty records
ROWS_PER_FILE: Final = 150
PAUSE_S: Final = 0.06
LIMITS: Final = Limits(probe_s=0.01, look_s=0.02, min_free_bytes=0, segment_age_s=0.3, last_move_bytes=60_000)


class Hasty(PosixDisk):
    """Never syncs a file: what a log loses that does so is what these tests must find."""

    def sync(self, descriptor: int) -> None:
        """Nothing."""


class Moody(PosixDisk):
    """Takes nothing for a while, then everything again: the log spills, and comes home."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._calls = itertools.count()
        self._shut_until = 0

    def write(self, descriptor: int, data: bytes) -> None:
        call = next(self._calls)
        if call >= self._shut_until and self._dice.random() < 0.03:  # now and then
            self._shut_until = call + self._dice.randint(1, 6)
        if call < self._shut_until:
            super().write(descriptor, data[: self._dice.randint(0, len(data))])
            raise OSError(errno.ENOSPC, "simulated")
        super().write(descriptor, data)


class SocketAnchor:
    """An `Anchor` on the other end of a socket."""

    every_s: Final = 0.0
    name: Final = "socket"

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def publish(self, note: str) -> None:
        os.write(self._descriptor, f"+{anchor_line(note)}\n".encode())

    def close(self) -> None:
        """It belongs to the process."""


def keeper_of(log: Path, outside: int | None) -> Keeper:
    layout, place = Layout(log), ProofPlace(log, NODE)

    def opening() -> Notary:
        layout.make(PosixDisk())
        return Notary(layout, place, signer(), origin=ORIGIN, clock=wall_clock, disk=PosixDisk())

    feeds = [] if outside is None else [outside]
    return Keeper(place, opening, lambda: [AnchorFeed(SocketAnchor(one)) for one in feeds], every_s=0.02)


def log_of(state: Path, worker: str, arguments: argparse.Namespace, dice: random.Random) -> SegmentLog:
    spill = bool(arguments.spill)
    home = Moody(dice) if spill else Hasty() if arguments.hasty else PosixDisk()
    return SegmentLog(
        state / "decisions",
        worker,
        clock=wall_clock,
        durability=arguments.durability,
        back_pressure="spill" if spill else "deny",
        spill_directory=state / "refuge" if spill else None,
        max_segment_bytes=SEGMENT_BYTES,
        limits=LIMITS,
        disk=home,
    )


def compact(log: Path, ending: threading.Event, *, remove: bool) -> None:
    """As `pdp audit compact`, without its waits; with `remove`, stored segments go at once."""
    from pdp.archive.keeper import Keeper as Compactor  # late: a second of work, which not every plan needs
    from pdp.archive.store import LocalStore

    store = LocalStore(log, rows_per_file=ROWS_PER_FILE)
    keeper = Compactor(store, keep_segments_days=0)
    while not ending.wait(0.05):
        with suppress(SekishoError, OSError):
            keeper.once(wall_clock())
            if remove:
                with store.held():
                    store.remove_segments(wall_clock() - timedelta(seconds=0.5), wall_clock())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("state", type=Path)
    parser.add_argument("socket", type=int)
    parser.add_argument("--durability", default="power")
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--waiters", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hasty", action="store_true")
    parser.add_argument("--spill", action="store_true")
    parser.add_argument("--remove", action="store_true")
    parser.add_argument("--no-store", action="store_true")
    parser.add_argument("--only-start", action="store_true", help="open both logs, have the notary sign, and end")
    arguments = parser.parse_args()
    asyncio.run(live(arguments))


async def live(arguments: argparse.Namespace) -> None:
    dice = random.Random(arguments.seed)  # which write fails
    state: Path = arguments.state
    with _beside(state / "decisions", arguments):
        logs = [log_of(state, worker, arguments, dice) for worker in WORKERS]
        if not arguments.only_start:
            numbers = iter(range(arguments.records))
            asking = [_ask(log, numbers, arguments.socket, dice) for log in logs for _ in _half(arguments)]
            await asyncio.gather(*asking)
        for log in logs:
            await log.close()


def _end_all(fault: threading.ExceptHookArgs) -> None:
    """A thread that fails is a node that failed: else nothing would be cut in what it did not do."""
    threading.__excepthook__(fault)
    os._exit(1)


def _half(arguments: argparse.Namespace) -> range:
    return range(max(1, arguments.waiters // len(WORKERS)))


def _beside(log: Path, arguments: argparse.Namespace) -> ExitStack:
    """The notary and the compactor, until the logs are closed."""
    threading.excepthook = _end_all
    stack = ExitStack()
    keeper = keeper_of(log, arguments.socket)
    keeper.start()
    stack.callback(keeper.stop)
    if not arguments.no_store:
        ending = threading.Event()
        thread = threading.Thread(target=compact, args=(log, ending), kwargs={"remove": arguments.remove})
        thread.start()
        stack.callback(thread.join)
        stack.callback(ending.set)
    return stack


async def _ask(log: SegmentLog, numbers: Iterator[int], outside: int, dice: random.Random) -> None:
    for _ in numbers:
        await asyncio.sleep(dice.random() * PAUSE_S)  # else all is over before the compactor has begun
        decision_id = new_id()
        with suppress(RecordFailedError):
            await log.append(full_record(decision_id))
            os.write(outside, f"+{decision_id}\n".encode())


if __name__ == "__main__":
    main()
