"""The listener with a real client of grpc.aio on loopback."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from pdp.api.grpc_listener import (
    MAX_MESSAGE,
    MAX_METADATA,
    SERVICE,
    Authorization,
    ListenerSettings,
    authorities_of,
    listening_grpc,
)
from pdp.api.surface import Probe
from pdp.callers.caller import Caller
from pdp.errors import NotAuthenticatedError, SettingsError, TooManyRequestsError
from pdp.wire.gateway_check import CheckSettings
from tests.certificates import Authority
from tests.scripted_decider import OneKey, ScriptedDecider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pdp.callers.caller import Callers, Permission
    from pdp.callers.credentials import Credentials
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest

pytestmark = pytest.mark.anyio

DENIED = 7
METADATA = (("x-pdp-key", "key"), ("x-pdp-subject", "u-allow"), ("x-pdp-resource", "mail"))
ALL: tuple[Permission, ...] = ("decide", "assert_identity", "assert_network")


def question(**facts: str) -> tuple[CheckRequest, tuple[tuple[str, str], ...]]:
    request = CheckRequest()
    http = request.attributes.request.http
    http.method, http.path, http.host = "GET", "/a?b", "apps.example.jp"
    request.attributes.source.address.socket_address.address = "203.0.113.7"
    told = dict(METADATA) | {f"x-pdp-{name.replace('_', '-')}": value for name, value in facts.items()}
    return request, tuple((name, value) for name, value in told.items() if value != "-")


class Place:
    """A listener and what stands behind it."""

    def __init__(self, callers: Callers | None = None, settings: CheckSettings | None = None) -> None:
        self.decider = ScriptedDecider()
        self.bugs: list[BaseException] = []
        self.probes = [Probe("policy", ok=True)]
        self.check = Authorization(
            self.decider,
            callers or OneKey("key", ALL),
            settings or CheckSettings(),
            lambda: "zta",
            on_bug=self.bugs.append,
        )


@asynccontextmanager
async def running(place: Place, settings: ListenerSettings | None = None) -> AsyncIterator[Any]:
    settings = settings or ListenerSettings()
    async with (
        listening_grpc(settings, place.check, lambda: place.probes) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield channel


async def ask(channel: Any, **facts: str) -> Any:
    request, metadata = question(**facts)
    return await AuthorizationStub(channel).Check(request, metadata=metadata, timeout=10)


async def test_an_allow_says_so_and_everything_else_is_a_denial() -> None:
    place = Place()
    async with running(place) as channel:
        answers = {
            subject: await ask(channel, subject=subject)
            for subject in ("u-allow", "u-limit", "u-deny", "u-step", "u-broken", "u-not-ready", "a b")
        }
    codes = {subject: answer.status.code for subject, answer in answers.items()}
    assert codes == {"u-allow": 0, "u-limit": 0} | dict.fromkeys(
        ("u-deny", "u-step", "u-broken", "u-not-ready", "a b"), DENIED
    )
    statuses = [
        answers[who].denied_response.status.code for who in ("u-deny", "u-step", "u-broken", "u-not-ready", "a b")
    ]
    assert statuses == [403, 401, 503, 503, 400]
    assert [str(bug) for bug in place.bugs] == ["a secret detail"]
    assert "secret" not in str(answers["u-broken"])
    ((request, caller), *_) = place.decider.asked
    assert (request.wire, request.network.source_ip, caller.id) == ("ext_authz_grpc", "203.0.113.7", "gateway-1")


@pytest.mark.parametrize("key", ["-", "wrong", ""])
async def test_nobody_is_heard_before_the_gateway_has_proved_itself(key: str) -> None:
    place = Place()
    async with running(place) as channel:
        answer = await ask(channel, key=key, unknown="x")
    assert (answer.status.code, answer.denied_response.status.code) == (DENIED, 403)
    assert (place.decider.asked, place.decider.refused) == ([], [])


async def test_two_keys_are_no_key() -> None:
    place = Place()
    async with running(place) as channel:
        request, metadata = question()
        twice = (*metadata, ("x-pdp-key", "key"))
        answer = await AuthorizationStub(channel).Check(request, metadata=twice, timeout=10)
    assert answer.denied_response.status.code == 403
    assert place.decider.asked == []


async def test_a_gateway_that_asks_too_often_is_a_deny() -> None:
    class Busy(OneKey):
        def authenticate(self, presented: Credentials | str | None) -> Caller:
            raise TooManyRequestsError("too many", retry_after_s=7)

    async with running(Place(Busy("key"))) as channel:
        answer = await ask(channel)
    assert (answer.status.code, answer.denied_response.status.code) == (DENIED, 429)
    assert {"retry-after": "7"}.items() <= {
        h.header.key: h.header.value for h in answer.denied_response.headers
    }.items()


async def test_a_gateway_that_may_not_say_where_from_is_asked_nothing_of_its_connection() -> None:
    place = Place(OneKey("key", ("decide", "assert_identity")))
    async with running(place) as channel:
        assert (await ask(channel)).status.code == 0
        said = await ask(channel, tunnel="true")
    assert said.denied_response.status.code == 403
    assert [request.network.source_ip for request, _ in place.decider.asked] == [None]


async def test_with_proxies_of_our_own_the_address_of_the_connection_is_theirs() -> None:
    place = Place(settings=CheckSettings(trusted_hops=1))
    async with running(place) as channel:
        request, metadata = question()
        request.attributes.request.http.headers["x-forwarded-for"] = "6.6.6.6, 198.51.100.7"
        await AuthorizationStub(channel).Check(request, metadata=metadata, timeout=10)
    assert place.decider.asked[0][0].network.source_ip == "198.51.100.7"


async def test_a_call_that_is_given_up_is_no_bug() -> None:
    place = Place()
    async with running(place) as channel:
        request, metadata = question(subject="u-late")
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await AuthorizationStub(channel).Check(request, metadata=metadata, timeout=0.2)
    assert gone.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert place.bugs == []


@pytest.mark.parametrize("what", ["message", "metadata"])
async def test_what_is_too_large_is_no_answer(what: str) -> None:
    place = Place()
    async with running(place) as channel:
        request, metadata = question()
        if what == "message":
            request.attributes.request.http.body = "z" * MAX_MESSAGE
        else:
            metadata = (*metadata, ("x-other", "z" * MAX_METADATA))
        with pytest.raises(grpc.aio.AioRpcError):
            await AuthorizationStub(channel).Check(request, metadata=metadata, timeout=10)
    assert place.decider.asked == []


async def test_an_unknown_method_is_no_answer() -> None:
    async with running(Place()) as channel:
        call = channel.unary_unary("/envoy.service.auth.v2.Authorization/Check")
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await call(b"", timeout=10)
    assert gone.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Heard(ScriptedDecider):
    """Says when it has been asked."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = asyncio.Event()

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        self.heard.set()
        return await super().decide(request, caller)


async def test_a_check_under_way_is_answered_before_the_listener_ends() -> None:
    place, decider = Place(), Heard()
    place.check = Authorization(decider, OneKey("key", ALL), CheckSettings(), lambda: "zta")
    listener = listening_grpc(ListenerSettings(), place.check, tuple)
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{await listener.__aenter__()}")
    async with asyncio.timeout(10):
        waiting = asyncio.create_task(ask(channel, subject="u-late"))
        await decider.heard.wait()
        ending = asyncio.create_task(listener.__aexit__(None, None, None))
        await asyncio.sleep(0)
        assert not ending.done()
        decider.release.set()
        answer = await waiting
        await ending
    assert answer.status.code == DENIED  # the simulator's answer for an unknown subject
    assert answer.dynamic_metadata["decision_id"] == "decision-1"
    await channel.close()


async def test_health_says_what_readyz_says() -> None:
    place = Place()
    async with running(place) as channel:
        health = HealthStub(channel)
        for service in ("", SERVICE):
            answer = await health.Check(HealthCheckRequest(service=service), timeout=10)
            assert answer.status == HealthCheckResponse.SERVING
        place.probes.append(Probe("decision_log", ok=False))
        answer = await health.Check(HealthCheckRequest(), timeout=10)
        assert answer.status == HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await health.Check(HealthCheckRequest(service="other"), timeout=10)
        assert gone.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_port_that_is_taken_is_said_and_not_shared() -> None:
    """The attack: a second process on the same port would silently be given a part of the checks."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        settings = ListenerSettings(port=held.getsockname()[1])
        with pytest.raises(SettingsError, match="cannot be opened"):
            async with listening_grpc(settings, Place().check, tuple):
                pass
    async with listening_grpc(ListenerSettings(), Place().check, tuple) as port:
        with pytest.raises(SettingsError, match="cannot be opened"):
            async with listening_grpc(ListenerSettings(port=port), Place().check, tuple):
                pass


async def test_workers_share_their_port() -> None:
    async with (
        listening_grpc(ListenerSettings(shared=True), Place().check, tuple) as port,
        listening_grpc(ListenerSettings(port=port, shared=True), Place().check, tuple) as other,
    ):
        assert other == port


# --- TLS


class ByCertificate:
    """A `Callers` that knows one client certificate."""

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256
        self.seen: list[Credentials] = []

    def authenticate(self, presented: Credentials | str | None) -> Caller:
        raise AssertionError("asked as by a wire that knows no certificates")

    async def introduce(self, presented: Credentials) -> Caller:
        self.seen.append(presented)
        if presented.certificate is None or presented.certificate.sha256 != self._sha256:
            raise NotAuthenticatedError("no such certificate")
        return Caller("gateway-1", frozenset(ALL))


async def test_a_gateway_proves_itself_with_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, gateway, other = (
        authority.issue("localhost", "server", host="localhost"),
        authority.issue("gateway", "gateway"),
        authority.issue("other", "other"),
    )
    callers = ByCertificate(gateway.sha256)
    place = Place(callers)
    settings = ListenerSettings(
        certificate=str(server.certificate), key=str(server.key), client_ca=str(authority.certificate)
    )
    trust = authority.certificate.read_bytes()
    async with listening_grpc(settings, place.check, tuple) as port:
        codes = []
        for shown in (gateway, other):
            credentials = grpc.ssl_channel_credentials(trust, shown.key.read_bytes(), shown.certificate.read_bytes())
            async with grpc.aio.secure_channel(f"localhost:{port}", credentials) as channel:
                codes.append((await ask(channel, key="-")).status.code)
        assert codes == [0, DENIED]
        for credentials in (grpc.ssl_channel_credentials(trust), None):
            channel = (
                grpc.aio.insecure_channel(f"localhost:{port}")
                if credentials is None
                else grpc.aio.secure_channel(f"localhost:{port}", credentials)
            )
            with pytest.raises(grpc.aio.AioRpcError):
                await ask(channel)
            await channel.close()
    assert [presented.peer for presented in callers.seen] == ["127.0.0.1"] * 2
    assert len(authorities_of(str(authority.certificate))) == 1


def test_files_that_cannot_be_used_are_said(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing", encoding="ascii")
    for file in ("absent.pem", "no.pem"):
        with pytest.raises(SettingsError, match="cannot be read"):
            authorities_of(str(tmp_path / file))
    assert authorities_of("") == ()


async def test_an_authority_without_tls_is_no_door_left_open(tmp_path: Path) -> None:
    """The attack: an operator names who may come in, forgets the certificate, and everybody may."""
    authority = str(Authority(tmp_path).certificate)
    with pytest.raises(SettingsError, match="needs `grpc_cert_file`"):
        async with listening_grpc(ListenerSettings(client_ca=authority), Place().check, tuple):
            pass


@pytest.mark.parametrize("key", ["garbage.pem", "other.key", "absent.key", ""])
async def test_a_certificate_without_its_key_opens_nothing(tmp_path: Path, key: str) -> None:
    authority = Authority(tmp_path)
    server, _ = authority.issue("localhost", "server", host="localhost"), authority.issue("other", "other")
    (tmp_path / "garbage.pem").write_text("garbage", encoding="ascii")
    settings = ListenerSettings(certificate=str(server.certificate), key=str(tmp_path / key) if key else "")
    with pytest.raises(SettingsError):
        async with listening_grpc(settings, Place().check, tuple):
            pass
