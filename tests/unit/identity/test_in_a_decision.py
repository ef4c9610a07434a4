"""Tokens on the whole way of a decision: what is denied, what is recorded, and what never is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.decide import Checkpoint
from pdp.errors import EngineSupersededError, NotReadyError
from pdp.identity.dpop import thumbprint
from pdp.identity.levels import LevelTable
from pdp.identity.nonces import Nonces
from pdp.identity.proof import Shown
from pdp.identity.provider import IssuerKeys
from pdp.identity.replay import ReplayMemory
from pdp.identity.token import TokenRefusedError
from pdp.identity.verifier import IssuedTokens
from pdp.model.decision import Decision
from pdp.model.request import AccessRequest, AssertedClaims, ClientRequest, UnverifiedToken
from tests.stage import MemoryLog
from tests.tokens import dpop, ec_key, issuer, jwk, jwks, rsa_key, token
from tests.unit.facts.worlds import NOW
from tests.unit.test_decide import ALLOW, CALLER, REQUEST, house

pytestmark = pytest.mark.anyio

AT = int(NOW.timestamp())
TIMES: dict[str, Any] = {"iat": AT - 10, "exp": AT + 300, "auth_time": AT - 600}
URI = "https://app.example/x"


class Marks:
    def __init__(self) -> None:
        self.subjects: set[str] = set()

    def refuse_revoked(self, shown: Shown) -> None:
        if not self.subjects.isdisjoint(name for name in shown.subjects if name):
            raise TokenRefusedError("subject_revoked")


class Scene:
    """A checkpoint whose issuer is `tests.tokens`; `engine` says what the policy says."""

    def __init__(
        self, answer: Any = ALLOW, marks: Marks | None = None, nonces: Nonces | None = None, **members: Any
    ) -> None:
        self.log = MemoryLog()
        self.marks = marks or Marks()
        self.now = NOW.astimezone(UTC)

        async def load() -> bytes:
            return json.dumps(jwks()).encode()

        keys = IssuerKeys(issuer(**members), load, lambda: self.now)
        tokens = IssuedTokens([keys], self.marks, ReplayMemory(), levels=LevelTable(), nonces=nonces)
        ids = (f"0189ad5c-0000-7000-8000-{number:012d}" for number in range(10_000))
        self.house = house(
            answer,
            log=self.log,
            tokens=tokens,
            revocations=self.marks,
            clock=lambda: self.now,
            new_id=lambda: next(ids),
        )
        self.checkpoint = Checkpoint(self.house)

    async def ask(
        self, identity: Any, *, caller: Caller = CALLER, seen: ClientRequest | None = None, **changes: Any
    ) -> Decision:
        members = {
            name: getattr(REQUEST, name) for name in ("subject_id", "resource_id", "action", "device_id", "network")
        }
        request = AccessRequest(**{**members, "identity": identity, "client_request": seen, **changes})
        return await self.checkpoint.decide(request, caller)

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(self.log.records[-1])

    def subject(self) -> dict[str, Any]:
        return json.loads(self.house.engine.seen[-1])["subject"]  # type: ignore[attr-defined]


async def test_what_a_token_proves_reaches_the_policy() -> None:
    scene = Scene()
    decision = await scene.ask(UnverifiedToken(token(**TIMES)))
    assert decision.permits
    assert (scene.subject()["auth_level"], scene.subject()["auth_age_min"]) == (2, 10)
    assert decision.expires_at <= scene.now + timedelta(seconds=360)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (token(**{**TIMES, "exp": AT - 60}), "expired"),
        (token(**TIMES, key=rsa_key(2048, 1)), "signature_invalid"),
        (token(**{**TIMES, "sub": "u-2"}), "subject_mismatch"),
        (token({"typ": "JWT"}, **TIMES), "typ_refused"),
        ("nonsense", "malformed"),
    ],
)
async def test_a_token_that_does_not_hold_is_a_recorded_deny_and_no_error(text: str, word: str) -> None:
    scene = Scene()
    decision = await scene.ask(UnverifiedToken(text))
    assert (decision.permits, decision.verdict.reasons) == (False, ("BAD_INPUT",))
    assert word in scene.record["fault"]
    assert word not in json.dumps([decision.reason_user.en, decision.reason_user.ja])
    assert text not in json.dumps(scene.record)
    assert scene.house.engine.seen == [], "the policy is not asked about whom nobody knows"  # type: ignore[attr-defined]


async def test_who_a_token_names_once_verified_is_who_is_decided_on_and_recorded() -> None:
    scene = Scene(subject_claim="employee")
    text = token(sub="opaque-7", employee="u-1", **TIMES)
    decision = await scene.ask(UnverifiedToken(text, names_subject=True), subject_id="opaque-7")
    assert decision.permits
    assert scene.subject()["id"] == "u-1"
    assert scene.record["subject_id"] == "u-1"
    assert text not in json.dumps(scene.record)


async def test_a_revocation_counts_at_once_for_tokens_and_for_what_gateways_assert() -> None:
    scene = Scene()
    shown = UnverifiedToken(token(**TIMES))
    claims = AssertedClaims(acr="urn:sekisho:auth-level:2", auth_time=scene.now)
    assert (await scene.ask(shown)).permits
    assert (await scene.ask(claims)).permits
    scene.marks.subjects.add("u-1")
    for identity in (shown, claims):
        decision = await scene.ask(identity)
        assert decision.verdict.reasons == ("BAD_INPUT",)
        assert "subject_revoked" in scene.record["fault"]


async def test_a_proof_counts_from_a_gateway_that_may_say_what_it_saw_and_from_no_other() -> None:
    scene = Scene()
    text = token(cnf={"jkt": thumbprint(jwk(ec_key()))}, **TIMES)
    shown = UnverifiedToken(text, "dpop")
    blind = Caller("blind", PERMISSIONS - {"assert_network"})
    first = ClientRequest("GET", URI, dpop(text, iat=AT))
    assert not (await scene.ask(shown, caller=blind, seen=first)).permits
    assert "proof_required" in scene.record["fault"]
    assert (await scene.ask(shown, seen=first)).permits
    assert not (await scene.ask(shown, seen=first)).permits
    assert "proof_replayed" in scene.record["fault"]
    assert first.dpop is not None
    assert first.dpop not in json.dumps(scene.record)


async def test_a_decision_that_begins_again_under_another_policy_does_not_use_its_proof_up() -> None:
    scene = Scene()

    class Superseded:
        name = "scripted"
        asked = 0

        async def evaluate(self, documents: Any, *, digest: Any = None) -> list[bytes]:
            self.asked += 1
            if self.asked == 1:
                raise EngineSupersededError("another bundle has become active")
            return [json.dumps(ALLOW).encode()]

    scene.checkpoint = Checkpoint(replace(scene.house, engine=Superseded()))  # type: ignore[arg-type]
    text = token(cnf={"jkt": thumbprint(jwk(ec_key()))}, **TIMES)
    seen = ClientRequest("GET", URI, dpop(text, iat=AT))
    assert (await scene.ask(UnverifiedToken(text, "dpop"), seen=seen)).permits


@pytest.mark.parametrize("identity", [UnverifiedToken(token(**TIMES)), AssertedClaims(acr="phr", auth_time=NOW)])
async def test_where_nobody_can_know_what_was_revoked_it_is_a_recorded_deny(identity: Any) -> None:
    class Unread(Marks):
        def refuse_revoked(self, shown: Shown) -> None:
            raise NotReadyError("the revocations have not been seen to be current")

    scene = Scene(marks=Unread())
    decision = await scene.ask(identity)
    assert (decision.permits, decision.verdict.reasons) == (False, ("EVALUATION_ERROR",))
    assert "revocations" in scene.record["fault"]
