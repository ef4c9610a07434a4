"""One target: read on, shape, send, and only then move its position. A receiver that is dead costs nothing but delay.

1. Batches are small and bounded; the next is read when the last has arrived.
2. A receiver that cannot take a batch gets it again, after 1, 2, 4, … 60 seconds, or after what it asks for.
3. A batch that a receiver refuses for its content is halved until the event is found that it will not take; that
   one is set aside in a file and counted, and the others go on: one odd record must not keep the SIEM blind for
   ever. The file is bounded: what finds no room there is counted as well. Where it refuses them all, it is not the
   records that are wrong, and nothing is set aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import RecordDamagedError
from pdp.logs import get_log
from pdp.shipping.following import bytes_behind, newest_positions, read_on
from pdp.shipping.ledger import SetAside, Standing
from pdp.shipping.port import RefusedError, UndeliveredError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Event as Stop

    from pdp.declog.layout import Layout
    from pdp.model.log_target import LogTarget
    from pdp.shipping.following import Batch
    from pdp.shipping.ledger import Ledger
    from pdp.shipping.port import Carrier, Event
    from pdp.shipping.shaping import Shaper

POLL_S: Final = 1.0  # how soon after it was recorded a decision is shipped, at most
HEARTBEAT: Final = 15  # polls without news after which the state is written all the same: the process lives
LONGEST_WAIT_S: Final = 60.0
ODD_TRIES: Final = 5  # a receiver may say 400 for a moment, while it is being changed
MOST_ODD: Final = 8  # refused events of one batch: more, and it is the receiver or its setting that is wrong
_MAX_ASKED_S: Final = 3_600.0  # a receiver that asks for more patience is asked again all the same
_log = get_log("pdp.shipping")


class Shipper:
    """Used by one thread. `clock` gives RFC 3339 texts, `chance` numbers from 0 to 1."""

    def __init__(  # noqa: PLR0913  # its collaborators
        self,
        target: LogTarget,
        carrier: Carrier,
        shape: Shaper,
        layout: Layout,
        ledger: Ledger,
        *,
        clock: Callable[[], str],
        chance: Callable[[], float],
    ) -> None:
        self._target: Final = target
        self._carrier: Final = carrier
        self._shape: Final = shape
        self._layout: Final = layout
        self._ledger: Final = ledger
        self._clock: Final = clock
        self._chance: Final = chance
        self._idle = 0
        self._standing = self._begin()

    @property
    def standing(self) -> Standing:
        return self._standing

    def turn(self) -> bool:
        """Ship one batch; whether there is more. Raises UndeliveredError, OSError; then nothing has moved."""
        batch = read_on(
            self._layout,
            self._standing.positions,
            records=self._target.batch_records,
            size=self._target.batch_bytes,
        )
        if batch.positions == self._standing.positions:
            return False
        events, kept_back, unreadable = self._shaped(batch)
        refused = self._delivered(events)
        self._move(batch, events, kept_back=kept_back, unreadable=unreadable, refused=refused)
        return batch.more

    def once(self) -> str:
        """Ship everything that is there now; the fault that ended it, or an empty text."""
        try:
            while self.turn():
                continue
        except UndeliveredError as fault:
            self._failed(fault.fault, str(fault), None)
        except OSError as fault:
            self._failed("disk", fault.strerror or type(fault).__name__, None)
        return self._standing.fault

    def forever(self, stop: Stop) -> None:
        """Until `stop` is set; ends the batch under way first."""
        try:
            while not stop.wait(self._pause()):
                continue
        finally:
            self._carrier.close()

    def _pause(self) -> float:
        """One turn, and how long to wait before the next."""
        try:
            more = self.turn()
            if not more:
                self._beat()
        except UndeliveredError as fault:
            return self._failed(fault.fault, str(fault), fault.retry_after_s)
        except OSError as fault:
            return self._failed("disk", fault.strerror or type(fault).__name__, None)
        return 0.0 if more else POLL_S

    def _beat(self) -> None:
        if self._idle % HEARTBEAT == 0:
            now = self._clock()
            self._standing = msgspec.structs.replace(
                self._standing,
                refused_bytes=self._ledger.refused_bytes(self._target.name),
                last_attempt=now,
                failures=0,
                fault="",
                behind_bytes=0,
            )
            self._ledger.write(self._target.name, self._standing)
        self._idle += 1

    def _failed(self, fault: str, detail: str, asked_s: float | None) -> float:
        failures = self._standing.failures + 1
        self._standing = msgspec.structs.replace(
            self._standing, failures=failures, fault=fault, last_attempt=self._clock(), behind_bytes=self._behind()
        )
        wait = min(LONGEST_WAIT_S, 2.0 ** min(failures - 1, 10)) * (0.5 + self._chance() / 2)
        wait = max(wait, min(asked_s or 0.0, _MAX_ASKED_S))
        _log.warning(
            "decisions could not be shipped", target=self._target.name, fault=fault, detail=detail, wait_s=wait
        )
        try:
            self._ledger.write(self._target.name, self._standing)
        except OSError:
            _log.warning("the state of a log target cannot be written", target=self._target.name)
        return wait

    def _behind(self) -> int:
        try:
            return bytes_behind(self._layout, self._standing.positions)
        except OSError:
            return self._standing.behind_bytes

    def _begin(self) -> Standing:
        standing = self._ledger.read(self._target.name)
        if standing is not None:
            return standing
        positions = newest_positions(self._layout) if self._target.start == "newest" else {}
        standing = Standing(positions=positions)
        self._ledger.write(self._target.name, standing)  # so that `newest` means the first start, and not each
        return standing

    def _shaped(self, batch: Batch) -> tuple[list[Event], int, int]:
        events: list[Event] = []
        kept_back = unreadable = 0
        for found in batch.found:
            try:
                event = self._shape(found)
            except RecordDamagedError:
                unreadable += 1
                _log.error("a record is of another form and is not shipped", epoch=found.epoch, seq=found.seq)
                continue
            if event is None:
                kept_back += 1
            else:
                events.append(event)
        return events, kept_back, unreadable

    def _delivered(self, events: Sequence[Event]) -> SetAside:
        """Send them all; what the receiver will never take. Raises UndeliveredError where that is all of them."""
        refused: list[Event] = []
        self._halving(events, refused, total=len(events))
        if refused and len(refused) == len(events) and (len(events) > 1 or self._standing.failures < ODD_TRIES):
            raise UndeliveredError("refused", "everything is refused, so it is not the record that is odd")
        if not refused:
            return SetAside(0, 0, self._ledger.refused_bytes(self._target.name))
        aside = self._ledger.set_aside(self._target.name, [event.body for event in refused], self._target.refused_bytes)
        _log.error("a receiver refuses records for good", target=self._target.name, records=len(refused))
        if aside.let_go:
            _log.error(
                "refused records are not kept: their file is full",
                target=self._target.name,
                records=aside.let_go,
                bytes=aside.bytes,
                refused_bytes=self._target.refused_bytes,
            )
        return aside

    def _halving(self, events: Sequence[Event], refused: list[Event], *, total: int) -> None:
        if not events:
            return
        try:
            self._carrier.send(events)
        except RefusedError as fault:
            if len(events) > 1:
                middle = len(events) // 2
                self._halving(events[:middle], refused, total=total)
                self._halving(events[middle:], refused, total=total)
                return
            refused.append(events[0])
            if len(refused) >= MOST_ODD and len(refused) < total:
                raise UndeliveredError("refused", str(fault)) from None

    def _move(
        self, batch: Batch, events: Sequence[Event], *, kept_back: int, unreadable: int, refused: SetAside
    ) -> None:
        before, now = self._standing, self._clock()
        if batch.damaged or batch.missing:
            _log.error(
                "the decision log has gaps that cannot be shipped",
                target=self._target.name,
                damaged=batch.damaged,
                missing=batch.missing,
            )
        moved = msgspec.structs.replace(
            before,
            positions=batch.positions,
            shipped=before.shipped + len(events) - refused.refused,
            kept_back=before.kept_back + kept_back,
            refused=before.refused + refused.refused,
            refused_bytes=refused.bytes,
            let_go=before.let_go + refused.let_go,
            damaged=before.damaged + batch.damaged,
            missing=before.missing + batch.missing,
            unreadable=before.unreadable + unreadable,
            shipped_until=max([before.shipped_until, *(event.time for event in events)]),
            last_success=now,
            last_attempt=now,
            failures=0,
            fault="",
            behind_bytes=bytes_behind(self._layout, batch.positions) if batch.more else 0,
        )
        self._ledger.write(self._target.name, moved)  # INVARIANT (at least once)
        self._standing = moved
