"""Envoy's external authorization over gRPC (`envoy.service.auth.v3.Authorization/Check`): pure mapping.

The facts are those of the HTTP wire and go by the same names (`pdp.wire.gateway_facts`). What differs is that
here the places where a fact may stand are apart, so that most of what a client could forge has no way in:

| place in the call | who writes it | what is taken from it |
|---|---|---|
| initial metadata | the gateway's own configuration (`initial_metadata`) | every `x-pdp-` name |
| `context_extensions` | the gateway's route | every `x-pdp-` name |
| `source` | the gateway's connection | the address, and the certificate that was verified |
| the request's headers | the client, and filters before | of ours only the claims that `jwt_authn` writes |

A fact that stands in two places is refused, and so is one in the wrong place. Headers are read in both encodings:
the map (Envoy joins two of one name with a comma) and, with `encode_raw_headers`, the list (two stay two).

An empty `CheckResponse` has the status code 0, and 0 allows: every answer here sets its code, and `allowed` is the only
function that sets 0. Observed with Envoy 1.40.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.struct_pb2 import Struct
from google.rpc.code_pb2 import OK, PERMISSION_DENIED
from google.rpc.status_pb2 import Status

from pdp.errors import BadRequestError
from pdp.wire.device_certificate import WHOLE
from pdp.wire.exchange import HttpRequest
from pdp.wire.gateway_facts import FACTS, KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
    from envoy.service.auth.v3.external_auth_pb2 import CheckRequest

    from pdp.model.decision import Decision
    from pdp.wire.gateway_check import Denial, Permitted

    Pairs = Iterable[tuple[str, str]]

WIRE: Final = "ext_authz_grpc"

# What jwt_authn's `claim_to_headers` writes into the request: it replaces what a client sent under these names.
CLAIMED: Final = frozenset(
    ("x-pdp-subject", "x-pdp-acr", "x-pdp-amr", "x-pdp-auth-time", "x-pdp-issuer", "x-pdp-session")
)
_OURS: Final = "x-pdp-"
_SOURCE: Final = "x-pdp-source-ip"
_MAX_HEADERS: Final = 256  # Envoy's own limit is 100
_TAKE_OFF: Final = (KEY, *FACTS)


def http_request(
    check: CheckRequest, metadata: Sequence[tuple[str, str | bytes]], *, with_source: bool, with_address: bool
) -> HttpRequest:
    """The client's request with the gateway's facts, as the HTTP wire would have it.

    `with_source`: this gateway may say where a request came from, so its connection's word is taken; its address only
    `with_address`, that is where no proxy of ours stands before it. Raises BadRequestError where the message is not of
    an HTTP request, its parts contradict one another, or a fact stands where it must not.
    """
    http = check.attributes.request.http
    if not http.method or not http.path:
        raise BadRequestError("the check is not about an HTTP request")
    path, _, query = http.path.partition("?")
    told = [*_of_gateway(metadata, check.attributes.context_extensions.items())]
    if with_source:
        told += _of_connection(check.attributes.source, told, with_address=with_address)
    return HttpRequest(http.method, path, query, (*told, ("host", http.host), *_of_client(http)))


def _of_gateway(metadata: Sequence[tuple[str, str | bytes]], extensions: Pairs) -> Iterator[tuple[str, str]]:
    for name, value in (*metadata, *extensions):
        if name.startswith(_OURS) and name != KEY:
            if not isinstance(value, str):  # gRPC: names that end with `-bin`
                raise BadRequestError(f"`{name[:64]}` is not text")
            yield name, value


def _of_connection(
    source: AttributeContext.Peer, told: Sequence[tuple[str, str]], *, with_address: bool
) -> Iterator[tuple[str, str]]:
    """What the gateway sees of its client. An address that its configuration names goes first."""
    address = source.address.socket_address.address
    if address and with_address and not any(name == _SOURCE for name, _ in told):
        yield _SOURCE, address
    if source.certificate:
        yield WHOLE, source.certificate


def _of_client(http: AttributeContext.HttpRequest) -> Iterator[tuple[str, str]]:
    """The headers that went through the gateway's filters. Raises BadRequestError."""
    if len(http.headers) > _MAX_HEADERS or len(http.header_map.headers) > _MAX_HEADERS:
        raise BadRequestError(f"there are more than {_MAX_HEADERS} headers")
    if http.headers and http.header_map.headers:
        raise BadRequestError("the headers stand in both encodings")
    said = {":method": http.method, ":path": http.path}
    for name, value in (*http.headers.items(), *_raw(http)):
        if name.startswith(":"):
            if said.get(name, value) != value:
                raise BadRequestError(f"`{name[:64]}` is not what the request says")
        elif name.lower().startswith(_OURS) and name not in CLAIMED:
            raise BadRequestError(f"`{name[:64]}` stands in the request: only the gateway itself may say it")
        elif name != "host":
            yield name, value


def _raw(http: AttributeContext.HttpRequest) -> Iterator[tuple[str, str]]:
    for header in http.header_map.headers:
        if header.value and header.raw_value:
            raise BadRequestError("a header has two values")
        yield header.key, header.raw_value.decode("latin-1") or header.value


def allowed(permitted: Permitted) -> CheckResponse:
    """INVARIANT (one OK): the only place in which this wire can let a request through."""
    return CheckResponse(
        status=Status(code=OK),
        ok_response=OkHttpResponse(
            headers=_options(permitted.answer_headers()),
            headers_to_remove=_TAKE_OFF,
            response_headers_to_add=_options(permitted.client_headers()),
        ),
        dynamic_metadata=_metadata(permitted.decision),
    )


def denied(denial: Denial) -> CheckResponse:
    """`PERMISSION_DENIED`, with the whole answer for the client: also where failures are let through it is a deny."""
    status, headers, body = denial.answer()
    answer = DeniedHttpResponse(
        status=HttpStatus(code=status),
        headers=_options(headers),
        body=body.decode(),
    )
    metadata = _metadata(denial.decision)
    if denial.decision is None:
        metadata.update({"outcome": denial.notice.outcome, "decision_id": denial.notice.decision_id or "none"})
    return CheckResponse(
        status=Status(code=PERMISSION_DENIED, message="denied"), denied_response=answer, dynamic_metadata=metadata
    )


def _options(headers: Pairs) -> list[HeaderValueOption]:
    """Each replaces one of the same name; the default would append."""
    overwrite = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return [
        HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=overwrite) for name, value in headers
    ]


def _metadata(decision: Decision | None) -> Struct:
    """For Envoy's access log and later filters, below `envoy.filters.http.ext_authz`. Texts and lists; no numbers,
    because there they become floating point.
    """
    metadata = Struct()
    if decision is not None:
        verdict = decision.verdict
        metadata.update(
            {
                "decision_id": decision.id,
                "outcome": verdict.outcome.value,
                "reasons": list(verdict.reasons),
                "obligations": {name: str(value) for name, value in verdict.obligations.items()},
                "policy_revision": decision.policy_revision,
            }
        )
    return metadata
