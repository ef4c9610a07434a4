"""Replay by what a policy can tell apart, against replay of every decision by itself: they find the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pdp.declog.record import read_record
from pdp.replaying.single import replay_one
from tests.unit.archive.logs import facts
from tests.unit.archive.test_store import publish, store_at
from tests.unit.replaying.world import World, policy

DOCUMENTS = st.fixed_dictionaries(
    {
        "person": st.sampled_from(["u-1", "u-2"]),
        "subject__auth_level": st.integers(0, 3),
        "subject__departments": st.lists(st.sampled_from(["tax", "roads", 'a"b,{']), max_size=2),
        "device__class_": st.sampled_from(["managed_pc", "byod_pc"]),
        "subject__auth_age_min": st.integers(0, 3),
    }
)
CHANGES = st.sampled_from(
    [
        *[{}] * 4,
        {"outcome": "allow", "reasons": ["OK"], "obligations": {}, "required_auth_level": None},
        {"reasons": ["NO", "OK"]},
        {"obligations": {"save": "off"}},
        {"required_auth_level": 1},
        {"masked": ["/input/subject/id"]},
        {"masked": ["/input/subject/departments"]},
        {"fault": "engine_error: x", "outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {},
         "required_auth_level": None},
    ]
)  # fmt: skip


async def compare(root: Path, made: list[tuple[dict[str, Any], dict[str, Any], int]]) -> None:
    world = World(root, policy("0"), policy("1", least=3))
    for at, (document, change, number) in enumerate(made):
        world.bundle = policy("0") if not number else policy("1", least=3)
        await world.decide([facts(**document)], **change)
        if at == len(made) // 2:
            world.worker.seal()
            publish(store_at(world.log))
    report = await world.replay()
    by_itself: Counter[str] = Counter()
    differing: set[str] = set()
    async with world.court() as court:
        for record in map(read_record, world.worker.written):
            one = await replay_one(record, await court.bench(record.bundle_digest or ""), court.names)
            if not one.exact:
                by_itself["hidden"] += 1
            elif not one.differences:
                by_itself["equal"] += 1
            elif record.fault:
                by_itself["failed"] += 1
            else:
                differing.add(record.id)
    tally = report.tally
    assert tally.equal == by_itself["equal"]
    assert tally.apart["hidden"] == by_itself["hidden"]
    assert tally.failed.total() == by_itself["failed"]
    assert tally.differing == len(differing)
    assert {id_ for found in tally.differences.values() for id_ in found.ids} == differing
    if not any(
        "masked" in change for _, change, _ in made
    ):  # who takes nothing from the footprint cannot say what a policy would not have seen
        assert (await world.replay(every_input=True)).tally == tally


# An example writes, stores and replays a log: half a second. Smaller ones would be looked for during minutes.
@settings(max_examples=10, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.tuples(DOCUMENTS, CHANGES, st.integers(0, 1)), min_size=1, max_size=10))
def test_what_is_put_together_is_found_as_if_it_were_judged_one_by_one(
    made: list[tuple[dict[str, Any], dict[str, Any], int]],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        asyncio.run(compare(Path(place), made))
