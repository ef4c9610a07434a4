from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from pdp.api.body import DRAINED, Limits
from pdp.api.lane import Lane
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.unit.api.asgi import GONE, Exchange, part

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio

LIMIT = 100
SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Service:
    """A lane with one path and one prefix of its own, and an application behind it."""

    def __init__(self, answer: HttpAnswer | BaseException | None = None, **limits: Any) -> None:
        self.answer = answer or HttpAnswer(200, (("content-type", "application/json"),), b"{}")
        self.requests: list[HttpRequest] = []
        self.bugs: list[BaseException] = []
        self.behind: list[str] = []
        self.app: Callable[[Scope, Receive, Send], Any] = self._app
        self.lane = Lane(
            self._forward,
            exact={"/own": self.handle},
            prefixes={"/envoy/": self.handle, "/envoy/deep/": self.deep},
            limits=Limits(**{"body_bytes": LIMIT, "app_body_bytes": 2 * LIMIT, "body_s": 10.0, **limits}),
            on_bug=self.bugs.append,
        )

    async def handle(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    async def deep(self, _: HttpRequest) -> HttpAnswer:
        return HttpAnswer(202)

    async def _forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    async def _app(self, scope: Scope, _: Receive, send: Send) -> None:
        self.behind.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"behind"})

    async def run(self, *args: Any, **kwargs: Any) -> Exchange:
        return await Exchange(*args, **kwargs).run(self.lane)


def error(exchange: Exchange) -> dict[str, str]:
    assert exchange.headers["content-type"] == "application/json"
    found: dict[str, str] = json.loads(exchange.body)["error"]
    assert set(found) == {"code", "message", "next_step"}
    return found


async def test_the_handler_sees_the_request_as_it_came() -> None:
    service = Service()
    exchange = await service.run(
        "/own",
        headers=[("x-a", "é"), ("x-a", "2")],
        parts=[part(b"ab", more=True), part(b"cd", more=False)],
        query_string=b"x=1&y",
    )
    assert exchange.status == 200
    (request,) = service.requests
    assert request == HttpRequest("POST", "/own", "x=1&y", (("x-a", "é"), ("x-a", "2")), b"abcd", "192.0.2.1")


async def test_the_answer_carries_the_security_headers_and_its_length() -> None:
    exchange = await Service().run()
    assert exchange.headers == {**SECURITY, "content-type": "application/json", "content-length": "2"}
    assert exchange.body == b"{}"


async def test_a_security_header_that_the_handler_sets_is_its_own() -> None:
    exchange = await Service(HttpAnswer(200, (("cache-control", "max-age=60"),), b"x")).run()
    assert exchange.headers["cache-control"] == "max-age=60"
    assert exchange.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    ["/own/", "/own//", "//own", "/Own", "/own;a=1", "/own/../own", "/%6fwn", "/own%2f", "/envoy", "/", "", "/own?"],
)
async def test_another_spelling_of_a_path_is_another_path_and_is_not_redirected(path: str) -> None:
    service = Service()
    exchange = await service.run(path)
    assert exchange.body == b"behind"
    assert not service.requests


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "CONNECT", "BREW"])
@pytest.mark.parametrize("path", ["/envoy/", "/envoy/a/../b", "/envoy//a;b", "/envoy/%2e%2e/%00", "/envoy/a?b"])
async def test_a_prefix_takes_every_method_and_any_path_below_as_it_came(method: str, path: str) -> None:
    service = Service()
    exchange = await service.run(path, method=method)
    assert exchange.status == 200
    assert (service.requests[0].path, service.requests[0].method) == (path, method)


async def test_the_longest_prefix_decides() -> None:
    assert (await Service().run("/envoy/deep/x")).status == 202
    assert (await Service().run("/envoy/deeper")).status == 200


async def test_a_server_without_raw_paths_is_served_too() -> None:
    service = Service()
    assert (await service.run("/own", raw_path=None)).status == 200
    exchange = Exchange("/envoy/三")
    del exchange.scope["raw_path"]
    await exchange.run(service.lane)
    assert service.requests[-1].path == "/envoy/%E4%B8%89"


async def test_head_is_answered_without_a_body_but_with_its_length() -> None:
    exchange = await Service(HttpAnswer(200, (), b"four")).run(method="HEAD")
    assert (exchange.body, exchange.headers["content-length"]) == (b"", "4")


async def test_an_answer_that_has_no_body_by_its_status_has_no_length() -> None:
    exchange = await Service(HttpAnswer(204, (), b"ignored")).run()
    assert (exchange.body, "content-length" in exchange.headers) == (b"", False)


@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT])
async def test_a_body_up_to_the_limit_is_taken(length: int) -> None:
    service = Service()
    assert (await service.run(parts=[part(b"x" * length, more=False)])).status == 200
    assert len(service.requests[0].body) == length


@pytest.mark.parametrize(
    "parts",
    [
        [part(b"x" * (LIMIT + 1), more=False)],
        [part(b"x" * LIMIT, more=True), part(b"y", more=False)],
        [part(b"x", more=True)] * LIMIT + [part(b"x", more=False)],
        [part(b"x" * DRAINED, more=True), part(b"x" * (LIMIT + 1), more=True)],  # and it would go on
    ],
)
async def test_a_body_beyond_the_limit_is_413_and_the_connection_ends(parts: list[Any]) -> None:
    service = Service()
    exchange = await service.run(parts=parts, headers=[("x-request-id", "r-1")])
    assert exchange.status == 413
    assert error(exchange)["code"] == "payload_too_large"
    assert exchange.headers["connection"] == "close"
    assert exchange.headers["x-request-id"] == "r-1"
    assert not service.requests


@pytest.mark.parametrize(
    "headers",
    [[("content-length", str(LIMIT + 1)), ("expect", "100-continue")], [("content-length", str(DRAINED * 2))]],
)
async def test_a_length_that_is_announced_too_large_is_refused_before_it_is_read(headers: list[Any]) -> None:
    exchange = await Service().run(headers=headers, parts=[])
    assert exchange.status == 413
    assert exchange.received == 0


@pytest.mark.parametrize("said", ["", "-1", "+1", "1.0", "0x10", "1 ", "٣", "9" * 13, "1,1"])
async def test_a_length_that_is_no_number_is_400(said: str) -> None:
    exchange = Exchange(parts=[part(b"x", more=False)])
    exchange.scope["headers"] = [(b"content-length", said.encode())]
    await exchange.run(Service().lane)
    assert exchange.status == 400


@pytest.mark.parametrize(
    "headers",
    [
        [("content-length", "1"), ("content-length", "1")],
        [("content-length", "1"), ("transfer-encoding", "chunked")],
    ],
)
async def test_a_body_with_two_lengths_is_400(headers: list[Any]) -> None:
    """Request smuggling: the proxy in front may have used the other one."""
    exchange = await Service().run(headers=headers, parts=[part(b"x", more=False)])
    assert exchange.status == 400
    assert exchange.headers["connection"] == "close"


@pytest.mark.parametrize("sent", [b"", b"ab", b"abcd"])
async def test_a_body_that_is_not_as_long_as_it_said_is_400(sent: bytes) -> None:
    service = Service()
    exchange = await service.run(headers=[("content-length", "3")], parts=[part(sent, more=False)])
    assert exchange.status == 400
    assert not service.requests


async def test_a_body_that_comes_after_its_head_is_waited_for() -> None:
    service, come = Service(), asyncio.Event()

    async def receive() -> Any:
        await come.wait()
        return part(b"late", more=False)

    exchange = Exchange("/own")
    running = asyncio.ensure_future(service.lane(exchange.scope, receive, exchange.send))
    await anyio.lowlevel.checkpoint()
    assert not exchange.sent
    come.set()
    await running
    assert exchange.status == 200
    assert service.requests[0].body == b"late"


async def test_a_request_that_is_cancelled_while_it_waits_lets_go_of_the_connection() -> None:
    service = Service()
    waiting, let_go = asyncio.Event(), False

    async def receive() -> Any:
        nonlocal let_go
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            let_go = True

    exchange = Exchange("/own")
    running = asyncio.ensure_future(service.lane(exchange.scope, receive, exchange.send))
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert let_go
    assert not service.bugs
    assert not exchange.sent


async def test_a_slow_body_is_408_at_its_deadline() -> None:
    service = Service(body_s=0.01)
    exchange = await service.run(parts=[part(b"x", more=True)])
    assert exchange.status == 408
    assert error(exchange)["code"] == "request_timeout"
    assert exchange.headers["connection"] == "close"
    assert not service.requests


async def test_a_body_that_comes_byte_by_byte_has_the_same_deadline() -> None:
    class Dripping(Exchange):
        async def receive(self) -> Any:
            await anyio.sleep(0.002)
            return part(b"x", more=True)

    exchange = await Dripping().run(Service(body_s=0.02, body_bytes=10**6).lane)
    assert exchange.status == 408


@pytest.mark.parametrize("parts", [[GONE], [part(b"x", more=True), GONE]])
async def test_a_client_that_is_gone_is_not_answered(parts: list[Any]) -> None:
    service = Service()
    exchange = await service.run(parts=parts)
    assert not exchange.sent
    assert not service.requests
    assert not service.bugs


class Panic(BaseException):
    """As the embedded engine raises it: not an Exception."""


@pytest.mark.parametrize("fault", [RuntimeError("a secret detail"), KeyError("x"), RecursionError(), Panic("detail")])
async def test_what_nobody_foresaw_is_500_without_its_detail(fault: BaseException) -> None:
    service = Service(fault)
    exchange = await service.run(headers=[("x-request-id", "r-1")])
    assert exchange.status == 500
    assert error(exchange)["code"] == "internal_error"
    assert b"detail" not in exchange.body
    assert exchange.headers["x-request-id"] == "r-1"
    assert service.bugs == [fault]


@pytest.mark.parametrize("fault", [asyncio.CancelledError(), SystemExit(), KeyboardInterrupt()])
async def test_the_end_of_the_server_is_not_an_answer(fault: BaseException) -> None:
    service = Service(fault)
    with pytest.raises(type(fault)):
        await service.run()
    assert not service.bugs


@pytest.mark.parametrize("value", ["a\r\nset-cookie: x=1", "a\nb", "a\0b", "三"])
async def test_a_header_that_would_break_its_line_is_500_and_not_sent(value: str) -> None:
    service = Service(HttpAnswer(200, (("x-echo", value),), b"permit"))
    exchange = await service.run()
    assert exchange.status == 500
    assert "x-echo" not in exchange.headers
    assert len(exchange.sent) == 2
    assert len(service.bugs) == 1


@pytest.mark.parametrize("headers", [[("x-request-id", "a b")], [("x-request-id", "a"), ("x-request-id", "a")], []])
async def test_a_request_id_that_is_not_safe_is_not_echoed_by_the_lane(headers: list[Any]) -> None:
    exchange = await Service(RuntimeError()).run(headers=headers)
    assert "x-request-id" not in exchange.headers


async def test_what_is_not_http_is_for_the_application_behind() -> None:
    service = Service()
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    service.app = app
    await service.lane({"type": "lifespan"}, Exchange().receive, Exchange().send)
    assert seen == ["lifespan"]


async def test_the_application_behind_is_answered_with_the_same_headers() -> None:
    exchange = await Service().run("/else", headers=[("x-request-id", "r-1")])
    assert exchange.status == 404
    assert exchange.headers == {**SECURITY, "x-request-id": "r-1"}


def raising(fault: BaseException, *sent: Any) -> Callable[[Scope, Receive, Send], Any]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in sent:
            await send(message)
        raise fault

    return app


START = {"type": "http.response.start", "status": 200, "headers": []}


async def test_a_fault_of_the_application_behind_is_500() -> None:
    service = Service()
    service.app = raising(RuntimeError("a secret detail"))
    exchange = await service.run("/else")
    assert exchange.status == 500
    assert b"detail" not in exchange.body
    assert len(service.bugs) == 1


async def test_a_fault_after_the_answer_is_reported_and_no_more() -> None:
    service = Service()
    service.app = raising(RuntimeError(), START, {"type": "http.response.body", "body": b"whole"})
    assert (await service.run("/else")).body == b"whole"
    assert len(service.bugs) == 1


async def test_a_fault_in_the_middle_of_an_answer_breaks_the_connection_off() -> None:
    service = Service()
    service.app = raising(
        RuntimeError("detail"), START, {"type": "http.response.body", "body": b"h", "more_body": True}
    )
    with pytest.raises(RuntimeError):
        await service.run("/else")


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the whole body, as an upload does."""
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
    await send(START)
    await send({"type": "http.response.body", "body": b"read"})


async def test_the_application_behind_has_its_own_limit() -> None:
    service = Service()
    service.app = reading
    assert (await service.run("/else", parts=[part(b"x" * 2 * LIMIT, more=False)])).body == b"read"
    announced = await service.run("/else", headers=[("content-length", str(2 * LIMIT + 1))], parts=[])
    assert announced.status == 413
    streamed = await service.run("/else", parts=[part(b"x" * 2 * LIMIT, more=True), part(b"x", more=False)])
    assert streamed.status == 413
    assert streamed.headers["connection"] == "close"


@pytest.mark.parametrize(
    ("exact", "prefixes"), [({"own": None}, {}), ({}, {"/envoy": None}), ({}, {"envoy/": None}), ({"": None}, {})]
)
def test_a_path_that_could_never_be_met_is_refused(exact: Any, prefixes: Any) -> None:
    with pytest.raises(ValueError, match="slash"):
        Lane(reading, exact=exact, prefixes=prefixes)


def test_the_default_limits_are_those_of_the_documentation() -> None:
    assert Limits() == Limits(body_bytes=262_144, app_body_bytes=16_777_216, body_s=10.0)


async def test_a_refusal_after_the_answer_has_begun_adds_nothing_to_it() -> None:
    service = Service()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await reading(scope, receive, send)

    service.app = app
    exchange = await service.run("/else", parts=[part(b"x" * (2 * LIMIT + 1), more=False)])
    assert exchange.sent[1:] == []  # the server sees an unfinished answer and breaks the connection off


@pytest.mark.parametrize("fault", [asyncio.CancelledError(), KeyboardInterrupt()])
async def test_the_end_of_the_server_passes_through_the_application_behind(fault: BaseException) -> None:
    service = Service()
    service.app = raising(fault)
    with pytest.raises(type(fault)):
        await service.run("/else")
    assert not service.bugs


async def test_a_disconnect_is_passed_on_to_the_application_behind() -> None:
    service = Service()
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())

    service.app = app
    await service.run("/else", parts=[GONE])
    assert seen == [GONE]


async def test_an_unexpected_error_is_logged_where_nobody_else_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: HttpRequest) -> HttpAnswer:
        raise RuntimeError("detail for the log")

    await Exchange().run(Lane(reading, exact={"/own": broken}))
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "detail for the log" in caplog.text
