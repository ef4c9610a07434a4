"""Decisions of a time of warning, recomputed: by both policies together, one by one and by the thousand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pdp.bundle.bundle import Bundle
from pdp.declog.record import Record, read_record
from pdp.errors import RecordDamagedError
from pdp.grace import Opinion, held_over
from pdp.model.decision import Verdict
from pdp.model.input import UNKNOWN_POSTURE, InputV1, encode_input
from pdp.replaying.answer import held_in
from pdp.replaying.single import replay_one
from tests.unit.archive.logs import facts
from tests.unit.replaying.world import Inline, World, judged, policy

pytestmark = pytest.mark.anyio

FORMER, NEWER = policy("one", least=2), policy("two", least=3)
UNTIL = datetime(2026, 5, 1, tzinfo=UTC)
# What nothing is held over without.
KNOWN = msgspec.structs.replace(UNKNOWN_POSTURE, tampered=False, edr_running=True, edr_risk="none")


async def verdicts(bundle: Bundle, documents: Sequence[InputV1]) -> list[Verdict]:
    engine = Inline()
    await engine.activate(bundle)
    raws = await engine.evaluate([encode_input(one) for one in documents])
    await engine.close()
    return [judged(raw, bundle) for raw in raws]


def documents(count: int) -> list[InputV1]:
    """Some that both policies permit, some that the newer one newly refuses, some that both refuse, and hard ones."""
    kinds: list[dict[str, Any]] = [
        {"subject__auth_level": 3, "subject__departments": ["tax"]},
        {"subject__auth_level": 2, "subject__departments": ["tax"]},
        {"subject__auth_level": 1, "subject__departments": ["tax"]},
        {"subject__auth_level": 2, "subject__departments": ["tax"], "device__state": "lost"},
    ]
    return [facts(person=f"u-{n:04d}", device__posture=KNOWN, **kinds[n % 4]) for n in range(count)]


async def decided(world: World, asked: Sequence[InputV1], change: dict[str, Any] | None = None) -> list[Record]:
    pairs = zip(asked, await verdicts(NEWER, asked), await verdicts(FORMER, asked), strict=True)
    made = [
        world._record(
            encode_input(one), held_over(one, Opinion(newer, NEWER), Opinion(former, FORMER), UNTIL), change or {}
        )
        for one, newer, former in pairs
    ]
    world.worker.write(made)
    return [read_record(line) for line in made]


async def test_what_was_held_over_comes_out_as_it_was_recorded_by_both_policies_together(tmp_path: Path) -> None:
    world = World(tmp_path, NEWER, FORMER)
    records = await decided(world, documents(40))
    assert sum(held_in(record) is not None for record in records) == 10
    assert [record.outcome for record in records[:4]] == ["allow", "allow", "step_up", "step_up"]
    report = await world.replay()
    assert (report.equal, report.tally.equal) == (True, 40)


async def test_an_allow_that_only_says_that_it_was_held_over_is_found(tmp_path: Path) -> None:
    """Attack: a refusal of a lost terminal is changed to the allow of a neighbour, its context with it."""
    world = World(tmp_path, NEWER, FORMER)
    records = await decided(world, documents(4))
    told = {"outcome": "allow", "reasons": ["OK"], "obligations": records[1].obligations}
    forged = {**told, "required_auth_level": None, "policy_context": records[1].policy_context}
    for which in (2, 3):
        await decided(world, documents(4)[which : which + 1], forged)
    report = await world.replay()
    assert (report.equal, report.tally.equal, report.tally.records) == (False, 4, 6)


async def test_one_decision_is_replayed_with_both_policies_and_found_where_another_former_one_is_named(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, NEWER, FORMER, policy("strict", least=3, rules=REFUSING))
    held = (await decided(world, documents(4)))[1]
    async with world.court() as court:
        found = await replay_one(held, await court.bench(NEWER.digest, held_in(held)), court.names)
        assert (found.differences, found.stands, found.judgement[0].answer.outcome) == ([], True, "allow")
        context = msgspec.json.decode(held.policy_context)
        context["warned"]["former"]["digest"] = policy("strict", least=3, rules=REFUSING).digest
        other = msgspec.structs.replace(held, policy_context=msgspec.Raw(msgspec.json.encode(context)))
        found = await replay_one(other, await court.bench(NEWER.digest, held_in(other)), court.names)
        assert "outcome" in found.differences


REFUSING = 'package pdp\n\ndecision := {"outcome": "deny", "reasons": ["NO"], "obligations": {}} # LEAST\n'


async def test_a_former_policy_that_is_not_there_leaves_the_decision_unjudged_and_the_others_judged(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, NEWER)
    await decided(world, documents(8))
    report = await world.replay()
    assert (report.tally.equal, sum(report.tally.missing.values())) == (6, 2)


async def test_an_end_that_is_no_time_is_a_damaged_record(tmp_path: Path) -> None:
    world = World(tmp_path, NEWER, FORMER)
    held = (await decided(world, documents(4)))[1]
    context = msgspec.json.decode(held.policy_context)
    context["warned"]["until"] = "soon"
    other = msgspec.structs.replace(held, policy_context=msgspec.Raw(msgspec.json.encode(context)))
    async with world.court() as court:
        with pytest.raises(RecordDamagedError):
            await court.bench(NEWER.digest, held_in(other))
