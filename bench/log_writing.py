"""What writing the log costs: on the path of a decision, sustained by one worker, and stored afterwards."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from bench.declog import NoLog, cpu_s, encoding_us, open_log
from bench.log_lines import at_another_instant, write_segments
from bench.log_records import DAY
from pdp.archive.datafile import prove_file
from pdp.archive.store import LocalStore
from pdp.declog.disk import PosixDisk
from pdp.declog.layout import Layout, stamp_of
from pdp.declog.record import read_record
from pdp.declog.writer import Epoch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pdp.declog.segments import SegmentLog

WAITERS: Final = 1_024  # appends under way
_PREPARED: Final = 20_000


@dataclass(frozen=True)
class Append:
    """Seconds and microseconds of CPU: of this process, event loop and commit thread, over the records."""

    records: int
    bytes_a_record: int
    seconds: float
    records_per_s: int
    cpu_us: float
    unrecorded: int


def append_cost(place: Path, records: Sequence[bytes], seconds: float) -> dict[str, Any]:
    """`record_us`: `record_of`, and what an append costs beyond a log that does nothing."""
    import uvloop

    floor = uvloop.run(_append_all(NoLog(), records, min(seconds, 5.0)))
    power = uvloop.run(_sustained(place, records, seconds))
    making = encoding_us()
    return {
        "record_of_us": making,
        "append_us": round(power.cpu_us - floor.cpu_us, 2),
        "floor_us": round(floor.cpu_us, 2),
        "record_us": round(making + power.cpu_us - floor.cpu_us, 2),
        "records_per_s": power.records_per_s,
        "seconds": round(power.seconds, 1),
        "records": power.records,
        "bytes_a_record": power.bytes_a_record,
        "unrecorded": power.unrecorded,
    }


async def _sustained(place: Path, records: Sequence[bytes], seconds: float) -> Append:
    log = open_log(place, "power")
    sweeping = asyncio.create_task(_sweep(place))
    try:
        return await _append_all(log, records, seconds)
    finally:
        sweeping.cancel()
        await log.close()
        _remove_sealed(place)


async def _append_all(log: SegmentLog | NoLog, records: Sequence[bytes], seconds: float) -> Append:
    """`WAITERS` tasks, each with one append under way all the time."""
    prepared = list(itertools.islice(itertools.cycle(records), _PREPARED))
    start, cpu = time.perf_counter(), cpu_s()
    done = 0

    async def keep_appending(number: int) -> None:
        nonlocal done
        while time.perf_counter() - start < seconds:
            await log.append(prepared[(number + done) % _PREPARED])
            done += 1

    await asyncio.gather(*(keep_appending(number) for number in range(WAITERS)))
    took, used = time.perf_counter() - start, cpu_s() - cpu
    size = sum(map(len, prepared)) // _PREPARED
    unrecorded = 0 if isinstance(log, NoLog) else log.unrecorded
    return Append(done, size, took, round(done / took), used / done * 1e6, unrecorded)


async def _sweep(place: Path) -> None:
    """Sealed segments go as they come: a minute of them is more than some disks have."""
    while True:
        await asyncio.sleep(2)
        await asyncio.to_thread(_remove_sealed, place)


def _remove_sealed(place: Path) -> None:
    for path in Layout(place).segments.glob("*.ndjson"):
        path.unlink()


# -- stored afterwards ---------------------------------------------------------------------------------


def store_cost(place: Path, records: Sequence[bytes], count: int) -> dict[str, Any]:
    """What it takes to make one file of so many records out of their segments, and what they take then.

    Memory is the most that this process ever had: run it in one of its own.
    """
    Layout(place).make(PosixDisk())
    now, parsed = DAY + timedelta(hours=9), [read_record(record) for record in records]
    write_segments(
        Layout(place),
        Epoch("node-1", "w0", stamp_of(now)),
        (at_another_instant(parsed[at % len(parsed)], now + timedelta(microseconds=at * 333)) for at in range(count)),
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store = LocalStore(place, rows_per_file=count)
    with store.held():
        start, cpu = time.perf_counter(), cpu_s()
        store.publish(store.waiting(), DAY + timedelta(days=1))
        took, used = time.perf_counter() - start, cpu_s() - cpu
    (file,) = store.manifest.files()
    cpu = cpu_s()
    prove_file(store.rows_path(file), store.manifest.segments_of(file.name))
    return {
        "records": file.records,
        "cpu_us": round(used / file.records * 1e6, 1),
        "prove_us": round((cpu_s() - cpu) / file.records * 1e6, 1),
        "records_per_s": round(file.records / took),
        "bytes_a_record": round(file.bytes / file.records, 1),
        "rss_mb_before": before // 1024,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
