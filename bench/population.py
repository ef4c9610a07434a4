"""How fast everybody is judged: the demonstration prefecture at full size, a draft against the shipped policy.

    python -m bench.population [--contexts N]

Prints JSON: pairs, pairs a second, distinct vectors, evaluations. Exit code 1 where it takes longer than a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.bundle import make_bundle, read_bundle
from pdp.directory.demo import demonstration
from pdp.engine.regorus import RegorusEngine
from pdp.simulate.contexts import USUAL
from pdp.simulate.population import Course, Simulation, World

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle

LIMIT_S: Final = 60.0  # on 2 cores
_DEADLINE: Final = timedelta(seconds=5)  # of one evaluation: nobody waits for it
NOW: Final = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=int, default=len(USUAL), choices=range(1, len(USUAL) + 1))
    told = asyncio.run(judged(parser.parse_args().contexts))
    json.dump(told, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0 if told["seconds"] <= LIMIT_S else 1


async def judged(contexts: int) -> dict[str, Any]:
    shipped = read_bundle(Path(__file__).parents[1] / "policies")
    snapshot = demonstration(NOW).snapshot(epoch=1)
    simulation = Simulation(
        World(shipped, snapshot, NOW),
        World(stricter(shipped), snapshot, NOW),
        USUAL[:contexts],
        lambda: RegorusEngine(_DEADLINE, os.cpu_count() or 1),
    )
    report = await simulation.run(Course())
    assert report is not None
    told = report.as_json()
    wanted = ("users", "devices", "pairs", "resources", "cells", "seconds", "cells_per_s", "pairs_per_s", "checked")
    return {name: told[name] for name in wanted} | {"before": told["before"], "after": told["after"]}


def stricter(bundle: Bundle) -> Bundle:
    """The same policy, for which posture is stale after half the time."""
    data = copy.deepcopy(dict(bundle.data))
    data["zta"]["parameters"]["posture_stale_hours"] //= 2
    return make_bundle(manifest={**bundle.manifest, "revision": "stricter"}, modules=bundle.modules, data=data)


if __name__ == "__main__":
    sys.exit(main())
