"""One recorded decision, explained and judged again, by the policy that decided it and an engine of its own.

The engine that answers decisions is never asked: an explanation takes hundreds of evaluations. One at a time in a
worker, within a deadline; the engine ends with the answer.

With veiled eyes (`audit_operate`) no document is shown. What is shown of an explanation are the causes and what would
help, which follow from the reason codes that these eyes see anyway; facts that hold a name are left out.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import BadRequestError, EngineError, NotReadyError
from pdp.explain.explanation import explain
from pdp.explain.fact_table import FACTS, group_of, value_at
from pdp.explain.policy import Policy
from pdp.explain.report import explanation_json, text_json
from pdp.model.decision import Outcome, Verdict
from pdp.model.input import decode_input
from pdp.replaying.answer import held_in
from pdp.replaying.court import Court
from pdp.replaying.hidden import hides_what_counts
from pdp.replaying.single import nothing_to_judge, replay_one

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pdp.bundle.bundle import Bundle
    from pdp.declog.record import Record
    from pdp.engine.port import Engine
    from pdp.replaying.court import Bench

Json = dict[str, Any]
DEADLINE_S: Final = 25.0
WAIT_S: Final = 10.0  # for whoever is before
MOST_EVALUATIONS: Final = 1_500  # of one explanation: two to four seconds of one core
ENGINE: Final = "regorus"
# Their values are names, or lists in which one may stand.
NAMING: Final = frozenset(
    {"subject.id", "subject.organisation", "subject.departments", "subject.roles", "device.id", "device.posture.source"}
    | {"resource.departments", "resource.organisations"}
)


class Recomputing:
    """`load`: a bundle by its digest; `make`: an engine with nothing loaded."""

    def __init__(self, load: Callable[[str], Bundle], make: Callable[[], Engine]) -> None:
        self._load: Final = load
        self._make: Final = make
        self._turn: Final = asyncio.Lock()

    async def replay(self, record: Record, *, veiled: bool) -> Json:
        """What is decided now by the same policy of the same document. Raises NotReadyError and others of ours."""
        why = nothing_to_judge(record)
        if why is not None:
            return {"id": record.id, "replayed": False, "why": why}
        async with self._bench(record) as bench:
            found = (await replay_one(record, bench, (ENGINE,))).as_json()
        shown = found if not veiled else _without_context(found)
        return {"why": None, **shown}

    async def explanation(self, record: Record, *, veiled: bool) -> Json:
        """Which facts decided, every reason in words, and what would change the answer."""
        why = nothing_to_judge(record)
        if why is None and record.profile != "zta":
            why = "no_input"
        if why is not None:
            return {"id": record.id, "explained": False, "why": why}
        async with self._bench(record) as bench:
            return {"id": record.id, "explained": True, "why": None, **await _explained(record, bench, veiled=veiled)}

    @asynccontextmanager
    async def _bench(self, record: Record) -> AsyncIterator[Bench]:
        if record.bundle_digest is None:
            raise NotReadyError("the record does not say which policy decided")
        try:
            async with asyncio.timeout(WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            raise NotReadyError("another decision is being recomputed", next_step="try again in a moment") from None
        try:
            async with asyncio.timeout(DEADLINE_S), Court({ENGINE: self._make}, self._load) as court:
                yield await court.bench(record.bundle_digest, held_in(record))
        except TimeoutError:
            raise NotReadyError(
                "it took too long", next_step="`pdp replay --id` takes the time that it needs"
            ) from None
        except EngineError as fault:
            raise NotReadyError(f"the engine failed: `{fault.code}`") from None
        finally:
            self._turn.release()


async def _explained(record: Record, bench: Bench, *, veiled: bool) -> Json:
    bundle = bench.bundle
    try:
        document = decode_input(bytes(record.input))
    except BadRequestError:
        raise NotReadyError("the document of this decision cannot be read any more") from None
    policy = Policy(bench.engines[0], bundle)
    [verdict] = await policy([document])
    explanation = await explain(policy.case(document, verdict), limit=MOST_EVALUATIONS)
    told = explanation_json(explanation)
    marked = explanation.marked(permits=verdict.outcome in (Outcome.ALLOW, Outcome.LIMIT))
    if veiled:
        told["deciding"] = [fact for fact in told["deciding"] if fact["path"] not in NAMING]
        for way in told["ways_out"]:
            for mend in way["mends"]:
                mend["changes"] = {path: v for path, v in mend["changes"].items() if path not in NAMING}
    facts = [
        {"path": f.path, "group": group_of(f.path), "value": value_at(document, f.path), "marked": f.path in marked}
        for f in FACTS
    ]
    return {
        **told,
        "reasons": [_reason(bundle, code) for code in record.reasons],
        "facts": None if veiled else facts,
        "as_recorded": _same(record, verdict),
        "exact": not hides_what_counts(record.redacted, record.hidden, bench.footprint),
        "judged_by": bundle.revision,
    }


def _reason(bundle: Bundle, code: str) -> Json:
    known = bundle.reasons.get(code)
    if known is None:
        return {"code": code, "user": None, "admin": None, "fix": None, "group": None}
    texts = {"user": text_json(known.user), "admin": text_json(known.admin)}
    return {"code": code, **texts, "fix": known.fix, "group": known.group}


def _same(record: Record, verdict: Verdict) -> bool:
    return (record.outcome, list(record.reasons)) == (verdict.outcome.value, list(verdict.reasons))


def _without_context(found: Json) -> Json:
    """`context` is what a policy said in words of its own."""
    parts = {name: {k: v for k, v in found[name].items() if k != "context"} for name in ("recorded", "recomputed")}
    rest = {name: value for name, value in found.items() if name not in ("engines", "redacted", "hidden")}
    return {**rest, **parts}
