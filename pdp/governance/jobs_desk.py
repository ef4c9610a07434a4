"""Foresight over HTTP: long work begun, looked at and cancelled; what it found; one request that nobody made; exports.

A worker does nothing of it itself (`pdp.jobs`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence  # noqa: TC003  # the fields of the desk
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from pdp.audit.problem import NO_STORE
from pdp.errors import BadRequestError, NotFoundError, NotPermittedError, NotReadyError
from pdp.explain.fact_table import BY_PATH
from pdp.governance.asking import Members, number_in, query_of
from pdp.governance.desk import Asked
from pdp.governance.jobs_told import job_told, result_told, unpacked
from pdp.governance.reception import Change, Introduced, Reception
from pdp.jobs.job import JOB_KINDS, Progress
from pdp.model.input import check_input
from pdp.revisions.results import KINDS
from pdp.revisions.states import after
from pdp.revisions.warning import MAX_DAYS as MAX_WARN_DAYS
from pdp.revisions.warning import no_former
from pdp.strict_json import MAX_BYTES
from pdp.wire.exchange import HttpAnswer

if TYPE_CHECKING:
    from pdp.jobs.job import Job
    from pdp.jobs.running import Jobs
    from pdp.revisions.opening import Registers
    from pdp.revisions.person import Person
    from pdp.revisions.results import Kept
    from pdp.wire.exchange import HttpRequest

Json = dict[str, Any]
MAX_DAYS: Final = 92  # of a replay: a quarter
REQUEST_S: Final = 45.0  # a few seconds of a core, on a host where another job runs
_CREATED: Final = 201
AT_ONCE: Final = 2  # requests that nobody made, in one worker
_ZIP: Final = ("content-type", "application/zip")
_CONTENTS_ALONE: Final = ("mutation", "check")  # asked of the contents of a revision, and of nothing else
_TOLD: Final = ("kind", "at", "days", "warn_days")  # in the trail


class Choices(NamedTuple):
    """What may be asked for: stated contexts and examples, each with `id`, `ja` and `en`, and targets of exports.

    `deliveries` reads how the tenants stand that exports were delivered to from this host, and blocks.
    """

    contexts: Sequence[Json] = ()
    examples: Sequence[Json] = ()
    targets: Sequence[str] = ()
    deliveries: Callable[[], Sequence[Json]] = tuple


@dataclass(frozen=True)
class JobsDesk:
    """`bounded`: callers, and all that they may see of. `checked` runs a revision's gates, and keeps what they say."""

    reception: Reception
    registers: Registers
    jobs: Jobs
    may: Choices
    bounded: Mapping[str, Sequence[str]]
    asking: asyncio.Semaphore
    checked: Callable[[Person, int, datetime, Callable[[str, int, int], None]], Awaitable[Any]]

    # Long work.

    async def begin(self, request: HttpRequest, number: str) -> HttpAnswer:
        """Everybody, a replay, mutants or the gates, of one revision."""
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            said = asked.members()
            kind: Any = said.text("kind")
            params = _params_of(said)
            said.done()
            if kind not in ("population", "replay", "mutation", "check"):
                raise BadRequestError("`kind` is `population`, `replay`, `mutation` or `check`", pointer="/kind")
            self._check(kind, params)
            person.require("pass" if kind in _CONTENTS_ALONE else "foresee")
            if kind == "check":
                return job_told(await self._gates(person, number_in(number), now))
            of = await asyncio.to_thread(self.registers.revisions.files, number_in(number))
            if of[0].profile != "zta" and kind == "population":
                raise BadRequestError("everybody can be judged by a policy of profile `zta` only")
            if "warn_days" in params and await asyncio.to_thread(self.registers.activations.current) is None:
                raise no_former()
            return job_told(await self.jobs.begin(kind, person.id, params, of))

        told = {name: value for name, value in asked.said().items() if name in _TOLD}
        action: Any = "policy.check" if told.get("kind") == "check" else "policy.job"
        change = Change(action, f"revision {number}"[:64], asked.reason, told)
        return await self.reception.changed(request, change, make, status=_CREATED)

    async def _gates(self, person: Person, number: int, now: datetime) -> Job:
        """Begins a check. Raises ConflictError where the revision takes none in its state, or has one under way."""
        detail = await asyncio.to_thread(self.registers.revisions.detail, number)
        after(detail.revision.state, "pass")

        async def check(told: Callable[[Progress], None]) -> None:
            await self.checked(person, number, now, lambda gate, done, total: told(Progress(gate, done, total)))

        return await self.jobs.check(person.id, number, check)

    def _check(self, kind: str, params: Json) -> None:
        """Raises BadRequestError: what can be seen to be amiss is no job that fails."""
        if kind in _CONTENTS_ALONE:
            if params:
                raise BadRequestError(
                    f"a job of the kind `{kind}` takes no further member", pointer=f"/{next(iter(params))}"
                )
            return
        if kind == "replay":
            if params.keys() != {"days"}:
                raise BadRequestError("a replay takes `days`, and nothing else", pointer="/days")
            return
        if "days" in params:
            raise BadRequestError("`days` is a replay's", pointer="/days")
        if "warn_days" in params and "at" in params:
            raise BadRequestError("a time of warning is foreseen as of now, without `at`", pointer="/at")
        known = {one["id"] for one in self.may.contexts}
        unknown = [name for name in params.get("contexts", ()) if name not in known]
        if unknown:
            raise BadRequestError(f"there is no context `{unknown[0][:32]}`", pointer="/contexts")

    async def of_revision(self, request: HttpRequest, number: str) -> HttpAnswer:
        async def show(_: Person) -> Any:
            now = self.reception.clock()
            found = await asyncio.to_thread(self.jobs.register.all, now, number_in(number))
            return {"jobs": [job_told(one) for one in found]}

        return await self.reception.shown(request, show)

    async def all(self, request: HttpRequest) -> HttpAnswer:
        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            kind: Any = asked.maybe_text("kind")
            asked.done()
            if kind is not None and kind not in JOB_KINDS:
                raise BadRequestError(f"there is no kind `{kind[:32]}`")
            found = await asyncio.to_thread(self.jobs.register.all, self.reception.clock(), None, kind)
            return {"jobs": [job_told(one) for one in found]}

        return await self.reception.shown(request, show)

    async def one(self, request: HttpRequest, job: str) -> HttpAnswer:
        async def show(_: Person) -> Any:
            return job_told(await asyncio.to_thread(self.jobs.register.one, job[:64], self.reception.clock()))

        return await self.reception.shown(request, show)

    async def cancel(self, request: HttpRequest, job: str) -> HttpAnswer:
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            asked.members().done()
            found = await asyncio.to_thread(self.jobs.register.one, job[:64], now)
            if found.by != person.id:
                person.require("cancel")
            return job_told(await asyncio.to_thread(self.jobs.register.cancel, found.id, person.id, now))

        return await self.reception.changed(request, Change("policy.job.cancel", f"job {job}"[:64]), make)

    # What was found.

    async def results(self, request: HttpRequest, number: str) -> HttpAnswer:
        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            kind: Any = asked.maybe_text("kind")
            asked.done()
            if kind is not None and kind not in KINDS:
                raise BadRequestError(f"there is no kind `{kind[:32]}`")
            revision = number_in(number)
            await asyncio.to_thread(self.registers.revisions.detail, revision)  # NotFoundError
            found = await asyncio.to_thread(self.registers.results.all, revision, kind)
            return {"results": [result_told(one) for one in found]}

        return await self.reception.shown(request, show)

    async def result(self, request: HttpRequest, result: str) -> HttpAnswer:
        """With its body: of an export the certificate and the gaps."""

        async def show(person: Person) -> Any:
            kept, body = await self._result(person, result)
            # JSON goes out as it was kept: megabytes of it are not read beside decisions.
            shown = msgspec.Raw(body) if kept.form == "json" else await asyncio.to_thread(unpacked, body)
            return {**result_told(kept), "body": shown}

        return await self.reception.shown(request, show)

    async def files(self, request: HttpRequest, result: str) -> HttpAnswer:
        """The archive of an export."""
        found: list[bytes] = []

        async def show(person: Person) -> Any:
            kept, body = await self._result(person, result)
            if kept.form != "zip":
                raise NotFoundError("this result has no files")
            found.append(body)

        answer = await self.reception.shown(request, show)
        return HttpAnswer(200, (_ZIP, NO_STORE), found[0]) if found else answer

    async def _result(self, person: Person, result: str) -> tuple[Kept, bytes]:
        if self._within(person) is not None:  # it speaks of everybody, by name
            raise NotPermittedError("this caller sees some departments alone, and a result speaks of all")
        return await asyncio.to_thread(self.registers.results.one, number_in(result))

    # One request that nobody made.

    async def choices(self, request: HttpRequest) -> HttpAnswer:
        async def show(_: Person) -> Any:
            return {"contexts": self.may.contexts, "examples": self.may.examples, "most_days": MAX_DAYS}

        return await self.reception.shown(request, show)

    async def ask(self, request: HttpRequest, number: str) -> HttpAnswer:
        asked = Asked(request, most=MAX_BYTES)

        async def make(person: Person, _: datetime) -> Any:
            params = self._request_params(asked.members())
            if params["user"] or params["device"]:
                caller = request.caller if isinstance(request, Introduced) else None
                if caller is None or not caller.may("read_directory"):
                    raise NotPermittedError(
                        "facts of a person or a device need the permission `read_directory`",
                        next_step="take an example, or a document",
                    )
            params["within"] = self._within(person)
            files = (await asyncio.to_thread(self.registers.revisions.files, number_in(number)))[1]
            if self.asking.locked():
                raise NotReadyError("others are asking already", next_step="try again in a moment")
            async with self.asking:
                outcome = await self.jobs.ask(self.jobs.order("request", params, files), REQUEST_S)
            return msgspec.Raw(outcome.body)

        said = asked.said()
        told = {name: said[name] for name in ("user", "device", "resource") if isinstance(said.get(name), str)}
        change = Change("policy.request", f"revision {number}"[:64], None, told)
        return await self.reception.changed(request, change, make)

    def _request_params(self, said: Members) -> Json:
        """Raises BadRequestError: what can be seen to be amiss needs no process."""
        found: Json = {name: said.maybe_text(name) for name in ("user", "device", "resource", "context")}
        found["document"] = said.maybe_object("document")
        found["example"] = said.maybe_number("example", least=0, most=max(len(self.may.examples) - 1, 0))
        found["facts"] = said.maybe_object("facts") or {}
        said.done()
        if found["document"] is None and found["example"] is None and not found["resource"]:
            raise BadRequestError("a document, an example or a system is needed", pointer="/resource")
        if found["document"] is not None:
            check_input(found["document"])
        if unknown := [path for path in found["facts"] if path not in BY_PATH]:
            raise BadRequestError(f"there is no fact `{unknown[0][:64]}`", pointer="/facts")
        if found["context"] and found["context"] not in {one["id"] for one in self.may.contexts}:
            raise BadRequestError(f"there is no context `{found['context'][:32]}`", pointer="/context")
        return found

    def _within(self, person: Person) -> list[str] | None:
        found = self.bounded.get(person.id.removeprefix("caller:"))
        return None if found is None else list(found)

    # Exports.

    async def exports(self, request: HttpRequest) -> HttpAnswer:
        """Every target with its latest exports, and the jobs that make some."""

        async def show(_: Person) -> Any:
            now = self.reception.clock()
            kept = await asyncio.to_thread(self.registers.results.all, None, "export")
            jobs = await asyncio.to_thread(self.jobs.register.all, now, None, "export")
            active = await asyncio.to_thread(self.registers.activations.current)
            return {
                "deliveries": await asyncio.to_thread(self.may.deliveries),
                "active": None if active is None else {"number": active.number, "digest": active.digest},
                "targets": [
                    {
                        "target": target,
                        "exports": [result_told(one) for one in kept if one.label == target],
                        "jobs": [job_told(one) for one in jobs if one.params.get("target") == target][:1],
                    }
                    for target in self.may.targets
                ],
            }

        return await self.reception.shown(request, show)

    async def export(self, request: HttpRequest) -> HttpAnswer:
        asked = Asked(request)

        async def make(person: Person, _: datetime) -> Any:
            said = asked.members()
            target = said.text("target")
            said.done()
            person.require("export")
            if target not in self.may.targets:
                raise BadRequestError(f"there is no target `{target[:32]}`", pointer="/target")
            active = await asyncio.to_thread(self.registers.activations.current)
            read = self.registers.revisions.files
            of = None if active is None else await asyncio.to_thread(read, active.number)
            return job_told(await self.jobs.begin("export", person.id, {"target": target}, of))

        target = asked.said().get("target")
        told = {"target": target} if isinstance(target, str) else {}
        change = Change("policy.export", None, asked.reason, told)
        return await self.reception.changed(request, change, make, status=_CREATED)


def _params_of(said: Members) -> Json:
    found: Json = {}
    if (at := said.maybe_text("at")) is not None:
        found["at"] = _time(at)
    contexts = said.texts("contexts")
    if contexts:
        found["contexts"] = list(contexts)
    if (days := said.maybe_number("days", most=MAX_DAYS)) is not None:
        found["days"] = days
    if warn := said.maybe_number("warn_days", least=0, most=MAX_WARN_DAYS):
        found["warn_days"] = warn
    return found


def _time(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min  # noqa: DTZ901  # refused below, as every other that names no offset
    if found.tzinfo is None:
        raise BadRequestError("`at` is no time with its offset (RFC 3339)", pointer="/at")
    return found.isoformat()
