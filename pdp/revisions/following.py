"""How a worker follows what is of record: it looks, judges, has it loaded and proven, and only then lets it decide.

A look is two queries by key, a few times a second and whenever news come. Everything else happens only when the epoch
has changed, beside the decisions. What is refused is told (log, `/readyz`, metrics, the list of instances) and tried
again later; the revision that decides goes on deciding.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from pdp.ending import end
from pdp.errors import DirectoryError, SekishoError
from pdp.logs import get_log
from pdp.revisions.loading import RETRY, Loader
from pdp.revisions.revision import Instance
from pdp.revisions.trust import RevisionRefusedError, Seen, judge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pdp.activation import Former
    from pdp.bundle.bundle import Bundle
    from pdp.model.directory import Snapshot
    from pdp.revisions.activations import Activations
    from pdp.revisions.instances import Instances
    from pdp.revisions.last_good import LastGood
    from pdp.revisions.lease import Lease
    from pdp.revisions.revision import Active
    from pdp.revisions.statement import TrustedKey
    from pdp.revisions.warning import Served

HEARTBEAT: Final = timedelta(seconds=10)
CONFIRM: Final = timedelta(minutes=1)  # how often a confirmation is written down for a restart: a synced file each time
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)  # no confirmation is known: every lease that has an end is over
_log = get_log("pdp.revisions")


class Activator(Protocol):
    """What makes a bundle decide (`pdp.activation.Activation`)."""

    async def activate(self, bundle: Bundle, former: Former | None = None) -> None:
        """Raises BundleError, EngineError or NotReadyError; then the one before goes on."""
        ...


class Kept(Protocol):
    def load(self, digest: str) -> Bundle:
        """The bundle of this digest, proven (`pdp.bundle_archive`). Raises NotReadyError, RecordDamagedError."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the revision of record does not decide here. `why`: one word; `epoch`: of what was refused."""

    why: str
    message: str
    epoch: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Following:
    """How one worker stands. `epoch` 0: nothing was ever activated, and the configured bundle decides."""

    epoch: int
    number: int | None
    name: str
    digest: str
    confirmed_at: datetime
    fault: Fault | None = None
    warning: Served | None = None


@dataclass(frozen=True)
class Ground:
    """What following stands on. `keys`: who may say what is of record, read anew for each revision.

    `changed` is called with each bundle that has begun to decide, `failed` with the word of each refusal.
    """

    activations: Activations
    instances: Instances
    activator: Activator
    archive: Kept
    last_good: LastGood
    keys: Callable[[], Sequence[TrustedKey]]
    clock: Callable[[], datetime]
    lease: Lease
    instance: str
    profile: str = ""
    poll_s: float = 0.25
    warn_max: timedelta = timedelta(0)
    changed: Callable[[Bundle], None] = lambda _: None
    failed: Callable[[str], None] = lambda _: None


class PolicyFollower:
    """One worker's follower. To be used on the event loop."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._seen = Seen()
        self._now = Following(0, None, "", "", ground.clock())
        self._nudged = asyncio.Event()
        self._retry_at: datetime | None = None
        self._told_at: datetime | None = None
        self._written_at: datetime | None = None
        self._loader = Loader(ground)

    @property
    def status(self) -> Following:
        return self._now

    def is_over(self) -> bool:
        """Whether the lease is over, whatever that leads to."""
        return self._now.epoch > 0 and self._ground.lease.is_over(self._now.confirmed_at, self._ground.clock())

    def denies(self, snapshot: Snapshot | None, now: datetime) -> bool:
        """Whether nothing may be permitted, because nobody has confirmed this policy for too long."""
        return self._now.epoch > 0 and self._ground.lease.denies(self._now.confirmed_at, now, snapshot)

    async def nudge(self) -> None:
        """News have come: look at once, beside whoever says so."""
        self._nudged.set()

    async def start(self, configured: Callable[[], Bundle]) -> None:
        """Have a policy decide: what is of record, or the last good one here; where none ever was, the configured one.

        Raises what refuses it where none of these can be taken. The configured bundle never stands in
        for a revision: it would be a policy that nobody has approved for here.
        """
        ground = self._ground
        last = await asyncio.to_thread(ground.last_good.read)
        if last is not None:
            self._seen = Seen(last.epoch, last.digest)
        try:
            found = await asyncio.to_thread(ground.activations.current_text, 0)
            if found is not None:
                await self._take(*found)
                return
            if last is not None:
                raise RevisionRefusedError(
                    "replayed", f"the database knows of no activation, and epoch {last.epoch} was active here"
                )
        except SekishoError as fault:
            if last is None:
                raise
            await self._start_from(last, fault)
            return
        bundle = configured()
        await ground.activator.activate(bundle)
        self._serves(bundle, None)

    async def _start_from(self, last: Active, fault: SekishoError) -> None:
        ground = self._ground
        _log.error("the revision of record cannot be taken; the last good one decides", reason=fault.message)
        bundle = await asyncio.to_thread(ground.archive.load, last.digest)
        text = bundle.canonical
        judge(last, text, self._seen, ground.keys(), ground.profile)  # its signature too: the disk is no authority
        warning = await self._loader.load(bundle, last, self._now)
        # A start confirms nothing: a worker whose lease is over would otherwise permit again because it was restarted.
        known = await asyncio.to_thread(ground.last_good.confirmed_at, last.epoch)
        self._serves(bundle, last, NEVER if known is None else min(known, ground.clock()), warning)
        self._refused(fault, 0)  # whatever its epoch: the next look tries it again

    async def refresh(self) -> None:
        """One look. Raises DirectoryError where the database cannot be read; nothing else that is foreseen."""
        ground = self._ground
        now = ground.clock()
        try:
            epoch, due = await asyncio.to_thread(ground.activations.look, now)
        except RevisionRefusedError as fault:  # the counter was put back: that confirms nothing
            self._refused(fault, 0)
            await self._tell(now)
            return
        for number in due:
            fired = await asyncio.to_thread(ground.activations.fire, number, now)
            if fired is not None:
                _log.info("a scheduled revision is of record", number=number, epoch=fired.epoch)
                epoch = fired.epoch
        if epoch == self._now.epoch:
            if self._loader.again_at is not None and now >= self._loader.again_at:
                await self._try_former()
            self._confirmed(now)
            await self._write_down(now)
        elif epoch < self._now.epoch:
            behind = (
                f"epoch {epoch} is of record, and epoch {self._now.epoch} decides here: an old copy of the database"
            )
            self._refused(RevisionRefusedError("replayed", behind), epoch)
        elif self._is_worth_a_try(epoch, now):
            await self._try(epoch)
        await self._tell(now)

    async def _try_former(self) -> None:
        """Once more what could not be had when the revision became active: the policy whose permissions go on."""
        found = await asyncio.to_thread(self._ground.activations.current_text, 0)
        if found is not None and found[0].epoch == self._now.epoch:
            await self._take(*found)

    def _is_worth_a_try(self, epoch: int, now: datetime) -> bool:
        """At once for another epoch than the one that was refused: it may be the roll-back."""
        fault = self._now.fault
        return fault is None or fault.epoch != epoch or self._retry_at is None or now >= self._retry_at

    async def _try(self, epoch: int) -> None:
        try:
            found = await asyncio.to_thread(self._ground.activations.current_text, self._now.epoch)
            if found is not None:
                await self._take(*found)
        except DirectoryError:
            raise
        except SekishoError as fault:
            self._refused(fault, epoch)

    async def _take(self, active: Active, text: bytes) -> None:
        """Raises RevisionRefusedError, BundleError, EngineError or NotReadyError; then nothing has changed."""
        ground = self._ground
        seen, profile = self._seen, ground.profile
        bundle = await asyncio.to_thread(lambda: judge(active, text, seen, ground.keys(), profile))
        warning = await self._loader.load(bundle, active, self._now)
        self._seen = Seen(active.epoch, active.digest)
        self._serves(bundle, active, warning=warning)
        try:
            await asyncio.to_thread(ground.last_good.keep, active)
        except SekishoError as fault:
            _log.error("the revision decides, and is not kept for a start without the database", reason=fault.message)
        self._written_at = None
        await self._write_down(self._now.confirmed_at)

    async def _write_down(self, now: datetime) -> None:
        """Keep the confirmation for a restart, once in a while."""
        if not self._now.epoch or (self._written_at is not None and now - self._written_at < CONFIRM):
            return
        self._written_at = now
        try:
            await asyncio.to_thread(self._ground.last_good.confirm, self._now.epoch, now)
        except SekishoError as fault:
            _log.error("the lease is not kept for a restart without the database", reason=fault.message)

    def _serves(
        self,
        bundle: Bundle,
        active: Active | None,
        confirmed_at: datetime | None = None,
        warning: Served | None = None,
    ) -> None:
        ground = self._ground
        epoch, number = (0, None) if active is None else (active.epoch, active.number)
        confirmed = confirmed_at or ground.clock()
        self._now = Following(epoch, number, bundle.revision, bundle.digest, confirmed, warning=warning)
        self._retry_at = self._told_at = None
        ground.changed(bundle)
        _log.info("policy activated", revision=bundle.revision, digest=bundle.digest, number=number, epoch=epoch)

    def _confirmed(self, now: datetime) -> None:
        if self._now.fault is not None:
            _log.info("the policy that decides is the one of record again", epoch=self._now.epoch)
            self._told_at = None
        current = self._now
        self._retry_at = None
        self._now = replace(current, confirmed_at=now, fault=None)

    def _refused(self, fault: SekishoError, epoch: int) -> None:
        now, current = self._ground.clock(), self._now
        why = fault.why if isinstance(fault, RevisionRefusedError) else fault.code
        known = current.fault
        self._retry_at = now + RETRY
        if known is not None and (known.why, known.message, known.epoch) == (why, fault.message, epoch):
            return
        self._told_at = None
        self._ground.failed(why)
        _log.error("the revision of record is refused; the former one decides", why=why, reason=fault.message)
        told = Fault(why, fault.message, epoch, now)
        self._now = replace(current, fault=told)

    async def _tell(self, now: datetime) -> None:
        """Say in the database what is served here, so that people see it. Nothing depends on it."""
        current = self._now
        if not current.epoch and current.fault is None:
            return  # nobody has ever activated anything: today's ways
        if self._told_at is not None and now - self._told_at < HEARTBEAT:
            return
        fault = None if current.fault is None else f"{current.fault.why}: {current.fault.message}"[:500]
        said = Instance(
            self._ground.instance,
            current.epoch,
            current.number,
            current.name,
            current.digest,
            now,
            fault,
            self.is_over(),
        )
        self._told_at = now
        await asyncio.to_thread(self._ground.instances.report, said)

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Look again and again while the block runs."""
        task = asyncio.create_task(self._forever(), name="policy")
        try:
            yield
        finally:
            await end(task)
            if self._told_at is not None:
                try:
                    await asyncio.to_thread(self._ground.instances.leave, self._ground.instance)
                except SekishoError as fault:
                    _log.warning("this instance could not be taken off the list", reason=fault.message)

    async def _forever(self) -> None:
        failing = False
        while True:
            try:
                async with asyncio.timeout(self._ground.poll_s):
                    await self._nudged.wait()
            except TimeoutError:
                pass
            self._nudged.clear()
            try:
                await self.refresh()
                failing = False
            except SekishoError as fault:
                if not failing:  # once per outage
                    _log.warning("what is of record cannot be read; the policy stays", reason=fault.message)
                failing = True
            except Exception:  # noqa: BLE001  # a worker that stops looking would decide by an old policy for ever
                if not failing:
                    _log.exception("following failed unexpectedly; the policy stays")
                failing = True
