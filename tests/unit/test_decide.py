"""The way through the house with parts that lie, fail and say nonsense: every one of them denies, and is recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pdp.active_policy import ActivePolicy
from pdp.bundle.bundle import Bundle, read_bundle
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.decide import Checkpoint
from pdp.errors import (
    BadRequestError,
    EngineDiedError,
    EngineError,
    EngineSupersededError,
    EngineTimeoutError,
    NotReadyError,
    RecordFailedError,
)
from pdp.facts.reference import read_reference
from pdp.house import House
from pdp.identity.levels import LevelTable
from pdp.identity.proof import NoIssuer
from pdp.metrics import Metrics
from pdp.model.authentication import Authentication
from pdp.model.directory import Period, Snapshot
from pdp.model.request import AccessRequest, AssertedClaims, Network, Refusal, UnverifiedToken
from pdp.settings import load_settings
from tests.stage import MemoryLog
from tests.unit.facts.worlds import DEVICE, NOW, USER, snapshot

pytestmark = pytest.mark.anyio

BUNDLE = read_bundle(load_settings(environ={}).bundle_path)
REQUEST = AccessRequest(
    subject_id="u-1",
    resource_id="mail",
    action="access",
    identity=AssertedClaims(acr="urn:sekisho:auth-level:2", auth_time=NOW),
    device_id="d-1",
    network=Network(source_ip="10.1.2.3"),
)
CALLER = Caller("gateway", PERMISSIONS)
ALLOW = {"outcome": "allow", "reasons": ["OK"], "obligations": {}}


class ScriptedEngine:
    """An engine that says what the test wants; `seen` holds the documents that it was shown."""

    name = "scripted"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.seen: list[bytes] = []

    async def activate(self, bundle: Bundle) -> None:
        return

    async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
        assert digest == BUNDLE.digest, "the verdict must be that of the policy that is recorded"
        self.seen += documents
        if isinstance(self.answer, EngineError):
            return [self.answer]
        if isinstance(self.answer, BaseException):
            raise self.answer
        if isinstance(self.answer, list):
            return self.answer
        return [self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()]

    async def close(self) -> None:
        return


class Holder:
    stale = False

    def __init__(self, policy: ActivePolicy | None, world: Snapshot | None) -> None:
        self._policy, self._world = policy, world

    def active(self) -> ActivePolicy:
        if self._policy is None:
            raise NotReadyError("no policy is active")
        return self._policy

    def current(self) -> Snapshot:
        if self._world is None:
            raise NotReadyError("no directory")
        return self._world

    def is_stale(self) -> bool:
        return self.stale


def counting(step: int = 1_000_000) -> Callable[[], int]:
    ticks = iter(range(0, 10**12, step))
    return lambda: next(ticks)


def house(answer: Any, *, log: MemoryLog | None = None, **changes: Any) -> House:
    holder = Holder(ActivePolicy(BUNDLE, read_reference(BUNDLE.data)), snapshot())
    return replace(
        House(
            clock=lambda: NOW.astimezone(UTC),
            stopwatch=counting(),
            new_id=lambda: "0189ad5c-0000-7000-8000-000000000001",
            policies=holder,
            directory=holder,
            levels=LevelTable(),
            tokens=NoIssuer(),
            engine=ScriptedEngine(answer),
            log=log or MemoryLog(),
            observer=Metrics(),
        ),
        **changes,
    )


async def test_a_policy_that_nobody_has_confirmed_for_too_long_denies_and_says_so() -> None:
    asked = []

    def unconfirmed(found: Snapshot, now: datetime) -> bool:
        asked.append((found, now))
        return True

    log = MemoryLog()
    decision = await Checkpoint(house(ALLOW, log=log, unconfirmed=unconfirmed)).decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons) == (False, ("POLICY_STALE",))
    assert json.loads(log.records[0])["reasons"] == ["POLICY_STALE"]
    assert asked[0][1] == NOW.astimezone(UTC)


async def test_a_well_formed_allow_is_an_allow() -> None:
    decision = await Checkpoint(house(ALLOW)).decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons, decision.fault) == (True, ("OK",), None)
    assert decision.reason_user.ja == "条件を満たしています"
    assert NOW < decision.expires_at <= NOW + timedelta(seconds=BUNDLE.ttl_s)


@pytest.mark.parametrize(
    "answer",
    [
        EngineError("undefined"),
        EngineTimeoutError("too slow"),
        EngineDiedError("gone"),
        EngineSupersededError("another bundle has become active"),
        RuntimeError("a bug of ours"),
        [],
        [b"1", b"2"],
        b"",
        b"null",
        b"true",
        b"{}",
        b'{"outcome":"allow"}',
        b'{"outcome":"allow","reasons":[],"obligations":{}}',
        b'{"outcome":"ALLOW","reasons":["OK"],"obligations":{}}',
        b'{"outcome":"allow","reasons":["OK"],"obligations":{},"extra":1}',
        b'{"outcome":"allow","reasons":["OK"],"obligations":{"save":"off"}}',
        b'{"outcome":"limit","reasons":["OK"],"obligations":{}}',
        b'{"outcome":"limit","reasons":["OK"],"obligations":{"sing":"on"}}',
        b'{"outcome":"limit","reasons":["OK"],"obligations":{"save":"on"}}',
        b'{"outcome":"allow","reasons":["OK"],"obligations":{},"required_auth_level":2}',
        b'{"outcome":"step_up","reasons":["STEPUP_AUTH_STRENGTH"],"obligations":{}}',
        b'{"outcome":"allow","reasons":["OK","OK"],"obligations":{}}',
        b'{"outcome":"allow","reasons":["NOBODY_WROTE_A_TEXT"],"obligations":{}}',
        b"\xff",
    ],
)
async def test_anything_but_a_well_formed_verdict_denies_and_is_recorded(answer: Any) -> None:
    log = MemoryLog()
    decision = await Checkpoint(house(answer, log=log)).decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons) == (False, ("EVALUATION_ERROR",))
    assert decision.expires_at == decision.at, "an error is never to be relied on"
    (record,) = [json.loads(record) for record in log.records]
    assert (record["outcome"], record["reasons"]) == ("deny", ["EVALUATION_ERROR"])
    assert record["fault"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"action": "fly"}, "fly"),
        ({"risk": ("bad_mood",)}, "bad_mood"),
        ({"network": Network("nowhere")}, "nowhere"),
        ({"network": Network("10.0.0.1", underlay="train")}, "train"),
        ({"identity": UnverifiedToken("eyJ")}, "no issuer"),
        ({"identity": AssertedClaims(acr="phr", auth_time=NOW + timedelta(hours=1))}, "future"),
    ],
)
async def test_a_word_that_does_not_exist_is_bad_input_and_never_reaches_the_policy(
    changes: dict[str, Any], word: str
) -> None:
    parts = house(ALLOW)
    decision = await Checkpoint(parts).decide(msgspec.structs.replace(REQUEST, **changes), CALLER)
    assert decision.verdict.reasons == ("BAD_INPUT",)
    assert decision.fault is not None and word in decision.fault
    assert parts.engine.seen == []  # type: ignore[attr-defined]


async def test_no_answer_without_a_record() -> None:
    log = MemoryLog()
    log.full = True
    with pytest.raises(RecordFailedError):
        await Checkpoint(house(ALLOW, log=log)).decide(REQUEST, CALLER)


async def test_no_policy_or_no_directory_is_no_answer() -> None:
    for holder in (Holder(None, snapshot()), Holder(ActivePolicy(BUNDLE, None), None)):
        with pytest.raises(NotReadyError):
            await Checkpoint(house(ALLOW, policies=holder, directory=holder)).decide(REQUEST, CALLER)


async def test_registers_that_nobody_could_confirm_deny_and_say_so() -> None:
    holder = Holder(ActivePolicy(BUNDLE, read_reference(BUNDLE.data)), snapshot())
    holder.stale = True
    log = MemoryLog()
    decision = await Checkpoint(house(ALLOW, log=log, directory=holder)).decide(REQUEST, CALLER)
    assert (decision.permits, decision.verdict.reasons) == (False, ("POLICY_STALE",))
    assert json.loads(log.records[0])["reasons"] == ["POLICY_STALE"]


@pytest.mark.parametrize("code", ["DEVICE_LOST", "STEPUP_AUTH_STRENGTH", "BAD_INPUT"])
async def test_a_policy_that_permits_for_a_reason_that_denies_is_not_believed(code: str) -> None:
    decision = await Checkpoint(house({"outcome": "allow", "reasons": [code], "obligations": {}})).decide(
        REQUEST, CALLER
    )
    assert decision.verdict.reasons == ("EVALUATION_ERROR",)


async def test_a_caller_without_the_permission_is_not_believed_whatever_the_wire_let_through() -> None:
    parts = house(ALLOW)
    weak = Caller("weak", frozenset({"decide"}))
    await Checkpoint(parts).decide(REQUEST, weak)
    seen = json.loads(parts.engine.seen[0])  # type: ignore[attr-defined]
    assert (seen["subject"]["auth_level"], seen["context"]["zone"], seen["context"]["country"]) == (
        0,
        "public",
        "unknown",
    )
    silent = Caller("silent", frozenset())
    assert (await Checkpoint(house(ALLOW)).decide(REQUEST, silent)).permits is False


async def test_a_certificate_is_the_gateways_word_and_counts_only_from_a_caller_that_may_say_it() -> None:
    terminal = replace(DEVICE, certificate_sha256="ab" * 32)
    policy = ActivePolicy(BUNDLE, read_reference(BUNDLE.data))
    asked = msgspec.structs.replace(REQUEST, device_id=None, certificate_sha256="ab" * 32)
    seen: dict[bool, str] = {}
    for may in (True, False):
        caller = Caller("gateway", PERMISSIONS if may else PERMISSIONS - {"assert_network"})
        parts = house(ALLOW, directory=Holder(policy, snapshot(devices=[terminal])))
        await Checkpoint(parts).decide(asked, caller)
        seen[may] = json.loads(parts.engine.seen[0])["device"]["id"]  # type: ignore[attr-defined]
    assert seen == {True: "d-1", False: "unknown"}


async def test_an_answer_ends_where_the_first_fact_could_change() -> None:
    leaves_at = NOW + timedelta(seconds=10)
    leaving = replace(USER, employment=Period(None, leaves_at))
    ageless = replace(DEVICE, posture=replace(DEVICE.posture, observed_at=None))
    world = snapshot(users=[leaving], devices=[ageless])
    holder = Holder(ActivePolicy(BUNDLE, read_reference(BUNDLE.data)), world)
    decision = await Checkpoint(house(ALLOW, directory=holder)).decide(REQUEST, CALLER)
    assert (decision.permits, decision.expires_at) == (True, leaves_at)


async def test_a_token_is_refused_under_profile_plain_because_nobody_would_look_at_it() -> None:
    plain = replace(BUNDLE, profile="plain")
    holder = Holder(ActivePolicy(plain, None), snapshot())
    for identity, permits in ((UnverifiedToken("eyJ"), False), (None, True)):
        parts = house(b"true", policies=holder)
        decision = await Checkpoint(parts).decide(msgspec.structs.replace(REQUEST, identity=identity), CALLER)
        assert (decision.permits, len(parts.engine.seen)) == (permits, permits)  # type: ignore[attr-defined]
        assert decision.verdict.reasons == (() if permits else ("BAD_INPUT",))


async def test_now_is_taken_once() -> None:
    times = iter([NOW, NOW + timedelta(days=400)])
    decision = await Checkpoint(house(ALLOW, clock=lambda: next(times).astimezone(UTC))).decide(REQUEST, CALLER)
    assert decision.at == NOW
    assert next(times) == NOW + timedelta(days=400), "the clock was read a second time"


async def test_the_record_says_what_was_seen_and_how_long_each_step_took() -> None:
    log = MemoryLog()
    decision = await Checkpoint(house(ALLOW, log=log)).decide(REQUEST, CALLER)
    record = json.loads(log.records[0])
    assert record["id"] == decision.id
    assert record["input"] == json.loads(decision.input)
    assert record["bundle_digest"] == BUNDLE.digest
    assert record["steps_us"] == dict.fromkeys(("caller", "identity", "facts", "cache", "engine", "obligations"), 1000)


async def test_a_refusal_is_recorded_as_bad_input_without_its_body() -> None:
    log = MemoryLog()
    refusal = Refusal(BadRequestError("`x` is no number"), "authzen", "r-1", "ab" * 32, 12)
    decision_id = await Checkpoint(house(ALLOW, log=log)).refuse(refusal, CALLER)
    record = json.loads(log.records[0])
    assert (record["id"], record["kind"], record["reasons"]) == (decision_id, "refusal", ["BAD_INPUT"])
    assert (record["error_code"], record["body_bytes"]) == ("bad_request", 12)


async def test_a_token_is_in_the_record_only_as_its_digest() -> None:
    log = MemoryLog()
    await Checkpoint(house(ALLOW, log=log)).decide(
        msgspec.structs.replace(REQUEST, identity=UnverifiedToken("eyJsecret")), CALLER
    )
    assert b"eyJsecret" not in log.records[0]
    assert json.loads(log.records[0])["token_sha256"]


async def test_metrics_count_the_outcome_the_reason_and_the_fault() -> None:
    metrics = Metrics()
    await Checkpoint(house(ALLOW, observer=metrics)).decide(REQUEST, CALLER)
    await Checkpoint(house(EngineTimeoutError("slow"), observer=metrics)).decide(REQUEST, CALLER)
    text = metrics.render().decode()
    assert 'sekisho_decisions_total{group="communication",outcome="allow",wire="authzen"} 1.0' in text
    assert 'sekisho_reasons_total{code="EVALUATION_ERROR"} 1.0' in text
    assert 'sekisho_engine_errors_total{code="engine_timeout"} 1.0' in text
    assert "u-1" not in text


async def test_a_policy_that_becomes_active_on_the_way_is_the_one_that_decides_at_the_same_instant() -> None:
    """Between step 0 and the engine a decision may wait for Redis; an activation in that moment is no error."""
    newer = replace(BUNDLE, digest="ab" * 32, revision="newer")
    holder = Holder(ActivePolicy(BUNDLE, read_reference(BUNDLE.data)), snapshot())

    class Activating(ScriptedEngine):
        async def evaluate(self, documents: Sequence[bytes], *, digest: str | None = None) -> list[bytes | EngineError]:
            if digest == BUNDLE.digest:
                holder._policy = ActivePolicy(newer, read_reference(newer.data))
                return [EngineSupersededError("another bundle has become active")]
            return [json.dumps(self.answer).encode()]

    log = MemoryLog()
    parts = house(ALLOW, log=log, policies=holder, directory=holder, engine=Activating(ALLOW))
    decision = await Checkpoint(parts).decide(REQUEST, CALLER)
    assert (decision.permits, decision.policy_revision, decision.at) == (True, "newer", NOW)
    assert json.loads(log.records[0])["bundle_digest"] == newer.digest


async def test_a_policy_that_becomes_active_while_an_issuers_keys_are_waited_for_is_the_one_that_decides() -> None:
    """The attack on a roll-back: what the old policy permitted is asked for with a token of an issuer that is slow."""
    newer = replace(BUNDLE, digest="ab" * 32, revision="newer")
    holder = Holder(ActivePolicy(BUNDLE, read_reference(BUNDLE.data)), snapshot())

    class Slow(NoIssuer):
        async def verify(
            self, token: UnverifiedToken, request: AccessRequest, users: Any, now: datetime, use: str
        ) -> Authentication:
            holder._policy = ActivePolicy(newer, read_reference(newer.data))
            return Authentication(level=2, at=now)

    class Table:
        """Of the old policy alone: it has not heard of the new one yet."""

        def answer(self, document: bytes, digest: str) -> bytes | None:
            return json.dumps(ALLOW).encode() if digest == BUNDLE.digest else None

    engine = ScriptedEngine({"outcome": "deny", "reasons": ["ACCOUNT_EXPIRED"], "obligations": {}})
    parts = house(ALLOW, policies=holder, directory=holder, engine=engine, tokens=Slow(), table=Table())
    decision = await Checkpoint(parts).decide(msgspec.structs.replace(REQUEST, identity=UnverifiedToken("eyJ")), CALLER)
    assert (decision.permits, decision.policy_revision) == (False, "newer")


async def test_policies_that_keep_changing_under_a_decision_deny_it() -> None:
    decision = await Checkpoint(house(EngineSupersededError("another bundle has become active"))).decide(
        REQUEST, CALLER
    )
    assert (decision.permits, decision.verdict.reasons) == (False, ("EVALUATION_ERROR",))
