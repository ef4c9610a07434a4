"""What the push API does, without the web framework: who asks, may they, what do they say, what is answered.

The order is that of `pdp.wire.authzen_call`: the caller first, then the permission, then the body. Nothing of a body
is parsed for somebody whom we do not know.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pdp.callers.budget import MOST_BATCH, MOST_BODY
from pdp.directory.posture import merged, restricted
from pdp.errors import (
    BadRequestError,
    DirectoryError,
    NotPermittedError,
    NotReadyError,
    PayloadTooLargeError,
    SekishoError,
    UnsupportedMediaError,
)
from pdp.posture.etag import etag_of, read_tags
from pdp.posture.ledger import Push, held_of
from pdp.posture.message import (
    CLOCK_SKEW,
    MAX_REPORTS,
    facts_of,
    read_batch,
    read_entry,
    read_name,
    read_report,
)
from pdp.posture.problem import PROBLEM, problem, problem_answer, problem_of
from pdp.strict_json import parse_json
from pdp.wire.error_answer import JSON
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.callers.caller import Caller, Permission
    from pdp.model.directory import PostureReport
    from pdp.model.source import Fact, NameKind
    from pdp.posture.ledger import Ledger, Outcome
    from pdp.store.store import Store
    from pdp.wire.exchange import HttpRequest

SOURCE_PREFIX: Final = "push:"  # so that no caller can speak with the name of a connector or of an import
MAX_REPORT_BYTES: Final = 16 * 1024  # a report with every fact has about 400
MAX_BATCH_BYTES: Final = 2 * 1024 * 1024  # a thousand of them have 400 KB
MAX_HIP_BYTES: Final = 1024 * 1024  # as `connectors.posture.hip_facts.BOUNDS`
READ_S: Final = 10.0  # of what is held
_MAX_SOURCE: Final = 128  # as long as the store's columns
_SHOWN: Final = 64
_JSON_TYPES: Final = ("application/json",)
_XML_TYPES: Final = ("application/xml", "text/xml")
_OK: Final = 200
_MULTI: Final = 207  # RFC 4918 section 11.1: look at each; the body is ours, and JSON
_encode: Final = msgspec.json.Encoder().encode

# fate: status, code, what is wrong, what to do
_REFUSED: Final[Mapping[str, tuple[int, str, str, str]]] = {
    "unknown_device": (
        404,
        "unknown_device",
        "no device of this name is registered",
        "register the device, or the alias by which it is named",
    ),
    "ambiguous_device": (
        409,
        "ambiguous_device",
        "the names belong to different devices",
        "correct the aliases of the devices",
    ),
    "contradicted_device": (
        409,
        "contradicted_device",
        "the serial number in the report is not the one that is known of this device",
        "find out which device speaks, and correct the aliases of the devices",
    ),
    "precondition_failed": (
        412,
        "precondition_failed",
        "the report that is held has this entity tag",
        "nothing needs to be sent",
    ),
}


class DeviceSaid(Protocol):
    """What a vendor's report says of one device (`connectors.port.DeviceReport`)."""

    @property
    def names(self) -> Mapping[NameKind, str]: ...

    @property
    def posture(self) -> PostureReport: ...


@dataclass(frozen=True)
class Desk:
    """`introduce`: who calls. `clock`: aware times. `facts`: what a caller may report, by its id; absent: all.

    `read_hip(text, source)`: what one HIP report says; raises BadRequestError.
    """

    introduce: Callable[[HttpRequest], Awaitable[Caller]]
    ledger: Ledger
    store: Store
    clock: Callable[[], datetime]
    read_hip: Callable[[bytes, str], DeviceSaid]
    facts: Mapping[str, Sequence[Fact]] = field(default_factory=dict)

    async def put(self, request: HttpRequest, device: str) -> HttpAnswer:
        """One report on one device. Like every method here it raises only what is a bug."""
        return await _answered(self._put(request, device))

    async def hip(self, request: HttpRequest) -> HttpAnswer:
        """One HIP report as the agent writes it; it names its device itself."""
        return await _answered(self._hip(request))

    async def batch(self, request: HttpRequest) -> HttpAnswer:
        """Up to a thousand reports; each has its own status, and is kept or refused by itself."""
        return await _answered(self._batch(request))

    async def get(self, request: HttpRequest, device: str) -> HttpAnswer:
        """What is held of one device: all of it with `read_posture`, else the caller's own report."""
        return await _answered(self._get(request, device))

    async def _put(self, request: HttpRequest, device: str) -> HttpAnswer:
        caller = await self._caller(request, "push_posture")
        body = _body(request, caller, _JSON_TYPES, MAX_REPORT_BYTES)
        report = read_report(parse_json(body), source_of(caller), self.clock(), self.facts.get(caller.id))
        name = read_name(device)
        return await self._kept(request, {name.kind: name.value}, report)

    async def _hip(self, request: HttpRequest) -> HttpAnswer:
        caller = await self._caller(request, "push_posture")
        said = self.read_hip(_body(request, caller, _XML_TYPES, MAX_HIP_BYTES), source_of(caller))
        if said.posture.observed_at is None or said.posture.observed_at > self.clock() + CLOCK_SKEW:
            raise BadRequestError("`generate-time` lies in the future", next_step="correct the clock, or its offset")
        report = restricted(said.posture, self.facts.get(caller.id))
        return await self._kept(request, said.names, report)

    async def _kept(self, request: HttpRequest, names: Mapping[NameKind, str], report: PostureReport) -> HttpAnswer:
        unless = read_tags(request.header("if-none-match"))
        (outcome,) = await self.ledger.push([Push(names, report, unless)])
        status, body = _result(outcome)
        tag = () if outcome.held is None else (("etag", etag_of([outcome.held])),)
        return HttpAnswer(status, (JSON if status == _OK else PROBLEM, *tag), _encode(body))

    async def _batch(self, request: HttpRequest) -> HttpAnswer:
        caller = await self._caller(request, "push_posture")
        body = _body(request, caller, _JSON_TYPES, MAX_BATCH_BYTES)
        most = MAX_REPORTS if caller.limits.batch == MOST_BATCH else caller.limits.batch
        entries = read_batch(parse_json(body, max_bytes=MAX_BATCH_BYTES), most)
        caller.spend(len(entries) - 1)
        answers, pushes = self._read_entries(entries, caller)
        outcomes = await self.ledger.push(list(pushes.values())) if pushes else []
        for at, outcome in zip(pushes, outcomes, strict=True):
            status, told = _result(outcome)
            answers[at] = {**told, "status": status}
        results = [{**_asked(entry), **answer} for entry, answer in zip(entries, answers, strict=True)]
        kept = sum(answer["status"] == _OK for answer in answers)
        summary = {"taken": kept, "refused": len(answers) - kept, "results": results}
        return HttpAnswer(_OK if kept == len(answers) else _MULTI, (JSON,), _encode(summary))

    def _read_entries(self, entries: list[Any], caller: Caller) -> tuple[list[dict[str, Any]], dict[int, Push]]:
        """(an answer for every entry, complete where it is refused; what is to be kept, by its place)."""
        now, source, allowed = self.clock(), source_of(caller), self.facts.get(caller.id)
        answers: list[dict[str, Any]] = [{} for _ in entries]
        pushes: dict[int, Push] = {}
        for at, entry in enumerate(entries):
            try:
                name, report = read_entry(entry, source, now, allowed)
            except (BadRequestError, NotPermittedError) as fault:
                answers[at] = problem_of(fault)
            else:
                pushes[at] = Push({name.kind: name.value}, report)
        return answers, pushes

    async def _get(self, request: HttpRequest, device: str) -> HttpAnswer:
        caller = await self._caller(request, "read_posture", "push_posture")
        name, source = read_name(device), source_of(caller)
        try:
            async with asyncio.timeout(READ_S):
                found, reports = await asyncio.to_thread(held_of, self.store, name, source)
        except (DirectoryError, TimeoutError):
            raise NotReadyError("the directory cannot be read") from None
        if found is None:
            return _problem("unknown_device")
        sees_all = caller.may("read_posture")
        shown = [reports[name] for name in sorted(reports) if sees_all or name == source]
        tag = etag_of(shown)
        if read_tags(request.header("if-none-match")) & {"*", tag}:
            return HttpAnswer(304, (("etag", tag),))
        body: dict[str, Any] = {"device": found, "reports": [_report(report) for report in shown]}
        if shown and sees_all:
            body["together"] = _report(merged(shown))
        return HttpAnswer(_OK, (JSON, ("etag", tag)), _encode(body))

    async def _caller(self, request: HttpRequest, *permissions: Permission) -> Caller:
        """Who calls, where it has one of these permissions."""
        caller = await self.introduce(request)
        if not any(caller.may(permission) for permission in permissions):
            raise NotPermittedError(f"this caller lacks the permission `{permissions[0]}`")
        return caller


def source_of(caller: Caller) -> str:
    """The source under which a caller's reports stand. Raises NotPermittedError for a name that is too long."""
    source = SOURCE_PREFIX + caller.id
    if len(source) > _MAX_SOURCE:
        raise NotPermittedError("this caller's name is too long for a source of reports")
    return source


async def _answered(work: Awaitable[HttpAnswer]) -> HttpAnswer:
    try:
        return await work
    except SekishoError as fault:
        return problem_answer(fault)


def _body(request: HttpRequest, caller: Caller, types: tuple[str, ...], most: int) -> bytes:
    """The body, where it is of one of these types and not larger than `most` or the caller's own, narrower limit."""
    given = (request.header("content-type") or "").partition(";")[0].strip(" \t").lower()
    if given not in types:
        named = " or ".join(f"`{name}`" for name in types)
        raise UnsupportedMediaError(f"the content type must be {named}", next_step=f"send `Content-Type: {types[0]}`")
    if caller.limits.body_bytes != MOST_BODY:
        most = min(most, caller.limits.body_bytes)
    if len(request.body) > most:
        raise PayloadTooLargeError(f"the body is larger than {most} bytes")
    return request.body


def _result(outcome: Outcome) -> tuple[int, dict[str, Any]]:
    """(status, body) of one report."""
    if outcome.fate in _REFUSED:
        return _REFUSED[outcome.fate][0], problem(*_REFUSED[outcome.fate])
    held = outcome.held
    assert held is not None  # whatever is kept stands
    kept = {"stored": "this"}.get(outcome.fate, outcome.fate)
    return _OK, {
        "device": outcome.device,
        "source": held.source,
        "kept": kept,
        "observed_at": held.observed_at,
        "etag": etag_of([held]),
    }


def _problem(fate: str) -> HttpAnswer:
    return HttpAnswer(_REFUSED[fate][0], (PROBLEM,), _encode(problem(*_REFUSED[fate])))


def _asked(entry: Any) -> dict[str, str]:
    device = entry.get("device") if isinstance(entry, dict) else None
    return {"asked": device[:_SHOWN]} if isinstance(device, str) else {}


def _report(report: PostureReport) -> dict[str, Any]:
    return {"source": report.source, "observed_at": report.observed_at, "facts": facts_of(report)}
