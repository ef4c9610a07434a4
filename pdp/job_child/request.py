"""One request that nobody made, under a draft and under what is of record: why, what is not met, what would change it.

The facts are those of an example of the demonstration, of a person and a terminal of the directory, or a document that
somebody has; any of them changed.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pdp.bundle.dependence import steps_of
from pdp.directory.demo import demonstration
from pdp.directory.personas import STORIES
from pdp.directory.snapshot import load_snapshot
from pdp.engine.syntax import parse_modules
from pdp.errors import BadRequestError, NotFoundError
from pdp.explain.explanation import explain
from pdp.explain.fact_table import FACTS, closed_values, group_of, kind_of_fact, other_values, value_at, with_values
from pdp.explain.policy import Policy
from pdp.explain.report import explanation_json, text_json, verdict_json
from pdp.facts.document import build_facts
from pdp.facts.reference import read_reference
from pdp.gates.foresight import CONTEXTS
from pdp.job_child.ground import draft_of, ground_of
from pdp.jobs.job import Outcome
from pdp.model.authentication import NOT_AUTHENTICATED
from pdp.model.input import check_input, encode_input
from pdp.model.request import AccessRequest
from pdp.simulate.asked import circumstances
from pdp.simulate.contexts import Stated
from pdp.simulate.hypothetical import proven_minimal, unmet_conditions
from pdp.simulate.probe import probe_of

if TYPE_CHECKING:
    from pdp.bundle.bundle import Bundle
    from pdp.explain.case import Case
    from pdp.explain.ways_out import WayOut
    from pdp.job_child.ground import Ground, Say
    from pdp.jobs.job import Order
    from pdp.model.directory import Snapshot
    from pdp.model.input import InputV1

MOST_EVALUATIONS: Final = 1_500  # of one explanation: two to four seconds of one core
MOST_CHOICES: Final = 40  # values that are offered for one fact


@dataclass(frozen=True)
class _Asked:
    document: InputV1
    changed: frozenset[str]


async def work(order: Order, say: Say) -> Outcome:
    """Params: one of `document`, `example` and `resource` (with `user`, `device`, `context`), and `facts`; `within`."""
    say("reading")
    draft = draft_of(order)
    if draft.profile != "zta":
        raise BadRequestError("the policy is of profile `plain`: it has no facts", next_step="ask it with `pdp eval`")
    with ground_of(order) as ground:
        base = _base(order, ground, draft)
        facts = order.params.get("facts") or {}
        changes = {path: value for path, value in facts.items() if _differs(base, path, value)}
        asked = _Asked(with_values(base, changes), frozenset(changes))
        say("judging")
        told = await _judged(ground, draft, asked)
        active = ground.of_record()
        if active.profile == "zta":
            async with AsyncExitStack() as stack:
                policy = await _policy(stack, ground, active)
                told["of_record"] = verdict_json((await policy([asked.document]))[0]) | {"revision": active.revision}
    return Outcome(digest=draft.digest, baseline=active.digest, body=msgspec.json.encode(told))


def _base(order: Order, ground: Ground, draft: Bundle) -> InputV1:
    """Raises BadRequestError and NotFoundError."""
    params = order.params
    if params.get("document") is not None:
        return check_input(params["document"])
    if params.get("example") is not None:
        return _example(int(params["example"]), order, draft)
    if not params.get("resource"):
        raise BadRequestError("a document, an example or a system is needed", pointer="/resource")
    stated = next((one for one in CONTEXTS if one.id == (params.get("context") or CONTEXTS[0].id)), None)
    if stated is None:
        raise BadRequestError(f"there is no context `{str(params['context'])[:32]}`", pointer="/context")
    snapshot = load_snapshot(ground.store, order.now)
    user, device = params.get("user") or "", params.get("device") or None
    check_seen(snapshot, user, device, params.get("within"))
    return _document(user, device, params["resource"], stated, snapshot, order, draft)


def check_seen(snapshot: Snapshot, user: str, device: str | None, within: list[str] | None) -> None:
    """Raises NotFoundError for what is not there, or not there for who asks: both read alike."""
    person = snapshot.users.get(user)
    hidden = within is not None and person is not None and not {p.department for p in person.posts} & set(within)
    if user and (person is None or hidden):
        raise NotFoundError("there is no such person", next_step="look them up in the directory")
    terminal = None if device is None else snapshot.devices.get(device)
    beyond = within is not None and terminal is not None and terminal.department not in within
    if device is not None and (terminal is None or (beyond and (terminal.owner or "") != user)):
        raise NotFoundError("there is no such device", next_step="look it up in the directory")


def _example(number: int, order: Order, draft: Bundle) -> InputV1:
    if not 0 <= number < len(STORIES):
        raise BadRequestError("there is no such example", pointer="/example")
    story = STORIES[number]
    underlay: Any = "office" if story.zone == "office" else "home" if story.zone == "sase" else "unknown"
    zone: Any = story.zone
    action: Any = story.action
    level: Any = story.auth_level
    stated = Stated("example", zone, underlay, level, action=action, business_day=True, business_hours=True)
    snapshot = demonstration(order.now).snapshot(epoch=1, loaded_at=order.now)
    return _document(story.user, story.device, story.resource, stated, snapshot, order, draft)


def _document(  # noqa: PLR0913, PLR0917  # who, with what, to what, how, by which registers
    user: str, device: str | None, resource: str, stated: Stated, snapshot: Snapshot, order: Order, draft: Bundle
) -> InputV1:
    reference = read_reference(draft.data)
    request = AccessRequest(user, resource, stated.action, device_id=device)
    built = build_facts(request, NOT_AUTHENTICATED, snapshot, reference, order.now).document
    permit, until = built.context.work_permit, built.context.work_permit_until
    context = circumstances(stated, resource, snapshot, reference, order.now)
    return msgspec.structs.replace(
        built,
        subject=msgspec.structs.replace(built.subject, auth_level=stated.auth_level, auth_age_min=stated.auth_age_min),
        context=msgspec.structs.replace(context, work_permit=permit, work_permit_until=until),
    )


def _differs(base: InputV1, path: str, value: Any) -> bool:
    try:
        return bool(msgspec.to_builtins(value_at(base, path)) != value)
    except AttributeError:
        raise BadRequestError(f"there is no fact `{path[:64]}`", pointer="/facts") from None


async def _policy(stack: AsyncExitStack, ground: Ground, bundle: Bundle) -> Policy:
    engine = ground.engine()
    stack.push_async_callback(engine.close)
    await engine.activate(bundle)
    return Policy(engine, bundle)


async def _judged(ground: Ground, bundle: Bundle, asked: _Asked) -> dict[str, Any]:
    document = asked.document
    steps = steps_of(parse_modules(bundle.modules)[0], bundle.entrypoint)
    async with AsyncExitStack() as stack:
        policy = await _policy(stack, ground, bundle)
        (verdict,) = await policy([document])
        case = policy.case(document, verdict)
        explanation = await explain(case, limit=MOST_EVALUATIONS)
        ways = await proven_minimal(case, explanation.ways_out.found)
        probe = ground.engine()
        stack.push_async_callback(probe.close)
        await probe.activate(probe_of(bundle, steps))
        unmet = await unmet_conditions(probe, bundle, steps, document)
    marked = explanation.marked(permits=verdict.permits)
    return {
        "revision": bundle.revision,
        "digest": bundle.digest,
        "verdict": verdict_json(verdict),
        "permits": verdict.permits,
        "reasons": [_reason(bundle, code) for code in verdict.reasons],
        "unmet": [
            {**_reason(bundle, one.code), "rules": [r.removeprefix("data.") for r in one.rules], "where": one.where}
            for one in unmet
        ],
        "ways": [_way(way) for way in ways],
        "explanation": explanation_json(explanation),
        "facts": _facts(case, asked, marked),
        "document": msgspec.json.decode(encode_input(document)),
    }


def _reason(bundle: Bundle, code: str) -> dict[str, Any]:
    known = bundle.reasons.get(code)
    if known is None:
        return {"code": code, "group": None, "fix": None, "user": None, "admin": None}
    texts = {"user": text_json(known.user), "admin": text_json(known.admin)}
    return {"code": code, "group": known.group, "fix": known.fix, **texts}


def _way(way: WayOut) -> dict[str, Any]:
    return {
        "mends": [{"by": mend.by, "text": text_json(mend.text), "changes": dict(mend.changes)} for mend in way.mends],
        **verdict_json(way.verdict),
    }


def _facts(case: Case, asked: _Asked, marked: Any) -> list[dict[str, Any]]:
    """Every fact with what else it could be; of a `closed` one, all of it. `marked`: it decided."""
    found = []
    for fact in FACTS:
        value = msgspec.to_builtins(value_at(asked.document, fact.path))
        others = msgspec.to_builtins(other_values(asked.document, fact.path, case.parameters)[:MOST_CHOICES])
        found.append(
            {
                "path": fact.path,
                "group": group_of(fact.path),
                "value": value,
                "choices": others,
                "kind": kind_of_fact(fact.path),
                "closed": kind_of_fact(fact.path) != "list" and len(closed_values(fact.path)) > 1,
                "marked": fact.path in marked,
                "changed": fact.path in asked.changed,
            }
        )
    return found
