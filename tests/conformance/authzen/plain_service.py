"""The lane with the conformance bundle behind it: everything real but the decision log and the clock."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import regorus

from pdp.api.app import serve_app
from pdp.api.surface import Probe, Surface
from pdp.bundle.bundle import Bundle, read_bundle
from pdp.engine.verdict import read_verdict
from pdp.errors import EngineError
from pdp.model.decision import EVALUATION_ERROR, Decision, Text, denied
from pdp.wire.authzen import authzen_routes
from pdp.wire.authzen_search import Searching
from pdp.wire.candidates import bundle_candidates
from pdp.wire.page_token import PageTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.api.lane import Lane
    from pdp.callers.caller import Caller, Callers
    from pdp.model.request import AccessRequest, Refusal

BUNDLE = Path(__file__).parent / "bundle"
PUBLIC_URL = "https://pdp.example.jp"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


class InProcessRegorus:
    """The embedded engine without its child process: one bundle, on the thread that made it."""

    def __init__(self, bundle: Bundle) -> None:
        self._query = bundle.query
        self._engine = regorus.Engine()
        self._engine.add_data_json(json.dumps(bundle.data))
        for name, text in bundle.modules.items():
            self._engine.add_policy(name, text)

    async def evaluate(self, documents: Sequence[bytes]) -> list[bytes | EngineError]:
        return [self._one(document) for document in documents]

    def _one(self, document: bytes) -> bytes | EngineError:
        self._engine.set_input_json(document.decode())
        answer = json.loads(self._engine.eval_query_as_json(self._query))
        if "result" not in answer:
            return EngineError("undefined")
        return json.dumps(answer["result"][0]["expressions"][0]["value"]).encode()


class PlainDecider:
    """Decides with the bundle and keeps what it was asked."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._engine = InProcessRegorus(bundle)
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

    async def refuse(self, refusal: Refusal, _caller: Caller) -> str:
        self.refusals.append(refusal)
        return f"refusal-{len(self.refusals)}"


def plain_lane(callers: Callers, decider: PlainDecider | None = None) -> Lane:
    bundle = read_bundle(BUNDLE)
    listed = bundle_candidates(bundle)
    exact = authzen_routes(
        decider or PlainDecider(bundle),
        callers,
        profile=lambda: "plain",
        public_url=PUBLIC_URL,
        searching=Searching(lambda: listed, PageTokens(b"k" * 32), lambda: NOW),
    )
    return serve_app(Surface(exact=exact, readiness=lambda: [Probe("policy", True)], metrics=lambda: b""))
