"""The process that keeps the store: publishes tails every two seconds, stores segments as they come.

A process of its own, not a part of the service: sorting a million rows takes a second of a core and half a
gigabyte, which no decision should wait for. It may be ended at any time, and started again, or by cron with
`--once`; while it does not run, questions are answered all the same, only more slowly.
"""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from pdp.archive.rewrites import Rewrites
from pdp.archive.store import due
from pdp.archive.tail import publish_tails
from pdp.errors import NotReadyError, RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.archive.entries import StoredFile
    from pdp.archive.store import LocalStore
    from pdp.declog.layout import SegmentName

TAIL_EVERY_S: Final = 2.0  # a decision is to be seen within five seconds without reading segments
STORE_EVERY_S: Final = 30.0  # how often it is looked whether there is enough to store
AT_LATEST: Final = timedelta(hours=1)  # a sealed segment is stored then, also where it makes a small file
BATCH_BYTES: Final = 2_000_000_000  # of segments: a million records of two kilobytes
SMALL: Final = 2  # a file with less than this part of a full one is small
MERGE_AFTER: Final = timedelta(days=1)  # small files of an earlier day become one
MERGE_FILES: Final = 4  # fewer are not worth reading again

LOCK_WAIT_S: Final = 60.0  # another may be sorting a million rows

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What one round did: segments stored, files that count now, segments removed.

    `waiting` were due to be removed and stayed, because somebody has not had them yet; `lost` went all the same.
    """

    segments: int
    files: int
    removed: int
    waiting: int = 0
    lost: int = 0


class Keeper:
    def __init__(
        self,
        store: LocalStore,
        *,
        keep_segments_days: int,
        wanted_by: Callable[[SegmentName], Sequence[str]] = lambda _: (),
        wait_days: int = 0,
        tell: Callable[[Kept, datetime], None] = lambda *_: None,
    ) -> None:
        """`keep_segments_days`: after so many days stored segments are removed; 0: never.

        `wanted_by` names who has not had a segment yet: it stays for `wait_days` more, and goes then, loudly.
        `tell` hears what each round did, and when.
        """
        self._store = store
        self._keep_segments_days = keep_segments_days
        self._wanted_by = wanted_by
        self._wait = timedelta(days=wait_days)
        self._tell = tell
        self._told: tuple[str, ...] = ()  # targets that segments wait for, as the log was last told

    def once(self, now: datetime) -> Kept:
        """Store all that is sealed. Raises NotReadyError, OSError, RecordDamagedError."""
        with self._store.held(LOCK_WAIT_S):
            self._publish_tails()
            return self._round(now, all_of_it=True)

    def run(self, *, clock: Callable[[], datetime] | None = None, ending: threading.Event | None = None) -> None:
        """Until the process is told to end, or `ending` is set. Waits where there is no log yet."""
        clock = clock or utc_now
        if ending is None:
            ending = threading.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: ending.set())
        stored_at = datetime.min.replace(tzinfo=UTC)
        if not self._store.layout.segments.is_dir():
            _log.warning("archive_waits", reason="there is no decision log here yet: is the state directory right")
        while not ending.is_set():
            now = clock()
            if not self._store.layout.segments.is_dir():  # its service starts at the same time
                ending.wait(TAIL_EVERY_S)
                continue
            try:
                with self._store.held(LOCK_WAIT_S):  # for each round: retention and others have their turn between
                    self._publish_tails()
                    if now - stored_at >= timedelta(seconds=STORE_EVERY_S):
                        stored_at = now
                        self._round(now, all_of_it=False)
            except (OSError, RecordDamagedError) as fault:  # a full disk, a segment that moved: the next round
                _log.warning("archive_round_failed", error=type(fault).__name__)
            except NotReadyError as fault:  # retention that moves files for minutes, a manifest that cannot be used
                _log.warning("archive_round_failed", error=type(fault).__name__, reason=fault.message)
            ending.wait(TAIL_EVERY_S)

    def _publish_tails(self) -> None:
        store = self._store
        names = store.layout.names()
        stored = store.stored(names)
        fresh = [name for name in names if str(name) not in stored]
        publish_tails(store.layout, store.place, fresh, store.disk)

    def _round(self, now: datetime, *, all_of_it: bool) -> Kept:
        store = self._store
        waiting = store.waiting()
        if not all_of_it:
            waiting = due(waiting, store.layout, now, at_latest=AT_LATEST, batch_bytes=BATCH_BYTES)
        segments = store.publish(waiting, now)
        rewritten = {rewrite.file for rewrite in Rewrites(store.manifest).known()}  # they are proven in another way
        files = [file for file in store.manifest.files() if file.name not in rewritten]
        small = to_merge(files, now, store.rows_per_file)
        if small:
            store.merge(small, now)
        gone = self._remove(now) if self._keep_segments_days else (0, 0, 0)
        kept = Kept(segments, len(store.manifest.files()), *gone)
        self._tell(kept, now)
        return kept

    def _remove(self, now: datetime) -> tuple[int, int, int]:
        due_since = now - timedelta(days=self._keep_segments_days)
        old = self._store.removable(due_since)
        wanted = {name: self._wanted_by(name) for name in old}
        lost = [name for name in old if wanted[name] and name.created_at < due_since - self._wait]
        waiting = [name for name in old if wanted[name] and name not in lost]
        targets = tuple(sorted({target for name in (*waiting, *lost) for target in wanted[name]}))
        if lost:
            _log.error("segments_not_shipped", segments=len(lost), oldest=str(lost[0]), targets=targets)
        elif targets != self._told:
            _log.warning("segments_wait", segments=len(waiting), targets=targets)
        self._told = targets
        gone = [name for name in old if name not in waiting]
        self._store.remove_these(gone, now)
        return len(gone), len(waiting), len(lost)


def to_merge(files: list[StoredFile], now: datetime, rows_per_file: int) -> list[StoredFile]:
    """Small hot files of one earlier day, together not more than one full file; none where it is not worth it."""
    before = (now - MERGE_AFTER).replace(tzinfo=None)
    by_day: dict[object, list[StoredFile]] = {}
    for file in reversed(files):  # the oldest first
        is_small = file.records * SMALL <= rows_per_file and file.tier == "hot"
        if is_small and file.max_time is not None and file.max_time < before:
            by_day.setdefault(file.max_time.date(), []).append(file)
    for found in by_day.values():
        chosen: list[StoredFile] = []
        for file in found:
            if sum(f.records for f in chosen) + file.records <= rows_per_file:
                chosen.append(file)
        if len(chosen) >= MERGE_FILES:
            return chosen
    return []


def utc_now() -> datetime:
    return datetime.now(UTC)
