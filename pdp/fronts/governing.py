"""The fronts of people and of those who follow: the audit, policies and their bundles, lists, the console."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from pdp.errors import SekishoError
from pdp.fronts.front import Front
from pdp.parts import bundle_archive, new_id, open_engine, shared_key, utc_now
from pdp.wire.caller_credentials import introducing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from pdp.audit.opening import Audit
    from pdp.console.sessions import Session
    from pdp.fronts.front import Parts
    from pdp.governance.jobs_desk import Choices
    from pdp.settings import Settings


TEST_DEADLINE_MS: Final = 10_000  # a test may judge thousands of documents in one rule


@asynccontextmanager
async def opened_audit(parts: Parts) -> AsyncIterator[Audit]:
    from pdp.audit.metrics import AuditMetrics
    from pdp.audit.opening import open_audit

    introduce, watch = introducing(parts.callers), AuditMetrics(parts.metrics.registry)
    async with open_audit(parts.settings, parts.store, introduce, utc_now, new_id, watch) as audit:
        yield audit


def audit_front(parts: Parts, audit: Audit) -> Front:
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
async def console(parts: Parts, audit: Audit, fronts: Sequence[Front]) -> AsyncIterator[Front]:
    """`/console`, where the settings have one. It asks what the other fronts answer."""
    settings = parts.settings
    if settings.console is None:
        yield Front()
        return
    from pdp.console.opening import open_console
    from pdp.identity.proof import Shown

    provider = settings.console.issuer or None

    def is_revoked(session: Session) -> bool:
        subject = session.person.id.removeprefix("user:")
        issuer = provider if session.method == "oidc" else None
        shown = Shown((subject,), session.provider_session, None, (session.created_at,), issuer)
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


def bundles(parts: Parts) -> Front:
    """The policy that decides, for other OPAs."""
    from pdp.opa_bundles.desk import BundleDesk
    from pdp.opa_bundles.routes import bundle_router
    from pdp.revisions.opening import sealing_of

    own = sealing_of(parts.settings).own
    desk = BundleDesk(introducing(parts.callers), lambda: parts.activation.active().bundle, own)
    return Front(routers=(bundle_router(desk),))


def cut_off(parts: Parts) -> Front:
    """What is cut off at once, for gateways that pull lists."""
    from pdp.cut_off.desk import CutOffDesk
    from pdp.cut_off.routes import cut_off_router

    desk = CutOffDesk(introducing(parts.callers), parts.store, parts.directory, utc_now)
    return Front(routers=(cut_off_router(desk),))


@asynccontextmanager
async def governance(parts: Parts) -> AsyncIterator[Front]:
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
        choices=choices(settings),
        tell=lambda kind, epoch: parts.news.publish(kind, str(epoch)),
        clock=utc_now,
        new_id=new_id,
    ) as router:
        yield Front(routers=(router,), documents=(governance_document(), drafts_document(), jobs_document()))


def choices(settings: Settings) -> Choices:
    """What foresight and exports may be asked for."""
    from connectors.sase.registry import MODULES
    from pdp.delivery.standings import standings
    from pdp.directory.personas import STORIES
    from pdp.gates.foresight import CONTEXTS
    from pdp.governance.jobs_desk import Choices

    contexts = [{"id": one.id, "ja": one.ja or one.id, "en": one.en or one.id} for one in CONTEXTS]
    examples = [{"id": number, "ja": one.ja, "en": one.en} for number, one in enumerate(STORIES)]
    return Choices(contexts, examples, ("matrix", *MODULES), lambda: standings(settings.state_path))
