"""Logs made by hand without a thread, logs with one, and what they wrote."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from pdp.declog.disk import Disk, PosixDisk
from pdp.declog.layout import OPEN, SEALED, Layout, stamp_of
from pdp.declog.reader import records_of
from pdp.declog.segments import SegmentLog
from pdp.declog.writer import Epoch, SegmentWriter
from tests.unit.declog.samples import QUICK, START, Clock, line_of, uuid7_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pdp.declog.limits import Durability
    from pdp.declog.marks import Previous
    from tests.unit.declog.disks import StuckDisk


def layout_at(root: Path) -> Layout:
    layout = Layout(root)
    layout.make(PosixDisk())
    return layout


def writer_at(
    root: Path,
    *,
    worker: str = "w0",
    clock: Clock | None = None,
    disk: Disk | None = None,
    durability: Durability = "power",
    max_segment_bytes: int = 1 << 20,
    previous: Previous | None = None,
) -> SegmentWriter:
    clock = clock or Clock()
    return SegmentWriter(
        layout_at(root),
        Epoch("local", worker, stamp_of(clock.now)),
        previous,
        durability=durability,
        max_segment_bytes=max_segment_bytes,
        clock=clock,
        disk=disk or PosixDisk(),
    )


def ids(count: int, first: int = 0) -> list[str]:
    return [uuid7_at(START, number) for number in range(first, first + count)]


def lines(count: int, first: int = 0, note: str = "") -> list[bytes]:
    return [line_of(decision_id, note) for decision_id in ids(count, first)]


def sealed_segment(root: Path, count: int = 3, *, worker: str = "w0", clock: Clock | None = None) -> Path:
    writer = writer_at(root, worker=worker, clock=clock)
    writer.open()
    writer.commit(lines(count))
    name = writer.segment
    writer.seal("close")
    return root / "segments" / f"{name}.ndjson"


def dead_segment(root: Path, count: int = 3, *, worker: str = "w0", clock: Clock | None = None) -> Path:
    """As a process leaves it that was killed: open, whole, without a footer."""
    writer = writer_at(root, worker=worker, clock=clock)
    writer.open()
    writer.commit(lines(count))
    return root / "segments" / f"{writer.segment}.open"


@asynccontextmanager
async def opened(root: Path, worker: str = "w0", **others: object) -> AsyncIterator[SegmentLog]:
    log = SegmentLog(root, worker, **({"clock": Clock(), "limits": QUICK} | others))
    try:
        yield log
    finally:
        await log.close()


async def until(condition: Callable[[], bool]) -> None:
    """For what the commit thread does without telling anybody."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110  # the thread has no event to offer
            await anyio.sleep(0.002)


async def stuck(disk: StuckDisk) -> None:
    await anyio.to_thread.run_sync(disk.entered.wait)


def answered(root: Path) -> list[bytes]:
    layout = Layout(root)
    paths = [layout.open_path(name) for name in layout.names(OPEN)] + [
        layout.sealed_path(name) for name in layout.names(SEALED)
    ]
    return [body for path in paths for _, body in records_of(path)]
