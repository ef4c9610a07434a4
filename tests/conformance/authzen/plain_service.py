"""The lane with the conformance bundle behind it: everything real but the decision log and the clock."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pdp.api.app import serve_app
from pdp.api.surface import Probe, Surface
from pdp.bundle.bundle import read_bundle
from pdp.engine.regorus import RegorusEngine
from pdp.engine.verdict import read_verdict
from pdp.errors import EngineError
from pdp.model.decision import EVALUATION_ERROR, Decision, Text, denied
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.candidates import bundle_candidates
from pdp.wire.page_token import PageTokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

    from pdp.api.lane import Lane
    from pdp.bundle.bundle import Bundle
    from pdp.callers.caller import Caller, Callers
    from pdp.engine.port import Engine
    from pdp.model.request import AccessRequest, Refusal

BUNDLE = Path(__file__).parent / "bundle"
PUBLIC_URL = "https://pdp.example.jp"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class PlainDecider:
    """Decides with the bundle and keeps what it was asked."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._bundle = bundle
        self._engine = engine
        self._numbers = itertools.count(1)
        self.decisions: list[Decision] = []
        self.refusals: list[Refusal] = []

    async def decide(self, request: AccessRequest, _caller: Caller) -> Decision:
        document = msgspec.json.encode(request.document)
        (raw,) = await self._engine.evaluate([document])
        verdict = denied(EVALUATION_ERROR) if isinstance(raw, EngineError) else read_verdict(raw, "plain")
        decision = Decision(
            id=f"decision-{next(self._numbers)}",
            at=NOW,
            verdict=verdict,
            reason_user=Text("", ""),
            reason_admin=Text("", ""),
            expires_at=NOW + timedelta(seconds=self._bundle.ttl_s),
            policy_revision=self._bundle.revision,
            bundle_digest=self._bundle.digest,
            directory_epoch=0,
            cache="bypass",
            input=document,
        )
        self.decisions.append(decision)
        return decision

    def begin(self, request: AccessRequest, caller: Caller) -> Coroutine[Any, Any, Decision]:
        return self.decide(request, caller)

    async def refuse(self, refusal: Refusal, _caller: Caller) -> str:
        self.refusals.append(refusal)
        return f"refusal-{len(self.refusals)}"


@asynccontextmanager
async def plain_lane(callers: Callers) -> AsyncIterator[Lane]:
    """A lane over a real engine with the bundle, until the block ends."""
    bundle = read_bundle(BUNDLE)
    listed = bundle_candidates(bundle)
    engine = RegorusEngine(timedelta(seconds=20))  # a machine under test is slower than a service
    try:
        await engine.activate(bundle)
        exact = authzen_routes(
            PlainDecider(bundle, engine),
            callers,
            profile=lambda: "plain",
            public_url=PUBLIC_URL,
            searching=Searching(lambda: listed, PageTokens(b"k" * 32), lambda: NOW),
        )
        yield serve_app(Surface(exact=exact, readiness=lambda: [Probe("policy", True)], metrics=bytes))
    finally:
        await engine.close()
