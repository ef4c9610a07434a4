"""The direct way against uvicorn's own: the same octets in, the same octets out, and the same requests for the handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from pdp.api.body import Limits
from pdp.api.direct import DirectProtocol
from pdp.api.heads import MAX_OCTETS, Head, Heads
from pdp.api.lane import Lane
from pdp.api.one_write import OneWriteProtocol
from pdp.errors import BadRequestError, NotReadyError
from pdp.wire.exchange import HttpAnswer, HttpRequest, Promise

TURNS = 60  # of the event loop: more than any handler here takes
JSON = ("content-type", "application/json")
ANSWERS: dict[str, HttpAnswer | BaseException] = {
    "/own": HttpAnswer(200, (JSON, ("x-decision-id", "1")), b'{"decision":true}'),
    "/own/slow": HttpAnswer(200, (JSON,), b'{"decision":false}'),
    "/refused": HttpAnswer(401, (JSON, ("www-authenticate", "Bearer")), b"{}"),
    "/empty": HttpAnswer(204, (), b"not to be said"),
    "/cached": HttpAnswer(200, (("cache-control", "max-age=60"), ("referrer-policy", "origin")), b"x"),
    "/last": HttpAnswer(200, (("connection", "close"),), b"x"),
    "/bad": BadRequestError("not this"),
    "/unready": NotReadyError("not now"),
    "/bug": RuntimeError("boom"),
    "/split": HttpAnswer(200, (("x-request-id", "a\r\nb: c"),)),
    "/control": HttpAnswer(200, (("x-request-id", "a\x01b"),)),
    "/tab": HttpAnswer(200, (("x-a", "a\tb\xe9\x80"),)),
    "/foreign": HttpAnswer(200, (("x-a", "関"),)),
    "/name": HttpAnswer(200, (("x a", "b"),)),
}


class Line:
    """A transport in memory: what was written, and whether it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.written = b""
        self.late = 0  # writes after the end, which a socket would complain about
        self.closed = False
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        if self.closed:
            self.late += 1
        else:
            self.written += data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._loop.call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("192.0.2.1", 5), "sockname": ("192.0.2.2", 80)}.get(name)


@dataclass
class Seen:
    written: bytes = b""
    closed: bool = False
    requests: list[HttpRequest] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    answered: int = 0
    cycles: int = 0
    late: int = 0

    @property
    def told(self) -> tuple[Any, ...]:
        return self.written, self.closed, self.requests, self.bugs, self.answered


class Handle:
    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        self.seen.requests.append(request)
        for _ in range(5 if request.path.endswith("slow") else 0):
            await asyncio.sleep(0)
        return said(request)


class Prompt(Handle):
    """Promises its answers, where it is asked for a promise; some it raises at once, and some it cannot promise."""

    def begin(self, request: HttpRequest) -> Promise | Coroutine[Any, Any, HttpAnswer]:
        if request.path == "/refused":
            return self(request)
        self.seen.requests.append(request)
        if request.path == "/bug":
            return said(request)  # type: ignore[return-value]  # it raises
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if request.path.endswith("slow"):  # in as many turns as a task takes
            after(4, lambda: kept.set_result(None))
        else:
            kept.set_result(None)
        return Promise(kept, lambda: said(request))


def said(request: HttpRequest) -> HttpAnswer:
    answer = ANSWERS[request.path]
    if isinstance(answer, BaseException):
        raise answer
    return answer


def after(turns: int, call: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    loop.call_soon(call if turns == 0 else lambda: after(turns - 1, call))


async def told(
    protocol: type[OneWriteProtocol],
    packets: Sequence[bytes],
    turns: Sequence[int],
    handler: type[Handle] = Handle,
    times: int = 1,
) -> Seen:
    """What is seen when the same arrives for the last time, each time on a new connection to the same lane."""
    seen = Seen()
    handle = handler(seen)

    async def behind(scope: Any, _: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": scope["raw_path"]})

    lane = Lane(
        behind,
        exact=dict.fromkeys(ANSWERS, handle),
        prefixes={"/below/": handle},
        limits=Limits(body_bytes=64, app_body_bytes=128),
        on_bug=lambda fault: seen.bugs.append(repr(fault)),
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.cycles += 1
        await lane(scope, receive, send)

    app.lane = lane  # type: ignore[attr-defined]
    config = uvicorn.Config(app, ws="none", proxy_headers=False, log_config=None, access_log=False, lifespan="off")
    for _ in range(times):
        vars(seen).update(vars(Seen()))
        await talk(protocol, config, seen, packets, turns)
    return seen


async def talk(
    protocol: type[OneWriteProtocol], config: uvicorn.Config, seen: Seen, packets: Sequence[bytes], turns: Sequence[int]
) -> None:
    loop = asyncio.get_running_loop()
    state = ServerState()
    state.default_headers = [(b"date", b"today"), (b"x-server", b"y")]
    line = Line(loop)
    line.protocol = talking = protocol(config, state, {}, loop)
    talking.connection_made(line)  # type: ignore[arg-type]
    for packet, pause in zip(packets, turns, strict=False):
        if line.closed:
            break
        talking.data_received(packet)
        for _ in range(pause):
            await asyncio.sleep(0)
    for _ in range(TURNS):
        await asyncio.sleep(0)
    seen.written, seen.closed, seen.answered = line.written, line.closed, state.total_requests
    line.close()
    for _ in range(TURNS):
        await asyncio.sleep(0)
    seen.late = line.late
    assert not state.tasks
    assert not state.connections


def both(packets: Sequence[bytes], turns: Sequence[int] = ()) -> tuple[Seen, Seen]:
    turns = [*turns, *[TURNS] * len(packets)]

    async def run() -> tuple[Seen, Seen]:
        old, new = await told(OneWriteProtocol, packets, turns), await told(DirectProtocol, packets, turns)
        promised = await told(DirectProtocol, packets, turns, Prompt, times=3)  # so that its heads are known
        assert (promised.told, promised.cycles, promised.late) == (new.told, new.cycles, new.late)
        return old, new

    return asyncio.run(run())


BODIES = st.sampled_from(
    [b"", b"{}", b'{"a":1}', b"x" * 63, b"x" * 64, b"x" * 65, b"POST /own HTTP/1.1\r\n\r\n", b"\x00\xff"]
)
LINES = st.sampled_from(
    [
        b"host: x",
        b"Authorization: Bearer abc",
        b"authorization: Bearer other",
        b"X-Request-ID: r-1",
        b"x-request-id: r-2",
        b"x-a: \xe9",
        b"x-a:",
        b"content-type: application/json",
        b"connection: close",
        b"connection: keep-alive",
        b"connection: upgrade",
        b"upgrade: websocket",
        b"upgrade: h2c",
        b"transfer-encoding: chunked",
        b"transfer-encoding: gzip, chunked",
        b"expect: 100-continue",
        b"Expect: 200-ok",
        b"content-length: 2",
        b"content-length: +2",
        b"content-length: 2, 2",
        b"content-length: 99999999999999999999999",
        b" folded",
        b"bad name: x",
        b"x-nul: a\x00b",
        b"x-bare: a\nb: c",
    ]
)
TARGETS = st.sampled_from(
    [path.encode() for path in ANSWERS]
    + [
        b"/own?",
        b"/own?a=b",
        b"/own#f",
        b"/own/",
        b"//own",
        b"/%6fwn",
        b"http://x/own",
        b"/below/a",
        b"*",
        b"/o\xe9",
        b"",
    ]
)
METHODS = st.sampled_from([b"POST"] * 8 + [b"GET", b"HEAD", b"post", b"PUT", b"OPTIONS", b"CONNECT", b"PRI"])
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.2", b"http/1.1", b""])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Mostly plain; else with something that should not be there, or missing."""
    body = draw(BODIES)
    lines = draw(st.lists(LINES, max_size=3)) if draw(st.booleans()) else [b"host: x", b"x-request-id: r-1"]
    if draw(st.integers(0, 7)):
        length = len(body) + draw(st.sampled_from([0] * 8 + [1, -1, 50]))
        spelled = draw(st.sampled_from([b"%d", b"%d", b"0%d", b"0000%d", b"%d "])) % max(length, 0)
        lines.insert(
            draw(st.integers(0, len(lines))), draw(st.sampled_from([b"content-length: ", b"Content-Length:"])) + spelled
        )
    target = draw(st.one_of(st.just(b"/own"), st.just(b"/own/slow"), TARGETS))
    line = b" ".join([draw(METHODS), target, draw(VERSIONS)])
    return b"\r\n".join([line, *lines, b"", b""]) + body


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Several requests; a packet may have a part of one, one, or several. Now and then an octet is another."""
    packets = draw(st.lists(requests(), min_size=1, max_size=4))
    if draw(st.integers(0, 3)) == 0:
        octets = bytearray(b"".join(packets))
        for _ in range(draw(st.integers(0, 3))):
            octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
        packets = [bytes(octets)]
    if draw(st.integers(0, 2)) == 0:
        whole = b"".join(packets)
        cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
        packets = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    return [packet for packet in packets if packet]


@settings(max_examples=400, deadline=None)
@given(streams(), st.lists(st.sampled_from([0, 1, 2, 3, TURNS]), max_size=5))
def test_whatever_arrives_is_answered_as_uvicorn_and_the_lane_answer_it(packets: list[bytes], turns: list[int]) -> None:
    old, new = both(packets, turns)
    assert new.told == old.told


def plain(path: str, body: bytes = b"{}", *lines: bytes) -> bytes:
    head = [
        b"POST %b HTTP/1.1" % path.encode(),
        b"host: x",
        b"x-request-id: r-1",
        b"content-length: %d" % len(body),
        *lines,
    ]
    return b"\r\n".join([*head, b"", b""]) + body


def test_every_answer_of_a_handler_leaves_as_the_same_octets_without_a_cycle() -> None:
    for path in ANSWERS:
        old, new = both([plain(path)])
        assert new.told == old.told, path
        assert (old.cycles, new.cycles) == (1, 0), path
        assert len(new.requests) == 1, path
        assert new.written.startswith(b"HTTP/1.1 "), path


def test_a_request_behind_another_waits_for_its_turn_as_it_always_did() -> None:
    old, new = both([plain("/own/slow") + plain("/own"), plain("/own")], [0])
    assert new.told == old.told
    assert new.written.index(b"false") < new.written.index(b"true")
    assert [request.path for request in new.requests] == ["/own/slow", "/own", "/own"]
    assert (old.cycles, new.cycles) == (3, 2)


def test_nonsense_behind_a_request_is_answered_once_and_the_decision_is_made() -> None:
    old, new = both([plain("/own") + b"\x00\x00"])
    assert new.told == old.told
    assert new.written.startswith(b"HTTP/1.1 400 ")
    assert (len(new.requests), new.cycles, new.late) == (1, 0, 0)


def test_anything_but_a_plain_request_takes_the_old_way() -> None:
    whole = plain("/own")
    streams_with_a_cycle = [
        [plain("/own", b"{}", line)]
        for line in (b"transfer-encoding: chunked", b"expect: 100-continue", b"upgrade: h2c", b"connection: close")
    ]
    streams_with_a_cycle += [[plain(path)] for path in ("/own?a", "/own/", "/below/own", "http://x/own")]
    streams_with_a_cycle += [[whole.replace(b"POST", method)] for method in (b"PUT", b"HEAD", b"QUERY")]
    streams_with_a_cycle += [[whole.replace(b"/1.1", b"/1.0")], [whole[:-1], whole[-1:]], [whole[:-2], whole[-2:]]]
    streams_with_a_cycle += [[plain("/own", b"x" * 65)], [b"POST /own HTTP/1.1\r\n\r\n"]]
    for packets in streams_with_a_cycle:
        old, new = both(packets)
        assert new.told == old.told, packets
        assert new.cycles == old.cycles, packets


def test_a_head_in_several_packets_with_its_body_in_the_last_is_still_plain() -> None:
    whole = plain("/own")
    _, new = both([whole[:3], whole[3:9], whole[9:40], whole[40:]])
    assert (new.cycles, len(new.requests)) == (0, 1)


def parsed(packets: Sequence[bytes]) -> tuple[Seen, int]:
    """What is seen, and how many heads were parsed for it."""
    heads = 0

    class Counting(DirectProtocol):
        def on_headers_complete(self) -> None:
            nonlocal heads
            heads += 1
            super().on_headers_complete()

    seen = asyncio.run(told(Counting, packets, [TURNS] * len(packets), Prompt))
    return seen, heads


def test_a_head_that_came_twice_is_not_parsed_a_third_time() -> None:
    packets = [plain("/own"), plain("/own/slow"), plain("/own"), plain("/own"), plain("/own", b"[]"), plain("/own")]
    old, new = both(packets)
    assert new.told == old.told
    assert [request.body for request in new.requests] == [b"{}"] * 4 + [b"[]", b"{}"]
    assert parsed(packets) == (new, 3)


def test_a_known_head_with_anything_else_behind_it_is_parsed_as_ever() -> None:
    head, known = plain("/own")[:-2], [plain("/own")] * 2
    for packets in (
        [head + b"{", b"}"],  # a part of its body
        [head, b"{}"],
        [plain("/own") + b"\r\n", plain("/own")],  # more than its body
        [plain("/own") + plain("/own")],
        [plain("/own") + b"\x00"],
        [b"\r\n", plain("/own")],  # not as it was
        [b"\r", plain("/own")],
        [b"\r\n" + plain("/own")],
        [plain("/own")[:9], plain("/own")[9:]],
        [plain("/own", b"{}", b"x-b: 1")],
        [plain("/own").replace(b"host", b"Host")],
        [plain("/own").replace(b"r-1", b"r-2")],
        [b"POST /own HTTP/1.1\r\ncontent-length: 82\r\n\r\n" + plain("/own")[:80], plain("/own")],  # in a body
        [b"PUT /own HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", plain("/own"), plain("/own")],
        [plain("/own", b"", b"connection: close"), plain("/own")],  # behind the last one
        [plain("/last"), plain("/own")],
        [b"GET /below/a HTTP/1.1\r\nhost: x\r\n\r\n", plain("/own"), plain("/own"), plain("/own")],
    ):
        old, new = both(known + packets)
        assert new.told == old.told, packets


def test_a_known_head_within_another_message_is_a_part_of_that() -> None:
    whole = plain("/own")
    for packets in (
        [b"POST /own/slow HTTP/1.1\r\nx-a: ", whole],  # in its head
        [b"POST /own", whole],
        [b"P", whole],
        [b"POST /below/a HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(whole), whole],  # in its body
        [whole[:9], whole[9:]] * 3 + [whole[9:]],  # the end of one, with nothing before it
    ):
        old, new = both([whole] * 3 + packets)
        assert new.told == old.told, packets


def test_a_known_head_waits_while_an_answer_is_due() -> None:
    packets = [plain("/own")] * 2 + [plain("/own/slow"), plain("/own"), plain("/own")]
    old, new = both(packets, [TURNS, TURNS, 0, 0, TURNS])
    assert new.told == old.told
    assert new.written.index(b"false") < new.written.rindex(b"true")


def test_a_head_that_is_another_each_time_is_never_kept() -> None:
    packets = [plain("/own").replace(b"r-1", b"r-%d" % number) for number in range(40)]
    seen, heads = parsed(packets)
    assert (heads, len(seen.requests)) == (40, 40)


def test_only_what_is_one_plain_packet_is_known() -> None:
    heads = Heads()
    head = Head("/own", Handle(Seen()), (), 2)
    for packet, known in ((b"head\r\n\r\n{}", True), (b"head\r\n\r\n{}x", False), (b"head\r\n\r\n", False)):
        for _ in range(3):
            heads.note(packet, head)
        assert (heads.get(b"head\r\n\r\n") is head) is known, packet
        heads = Heads()
    for _ in range(3):
        heads.note(b"x" * MAX_OCTETS + b"\r\n\r\n{}", head)
    assert heads.get(b"x" * MAX_OCTETS + b"\r\n\r\n") is None
