"""The gRPC listener of one worker: Envoy's `Authorization/Check`, and the health service that balancers ask.

INVARIANT (no answer permits by accident): whatever goes wrong in a check is `PERMISSION_DENIED` with a whole answer for
the client, never an empty message, which Envoy would take for an allow.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import grpc
from envoy.service.auth.v3.external_auth_pb2_grpc import AuthorizationServicer, add_AuthorizationServicer_to_server
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthServicer, add_HealthServicer_to_server

from pdp.api.lane import STOP, log_bug
from pdp.callers.certificate import PeerCertificate, read_authorities, read_certificate
from pdp.errors import BadRequestError, CallerRefusedError, NotReadyError, SettingsError
from pdp.wire.caller_credentials import read_gateway_credentials
from pdp.wire.exchange import HttpRequest
from pdp.wire.ext_authz_grpc import WIRE, allowed, denied, http_request
from pdp.wire.gateway_check import GatewayCheck, Permitted, not_ready, unknown_caller
from pdp.wire.gateway_facts import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cryptography.x509 import Certificate
    from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
    from grpc_health.v1.health_pb2 import HealthCheckRequest

    from pdp.api.surface import Probe
    from pdp.bundle.bundle import Profile
    from pdp.callers.caller import Callers
    from pdp.callers.credentials import Credentials
    from pdp.wire.exchange import Decider
    from pdp.wire.gateway_check import CheckSettings

SERVICE: Final = "envoy.service.auth.v3.Authorization"
MAX_MESSAGE: Final = 256 * 1024  # bytes; 32 KiB of headers, and what an operator lets Envoy send of a body
MAX_METADATA: Final = 16 * 1024  # bytes; the gateway's own words
MAX_STREAMS: Final = 1_024  # checks at once on one connection; Envoy has one connection for each of its threads
MAX_CHECKS: Final = 4_096  # checks at once in one worker; beyond it Envoy hears RESOURCE_EXHAUSTED, which denies
MAX_AGE_S: Final = 600  # a connection is asked to come anew, so that a worker that has started gets its share
GRACE_S: Final = 10  # for checks under way when a connection or the service ends


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """`port` 0: any free one. With `certificate` and `key`, PEM files, it speaks TLS; with `client_ca` it lets in only
    who shows a certificate of these authorities. `shared`: other workers listen on the same port.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    shared: bool = False


@asynccontextmanager
async def listening_grpc(
    settings: ListenerSettings,
    check: Authorization,
    readiness: Callable[[], Sequence[Probe]],
) -> AsyncIterator[int]:
    """The port on which checks are answered until the block ends; those under way then have `GRACE_S` to finish.

    Raises SettingsError where the port is taken or a file cannot be used.
    """
    if settings.client_ca and not settings.certificate:
        raise SettingsError("`grpc_client_ca_file` needs `grpc_cert_file`: without TLS nobody shows a certificate")
    server = grpc.aio.server(maximum_concurrent_rpcs=MAX_CHECKS, options=_options(settings))
    add_AuthorizationServicer_to_server(check, server)
    add_HealthServicer_to_server(Health(readiness), server)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        if settings.certificate:
            port = server.add_secure_port(f"{host}:{settings.port}", _credentials(settings))
        else:
            port = server.add_insecure_port(f"{host}:{settings.port}")
    except RuntimeError:
        raise SettingsError(
            f"port {settings.port} for gRPC cannot be opened",
            next_step="choose a port that is free, and PEM files of one certificate and its own key",
        ) from None
    await server.start()
    try:
        yield port
    finally:
        await server.stop(GRACE_S)


def _options(settings: ListenerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", int(settings.shared)),  # else a second service would silently take half of the checks
        ("grpc.max_concurrent_streams", MAX_STREAMS),
        ("grpc.max_receive_message_length", MAX_MESSAGE),
        ("grpc.max_metadata_size", MAX_METADATA),
        ("grpc.absolute_max_metadata_size", MAX_METADATA),
        ("grpc.max_connection_age_ms", MAX_AGE_S * 1_000),
        ("grpc.max_connection_age_grace_ms", GRACE_S * 1_000),
    ]


def _credentials(settings: ListenerSettings) -> Any:
    try:
        pair = (Path(settings.key).read_bytes(), Path(settings.certificate).read_bytes())
        authorities = Path(settings.client_ca).read_bytes() if settings.client_ca else None
    except OSError as fault:
        raise SettingsError(f"a TLS file for gRPC cannot be read: {fault.strerror}") from None
    return grpc.ssl_server_credentials([pair], authorities, require_client_auth=authorities is not None)


class Authorization(AuthorizationServicer):  # type: ignore[misc]  # generated code without types
    """Answers checks. Each gateway proves itself by `x-pdp-key` in its initial metadata, or by its certificate."""

    def __init__(  # noqa: PLR0913  # each has its name at the call
        self,
        decider: Decider,
        callers: Callers,
        settings: CheckSettings,
        profile: Callable[[], Profile],
        *,
        authorities: Sequence[Certificate] = (),
        on_bug: Callable[[BaseException], None] = log_bug,
    ) -> None:
        """`authorities` are those whose names in a client certificate count for a caller."""
        self._check = GatewayCheck(decider, settings, profile)
        self._callers = callers
        self._with_address = settings.trusted_hops == 0
        self._certificate = lru_cache(maxsize=256)(lambda pem: _read_pem(pem, authorities))
        self._on_bug = on_bug

    async def Check(self, request: CheckRequest, context: Any) -> CheckResponse:  # noqa: N802  # the name on the wire
        """The answer to one check; raises only what ends the call."""
        try:
            return await self._answer(request, context)
        except STOP:
            raise
        except BaseException as fault:  # noqa: BLE001  # an error that nobody foresaw must be a deny
            self._on_bug(fault)
            return denied(not_ready())

    async def _answer(self, check: CheckRequest, context: Any) -> CheckResponse:
        metadata: tuple[tuple[str, str | bytes], ...] = tuple(context.invocation_metadata() or ())
        try:
            caller = await self._callers.introduce(self._presented(metadata, context))
        except CallerRefusedError as refused:
            return denied(unknown_caller(refused))
        request, fault = HttpRequest("", "", "", ()), None
        may_say = caller.may("assert_network")
        try:
            request = http_request(check, metadata, with_source=may_say, with_address=self._with_address)
        except BadRequestError as found:
            fault = found
        try:
            outcome = await self._check.check(request, caller, wire=WIRE, fault=fault)
        except NotReadyError:
            return denied(not_ready())
        return allowed(outcome) if isinstance(outcome, Permitted) else denied(outcome)

    def _presented(self, metadata: Sequence[tuple[str, str | bytes]], context: Any) -> Credentials:
        shown = context.auth_context().get("x509_pem_cert", ())
        certificate = self._certificate(shown[0]) if shown else None
        keys = tuple([(name, value) for name, value in metadata if name == KEY and isinstance(value, str)])
        call = HttpRequest("", "", "", keys, peer=_peer(context.peer()), peer_certificate=certificate)
        return read_gateway_credentials(call)


def _read_pem(pem: bytes, authorities: Sequence[Certificate]) -> PeerCertificate | None:
    """None where the certificate is not one of a client: then it proves nothing."""
    try:
        return read_certificate(PEM_cert_to_DER_cert(pem.decode("ascii")), authorities)
    except (BadRequestError, ValueError):
        return None


def authorities_of(client_ca: str) -> tuple[Certificate, ...]:
    """The certificates of a PEM file; none without a file. Raises SettingsError."""
    if not client_ca:
        return ()
    try:
        return read_authorities(Path(client_ca).read_bytes())
    except (OSError, BadRequestError):
        raise SettingsError("the file of client authorities for gRPC cannot be read") from None


def _peer(said: str) -> str | None:
    """The address in gRPC's `ipv4:127.0.0.1:80` or `ipv6:%5B::1%5D:80`; None for another kind of socket."""
    kind, _, place = unquote(said).partition(":")
    host = place.rpartition(":")[0].strip("[]")
    try:
        return str(ip_address(host)) if kind in ("ipv4", "ipv6") else None
    except ValueError:
        return None


class Health(HealthServicer):  # type: ignore[misc]  # generated code without types
    """grpc.health.v1: the same word as `/readyz`, for the server (an empty name) and for `Authorization`.

    `Watch` is left unimplemented, which its protocol provides for: clients then ask again and again.
    """

    def __init__(self, readiness: Callable[[], Sequence[Probe]]) -> None:
        self._readiness = readiness

    async def Check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:  # noqa: N802
        if request.service not in ("", SERVICE):
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
        well = all(probe.ok for probe in self._readiness())
        return HealthCheckResponse(status=HealthCheckResponse.SERVING if well else HealthCheckResponse.NOT_SERVING)
