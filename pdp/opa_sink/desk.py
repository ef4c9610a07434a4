"""`POST /logs[/PARTITION]` and `POST /status[/PARTITION]`: what OPA's plugins `decision_logs` and `status` send.

The caller first, then the permission, then the body; one body at a time in a worker, so that unpacked ones are
bounded in memory. A 2xx is said only after every new record is durable: anything else, and the OPA sends it again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pdp.callers.budget import MOST_BODY
from pdp.errors import BadRequestError, NotPermittedError, NotReadyError, PayloadTooLargeError, SekishoError
from pdp.logs import get_log
from pdp.opa_sink.event import event_record, odd_record, read_event
from pdp.opa_sink.inflate import plain_body
from pdp.wire.error_answer import JSON, error_answer, method_not_allowed
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from pdp.callers.caller import Caller
    from pdp.declog.record import Record
    from pdp.opa_sink.memory import Memory
    from pdp.wire.exchange import HttpRequest

LOGS: Final = "/logs"
STATUS: Final = "/status"
MAX_BODY: Final = 4 * 1024 * 1024  # as it comes; a chunk of OPA has 32 KiB unless it is told otherwise
MAX_PLAIN: Final = 16 * 1024 * 1024  # unpacked; standards 6.3
MAX_EVENTS: Final = 20_000  # a chunk of 32 KiB holds about a hundred
MAX_STATUS: Final = 1024 * 1024  # a report has 50 KB, most of it metrics
_MAX_INSTANCE: Final = 256
_log = get_log("pdp.opa_sink")
_encode: Final = msgspec.json.Encoder(order="deterministic").encode
_ENTRIES: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Appending(Protocol):
    async def append(self, record: bytes) -> None: ...


class _Bundle(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is kept of a bundle's status; `code` is set where something is wrong."""

    name: str | None = None
    active_revision: str | None = None
    last_successful_activation: str | None = None
    last_request: str | None = None
    code: str | None = None
    message: str | None = None


class _Status(msgspec.Struct, frozen=True):
    labels: dict[str, str] = {}
    bundles: dict[str, _Bundle] = {}


@dataclass(frozen=True)
class Desk:
    """`introduce`: who calls. `clock`: aware times. `count(what, number)`: for metrics."""

    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    log: Appending
    memory: Memory
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    count: Callable[[str, int], None]
    mask: Callable[[Record], Record] | None = None
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def logs(self, request: HttpRequest) -> HttpAnswer:
        """Raises only what is a bug."""
        return await self._answered(request, self._logs)

    async def status(self, request: HttpRequest) -> HttpAnswer:
        return await self._answered(request, self._status)

    async def _answered(
        self, request: HttpRequest, work: Callable[[HttpRequest, Caller], Awaitable[None]]
    ) -> HttpAnswer:
        if request.method != "POST":
            return method_not_allowed("POST")
        try:
            caller = await self.introduce(request)
            if not caller.may("push_logs"):
                raise NotPermittedError("this caller lacks the permission `push_logs`")
            if caller.limits.body_bytes != MOST_BODY and len(request.body) > caller.limits.body_bytes:
                raise PayloadTooLargeError(f"the body is larger than {caller.limits.body_bytes} bytes")
            async with self._one:
                await work(request, caller)
        except SekishoError as fault:
            return error_answer(fault)
        except sqlite3.Error as fault:
            _log.warning("the memory of other OPAs cannot be used", fault=type(fault).__name__)
            return error_answer(NotReadyError("the memory of other OPAs cannot be used"))
        return HttpAnswer(200, (JSON,), b"{}")

    async def _logs(self, request: HttpRequest, caller: Caller) -> None:
        entries = await asyncio.to_thread(_entries, request)
        if entries:
            caller.spend(len(entries) - 1)
        now = self.clock()
        records = await asyncio.to_thread(self._new, entries, caller, now)
        await self._append(list(records.values()))
        if records:  # INVARIANT (never lost): durable before it is known
            await asyncio.to_thread(self.memory.keep, records, int(now.timestamp()))
        self.count("recorded", len(records))
        self.count("repeated", len(entries) - len(records))

    def _new(self, entries: list[msgspec.Raw], caller: Caller, now: datetime) -> dict[bytes, bytes]:
        """The record of each entry that is not known yet, by the digest of its id."""
        texts: dict[bytes, bytes] = {}
        for entry in entries:
            text = bytes(entry)
            event = read_event(text)
            texts.setdefault(_digest(caller.id, text if event is None else event.decision_id.encode()), text)
        for digest in self.memory.known(texts):
            del texts[digest]
        return {digest: self._record(text, caller, now) for digest, text in texts.items()}

    def _record(self, text: bytes, caller: Caller, now: datetime) -> bytes:
        event = read_event(text)
        if event is None:
            self.count("unreadable", 1)
            return odd_record(text, record_id=self.new_id(), at=now, caller_id=caller.id)
        return event_record(event, record_id=self.new_id(), at=now, caller_id=caller.id, mask=self.mask)

    async def _append(self, records: list[bytes]) -> None:
        """All of them durable, or RecordFailedError: then none is remembered, and all of them are sent again."""
        ended = await asyncio.gather(*(self.log.append(record) for record in records), return_exceptions=True)
        for outcome in ended:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _status(self, request: HttpRequest, caller: Caller) -> None:
        body = plain_body(request.body, request.header("content-encoding"), most=MAX_STATUS)
        try:
            status = msgspec.json.decode(body, type=_Status)
        except (ValueError, RecursionError):
            raise BadRequestError("the body is not a status of an OPA") from None
        instance = status.labels.get("id", "")[:_MAX_INSTANCE]
        at = int(self.clock().timestamp())
        await asyncio.to_thread(self.memory.report, caller.id, instance, at, _encode(status).decode())
        self.count("status", 1)
        for name, bundle in status.bundles.items():
            if bundle.code:
                self.count("bundle_error", 1)
                _log.warning(
                    "another OPA cannot use its bundle",
                    caller=caller.id,
                    instance=instance,
                    bundle=name[:_MAX_INSTANCE],
                    code=bundle.code[:_MAX_INSTANCE],
                    detail=(bundle.message or "")[:_MAX_INSTANCE],
                )


def _entries(request: HttpRequest) -> list[msgspec.Raw]:
    """The entries of a chunk, each as its own text. Raises BadRequestError and its children."""
    body = plain_body(request.body, request.header("content-encoding"), most=MAX_PLAIN)
    try:
        body.decode("utf-8")
        entries = _ENTRIES.decode(body)
    except (ValueError, RecursionError):
        raise BadRequestError("the body is not a JSON array of events") from None
    if len(entries) > MAX_EVENTS:
        raise PayloadTooLargeError(f"the body holds more than {MAX_EVENTS} events")
    return entries


def _digest(caller_id: str, key: bytes) -> bytes:
    """Ids are a caller's own: one caller cannot make another's decisions look known."""
    return sha256(caller_id.encode() + b"\0" + key).digest()


def opa_sink_routes(desk: Desk) -> tuple[dict[str, Any], dict[str, Any]]:
    """(handlers by exact path, handlers by prefix)."""
    exact: dict[str, Any] = {LOGS: desk.logs, STATUS: desk.status}
    return exact, {f"{LOGS}/": desk.logs, f"{STATUS}/": desk.status}
