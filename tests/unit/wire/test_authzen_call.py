from __future__ import annotations

import hashlib
import json

import pytest

from pdp.callers.caller import PERMISSIONS, Caller, Permission
from pdp.callers.certificate import PeerCertificate
from pdp.callers.credentials import Credentials
from pdp.callers.keys import shown_key
from pdp.errors import NotAuthenticatedError, NotReadyError
from pdp.wire.authzen import authzen_routes
from pdp.wire.exchange import HttpRequest
from tests.scripted_decider import ScriptedDecider
from tests.unit.wire.authzen_world import EVALUATION, EVALUATIONS, JSON, KEY, KNOWN, SEARCH, World, header, question

pytestmark = pytest.mark.anyio

POSTS = [EVALUATION, EVALUATIONS, SEARCH + "subject", SEARCH + "resource", SEARCH + "action"]


@pytest.mark.parametrize(
    "credential",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"authorization": KEY},
        {"x-api-key": KEY},
        {"x-api-key": KEY, "authorization": f"Bearer {KEY}"},
    ],
)
async def test_the_key_is_taken_from_any_of_the_three_places(credential: dict[str, str]) -> None:
    answer = await World().send(EVALUATION, question(), {**JSON, **credential})
    assert answer.status == 200


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {KEY}"},
        {"authorization": f"Bearer {KEY} more"},
        {"x-api-key": ""},
        {"x-api-key": "wrong"},
    ],
)
async def test_an_unknown_caller_is_401_before_the_body_is_looked_at(path: str, credential: dict[str, str]) -> None:
    world = World()
    answer = await world.send(path, b"{ not json", {**JSON, "x-request-id": "r-1", **credential})
    assert answer.status == 401
    assert (header(answer, "www-authenticate") or "").startswith("Bearer ")
    assert header(answer, "x-request-id") == "r-1"
    assert json.loads(answer.body)["error"]["code"] == "not_authenticated"
    assert not world.decider.refused  # the log is not anybody's to fill
    assert not world.decider.asked


async def test_two_different_keys_are_refused() -> None:
    answer = await World().send(EVALUATION, question(), {**KNOWN, "x-api-key": "another"})
    assert answer.status == 400


@pytest.mark.parametrize("name", ["authorization", "content-type", "x-api-key", "x-request-id"])
async def test_a_header_that_is_read_may_stand_once(name: str) -> None:
    pairs = [*KNOWN.items(), ("x-request-id", "a"), (name, "a"), (name, "a")]
    answer = await World().send(EVALUATION, question(), pairs)
    assert answer.status == 400
    assert f"`{name}`" in json.loads(answer.body)["error"]["message"]
    assert header(answer, "x-request-id") == (None if name == "x-request-id" else "a")


@pytest.mark.parametrize(
    ("permissions", "path", "missing"),
    [
        (["batch", "search"], EVALUATION, "decide"),
        (["batch", "search"], EVALUATIONS, "decide"),
        (["decide", "batch"], SEARCH + "subject", "search"),
        (["decide", "batch"], SEARCH + "resource", "search"),
        (["decide", "batch"], SEARCH + "action", "search"),
    ],
)
async def test_a_missing_permission_is_403_and_named_and_recorded(permissions, path, missing) -> None:
    world = World(permissions=permissions)
    message = await world.refused(b"{ not json", path, 403)
    assert f"`{missing}`" in message
    assert not world.decider.asked


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "post"])
async def test_only_post_is_taken(path: str, method: str) -> None:
    answer = await World().send(path, question(), {**KNOWN, "x-request-id": "r-2"}, method)
    assert answer.status == 405
    assert header(answer, "allow") == "POST"
    assert header(answer, "x-request-id") == "r-2"


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=utf-8"],
)
async def test_the_media_type_may_carry_parameters(media_type: str) -> None:
    assert (await World().send(EVALUATION, question(), {**KNOWN, "content-type": media_type})).status == 200


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/json5", "application/x-www-form-urlencoded"])
async def test_another_media_type_is_400(media_type: str) -> None:
    """Certification scenario 2.4.3."""
    answer = await World().send(EVALUATION, question(), {**KNOWN, "content-type": media_type})
    assert answer.status == 400
    assert json.loads(answer.body)["error"]["code"] == "unsupported_media_type"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"null", b"{", b'{"a":1,"a":1}', b"{} {}", b"\xff"])
async def test_a_body_that_is_no_json_object_is_400_and_recorded_by_its_digest(path: str, body: bytes) -> None:
    world = World()
    await world.refused(body, path)
    ((refusal, caller),) = world.decider.refused
    assert caller.id == "gateway-1"
    assert refusal.wire == "authzen"
    assert refusal.body_sha256 == hashlib.sha256(body).hexdigest()
    assert refusal.body_bytes == len(body)


@pytest.mark.parametrize("request_id", ["r", "0b36d8f2-4c1b-4d8e-9f45-0c4f8d0e4c11", "a" * 256, "!~;,="])
async def test_the_request_id_is_echoed_on_answers_and_on_errors(request_id: str) -> None:
    world = World()
    for body in (question(), b"{"):
        answer = await world.send(EVALUATION, body, {**KNOWN, "x-request-id": request_id})
        assert header(answer, "x-request-id") == request_id
    (asked, _), (refusal, _) = world.decider.asked[0], world.decider.refused[0]
    assert asked.request_id == refusal.request_id == request_id


@pytest.mark.parametrize("request_id", ["a" * 257, "two words", "tab\there", "é", "line\nbreak", "\x7f"])
async def test_a_request_id_that_cannot_be_echoed_safely_is_400(request_id: str) -> None:
    answer = await World().send(EVALUATION, question(), {**KNOWN, "x-request-id": request_id})
    assert answer.status == 400
    assert header(answer, "x-request-id") is None


async def test_without_a_request_id_there_is_none_in_the_answer() -> None:
    answer = await World().send(EVALUATION, question(), {**KNOWN, "x-request-id": ""})
    assert answer.status == 200
    assert header(answer, "x-request-id") is None


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("headers", "trace_id"),
    [
        ([("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")], TRACE),
        ([("traceparent", "nonsense")], None),
        ([("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")] * 2, None),
        ([], None),
    ],
)
async def test_the_trace_is_taken_over_and_a_broken_one_ignored(headers, trace_id) -> None:
    world = World()
    assert (await world.send(EVALUATION, question(), [*KNOWN.items(), *headers])).status == 200
    assert world.decider.asked[0][0].trace_id == trace_id


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
async def test_not_ready_is_503_and_says_no_detail(path: str) -> None:
    world = World()
    answer = await world.send(path, question("u-not-ready"))
    assert answer.status == 503
    assert header(answer, "retry-after") == "1"
    error = json.loads(answer.body)["error"]
    assert error["code"] == "not_ready"
    assert "policy" not in error["message"]
    assert not world.decider.refused


async def test_a_refusal_that_cannot_be_recorded_is_503() -> None:
    world = World()
    world.decider.record_fails = True
    answer = await world.send(EVALUATION, b"{", {**KNOWN, "x-request-id": "r-3"})
    assert answer.status == 503
    assert header(answer, "x-request-id") == "r-3"
    assert header(answer, "x-decision-id") is None


async def test_what_nobody_foresaw_is_not_answered_here() -> None:
    """The lane answers it with 500."""
    with pytest.raises(RuntimeError):
        await World().send(EVALUATION, question("u-broken"))


async def test_a_profile_that_is_not_there_yet_is_503() -> None:
    class Starting(World):
        @property
        def profile(self) -> str:  # type: ignore[override]
            raise NotReadyError("no policy is active")

        @profile.setter
        def profile(self, _: str) -> None: ...

    assert (await Starting().send(EVALUATION, question())).status == 503


async def test_of_headers_that_are_known_only_their_words_are_remembered() -> None:
    """Who calls, from where and on whose certificate, and what it may: asked each time."""

    class Asked:
        def __init__(self) -> None:
            self.shown: list[Credentials] = []
            self.permissions: frozenset[Permission] | None = None

        def authenticate(self, presented: Credentials | str | None) -> Caller:
            assert isinstance(presented, Credentials)
            self.shown.append(presented)
            if self.permissions is None:
                raise NotAuthenticatedError("revoked")
            return Caller("gateway-1", self.permissions)

        async def introduce(self, presented: Credentials) -> Caller:
            return self.authenticate(presented)

    callers, decider = Asked(), ScriptedDecider()
    routes = authzen_routes(
        decider, callers, profile=lambda: "zta", public_url="https://pdp.example.jp", searching=None
    )
    key = f"sekisho_{'0' * 16}_{'a' * 64}"
    headers = (
        ("content-type", "application/json"),
        ("authorization", f"Bearer {key}"),
        ("cache-control", "no-cache"),
        ("x-request-id", "r-1"),
        ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01"),
    )

    async def status(peer: str | None, certificate: PeerCertificate | None, method: str = "POST") -> int:
        body = json.dumps(question()).encode()
        request = HttpRequest(method, EVALUATION, "", headers, body, peer, certificate)
        answer = await routes[EVALUATION](request)
        assert header(answer, "x-request-id") == "r-1"
        return answer.status

    certificate = PeerCertificate("f1" * 32)
    for rights, met, expected in (
        (PERMISSIONS, ("192.0.2.1", None), 200),
        (PERMISSIONS, ("192.0.2.2", certificate), 200),
        (PERMISSIONS, (None, None), 200),
        (frozenset({"decide"}), ("192.0.2.1", None), 200),
        (frozenset({"batch"}), ("192.0.2.1", None), 403),
        (None, ("192.0.2.1", certificate), 401),
        (PERMISSIONS, ("192.0.2.1", None), 200),
    ):
        callers.permissions = rights
        assert await status(*met) == expected
        shown = callers.shown[-1]
        assert (shown.key, shown.peer, shown.certificate) == (key, *met)
        assert shown.shown in (None, shown_key(key))
    assert await status("192.0.2.1", None, "GET") == 405
    assert [asked.fresh for asked, _ in decider.asked] == [True, True, True, False, True]
    assert {asked.trace_id for asked, _ in decider.asked} == {"1" * 32}


async def test_headers_that_are_refused_are_refused_each_time() -> None:
    world = World()
    for headers in (
        [*KNOWN.items(), ("x-request-id", "a b")],
        [*KNOWN.items(), ("x-request-id", "a"), ("x-request-id", "a")],
        [*KNOWN.items(), ("x-api-key", "another")],
        [("content-type", "text/plain"), ("authorization", f"Bearer {KEY}")],
    ):
        assert [(await world.send(EVALUATION, question(), headers)).status for _ in range(4)] == [400] * 4
