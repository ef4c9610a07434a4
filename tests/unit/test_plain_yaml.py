from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import BadRequestError
from pdp.plain_yaml import compose_one, construct, load_documents, load_one


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("Yes", "Yes"),
        ("NO", "NO"),
        ("8:30", "8:30"),
        ("2023-04-01", "2023-04-01"),
        ("2023-08-06T22:00:00+09:00", "2023-08-06T22:00:00+09:00"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("true", True),
        ("~", None),
        ("null", None),
        ("<<", "<<"),
    ],
)
def test_a_word_means_what_it_looks_like(text: str, value: object) -> None:
    assert load_one(f"a: {text}") == {"a": value}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\na: 2", "line 2, column 1: the key `a` stands twice"),
        ("x: {a: 1, a: 2}", "line 1, column 11: the key `a` stands twice"),
        ("a: &x 1\nb: *x", "line 1, column 4: anchors"),
        ("a: !!python/object:os.x 1", "line 1, column 4: anchors, aliases and tags"),
        ("2: a", "line 1, column 1: a key must be a text"),
        ("a: [1", "line 2, column 1"),
        ("a: " + "[" * 100 + "]" * 100, "nested deeper than"),
        ("\x00", "control characters"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text: str, place: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        load_documents(text)
    assert place in refused.value.message


def test_several_documents_are_several_and_one_is_one() -> None:
    assert load_documents("a: 1\n---\nb: 2") == [{"a": 1}, {"b": 2}]
    with pytest.raises(BadRequestError):
        load_one("a: 1\n---\nb: 2")
    assert load_one("") is None


def test_a_composed_node_knows_its_line() -> None:
    root = compose_one("a: 1\nb: [x, y]\n")
    assert root is not None
    assert (construct(root), root.value[1][1].start_mark.line) == ({"a": 1, "b": ["x", "y"]}, 1)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_and_never_crashes(text: str) -> None:
    try:
        load_documents(text)
    except BadRequestError as refused:
        assert refused.message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="ascii"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(_JSON)
def test_json_is_yaml(value: object) -> None:
    assert load_one(json.dumps(value)) == value
