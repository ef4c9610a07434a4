"""The composition root: only here and in `pdp.parts` are adapters constructed. `pdp.server` runs what is composed."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.activation import Activation
from pdp.api.app import serve_app
from pdp.api.surface import Surface
from pdp.cache_metrics import CacheMetrics
from pdp.callers.caller import UnsafeAnyone
from pdp.callers.keys import StoredCallers
from pdp.decide import Checkpoint, House
from pdp.declog.segments import SegmentLog, first_free
from pdp.directory.source import DirectorySource
from pdp.health import Health
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.identity.proof import NoIssuer
from pdp.logs import get_log
from pdp.metrics import Metrics
from pdp.model.directory import snapshot_of
from pdp.parts import (
    configured_bundle,
    level_table,
    new_id,
    open_cache,
    open_directory,
    open_engine,
    open_news,
    shared_key,
    utc_now,
)
from pdp.refresh import keep_fresh
from pdp.signals.listener import listening
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.candidates import Candidates, DirectoryCandidates, bundle_candidates
from pdp.wire.ext_authz_http import ExtAuthzHttp, ExtAuthzSettings
from pdp.wire.page_token import PageTokens
from pdp.wire.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pdp.api.lane import Lane
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.declog.port import DecisionLog
    from pdp.engine.port import Engine
    from pdp.settings import Settings
    from pdp.signals.listener import Look
    from pdp.signals.port import Kind
    from pdp.store.store import Store

_log = get_log("pdp.main")
UNSURE: Final = timedelta(seconds=10)  # the longest that an answer holds while news of changes cannot be heard
ENVOY_PREFIX: Final = "/envoy"


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

    Raises BundleError, DirectoryError, SettingsError or EngineError where it cannot be ready.
    """
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        stack.callback(metrics.flush)  # what the last second counted
        store = open_directory(settings)
        stack.callback(store.close)
        max_age = timedelta(seconds=settings.directory_max_age_s)
        directory = DirectorySource(store, utc_now, max_age=max_age)
        await directory.refresh()
        engine = open_engine(settings, children=settings.engine_children)
        stack.push_async_callback(engine.close)
        activation = Activation(engine)
        bundle = configured_bundle(settings)
        await activation.activate(bundle)
        metrics.policy_is(bundle.revision, bundle.digest)
        _log.info("policy activated", revision=bundle.revision, digest=bundle.digest, profile=bundle.profile)
        log = first_free(
            lambda worker: SegmentLog(
                settings.state_path / "decisions",
                worker,
                clock=utc_now,
                node=settings.node,
                durability=settings.durability,
                back_pressure=settings.log_full,
            )
        )
        stack.push_async_callback(log.close)
        callers = await _callers(settings, store)
        cache = await stack.enter_async_context(open_cache(settings))
        news = open_news(settings)
        checkpoint = Checkpoint(
            House(
                clock=utc_now,
                stopwatch=time.perf_counter_ns,
                new_id=new_id,
                policies=activation,
                directory=directory,
                levels=level_table(settings),
                tokens=NoIssuer(),
                engine=engine,
                log=log,
                observer=metrics,
                cache=cache,
                longest=lambda: UNSURE if news.state == "lost" else None,
            )
        )
        health = Health(settings, directory=directory, activation=activation, log=log, cache=cache, news=news)
        cache_metrics = CacheMetrics(metrics.registry)
        looks: dict[Kind, Look] = {"directory": directory.refresh}
        if isinstance(callers, StoredCallers):
            looks["callers"] = callers.refresh
        nudge = await stack.enter_async_context(listening(news, looks))
        await stack.enter_async_context(
            keep_fresh(
                [*looks.values()],
                every_s=settings.directory_poll_s,
                after=lambda: health.measure(metrics, cache_metrics),
                nudge=nudge,
            )
        )
        surface = _surface(settings, checkpoint, callers, activation, directory, health, metrics)
        yield Service(
            settings, store, directory, activation, engine, log, callers, metrics, checkpoint, serve_app(surface)
        )


async def _callers(settings: Settings, store: Store) -> Callers:
    if settings.unsafe_no_caller_auth:
        _log.warning("callers are not authenticated: everybody may ask and assert anything")
        return UnsafeAnyone()
    callers = StoredCallers(store, utc_now)
    await callers.refresh()
    return callers


def _surface(  # noqa: PLR0913, PLR0917  # the parts of one worker
    settings: Settings,
    checkpoint: Checkpoint,
    callers: Callers,
    activation: Activation,
    directory: DirectorySource,
    health: Health,
    metrics: Metrics,
) -> Surface:
    def profile() -> Profile:
        return activation.active().bundle.profile

    candidates = _Found(activation, directory)
    candidates()  # a bundle whose candidates cannot be read is found at the start, not at somebody's search
    searching = Searching(candidates, PageTokens(shared_key(settings.state_path / "page-token.key")), utc_now)
    envoy = ExtAuthzSettings(
        prefix=ENVOY_PREFIX,
        strict_path=settings.envoy_strict_path,
        trusted_hops=settings.envoy_trusted_hops,
        step_up=StepUp(
            acr_values=_acr_values(settings),
            url=settings.envoy_step_up_url,
            return_origins=frozenset(settings.envoy_return_origins),
        ),
    )
    return Surface(
        exact=authzen_routes(checkpoint, callers, profile=profile, public_url=settings.base_url, searching=searching),
        prefixes={f"{ENVOY_PREFIX}/": ExtAuthzHttp(checkpoint, callers, envoy, profile)},
        readiness=health.probes,
        metrics=metrics.render,
    )


class _Found:
    """What a search looks through; listed once for each bundle and epoch."""

    def __init__(self, activation: Activation, directory: DirectorySource) -> None:
        self._activation = activation
        self._directory = directory
        self._for: tuple[str, int] | None = None
        self._candidates: Candidates = DirectoryCandidates(snapshot_of(epoch=0), ())

    def __call__(self) -> Candidates:
        policy, snapshot = self._activation.active(), self._directory.current()
        if self._for != (policy.bundle.digest, snapshot.epoch):
            if policy.reference is None:
                self._candidates = bundle_candidates(policy.bundle)
            else:
                self._candidates = DirectoryCandidates(snapshot, policy.reference.catalogue)
            self._for = (policy.bundle.digest, snapshot.epoch)
        return self._candidates


def _acr_values(settings: Settings) -> dict[int, tuple[str, ...]]:
    """What to ask the identity provider for, per level: the deployment's own names where it has some, else ours."""
    own = {level: tuple(acr for acr, at in settings.acr_levels.items() if at == level) for level in ACR_OF_LEVEL}
    return {level: own[level] or (acr,) for level, acr in ACR_OF_LEVEL.items()}
