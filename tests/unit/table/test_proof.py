"""What a table is held against the engine with finds a policy that looks further than its space knows of."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pdp.engine.regorus import RegorusEngine
from pdp.model.input import decode_input
from pdp.table.decision_table import table_of
from pdp.table.laid import laid_out
from pdp.table.proof import ANOTHER, proof_documents
from tests.unit.space.policy import bundle_of, space_for

pytestmark = pytest.mark.anyio

SEEN = 'fine if "x" in input.subject.roles'
ZONED = f'{SEEN}\nfine if input.context.zone == "office"'


async def judged(body: str, documents: list[bytes]) -> list[Any]:
    """The outcomes of a policy by the engine."""
    engine = RegorusEngine(timedelta(seconds=20), 1)
    try:
        await engine.activate(bundle_of(body))
        raws = await engine.evaluate(documents)
        return [json.loads(raw)["outcome"] for raw in raws if isinstance(raw, bytes)]
    finally:
        await engine.close()


def looked_up(body: str, documents: list[bytes]) -> list[Any]:
    """The outcomes by the table of a policy."""
    space = space_for(body)
    table = table_of(laid_out(space.bundle.digest, space.facts, space.diagram, space.verdict))
    return [json.loads(table.answer(document) or b"{}")["outcome"] for document in documents]


def test_for_each_answer_there_is_a_plain_and_a_dressed_document_the_same_in_each_run() -> None:
    space = space_for(ZONED)
    documents = proof_documents(space)
    assert len(documents) == 4
    assert proof_documents(space) == documents
    dressed = [json.loads(document) for document in documents[2:]]
    assert all(ANOTHER in document["subject"]["roles"] for document in dressed)
    assert all(decode_input(document) for document in documents)
    vectors = [space.vector(json.loads(document)) for document in documents]
    assert vectors[:2] == vectors[2:], "to the policy they are the same"


@pytest.mark.parametrize(
    "further",
    [
        'fine if {\n\tcount(input.subject.roles) > 0\n\tevery role in input.subject.roles {\n\t\trole == "x"\n\t}\n}',
        f"{SEEN}\nfine if count(input.subject.roles) == 1",
        f'{SEEN}\nfine if input.device.posture.source == "{ANOTHER}"',
        f"{SEEN}\nfine if input.device.posture.age_hours > 0",
        f'{SEEN}\nfine if startswith(input.resource.id, "({ANOTHER[1:5]}")',
    ],
)
async def test_a_policy_that_looks_further_than_its_space_answers_to_a_dressed_document_otherwise(further: str) -> None:
    documents = proof_documents(space_for(SEEN))
    told, found = looked_up(SEEN, documents), await judged(further, documents)
    assert len(found) == len(told)
    assert found != told
    assert await judged(SEEN, documents) == told
