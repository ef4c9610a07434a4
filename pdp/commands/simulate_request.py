"""`pdp simulate request`: one hypothetical request, and what people are told of it."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from pdp.model.words import FIXERS, OUTCOMES

if TYPE_CHECKING:
    from pathlib import Path

    from pdp.bundle.bundle import Bundle
    from pdp.commands.terminal import Terminal
    from pdp.explain.explanation import Explanation
    from pdp.explain.ways_out import WayOut
    from pdp.grace import Opinion
    from pdp.model.decision import Verdict
    from pdp.model.input import InputV1
    from pdp.settings import Settings
    from pdp.simulate.hypothetical import Unmet


async def hypothetical(
    terminal: Terminal, settings: Settings, source: Path, facts: list[str], former: Path | None = None
) -> bool:
    """Whether it is permitted; with `former`, in a time of warning after that policy.

    Raises BadRequestError for a document or a fact that is none.
    """
    from pdp.bundle.dependence import steps_of
    from pdp.commands.composed import bundle_of, engine_for
    from pdp.engine.syntax import parse_modules
    from pdp.errors import BadRequestError
    from pdp.explain.explanation import explain
    from pdp.explain.policy import Policy
    from pdp.grace import Opinion
    from pdp.model.input import decode_input
    from pdp.parts import open_engine
    from pdp.simulate.hypothetical import changed, proven_minimal, unmet_conditions
    from pdp.simulate.probe import probe_of

    bundle = bundle_of(settings)
    if bundle.profile != "zta":
        raise BadRequestError("the bundle is of profile `plain`", next_step="ask it with `pdp eval`")
    document = changed(decode_input(_read(source)), facts)
    steps = steps_of(parse_modules(bundle.modules)[0], bundle.entrypoint)
    async with AsyncExitStack() as stack:
        activation = await stack.enter_async_context(engine_for(settings, bundle))
        policy = Policy(activation.engine, bundle)
        (verdict,) = await policy([document])
        case = policy.case(document, verdict)
        with terminal.busy(terminal.pick("説明", "explaining")):
            explanation = await explain(case)
            ways = await proven_minimal(case, explanation.ways_out.found)
            probe = open_engine(settings)
            stack.push_async_callback(probe.close)
            await probe.activate(probe_of(bundle, steps))
            unmet = await unmet_conditions(probe, bundle, steps, document)
        counts = verdict
        if former is not None:
            counts = await _in_a_time_of_warning(settings, Opinion(verdict, bundle), document, former)
    if terminal.as_json:
        told = _as_json(verdict, bundle, unmet, explanation, ways)
        terminal.json(told if former is None else {**told, "in_time_of_warning": _counting(counts)})
    else:
        _show(terminal, verdict, bundle, unmet, explanation, ways)
        if former is not None:
            _show_counting(terminal, counts)
    return counts.permits


async def _in_a_time_of_warning(settings: Settings, newer: Opinion, document: InputV1, former: Path) -> Verdict:
    """What would count if the policy had just become active after this one. Raises BundleError and EngineError."""
    from datetime import timedelta

    from pdp.bundle.bundle import read_bundle
    from pdp.errors import BadRequestError
    from pdp.grace import Opinion, held_over
    from pdp.judging import judge_raw
    from pdp.model.input import encode_input
    from pdp.parts import open_engine, utc_now

    before = read_bundle(former)
    if before.profile != "zta":
        raise BadRequestError("the policy before it is of profile `plain`, and nothing of it can go on")
    engine = open_engine(settings)
    try:
        await engine.activate(before)
        (raw,) = await engine.evaluate([encode_input(document)])
    finally:
        await engine.close()
    until = utc_now() + timedelta(days=settings.policy_warn_max_days)
    return held_over(document, newer, Opinion(judge_raw(raw, before), before), until)


def _counting(counts: Verdict) -> dict[str, Any]:
    from pdp.explain.report import verdict_json
    from pdp.grace import warned

    return {**verdict_json(counts), "warned": warned(counts)}


def _show_counting(terminal: Terminal, counts: Verdict) -> None:
    from pdp.grace import warned

    held = warned(counts)
    terminal.say(
        terminal.pick("警告期間中の判定: ", "in a time of warning: ")
        + f"{terminal.text(OUTCOMES[counts.outcome])}  {' '.join(counts.reasons)}",
        style="bold",
    )
    if held is not None:
        terminal.say(f"  {held['notice'][terminal.lang]}")
    elif not counts.permits:
        terminal.say(
            terminal.pick(
                "  直前の版も拒否するか、警告期間中も即時に拒否するものである",
                "  the policy before refuses it too, or it is never held over",
            )
        )


def _read(source: Path) -> bytes:
    from pdp.errors import BadRequestError

    try:
        return sys.stdin.buffer.read() if str(source) == "-" else source.read_bytes()
    except OSError as fault:
        raise BadRequestError(f"`{source}` cannot be read: {fault.strerror}") from None


def _as_json(
    verdict: Verdict, bundle: Bundle, unmet: list[Unmet], explanation: Explanation, ways: list[WayOut]
) -> dict[str, Any]:
    from pdp.explain.report import explanation_json, text_json, verdict_json

    return {
        **verdict_json(verdict),
        "unmet": [
            {
                "code": one.code,
                "group": bundle.reasons[one.code].group,
                "rules": list(one.rules),
                "where": one.where,
                "fix": bundle.reasons[one.code].fix,
                "admin": text_json(bundle.reasons[one.code].admin),
            }
            for one in unmet
        ],
        "explanation": explanation_json(explanation),
        "minimal_ways_out": [
            [{"changes": dict(m.changes), "by": m.by, "text": text_json(m.text)} for m in way.mends] for way in ways
        ],
    }


def _show(  # the parts of one answer
    terminal: Terminal,
    verdict: Verdict,
    bundle: Bundle,
    unmet: list[Unmet],
    explanation: Explanation,
    ways: list[WayOut],
) -> None:
    from pdp.explain.fact_table import BY_PATH

    terminal.say(f"{terminal.text(OUTCOMES[verdict.outcome])}  {' '.join(verdict.reasons)}", style="bold")
    terminal.table(
        ["理由", "群", "規則", "文言の場所", "対応できる者"]
        if terminal.lang == "ja"
        else ["reason", "group", "rules", "described in", "who can put it right"],
        [
            [
                one.code,
                bundle.reasons[one.code].group,
                " ".join(rule.removeprefix("data.") for rule in one.rules),
                one.where,
                terminal.text(FIXERS[bundle.reasons[one.code].fix]),
            ]
            for one in unmet
        ],
        title=terminal.pick("満たしていない条件（すべての群）", "conditions that are not met, in every group"),
    )
    terminal.table(
        ["事実", "値"] if terminal.lang == "ja" else ["fact that decided", "value"],
        [[terminal.text(BY_PATH[fact.path].label), str(fact.value)] for fact in explanation.deciding],
    )
    if not verdict.permits and not ways:
        terminal.say(terminal.pick("許可に変える手段は見つからない", "nothing that somebody could do would permit it"))
    for number, way in enumerate(ways, start=1):
        terminal.say(f"{number}. {terminal.text(OUTCOMES[way.verdict.outcome])}", style="bold")
        for mend in way.mends:
            terminal.say(f"   {terminal.text(FIXERS[mend.by])}: {terminal.text(mend.text)}")
