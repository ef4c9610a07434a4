"""The fronts that bring something: posture, people, other OPAs' logs, logouts."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pdp.api.body import Limits
from pdp.api.surface import Probe
from pdp.errors import DirectoryError
from pdp.fronts.account import account_keys
from pdp.fronts.front import Front
from pdp.logs import get_log
from pdp.parts import new_id, shared_key, utc_now
from pdp.wire.caller_credentials import introducing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pdp.fronts.front import Parts
    from pdp.identity.logout import LoggedOut
    from pdp.model.cloudflare import CloudflareAccount
    from pdp.model.rules import Condition
    from pdp.posture.access import AccessCaller
    from pdp.signals.port import Kind


_log = get_log("pdp.fronts")


@asynccontextmanager
async def posture(parts: Parts) -> AsyncIterator[Front]:
    """The push API and the scores. The reading of a vendor's report is the vendor's island's."""
    from connectors.posture.hip_facts import Reading, read_hip_report
    from pdp.posture.desk import Desk
    from pdp.posture.ledger import Ledger
    from pdp.posture.metrics import PostureMetrics
    from pdp.posture.routes import posture_document, posture_router
    from pdp.posture.scoring import Scorer

    settings, store = parts.settings, parts.store
    reading = Reading(
        utc_offset=timedelta(minutes=settings.hip_utc_offset_minutes),
        definitions_age=timedelta(days=settings.hip_definitions_age_days),
        edr_products=frozenset(settings.hip_edr_products),
        no_missing_patches_means_current=settings.hip_no_missing_patches_means_current,
    )
    introduce = introducing(parts.callers)
    counted = PostureMetrics(parts.metrics.registry)
    ledger = Ledger(store, utc_now, lambda epoch: parts.news.publish("directory", str(epoch)), count=counted.count)
    desk = Desk(
        introduce=introduce,
        ledger=ledger,
        store=store,
        clock=utc_now,
        read_hip=lambda text, source: read_hip_report(text, source, reading),
        facts=settings.posture_push_facts,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(ledger.close)
        access = await stack.enter_async_context(_access_caller(settings.cloudflare))
        scorer = Scorer(
            introduce,
            store,
            parts.directory.current,
            lambda: parts.activation.active().bundle.data,
            utc_now,
            access,
            _exported_sets(settings.cloudflare),
        )
        yield Front(routers=(posture_router(desk, scorer),), documents=(posture_document(),))


def _exported_sets(account: CloudflareAccount | None) -> Callable[[str], Sequence[Condition]] | None:
    """What the sets of devices mean that exported rules ask about, where the settings name files of exports."""
    if account is None or not account.sets_files:
        return None
    from pathlib import Path

    from pdp.posture.sets import ExportedSets

    return ExportedSets([Path(one) for one in account.sets_files]).conditions


@asynccontextmanager
async def _access_caller(account: CloudflareAccount | None) -> AsyncIterator[AccessCaller | None]:
    """Who asks for scores, where Cloudflare Access stands before us. Its keys are fetched in the background."""
    if account is None or not account.posture_client_id:
        yield None
        return
    from pdp.identity.assertions import SignedAssertions
    from pdp.posture.access import AccessCaller

    keys = account_keys(account, (account.posture_audience,))
    keys.refresh()
    try:
        yield AccessCaller(SignedAssertions(keys), account.posture_audience, account.posture_client_id, utc_now)
    finally:
        await keys.close()


async def scim(parts: Parts) -> Front:
    """`/scim/v2`, where the settings name a tenant."""
    settings = parts.settings
    if not settings.scim:
        return Front()
    from pdp.scim import limits
    from pdp.scim.counting import last_writes
    from pdp.scim.desk import PREFIX, Desk, Place
    from pdp.scim.metrics import ScimMetrics
    from pdp.scim.reconcile import reconcile

    for tenant in await asyncio.to_thread(reconcile, parts.store, settings.scim, utc_now()):
        _log.info("the people of a SCIM tenant were read again by its settings", tenant=tenant)

    async def look() -> None:
        try:
            await parts.directory.refresh()  # before the answer: whoever was disabled is denied here from now on
        except DirectoryError as fault:
            _log.warning("a SCIM change is not yet in force in this worker", code=fault.code)

    def tell(epoch: int) -> None:
        parts.news.publish("directory", str(epoch))

    secret = shared_key(settings.state_path / "scim-cursor.key")
    store, callers, url = parts.store, parts.callers, settings.base_url
    metrics = ScimMetrics(parts.metrics.registry)
    metrics.begin(await asyncio.to_thread(last_writes, store, settings.scim))
    stopwatch, count = time.monotonic, metrics.count
    place = Place(store, callers, settings.scim, url, secret, utc_now, stopwatch, new_id, tell, look, count)
    desk = Desk(place)
    below = f"{PREFIX}/"
    bounds = Limits(body_bytes=limits.READ_BYTES, body_s=limits.BODY_S)
    return Front(exact={PREFIX: desk}, prefixes={below: desk}, prefix_limits={below: bounds})


@asynccontextmanager
async def opa_sink(parts: Parts) -> AsyncIterator[Front]:
    """What other OPAs report. On a partition's path a chunk may be larger than a decision's body."""
    from pdp.opa_sink.desk import LOGS, MAX_BODY, Desk, opa_sink_routes
    from pdp.opa_sink.memory import Memory
    from pdp.opa_sink.metrics import SinkMetrics

    memory = Memory(parts.settings.state_path / "other-opas.db")
    counted = SinkMetrics(parts.metrics.registry)
    desk = Desk(introducing(parts.callers), parts.log, memory, utc_now, new_id, counted.count, parts.mask)
    exact, prefixes = opa_sink_routes(desk)
    try:
        yield Front(exact, prefixes, {f"{LOGS}/": Limits(body_bytes=MAX_BODY)})
    finally:
        memory.close()


def logout(parts: Parts) -> Front:
    """Back-channel logout, where an issuer is configured."""
    if not parts.tokens.keys:
        return Front()
    from pdp.identity.logout import LogoutTokens
    from pdp.identity.revocations import revoke
    from pdp.wire.backchannel_logout import PATH, BackchannelLogout

    async def end(ended: LoggedOut) -> None:
        kind, marked, at, issuer = ended
        await asyncio.to_thread(revoke, parts.store, kind, marked, at=at, now=utc_now(), issuer=issuer)
        parts.news.publish("revocations", "logout")
        await parts.revocations.refresh()

    return Front({PATH: BackchannelLogout(LogoutTokens(parts.tokens.keys), end, utc_now)})


@asynccontextmanager
async def signals(parts: Parts) -> AsyncIterator[Front]:
    """Security events of other houses, pushed to us or polled, where the settings name a stream."""
    settings = parts.settings
    if not settings.signal_streams:
        yield Front()
        return
    from pdp.ssf.receiving.opening import PREFIX, Around, open_receiving

    looks = {"directory": parts.directory.refresh, "revocations": parts.revocations.refresh}

    async def look(kinds: frozenset[Kind]) -> None:
        """The others first: they hear it while this worker looks."""
        for kind in kinds:
            parts.news.publish(kind, "signal")
        for kind in kinds & looks.keys():
            try:
                await looks[kind]()
            except DirectoryError as fault:
                _log.warning("a signal is not yet in force in this worker", code=fault.code)

    around = Around(
        clock=utc_now,
        new_id=new_id,
        new_state=lambda: secrets.token_urlsafe(24),
        chance=random.random,
        holder=f"{settings.node}/{os.getpid()}/{secrets.token_hex(4)}"[-64:],
        registry=parts.metrics.registry,
        look=look,
    )
    async with open_receiving(settings, parts.store, around) as receiving:
        parts.health.add(lambda: Probe("signals", ok=True, detail=receiving.keeper.status()))
        yield Front() if receiving.endpoint is None else Front(prefixes={PREFIX: receiving.endpoint})
