"""What a client of OPA's data API asks: which document, of which input, told how. `opa_data` answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from pdp.errors import BadRequestError, PayloadTooLargeError
from pdp.strict_json import parse_json
from pdp.wire.error_answer import told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.wire.exchange import HttpRequest

    Parameters = Mapping[str, str]

V1: Final = "/v1/data"
V0: Final = "/v0/data"
_SEGMENTS: Final = re.compile(
    r"(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*/?", re.ASCII
)  # no escapes: none of our names needs one
_MAX_QUERY: Final = 256 * 1024  # characters; `GET …?input=` carries a whole question
_MAX_PARAMETERS: Final = 32
_PARAMETERS: Final = frozenset(
    {"pretty", "metrics", "instrument", "provenance", "explain", "strict-builtin-errors", "input", "bundles", "plugins"}
)
_EXPLANATIONS: Final = ("off", "notes")  # no policy of ours writes notes; the others would need OPA's own tracer
ABSENT: Final[Any] = object()


class UndefinedError(Exception):
    """There is no such document."""


class RefusedError(Exception):
    """OPA's own form of an error: a code that its clients know."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def member_of(path: str, entrypoint: str) -> str | None:
    """Which member of the document the path names; None: the whole. Raises UndefinedError."""
    below = path.removeprefix(V0).removeprefix(V1)
    if _SEGMENTS.fullmatch(below) is None:
        raise UndefinedError(below)
    names, own = below.strip("/").split("/"), entrypoint.split("/")
    if names[: len(own)] != own or len(names) > len(own) + 1:
        raise UndefinedError(below)
    return names[len(own)] if len(names) > len(own) else None


def parameters_of(request: HttpRequest) -> Parameters:
    """The query parameters that count; one that is `false` is as good as absent. Raises RefusedError."""
    if len(request.query) > _MAX_QUERY:
        raise RefusedError(400, "invalid_parameter", "the query is too long")
    try:
        pairs = parse_qsl(
            request.query, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS, encoding="utf-8"
        )
    except ValueError:
        raise RefusedError(400, "invalid_parameter", "the query parameters cannot be read") from None
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in _PARAMETERS or name in found:
            what = "stands twice" if name in found else "is not supported"
            raise RefusedError(400, "invalid_parameter", f"the query parameter `{name[:64]}` {what}")
        found[name] = value
    if found.get("explain", "off") not in _EXPLANATIONS:
        raise RefusedError(400, "invalid_parameter", "`explain` may be `off` or `notes`; see `pdp replay`")
    return {name: value for name, value in found.items() if name in ("explain", "input") or value.lower() != "false"}


def input_of(request: HttpRequest, parameters: Parameters, *, raw: bool) -> Any:
    """The `input`, or ABSENT. Raises RefusedError for what is no JSON, as OPA does."""
    if request.method == "GET":
        text = parameters.get("input")
        return ABSENT if text is None or raw else _parsed(text.encode())
    if "input" in parameters:
        raise RefusedError(400, "invalid_parameter", "`input` belongs into the body of a POST")
    if (coding := request.single("content-encoding")) not in (None, "", "identity"):
        raise RefusedError(
            415, "invalid_parameter", f"the content coding `{str(coding)[:32]}` is not read; send plain JSON"
        )
    if not request.body.strip():
        return ABSENT
    body = _parsed(request.body)
    if raw:
        return body
    if type(body) is not dict:
        raise RefusedError(400, "invalid_parameter", "body contains malformed input document: it must be an object")
    return body.get("input", ABSENT)


def _parsed(text: bytes) -> Any:
    try:
        return parse_json(text)
    except PayloadTooLargeError as fault:
        raise RefusedError(fault.status, "invalid_parameter", told(fault)) from None
    except BadRequestError as fault:
        message = f"body contains malformed input document: {told(fault)}"
        raise RefusedError(400, "invalid_parameter", message) from None
