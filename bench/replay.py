"""How fast the log is replayed: decisions a second and core, of a generated working day with real records.

    PYTHONPATH=. .venv/bin/python bench/replay.py [--quick] [--place DIR]

Prints JSON. The core time is user and system time of this process and of the evaluators that it started; what it takes
to generate the day is not in it. Exit code 1 where a limit of bench/limits.toml (`replay.limit`) does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.log_day import DAY, Size, make_day
from pdp.archive.asking import Filters
from pdp.archive.session import EngineLimits
from pdp.bundle.bundle import read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.replaying.bulk import Progress, Replay
from pdp.replaying.court import Court
from pdp.replaying.reading import LogReader

HERE = Path(__file__).resolve().parent
FULL, QUICK = Size(4, 500_000, 20_000, 3_000), Size(1, 20_000, 500, 300)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="does it work; the figures mean little")
    parser.add_argument("--place", type=Path, default=HERE.parent / "var" / "bench" / "replay")
    arguments = parser.parse_args()
    log = make_day(arguments.place.resolve(), QUICK if arguments.quick else FULL, _say)
    figures = asyncio.run(replayed(log))
    limits = tomllib.loads((HERE / "limits.toml").read_text(encoding="utf-8"))["replay"]["limit"]
    figures["limits"] = [one | {"holds": figures[one["name"]] >= one["at_least"]} for one in limits]
    print(json.dumps(figures, indent=2))
    return 0 if arguments.quick or all(one["holds"] for one in figures["limits"]) else 1


async def replayed(log: Path) -> dict[str, Any]:
    bundle = read_bundle(HERE.parent / "policies")
    since = (DAY - timedelta(days=1)).replace(tzinfo=None)
    reader = LogReader([log], Filters(since, since + timedelta(days=3)), EngineLimits())
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
        "replay_decisions_per_core_s": round(report.tally.records / core_s),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _core_s() -> float:
    """Of this process, and of children that have ended: engines are closed when this is asked."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
