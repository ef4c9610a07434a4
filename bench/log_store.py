"""The decision log, from the record on a decision's path to an auditor's answer over thirty million of them.

    PYTHONPATH=. .venv/bin/python -m bench.log_store [--quick] [--only PART,PART] [--place DIR] [--results FILE]

    append   what a record costs on the path of a decision, and how many a second one worker sustains (durability power)
    store    what it costs to make a file of segments and prove it, in which memory; bytes of a record in it
    ask      the named queries, pages, counts and groups over a generated day (bench/log_day.py), medians
    http     the same through /audit/v1 of a service
    replay   decisions a second that are decided again out of the log

The day is made once, in about six minutes and two gigabytes, and kept in DIR for the next run of the same code. Exit
codes: 0 the limits of bench/limits.toml (`log.limit`) hold, 1 some do not (they are named; with --quick they are told
and not judged), 2 the figures would mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bench.log_asking import questions, subjects_of, timed
from bench.log_day import FULL, QUICK, REPLAYED, TINY, Size, make_day
from bench.log_http import over_http
from bench.log_records import demonstration, real_records
from bench.log_replay import replay_cost
from bench.log_writing import append_cost, store_cost
from bench.processes import BenchError

HERE: Final = Path(__file__).resolve().parent
PARTS: Final = ("append", "store", "ask", "http", "replay")


@dataclass(frozen=True)
class Effort:
    """`distinct` records are decided to append and store; `stored` of them make one file."""

    name: str
    seconds: float
    distinct: int
    stored: int
    day: Size
    rounds: int
    replayed: Size


EFFORTS: Final = {
    "full": Effort("full", 60.0, 20_000, 1_000_000, FULL, 5, REPLAYED),
    "quick": Effort("quick", 3.0, 3_000, 60_000, QUICK, 3, QUICK),
    "tiny": Effort("tiny", 0.5, 300, 3_000, TINY, 1, TINY),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.log_store", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a minute and a million records; the figures mean less")
    parser.add_argument("--tiny", action="store_true", help="some seconds: does it work; the figures mean nothing")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas; default: all")
    parser.add_argument("--place", type=Path, default=HERE.parent / "var" / "bench" / "log", help="on a real disk")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "log.json")
    chosen = parser.parse_args()
    effort = EFFORTS["tiny" if chosen.tiny else "quick" if chosen.quick else "full"]
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    try:
        results = Run(effort, chosen.place.resolve(), say).run(chosen.only.split(","))
        checked = check(HERE / "limits.toml", results)
    except BenchError as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 2
    results["limits"] = checked
    chosen.results.parent.mkdir(parents=True, exist_ok=True)
    chosen.results.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(results)
    judged = effort.name == "full"
    return 1 if judged and any(one["holds"] is False for one in checked) else 0


class Run:
    """The parts of one run, one after the other."""

    def __init__(self, effort: Effort, place: Path, say: Any) -> None:
        self._effort = effort
        self._place = place
        self._say = say

    def run(self, parts: list[str]) -> dict[str, Any]:
        """Raises BenchError for a part that there is not."""
        if unknown := set(parts) - set(PARTS):
            raise BenchError(f"there is no part `{min(unknown)}`")
        results: dict[str, Any] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "effort": self._effort.name,
            "cores": os.cpu_count(),
            "load": [os.getloadavg()[0]],
        }
        if {"append", "store"} & set(parts):
            results |= self._written(parts)
        if {"ask", "http"} & set(parts):
            results |= self._asked(parts)
        if "replay" in parts:
            results["replay"] = self._replayed()
        results["load"].append(os.getloadavg()[0])
        return results

    def _written(self, parts: list[str]) -> dict[str, Any]:
        effort, work = self._effort, self._place / "writing"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        found: dict[str, Any] = {}
        try:
            self._say(f"deciding {effort.distinct:,} requests")
            records = real_records(demonstration(), HERE.parent / "policies", effort.distinct)
            if "append" in parts:
                self._say(f"appending for {effort.seconds:g} s")
                found["append"] = append_cost(work / "append", records, effort.seconds)
            if "store" in parts:
                self._say(f"storing {effort.stored:,} records")
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # its memory is measured
                    found["store"] = pool.submit(store_cost, work / "store", records, effort.stored).result()
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return found

    def _asked(self, parts: list[str]) -> dict[str, Any]:
        effort = self._effort
        log = make_day(self._place / f"day-{effort.name}", effort.day, self._say)
        asked = questions(log, subjects_of(log))
        found: dict[str, Any] = {"day": {"records": effort.day.rows, "fresh": effort.day.fresh}}
        if "ask" in parts:
            self._say("asking")
            found["ask"] = timed(asked, effort.rounds, self._say)
        if "http" in parts:
            self._say("asking over HTTP")
            with over_http(log, self._place / "service", asked) as over:
                found["http"] = timed(over, effort.rounds, self._say)
        if set(parts) >= {"ask", "http"}:
            _agree(found["ask"], found["http"])
        return found

    def _replayed(self) -> dict[str, Any]:
        effort = self._effort
        same = effort.replayed == effort.day
        log = make_day(self._place / f"{'day' if same else 'replayed'}-{effort.name}", effort.replayed, self._say)
        self._say("replaying")
        # In a process of its own: children that have ended count, and those of other parts must not.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(replay_cost, log).result()


def _agree(here: dict[str, Any], over: dict[str, Any]) -> None:
    """Raises BenchError where a question has not as many rows over HTTP."""
    for name, answer in over.items():
        if answer.get("rows") != here[name].get("rows"):
            raise BenchError(f"`{name}` has {answer.get('rows')} rows over HTTP, {here[name].get('rows')} without")


def check(file: Path, results: dict[str, Any]) -> list[dict[str, Any]]:
    """Each limit with its figure; None where this run did not measure it. Raises BenchError without limits."""
    limits = tomllib.loads(file.read_text(encoding="utf-8")).get("log", {}).get("limit", [])
    if not limits:
        raise BenchError(f"{file.name} has no limits of the log")
    checked = []
    for limit in limits:
        value = _figure(limit["figure"], results)
        holds = None
        if value is not None:
            holds = value <= limit["at_most"] if "at_most" in limit else value >= limit["at_least"]
        checked.append({**limit, "value": value, "holds": holds})
    return checked


def _figure(name: str, results: dict[str, Any]) -> float | None:
    """`part.figure`; of `ask` and `http` the worst median of a kind."""
    part, _, figure = name.partition(".")
    found = results.get(part)
    if found is None:
        return None
    if part not in {"ask", "http"}:
        return float(found[figure])
    return max(
        float(answer["median_ms"]) for answer in found.values() if answer["kind"] == figure and "median_ms" in answer
    )


def show(results: dict[str, Any]) -> None:
    console = Console(width=max(Console().width, 120))
    console.print(f"\n{results['cores']} cores, {results['at']}, effort {results['effort']}, load {results['load']}")
    for part in ("append", "store", "replay"):
        if part in results:
            console.print(f"{part}: " + ", ".join(f"{name} {value:,}" for name, value in results[part].items()))
    if {"ask", "http"} & results.keys():
        console.print(_answers(results))
    for limit in results["limits"]:
        bound = f"<= {limit['at_most']}" if "at_most" in limit else f">= {limit['at_least']}"
        state = {None: "not measured", True: "holds", False: "DOES NOT HOLD"}[limit["holds"]]
        console.print(f"{limit['name']}: {limit['value']} {limit['unit']} ({bound}): {state}", markup=False)


def _answers(results: dict[str, Any]) -> Table:
    day, here, over = results["day"], results.get("ask", {}), results.get("http", {})
    table = Table(title=f"{day['records']:,} records of a day and {day['fresh']:,} fresh ones")
    for column in ("question", "kind", "median ms", "first ms", "over HTTP", "rows"):
        table.add_column(column, justify="left" if column in {"question", "kind"} else "right")
    for name, answer in (over | here).items():
        others = over.get(name, {})
        figures = [here.get(name, {}).get("median_ms"), here.get(name, {}).get("first_ms"), others.get("median_ms")]
        figures.append(answer.get("rows"))
        table.add_row(name, answer["kind"], *("-" if one is None else f"{one:,}" for one in figures))
    return table


if __name__ == "__main__":
    sys.exit(main())
