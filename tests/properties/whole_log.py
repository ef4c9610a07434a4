"""A state directory with everything in it that `pdp audit verify` looks at, made in a second or two."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pdp.archive.entries import Hold
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.declog.layout import Layout
from pdp.declog.recovery import recover_dead
from pdp.transparency.notary import Notary
from pdp.transparency.place import ProofPlace
from tests.unit.archive.logs import Worker, some_records
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, Clock
from tests.unit.transparency.notaries import ORIGIN, anchored, notary_at, signer

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pdp.declog.disk import Disk


class _Signing:
    """A notary that signs now and then, and hands each head to an anchor outside."""

    def __init__(self, log: Path, anchor: Path | None) -> None:
        self._log = log
        self._anchor = anchor
        self._clock = Clock()
        self._notary = notary_at(log, clock=self._clock, disk=HastyDisk())

    def turn(self) -> None:
        note = self._notary.turn().note
        if self._anchor is not None:
            anchored(self._anchor, note)
        self._clock.forward(seconds=1)

    def rotate(self) -> None:
        self._notary.close()
        self._notary = Notary(
            Layout(self._log),
            ProofPlace(self._log, "local"),
            signer(2),
            origin=ORIGIN,
            clock=self._clock,
            disk=HastyDisk(),
            previous=signer(1),
        )
        self.turn()

    def close(self) -> None:
        self._notary.close()


def whole_state(state: Path, anchor: Path | None = None) -> None:
    """Stored and removed segments, stored ones, a recovered one with its torn line, tails of two open ones.

    Two data files and their counts, a hold that stands and one that was lifted, retention that removed a file, a
    new signing key, locks, and a trail.
    """
    log, disk = state / "decisions", HastyDisk()
    store = LocalStore(log, disk=disk)
    early = Worker(log, "w0", START - timedelta(days=800), disk=disk)
    early.write(some_records(early.clock.now, 3))
    early.seal()
    signing = _Signing(log, anchor)
    signing.turn()
    late = Worker(log, "w1", disk=disk)
    for number in range(3):
        late.write(some_records(late.clock.now, 6))
        signing.turn()
        late.seal()
        late.clock.forward(minutes=10 + number)
    signing.turn()
    with store.held():
        publish_all(store, disk, START)
        store.remove_segments(START + timedelta(minutes=1), START)
    signing.turn()
    signing.rotate()
    keep(store, START)
    dead = Worker(log, "w2", disk=disk)
    dead.write(some_records(dead.clock.now, 4))
    dead.seal()
    dead.clock.forward(minutes=1)
    dead.write(some_records(dead.clock.now, 2))
    signing.turn()
    with Layout(log).open_path([n for n in Layout(log).names() if n.worker == "w2"][-1]).open("ab") as file:
        file.write(b'{"seq":7,"chain":"tor')
    recover_dead(Layout(log), node="local", own_worker="w2", clock=dead.clock, disk=disk)
    signing.turn()
    for name in ("w3", "w4"):
        living = Worker(log, name, disk=disk)
        living.write(some_records(living.clock.now, 5))
        with store.held():
            fresh(store, disk)
        living.write(some_records(living.clock.now + timedelta(seconds=30), 3))
        with store.held():
            fresh(store, disk)
        signing.turn()
    signing.close()
    for lock in ("start.lock", *(f"local.w{number}.lock" for number in range(5)), "local.proof"):
        (log / "locks" / lock).touch(0o600)


def publish_all(store: LocalStore, disk: Disk, now: datetime) -> None:
    """The oldest segment in one file, the rest in another."""
    waiting = store.waiting()
    fresh(store, disk)
    store.publish(waiting[:1], now)
    store.publish(waiting[1:], now)


def keep(store: LocalStore, now: datetime) -> None:
    with store.held():
        hold = Hold("2026-1", "u-0001", None, None, "court order", "auditor", now.replace(tzinfo=None))
        store.manifest.place_hold(hold)
        lifted = store.manifest.place_hold(
            Hold("2026-2", None, None, None, "over", "auditor", now.replace(tzinfo=None))
        )
        store.manifest.lift_hold(lifted, by="auditor", now=now, reason="closed")


def fresh(store: LocalStore, disk: Disk) -> None:
    names = store.layout.names()
    stored = store.stored(names)
    publish_tails(store.layout, store.place, [name for name in names if str(name) not in stored], disk)
