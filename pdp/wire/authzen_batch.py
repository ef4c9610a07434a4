"""Access evaluations: several questions in one call (AuthZEN 1.0 section 7, "boxcar").

- The top level gives defaults. An item's member overrides its default whole; only a REQUIRED member that
  the overriding entity lacks is then taken from the default (the conformance suite asks for it, section 7.1.1
  of the specification for the former).
- A fault of one item is that item's `{"decision": false}` with the error in its context, recorded; a fault
  of the whole body is a 400. An item without a subject is a fault of that item.
- `execute_all` decides every item: what is known here at once, the rest several at a time, so that the engine can take
  them together; and the records of all go to the log together.
  `deny_on_first_deny` and `permit_on_first_permit` go one by one; the answer ends with the item that ended it.
- No `evaluations`, or an empty list: one evaluation, with its answer.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar, cast, get_args

from pdp.callers.caller import require_profile
from pdp.errors import BadRequestError, CallerRefusedError, NotReadyError, PayloadTooLargeError, SekishoError
from pdp.steps import Recording
from pdp.wire.authzen_answer import decision_answer, decision_json, encode_json
from pdp.wire.authzen_call import WIRE, require
from pdp.wire.authzen_entities import REQUIRED, optional
from pdp.wire.error_answer import JSON, echo, told
from pdp.wire.exchange import HttpAnswer, Refusal
from pdp.wire.one_policy import under_one_policy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from pdp.bundle.bundle import Profile
    from pdp.model.decision import Decision
    from pdp.wire.authzen_call import Call, Reception
    from pdp.wire.authzen_readings import Readings
    from pdp.wire.exchange import HttpRequest

MAX_ITEMS: Final = 100  # evaluations in one call; standards, section 1.9
AT_ONCE: Final = 32  # questions of one call in one turn of the loop, or with the engine: others' calls get theirs
CALLS_AT_ONCE: Final = 8  # under way in one worker; more take as long together, and 50 MB that are not given back
TURN_S: Final = 5.0  # as long as a record may wait for the log
MAX_LISTED_IDS: Final = 50  # decision ids in one header: 1.9 KB, below the 4 KB that proxies take by default

Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]
_SEMANTICS: Final[tuple[str, ...]] = get_args(Semantic)
_ENDS_ON: Final[Mapping[Semantic, bool | None]] = {
    "execute_all": None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}

_Q = TypeVar("_Q")
_A = TypeVar("_A")


class _Item(NamedTuple):
    id: str  # of the decision, or of the recorded refusal
    permits: bool
    json: bytes
    policy: str | None = None  # the digest of the bundle that decided; None: a refusal


class _Asking(NamedTuple):
    """What all items of one call have in common."""

    call: Call
    profile: Profile
    defaults: Mapping[str, Any]


class Evaluations:
    """`POST /access/v1/evaluations`."""

    def __init__(
        self, reception: Reception, profile: Callable[[], Profile], readings: Readings, *, turn_s: float = TURN_S
    ) -> None:
        self._reception = reception
        self._decider = reception.decider
        self._profile = profile
        self._readings = readings
        self._turn_s = turn_s
        self._turns = asyncio.Semaphore(CALLS_AT_ONCE)

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        return await self._reception.serve(request, "decide", self._in_turn)

    async def _in_turn(self, call: Call) -> HttpAnswer:
        """Known callers wait here, with the bytes of their questions: taken apart and answered that is fifteen times
        as much. Raises NotReadyError where others, which may wait for the engine or the log, take too long.
        """
        try:
            async with asyncio.timeout(self._turn_s):
                await self._turns.acquire()
        except TimeoutError:
            raise NotReadyError("too many calls of several evaluations are under way") from None
        try:
            return await self._answer(call)
        finally:
            self._turns.release()

    async def _answer(self, call: Call) -> HttpAnswer:
        semantic = _semantic(call.body)
        items = optional(call.body, "evaluations", list, "")
        profile = require_profile(call.caller, self._profile())
        if not items:
            decision = await self._decider.decide(self._readings.asked(call, profile), call.caller)
            return decision_answer(decision, profile, call.caller, call.request_id)
        require(call.caller, "batch")
        most = min(MAX_ITEMS, call.caller.limits.batch)
        if len(items) > most:
            raise PayloadTooLargeError(f"more than {most} evaluations in one call", pointer="/evaluations")
        call.caller.spend(len(items) - 1)
        defaults = {name: optional(call.body, name, dict, "") for name in _INHERITED if name in call.body}

        asking = _Asking(call, profile, defaults)
        ends_on = _ENDS_ON[semantic]

        async def attempt(policies: set[str]) -> list[_Item]:
            decided = await (self._all(items, asking) if ends_on is None else self._until(items, asking, ends_on))
            policies.update(item.policy for item in decided if item.policy is not None)
            return decided

        decided = await under_one_policy(attempt)
        ids = ",".join([item.id for item in decided[:MAX_LISTED_IDS]])
        body = b'{"evaluations":[%b]}' % b",".join([item.json for item in decided])
        return HttpAnswer(200, (JSON, *echo(call.request_id, ids)), body)

    async def _all(self, items: Sequence[Any], asking: _Asking) -> list[_Item]:
        """Every item: those that are known here at once, which then wait for their records together; the others beside
        one another. Raises NotReadyError only: then there is no answer at all, and nothing is left running.
        """
        found: list[_Item | None] = [None] * len(items)
        recordings: list[tuple[int, Recording]] = []
        others: list[tuple[int, Coroutine[Any, Any, _Item]]] = []
        try:
            for index, item in enumerate(items):
                if index % AT_ONCE == AT_ONCE - 1:
                    await asyncio.sleep(0)  # others' calls get their turn
                begun = self._begin(item, asking, index)
                if isinstance(begun, Recording):
                    recordings.append((index, begun))
                else:
                    others.append((index, begun))
            rest = await in_order(_awaited, [one for _, one in others])
        finally:
            for _, one in others:
                one.close()  # of one that has ended it changes nothing
            for _, recording in recordings:
                with suppress(NotReadyError):  # told below; nothing is left running
                    await recording.kept
        for (index, _), item in zip(others, rest, strict=True):
            found[index] = item
        for index, recording in recordings:
            found[index] = _item(recording.decision(), asking)
        return [item for item in found if item is not None]

    async def _until(self, items: Sequence[Any], asking: _Asking, ends_on: bool) -> list[_Item]:
        """One item after the other, to the first whose answer is `ends_on`. Raises NotReadyError only."""
        decided: list[_Item] = []
        for index, item in enumerate(items):
            begun = self._begin(item, asking, index)
            if isinstance(begun, Recording):
                await begun.kept
                decided.append(_item(begun.decision(), asking))
            else:
                decided.append(await begun)
            if decided[-1].permits is ends_on:
                break
        return decided

    def _begin(self, item: Any, asking: _Asking, index: int) -> Recording | Coroutine[Any, Any, _Item]:
        """One item, decided or refused. Raises NotReadyError only."""
        call, profile, at = asking.call, asking.profile, f"/evaluations/{index}"
        try:
            asked = self._readings.asked_by_item(with_defaults(item, asking.defaults, at), call, profile, at)
        except (BadRequestError, CallerRefusedError) as fault:
            return self._refused(fault, call)
        begun = self._decider.begin(asked, call.caller)
        return begun if isinstance(begun, Recording) else _decided(begun, asking)

    async def _refused(self, fault: SekishoError, call: Call) -> _Item:
        refusal = Refusal(fault=fault, wire=WIRE, request_id=call.request_id)
        decision_id = await self._decider.refuse(refusal, call.caller)
        error = {"status": fault.status, "message": told(fault)}
        body = encode_json({"decision": False, "context": {"error": error}})
        return _Item(decision_id, permits=False, json=body)


# The members of a question, and what of each an item takes from the default where its own entity lacks it.
_INHERITED: Final[Mapping[str, tuple[str, ...]]] = {
    **{str(kind): must for kind, must in REQUIRED.items()},
    "context": (),
}


def with_defaults(item: Any, defaults: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The four members of one item: its own, else the default's. Raises BadRequestError where it is no object."""
    if type(item) is not dict:
        raise BadRequestError("must be an object", pointer=at)
    merged = dict(defaults)
    for name in _INHERITED:
        if name in item:
            merged[name] = _completed(item[name], defaults.get(name), _INHERITED[name])
    return merged


def _completed(own: Any, default: Any, required: tuple[str, ...]) -> Any:
    if not default or type(own) is not dict:
        return own
    lacking = {name: default[name] for name in required if name not in own and name in default}
    return {**own, **lacking} if lacking else own


async def in_order(ask: Callable[[_Q], Awaitable[_A]], questions: Sequence[_Q], at_once: int = AT_ONCE) -> list[_A]:
    """The answers, in the order of the questions, at most `at_once` of them under way.

    Where one raises, the others are waited for and the first error is raised: nothing is left running.
    """
    answers: list[_A | BaseException] = [_UNASKED] * len(questions)
    waiting = iter(enumerate(questions))

    async def worker() -> None:
        for number, question in waiting:
            try:
                answers[number] = await ask(question)
            except _STOP:
                raise
            except BaseException as fault:  # noqa: BLE001  # raised below, when nothing is left running
                answers[number] = fault

    await asyncio.gather(*(worker() for _ in range(min(at_once, len(questions)))))
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return cast("list[_A]", answers)


_UNASKED: Final = RuntimeError("a question was not asked")
_STOP: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit)


async def _awaited(item: Coroutine[Any, Any, _Item]) -> _Item:
    return await item


async def _decided(deciding: Coroutine[Any, Any, Decision], asking: _Asking) -> _Item:
    return _item(await deciding, asking)


def _item(decision: Decision, asking: _Asking) -> _Item:
    json = decision_json(decision, asking.profile, asking.call.caller)
    return _Item(decision.id, decision.permits, json, decision.bundle_digest)


def _semantic(body: Mapping[str, Any]) -> Semantic:
    options = optional(body, "options", dict, "") or {}
    name = options.get("evaluations_semantic", "execute_all")
    if name not in _SEMANTICS:
        raise BadRequestError(f"must be one of {', '.join(_SEMANTICS)}", pointer="/options/evaluations_semantic")
    return cast("Semantic", name)
