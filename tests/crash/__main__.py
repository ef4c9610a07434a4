"""Kill the service, or cut its power, hundreds of times, and count what was lost.

    python -m tests.crash [--kills 300] [--workers 1|2] [--durability power|process] [--seed N] [--place DIR]
    python -m tests.crash --cuts 300 [--plan power|removed|spill|hasty|lying] [--records N] …

Power cuts are simulated below one process that is a whole node of the log (`tests/crash/house.py`); `hasty` and `lying`
are plans that must lose something, which shows that these tests can. Exit codes: 0 nothing was lost and every log is
whole (for those two: something was found), 1 else; 2 the run itself could not be had.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash import cuts, kills
from tests.crash.shim import NoCompilerError

CUTS_A_RUN = 30  # of each run's journal


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests.crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--workers", type=int, choices=(1, 2), default=2)
    parser.add_argument("--durability", choices=("power", "process"), default="power")
    parser.add_argument("--cuts", type=int, default=0, help="simulated power cuts, in the place of kills")
    parser.add_argument("--plan", choices=sorted(cuts.PLANS), default="power")
    parser.add_argument("--records", type=int, default=400, help="decisions of one run of power cuts")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--place", type=Path, default=None, help="where to work; default: a temporary directory")
    chosen = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="sekisho-crash-", dir=chosen.place))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)

    say(f"seed {chosen.seed}")
    try:
        sound = _cuts(chosen, place, say) if chosen.cuts else _kills(chosen, place, say)
    except (NoCompilerError, RuntimeError, TimeoutError) as fault:
        print(f"tests.crash: {fault}; what there was is in {place}", file=sys.stderr)
        return 2
    if sound:
        shutil.rmtree(place)
    else:
        say(f"left to be looked at: {place}")
    return 0 if sound else 1


def _kills(chosen: argparse.Namespace, place: Path, say: kills.Say) -> bool:
    tally = kills.campaign(
        place, kills=chosen.kills, workers=chosen.workers, durability=chosen.durability, seed=chosen.seed, say=say
    )
    say(f"{chosen.workers} worker(s), {chosen.durability}: {tally.line()}")
    for fault in (*tally.lost, *tally.breaks):
        say(f"! {fault}")
    return not tally.lost and not tally.breaks


def _cuts(chosen: argparse.Namespace, place: Path, say: kills.Say) -> bool:
    plan = cuts.PLANS[chosen.plan]
    runs = -(-chosen.cuts // CUTS_A_RUN)
    tally = cuts.campaign(
        plan, place, runs=runs, cuts=-(-chosen.cuts // runs), records=chosen.records, seed=chosen.seed, say=say
    )
    say(f"{plan.name}: {tally.line()}")
    found = tally.lost > 0 or bool(tally.faults)
    if not plan.must_lose:
        for fault in tally.faults:
            say(f"! {fault}")
        return not found
    say("found, as it must be" if tally.lost else "! nothing was found: this test proves nothing")
    return tally.lost > 0


if __name__ == "__main__":
    sys.exit(main())
