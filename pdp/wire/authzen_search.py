"""Which subjects, resources or actions would be permitted (AuthZEN 1.0 section 8).

Every candidate is decided, and recorded, exactly as an evaluation would be, so a result that is fed back
to the evaluation endpoint gives `true`. Results hold `type` and `id`, or `name`, and nothing else.

A candidate that could not be judged (`EVALUATION_ERROR`) takes the answer away: 503, and no list with a gap.

One call judges at most `MAX_CANDIDATES`; whatever remains is for the next page, also where no `page` was
asked for: `page.next_token` is then not empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.callers.caller import require_profile
from pdp.errors import BadRequestError, NotReadyError
from pdp.model.decision import EVALUATION_ERROR
from pdp.wire.authzen_answer import encode_json
from pdp.wire.authzen_batch import AT_ONCE, in_order
from pdp.wire.authzen_entities import REQUIRED, SEARCHED, Question, optional, optional_text, read_entity
from pdp.wire.authzen_mapping import access_request
from pdp.wire.candidates import Candidate
from pdp.wire.error_answer import JSON, echo
from pdp.wire.exchange import HttpAnswer
from pdp.wire.one_policy import under_one_policy
from pdp.wire.page_token import MAX_TOKEN, mark_of, query_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.bundle.bundle import Profile
    from pdp.model.decision import Decision
    from pdp.wire.authzen_call import Call, Reception
    from pdp.wire.authzen_entities import Kind
    from pdp.wire.candidates import Candidates
    from pdp.wire.exchange import HttpRequest
    from pdp.wire.page_token import Cursor, PageTokens

MAX_CANDIDATES: Final = 1_000  # judged in one call: half a second of one core; and results in one page
_MIN_AT_ONCE: Final = 8  # a page of one result still asks the engine for several
_NOBODY: Final = Candidate("")


@dataclass(frozen=True, slots=True)
class Searching:
    """What the three searches share. `candidates` gives those of the active bundle and directory."""

    candidates: Callable[[], Candidates]
    tokens: PageTokens
    clock: Callable[[], datetime]


class Search:
    """`POST /access/v1/search/{subject,resource,action}`; `kind` is what is searched for."""

    def __init__(self, kind: Kind, reception: Reception, profile: Callable[[], Profile], searching: Searching) -> None:
        self._kind: Kind = kind
        self._reception = reception
        self._profile = profile
        self._searching = searching

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        return await self._reception.serve(request, "search", self._answer)

    async def _answer(self, call: Call) -> HttpAnswer:
        pattern = _pattern(call.body, self._kind)
        profile = require_profile(call.caller, self._profile())
        access_request(_with(pattern, self._kind, _NOBODY), profile, call)  # faults, before anybody is judged
        candidates = self._candidates(pattern)
        start, limit, page = self._position(pattern, candidates, call)

        async def attempt(policies: set[str]) -> tuple[list[Candidate], int]:
            async def judge(candidate: Candidate) -> Decision:
                asked = access_request(_with(pattern, self._kind, candidate), profile, call)
                decision = await self._reception.decider.decide(asked, call.caller)
                if EVALUATION_ERROR in decision.verdict.reasons:  # a list with a gap would pass for the whole truth
                    raise NotReadyError("a candidate could not be judged")
                policies.add(decision.bundle_digest)
                return decision

            return await _found(judge, candidates, start, limit)

        found, end = await under_one_policy(attempt)
        call.caller.spend(max(end - start - 1, 0))
        results = [_result(pattern, self._kind, candidate) for candidate in found]
        answer: dict[str, Any] = {"results": results}
        if page is not None or end < len(candidates):
            token = self._next_token(pattern, candidates, end, limit, call)
            answer = {"page": {"next_token": token, "count": len(results)}, **answer}
        return HttpAnswer(200, (JSON, *echo(call.request_id, None)), encode_json(answer))

    def _candidates(self, pattern: Question) -> Sequence[Candidate]:
        known = self._searching.candidates()
        if self._kind == "action":
            return known.actions()
        if self._kind == "subject":
            return known.subjects(pattern.subject["type"])
        return known.resources(pattern.resource["type"])

    def _position(
        self, pattern: Question, candidates: Sequence[Candidate], call: Call
    ) -> tuple[int, int, Mapping[str, Any] | None]:
        """(candidates already judged, results asked for, the request's `page`). Raises BadRequestError."""
        page = optional(call.body, "page", dict, "")
        if page is None:
            return 0, MAX_CANDIDATES, None
        limit = _limit(page)
        token = optional_text(page, "token", "/page", MAX_TOKEN)
        if not token:
            return 0, MAX_CANDIDATES if limit is None else limit, page
        cursor = self._searching.tokens.read(token, self._query(pattern, call), self._searching.clock())
        _check_cursor(cursor, candidates, limit)
        return cursor.position, cursor.limit, page

    def _next_token(self, pattern: Question, candidates: Sequence[Candidate], end: int, limit: int, call: Call) -> str:
        if end >= len(candidates):
            return ""
        mark = _mark(candidates, end)
        return self._searching.tokens.issue(end, limit, mark, self._query(pattern, call), self._searching.clock())

    def _query(self, pattern: Question, call: Call) -> bytes:
        return query_bytes(f"search/{self._kind}", call.caller.id, pattern.document())


def _pattern(body: Mapping[str, Any], kind: Kind) -> Question:
    """The question with a gap: the searched entity has no `id` or `name`, and one that was sent is ignored."""
    entities = {}
    for known in REQUIRED:
        if known != kind:
            entities[known] = read_entity(body, known, "", REQUIRED[known])
        elif kind == "action":
            entities[known] = {}  # an unknown member of this request (section 8.6.1)
        else:
            given = read_entity(body, known, "", SEARCHED[known])
            entities[known] = {name: value for name, value in given.items() if name != "id"}
    return Question(**entities, context=optional(body, "context", dict, ""))


def _with(pattern: Question, kind: Kind, candidate: Candidate) -> dict[str, Any]:
    """The question with one candidate in the gap. What the service knows of it goes before what was sent."""
    gap: dict[str, Any] = getattr(pattern, kind)
    entity: dict[str, Any] = {"name": candidate.id} if kind == "action" else {**gap, "id": candidate.id}
    if candidate.properties:
        entity["properties"] = {**gap.get("properties", {}), **candidate.properties}
    return {**pattern.document(), kind: entity}


def _result(pattern: Question, kind: Kind, candidate: Candidate) -> dict[str, str]:
    if kind == "action":
        return {"name": candidate.id}
    return {"type": getattr(pattern, kind)["type"], "id": candidate.id}


async def _found(
    judge: Callable[[Candidate], Any], candidates: Sequence[Candidate], start: int, limit: int
) -> tuple[list[Candidate], int]:
    """The permitted candidates from `start` on, at most `limit`, and how many candidates that took."""
    found: list[Candidate] = []
    end = start
    last = min(len(candidates), start + MAX_CANDIDATES)
    while end < last and len(found) < limit:
        group = candidates[end : min(last, end + min(AT_ONCE, max(limit - len(found), _MIN_AT_ONCE)))]
        for candidate, decision in zip(group, await in_order(judge, group), strict=True):
            end += 1
            if decision.permits:
                found.append(candidate)
            if len(found) == limit:
                break
    return found, end


def _limit(page: Mapping[str, Any]) -> int | None:
    limit: int | None = optional(page, "limit", int, "/page")
    if limit is not None and limit < 0:
        raise BadRequestError("must not be negative", pointer="/page/limit")
    return None if limit is None else min(limit, MAX_CANDIDATES)


def _check_cursor(cursor: Cursor, candidates: Sequence[Candidate], limit: int | None) -> None:
    if limit is not None and limit != cursor.limit:
        raise BadRequestError("must stay the same from page to page", pointer="/page/limit")
    if cursor.position > len(candidates) or _mark(candidates, cursor.position) != cursor.mark:
        raise BadRequestError("what is searched has changed; start the search again", pointer="/page/token")


def _mark(candidates: Sequence[Candidate], position: int) -> str:
    return mark_of(candidates[position - 1].id) if position else ""
