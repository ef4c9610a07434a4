"""What a fault around the decision log costs while it lasts: `python -m bench.log_faults [--quick] [--fault NAME] …`.

A service of one worker, `durability = power`, is asked by clients that never stop. A third of the way in, something
fails; two thirds in, it is well again. For each fault and each `log_full`:

| fault | what fails |
|---|---|
| full disk | every write and every new file below the decision log: ENOSPC (`tests/crash/disk_shim.c`) |
| slow disk | every fsync and fdatasync there takes 500 ms more |
| dead SIEM | the HTTP receiver of `pdp audit ship` takes connections and never answers |
| dead S3 | the store of the signed heads and of the copies, likewise |

Each request counts for the third in which it was sent. `lost` are decisions that were answered and are not in the log
at the end; of a dead receiver, also those that it never got. Exit codes: 0 nothing was lost and each back-pressure did
what it promises, 1 else, 2 the figures would mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from bench.contestants import HERE
from bench.load import quantile
from pdp.commands.wholeness import examine
from pdp.declog.layout import Layout
from tests.crash.kills import Found
from tests.crash.service import PDP, Clients, Service, until
from tests.crash.shim import NoCompilerError, Shim
from tests.flaky_proxy import FlakyProxy, flaky_proxy
from tests.http_server import serving
from tests.s3_server import S3Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FAULTS: Final = ("full disk", "slow disk", "dead SIEM", "dead S3")
PRESSURES: Final = ("block", "deny", "spill")
PHASES: Final = ("before", "while", "after")
SLOW_US: Final = 500_000
CLIENTS: Final = 16
PAUSE_S: Final = 0.01  # on average, of each client between two requests
LONG_S: Final = 1.0
_ID: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_BUCKET: Final = "heads"


@dataclass(frozen=True)
class Third:
    """Of the requests that were sent in one third. `waited`: longer than a second. Times in ms."""

    answered: int
    denied: int
    waited: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass
class Row:
    fault: str
    log_full: str
    thirds: dict[str, Third] = field(default_factory=dict)
    decisions: int = 0
    lost: int = 0
    breaks: list[str] = field(default_factory=list)
    undelivered: int = 0
    unanswered: int = 0
    wrong: list[str] = field(default_factory=list)


class Siem:
    """An HTTP receiver that remembers which decisions it was given."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG002  # ASGI
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.ids.update(found.decode() for found in _ID.findall(body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


@dataclass
class Scene:
    """What a fault can touch, and what is looked at when all is over."""

    shim: Shim
    proxy: FlakyProxy | None = None
    siem: Siem | None = None
    s3: S3Server | None = None

    def hurt(self, fault: str) -> None:
        if fault == "full disk":
            self.shim.room = 0
        elif fault == "slow disk":
            self.shim.sync_us = SLOW_US
        elif self.proxy is not None:
            self.proxy.swallow(on=True)
            self.proxy.drop_connections()

    def mend(self) -> None:
        self.shim.room, self.shim.sync_us = -1, 0
        if self.proxy is not None:
            self.proxy.swallow(on=False)
            self.proxy.drop_connections()


def measure(fault: str, log_full: str, place: Path, third_s: float) -> Row:
    """One run. Raises RuntimeError and TimeoutError where the service does not come up, or not back."""
    row = Row(fault, log_full)
    with ExitStack() as stack:
        state = place / "state"
        shim = stack.enter_context(Shim.below(state / "decisions", place / "shim", journal=False))
        shim.real_sync = 1
        scene = Scene(shim)
        settings = {"PDP_LOG_FULL": log_full, **_receiver(fault, place, scene, stack)}
        if log_full == "spill":
            settings["PDP_LOG_SPILL_DIR"] = str(place / "refuge")
        service = Service(place, workers=1, durability="power", environment=settings | shim.environment())
        stack.callback(service.close)
        service.start()
        service.until_ready()
        with _shipping(service) if fault == "dead SIEM" else nullcontext():
            _hurt(service, scene, row, third_s)
        until(lambda: not any((place / "refuge").glob("segments/*")), "what was spilled does not come home")
        service.end()
        _reckon(service, scene, row)
    row.wrong = _judged(row)
    return row


def _receiver(fault: str, place: Path, scene: Scene, stack: ExitStack) -> dict[str, str]:
    if fault == "dead SIEM":
        scene.siem = Siem()
        port = stack.enter_context(serving(scene.siem))
        scene.proxy = stack.enter_context(flaky_proxy(("127.0.0.1", port)))
        target = {"name": "siem", "to": f"http://127.0.0.1:{scene.proxy.port}/", "format": "json", "gzip": False}
        return {"PDP_LOG_TARGETS": json.dumps([target | {"deadline_s": 2.0}])}
    if fault == "dead S3":
        folder = place / "s3"
        folder.mkdir(parents=True)
        scene.s3 = S3Server(folder)
        stack.callback(scene.s3.stop)
        scene.s3.start()
        scene.s3.make_bucket(_BUCKET, locked=True)
        scene.s3.make_bucket("copies")
        scene.proxy = stack.enter_context(flaky_proxy(("127.0.0.1", scene.s3.port)))
        near = f"127.0.0.1:{scene.proxy.port}"
        credentials = folder / "writer.credentials"
        store = {"bucket": "copies", "endpoint": f"http://{near}", "credentials_file": str(credentials)}
        anchor = f"s3+http://{near}/{_BUCKET}/n?days=1&every=0&credentials_file={credentials}"
        (place / "pdp.toml").write_text(f"log_anchors = {json.dumps([anchor])}\n", encoding="utf-8")
        return {"PDP_AUDIT_OBJECT_STORE": json.dumps(store | {"deadline_s": 5.0})}
    return {}


@contextmanager
def _shipping(service: Service) -> Iterator[None]:
    environment = {name: value for name, value in service.environment().items() if name != "LD_PRELOAD"}
    with (service.place / "ship.log").open("wb") as out:
        process = subprocess.Popen([PDP, "audit", "ship"], env=environment, cwd=service.place, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _hurt(service: Service, scene: Scene, row: Row, third_s: float) -> None:
    asking = Clients(service.port, service.key, clients=CLIENTS, pause_s=PAUSE_S)
    try:
        until(lambda: asking.answers > CLIENTS, "nobody is answered")
        asking.timed = True
        began = time.monotonic()
        time.sleep(third_s)
        scene.hurt(row.fault)
        time.sleep(third_s)
        scene.mend()
        time.sleep(third_s)
    finally:
        asking.close()
    row.unanswered = asking.failed
    row.thirds = {
        phase: _third([one for one in asking.latencies if number <= (one[0] - began) / third_s < number + 1])
        for number, phase in enumerate(PHASES)
    }
    service.answered = asking.take()


def _third(requests: Sequence[tuple[float, float, int]]) -> Third:
    if not requests:
        raise RuntimeError("no request was sent in a whole third")
    spans = sorted(took * 1e3 for _, took, _ in requests)
    denied = sum(status >= 500 for *_, status in requests)  # no record, no answer
    return Third(
        answered=len(requests) - denied,
        denied=denied,
        waited=sum(span > LONG_S * 1e3 for span in spans),
        p50_ms=round(quantile(spans, 0.5), 1),
        p99_ms=round(quantile(spans, 0.99), 1),
        max_ms=round(spans[-1], 1),
    )


def _reckon(service: Service, scene: Scene, row: Row) -> None:
    layout = Layout(service.state / "decisions")
    found = Found(layout)
    found.look()
    row.decisions = len(service.answered)
    row.lost = sum(decision_id not in found.ids for decision_id in service.answered)
    row.breaks = [f"{one.kind} {one.segment} {one.at}" for one in examine(layout.root).breaks]
    if scene.siem is not None:
        service.pdp("audit", "ship", "--once", "--json")
        row.undelivered = len(found.ids - scene.siem.ids)
    if scene.s3 is not None:
        service.pdp("audit", "publish", "--once", "--json")
        service.pdp("audit", "publish", "--verify", "--json")
        client = scene.s3.client()
        try:
            heads = client.list_objects_v2(Bucket=_BUCKET).get("KeyCount", 0)
        finally:
            client.close()
        row.undelivered = int(heads == 0)


def _judged(row: Row) -> list[str]:
    """What is not as it was promised, in words."""
    during, after = row.thirds["while"], row.thirds["after"]
    wrong = []
    if row.lost or row.breaks or row.undelivered:
        wrong.append(f"{row.lost} lost, {row.undelivered} not delivered; {', '.join(row.breaks) or 'the log is whole'}")
    # Those under way when the fault came were sent before it; and a log that is down tries again each second.
    if row.thirds["before"].denied > CLIENTS or after.answered <= after.denied:
        wrong.append("not well before or after")
    if row.fault != "full disk" or row.log_full == "spill":
        if during.denied:
            wrong.append(f"{during.denied} refused, where none had to be")
    elif row.log_full == "deny" and during.p50_ms > LONG_S * 1e3:
        wrong.append("`deny` waits")
    elif row.log_full == "block" and during.p50_ms < LONG_S * 1e3:
        wrong.append("`block` does not wait")
    return wrong


def table_of(rows: Sequence[Row]) -> Table:
    table = Table(title="障害時の判定ログ · the decision log under faults (ms)")
    for head in ("fault", "log_full", "phase", "answered", "denied", "> 1 s", "p50", "p99", "max", "lost"):
        table.add_column(head, justify="left" if head in ("fault", "log_full", "phase") else "right")
    for row in rows:
        for phase, third in row.thirds.items():
            numbers = (third.answered, third.denied, third.waited, third.p50_ms, third.p99_ms, third.max_ms)
            last = str(row.lost) if phase == PHASES[-1] else ""
            first = phase == PHASES[0]
            table.add_row(
                row.fault if first else "", row.log_full if first else "", phase, *(f"{n:,}" for n in numbers), last,
                end_section=phase == PHASES[-1],
            )  # fmt: skip
    return table


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.log_faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="thirds of 2 s: does it work; the figures mean little")
    parser.add_argument("--third", type=float, default=8.0, help="seconds of each third")
    parser.add_argument("--fault", choices=FAULTS, action="append", help="default: all")
    parser.add_argument("--log-full", choices=PRESSURES, action="append", help="default: all")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "log-faults.json")
    parser.add_argument("--place", type=Path, default=None, help="where to work, on a real disk; default: temporary")
    chosen = parser.parse_args()
    third_s = 2.0 if chosen.quick else chosen.third
    say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    rows = []
    try:
        with tempfile.TemporaryDirectory(dir=chosen.place) as place:
            for fault in chosen.fault or FAULTS:
                for log_full in chosen.log_full or PRESSURES:
                    say(f"{fault}, {log_full}")
                    name = f"{fault}-{log_full}".replace(" ", "-")
                    rows.append(measure(fault, log_full, Path(place) / name, third_s))
    except (NoCompilerError, RuntimeError, TimeoutError, subprocess.CalledProcessError) as fault:
        say(f"bench.log_faults: {fault}")
        return 2
    _write(chosen.results, rows, third_s)
    Console(width=max(110, Console().width)).print(table_of(rows))
    for row in rows:
        for wrong in row.wrong:
            print(f"! {row.fault}, {row.log_full}: {wrong}")
    print(f"\nwritten: {os.path.relpath(chosen.results)}")
    return 1 if any(row.wrong for row in rows) else 0


def _write(path: Path, rows: Sequence[Row], third_s: float) -> None:
    machine = {"processors": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    results = {"machine": machine, "third_s": third_s, "clients": CLIENTS, "rows": [asdict(row) for row in rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
