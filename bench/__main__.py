"""Measure side by side, print a table, write JSON, and compare with bench/limits.toml.

    python -m bench [--quick] [--rounds N] [--without NAME,NAME] [--pin] [--results FILE] [--place DIR]

Exit codes: 0 every limit holds, 1 some do not (they are named), 2 the figures would mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.contestants import CONTESTANTS, HERE, ROOT
from bench.course import Course
from bench.effort import FULL, QUICK
from bench.limits import check, read_limits
from bench.processes import BenchError
from bench.table import print_limits, print_tables


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute: does it work; the figures mean little")
    parser.add_argument("--rounds", type=int, default=None, help="of closed and open loops; default: 3")
    parser.add_argument("--only", default="", help="names of contestants, with commas; default: all")
    parser.add_argument("--without", default="", help="names of contestants to leave out")
    parser.add_argument("--pin", action="store_true", help="servers on one processor, load on the other")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "latest.json")
    parser.add_argument("--place", type=Path, default=ROOT / "var" / "bench", help="emptied; on a real disk")
    chosen = parser.parse_args()
    names = _names(chosen.only, chosen.without)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server is ended too
    try:
        effort = QUICK if chosen.quick else FULL
        if chosen.rounds:
            effort = replace(effort, rounds=chosen.rounds, open_rounds=chosen.rounds)
        results = Course(effort, chosen.place.resolve(), names, 0 if chosen.pin else None, say).run()
    except BenchError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    checked = check(read_limits(HERE / "limits.toml"), results)
    results["limits"] = checked
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    chosen.results.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print_tables(results)
    print_limits(checked)
    print(f"\nwritten: {os.path.relpath(chosen.results)}")
    return 0 if all(one["holds"] is not False for one in checked) else 1


def _names(only: str, without: str) -> list[str]:
    known = [one.name for one in CONTESTANTS]
    asked = [name for name in (*only.split(","), *without.split(",")) if name]
    for name in asked:
        if name not in known:
            raise SystemExit(f"bench: `{name}` is none of {', '.join(known)}")
    left_out = without.split(",")
    return [name for name in (only.split(",") if only else known) if name not in left_out]


if __name__ == "__main__":
    sys.exit(main())
