"""One HTTP exchange as plain values, so that a wire format needs no web framework and no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from pdp.callers.certificate import PeerCertificate
from pdp.errors import BadRequestError
from pdp.model.request import Refusal as Refusal  # noqa: PLC0414, TC001  # every wire format takes it from here

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from pdp.callers.caller import Caller
    from pdp.declog.port import Kept
    from pdp.model.decision import Decision
    from pdp.model.request import AccessRequest
    from pdp.steps import Recording

PEER: Final = "sekisho.peer"  # in the extensions of an ASGI scope: the `PeerCertificate` of its connection


class HttpRequest(msgspec.Struct, frozen=True, gc=False):
    """A request as it came. `path` is raw: not unescaped, not normalised. Header names are lower case.

    `body` is whole and within the limit of the lane; header values are latin-1 text.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    peer: str | None = None  # the address of the TCP peer, never a forwarded header
    peer_certificate: PeerCertificate | None = None  # what the TCP peer showed and TLS verified, never a header

    def header(self, name: str) -> str | None:
        """The value of a header that may stand at most once.

        Raises BadRequestError where it stands twice: two parties could read two values.
        """
        values = [value for known, value in self.headers if known == name]
        if len(values) > 1:
            raise BadRequestError(f"the header `{name}` stands more than once")
        return values[0] if values else None

    def single(self, name: str) -> str | None:
        """The header's value; None where it is absent or stands more than once, which is then nobody's word."""
        values = [value for known, value in self.headers if known == name]
        return values[0] if len(values) == 1 else None


class HttpAnswer(msgspec.Struct, frozen=True, gc=False):
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Promise(NamedTuple):
    """An answer for which nothing has to be waited for but the log. `answer` may be asked once, when `kept` is done."""

    kept: Kept
    answer: Callable[[], HttpAnswer]


class Decider(Protocol):
    """What a wire format needs of the house (`pdp.decide.Checkpoint`)."""

    async def decide(self, request: AccessRequest, caller: Caller) -> Decision:
        """The recorded decision. Raises only NotReadyError and its children: then there is no answer."""
        ...

    def begin(self, request: AccessRequest, caller: Caller) -> Recording | Coroutine[Any, Any, Decision]:
        """As `decide`, at once where it can be: then there is nothing to wait for but the record."""
        ...

    async def refuse(self, refusal: Refusal, caller: Caller) -> str:
        """Record a refusal as a `BAD_INPUT` deny; the decision id under which it stands."""
        ...


class Handler(Protocol):
    async def __call__(self, request: HttpRequest) -> HttpAnswer: ...


@runtime_checkable
class PromptHandler(Protocol):
    """A handler that needs no task of its own for most requests."""

    def begin(self, request: HttpRequest) -> Promise | Coroutine[Any, Any, HttpAnswer]:
        """The answer of `__call__`: promised, or as a coroutine that has to be awaited. Raises what is a bug."""
        ...
