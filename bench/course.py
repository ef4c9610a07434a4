"""The order of one run.

1. the house: directory, caller, bundle, the stream and its bodies for every wire
2. everybody starts
3. one answer of ours is kept for the echo to say
4. everybody is asked the same questions and must decide alike (`agreement`)
5. the stream once through a service with an empty cache: the measured hit rate
6. rounds of closed loops, open loops at half load, boxcars (`rounds`)
7. memory; then everybody ends, and ours is started alone and timed
8. the computed hit rates
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bench.agreement import agree, asking
from bench.contestants import CONTESTANTS, Contestant, House, prepare, write_opa_bundle
from bench.documents import Archive, cerbos_body, opa_body
from bench.effort import BOXCAR, STREAM
from bench.hit_rate import at_once, hit_rates, in_an_hour
from bench.machine import describe
from bench.prefecture import SEED, Stream, stream_of
from bench.processes import BenchError, Server, Weight, memory
from bench.rounds import Track, boxcars, closed_rounds, open_rounds, sweep
from bench.tables import TABLE_S, wait_for_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.effort import Effort

_BOXCARS = 200
# These decide as another that is asked, or not at all.
_DUPLICATES = frozenset({"echo", "warm", "warm-two", "warm-core", "warm-engine", "opa-core", "opa-log", "cerbos-audit"})


class Course:
    """One run, step by step. `say` is told what is being done."""

    def __init__(
        self, effort: Effort, place: Path, names: Sequence[str], core: int | None, say: Callable[[str], None]
    ) -> None:
        self._effort = effort
        self._place = place
        self._entered = [one for one in CONTESTANTS if one.name in names]
        self._core = core
        self._say = say
        self._servers: dict[str, Server] = {}
        self._results: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """The raw figures, as they are written to JSON. Raises BenchError where they would mean nothing."""
        began = time.perf_counter()
        house, archive, stream = self._house()
        self._results["contestants"] = {
            one.name: {
                "ja": one.ja,
                "en": one.en,
                "ours": one.ours,
                "against": one.against,
                "closed": {},
                "open": [],
            }
            for one in self._entered
        }
        with ExitStack() as stack:
            self._start_all(house, stack)
            self._agree(house, archive, stream)
            self._measure(house)
        self._starts(house)
        self._compute_hit_rates(archive, stream)
        self._results["meta"]["took_s"] = round(time.perf_counter() - began, 1)
        return self._results

    # --- 1

    def _house(self) -> tuple[House, Archive, Stream]:
        self._say("the demonstration directory and the stream")
        house = prepare(self._place, self._core)
        archive = Archive(house.database_url, house.bundle)
        now = datetime.now(UTC)
        stream = stream_of(archive.snapshot, now, STREAM)
        write_opa_bundle(archive.bundle, house.place / "opa-bundle")
        documents = [archive.document(question, now) for question in stream.questions]
        bodies = {
            "authzen": [question.body() for question in stream.questions],
            "opa": [opa_body(document) for document in documents],
            "cerbos": [cerbos_body(document) for document in documents],
        }
        for wire, lines in bodies.items():
            self._write("stream", wire, lines)
            self._write("single", wire, lines[:1])
        self._write("boxcar", "authzen", stream.boxcars(BOXCAR, _BOXCARS))
        self._results["meta"] = {
            **describe(archive),
            "effort": asdict(self._effort),
            "pinned": self._core is not None,
            "stream": {
                "length": STREAM,
                "distinct": stream.distinct,
                "people": stream.people,
                "askers": stream.askers,
                "seed": SEED,
                "distinct_documents": len(set(documents)),
            },
        }
        return house, archive, stream

    def _write(self, kind: str, wire: str, bodies: Sequence[str]) -> None:
        (self._place / f"{kind}.{wire}.jsonl").write_text("\n".join(bodies) + "\n", encoding="utf-8")

    # --- 2 and 3

    def _start_all(self, house: House, stack: ExitStack) -> None:
        for one in sorted(self._entered, key=lambda one: one.name == "echo"):  # it says what another has answered
            self._say(f"starting {one.en}")
            if one.name == "echo":
                self._keep_answer(house)
            server = one.start(house)
            stack.callback(server.close)
            self._servers[one.name] = server
        for one in self._entered:
            if one.ours and not wait_for_table(self._servers[one.name]):
                raise BenchError(f"{one.name}: no decision table within {TABLE_S:g} s")

    def _keep_answer(self, house: House) -> None:
        """An answer of ours, with all its headers but the one that the server adds (`date`)."""
        first = (self._place / "single.authzen.jsonl").read_text(encoding="utf-8").strip()
        teller = next((one for one in self._entered if one.ours), None)
        if teller is None:
            raise BenchError("the echo repeats an answer of ours: enter one of ours too")
        with asking(teller, self._servers[teller.name], house) as asker:
            for _ in range(2):  # so that a hit is kept, where there is a cache
                asker.raw(first)
            status, headers, body = asker.raw(first)
        kept = [(name, value) for name, value in headers if name.lower() != "date"]
        house.answer = self._place / "answer.json"
        house.answer.write_text(json.dumps({"status": status, "headers": kept, "body": body}), encoding="utf-8")

    # --- 4

    def _agree(self, house: House, archive: Archive, stream: Stream) -> None:
        self._say("do all decide alike?")
        distinct = list(dict.fromkeys(stream.questions))[: self._effort.agreement]
        asked = [one for one in self._entered if one.name not in _DUPLICATES]
        with ExitStack() as stack:
            askers = {
                one.name: (one, stack.enter_context(asking(one, self._servers[one.name], house))) for one in asked
            }
            found = agree(askers, archive, distinct)
        self._results["agreement"] = asdict(found)
        if found.same != found.asked:
            raise BenchError(f"{found.asked - found.same} of {found.asked} answers differ: {found.examples[0]}")

    # --- 5 to 7

    def _measure(self, house: House) -> None:
        load_core = None if self._core is None else self._core + 1
        track = Track(house, self._entered, self._servers, self._effort, load_core, self._say)
        track.write_all_targets()
        warm = self._named("warm")
        measured: dict[str, float] = {}
        if warm is not None:  # it has been asked nothing but the echo's question so far
            self._say("the stream once, through an empty cache")
            measured = sweep(track, warm)
        self._results["hit_rate"] = {"measured": measured}
        kept = self._results["contestants"]

        def keep(name: str, cell: str, figures: dict[str, Any]) -> None:
            kept[name]["closed"].setdefault(cell, []).append(figures)

        for server in self._servers.values():
            server.rest()
        closed_rounds(track, keep)
        closed = {one.name: kept[one.name]["closed"] for one in self._entered}
        for name, loads in open_rounds(track, closed).items():
            kept[name]["open"] = loads
        self._results["boxcar"] = {}
        if warm is not None:
            with track.alone(warm):
                self._results["boxcar"] = boxcars(track, warm)
        for name, server in self._servers.items():
            kept[name]["memory"] = _weigh(server)

    def _named(self, name: str) -> Contestant | None:
        return next((one for one in self._entered if one.name == name), None)

    def _starts(self, house: House) -> None:
        warm = self._named("warm")
        found = []
        for number in range(self._effort.starts if warm is not None else 0):
            self._say(f"start {number + 1} of {self._effort.starts}")
            assert warm is not None
            server = warm.boot(house, f"start-{number}")
            found.append({"ready_s": server.ready_s, **_weigh(server)})
            server.close()
        self._results["starts"] = found

    # --- 8

    def _compute_hit_rates(self, archive: Archive, stream: Stream) -> None:
        self._say("hit rates, computed")
        now = datetime.now(UTC)
        hour = stream_of(archive.snapshot, now, self._effort.hour)
        rates = self._results["hit_rate"]
        swept = stream.questions[: self._effort.sweep]
        rates["at_once"] = asdict(hit_rates(archive, at_once(archive, swept, now)))
        rates["in_an_hour"] = asdict(hit_rates(archive, in_an_hour(archive, hour.questions, now)))


def _weigh(server: Server) -> dict[str, Any]:
    # The notary signs for the whole node, however many workers it has: it is told, and is no part of a worker.
    of_the_node: list[Weight] = []
    own: list[Weight] = []
    for weight in memory(server.pids):
        (of_the_node if weight.name == "notary" else own).append(weight)
    helpers = [*of_the_node, *(weight for helper in server.helpers for weight in memory(helper.pids))]
    return {
        "rss_mb": sum(weight.rss for weight in own),
        "pss_mb": sum(weight.pss for weight in own),
        "parts": [asdict(weight) for weight in own],
        "helpers": [asdict(weight) for weight in helpers],
    }
