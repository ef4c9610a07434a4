"""The composition root: only here, in `pdp.parts` and `pdp.fronts` are adapters made. `pdp.server` runs it."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.activation import Activation
from pdp.api.app import serve_app
from pdp.aside import Aside
from pdp.bundle.bundle import read_bundle
from pdp.callers.caller import UnsafeAnyone
from pdp.callers.crl_metrics import CrlMetrics
from pdp.callers.stored import StoredCallers
from pdp.decide import Checkpoint
from pdp.declog.segments import SegmentLog, first_free
from pdp.directory.source import DirectorySource
from pdp.ending import end
from pdp.fronts import Parts, open_surface
from pdp.health import Health
from pdp.house import NO_TABLE, House
from pdp.identity.revocations import StoredRevocations
from pdp.logs import get_log
from pdp.measuring import Measuring
from pdp.metrics import Metrics
from pdp.notary_process import NotaryProcess
from pdp.parts import (
    bundle_archive,
    configured_bundle,
    level_table,
    new_id,
    open_cache,
    open_callers,
    open_directory,
    open_engine,
    open_masking,
    open_news,
    open_table,
    open_tokens,
    utc_now,
)
from pdp.privacy.metrics import MaskingMetrics
from pdp.refresh import keep_fresh
from pdp.revisions.metrics import RevisionMetrics
from pdp.revisions.opening import open_follower
from pdp.signals.listener import listening
from pdp.simulate.shadow import Shadow, shadow_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pdp.api.lane import Lane
    from pdp.callers.caller import Callers
    from pdp.declog.port import DecisionLog
    from pdp.engine.port import Engine
    from pdp.house import Observer
    from pdp.parts import Tokens
    from pdp.settings import Settings
    from pdp.signals.listener import Look
    from pdp.signals.port import Kind
    from pdp.store.store import Store

_log = get_log("pdp.main")
UNSURE: Final = timedelta(seconds=10)  # the longest that an answer holds while news of changes cannot be heard


@dataclass(frozen=True)
class Service:
    """One running worker. `app` is its whole HTTP surface."""

    settings: Settings
    store: Store
    directory: DirectorySource
    activation: Activation
    engine: Engine
    log: DecisionLog
    callers: Callers
    metrics: Metrics
    checkpoint: Checkpoint
    app: Lane


@asynccontextmanager
async def compose(settings: Settings) -> AsyncIterator[Service]:
    """A whole worker, ready to decide, and taken down in reverse order at the end.

    Raises BundleError, DirectoryError, SettingsError, EngineError or NotReadyError where it cannot be ready.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        stack.callback(metrics.flush)  # what the last second counted
        store = open_directory(settings)
        stack.callback(store.close)
        max_age = timedelta(seconds=settings.directory_max_age_s)
        directory = DirectorySource(store, utc_now, max_age=max_age)
        reading = asyncio.create_task(directory.refresh())  # while the engine's processes prove the policy
        stack.push_async_callback(end, reading)
        engine = open_engine(settings, children=settings.engine_children)
        stack.push_async_callback(engine.close)
        archive = bundle_archive(settings)
        revision_metrics = RevisionMetrics(metrics.registry)
        activation = Activation(engine, archive, beside=lambda: open_engine(settings), counted=revision_metrics)
        stack.push_async_callback(activation.close)
        follower = open_follower(
            settings,
            store,
            activator=activation,
            archive=archive,
            clock=utc_now,
            instance=f"{settings.node}/{os.getpid()}",
            metrics=revision_metrics,
            changed=lambda bundle: metrics.policy_is(bundle.revision, bundle.digest),
        )
        await follower.start(lambda: configured_bundle(settings))
        await reading
        keeper = await stack.enter_async_context(_keeping(settings))
        log = _open_log(settings)
        stack.push_async_callback(log.close)
        issuers = [issuer.issuer for issuer in settings.issuers]
        revocations = StoredRevocations(store, utc_now, max_age=max_age, issuers=issuers)
        await revocations.refresh()
        tokens = await stack.enter_async_context(open_tokens(settings, revocations))
        callers = await _callers(settings, store, metrics, tokens)
        cache = await stack.enter_async_context(open_cache(settings))
        table = open_table(
            settings,
            engine,
            lambda: activation.active().bundle,
            differed=lambda: checkpoint.forget(),  # noqa: PLW0108  # which is made below
        )
        news = open_news(settings)
        mask = open_masking(settings, MaskingMetrics(metrics.registry).failed)
        observer = await stack.enter_async_context(_shadowed(settings, metrics))
        checkpoint = Checkpoint(
            House(
                clock=utc_now,
                stopwatch=time.perf_counter_ns,
                new_id=new_id,
                policies=activation,
                directory=directory,
                levels=level_table(settings),
                tokens=tokens.verifier,
                engine=engine,
                log=log,
                observer=observer,
                cache=cache,
                table=NO_TABLE if table is None else table,
                revocations=revocations,
                longest=lambda: UNSURE if news.state == "lost" else None,
                unconfirmed=follower.denies,
                mask=mask,
            )
        )
        health = Health(
            settings,
            directory=directory,
            activation=activation,
            log=log,
            cache=cache,
            news=news,
            proof=None if keeper is None else keeper.look,
            callers_age=callers.age if isinstance(callers, StoredCallers) else None,
            follower=follower,
            table=None if table is None else table.status,
        )
        looks: dict[Kind, Look] = {"directory": directory.refresh, "revocations": revocations.refresh}
        if isinstance(callers, StoredCallers):
            looks["callers"] = callers.refresh
        nudge = await stack.enter_async_context(listening(news, {**looks, "policy": follower.nudge}))
        await stack.enter_async_context(follower.following())
        measuring = Measuring(
            settings,
            clock=utc_now,
            health=health,
            metrics=metrics,
            aside=Aside("measuring"),
            policy=lambda: revision_metrics.show(follower, utc_now()),
            proof=None if keeper is None else keeper.look,
            table=None if table is None else table.status,
            shadow=observer.told if isinstance(observer, Shadow) else None,
        )
        stack.push_async_callback(measuring.close)
        await stack.enter_async_context(
            keep_fresh(
                [
                    *looks.values(),
                    lambda: activation.forget_former(utc_now()),
                    *([tokens.refresh] if tokens.refresh else []),
                ],
                every_s=settings.directory_poll_s,
                after=measuring.show,
                nudge=nudge,
            )
        )
        if table is not None:
            await stack.enter_async_context(table.following())
        surface = await stack.enter_async_context(
            open_surface(
                Parts(
                    settings=settings,
                    store=store,
                    checkpoint=checkpoint,
                    callers=callers,
                    activation=activation,
                    directory=directory,
                    revocations=revocations,
                    tokens=tokens,
                    health=health,
                    metrics=metrics,
                    news=news,
                    log=log,
                    mask=mask,
                )
            )
        )
        yield Service(
            settings, store, directory, activation, engine, log, callers, metrics, checkpoint, serve_app(surface)
        )


@asynccontextmanager
async def _shadowed(settings: Settings, metrics: Metrics) -> AsyncIterator[Observer]:
    """Who hears of decisions: the metrics, and the draft that is in the shadow, where there is one."""
    if not settings.shadow_bundle:
        yield metrics
        return
    draft = await asyncio.to_thread(read_bundle, Path(settings.shadow_bundle))
    async with shadow_of(
        metrics, open_engine(settings), draft, metrics.registry, per_s=settings.shadow_per_s
    ) as observer:
        yield observer


@asynccontextmanager
async def _keeping(settings: Settings) -> AsyncIterator[NotaryProcess | None]:
    """Signs for the decision log beside the decisions; it ends after the log, whose last segment it signs for."""
    if settings.log_proof != "on":
        yield None
        return
    keeper = NotaryProcess(settings, on_fault=lambda fault: _log.error("log proof at fault", fault=fault))
    keeper.start()
    try:
        yield keeper
    finally:
        await asyncio.to_thread(keeper.stop)


def _open_log(settings: Settings) -> SegmentLog:
    return first_free(
        lambda worker: SegmentLog(
            settings.state_path / "decisions",
            worker,
            clock=utc_now,
            node=settings.node,
            durability=settings.durability,
            back_pressure=settings.log_full,
            spill_directory=Path(settings.log_spill_dir) if settings.log_spill_dir else None,
        )
    )


async def _callers(settings: Settings, store: Store, metrics: Metrics, tokens: Tokens) -> Callers:
    if settings.unsafe_no_caller_auth:
        _log.warning("callers are not authenticated: everybody may ask and assert anything")
        return UnsafeAnyone()
    list_ends = CrlMetrics(metrics.registry).told if settings.tls_client_crl else lambda _authority, _ends: None
    return await open_callers(settings, store, metrics, tokens, list_ends)
