"""How each worker of this host is: a small file of each, written every few seconds and read by whichever is asked.

The numbers of the last hour stand in it too, a sample a minute, so that a page can show how it has been. A worker
whose file is old does not run, or is stuck; its file goes with the next start of the service or after a day.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.insight.percentiles import Buckets, percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

EVERY: Final = timedelta(seconds=5)
LATE: Final = timedelta(seconds=20)  # four files that did not come
SAMPLE_EVERY: Final = timedelta(minutes=1)
SAMPLES: Final = 60
GONE: Final = timedelta(hours=24)
_MAX_FILE: Final = 256 * 1024
_MAX_FILES: Final = 256  # a host has 64 workers at most


class Check(msgspec.Struct, frozen=True):
    """As `/readyz` says it."""

    name: str
    ok: bool
    detail: str


class Sample(msgspec.Struct, frozen=True):
    """One minute. `p50_ms` and `p99_ms` None: there was no decision."""

    at: datetime
    decisions: int
    p50_ms: float | None
    p99_ms: float | None
    directory_age_s: float | None


class WorkerState(msgspec.Struct, frozen=True):
    """`numbers`: what `/metrics` has as gauges, by name."""

    node: str
    pid: int
    started_at: datetime
    seen_at: datetime
    checks: list[Check]
    numbers: dict[str, float | None]
    samples: list[Sample]
    shadow: dict[str, Any] | None = None  # as `pdp.simulate.shadow.Shadow.told`; None: no draft is beside it


class WorkerFile:
    """Of one worker. Writing and removing block, for milliseconds or as long as the disk hangs; what fails is left for
    the next time.
    """

    def __init__(self, directory: Path, node: str, now: datetime) -> None:
        self._directory: Final = directory
        self._node: Final = node
        self._started: Final = now
        self._written: datetime | None = None
        self._sampled = now
        self._before: Buckets | None = None
        self._samples: Final[deque[Sample]] = deque(maxlen=SAMPLES)

    def is_due(self, now: datetime) -> bool:
        return self._written is None or not timedelta() <= now - self._written < EVERY

    def write(
        self,
        now: datetime,
        checks: Iterable[Check],
        numbers: Mapping[str, float | None],
        durations: Buckets,
        shadow: dict[str, Any] | None = None,
    ) -> None:
        """`durations`: those of all decisions so far."""
        self._written = now
        if self._before is None:
            self._before = durations
        if now - self._sampled >= SAMPLE_EVERY:
            self._sample(now, numbers, durations)
        state = WorkerState(
            self._node,
            os.getpid(),
            self._started,
            now,
            list(checks),
            dict(numbers),
            list(self._samples),
            shadow,
        )
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._directory / f"{os.getpid()}.json"
            aside = path.with_suffix(".new")
            aside.write_bytes(msgspec.json.encode(state))
            aside.replace(path)

    def remove(self) -> None:
        """At the end of the worker."""
        with contextlib.suppress(OSError):
            (self._directory / f"{os.getpid()}.json").unlink(missing_ok=True)

    def _sample(self, now: datetime, numbers: Mapping[str, float | None], durations: Buckets) -> None:
        assert self._before is not None
        since = durations.since(self._before)
        self._samples.append(
            Sample(now, since.count, percentile(since, 50), percentile(since, 99), numbers.get("directory_age_s"))
        )
        self._sampled, self._before = now, durations


def read_workers(directory: Path, now: datetime) -> list[WorkerState]:
    """Every worker whose file is there, by process id. Blocks. What cannot be read is left out, what is old goes."""
    found: list[WorkerState] = []
    try:
        paths = sorted(directory.glob("*.json"))[:_MAX_FILES]
    except OSError:
        return found
    for path in paths:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            with path.open("rb") as file:
                state = msgspec.json.decode(file.read(_MAX_FILE), type=WorkerState)
            if now - state.seen_at > GONE:
                path.unlink(missing_ok=True)
            else:
                found.append(state)
    return sorted(found, key=lambda state: state.pid)


def workers_json(workers: Sequence[WorkerState], now: datetime, answered_by: int) -> list[dict[str, Any]]:
    return [
        {
            **msgspec.to_builtins(worker),
            "late": now - worker.seen_at > LATE,
            "ready": bool(worker.checks) and all(check.ok for check in worker.checks),
            "answered_this": worker.pid == answered_by,
        }
        for worker in workers
    ]
