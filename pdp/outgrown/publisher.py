"""Brings one copy up to date, again and again. A copy that is dead costs nothing but delay.

What the copy has, it is asked itself, at the start, after each failure and once an hour: so one that was restored
from an old backup, or made anew, gets what it lacks, and no position of ours can be wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pdp.archive.port import SegmentSink
from pdp.errors import CopyUnavailableError, NotReadyError, RecordDamagedError
from pdp.logs import get_log
from pdp.outgrown.sealed_rows import sealed_names
from pdp.outgrown.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from threading import Event as Stop

    from pdp.archive.store import LocalStore
    from pdp.declog.layout import SegmentName
    from pdp.outgrown.standing import Standings

POLL_S: Final = 30.0  # segments are sealed each 15 minutes, or at 64 MiB
LONGEST_WAIT_S: Final = 300.0
ASK_AGAIN: Final = 120  # turns: an hour
_log = get_log("pdp.outgrown")


class Copy(Protocol):
    """A `SegmentSink` that can say whether it is whole."""

    @property
    def name(self) -> str: ...

    @property
    def at_once(self) -> int:
        """Segments of one call, so that an end is heard."""
        ...

    def lacking(self) -> list[str]:
        """What it says it has and has not. Raises CopyUnavailableError, RecordDamagedError."""
        ...

    def mend(self, lacking: Sequence[str], now: datetime) -> None:
        """Have `publish` bring it again, or do it. Raises CopyUnavailableError, RecordDamagedError, OSError."""
        ...

    def close(self) -> None: ...


class CopySink(Copy, SegmentSink, Protocol):
    """Both."""


class Publisher:
    """Used by one thread. `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        sink: CopySink,
        store: LocalStore,
        standings: Standings,
        *,
        clock: Callable[[], datetime],
        chance: Callable[[], float],
    ) -> None:
        self.name: Final = sink.name
        self._sink: Final = sink
        self._store: Final = store
        self._standings: Final = standings
        self._clock: Final = clock
        self._chance: Final = chance
        self._has: set[str] = set()
        self._turns = 0
        self._standing = standings.read(sink.name) or Standing()

    @property
    def standing(self) -> Standing:
        return self._standing

    def turn(self) -> bool:
        """Publish some; whether there is more. Raises NotReadyError, RecordDamagedError, OSError."""
        if self._turns % ASK_AGAIN == 0:
            self._has.clear()
        self._turns += 1
        names = sealed_names(self._store)
        unknown = [name for name in names if str(name) not in self._has]
        self._has |= self._sink.stored(unknown)
        waiting = [name for name in unknown if str(name) not in self._has]
        published = self._publish(waiting)
        self._has |= self._sink.stored(waiting) if published else frozenset()
        left = sum(str(name) not in self._has for name in names)
        self._say(
            Standing(segments=len(names) - left, waiting=left, last_success=self._now(), last_attempt=self._now())
        )
        return bool(published and left)

    def once(self) -> str:
        """Publish everything that is there now; the fault that ended it, or an empty text."""
        try:
            while self.turn():
                continue
        except (NotReadyError, RecordDamagedError, OSError) as fault:
            self._failed(fault)
        return self._standing.fault

    def forever(self, stop: Stop) -> None:
        """Until `stop` is set; ends the segment under way first."""
        try:
            while not stop.is_set():
                stop.wait(self._pause())
        finally:
            self._sink.close()

    def _publish(self, waiting: list[SegmentName]) -> int:
        """Also where nothing waits: files may have been merged or removed."""
        # After a failure another part comes first, so that what is damaged does not keep the rest back for ever.
        first = self._standing.failures * self._sink.at_once % max(len(waiting), 1)
        return self._sink.publish((waiting[first:] + waiting[:first])[: self._sink.at_once], self._clock())

    def _pause(self) -> float:
        try:
            return 0.0 if self.turn() else POLL_S
        except (NotReadyError, RecordDamagedError, OSError) as fault:
            return self._failed(fault)

    def _failed(self, fault: Exception) -> float:
        """Tell it, once for each; how long to wait before the next try."""
        self._has.clear()
        word, before = _word(fault), self._standing
        failures = before.failures + 1
        wait = min(LONGEST_WAIT_S, 2.0 ** min(failures, 10)) * (0.5 + self._chance() / 2)
        _log.warning("a copy of the log is not brought up to date", copy=self.name, fault=word, detail=str(fault))
        try:
            self._say(
                msgspec.structs.replace(
                    before,
                    failures=failures,
                    fault=word,
                    last_attempt=self._now(),
                    failing_since=before.failing_since or self._now(),
                    waiting=max(before.waiting, len(sealed_names(self._store)) - before.segments),
                )
            )
        except (OSError, NotReadyError):
            _log.warning("the state of a copy cannot be written", copy=self.name)
        return wait

    def _say(self, standing: Standing) -> None:
        self._standing = standing
        self._standings.write(self.name, standing)

    def _now(self) -> str:
        return self._clock().isoformat(timespec="seconds")


def _word(fault: Exception) -> str:
    if isinstance(fault, CopyUnavailableError):
        return fault.fault
    if isinstance(fault, RecordDamagedError):
        return "damaged"
    return "disk" if isinstance(fault, OSError) else "log"
