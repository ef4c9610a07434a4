"""What the decision log costs: records a second and CPU a record, saturated and at a steady rate; and `find`.

    PYTHONPATH=. .venv/bin/python bench/declog.py [--records N] [--waiters N] [--find N] [--directory DIR]

Prints JSON. CPU is user and system time of this process (event loop and commit thread), over the records;
`floor` is the same loop over a log that does nothing, which is the harness's own share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uuid_utils
import uvloop

from pdp.declog.limits import Durability, Limits
from pdp.declog.record import record_of
from pdp.declog.segments import SegmentLog
from pdp.model.decision import Decision, Outcome, Text, Verdict
from pdp.model.input import (
    UNKNOWN_POSTURE,
    Action,
    Context,
    Device,
    InputV1,
    Resource,
    Sources,
    Subject,
    encode_input,
)
from pdp.model.request import AccessRequest, Network, UnverifiedToken

TARGETS = {"cpu_us_per_record": 40, "records_per_s": 20_000, "find_s": 1.0}

INPUT = encode_input(
    InputV1(
        schema="pdp.input/v1",
        subject=Subject(
            id="u-0001",
            kind="staff",
            organisation="mie",
            departments=["soumu"],
            roles=["disaster_response"],
            employment="active",
            identity_source="integrated",
            auth_level=2,
            auth_age_min=12,
        ),
        device=Device(
            id="d-00001",
            class_="managed_pc",
            ownership="organisation",
            registered=True,
            shared=False,
            relation="own",
            loan="none",
            permit="none",
            takeout="permitted",
            state="in_service",
            returned_from_outside=False,
            posture=UNKNOWN_POSTURE,
        ),
        resource=Resource(
            id="groupware",
            group="communication",
            segment="cloud",
            status="in_service",
            departments=[],
            organisations=["mie"],
            sensitivity=2,
            tenant="own",
        ),
        action=Action(name="access"),
        context=Context(
            zone="office",
            underlay="office",
            path_encrypted=True,
            country="JP",
            business_day=True,
            business_hours=True,
            risk=[],
            work_permit="none",
            work_permit_until="none",
            disaster_mode=False,
            sources=Sources(posture="ok", identity="ok"),
            pep=["clipboard", "print", "save", "download", "browser_only", "record_session"],
        ),
    )
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--waiters", type=int, default=1_024)
    parser.add_argument("--rate", type=int, default=3_000, help="records a second in the steady run")
    parser.add_argument("--find", type=int, default=0, help="fill a log with this many records and look some up")
    parser.add_argument("--directory", type=Path, default=None)
    arguments = parser.parse_args()
    figures: dict[str, object] = {"targets": TARGETS, "record_bytes": len(make_record(str(uuid_utils.uuid7())))}
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        figures["record_of_us"] = encoding_us()
        figures["floor"] = uvloop.run(floor(arguments))
        for durability in ("power", "process"):
            figures[durability] = uvloop.run(both(Path(directory) / durability, durability, arguments))
        if arguments.find:
            figures["find"] = uvloop.run(finding(Path(directory) / "find", arguments.find))
    print(json.dumps(figures, indent=2))


def make_record(decision_id: str) -> bytes:
    now = datetime.now(UTC)
    decision = Decision(
        id=decision_id,
        at=now,
        verdict=Verdict(Outcome.LIMIT, ("OK_BYOD_COMMUNICATION",), {"clipboard": "off", "save": "off"}),
        reason_user=Text("", ""),
        reason_admin=Text("", ""),
        expires_at=now + timedelta(minutes=5),
        policy_revision="2026-11-23.1",
        bundle_digest="ab" * 32,
        directory_epoch=4711,
        cache="hit",
        input=INPUT,
    )
    request = AccessRequest(
        subject_id="u-0001",
        resource_id="groupware",
        action="access",
        identity=UnverifiedToken("eyJ" + "a" * 900),
        device_id="d-00001",
        network=Network(source_ip="192.0.2.7"),
        path="/schedule/day?date=2026-11-23",
        session_id="s-12345678",
        request_id="7f3a9a52-2f4e-4a53-9b1b-0b8f1d5f7f10",
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    )
    steps = {"caller": 12, "identity": 9, "facts": 41, "cache": 6, "engine": 640, "obligations": 4}
    return record_of(decision, request, time=now, caller_id="gateway-1", profile="zta", steps_us=steps)


def encoding_us() -> float:
    decision_id = str(uuid_utils.uuid7())
    start = time.process_time()
    for _ in range(20_000):
        make_record(decision_id)
    return round((time.process_time() - start) / 20_000 * 1e6, 2)


class NoLog:
    async def append(self, record: bytes) -> None:  # noqa: ARG002  # what it costs to do nothing
        await asyncio.sleep(0)


async def floor(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "saturated": await saturated(NoLog(), arguments.records, arguments.waiters),
        "steady": await steady(NoLog(), arguments.rate, seconds=2),
    }


async def both(directory: Path, durability: Durability, arguments: argparse.Namespace) -> dict[str, object]:
    log = open_log(directory, durability)
    figures: dict[str, object] = {"saturated": await saturated(log, arguments.records, arguments.waiters)}
    figures["steady"] = await steady(log, arguments.rate, seconds=4)
    figures["unrecorded"] = log.unrecorded
    await log.close()
    return figures


def open_log(directory: Path, durability: Durability) -> SegmentLog:
    limits = Limits(deadline_s=30.0)
    return SegmentLog(directory, "w0", clock=lambda: datetime.now(UTC), durability=durability, limits=limits)


async def saturated(log: SegmentLog | NoLog, records: int, waiters: int) -> dict[str, float]:
    """`waiters` tasks, each with one append under way all the time."""
    prepared = [make_record(str(uuid_utils.uuid7())) for _ in range(10_000)]
    left = iter(range(records))

    async def keep_appending() -> None:
        for number in left:
            await log.append(prepared[number % len(prepared)])

    start, cpu = time.perf_counter(), cpu_s()
    await asyncio.gather(*(keep_appending() for _ in range(waiters)))
    took, used = time.perf_counter() - start, cpu_s() - cpu
    return {"records_per_s": round(records / took), "cpu_us_per_record": round(used / records * 1e6, 2)}


async def steady(log: SegmentLog | NoLog, rate: int, seconds: int) -> dict[str, float]:
    """An open loop: appends begin by the clock, whether or not the earlier ones are answered."""
    prepared = [make_record(str(uuid_utils.uuid7())) for _ in range(1_000)]
    waits: list[float] = []

    async def append_one(number: int) -> None:
        start = time.perf_counter()
        await log.append(prepared[number % len(prepared)])
        waits.append(time.perf_counter() - start)

    tasks: set[asyncio.Task[None]] = set()
    start, cpu, number = time.perf_counter(), cpu_s(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        while number < elapsed * rate:
            task = asyncio.create_task(append_one(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    used = cpu_s() - cpu
    waits.sort()
    return {
        "rate": rate,
        "p50_ms": round(waits[len(waits) // 2] * 1e3, 3),
        "p99_ms": round(waits[len(waits) * 99 // 100] * 1e3, 3),
        "max_ms": round(waits[-1] * 1e3, 3),
        "cpu_us_per_record": round(used / number * 1e6, 2),
    }


async def finding(directory: Path, records: int) -> dict[str, object]:
    log = open_log(directory, "process")
    known: list[str] = []

    async def fill(count: int) -> None:
        for _ in range(count):
            decision_id = str(uuid_utils.uuid7())
            await log.append(make_record(decision_id))
            if random.random() < 200 / records:
                known.append(decision_id)

    await asyncio.gather(*(fill(records // 1_000) for _ in range(1_000)))
    waits = []
    for decision_id in known:
        start = time.perf_counter()
        found = await asyncio.to_thread(log.find, decision_id)
        waits.append(time.perf_counter() - start)
        assert found is not None, decision_id
    start = time.perf_counter()
    assert log.find(known[len(known) // 2][:-6] + "f00d00") is None  # reads every segment of its minute
    absent = time.perf_counter() - start
    await log.close()
    waits.sort()
    size = sum(path.stat().st_size for path in (directory / "segments").iterdir())
    return {
        "records": records,
        "bytes": size,
        "looked_up": len(waits),
        "p50_s": round(waits[len(waits) // 2], 4),
        "max_s": round(waits[-1], 4),
        "absent_s": round(absent, 4),
    }


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
