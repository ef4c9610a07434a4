"""Several decisions in one answer come from one policy."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pdp.errors import NotReadyError
from pdp.wire.one_policy import ATTEMPTS, under_one_policy
from tests.scripted_decider import ScriptedDecider
from tests.unit.wire.authzen_world import EVALUATIONS, SEARCH, World, question

pytestmark = pytest.mark.anyio


async def test_what_two_policies_decided_is_decided_anew_and_given_up_at_last() -> None:
    changes = iter([{"a", "b"}, {"b"}])

    async def attempt(digests: set[str]) -> str:
        digests |= next(changes)
        return "done"

    assert await under_one_policy(attempt) == "done"
    tries = []

    async def restless(digests: set[str]) -> None:
        tries.append(1)
        digests |= {"a", "b"}

    with pytest.raises(NotReadyError):
        await under_one_policy(restless)
    assert len(tries) == ATTEMPTS


class Changing(ScriptedDecider):
    """The policy changes after so many decisions."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    async def decide(self, request: Any, caller: Any) -> Any:
        decision = await super().decide(request, caller)
        digest = "before" if len(self.asked) <= self.after else "after"
        return msgspec.structs.replace(decision, bundle_digest=digest)


async def test_a_boxcar_during_an_activation_is_decided_whole_by_the_new_policy() -> None:
    decider = Changing(2)
    names = ("mail", "finance", "groupware")
    items = [{"resource": {"type": "application", "id": name}} for name in names]
    said = await World(decider=decider).ask({**question(), "evaluations": items}, EVALUATIONS)
    assert [item["decision"] for item in said["evaluations"]] == [True, True, True]
    assert len(decider.asked) == 2 * len(names)


async def test_a_search_during_an_activation_is_judged_whole_by_the_new_policy() -> None:
    decider = Changing(1)
    world = World(decider=decider)
    await world.ask(question(resource={"type": "application"}), f"{SEARCH}resource")
    once = ScriptedDecider()
    await World(decider=once).ask(question(resource={"type": "application"}), f"{SEARCH}resource")
    assert len(decider.asked) == 2 * len(once.asked)
