"""When two names are one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pdp.scim.names import exact_key, name_key


@given(st.text(max_size=40))
@example("ﬃ")
@example("ẞß")
@example("İı")
@example("\u0345\u03b1\u0345")
@example("①㍻")
def test_folding_a_folded_name_changes_nothing(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)
    assert exact_key(exact_key(text)) == exact_key(text)


@given(st.text(max_size=40))
def test_case_and_form_of_a_name_make_no_other_name(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert name_key(unicodedata.normalize(form, text)) == name_key(text)


@pytest.mark.parametrize(("one", "other"), [("ＢＪｅｎｓｅｎ", "bjensen"), ("ﾔﾏﾀﾞ", "ヤマダ"), ("STRASSE", "straße")])
def test_width_and_case_are_folded(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(("one", "other"), [("山田", "山口"), ("カ", "ガ"), ("o", "0"), ("а", "a")])
def test_different_letters_are_different_names(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)
