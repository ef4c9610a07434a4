"""What a policy may do with the words of a list: no more than the facts of a space can tell, and what it may is exact.

Facts say which of the policy's words are in a list. They do not say whether it has others, or how often one stands there.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from pdp.errors import SpaceError
from tests.unit.space.policy import build, bundle_of
from tests.unit.table.policies import encoded, engine_answers, fine

REFUSED = (
    # Whether a list has other words: one more role would allow, or deny, and no fact would have moved.
    'fine if { every r in input.subject.roles { r == "x" } }',
    'fine if { every r in input.subject.roles { r in ["x", "y"] } }',
    "fine if { every r in input.subject.roles { false } }",
    'fine if { some r in input.subject.roles; r != "x" }',
    'fine if { some r in input.subject.roles; not r == "x" }',
    'fine if { some r in input.subject.roles; not r in ["x"] }',
    'fine if { some r in input.subject.roles; (r == "x") == false }',
    'fine if { some r in input.subject.roles; [r == "x"] == [false] }',
    'fine if { some r in input.subject.roles; b := r == "x"; not b }',
    'fine if { some r in input.subject.roles; every y in ["x"] { r != y } }',
    'fine if { some r in input.subject.roles; not same(r == "x") }\n\nsame(b) if b',
    'fine if not other\n\nother if { some r in input.subject.roles; r != "x" }',
    "fine if { some r in input.subject.roles }",
    "fine if { some _ in input.subject.roles }",
    "fine if count({1 | some r in input.subject.roles}) == 1",
    "fine if { some r in input.subject.roles; some s in input.subject.roles; r != s }",
    # Whether two lists have a word in common.
    "fine if { some w in input.context.pep; w in input.subject.roles }",
    "fine if { some w in input.context.risk; w in input.subject.roles }",
    "fine if { some r in input.subject.roles; some w in input.context.pep; r == w }",
    "fine if { some d in input.subject.departments; not d in input.resource.departments }",
    "fine if { some d in input.resource.departments; not d in input.subject.departments }",
    "fine if { some d in input.subject.departments; (d in input.resource.departments) == false }",
    "fine if { every d in input.resource.departments { d in input.subject.departments } }",
    # How often.
    'fine if count([1 | some r in input.subject.roles; r == "x"]) == 2',
    "fine if count([1 | some r in input.subject.roles]) == 2",
    'fine if count([1 | some r in input.context.risk; r == "malware_alert"]) == 2',
    "fine if count([1 | some r in input.context.risk]) == 2",
    "fine if count([1 | some d in input.subject.departments; d in input.resource.departments]) == 2",
    "fine if count([1 | some d in input.resource.departments]) == 2",
    'fine if [1] == [1 | some r in input.subject.roles; r == "x"]',
)


@pytest.mark.parametrize("body", REFUSED)
def test_what_facts_cannot_tell_of_a_list_is_refused_at_its_place(body: str) -> None:
    with pytest.raises(SpaceError, match="cannot be counted out") as refused:
        build(bundle_of(body))
    assert refused.value.where.startswith("pdp.rego:")


TOLD = (
    'fine if { some r in input.subject.roles; r == "x"; r in data.words }',
    "fine if { every w in data.words { w in input.subject.roles } }",
    'fine if { every w in input.context.risk { w == "malware_alert" }; some w in input.context.risk }',
    "fine if { z := input.context.zone; z in input.subject.roles }",
    "fine if input.context.country == input.context.zone",
    "fine if input.device.posture.patch_age_days == input.subject.auth_level",
)
ROLES = ([], ["x"], ["y"], ["y", "x", "x"], ["z"], ["office"], ["z", "sase"])
CHANGES: dict[tuple[str, ...], tuple[Any, ...]] = {
    ("context", "risk"): ([], ["malware_alert"], ["malware_alert", "bulk_download"]),
    ("context", "zone"): ("office", "sase"),
    ("context", "country"): ("JP", "sase", "office"),
    ("device", "posture", "patch_age_days"): (2, 3, 14),
}


@pytest.mark.parametrize("body", TOLD)
def test_what_facts_can_tell_is_what_the_engine_says_also_of_words_that_the_schema_lists(body: str) -> None:
    """The trap: a zone is no constant of the policy, and somebody's role may be called `office`."""
    of = bundle_of(body, {"words": ["x", "y"]})
    space, documents = build(of), []
    for roles, *values in itertools.product(ROLES, *CHANGES.values()):
        document = fine()
        document["subject"]["roles"] = roles
        for path, value in zip(CHANGES, values, strict=True):
            part = document
            for step in path[:-1]:
                part = part[step]
            part[path[-1]] = value
        documents.append(document)
    said = engine_answers(of, [encoded(document) for document in documents])
    outcomes = set()
    for document, answer in zip(documents, said, strict=True):
        assert isinstance(answer, bytes)
        assert space.judge(document) == json.loads(answer), document
        outcomes.add(json.loads(answer)["outcome"])
    assert outcomes == {"allow", "deny"}
