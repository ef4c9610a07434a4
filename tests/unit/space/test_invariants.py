from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pdp.errors import SpaceError
from pdp.model.decision import Text
from pdp.space.invariants import SHIPPED, Never, Weaker, prove, read_invariants
from tests.unit.space.policy import space_for

SCOPE = next(one for one in SHIPPED if one.id == "private_phone_communication_only")
WEAKER = next(one for one in SHIPPED if isinstance(one, Weaker))


def test_an_invariant_that_holds_is_proven_for_every_vector() -> None:
    space = space_for('fine if {\n\tinput.resource.group == "communication"\n\tinput.device.class != "unknown"\n}')
    proof = prove(space, SCOPE)
    assert (proof.holds, proof.vectors, proof.violations) == (True, 13, 0)


def test_a_hole_is_found_with_the_facts_that_it_needs_and_no_others() -> None:
    space = space_for(
        """
        fine if input.resource.group == "communication"
        fine if { input.resource.group == "finance" }
        fine if {
            input.resource.group == "business"
            input.subject.auth_level == 3
        }
        """
    )
    proof = prove(space, SCOPE)
    assert not proof.holds
    assert space.named(proof.counterexample or {}) == {
        "resource.group": "business",
        "device.class": "byod_phone",
        "subject.auth_level": 3,
    } or (space.named(proof.counterexample or {}) == {"resource.group": "business", "subject.auth_level": 3})


def test_a_policy_that_opens_where_a_fact_is_unknown_is_found() -> None:
    space = space_for("fine if input.device.posture.tampered != true")
    proof = prove(space, WEAKER)
    assert space.named(proof.counterexample or {}) == {"device.posture.tampered": "unknown"}
    assert space.named(proof.stronger or {}) == {"device.posture.tampered": True}


def test_losing_a_role_must_not_open_anything_but_a_risk_signal_that_is_gone_may() -> None:
    assert not prove(space_for('fine if not "guest" in input.subject.roles'), WEAKER).holds
    assert prove(space_for('fine if not "impersonation" in input.context.risk'), WEAKER).holds


def test_a_lower_authentication_level_must_not_open_anything() -> None:
    assert not prove(space_for("fine if input.subject.auth_level < 2"), WEAKER).holds
    assert prove(space_for("fine if input.subject.auth_level >= 2"), WEAKER).holds


def test_a_fact_that_the_policy_does_not_read_may_have_any_value() -> None:
    never = Never("x", Text("x", "x"), when={"device.class": ("byod_phone",)})
    proof = prove(space_for("fine if input.subject.auth_level == 3"), never)
    assert proof.violations == 1


def test_a_value_that_a_fact_does_not_have_is_an_error() -> None:
    never = Never("x", Text("x", "x"), when={"device.class": ("byod_fridge",)})
    with pytest.raises(SpaceError, match="byod_fridge"):
        prove(space_for('fine if input.device.class == "unknown"'), never)


@pytest.mark.parametrize(
    "body",
    [
        'fine if input.resource.group == "business"',
        "fine if {\n\tinput.resource.group\n\tinput.subject.auth_level == 3\n}",
    ],
)
def test_a_policy_that_does_not_look_at_the_class_of_the_device_keeps_no_promise_about_it(body: str) -> None:
    space = space_for(body)
    by_id = {one.id: prove(space, one) for one in SHIPPED}
    proof = by_id["private_phone_communication_only"]
    assert not proof.holds
    assert proof.violations > 0
    assert proof.beside["device.class"] == "byod_phone"
    document = space.document(proof.counterexample or {}, proof.beside)
    assert document["device"]["class"] == "byod_phone"
    assert document["resource"]["group"] != "communication"
    assert space.judge(document)["outcome"] == "allow"


def test_what_opens_the_my_number_layer_from_every_terminal_is_found_although_it_reads_the_group_alone() -> None:
    space = space_for('fine if input.resource.group == "mynumber"')
    (separated,) = [prove(space, one) for one in SHIPPED if one.id == "mynumber_separated"]
    assert separated.violations == 1
    assert separated.beside["device.class"] not in ("", "mynumber_terminal")
    document = space.document(separated.counterexample or {}, separated.beside)
    assert document["resource"]["group"] == "mynumber"
    assert space.judge(document)["outcome"] == "allow"


def test_what_speaks_of_no_vector_is_not_proven() -> None:
    both = (True, False)
    nothing = Never("x", Text("x", "x"), outside={"device.shared": both})
    for body in ("fine if false", "fine if input.device.shared == true"):
        proof = prove(space_for(body), nothing)
        assert (proof.vectors, proof.counterexample, proof.holds) == (0, None, False)


@pytest.mark.parametrize(
    "condition",
    [
        {"device.colour": ("red",)},
        {"device.class": ("byod_fridge",)},
        {"device.registered": ("true",)},
        {"subject.roles": ("guest",)},
        {"context.risk∋bad_luck": (True,)},
        {"subject.departments": ("zeimu",)},
        {"departments": ("zeimu",)},
        {"device.posture.patch_age_days": ("many",)},
    ],
)
def test_a_name_or_a_value_that_the_schema_does_not_have_is_an_error_although_nothing_reads_it(condition: Any) -> None:
    space = space_for("fine if false")
    with pytest.raises(SpaceError):
        prove(space, Never("x", Text("x", "x"), when=condition))
    with pytest.raises(SpaceError):
        prove(space, Never("x", Text("x", "x"), outside=condition))


def test_invariants_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "invariants.yaml"
    file.write_text(
        "- {id: no-abroad, ja: 国外から利用しない, en: nothing from abroad, never: {context.zone: [public]}}\n",
        encoding="utf-8",
    )
    (never,) = read_invariants(file)
    assert never == Never(
        "no-abroad", Text("国外から利用しない", "nothing from abroad"), when={"context.zone": ("public",)}
    )
    for wrong in ("{}", "- {id: x}", "- {id: x, ja: x, en: x, never: [a]}", "- {id: x, ja: x, en: x, when: {}}", "{"):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(SpaceError):
            read_invariants(file)
