"""What an editor asks while somebody writes: is this draft right, do its tests hold, what may stand here.

The files need not be kept anywhere: `files` are laid over those of the revision `base`, and null takes one away.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from pdp.errors import BadRequestError, BundleError, EngineTimeoutError
from pdp.governance.asking import MAX_CONTENTS, Members, number_in, query_of
from pdp.governance.desk import Asked
from pdp.governance.reception import Change, Reception
from pdp.governance.vocabulary import vocabulary_of
from pdp.jobs.turns import Turns
from pdp.revisions.files import bundle_of, check_files, laid_over
from pdp.revisions.results import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from pdp.revisions.opening import Registers
    from pdp.revisions.person import Person
    from pdp.wire.exchange import HttpAnswer, HttpRequest

MOST_AT_ONCE: Final = 2  # processes that try drafts, in one worker: an editor asks at each pause in typing
MOST_WAITING: Final = 16  # behind them
WAIT_S: Final = 20.0  # a check of the shipped policy takes one or two seconds, its tests some more


def turns_of_trials() -> Turns:
    """The places of one worker."""
    return Turns(MOST_AT_ONCE, wait_s=WAIT_S, most=MOST_WAITING)


class Trying(Protocol):
    """`pdp.gates.trying`: a process of its own, bounded in time and memory."""

    async def faults(self, files: Mapping[str, str]) -> Mapping[str, Any]:
        """Raises EngineError."""
        ...

    async def tests(self, files: Mapping[str, str]) -> Mapping[str, Any]:
        """Raises BundleError and EngineError."""
        ...


@dataclass(frozen=True)
class DraftsDesk:
    """Each method is one path; `routes.py` says which. `trials`: the places in which drafts are tried.

    `configured`: the files of the bundle that decides where nothing was ever activated. Blocks.
    """

    reception: Reception
    registers: Registers
    trying: Trying
    trials: Turns
    configured: Callable[[], Mapping[str, str]]

    async def start(self, request: HttpRequest) -> HttpAnswer:
        """What a new draft begins with: a revision; without one the revision of record, or the configured bundle."""

        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            number = asked.maybe_number("revision", most=999_999_999)
            asked.done()
            return await asyncio.to_thread(self._start, number)

        return await self.reception.shown(request, show)

    def _start(self, number: int | None) -> Any:
        active = self.registers.activations.current() if number is None else None
        number = number if active is None else active.number
        files = self.configured() if number is None else self.registers.revisions.files(number)[1]
        return {"number": number, "files": dict(files)}

    async def check(self, request: HttpRequest) -> HttpAnswer:
        """Every fault of a draft as it stands, with its place. Nothing is kept."""
        return await self._tried(request, self.trying.faults)

    async def test(self, request: HttpRequest) -> HttpAnswer:
        """Its tests, with coverage, and its scenarios. Nothing is kept."""
        return await self._tried(request, self.trying.tests)

    async def _tried(self, request: HttpRequest, judge: Any) -> HttpAnswer:
        async def show(person: Person) -> Any:
            person.require("pass")
            asked = await asyncio.to_thread(Asked, request, most=MAX_CONTENTS)
            said = asked.members()
            base, changes = said.maybe_number("base", most=999_999_999), said.changes("files")
            said.done()
            files = await asyncio.to_thread(self._files, base, changes)
            return await self._turn(person, judge, files)

        return await self.reception.shown(request, show)

    def _files(self, base: int | None, changes: dict[str, Any]) -> dict[str, str]:
        if base is None and not changes:
            raise BadRequestError("there is nothing to be looked at", next_step="send `base`, `files`, or both")
        under = {} if base is None else self.registers.revisions.files(base)[1]
        return check_files(laid_over(under, changes))

    async def _turn(self, person: Person, judge: Any, files: Mapping[str, str]) -> Any:
        """Raises ConflictError where its turn does not come."""
        try:
            async with self.trials.turn(person.id):
                return await judge(files)
        except BundleError as fault:  # it is the draft that is wrong, and not this service
            place = f"{fault.where}: " if fault.where else ""
            raise BadRequestError(f"{place}{fault.message}", next_step="check it: every fault has its place") from None
        except EngineTimeoutError as fault:
            raise BadRequestError(fault.message, next_step="look for what does not end, or grows too large") from None

    async def test_revision(self, request: HttpRequest, number: str) -> HttpAnswer:
        """The same of a revision; what was found is kept with it."""
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            asked.members().done()
            person.require("pass")
            revision, files = await asyncio.to_thread(self.registers.revisions.files, number_in(number))
            report = await self._turn(person, self.trying.tests, files)
            finding = Finding(
                kind="tests",
                number=revision.number,
                digest=revision.digest,
                source_digest=revision.source_digest,
                body=msgspec.json.encode(report),
                summary=_summary(report),
            )
            kept = await asyncio.to_thread(self.registers.results.keep, finding, person.id, now)
            return {"result": kept.id, **report}

        told = Change("policy.check", f"revision {number}"[:64], None, {"what": "tests"})
        return await self.reception.changed(request, told, make)

    async def vocabulary(self, request: HttpRequest) -> HttpAnswer:
        """The facts that a policy may ask for, and the builtins that one of this revision may call."""

        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            number = asked.maybe_number("revision", most=999_999_999)
            asked.done()
            if number is None:
                return vocabulary_of({})
            files = (await asyncio.to_thread(self.registers.revisions.files, number))[1]
            return vocabulary_of((await asyncio.to_thread(bundle_of, files)).capabilities)

        return await self.reception.shown(request, show)


def _summary(report: Mapping[str, Any]) -> dict[str, Any]:
    coverage = report["coverage"]
    broken = sum(not one["passed"] for one in report["scenarios"])
    return {
        "passed": report["passed"],
        "failed": report["failed"],
        "percent": None if coverage is None else coverage["percent"],
        "scenarios_passed": len(report["scenarios"]) - broken,
        "scenarios_failed": broken,
    }
