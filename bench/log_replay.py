"""How fast the log is replayed: decisions a second and core, of a generated working day with real records.

The core time is user and system time of this process and of the evaluators that it started; what it takes to generate
the day is not in it.
"""

from __future__ import annotations

import asyncio
import os
import resource
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bench.contestants import ROOT
from bench.log_records import DAY
from pdp.archive.asking import Filters
from pdp.archive.session import EngineLimits
from pdp.bundle.bundle import read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.replaying.bulk import Progress, Replay
from pdp.replaying.court import Court
from pdp.replaying.reading import LogReader

if TYPE_CHECKING:
    from pathlib import Path

_AROUND: Final = timedelta(days=1)  # the day, and the fresh tail after it


def replay_cost(log: Path) -> dict[str, Any]:
    """`decisions_per_core_s` is what the limit is about; `different` counts what a new decision contradicts."""
    return asyncio.run(_replayed(log))


async def _replayed(log: Path) -> dict[str, Any]:
    bundle = read_bundle(ROOT / "policies")
    since = (DAY - _AROUND).replace(tzinfo=None)
    reader = LogReader([log], Filters(since, since + 3 * _AROUND), EngineLimits())
    before = _core_s()

    def engine() -> RegorusEngine:
        return RegorusEngine(timedelta(seconds=5), os.cpu_count() or 1)

    async with Court({"regorus": engine}, lambda _: bundle) as court:
        report = await Replay(reader, court).run(Progress())
    core_s = _core_s() - before
    return {
        "decisions": report.tally.records,
        "distinct": report.evaluated,
        "equal": report.tally.equal,
        "different": report.tally.differing,
        "wall_s": round(report.seconds, 2),
        "core_s": round(core_s, 2),
        "decisions_per_s": round(report.tally.records / report.seconds),
        "decisions_per_core_s": round(report.tally.records / core_s),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _core_s() -> float:
    """Of this process, and of children that have ended: engines are closed when this is asked."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
