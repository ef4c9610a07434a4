"""`pdp scenario from-log`: a recorded decision as a scenario, tried before it is handed out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.model.input import InputV1
    from pdp.settings import Settings


async def tell_record(terminal: Terminal, settings: Settings, decision_id: str, name: str | None) -> None:
    """Raises NotReadyError where there is no such record or nothing in it to tell, BadRequestError as `find` does."""
    import asyncio
    from datetime import datetime

    from pdp.commands.composed import limits_of
    from pdp.errors import NotReadyError
    from pdp.model.input import decode_input
    from pdp.replaying.answer import recorded_answer
    from pdp.replaying.single import find, nothing_to_judge
    from pdp.scenario.retold import as_text, retold
    from pdp.trail.keeping import record_query

    record = await asyncio.to_thread(find, settings.decision_logs, decision_id, limits_of(settings))
    await asyncio.to_thread(record_query, settings, "audit.replay", {"as": "scenario"}, object=decision_id, rows=1)
    if nothing_to_judge(record) is not None or record.profile != "zta" or record.now is None:
        raise NotReadyError("this record has no facts that a scenario could tell")
    document = decode_input(bytes(record.input))
    answer = recorded_answer(record).as_json()
    story = retold(document, answer, datetime.fromisoformat(record.now), name or f"from-log-{decision_id[-12:]}")
    text = as_text(story)
    unlike = await _tried(settings, text, document)
    if terminal.as_json:
        terminal.json({"scenario": story, "unlike": unlike})
        return
    terminal.say(text.rstrip("\n"))
    for line in unlike:
        terminal.remark(
            terminal.pick("記録と異なる事実: ", "another fact than the record has: ") + line, style="yellow"
        )


async def _tried(settings: Settings, text: str, document: InputV1) -> list[str]:
    """The facts that the story leads to with another value, and the expectations that do not hold under this policy."""
    from pdp.commands.composed import bundle_of, engine_for
    from pdp.scenario.files import scenario_of
    from pdp.scenario.format import moment
    from pdp.scenario.in_process import InProcess
    from pdp.scenario.retold import unlike
    from pdp.scenario.runner import run_scenario
    from pdp.scenario.world import request_of, world_at

    story = scenario_of(text)
    (step,) = story.steps
    bundle = bundle_of(settings)
    async with engine_for(settings, bundle) as activation:
        way = InProcess(activation.engine, bundle)
        now = moment(step.now)
        snapshot = world_at([story.directory], step.request, way.reference, now)
        decision = await way.decide(snapshot, request_of(step.request, way.reference, now), now)
        found: list[Any] = unlike(document, decision) if decision.fault is None else [decision.fault]
        for result in await run_scenario(story, way, way.reference):
            found += result.faults
    return [str(line) for line in found]
