"""What small policies decide, counted by hand; and what cannot be counted out, refused at its place."""

from __future__ import annotations

import pytest

from pdp.bundle.bundle import make_bundle
from pdp.errors import SpaceError
from pdp.space.facts import OTHER
from pdp.space.keeping import dumped, loaded
from tests.unit.space.policy import HEAD, build, bundle_of, space_for


def test_a_listed_fact_has_the_values_of_the_schema() -> None:
    space = space_for('fine if input.device.class in {"byod_phone", "byod_pc"}')
    assert space.outcomes() == {"allow": 2, "deny": 8}
    assert list(space.levels) == ["device.class"]


def test_a_number_is_cut_at_the_policys_own_thresholds_and_unknown_is_a_value() -> None:
    space = space_for(
        "fine if input.device.posture.patch_age_days <= data.limit\nfine if input.device.posture.patch_age_days == 60",
        {"limit": 14},
    )
    (fact,) = space.facts.values()
    assert fact.values == ("0-13", "14", "15-59", "60", "61+", "unknown")
    assert space.outcomes() == {"allow": 3, "deny": 3}


@pytest.mark.parametrize(
    ("days", "allowed"), [(0, True), (14, True), (15, False), (60, True), (61, False), ("unknown", False)]
)
def test_the_answer_for_a_number_is_the_answer_of_its_piece(days: object, allowed: bool) -> None:
    space = space_for(
        "fine if input.device.posture.patch_age_days <= data.limit\nfine if input.device.posture.patch_age_days == 60",
        {"limit": 14},
    )
    document = space.document({})
    document["device"]["posture"]["patch_age_days"] = days
    assert (space.judge(document)["outcome"] == "allow") is allowed


def test_a_threshold_between_two_whole_numbers_cuts_between_them() -> None:
    space = space_for("fine if {\n\tinput.device.posture.age_hours > 20.5\n\tinput.device.posture.age_hours < 22.5\n}")
    document = space.document({})
    for hours, outcome in ((20, "deny"), (21, "allow"), (22, "allow"), (23, "deny")):
        document["device"]["posture"]["age_hours"] = hours
        assert space.judge(document)["outcome"] == outcome


def test_a_test_for_text_tells_an_unknown_number() -> None:
    space = space_for("fine if is_string(input.device.posture.age_hours)")
    assert space.outcomes() == {"allow": 1, "deny": 1}


def test_members_with_constant_and_computed_names_are_one_value() -> None:
    space = space_for(
        """
        fine if count(marks) == 2
        marks["a"] := 1 if input.context.zone == "office"
        marks[input.subject.kind] := 2 if input.subject.kind == "staff"
        """
    )
    assert space.outcomes() == {"allow": 1, "deny": 41}


def test_a_time_of_the_request_may_be_handed_on_into_the_answer() -> None:
    space = space_for(
        """
        fine if input.context.zone == "office"
        limits := {"end_at": input.context.work_permit_until} if input.context.work_permit_until != "none"
        """.replace("fine", "other")
        + "fine if count(limits) > 0\n"
    )
    assert space.outcomes() == {"allow": 1, "deny": 1}


def test_words_of_a_list_are_facts_of_their_own_and_other_words_do_not_matter() -> None:
    space = space_for(
        'fine if data.role in input.subject.roles\nfine if "chief" in input.subject.roles', {"role": "clerk"}
    )
    assert list(space.levels) == ["subject.roles∋chief", "subject.roles∋clerk"]
    assert space.outcomes() == {"allow": 3, "deny": 1}
    document = space.document({})
    document["subject"]["roles"] = ["somebody", "clerk"]
    assert space.judge(document)["outcome"] == "allow"


def test_a_text_is_one_of_the_constants_unknown_or_any_other() -> None:
    space = space_for("fine if input.context.country in data.countries", {"countries": ["JP", "KR"]})
    assert space.facts[space.levels["context.country"]].values == ("JP", "KR", "unknown", OTHER)
    assert space.outcomes() == {"allow": 2, "deny": 2}


def test_departments_are_how_the_users_stand_to_the_resources() -> None:
    space = space_for(
        """
        fine if {
            some department in input.resource.departments
            department in input.subject.departments
        }
        fine if count(input.resource.departments) == 0
        """
    )
    named = {one: number for number, one in enumerate(space.facts[space.levels["departments"]].values)}
    allowed = {name for name, n in named.items() if space.diagram.at(space.permit, {space.levels["departments"]: n})}
    assert allowed == {"open", "open-nobody", "first", "later"}


def test_rules_that_hide_a_fact_behind_other_rules_are_counted_exactly() -> None:
    space = space_for(
        """
        fine if data.lib.level(input.subject.auth_level) > 2
        fine if {
            not outside
            marks["calm"]
        }
        outside if input.context.zone != "office"
        marks["calm"] := true if every signal in input.context.risk { signal != "malware_alert" }
        """,
        None,
        **{"lib.rego": "package lib\nlevel(n) := n + 1 if n < 3\nelse := 0"},
    )
    # auth_level 2 gives 3; else: in the office without a malware alert.
    assert space.outcomes() == {"allow": 1 * 6 * 2 + 3 * 1 * 1, "deny": 4 * 6 * 2 - 15}


def test_a_default_and_branches_of_else_are_told_apart() -> None:
    space = space_for(
        """
        fine if grade == "high"
        default grade := "none"
        grade := "high" if input.device.posture.edr_risk == "none"
        else := "low" if input.device.posture.edr_risk == "low"
        """
    )
    assert space.outcomes() == {"allow": 1, "deny": 4}


def test_impossible_combinations_are_not_counted() -> None:
    """A known group has a known segment: 13 × 4 + 5 = 57 vectors, not 14 × 5."""
    space = space_for('fine if {\n\tinput.resource.group == "data"\n\tinput.resource.segment != "lgwan"\n}')
    assert space.outcomes() == {"allow": 3, "deny": 54}


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        ('fine if startswith(input.subject.id, "u-")', 6, "subject.id"),
        ("fine if input.subject.roles[0] == 1", 6, "subject.roles"),
        ("fine if input.device == {}", 6, "cannot be counted out"),
        ("fine if input.device.posture.patch_age_days < data.limit + 1", 6, "arithmetic"),
        ("fine if input.device.posture.patch_age_days < input.device.posture.age_hours", 6, "cannot be counted out"),
        ('fine if concat("", ["a", "b"]) in input.context.pep', 6, "concat"),
        ("fine if input.context.country == input.subject.organisation", 6, "cannot be counted out"),
        ('fine if "soumu" in input.subject.departments', 6, "held against something else"),
        ("fine if other with input as {}\nother if input.x", 6, "`with`"),
        ('fine if "x" in held\nheld := {one | some one in input.subject.roles}', 7, "subject.roles"),
        ('fine if held["x"]\nheld contains one if some one in input.subject.roles', 7, "subject.roles"),
        ('fine if 0, "x" in input.subject.roles', 6, "places of the words"),
        ("fine if time.now_ns() > 5", 6, "another time"),
        ('fine if startswith(input.context.work_permit_until, "2026")', 6, "work_permit_until"),
        ('fine if {\n\tx := input.context.work_permit_until\n\tx > "2026"\n}', 7, "work_permit_until"),
        ('fine if startswith(held.end, "2026")\nheld := {"end": input.context.work_permit_until}', 6, "times apart"),
        ('fine if held.end > other\nother := "a"\nheld := {"end": input.context.work_permit_until}', 6, "times apart"),
        (
            'fine if held.end == "2026-01-01T00:00:00Z"\nheld := {"end": input.context.work_permit_until}',
            6,
            "times apart",
        ),
        ("fine if input.device.posture.age_hours < 2000000", 6, "beyond"),
        ("fine if a\na if not b\nb if not a", 7, "needs itself"),
    ],
)
def test_what_cannot_be_counted_out_is_refused_at_its_place(body: str, line: int, why: str) -> None:
    with pytest.raises(SpaceError) as refused:
        space_for(body)
    assert why in str(refused.value)
    assert (refused.value.where or "").split(":")[:2] == ["pdp.rego", str(line)]


def test_a_threshold_that_facts_can_move_is_refused() -> None:
    with pytest.raises(SpaceError, match="a value that facts can move"):
        space_for(
            'fine if input.device.posture.age_hours < limit\nlimit := 3 if input.context.zone == "office"\nelse := 5'
        )


def test_a_text_that_becomes_part_of_the_answer_is_refused() -> None:
    with pytest.raises(SpaceError, match="no end of answers"):
        space_for(
            'fine if true\nother[input.subject.id] := 1\nfine if object.get(echo, "x", false)\necho := {"x": input.subject.id}'
        )


def test_a_plain_bundle_has_no_space() -> None:
    plain = make_bundle(
        manifest={"revision": "t", "metadata": {"profile": "plain", "entrypoint": "pdp/decision"}},
        modules={"pdp.rego": HEAD + "fine if true"},
        data={},
    )
    with pytest.raises(SpaceError, match="closed input"):
        build(plain)


def test_a_kept_space_is_the_same_space_and_belongs_to_its_bundle() -> None:
    bundle = bundle_of('fine if input.context.zone == "office"')
    space = build(bundle)
    again = loaded(dumped(space), bundle)
    assert again is not None
    assert dumped(again) == dumped(space) == dumped(build(bundle))
    assert again.outcomes() == space.outcomes()
    assert loaded(dumped(space), bundle_of('fine if input.context.zone == "sase"')) is None
    assert loaded(dumped(space)[:-40], bundle) is None
    assert loaded(b"{}", bundle) is None
