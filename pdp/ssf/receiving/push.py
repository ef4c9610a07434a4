"""`POST /ssf/receive/STREAM`: a SET that is pushed to us (RFC 8935).

202 without a body is said once the SET stands in the store, and to one that was taken before as well. Whatever does
not count is 400 with the text's own code; what cannot be judged or kept now is 503, and comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pdp.errors import BadRequestError, NotReadyError
from pdp.logs import get_log
from pdp.ssf.token import SetRefusedError
from pdp.wire.error_answer import JSON, error_answer, method_not_allowed
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.ssf.receiving.incoming import Incoming
    from pdp.ssf.receiving.taking import Desk
    from pdp.wire.exchange import HttpRequest

PREFIX: Final = "/ssf/receive/"
TYPE: Final = "application/secevent+jwt"
_NO_STORE: Final = ("cache-control", "no-store")
_RETRY: Final = ("retry-after", "5")
_LANGUAGE: Final = ("content-language", "en")
_log = get_log("pdp.ssf")


class PushEndpoint:
    """The streams that are pushed, by name."""

    def __init__(self, desk: Desk, streams: Mapping[str, Incoming]) -> None:
        self._desk = desk
        self._streams = streams

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        if request.method != "POST":
            return method_not_allowed("POST")
        incoming = self._streams.get(request.path.removeprefix(PREFIX))
        try:
            # One answer for a stream that does not exist and for a token that is not its own: names are not told.
            if incoming is None or not incoming.token.is_shown(request.header("authorization")):
                if incoming is not None:
                    self._desk.turn_away(incoming.stream)
                return _refused(*_STRANGER)
            await self._desk.take(incoming, _text(request))
        except SetRefusedError as fault:
            return _refused(fault.err, fault.message)
        except BadRequestError as fault:  # a header that stands twice
            return _refused("invalid_request", fault.message)
        except NotReadyError as fault:
            _log.warning("a SET could not be taken now", reason=fault.message)
            answer = error_answer(fault)
            return HttpAnswer(answer.status, (*answer.headers, _RETRY, _NO_STORE), answer.body)
        return HttpAnswer(202, (_NO_STORE,))


class _Refusal(NamedTuple):
    err: str
    description: str


_STRANGER: Final = _Refusal("authentication_failed", "the Authorization header is not that of this stream")


def _text(request: HttpRequest) -> str:
    """The body as text. Raises SetRefusedError."""
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != TYPE:
        raise SetRefusedError("invalid_request", f"the content type must be `{TYPE}`", "content_type")
    try:
        return request.body.decode("ascii")
    except UnicodeDecodeError:
        raise SetRefusedError("invalid_request", "this is no SET: it is not ASCII", "malformed") from None


def _refused(err: str, description: str) -> HttpAnswer:
    body = msgspec.json.encode({"err": err, "description": description})
    return HttpAnswer(400, (JSON, _LANGUAGE, _NO_STORE), body)
