"""After a crash: the next start, and then what must hold.

1. The next start succeeds, and so do the notary and the compactor after it.
2. Every answered decision is in the log: as a proven record of a segment or, where that was stored and removed, in
   the store; at least once, and twice only where a spilled group was written anew.
3. `pdp audit verify` finds no break, held against every head that had left the machine.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import anyio
import pyarrow.parquet as pq

from pdp.archive.keeper import Keeper as Compactor
from pdp.archive.store import LocalStore
from pdp.archive.tail import publish_tails
from pdp.commands.wholeness import examine
from pdp.declog.layout import Layout
from pdp.declog.reader import id_of, records_of
from pdp.declog.segments import SegmentLog
from tests.crash.house import LIMITS, ROWS_PER_FILE, WORKERS, keeper_of
from tests.unit.declog.samples import wall_clock

if TYPE_CHECKING:
    import random
    from collections.abc import Collection
    from pathlib import Path

_TURNS: Final = 1000
_HALF: Final = 0.5


@dataclass(slots=True)
class Reckoning:
    """What one restart showed. `faults` are in words; none of them is allowed."""

    records: int = 0
    lost: list[str] = field(default_factory=list)
    twice: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        return not self.lost and not self.faults


def restart(
    state: Path, answered: Collection[str], heads: Path | None, *, spill: bool = False, dice: random.Random
) -> Reckoning:
    """Start again on what is left, end in order, and look. `heads`: a file of what was anchored.

    By the dice, the compactor and the notary come up before the service that writes, and see what it left; and the
    compactor stores all, or publishes tails alone.
    """
    found = Reckoning()
    log = state / "decisions"
    try:
        stores = dice.random() < _HALF
        if dice.random() < _HALF:
            _beside(log, found, stores=stores)
        anyio.run(_start_again, state, spill)
        _sign(log, found)
        _beside(log, found, stores=stores)
        _count(log, answered, found)
        anchors = [heads] if heads is not None and heads.exists() else []
        seen = examine(log, anchors=anchors)
        found.faults += [f"{finding.kind} {finding.segment} {finding.at}" for finding in seen.breaks]
        found.faults += [f"{f.kind} {f.segment}" for f in seen.findings if f.kind in ("uncovered", "unsealed")]
    except Exception as fault:  # noqa: BLE001  # whatever it is, the start did not succeed
        found.faults.append(f"{type(fault).__name__}: {fault}")
    return found


def _beside(log: Path, found: Reckoning, *, stores: bool) -> None:
    if (log / "store").is_dir() and (log / "segments").is_dir():
        store = LocalStore(log, rows_per_file=ROWS_PER_FILE)
        if stores:
            Compactor(store, keep_segments_days=0).once(wall_clock())
        else:
            with store.held():
                names = store.layout.names()
                stored = store.stored(names)
                publish_tails(store.layout, store.place, [n for n in names if str(n) not in stored], store.disk)
        _sign(log, found)  # also for the manifest, which has changed


async def _start_again(state: Path, spill: bool) -> None:  # anyio.run passes no names
    for worker in WORKERS:
        log = SegmentLog(
            state / "decisions",
            worker,
            clock=wall_clock,
            back_pressure="spill" if spill else "deny",
            spill_directory=state / "refuge" if spill else None,
            limits=LIMITS,
        )
        if not log.writable():
            await log.close()
            raise RuntimeError(f"the log of {worker} takes nothing: {log.status().fault}")
        if spill:  # what other workers spilled comes home beside it
            with anyio.fail_after(10):
                while log.spilling_since is not None or any((state / "refuge" / "segments").glob("*.ndjson")):  # noqa: ASYNC110  # threads bring it
                    await anyio.sleep(0.005)
        await log.close()


def _sign(log: Path, found: Reckoning) -> None:
    keeper = keeper_of(log, None)
    for _ in range(_TURNS):
        turn = keeper.turn()
        if turn is None or not turn.behind:
            break
    status = keeper.status
    keeper.stop()
    if status.fault is not None or status.altered:
        found.faults.append(f"the notary: {status.fault} {status.altered}")


def _count(log: Path, answered: Collection[str], found: Reckoning) -> None:
    there = ids_in(log)
    found.records = sum(there.values())
    found.lost = [decision_id for decision_id in answered if decision_id not in there]
    found.twice = sum(count > 1 for count in there.values())


def ids_in(log: Path) -> Counter[str]:
    """How often each decision is in the log: in its segments, and in the store where the segment is gone."""
    layout, store = Layout(log), LocalStore(log)
    there: Counter[str] = Counter()
    names = {str(name) for name in layout.names()}
    for name in layout.names():
        path = layout.sealed_path(name)
        path = path if path.exists() else layout.open_path(name)
        there.update(decision_id for _, body in records_of(path) if (decision_id := id_of(body)) is not None)
    for file in store.manifest.files():
        table = pq.read_table(store.rows_path(file), columns=["segment", "id"], partitioning=None)
        for segment, decision_id in zip(table["segment"].to_pylist(), table["id"].to_pylist(), strict=True):
            if segment not in names:
                there[str(decision_id)] += 1
    return there
