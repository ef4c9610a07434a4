"""Every front of one worker: the wire formats that enforcement points, sources and identity providers speak.

Part of the composition root: `pdp.main` composes what decides, and this what asks. Each function makes one front out
of the same `Parts`, and what a deployment has not configured does not exist at its path.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.api.body import Limits
from pdp.api.surface import Surface
from pdp.errors import DirectoryError, SekishoError, SettingsError
from pdp.identity.levels import ACR_OF_LEVEL
from pdp.logs import get_log
from pdp.model.directory import snapshot_of
from pdp.parts import bundle_archive, new_id, open_engine, shared_key, signing_keys_file, utc_now
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.caller_credentials import introducing
from pdp.wire.candidates import Candidates, DirectoryCandidates, bundle_candidates
from pdp.wire.ext_authz_http import PREFIX as ENVOY_PREFIX
from pdp.wire.ext_authz_http import ExtAuthzHttp
from pdp.wire.forward_auth import PREFIX as FORWARD_PREFIX
from pdp.wire.forward_auth import ForwardAuth
from pdp.wire.gateway_check import CheckSettings
from pdp.wire.opa_data import opa_routes
from pdp.wire.page_token import PageTokens
from pdp.wire.step_up import StepUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from fastapi import APIRouter

    from pdp.activation import Activation
    from pdp.audit.opening import Audit
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.console.sessions import Session
    from pdp.decide import Checkpoint
    from pdp.declog.port import DecisionLog
    from pdp.declog.record import Record
    from pdp.directory.source import DirectorySource
    from pdp.governance.jobs_desk import Choices
    from pdp.health import Health
    from pdp.identity.logout import LoggedOut
    from pdp.identity.provider import IssuerKeys
    from pdp.identity.revocations import StoredRevocations
    from pdp.metrics import Metrics
    from pdp.model.cloudflare import CloudflareAccount
    from pdp.model.rules import Condition
    from pdp.parts import Tokens
    from pdp.posture.access import AccessCaller
    from pdp.settings import Settings
    from pdp.signals.port import News
    from pdp.store.store import Store
    from pdp.wire.exchange import Handler

_log = get_log("pdp.fronts")
TEST_DEADLINE_MS: Final = 10_000  # a test may judge thousands of documents in one rule


@dataclass(frozen=True)
class Parts:
    """What the fronts of one worker stand on."""

    settings: Settings
    store: Store
    checkpoint: Checkpoint
    callers: Callers
    activation: Activation
    directory: DirectorySource
    revocations: StoredRevocations
    tokens: Tokens
    health: Health
    metrics: Metrics
    news: News
    log: DecisionLog
    mask: Callable[[Record], Record] | None = None

    def profile(self) -> Profile:
        """Of the active policy. Raises NotReadyError."""
        return self.activation.active().bundle.profile


@dataclass(frozen=True)
class Front:
    """What one wire format adds to the surface."""

    exact: Mapping[str, Handler] = field(default_factory=dict)
    prefixes: Mapping[str, Handler] = field(default_factory=dict)
    prefix_limits: Mapping[str, Limits] = field(default_factory=dict)
    routers: Sequence[APIRouter] = ()
    documents: Sequence[Mapping[str, Any]] = ()


@asynccontextmanager
async def open_surface(parts: Parts) -> AsyncIterator[Surface]:
    """Everything that is asked over HTTP, and the gRPC listener beside it. Raises SettingsError."""
    async with AsyncExitStack() as stack:
        audit = await stack.enter_async_context(_opened_audit(parts))
        fronts = [
            _authzen(parts),
            _gateways(parts),
            _opa(parts),
            await stack.enter_async_context(_opa_sink(parts)),
            _audit(parts, audit),
            await stack.enter_async_context(_posture(parts)),
            await _scim(parts),
            await stack.enter_async_context(_cloudflare(parts)),
            _logout(parts),
            await stack.enter_async_context(_governance(parts)),
            _bundles(parts),
            _cut_off(parts),
        ]
        fronts.append(await stack.enter_async_context(_console(parts, audit, fronts)))
        if parts.settings.grpc_port:
            await stack.enter_async_context(_grpc(parts))
        yield _joined(parts, fronts)


def _joined(parts: Parts, fronts: Sequence[Front]) -> Surface:
    surface = Surface(exact={}, readiness=parts.health.probes, metrics=parts.metrics.render)
    for front in fronts:
        surface = replace(
            surface,
            exact={**surface.exact, **front.exact},
            prefixes={**surface.prefixes, **front.prefixes},
            prefix_limits={**surface.prefix_limits, **front.prefix_limits},
            routers=(*surface.routers, *front.routers),
            documents=(*surface.documents, *front.documents),
        )
    return surface


def _authzen(parts: Parts) -> Front:
    settings = parts.settings
    candidates = _Found(parts.activation, parts.directory)
    candidates()  # a bundle whose candidates cannot be read is found at the start, not at somebody's search
    searching = Searching(candidates, PageTokens(shared_key(settings.state_path / "page-token.key")), utc_now)
    return Front(
        authzen_routes(
            parts.checkpoint, parts.callers, profile=parts.profile, public_url=settings.base_url, searching=searching
        )
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


def _gateways(parts: Parts) -> Front:
    """Envoy over HTTP, and the proxies that ask with a sub-request."""
    gates = _check_settings(parts.settings)
    return Front(
        prefixes={
            f"{ENVOY_PREFIX}/": ExtAuthzHttp(parts.checkpoint, parts.callers, gates, parts.profile),
            FORWARD_PREFIX: ForwardAuth(parts.checkpoint, parts.callers, gates, parts.profile),
        }
    )


def _opa(parts: Parts) -> Front:
    exact, prefixes = opa_routes(
        parts.checkpoint,
        introducing(parts.callers),
        lambda: parts.activation.active().bundle,
        parts.health.probes,
    )
    return Front(exact, prefixes)


@asynccontextmanager
async def _opa_sink(parts: Parts) -> AsyncIterator[Front]:
    """What other OPAs report. On a partition's path a chunk may be larger than a decision's body."""
    from pdp.opa_sink.desk import LOGS, MAX_BODY, Desk, opa_sink_routes
    from pdp.opa_sink.memory import Memory
    from pdp.opa_sink.metrics import SinkMetrics

    memory = await asyncio.to_thread(Memory, parts.settings.state_path / "other-opas.db")
    counted = SinkMetrics(parts.metrics.registry)
    desk = Desk(introducing(parts.callers), parts.log, memory, utc_now, new_id, counted.count, parts.mask)
    exact, prefixes = opa_sink_routes(desk)
    try:
        yield Front(exact, prefixes, {f"{LOGS}/": Limits(body_bytes=MAX_BODY)})
    finally:
        memory.close()


@asynccontextmanager
async def _opened_audit(parts: Parts) -> AsyncIterator[Audit]:
    from pdp.audit.metrics import AuditMetrics
    from pdp.audit.opening import open_audit

    introduce, watch = introducing(parts.callers), AuditMetrics(parts.metrics.registry)
    async with open_audit(parts.settings, parts.store, introduce, utc_now, new_id, watch) as audit:
        yield audit


def _audit(parts: Parts, audit: Audit) -> Front:
    """Questions to the decision log, to the registers, and about this service itself."""
    from pdp.audit.document import audit_document
    from pdp.insight.opening import insight
    from pdp.insight.routes import insight_document

    # What is recomputed never reaches the engine that decides; an OPA server of the settings would be that engine.
    own_engine = msgspec.structs.replace(parts.settings, engine="regorus")
    further = insight(
        parts.settings,
        audit=audit,
        directory=parts.directory,
        store=parts.store,
        policy=parts.activation.active,
        load=bundle_archive(parts.settings).load,
        make=lambda: open_engine(own_engine, children=2),
        clock=utc_now,
    )
    return Front(routers=(audit.router, further), documents=(audit_document(), insight_document()))


@asynccontextmanager
async def _console(parts: Parts, audit: Audit, fronts: Sequence[Front]) -> AsyncIterator[Front]:
    """`/console`, where the settings have one. It asks what the other fronts answer."""
    settings = parts.settings
    if settings.console is None:
        yield Front()
        return
    from pdp.console.opening import open_console
    from pdp.identity.proof import Shown

    def is_revoked(session: Session) -> bool:
        subject = session.person.id.removeprefix("user:")
        shown = Shown((subject,), session.provider_session, None, (session.created_at,))
        try:
            parts.revocations.refuse_revoked(shown)
        except SekishoError:
            return True
        return False

    async with open_console(
        settings.console,
        base_url=settings.base_url,
        store=parts.store,
        reception=audit.desk.reception,
        routers=[router for front in fronts for router in front.routers],
        key=lambda: shared_key(settings.state_path / "console.key"),
        is_revoked=is_revoked,
    ) as (pages, api):
        yield Front(routers=(pages, api))


def _bundles(parts: Parts) -> Front:
    """The policy that decides, for other OPAs."""
    from pdp.opa_bundles.desk import BundleDesk
    from pdp.opa_bundles.routes import bundle_router
    from pdp.revisions.opening import sealing_of

    own = sealing_of(parts.settings).own
    desk = BundleDesk(introducing(parts.callers), lambda: parts.activation.active().bundle, own)
    return Front(routers=(bundle_router(desk),))


def _cut_off(parts: Parts) -> Front:
    """What is cut off at once, for gateways that pull lists."""
    from pdp.cut_off.desk import CutOffDesk
    from pdp.cut_off.routes import cut_off_router

    desk = CutOffDesk(introducing(parts.callers), parts.store, parts.directory.current, utc_now)
    return Front(routers=(cut_off_router(desk),))


@asynccontextmanager
async def _governance(parts: Parts) -> AsyncIterator[Front]:
    """Revisions of policies: drafts, approvals, activations."""
    from pdp.gates.opening import open_gates
    from pdp.gates.trying import Trials
    from pdp.governance.document import governance_document
    from pdp.governance.drafts_document import drafts_document
    from pdp.governance.jobs_document import jobs_document
    from pdp.governance.opening import open_governance
    from pdp.parts import configured_bundle, open_engine

    settings = parts.settings
    patient = msgspec.structs.replace(settings, engine_deadline_ms=TEST_DEADLINE_MS)
    async with open_governance(
        settings,
        parts.store,
        introduce=introducing(parts.callers),
        gates=open_gates(
            settings,
            parts.store,
            open_engine=lambda: open_engine(patient),
            configured=lambda: configured_bundle(settings),
            clock=utc_now,
            aside=True,
        ),
        trying=Trials(),
        choices=_choices(settings),
        tell=lambda kind, epoch: parts.news.publish(kind, str(epoch)),
        clock=utc_now,
        new_id=new_id,
    ) as router:
        yield Front(routers=(router,), documents=(governance_document(), drafts_document(), jobs_document()))


def _choices(settings: Settings) -> Choices:
    """What foresight and exports may be asked for."""
    from connectors.sase.registry import MODULES
    from pdp.delivery.standings import standings
    from pdp.directory.personas import STORIES
    from pdp.gates.foresight import CONTEXTS
    from pdp.governance.jobs_desk import Choices

    contexts = [{"id": one.id, "ja": one.ja or one.id, "en": one.en or one.id} for one in CONTEXTS]
    examples = [{"id": number, "ja": one.ja, "en": one.en} for number, one in enumerate(STORIES)]
    return Choices(contexts, examples, ("matrix", *MODULES), lambda: standings(settings.state_path))


@asynccontextmanager
async def _posture(parts: Parts) -> AsyncIterator[Front]:
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

    keys = _account_keys(account, (account.posture_audience,))
    keys.refresh()
    try:
        yield AccessCaller(SignedAssertions(keys), account.posture_audience, account.posture_client_id, utc_now)
    finally:
        await keys.close()


async def _scim(parts: Parts) -> Front:
    """`/scim/v2`, where the settings name a tenant."""
    settings = parts.settings
    if not settings.scim:
        return Front()
    from pdp.scim import limits
    from pdp.scim.desk import PREFIX, Desk, Place
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
    place = Place(store, callers, settings.scim, url, secret, utc_now, time.monotonic, new_id, tell, look)
    desk = Desk(place)
    below = f"{PREFIX}/"
    bounds = Limits(body_bytes=limits.READ_BYTES, body_s=limits.BODY_S)
    return Front(exact={PREFIX: desk}, prefixes={below: desk}, prefix_limits={below: bounds})


@asynccontextmanager
async def _cloudflare(parts: Parts) -> AsyncIterator[Front]:
    """The questions of an account's Access, where the settings name one. Its keys are fetched in the background."""
    account = parts.settings.cloudflare
    if account is None:
        yield Front()
        return
    from pdp.identity.assertions import SignedAssertions
    from pdp.identity.signing import SigningKeys
    from pdp.wire.cloudflare_access import CloudflareAccess, CloudflareKeys, cloudflare_routes

    keys = _account_keys(account, account.audiences or ("any application of this account",))
    ours = await asyncio.to_thread(SigningKeys, signing_keys_file(parts.settings), utc_now, time.monotonic)
    reader = SignedAssertions(keys, any_audience=not account.audiences)
    access = CloudflareAccess(parts.checkpoint, reader, ours, utc_now, account)
    keys.refresh()
    try:
        yield Front(*cloudflare_routes(access, CloudflareKeys(ours, utc_now)))
    finally:
        await keys.close()


def _account_keys(account: CloudflareAccount, audiences: tuple[str, ...]) -> IssuerKeys:
    """The keys of the account's statements for these applications; nobody has asked for them yet."""
    from pdp.identity.fetching import GuardedFetch
    from pdp.identity.provider import IssuerKeys, loader
    from pdp.model.issuer import Issuer

    try:
        issuer = Issuer(
            issuer=account.team_domain,
            audiences=audiences,
            jwks_uri=account.certificates_url,
            algorithms=("RS256",),
            private_hosts=account.private_hosts,
        )
        return IssuerKeys(issuer, loader(issuer, GuardedFetch(issuer)), utc_now)
    except ValueError as fault:
        raise SettingsError(f"`cloudflare`: {fault}") from None


def _logout(parts: Parts) -> Front:
    """Back-channel logout, where an issuer is configured."""
    if not parts.tokens.keys:
        return Front()
    from pdp.identity.logout import LogoutTokens
    from pdp.identity.revocations import revoke
    from pdp.wire.backchannel_logout import PATH, BackchannelLogout

    async def end(ended: LoggedOut) -> None:
        await asyncio.to_thread(revoke, parts.store, ended.kind, ended.id, at=ended.at, now=utc_now())
        parts.news.publish("revocations", "logout")
        await parts.revocations.refresh()

    return Front({PATH: BackchannelLogout(LogoutTokens(parts.tokens.keys), end, utc_now)})


@asynccontextmanager
async def _grpc(parts: Parts) -> AsyncIterator[None]:
    settings = parts.settings
    try:
        from pdp.api.grpc_listener import Authorization, ListenerSettings, authorities_of, listening_grpc
    except ImportError:
        raise SettingsError("`grpc_port` is set, and gRPC is not installed: install `sekisho-pdp[grpc]`") from None
    listener = ListenerSettings(
        host=settings.grpc_host,
        port=settings.grpc_port,
        certificate=settings.grpc_cert_file,
        key=settings.grpc_key_file,
        client_ca=settings.grpc_client_ca_file,
        shared=settings.workers > 1,
    )
    check = Authorization(
        parts.checkpoint,
        parts.callers,
        _check_settings(settings),
        parts.profile,
        authorities=authorities_of(settings.grpc_client_ca_file),
    )
    async with listening_grpc(listener, check, parts.health.probes) as port:
        _log.info("gRPC is answered", host=settings.grpc_host, port=port, tls=bool(settings.grpc_cert_file))
        yield


def _check_settings(settings: Settings) -> CheckSettings:
    return CheckSettings(
        strict_path=settings.envoy_strict_path,
        trusted_hops=settings.envoy_trusted_hops,
        step_up=StepUp(
            acr_values=_acr_values(settings),
            url=settings.envoy_step_up_url,
            return_origins=frozenset(settings.envoy_return_origins),
        ),
    )


def _acr_values(settings: Settings) -> dict[int, tuple[str, ...]]:
    """What to ask the identity provider for, per level: the deployment's own names where it has some, else ours."""
    own = {level: tuple(acr for acr, at in settings.acr_levels.items() if at == level) for level in ACR_OF_LEVEL}
    return {level: own[level] or (acr,) for level, acr in ACR_OF_LEVEL.items()}
