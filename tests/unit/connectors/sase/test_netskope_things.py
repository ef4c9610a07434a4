"""Exported NPA rules as things of a tenant: there and back, in a safe order, whatever the tenant shows."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sase.netskope import target
from connectors.sase.netskope_reading import RULES
from connectors.sase.netskope_things import courier
from pdp.delivery.journal import InHand
from pdp.delivery.planning import make_plan
from pdp.delivery.port import Held, Standing
from pdp.errors import ExportError
from tests.delivery_suite import never_wider
from tests.spaces import shipped_space
from tests.unit.connectors.sase.netskope_tenant import exported, mapping, part, written
from tests.unit.connectors.sase.zpa_tenant import FEW, few

if TYPE_CHECKING:
    from pdp.model.rules import RuleModel

MEMBERS = (
    "rule_name", "enabled", "rule_data", "privateApps", "privateAppTags", "device_classification_id", "userGroups",
    "match_criteria_action", "action_name", "srcCountries", "b_negateSrcCountries", "group_name",
)  # fmt: skip
_numbers = st.lists(st.integers(0, 40), min_size=1, max_size=5, unique=True)
_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "zt-x", "allow", "block", "[zt-mail]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(_json, _json)
def test_whatever_a_tenant_shows_is_a_rule_or_refused_and_an_odd_one_of_others_counts_as_open(
    rule: Any, data: Any
) -> None:
    made = courier(mapping())
    for one in (rule, {"rule_name": "zt-x", "enabled": "1", "rule_data": data}):
        if isinstance(one, dict):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                assert made.shown(one).thing.key.kind == "rule"
            assert made.may_let_through(one) in (True, False)
    assert made.may_let_through({"rule_name": "odd", "enabled": "1", "rule_data": "any"})


@settings(max_examples=6, deadline=None)
@given(_numbers, _numbers, st.booleans())
def test_no_step_of_a_plan_is_wider_than_before_and_after_by_the_vendors_own_reading(
    before: list[int], after: list[int], without_source: bool
) -> None:
    changes: dict[str, Any] = {"source_ip": False, "networks": {}} if without_source else {}
    rules = written()

    def model(numbers: list[int]) -> RuleModel:
        chosen = sorted({number % len(rules) for number in numbers})
        return msgspec.structs.replace(few(), rules=tuple(rules[number] for number in chosen))

    exports = (exported(target(mapping(**changes)), model(after)), exported(target(mapping()), model(before)))
    carried = courier(mapping())
    held = tuple(Held(thing) for thing in carried.things(exports[1]))
    plan = make_plan(
        carried.things(exports[0]), Standing(held), carried.capabilities, carried.stand_in,
        vendor="netskope", tenant="t", export="e",
    )  # fmt: skip
    never_wider(shipped_space(), target(mapping()), carried, InHand(plan, held), exports, FEW)


def test_the_way_back_gives_the_files_that_were_exported() -> None:
    files = part(0, 1, 2, 3)
    made = courier(mapping())
    back = made.files([Held(thing) for thing in made.things(files)], [files])
    assert json.loads(back[RULES]) == [{**one, "rule_data": {**one["rule_data"]}} for one in json.loads(files[RULES])]
    assert not json.loads(made.files([Held(one, live=False) for one in made.things(files)], [files])[RULES])


def test_files_that_are_no_rules_and_names_that_are_not_ours_are_refused() -> None:
    made = courier(mapping())
    for text in (b"{", b"{}", b'[{"rule_name": "own", "description": "", "rule_data": {}}]', b"[1]"):
        with pytest.raises(ExportError):
            made.things({RULES: text})
