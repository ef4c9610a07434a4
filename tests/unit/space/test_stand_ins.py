"""What stands in a space for any other text, or for any time, is nobody's own word: a policy that has it is refused.

Otherwise the engine is asked with the policy's own word in the place of all others, and answers for that one.
"""

from __future__ import annotations

import pytest

from pdp.bundle.bundle import Bundle, make_bundle
from pdp.errors import SpaceError
from pdp.space.facts import OTHER, OTHER_TIME
from pdp.space.space import DecisionSpace
from tests.unit.space.policy import build, space_for

HEAD = 'package pdp\n\ndefault decision := {"outcome": "deny", "reasons": ["NO"], "obligations": {}}\n\n'
UNTIL = (
    'decision := {"outcome": "limit", "reasons": ["OK"], "obligations": {"end_at": %s}} if {\n'
    '\tinput.context.work_permit_until != "none"\n}\n'
)


def policy(text: str, data: dict[str, object] | None = None) -> Bundle:
    return make_bundle(
        manifest={"revision": "t", "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": HEAD + text},
        data=data or {},
    )


def limited(end_at: str, more: str = "", data: dict[str, object] | None = None) -> DecisionSpace:
    return build(policy(UNTIL % end_at + more, data))


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (f'fine if input.context.country == "{OTHER}"', None),
        (f'fine if input.context.country in {{"JP", "{OTHER}"}}', None),
        ('fine if input.context.country == concatenated\n\nconcatenated := concat("", ["(oth", "er)"])', None),
        ("fine if input.context.country in data.countries", {"countries": [OTHER]}),
    ],
)
def test_a_policy_that_knows_the_word_for_any_other_text_is_refused(body: str, data: dict[str, object] | None) -> None:
    """The trap: every country would be allowed that the policy does not name."""
    with pytest.raises(SpaceError, match="stands for any other text") as refused:
        space_for(body, data)
    assert refused.value.where.startswith("pdp.rego:")


def test_the_word_in_another_place_is_a_word_like_any_other() -> None:
    space = space_for(f'fine if "{OTHER}" in input.subject.roles')
    assert space.outcomes() == {"allow": 1, "deny": 1}


@pytest.mark.parametrize(
    ("end_at", "more", "data"),
    [
        (f'"{OTHER_TIME}"', "", None),
        ('"9999-12-31T00:00:00\\u005a"', "", None),
        ('concat("T", ["9999-12-31", "00:00:00Z"])', "", None),
        ("made", 'made := concat("T", ["9999-12-31", "00:00:00Z"])\n', None),
        ("made", 'made := sprintf("9999-12-31T00:00:%sZ", ["00"])\n', None),
        (
            "made",
            'made := parts[0] if input.context.zone == "office"\n\nparts := ["9999-12-31T00:00:00\\u005A"]\n',
            None,
        ),
        ("data.until", "", {"until": OTHER_TIME}),
    ],
)
def test_a_policy_that_makes_the_time_for_any_time_is_refused(
    end_at: str, more: str, data: dict[str, object] | None
) -> None:
    """The trap: a look-up would put the end of the work permit there, and the policy means the year 9999."""
    with pytest.raises(SpaceError, match=r"9999-12-31|makes a value that an open fact|held against a value that facts"):
        limited(end_at, more, data)


def test_a_time_that_is_handed_on_and_one_that_stands_fast_are_both_counted_out() -> None:
    assert limited("input.context.work_permit_until").outcomes() == {"deny": 1, "limit": 1}
    assert limited('"2030-01-01T00:00:00Z"').outcomes() == {"deny": 1, "limit": 2}, "and which time it is"
