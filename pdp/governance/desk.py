"""What can be asked of revisions, and done to them. Each method is one path; `routes.py` says which."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.errors import BadRequestError, ConflictError
from pdp.governance.asking import MAX_CONTENTS, Members, body_of, number_in, query_of
from pdp.governance.reception import Change, Reception
from pdp.governance.told import active_told, detail_told, instance_told, review_told, revision_told
from pdp.revisions.files import bundle_of, differences
from pdp.revisions.gate import Candidate, run_gates
from pdp.revisions.sealing import Signed
from pdp.revisions.states import State
from pdp.revisions.warning import MAX_DAYS
from pdp.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.errors import SekishoError
    from pdp.revisions.gate import Gate
    from pdp.revisions.opening import Registers
    from pdp.revisions.person import Person
    from pdp.revisions.revision import Active, Revision
    from pdp.revisions.states import Step
    from pdp.wire.exchange import HttpAnswer, HttpRequest

_STATES: Final = frozenset(get_args(State))
_CREATED: Final = 201
_STATEMENT_STEPS: Final = ("activate", "schedule", "rollback")


@dataclass(frozen=True)
class Desk:
    """`tell` is called with the new epoch after each activation: the workers then look at once.

    `configured`: the files of the bundle that decides where nothing was ever activated. Blocks.
    """

    reception: Reception
    registers: Registers
    gates: Sequence[Gate]
    tell: Callable[[int], None]
    checking: asyncio.Lock  # one check at a time in one worker: each starts engines
    configured: Callable[[], Mapping[str, str]]

    # Looking.

    async def revisions(self, request: HttpRequest) -> HttpAnswer:
        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            states: list[Any] = [word for word in (asked.maybe_text("state") or "").split(",") if word]
            before, size = asked.maybe_number("before"), asked.maybe_number("size", most=200) or 50
            asked.done()
            if unknown := [word for word in states if word not in _STATES]:
                raise BadRequestError(f"there is no state `{unknown[0][:32]}`")
            found = await asyncio.to_thread(self.registers.revisions.all, states, before=before, size=size)
            more = found[-1].number if len(found) == size else None
            return {"revisions": [revision_told(one) for one in found], "next": more}

        return await self.reception.shown(request, show)

    async def revision(self, request: HttpRequest, number: str) -> HttpAnswer:
        async def show(person: Person) -> Any:
            return await self._detail(person, number)

        return await self.reception.shown(request, show)

    async def _detail(self, person: Person, number: str) -> Any:
        """`may`: of its `steps`, those that this person may take."""
        detail = await asyncio.to_thread(self.registers.revisions.detail, number_in(number))
        return {**detail_told(detail), "may": list(self.registers.revisions.may(person, detail))}

    async def files(self, request: HttpRequest, number: str) -> HttpAnswer:
        async def show(_: Person) -> Any:
            revision, files = await asyncio.to_thread(self.registers.revisions.files, number_in(number))
            return {"number": revision.number, "source_digest": revision.source_digest, "files": files}

        return await self.reception.shown(request, show)

    async def diff(self, request: HttpRequest, number: str) -> HttpAnswer:
        """Against `against`; without it against the revision of record, or else the configured bundle."""

        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            against = asked.maybe_number("against")
            asked.done()
            return await asyncio.to_thread(self._diff, number_in(number), against)

        return await self.reception.shown(request, show)

    def _diff(self, number: int, against: int | None) -> Any:
        if against is None:
            active = self.registers.activations.current()
            against = None if active is None else active.number
        before = self.configured() if against is None else self.registers.revisions.files(against)[1]
        after = self.registers.revisions.files(number)[1]
        return {"number": number, "against": against, "files": differences(before, after)}

    async def statement(self, request: HttpRequest, number: str) -> HttpAnswer:
        """What is to be signed elsewhere for a step."""

        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            step: Any = asked.maybe_text("step") or "activate"
            epoch = asked.maybe_number("epoch")
            asked.done()
            if step not in _STATEMENT_STEPS:
                raise BadRequestError(f"`step` is one of {', '.join(_STATEMENT_STEPS)}")
            make, now = self.registers.activations.statement_for, self.reception.clock()
            return {"statement": (await asyncio.to_thread(make, number_in(number), step, now, epoch=epoch)).text}

        return await self.reception.shown(request, show)

    async def policy(self, request: HttpRequest) -> HttpAnswer:
        """What is of record, what is planned, and which worker serves what."""

        async def show(_: Person) -> Any:
            registers = self.registers
            active = await asyncio.to_thread(registers.activations.current)
            planned = await asyncio.to_thread(registers.revisions.all, ["scheduled"])
            instances = await asyncio.to_thread(registers.instances.all)
            return {
                "active": None if active is None else active_told(active),
                "scheduled": [revision_told(one) for one in planned],
                "instances": [instance_told(one) for one in instances],
            }

        return await self.reception.shown(request, show)

    async def activations(self, request: HttpRequest) -> HttpAnswer:
        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            before, size = asked.maybe_number("before"), asked.maybe_number("size", most=200) or 50
            asked.done()
            found = await asyncio.to_thread(self.registers.activations.past, before=before, size=size)
            more = found[-1].epoch if len(found) == size else None
            return {"activations": [active_told(one) for one in found], "next": more}

        return await self.reception.shown(request, show)

    async def reviews(self, request: HttpRequest) -> HttpAnswer:
        async def show(_: Person) -> Any:
            asked = Members(query_of(request))
            closed = asked.maybe_text("closed") == "true"
            asked.done()
            found = await asyncio.to_thread(self.registers.reviews.all, closed=closed)
            return {"reviews": [review_told(one) for one in found]}

        return await self.reception.shown(request, show)

    # Writing.

    async def create(self, request: HttpRequest) -> HttpAnswer:
        """A new draft, of files, or of the files of another revision (`parent` without `files`)."""
        asked = await asyncio.to_thread(Asked, request, most=MAX_CONTENTS)

        async def make(person: Person, now: datetime) -> Any:
            said = asked.members()
            reason, parent = said.text("reason"), said.maybe_number("parent")
            if asked.has("files") or parent is None:
                files = said.texts_by_name("files")
            else:
                files = (await asyncio.to_thread(self.registers.revisions.files, parent))[1]
            said.done()
            create = self.registers.revisions.create
            return revision_told(await asyncio.to_thread(create, person, files, reason, now, parent=parent))

        change = Change("policy.draft", None, asked.reason)
        return await self.reception.changed(request, change, make, status=_CREATED)

    async def edit(self, request: HttpRequest, number: str) -> HttpAnswer:
        asked = await asyncio.to_thread(Asked, request, most=MAX_CONTENTS)

        async def make(person: Person, now: datetime) -> Any:
            said = asked.members()
            reason, digest, files = said.text("reason"), said.text("source_digest"), said.texts_by_name("files")
            said.done()
            edit = self.registers.revisions.edit
            found = await asyncio.to_thread(edit, person, number_in(number), files, reason, now, source_digest=digest)
            return revision_told(found)

        return await self.reception.changed(request, asked.change("policy.edit", number), make)

    async def check(self, request: HttpRequest, number: str) -> HttpAnswer:
        """Run every gate, and keep what they found. The answer is the whole revision, with the results."""
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            asked.members().done()
            person.require("pass")
            if self.checking.locked():
                raise ConflictError("another revision is being checked", next_step="try again in a moment")
            async with self.checking:
                await self.checked(person, number_in(number), now)
            return await self._detail(person, number)

        return await self.reception.changed(request, asked.change("policy.check", number), make)

    async def checked(
        self, person: Person, number: int, now: datetime, told: Callable[[str, int, int], None] = lambda *_: None
    ) -> Revision:
        """The revision after its gates. `told`: as of `run_gates`."""
        revisions = self.registers.revisions
        revision, files = await asyncio.to_thread(revisions.files, number)
        bundle = await asyncio.to_thread(bundle_of, files)
        results = await run_gates(self.gates, Candidate(number, files, bundle), told)
        return await asyncio.to_thread(revisions.keep_gates, person, number, revision.source_digest, results, now)

    def simple(self, step: Step) -> Callable[[HttpRequest, str], Any]:
        """The paths of the steps that take a reason, and perhaps the digest of what was looked at."""

        async def answer(request: HttpRequest, number: str) -> HttpAnswer:
            asked = Asked(request)

            async def make(person: Person, now: datetime) -> Any:
                said = asked.members()
                reason = said.text("reason")
                named: dict[str, Any] = {}
                if step in ("approve", "endorse"):
                    named["source_digest"] = said.maybe_text("source_digest")
                if step == "submit":
                    named["warn_days"] = said.maybe_number("warn_days", least=0, most=MAX_DAYS) or 0
                said.done()
                registers = self.registers
                register: Any = registers.activations if step == "unschedule" else registers.revisions
                found = await asyncio.to_thread(
                    getattr(register, step), person, number_in(number), reason, now, **named
                )
                return revision_told(found)

            return await self.reception.changed(request, asked.change(f"policy.{step}", number), make)

        return answer

    # What is of record.

    async def schedule(self, request: HttpRequest, number: str) -> HttpAnswer:
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            said = asked.members()
            at, reason, signed = said.time("at"), said.text("reason"), _signed(said)
            said.done()
            plan = self.registers.activations.schedule
            return revision_told(
                await asyncio.to_thread(plan, person, number_in(number), at, reason, now, signed=signed)
            )

        return await self.reception.changed(request, asked.change("policy.schedule", number), make)

    async def activate(self, request: HttpRequest, number: str) -> HttpAnswer:
        return await self._of_record(request, "activate", number)

    async def rollback(self, request: HttpRequest, number: str) -> HttpAnswer:
        return await self._of_record(request, "rollback", number)

    async def renew(self, request: HttpRequest) -> HttpAnswer:
        return await self._of_record(request, "renew", None)

    async def _of_record(self, request: HttpRequest, step: Any, number: str | None) -> HttpAnswer:
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            said = asked.members()
            reason, epoch, signed = said.text("reason"), said.maybe_number("epoch"), _signed(said)
            enforce = step == "renew" and said.flag("enforce")
            said.done()
            whose: tuple[Any, ...] = () if number is None else (number_in(number),)
            named = {"enforce": True} if enforce else {}
            do: Any = getattr(self.registers.activations, step)
            active: Active = await asyncio.to_thread(
                lambda: do(person, *whose, reason, now, signed=signed, epoch=epoch, **named)
            )
            self.tell(active.epoch)
            return active_told(active)

        return await self.reception.changed(request, asked.change(f"policy.{step}", number), make)

    async def close_review(self, request: HttpRequest, review: str) -> HttpAnswer:
        asked = Asked(request)

        async def make(person: Person, now: datetime) -> Any:
            said = asked.members()
            note = said.text("note")
            said.done()
            close = self.registers.reviews.close
            return review_told(await asyncio.to_thread(close, person, number_in(review), note, now))

        return await self.reception.changed(
            request, Change("policy.review", f"review {review}"[:64], asked.reason), make
        )


class Asked:
    """The body, read once: the trail is to know the reason also of what is then refused."""

    def __init__(self, request: HttpRequest, *, most: int = MAX_BYTES) -> None:
        """`most`: bytes; a body of files is longer than others."""
        self._fault: SekishoError | None = None
        self._said: dict[str, Any] = {}
        try:
            self._said = body_of(request, most=most)
        except BadRequestError as fault:
            self._fault = fault

    @property
    def reason(self) -> str | None:
        found = self._said.get("reason", self._said.get("note"))
        return found if isinstance(found, str) else None

    def has(self, name: str) -> bool:
        return name in self._said

    def said(self) -> dict[str, Any]:
        """For the trail, which is to know it before it is read; whether it can be taken is not yet known."""
        return dict(self._said)

    def members(self) -> Members:
        """Raises what is wrong with the body."""
        if self._fault is not None:
            raise self._fault
        return Members(self._said)

    def change(self, action: Any, number: str | None) -> Change:
        at = self._said.get("at")
        told = {"at": at} if isinstance(at, str) else {}
        return Change(action, None if number is None else f"revision {number}"[:64], self.reason, told)


def _signed(said: Members) -> Signed | None:
    statement, signatures = said.maybe_text("statement"), said.maybe_text("signatures")
    if (statement is None) != (signatures is None):
        raise BadRequestError("`statement` and `signatures` belong together")
    return None if statement is None or signatures is None else Signed(statement, signatures)
