"""Reading what regorus says."""

from __future__ import annotations

import pytest

from pdp.engine.regorus_fault import read_fault

EXCERPT = (
    "\n--> a/b c.rego:7:13\n  |\n7 | conflict := 2 if input.b\n  | ^\nerror: rule conflicts with\n rule at a.rego:6:1"
)


def test_place_and_message_are_told_apart():
    fault = read_fault(EXCERPT, {})
    assert (fault.where, fault.message) == ("a/b c.rego:7:13", "rule conflicts with rule at a.rego:6:1")
    assert str(fault) == "a/b c.rego:7:13: rule conflicts with rule at a.rego:6:1"


@pytest.mark.parametrize("text", ["not a valid rule path", "", "x" * 10_000, "--> : :", "error: "])
def test_any_other_text_is_a_message_of_one_short_line(text):
    fault = read_fault(text, {})
    assert fault.where is None
    assert 0 < len(fault.message) <= 300
    assert "\n" not in fault.message


@pytest.mark.parametrize(
    ("source", "column", "expected"),
    [("abc", 2, 2), ("\t\tabc", 9, 3), ('x := "日本" + y', 15, 11), ("\tx", 2, 2), ("", 1, 1), ("abc", 99, 4)],
)
def test_columns_are_those_that_a_reader_counts(source, column, expected):
    fault = read_fault(f"--> a.rego:2:{column}\nerror: x", {"a.rego": f"package a\n{source}"})
    assert (fault.line, fault.column) == (2, expected)


def test_a_place_outside_of_the_module_stays_as_it_was_said():
    assert read_fault("--> a.rego:9:7\nerror: x", {"a.rego": "package a"}).where == "a.rego:9:7"
