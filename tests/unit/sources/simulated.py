"""Sources that do what a test tells them: pages, faults half-way, clocks that are wrong, cancellations."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.port import Cursor, DeviceReport, Page, Run
from pdp.model.directory import PostureReport, User
from pdp.model.source import SourceSettings
from pdp.sources.gathering import Gathered
from pdp.sources.runner import Runner, Source, Surroundings
from pdp.store.store import Store

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
GOOD = PostureReport(
    certificate=True,
    disk_encrypted=True,
    edr_running=True,
    edr_risk="none",
    av_current=True,
    firewall=True,
    screen_lock=True,
    tampered=False,
    patch_age_days=3,
    observed_at=NOW - timedelta(hours=1),
    source="mdm",
)


def report(
    names: dict[str, str] | None = None, *, age: timedelta = timedelta(hours=1), platform: str = "", **facts: Any
) -> DeviceReport:
    """What `mdm` says of the device that is called so."""
    posture = PostureReport(**{"tampered": False, "observed_at": NOW - age, "source": "mdm"} | facts)
    return DeviceReport(names or {}, posture, platform)  # type: ignore[arg-type]


def user(id_: str, **fields: Any) -> User:
    return User(**{"id": id_, "kind": "staff", "name": f"職員 {id_}"} | fields)


def settings(**values: Any) -> SourceSettings:
    return SourceSettings(**{"name": "mdm", "kind": "intune"} | values)


def gathered(items: Iterable[Any] = (), *, complete: bool = True, **rest: Any) -> Gathered:
    return Gathered(
        **{"items": tuple(items), "removed": (), "refused": (), "complete": complete, "cursor": None, "pages": 1} | rest
    )


Step = Page[Any] | Exception | Callable[[], Awaitable[Any]]


@dataclass
class Simulated:
    """Gives these pages, one script per run, the last one again and again. An exception is raised in its place."""

    scripts: list[Sequence[Step]]
    name: str = "mdm"
    complete: bool | None = None  # None: where it was asked for everything
    cursors: list[str | None] = field(default_factory=lambda: ["cursor-1"])
    asked: list[str | None] = field(default_factory=list)
    closed: int = 0

    async def run(self, cursor: str | None, now: datetime) -> Run[Any]:
        self.asked.append(cursor)
        script = self.scripts[min(len(self.asked), len(self.scripts)) - 1]
        given = self.cursors[min(len(self.asked), len(self.cursors)) - 1]
        mark = Cursor()
        complete = cursor is None if self.complete is None else self.complete
        return Run(self._pages(script, mark, given), complete, mark)

    async def _pages(self, script: Sequence[Step], mark: Cursor, given: str | None) -> AsyncIterator[Page[Any]]:
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                page = step if isinstance(step, Page) else await step()
                if page is not None:
                    yield page
            mark.value = given
        finally:
            self.closed += 1


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Stage:
    """A runner over a store, with a clock that stands still and ears for what workers are told."""

    store: Store
    clock: Clock = field(default_factory=Clock)
    told: list[int] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def around(self, holder: str = "runner-1") -> Surroundings:
        return Surroundings(self.store, self.clock, self._sleep, lambda: 0.5, self._tell, holder)

    def runner(self, *sources: Source, holder: str = "runner-1") -> Runner:
        return Runner(sources, self.around(holder))

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.now += timedelta(seconds=seconds)

    async def _tell(self, epoch: int) -> None:
        self.told.append(epoch)
