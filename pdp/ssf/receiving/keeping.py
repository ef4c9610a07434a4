"""What a worker does for the streams beside answering: look after what was left, poll, ask for verifications.

Of all workers of a deployment one has the lease of a stream: it polls it, and asks its transmitter. Acting on events
needs no lease, since an event is acted on once whoever does it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from pdp.ending import end
from pdp.errors import DirectoryError, SekishoError
from pdp.identity.fetching import FetchError
from pdp.logs import get_log
from pdp.ssf.receiving import inbox, register
from pdp.ssf.receiving.polling import Poller, PollFaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from pdp.model.signal_stream import SignalStream
    from pdp.ssf.receiving.incoming import Incoming
    from pdp.ssf.receiving.metrics import ReceivingMetrics
    from pdp.ssf.receiving.register import Reception
    from pdp.ssf.receiving.taking import Desk
    from pdp.store.store import Store

LOOK_S: Final = 2.0  # between two looks at what was left, and at how the streams are
RENEW_S: Final = register.LEASE.total_seconds() / 4
FIRST_BACK_S: Final = 1.0
LONGEST_BACK_S: Final = 300.0
SHOWN_LATE: Final = timedelta(minutes=1)
_log = get_log("pdp.ssf")
_T = TypeVar("_T")


class Keeper:
    """One worker's. `holder`: its name on leases, unlike any other's. `chance` gives numbers in [0, 1)."""

    def __init__(  # noqa: PLR0913  # what keeping needs
        self,
        store: Store,
        streams: Sequence[Incoming],
        desk: Desk,
        *,
        clock: Callable[[], datetime],
        new_state: Callable[[], str],
        chance: Callable[[], float],
        holder: str,
        metrics: ReceivingMetrics,
    ) -> None:
        self._store = store
        self._streams = streams
        self._desk = desk
        self._clock = clock
        self._new_state = new_state
        self._chance = chance
        self._holder = holder
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._seen: tuple[dict[str, Reception], int] | None = None

    async def start(self) -> None:
        """Raises DirectoryError where the streams cannot be taken into the store."""
        await self._write(lambda connection: register.enrol(connection, self._names(), self._clock()))
        self._tasks = [asyncio.create_task(self._look_forever(), name="ssf streams")]
        if any(one.stream.verify_every_s for one in self._streams):
            self._tasks.append(asyncio.create_task(self._verify_forever(), name="ssf verifications"))
        self._tasks += [
            asyncio.create_task(self._poll_forever(one), name=f"ssf poll {one.stream.name}")
            for one in self._streams
            if one.stream.delivery == "poll"
        ]

    async def close(self) -> None:
        """Everything ends, and other workers may take over at once."""
        await end(*self._tasks)
        for name in self._names():
            with suppress(DirectoryError):
                await self._write(lambda connection, name=name: register.release(connection, name, self._holder))  # type: ignore[misc]

    def status(self) -> str:
        """One line for an operator. Never a reason not to be ready: decisions are as right as the registers are."""
        if self._seen is None:
            return "the streams have not been looked at yet"
        receptions, waiting = self._seen
        unwell = [
            f"{one.stream.name} {said}"
            for one in self._streams
            if (said := troubles(receptions.get(one.stream.name), one.stream.silent_after_s, self._clock()))
        ]
        unwell += [f"{waiting} events wait"] if waiting else []
        return "; ".join(unwell) or f"{len(self._streams)} ok"

    def _names(self) -> list[str]:
        return [one.stream.name for one in self._streams]

    async def _look_forever(self) -> None:
        """Soon after what another worker has left, and how every stream is."""
        failing = False
        while True:
            self._desk.wake()
            for one in self._streams:
                one.keys.refresh()
            try:
                self._seen = await asyncio.to_thread(self._read)
                self._show()
                failing = False
            except SekishoError as fault:
                if not failing:
                    _log.warning("the streams cannot be looked at", code=fault.code, reason=fault.message)
                failing = True
            except Exception:  # noqa: BLE001  # whoever stops looking would leave events where they are
                if not failing:
                    _log.exception("the streams cannot be looked at, unexpectedly")
                failing = True
            await asyncio.sleep(LOOK_S)

    def _read(self) -> tuple[dict[str, Reception], int]:
        with self._store.read() as connection:
            return {one.stream: one for one in register.read_all(connection)}, inbox.waiting(connection)

    def _show(self) -> None:
        assert self._seen is not None
        receptions, waiting = self._seen
        now = self._clock()
        for name in self._names():
            if name in receptions:
                self._metrics.show(receptions[name], now)
        self._metrics.show_waiting(waiting)

    async def _verify_forever(self) -> None:
        """Ask where it is time. Apart from the looks: a transmitter that does not answer must hold up none of these."""
        while True:
            for one in self._streams:
                try:
                    if await self._is_to_verify(one.stream):
                        await ask_verification(self._store, one, self._new_state(), self._clock())
                except (FetchError, SekishoError) as fault:
                    reason = fault.message if isinstance(fault, SekishoError) else str(fault)
                    _log.warning("a verification could not be asked for", stream=one.stream.name, reason=reason)
                except Exception:  # noqa: BLE001  # whoever stops asking would take silence for peace
                    _log.exception("a verification could not be asked for", stream=one.stream.name)
            await asyncio.sleep(LOOK_S)

    async def _is_to_verify(self, stream: SignalStream) -> bool:
        """Whether it is time, and this worker has the stream's lease: who polls a stream asks for it too."""
        held = None if self._seen is None else self._seen[0].get(stream.name)
        if not stream.verify_every_s or held is None:
            return False
        last = max((at for at in (held.asked_at, held.verified_at) if at is not None), default=None)
        due = last is None or self._clock() - last >= timedelta(seconds=stream.verify_every_s)
        return due and await self._claimed(stream.name)

    async def _poll_forever(self, incoming: Incoming) -> None:
        poller: Poller | None = None
        name, loop = incoming.stream.name, asyncio.get_running_loop()
        next_at = 0.0
        while True:
            pause_s = LOOK_S
            try:
                if not await self._claimed(name):
                    poller = None  # whoever polls now says what is to be said
                elif (wait_s := max(await self._due_in(name), next_at - loop.time())) > 0:
                    pause_s = min(wait_s, LOOK_S)  # and the lease is kept meanwhile
                else:
                    poller = poller or Poller(incoming, self._desk)
                    next_at = await self._polled(incoming, poller) + loop.time()
                    pause_s = 0.0
            except SekishoError as fault:
                _log.warning("a stream waits to be polled", stream=name, code=fault.code, reason=fault.message)
            except Exception:  # noqa: BLE001  # whoever stops polling would never hear of it
                _log.exception("a stream could not be polled", stream=name)
            await asyncio.sleep(pause_s)

    async def _polled(self, incoming: Incoming, poller: Poller) -> float:
        """One poll, with the lease renewed while it waits; how long until the next."""
        stream, begun = incoming.stream, asyncio.get_running_loop().time()
        renewing = asyncio.create_task(self._renew(stream.name), name=f"ssf lease {stream.name}")
        try:
            polled = await poller.poll()
        except PollFaultError as fault:
            await self._failed(stream.name, fault)
            return FIRST_BACK_S
        finally:
            await end(renewing)
        await self._write(lambda connection: register.note_polled(connection, stream.name, self._clock()))
        if polled.kept_back:
            return stream.poll_pause_s
        if polled.fresh:
            return 0.0
        # The attack: answers at once, without end, that bring nothing, or the same again and again.
        waited = asyncio.get_running_loop().time() - begun
        return max(0.0, stream.poll_pause_s - waited)

    async def _failed(self, name: str, fault: PollFaultError) -> None:
        """Later each time, and not all houses at once; the store keeps it, so that a restart is no way around."""
        _log.warning("a poll failed", stream=name, reason=fault.fault)
        now = self._clock()

        def note(connection: Connection) -> None:
            held = register.read(connection, name)
            back_s = min(LONGEST_BACK_S, FIRST_BACK_S * 2 ** min(held.failures if held else 0, 10))
            back_s = min(LONGEST_BACK_S, max(back_s * (0.5 + self._chance() / 2), fault.retry_after_s or 0.0))
            register.note_fault(connection, name, fault.fault, now + timedelta(seconds=back_s))

        await self._write(note)

    async def _due_in(self, name: str) -> float:
        def look() -> Reception | None:
            with self._store.read() as connection:
                return register.read(connection, name)

        held = await asyncio.to_thread(look)
        if held is None or held.poll_after is None:
            return 0.0
        return min((held.poll_after - self._clock()).total_seconds(), LONGEST_BACK_S)

    async def _renew(self, name: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(DirectoryError):
                await self._claimed(name)

    async def _claimed(self, name: str) -> bool:
        """Whether this worker has the lease. Written only where it is to be had, or runs out."""
        now = self._clock()

        def look() -> Reception | None:
            with self._store.read() as connection:
                return register.read(connection, name)

        held = await asyncio.to_thread(look)
        if held is not None and held.lease_holder is not None and held.lease_until is not None:
            ours, left = held.lease_holder == self._holder, held.lease_until - now
            if left > (register.LEASE / 2 if ours else timedelta()):
                return ours
        return await self._write(lambda connection: register.claim(connection, name, self._holder, now))

    async def _write(self, work: Callable[[Connection], _T]) -> _T:
        def write() -> _T:
            with self._store.write() as connection:
                return work(connection)

        return await asyncio.to_thread(write)


def troubles(
    reception: Reception | None,
    silent_after_s: int,
    now: datetime,
    pick: Callable[[str, str], str] = lambda _, english: english,
) -> str:
    """What an operator should know of one stream; "" where it is well. `pick`: of Japanese and English words."""
    if reception is None:
        return pick("一度も確認されていない", "has never been looked at")
    if reception.failures:
        return pick(f"ポーリングできない（{reception.fault}）", f"cannot be polled ({reception.fault})")
    if reception.status != "enabled":
        said = {"paused": "一時停止している", "disabled": "無効にしている"}.get(reception.status, reception.status)
        return pick(f"送信元が{said}", f"is {reception.status} by its transmitter")
    silent = reception.silent_for(now)
    if silent_after_s and silent >= timedelta(seconds=silent_after_s):
        silent_s = int(silent.total_seconds())
        return pick(f"{silent_s} 秒間何も届いていない", f"has been silent for {silent_s} s")
    if reception.asked_state is not None and reception.asked_at is not None and now - reception.asked_at >= SHOWN_LATE:
        asked = reception.asked_at.isoformat(timespec="seconds")
        return pick(f"{asked} に求めた検証に応答がない", f"has not answered the verification of {asked}")
    return ""


async def ask_verification(store: Store, incoming: Incoming, state: str, now: datetime) -> None:
    """Ask a transmitter to show that it is there. Raises FetchError, NotReadyError, DirectoryError.

    The state is kept before it is asked for: the event may come before the answer does.
    """

    def note() -> None:
        with store.write() as connection:
            register.ask_state(connection, incoming.stream.name, state, now)

    await asyncio.to_thread(note)
    await incoming.transmitter.ask_verification(state)
