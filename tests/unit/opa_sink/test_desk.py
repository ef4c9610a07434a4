"""The sinks for other OPAs: durable before 2xx, once each, bounded, and no secret in the log."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pdp.callers.caller import PERMISSIONS, Caller
from pdp.declog.reader import records_of
from pdp.declog.record import Record, read_record
from pdp.declog.segments import SegmentLog
from pdp.errors import NotAuthenticatedError, RecordFailedError
from pdp.opa_sink.desk import MAX_EVENTS, MAX_PLAIN, Desk, opa_sink_routes
from pdp.opa_sink.memory import KEPT_S, MOST_INSTANCES, Memory
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.unit.declog.samples import QUICK, new_id, wall_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

RECORDED = Path(__file__).parents[3] / "../shared/vectors/opa/opa-1.9.0-observed-control-plane-traffic.json"
NOW = datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Sink:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.caller = Caller("opa-1", frozenset({"push_logs"}))
        self.refuses: Exception | None = None
        self.counted: Counter[str] = Counter()
        self.memory = Memory(folder / "other-opas.db")
        self.log = SegmentLog(folder / "decisions", "w0", clock=wall_clock, limits=QUICK)
        self.now = NOW
        self.desk = self.a_desk(self.log)

    def a_desk(self, log: Any) -> Desk:
        return Desk(self._introduce, log, self.memory, lambda: self.now, new_id, self._count)

    async def _introduce(self, request: HttpRequest) -> Caller:
        if self.refuses is not None:
            raise self.refuses
        return self.caller

    def _count(self, what: str, number: int) -> None:
        self.counted[what] += number

    async def post(
        self, body: bytes, path: str = "/logs", *, coding: str | None = None, method: str = "POST"
    ) -> HttpAnswer:
        headers = (("content-type", "application/json"), *((("content-encoding", coding),) if coding else ()))
        exact, prefixes = opa_sink_routes(self.desk)
        handler = exact.get(path) or next(found for prefix, found in prefixes.items() if path.startswith(prefix))
        answer: HttpAnswer = await handler(HttpRequest(method, path, "", headers, body))
        return answer

    async def send(self, *events: Any) -> HttpAnswer:
        return await self.post(gzip.compress(json.dumps(events).encode()), coding="gzip")

    def records(self) -> list[Record]:
        (path,) = [*(self.folder / "decisions" / "segments").iterdir()]
        return [read_record(body) for _, body in records_of(path)]


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[Sink]:
    made = Sink(tmp_path)
    yield made
    await made.log.close()
    made.memory.close()


def event(decision_id: str = "d-1", **others: Any) -> dict[str, Any]:
    known = {
        "labels": {"id": "opa", "version": "1.9.0"},
        "decision_id": decision_id,
        "timestamp": "2026-11-22T22:10:16.109219824Z",
        "path": "authz/allow",
        "input": {"user": "alice"},
        "result": True,
    }
    return {name: value for name, value in (known | others).items() if value is not ...}


def context(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(bytes(record.policy_context))
    return found


async def test_the_recorded_traffic_of_a_real_opa_is_taken(sink: Sink):
    if not RECORDED.exists():
        pytest.skip("absent: ../shared")
    for exchange in json.loads(RECORDED.read_text(encoding="utf-8"))["received"]:
        if exchange["method"] != "POST":
            continue
        headers = {name.lower(): value for name, value in exchange["headers"].items()}
        body = json.dumps(exchange["body"]).encode()
        coding = headers.get("content-encoding")
        answer = await sink.post(gzip.compress(body) if coding else body, exchange["path"], coding=coding)
        assert answer.status == 200
    records = sink.records()
    assert [record.request_id for record in records] == [
        "c1a80c02-0da6-4d19-8e9f-bae58a4471d2",
        "025f4f0a-99c2-497a-a6fc-a2d35c242111",
        "ae69018f-74cc-44ae-aa90-eb254f9fa731",
        "d49b66ec-c601-4a89-bf70-968835a062a5",
    ]
    assert [(record.outcome, record.reasons) for record in records] == [
        ("allow", ["OPA_ALLOW"]),
        ("deny", ["OPA_UNDEFINED"]),
        ("deny", ["OPA_NO_DECISION"]),
        ("deny", ["OPA_NO_DECISION"]),
    ]
    first = records[0]
    assert first.wire == "opa-log"
    assert first.caller_id == "opa-1"
    assert first.now == "2026-11-22T22:10:16.109219Z"
    assert first.path == "authz/allow"
    assert first.policy_revision == "authz=r1"
    assert json.loads(bytes(first.input)) == {"user": "alice", "password": "redacted"}
    assert first.redacted == ["/password"]
    assert context(first)["timestamp"] == "2026-11-22T22:10:16.109219824Z"
    assert context(records[1]).get("result", "absent") == "absent"
    assert context(records[2])["query"] == "x = 1"
    ((caller, instance, _, status),) = sink.memory.instances()
    assert (caller, instance) == ("opa-1", "ab871ed9-558c-4e2a-a9d2-3ba0e2bd5726")
    assert json.loads(status)["bundles"]["authz"]["active_revision"] == "r1"
    assert "prometheus" not in status


async def test_a_record_is_found_by_its_id(sink: Sink):
    sink.now = wall_clock()
    await sink.send(event())
    (record,) = sink.records()
    assert sink.log.find(record.id) is not None


async def test_a_chunk_that_is_sent_again_is_recorded_once(sink: Sink):
    for _ in range(7):
        assert (await sink.send(event("a"), event("b"), event("a"))).status == 200
    assert [record.request_id for record in sink.records()] == ["a", "b"]
    assert (sink.counted["recorded"], sink.counted["repeated"]) == (2, 19)


async def test_what_is_known_outlives_the_process_and_is_shared_between_workers(sink: Sink, tmp_path: Path):
    await sink.send(event("a"))
    again = Memory(tmp_path / "other-opas.db")
    sink.desk = Desk(sink._introduce, sink.log, again, lambda: NOW, new_id, sink._count)
    await sink.send(event("a"), event("b"))
    again.close()
    assert [record.request_id for record in sink.records()] == ["a", "b"]


async def test_one_caller_cannot_make_the_decisions_of_another_look_known(sink: Sink):
    await sink.send(event("a"))
    sink.caller = Caller("opa-2", frozenset({"push_logs"}))
    await sink.send(event("a", result=False))
    assert [(record.caller_id, record.outcome) for record in sink.records()] == [("opa-1", "allow"), ("opa-2", "deny")]


async def test_what_cannot_be_made_durable_is_not_taken_and_not_remembered(sink: Sink):
    class Full:
        async def append(self, record: bytes) -> None:
            raise RecordFailedError("the disk is full")

    durable = sink.desk
    sink.desk = sink.a_desk(Full())
    answer = await sink.send(event("a"))
    assert answer.status == 503
    assert ("retry-after", "1") in answer.headers
    assert b"disk" not in answer.body
    sink.desk = durable
    assert (await sink.send(event("a"))).status == 200
    assert len(sink.records()) == 1


async def test_a_memory_that_cannot_be_read_is_not_ready(sink: Sink, tmp_path: Path):
    broken = Memory(tmp_path / "broken.db")
    broken.close()
    sink.desk = Desk(sink._introduce, sink.log, broken, lambda: NOW, new_id, sink._count)
    assert (await sink.send(event())).status == 503
    assert (await sink.post(b"{}", "/status")).status == 503


async def test_a_memory_that_cannot_be_opened_stops_no_start_and_is_opened_when_it_can_be(sink: Sink, tmp_path: Path):
    (tmp_path / "no-folder").write_bytes(b"")
    memory = Memory(tmp_path / "no-folder" / "other-opas.db")  # as on a disk that takes no more
    sink.desk = Desk(sink._introduce, sink.log, memory, lambda: NOW, new_id, sink._count)
    assert (await sink.send(event("a"))).status == 503
    assert sink.records() == []
    (tmp_path / "no-folder").unlink()
    assert (await sink.send(event("a"))).status == 200
    assert (await sink.send(event("a"))).status == 200
    assert len(sink.records()) == 1
    memory.close()


async def test_an_entry_that_is_no_event_does_not_block_those_beside_it(sink: Sink):
    odd: list[Any] = [
        {"decision_id": "x"},
        7,
        "text",
        {**event("late"), "labels": None},
        {**event(), "decision_id": ""},
    ]
    for _ in range(2):
        assert (await sink.send(event("a"), *odd, event("b"))).status == 200
    records = sink.records()
    assert [record.kind for record in records] == ["decision", *["refusal"] * 5, "decision"]
    assert records[1].body_bytes == len('{"decision_id": "x"}')
    assert sink.counted["unreadable"] == 5


@pytest.mark.parametrize(
    ("result", "outcome", "reason"),
    [
        (True, "allow", "OPA_ALLOW"),
        (False, "deny", "OPA_DENY"),
        (..., "deny", "OPA_UNDEFINED"),
        ({"allow": True, "headers": {}}, "allow", "OPA_ALLOW"),
        ({"allowed": True}, "allow", "OPA_ALLOW"),
        ({"decision": False}, "deny", "OPA_DENY"),
        ({"allow": True, "decision": False}, "deny", "OPA_NO_DECISION"),
        ({"allow": "true"}, "deny", "OPA_NO_DECISION"),
        ({"allow": 1}, "deny", "OPA_NO_DECISION"),
        ([True], "deny", "OPA_NO_DECISION"),
        (None, "deny", "OPA_NO_DECISION"),
        (1, "deny", "OPA_NO_DECISION"),
    ],
)
async def test_only_a_plain_allow_reads_as_one(sink: Sink, result: Any, outcome: str, reason: str):
    await sink.send(event(result=result))
    (record,) = sink.records()
    assert (record.outcome, record.reasons) == (outcome, [reason])


async def test_an_error_is_a_deny_whatever_the_result_says(sink: Sink):
    await sink.send(event(error={"code": "eval_conflict_error"}))
    (record,) = sink.records()
    assert (record.outcome, record.reasons) == ("deny", ["OPA_ERROR"])


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1In0.c2ln"


async def test_no_secret_that_another_logged_stands_in_our_log(sink: Sink):
    secrets = {
        "attributes": {"request": {"http": {"headers": {"Authorization": "Bearer s3cr3t-1", "x-api-key": "s3cr3t-2"}}}},
        "list": [{"client_secret": {"inner": "s3cr3t-3"}}, JWT],
        "free": "Bearer s3cr3t-4",
        "a/b~c": {"PASSWORD": "s3cr3t-5"},
        "key": "sekisho_0123456789abcdef_" + "ab" * 32,
    }
    request_context = {"http": {"headers": {"Cookie": ["session=s3cr3t-6"]}}}
    await sink.send(event(input=secrets, result={"token": "s3cr3t-7"}, request_context=request_context))
    (path,) = [*(sink.folder / "decisions" / "segments").iterdir()]
    text = path.read_bytes()
    for secret in (b"s3cr3t", JWT.encode(), b"sekisho_0123"):
        assert secret not in text
    (record,) = sink.records()
    assert set(record.redacted) == {
        "/attributes/request/http/headers/Authorization",
        "/attributes/request/http/headers/x-api-key",
        "/list/0/client_secret",
        "/list/1",
        "/free",
        "/a~1b~0c/PASSWORD",
        "/key",
    }


async def test_a_name_that_stands_twice_hides_no_secret(sink: Sink):
    text = json.dumps([event(input="INPUT")]).replace('"INPUT"', '{"a":{"password":"s3cr3t"},"a":1}')
    await sink.post(text.encode())
    assert b"s3cr3t" not in bytes(sink.records()[0].input)


async def test_an_input_that_cannot_be_written_anew_is_left_out_and_said_to_be(sink: Sink):
    text = json.dumps([event(input="INPUT")]).replace('"INPUT"', '{"n":' + "9" * 400 + ',"password":"s3cr3t"}')
    assert (await sink.post(text.encode())).status == 200
    (record,) = sink.records()
    assert b"s3cr3t" not in bytes(record.input)


async def test_an_event_that_is_too_large_for_a_line_keeps_what_happened(sink: Sink):
    assert (await sink.send(event("big", input={"x": "y" * 1_200_000}))).status == 200
    (record,) = sink.records()
    assert (record.request_id, record.outcome, record.redacted) == ("big", "allow", [""])
    assert context(record)["shortened"] > 1_200_000


async def test_a_question_in_authzen_form_is_found_by_its_parts(sink: Sink):
    asked = {"subject": {"id": "alice"}, "resource": {"id": "doc"}, "action": {"name": "read"}}
    await sink.send(event(input=asked), event("b", input={"subject": "alice", "action": {"name": 7}}))
    first, second = sink.records()
    assert (first.subject_id, first.resource_id, first.action) == ("alice", "doc", "read")
    assert (second.subject_id, second.action) == (None, None)


@pytest.mark.parametrize("timestamp", ["yesterday", "2026-13-01T00:00:00Z", "", "0001-01-01T00:00:00+14:00"])
async def test_a_time_that_is_none_is_kept_as_a_text(sink: Sink, timestamp: str):
    assert (await sink.send(event(timestamp=timestamp))).status == 200
    (record,) = sink.records()
    assert record.now is None
    assert context(record)["timestamp"] == timestamp


async def test_a_gzip_bomb_costs_the_bound_and_no_more(sink: Sink):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * 1_048_576
    bomb = b"".join(squeezer.compress(block) for _ in range(400)) + squeezer.flush()
    assert len(bomb) < 512 * 1024
    tracemalloc.start()
    answer = await sink.post(bomb, coding="gzip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status == 413
    assert peak < 4 * MAX_PLAIN


@pytest.mark.parametrize(
    ("body", "coding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"[]", mtime=0)[:-4], "gzip", 400),
        (b"[]", "br", 415),
        (b"{}", None, 400),
        (b"[1", None, 400),
        (b"", None, 400),
        (b"\xff\xfe", None, 400),
        (b"[" * 100_000, None, 400),
        (b'["\\ud800"]', None, 400),
        (b"[]", None, 200),
        (b"[]", "identity", 200),
        (gzip.compress(b"[", mtime=0) + gzip.compress(b"]", mtime=0), "gzip", 200),
        (b"[" + b"0," * MAX_EVENTS + b"0]", None, 413),
    ],
)
async def test_bodies_that_are_no_chunk_are_refused(sink: Sink, body: bytes, coding: str | None, status: int):
    assert (await sink.post(body, coding=coding)).status == status


async def test_who_may_not_push_logs_may_not_and_nothing_of_the_body_is_read(sink: Sink):
    sink.caller = Caller("gw", PERMISSIONS - {"push_logs"})
    assert (await sink.post(b"not read", coding="gzip")).status == 403
    sink.refuses = NotAuthenticatedError("a credential is needed")
    assert (await sink.post(b"not read", "/status/x")).status == 401
    assert (await sink.post(b"[]", method="GET")).status == 405


async def test_a_partition_is_a_path_below(sink: Sink):
    assert (await sink.post(json.dumps([event()]).encode(), "/logs/eu-1")).status == 200
    assert (await sink.post(b"{}", "/status/eu-1")).status == 200
    assert len(sink.records()) == 1


async def test_a_bundle_that_another_opa_cannot_use_is_counted(sink: Sink):
    status = {
        "labels": {"id": "o"},
        "bundles": {
            "authz": {"name": "authz", "code": "bundle_error", "message": "unsigned", "errors": [{}], "size": 1}
        },
        "metrics": {"prometheus": {"x": "y" * 50_000}},
    }
    assert (await sink.post(json.dumps(status).encode(), "/status")).status == 200
    assert sink.counted["bundle_error"] == 1
    ((_, _, _, document),) = sink.memory.instances()
    assert json.loads(document)["bundles"]["authz"] == {"name": "authz", "code": "bundle_error", "message": "unsigned"}


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"labels":[]}', b" " * (1024 * 1024 + 1)])
async def test_what_is_no_status_is_refused(sink: Sink, body: bytes):
    assert (await sink.post(body, "/status")).status in (400, 413)


def test_the_memory_forgets_what_is_old_and_is_bounded(tmp_path: Path):
    memory = Memory(tmp_path / "m.db")
    memory.keep([b"old"], 1_000)
    memory.keep([b"new"], 1_000 + KEPT_S + 601)
    assert memory.known([b"old", b"new"]) == {b"new"}
    for number in range(MOST_INSTANCES + 3):
        memory.report("c", str(number), number, "{}")
    assert len(memory.instances()) == MOST_INSTANCES
    assert memory.instances()[-1][1] == "3"
    assert (tmp_path / "m.db").stat().st_mode & 0o077 == 0
    memory.close()
