"""Power cuts, many to a run: a node works above the shim, and then is cut off at moments that dice choose.

One run writes one journal; each moment of it is a power cut that could have been. For each, what may be on the disk is
written into a directory of its own, and `reckoning.restart` says what the next start makes of it.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.crash.journal import Entry, read_journal
from tests.crash.power import Disk, write_state
from tests.crash.reckoning import restart
from tests.crash.shim import Shim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT: Final = Path(__file__).resolve().parents[2]
RUN_S: Final = 120
SYNC_US: Final = 400  # of a good disk; while it lasts, the next group gathers


@dataclass(frozen=True, slots=True)
class Plan:
    """One kind of run: options of `tests.crash.house`."""

    name: str
    options: tuple[str, ...] = ()
    lie: bool = False

    @property
    def must_lose(self) -> bool:
        """What does not sync must be seen to lose."""
        return self.lie or "--hasty" in self.options

    @property
    def spill(self) -> bool:
        return "--spill" in self.options


PLANS: Final = {
    "power": Plan("power"),
    "removed": Plan("removed", ("--remove",)),  # stored segments go from the disk at once
    "spill": Plan("spill", ("--spill", "--no-store")),
    "hasty": Plan("hasty", ("--hasty", "--no-store")),  # a writer that never syncs: its losses must be found
    "lying": Plan("lying", ("--no-store",), lie=True),  # a disk that says it has synced: likewise
}


@dataclass(slots=True)
class Tally:
    """`answered` counts each cut's decisions that had been answered before it."""

    runs: int = 0
    cuts: int = 0
    answered: int = 0
    lost: int = 0
    twice: int = 0
    entries: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        return (
            f"{self.runs} runs, {self.cuts} power cuts, {self.answered} answers before them: {self.lost} lost, "
            f"{self.twice} twice, {len(self.faults)} other faults"
        )


def campaign(  # what a campaign is
    plan: Plan,
    place: Path,
    *,
    runs: int,
    cuts: int,
    records: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> Tally:
    """So many runs with so many cuts each, below `place`; what was at fault stays there to be looked at.

    Raises NoCompilerError, and RuntimeError where the shim did not see everything: its journal would prove nothing.
    """
    tally = Tally()
    for number in range(runs):
        dice = random.Random(f"{seed}-{number}")  # a seed names a run
        run = place / f"{plan.name}-{number}"
        state = run / "state"
        state.mkdir(parents=True)
        whole, disk = Disk(state), Disk(state)
        journal = _worked(plan, state, run, records, dice.randrange(1 << 30))
        _check_complete(whole, journal, state)
        tally.runs += 1
        tally.entries += len(journal)
        faults = len(tally.faults) + tally.lost
        outside = _Outside()
        for cut in _moments(journal, dice, cuts):
            _cut(plan, disk, outside, journal, cut, run, dice, tally)
        say(f"{plan.name}, run {number + 1} of {runs}: {tally.line()}")
        if len(tally.faults) + tally.lost == faults:
            shutil.rmtree(run)
    return tally


def _worked(plan: Plan, state: Path, run: Path, records: int, seed: int) -> list[Entry]:
    """One life of the node, to its end in order; and what it did to the disk."""
    ours, theirs = socket.socketpair()
    with Shim.below(state, run / "shim") as shim, ours, theirs:
        shim.sync_us, shim.lie = SYNC_US, int(plan.lie)
        theirs.setblocking(True)
        command = [sys.executable, "-m", "tests.crash.house", str(state), str(theirs.fileno())]
        counts = ["--records", str(records), "--seed", str(seed)]
        environment = os.environ | shim.environment() | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(
            [*command, *counts, *plan.options], cwd=run, env=environment, pass_fds=[theirs.fileno()]
        ) as process:
            try:
                theirs.close()
                while ours.recv(1 << 16):  # read, so that nobody waits for us; the journal has it all
                    pass
                if process.wait(RUN_S) != 0:
                    raise RuntimeError(f"the node ended with {process.returncode}")
            finally:
                process.kill()
    return list(read_journal(run / "shim" / "journal"))


def _check_complete(disk: Disk, journal: Sequence[Entry], state: Path) -> None:
    """What the journal says, all of it kept, is what lies there."""
    for entry in journal:
        disk.take(entry)
    seen = disk.whole()
    there = {str(path.relative_to(state)): None if path.is_dir() else path.read_bytes() for path in state.rglob("*")}
    differing = sorted(path for path in seen.keys() | there.keys() if seen.get(path, b"?") != there.get(path, b"?"))
    if differing:
        raise RuntimeError(f"the shim did not see everything: {differing[:5]}")


def _moments(journal: Sequence[Entry], dice: random.Random, cuts: int) -> list[int]:
    """A third anywhere, a third when an answer has just left, a third within a sync: where it hurts."""
    answers = [at + 1 for at, entry in enumerate(journal) if entry.op == "S"]
    syncs = [at + 1 for at, entry in enumerate(journal) if entry.op == "F"]
    pools = (range(len(journal) + 1), answers or [0], syncs or [0])
    return sorted(dice.choice(pools[number % 3]) for number in range(cuts))


class _Outside:
    """What had left the machine by a moment of the journal."""

    def __init__(self) -> None:
        self.at = 0
        self.answered: set[str] = set()
        self.heads: list[str] = []


def _cut(  # what a cut is
    plan: Plan,
    disk: Disk,
    outside: _Outside,
    journal: Sequence[Entry],
    cut: int,
    run: Path,
    dice: random.Random,
    tally: Tally,
) -> None:
    for entry in journal[outside.at : cut]:
        disk.take(entry)
        outside.answered.update(entry.answers())
        if entry.head is not None:
            outside.heads.append(entry.head)
    outside.at = cut
    place = run / f"cut-{cut}-{tally.cuts}"
    write_state(disk.after_cut(dice), place)
    heads = run / f"{place.name}.heads"
    heads.write_text("".join(outside.heads))
    found = restart(place, outside.answered, heads, spill=plan.spill, dice=dice)
    tally.cuts += 1
    tally.answered += len(outside.answered)
    tally.lost += len(found.lost)
    tally.twice += found.twice
    tally.faults += [f"{place}: {fault}" for fault in found.faults]
    if found.sound:
        shutil.rmtree(place)
        heads.unlink()
