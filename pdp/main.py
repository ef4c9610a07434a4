"""The composition root: only here and in `pdp.parts` are adapters constructed. `pdp.server` runs what is composed."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.activation import Activation
from pdp.api.app import serve_app
from pdp.api.surface import Probe, Surface
from pdp.callers.caller import UnsafeAnyone
from pdp.callers.keys import StoredCallers
from pdp.decide import Checkpoint, House
from pdp.declog.segments import SegmentLog, first_free
from pdp.directory.source import DirectorySource
from pdp.errors import SettingsError
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.identity.proof import NoIssuer
from pdp.logs import get_log
from pdp.metrics import Metrics
from pdp.model.directory import snapshot_of
from pdp.parts import configured_bundle, level_table, new_id, open_cache, open_directory, open_engine, utc_now
from pdp.refresh import keep_fresh
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.candidates import Candidates, DirectoryCandidates, bundle_candidates
from pdp.wire.ext_authz_http import ExtAuthzHttp, ExtAuthzSettings
from pdp.wire.page_token import PageTokens
from pdp.wire.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from pdp.api.lane import Lane
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.declog.port import DecisionLog
    from pdp.engine.port import Engine
    from pdp.settings import Settings
    from pdp.store.store import Store

_log = get_log("pdp.main")
_KEY_BYTES: Final = 32
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
        store = open_directory(settings)
        stack.callback(store.close)
        max_age = timedelta(seconds=settings.directory_max_age_s)
        directory = DirectorySource(store, utc_now, max_age=max_age)
        await directory.refresh()
        engine = open_engine(settings)
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
        cache = open_cache(settings)
        if cache is not None:
            stack.push_async_callback(cache.close)
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
            )
        )
        probes = Probes(settings, directory, activation, log)
        fresh = [directory.refresh, *([callers.refresh] if isinstance(callers, StoredCallers) else [])]
        await stack.enter_async_context(
            keep_fresh(
                fresh, every_s=settings.directory_poll_s, after=lambda: _measure(metrics, probes, directory, log)
            )
        )
        surface = _surface(settings, checkpoint, callers, activation, directory, probes, metrics)
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


class Probes:
    """What `/readyz` asks, from memory."""

    def __init__(
        self, settings: Settings, directory: DirectorySource, activation: Activation, log: DecisionLog
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._activation = activation
        self._log = log

    def __call__(self) -> Sequence[Probe]:
        return (self._policy(), self._register(), self._record())

    def _policy(self) -> Probe:
        if not self._activation.is_active():
            return Probe("policy", ok=False, detail="no policy is active")
        return Probe("policy", ok=True, detail=self._activation.active().bundle.revision)

    def _register(self) -> Probe:
        age = self._directory.age()
        if age is None:
            return Probe("directory", ok=False, detail="no directory has been read yet")
        judged = self._activation.is_active() and self._activation.active().reference is not None
        if judged and not self._directory.current().users:
            return Probe("directory", ok=False, detail="the directory is empty: `pdp directory import` fills it")
        fresh = age <= timedelta(seconds=self._settings.directory_max_age_s)
        return Probe("directory", fresh or not judged, f"last seen to be current {int(age.total_seconds())} s ago")

    def _record(self) -> Probe:
        writable = self._log.writable()
        return Probe("decision_log", writable, "" if writable else "the decision log takes no records")


def _measure(metrics: Metrics, probes: Probes, directory: DirectorySource, log: DecisionLog) -> None:
    age = directory.age()
    metrics.directory_age.set(-1 if age is None else age.total_seconds())
    metrics.directory_epoch.set(directory.current().epoch if age is not None else 0)
    metrics.log_writable.set(log.writable())
    metrics.unrecorded.set(log.unrecorded)
    metrics.ready.set(all(probe.ok for probe in probes()))


def _surface(  # noqa: PLR0913, PLR0917  # the parts of one worker
    settings: Settings,
    checkpoint: Checkpoint,
    callers: Callers,
    activation: Activation,
    directory: DirectorySource,
    probes: Probes,
    metrics: Metrics,
) -> Surface:
    def profile() -> Profile:
        return activation.active().bundle.profile

    candidates = _Found(activation, directory)
    candidates()  # a bundle whose candidates cannot be read is found at the start, not at somebody's search
    searching = Searching(candidates, PageTokens(_shared_key(settings.state_path / "page-token.key")), utc_now)
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
        readiness=probes,
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


def _shared_key(path: Path) -> bytes:
    """A secret that the workers of this host share; made at the first start, readable by us alone.

    Written aside and then linked: whoever finds the name finds the whole key.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")  # containers that share a folder share pids too
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(_KEY_BYTES))
    with contextlib.suppress(FileExistsError):
        os.link(aside, path)
    aside.unlink()
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"`{path.name}` is damaged", next_step="remove the file; running searches start again")
    return key
