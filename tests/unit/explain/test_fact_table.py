from __future__ import annotations

import msgspec
import pytest

from pdp.errors import BadRequestError
from pdp.explain.fact_table import BY_PATH, FACTS, GROUPS, group_of, other_values, same, value_at, with_values
from pdp.explain.parameters import Parameters, read_parameters
from pdp.model.input import check_input
from pdp.model.words import words_for
from pdp.obligations import OBLIGATIONS, PEP_WORDS
from tests.oracle.documents import healthy

PARAMETERS = Parameters((14, 30), (24,), ("data_user",), ("JP",), ("clipboard", "save"))
DOCUMENT = check_input(healthy("managed_pc", "business"))


def paths_of(node: object, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return [prefix]
    return [path for key, value in node.items() for path in paths_of(value, f"{prefix}.{key}" if prefix else key)]


def test_every_fact_of_the_document_stands_in_the_table_in_the_documents_order():
    in_document = [path for path in paths_of(msgspec.to_builtins(DOCUMENT)) if path != "schema"]
    assert [fact.path for fact in FACTS] == in_document


def test_every_fact_has_a_name_of_its_own_in_both_languages():
    for fact in FACTS:
        assert fact.label.ja and fact.label.en
        assert group_of(fact.path) in GROUPS
    for group in GROUPS:
        labels = [fact.label for fact in FACTS if group_of(fact.path) == group]
        assert len({label.ja for label in labels}) == len({label.en for label in labels}) == len(labels)


@pytest.mark.parametrize("path", BY_PATH)
def test_every_fact_has_other_values_and_none_is_the_present_one(path):
    current = value_at(DOCUMENT, path)
    others = other_values(DOCUMENT, path, PARAMETERS)
    # These four have nothing else to be in this document: it names no department, and no window.
    assert others or path in ("resource.departments", "context.work_permit_until")
    assert not any(same(value, current) for value in others)


@pytest.mark.parametrize("path", BY_PATH)
def test_every_closed_value_has_a_japanese_word(path):
    for value in other_values(DOCUMENT, path, PARAMETERS):
        if path.endswith((".id", ".organisation", ".organisations", ".departments", ".roles", ".country", ".pep")):
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            continue
        assert words_for(path, value).ja != str(value)


def test_a_threshold_is_tried_from_both_sides():
    assert {13, 14, 15, 29, 30, 31, "unknown"} <= set(
        other_values(DOCUMENT, "device.posture.patch_age_days", PARAMETERS)
    )
    assert {23, 24, 25, "unknown"} <= set(other_values(DOCUMENT, "device.posture.age_hours", PARAMETERS))


def test_one_is_not_true():
    assert not same(1, True)
    assert same(["a"], ["a"])


def test_a_changed_document_is_checked_like_any_other():
    with pytest.raises(BadRequestError):
        with_values(DOCUMENT, {"resource.segment": "unknown"})
    assert with_values(DOCUMENT, {"device.class": "byod_pc"}).device.class_ == "byod_pc"
    assert DOCUMENT.device.class_ == "managed_pc"


def test_parameters_are_taken_from_the_data_and_what_is_malformed_is_not_there():
    data = {
        "zta": {
            "parameters": {
                "patch_warn_days": 14,
                "patch_deny_days": 30,
                "patch_one_level_more": ["data"],
                "posture_stale_hours": 24,
                "posture_degraded_hours": True,
                "allowed_countries": "JP",
            },
            "matrix": {"rows": {"data": {"section_pc": {"office": {"level": 2, "role": "data_user"}}}}},
        }
    }
    assert read_parameters(data) == Parameters((14, 30), (24,), ("data_user",), (), PEP_WORDS)
    assert read_parameters({}) == Parameters(pep_words=PEP_WORDS)
    assert read_parameters({"zta": []}) == Parameters(pep_words=PEP_WORDS)


def test_every_word_of_an_enforcement_point_is_an_obligation():
    assert set(PEP_WORDS) < set(OBLIGATIONS)
