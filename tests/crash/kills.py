"""`kill -9` at moments that dice choose, while clients ask: of a worker, the parent, the notary, or all at once.

After each, every answer that had arrived before the look must be in the segments, whoever lives: it was written before
it was sent. Where the service died as a whole it is started again, and seals what was left. At the end the service ends
in order, and `pdp audit verify` reads everything.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pdp.commands.wholeness import examine
from pdp.declog.layout import OPEN, SEALED, Layout
from pdp.declog.reader import id_of, records_of
from pdp.declog.recovery import read_recovery
from tests.crash.service import LOOK_AGAIN_S, Clients, Service, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crash.service import Part

Say = Callable[[str], None]

LOAD: Final = 120  # at most so many answers between two kills
EARLY_S: Final = 3.0  # a fifth of the kills come as something starts, within so long
EXAMINE_EVERY: Final = 20  # kills; to read everything takes a second
PARTS: Final[dict[int, tuple[Part, ...]]] = {
    1: ("all", "all", "notary"),
    2: ("worker", "worker", "notary", "parent", "all"),
}


@dataclass(slots=True)
class Tally:
    kills: Counter[str] = field(default_factory=Counter)
    answers: int = 0
    decisions: int = 0
    unanswered: int = 0
    lost: list[str] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    records: int = 0
    recovered: int = 0  # segments that were sealed after their process died
    torn: int = 0  # of them, with an incomplete last line
    slowest_start_s: float = 0.0

    def line(self) -> str:
        kinds = ", ".join(f"{count} of {part}" for part, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({kinds}); {self.decisions} answered decisions in {self.answers} answers, "
            f"{self.unanswered} requests without one; {len(self.lost)} lost, {len(self.breaks)} breaks; "
            f"{self.records} records, {self.recovered} segments recovered, {self.torn} torn lines"
        )


class Found:
    """The ids in the log: sealed segments are read once, open ones each time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sealed: set[str] = set()
        self.ids: set[str] = set()

    def look(self) -> None:
        if not self._layout.segments.is_dir():
            return
        for name in self._layout.names():
            if str(name) in self._sealed:
                continue
            sealed = self._layout.sealed_path(name).exists()
            path = self._layout.sealed_path(name) if sealed else self._layout.open_path(name)
            try:
                self.ids.update(found for _, body in records_of(path) if (found := id_of(body)) is not None)
            except FileNotFoundError:  # sealed meanwhile
                path = self._layout.sealed_path(name)
                self.ids.update(found for _, body in records_of(path) if (found := id_of(body)) is not None)
            if sealed:
                self._sealed.add(str(name))


def campaign(  # what a campaign is
    place: Path,
    *,
    kills: int,
    workers: int,
    durability: str,
    seed: int,
    clients: int = 4,
    pause_s: float = 0.004,
    say: Say = lambda _: None,
) -> Tally:
    """Raises TimeoutError and RuntimeError where the service does not come back: that is a failure too."""
    tally, dice = Tally(), random.Random(seed)  # a seed names a campaign
    service = Service(place, workers=workers, durability=durability)
    layout = Layout(service.state / "decisions")
    found = Found(layout)
    asking = Clients(service.port, service.key, clients=clients, pause_s=pause_s)
    try:
        service.start()
        service.until_ready()
        for number in range(kills):
            _one(service, asking, dice, tally, workers)
            _reckon(asking, found, tally)
            if (number + 1) % EXAMINE_EVERY == 0:
                tally.breaks += [str(finding) for finding in examine(layout.root).breaks]
                say(tally.line())
        service.until_ready()
        time.sleep(LOOK_AGAIN_S)
        asking.close()
        service.end()
        _reckon(asking, found, tally)
        _verify(service, layout, tally)
    finally:
        asking.close()
        service.close()
    return tally


def _one(service: Service, asking: Clients, dice: random.Random, tally: Tally, workers: int) -> None:
    part = dice.choice(PARTS[workers])
    if dice.random() < 0.8:  # else as it starts
        tally.slowest_start_s = max(tally.slowest_start_s, service.until_ready())
        enough = asking.answers + dice.randint(1, LOAD)
        until(lambda: asking.answers >= enough, "nobody is answered")
    else:
        time.sleep(dice.random() * EARLY_S)
    if part == "notary" and not service.pids("notary"):
        part = "worker" if workers > 1 else "all"
    if not service.kill(part, dice):
        return
    tally.kills[part] += 1
    if part == "parent" and workers > 1:
        # Its workers go on without it, until whoever runs the service ends them: as a service manager does.
        before = asking.answers
        until(lambda: asking.answers > before + 5 or dice.random() < 0.01, "nobody answers")
        service.kill("all", dice)
    if part in ("all", "parent"):
        service.start()


def _reckon(asking: Clients, found: Found, tally: Tally) -> None:
    fresh = asking.take()
    found.look()
    tally.decisions += len(fresh)
    tally.answers, tally.unanswered = asking.answers, asking.failed
    tally.lost += [decision_id for decision_id in fresh if decision_id not in found.ids]


def _verify(service: Service, layout: Layout, tally: Tally) -> None:
    said = json.loads(service.pdp("audit", "verify", "--json", "--state-dir", str(service.state)))
    tally.records = said["records"]
    tally.breaks += [f"{layout.names(OPEN)} is still open"] if layout.names(OPEN) else []
    notes = [note for name in layout.names(SEALED) if (note := read_recovery(layout, name)) is not None]
    tally.recovered, tally.torn = len(notes), sum(note.torn_bytes > 0 for note in notes)
