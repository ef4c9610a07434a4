"""The process that signs for the decision log. It is started as `python -m pdp.notary_child`, never imported.

    stdin    one line: the descriptor of the node's proof lock, which it holds from then on, and the settings; its
             end tells it to sign for what was recorded last, and to end
    stdout   a line for each change of its status

A service that is told to end is told by a signal, and so are its children: this one does not listen, because the
last segment is sealed after that. It ends with its parent, also one that was killed.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.declog.lock import FileLock
from pdp.errors import SekishoError
from pdp.proving import open_keeper, trail_of
from pdp.settings import Settings

if TYPE_CHECKING:
    from pdp.transparency.keeper import Keeper

_LOOK_S: Final = 1.0  # how often it says how it is, and looks whether its parent lives
# Decisions first. A low priority is a small share, and does not end a turn on a processor that has begun: who wakes up
# for a decision waited for three milliseconds. So the processor is offered after each 64 lines (`rest`). With more
# modesty than this, nice 19 for example, two busy processors leave it fewer lines a second than a worker writes.
_NICE: Final = 5
_BROKEN: Final = 70  # sysexits.h: a fault of ours, told on stderr; who comes next tries again
_encode: Final = msgspec.json.Encoder().encode


class Ground(msgspec.Struct, frozen=True):
    """What the parent says first."""

    lock: int
    settings: Settings


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent = os.getppid()
    os.nice(_NICE)
    ground = msgspec.json.decode(sys.stdin.buffer.readline(), type=Ground)
    os.set_inheritable(ground.lock, False)
    try:
        keeper = open_keeper(ground.settings, lock=FileLock(ground.lock), rest=os.sched_yield)
    except SekishoError as fault:
        _say({"working": False, "size": 0, "fault": fault.message, "altered": (), "anchors": (), "turned": 0.0})
        return
    keeper.start()
    trail = _Trail(ground.settings)
    _stay(keeper, parent, trail)
    if not keeper.alive:
        sys.exit(_BROKEN)
    keeper.stop()
    trail.stop()


class _Trail:
    """Signs for the trail of the auditors' questions as well, once there is one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._keeper: Keeper | None = None

    def look(self) -> None:
        if self._keeper is None and trail_of(self._settings)[0].segments.is_dir():
            self._keeper = open_keeper(self._settings, of="trail", rest=os.sched_yield)
            self._keeper.start()

    @property
    def fault(self) -> str | None:
        status = None if self._keeper is None else self._keeper.status
        if status is None or (status.fault is None and not status.altered):
            return None
        return f"trail: {status.fault or 'altered: ' + ', '.join(status.altered)}"

    def stop(self) -> None:
        self.look()
        if self._keeper is not None:
            self._keeper.stop()


def _stay(keeper: Keeper, parent: int, trail: _Trail) -> None:
    """Until the parent closes the pipe, or is gone: a pipe that another child of it has inherited stays open."""
    said = 0.0
    before = None
    while os.getppid() == parent and keeper.alive:
        trail.look()
        status = keeper.status
        if status.fault is None and trail.fault is not None:
            status = replace(status, fault=trail.fault)
        now = time.monotonic()
        if status != before and (now - said >= _LOOK_S or before is None or status.fault != before.fault):
            if not _say(asdict(status)):
                return
            before, said = status, now
        if select.select([0], [], [], _LOOK_S)[0]:
            return


def _say(status: dict[str, object]) -> bool:
    try:
        os.write(1, _encode(status) + b"\n")  # under 4 kB: at once, and whole
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
