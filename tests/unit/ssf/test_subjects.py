"""Subject identifiers: what is one, what is none, and which are the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import BadRequestError
from pdp.ssf.subjects import (
    MAX_TEXT,
    Aliases,
    Foreign,
    complex_of,
    email,
    iss_sub,
    matches,
    opaque,
    read_subject,
)


def test_a_subject_without_a_format_is_refused_in_the_legacy_mode_too() -> None:
    with pytest.raises(BadRequestError):
        read_subject({"email": "user@example.com"}, legacy=True)


def test_the_older_form_counts_in_the_legacy_mode_alone() -> None:
    value = {"subject_type": "iss-sub", "iss": "https://idp.example.com/", "sub": "1"}
    assert read_subject(value, legacy=True) == iss_sub("https://idp.example.com/", "1")
    with pytest.raises(BadRequestError):
        read_subject(value)


def test_an_older_complex_subject_has_no_format() -> None:
    value = {"user": {"subject_type": "email", "email": "A@B.example"}, "device": {"format": "opaque", "id": "d"}}
    assert read_subject(value, legacy=True) == complex_of(user=email("a@b.example"), device=opaque("d"))
    with pytest.raises(BadRequestError):
        read_subject(value)


def test_a_user_is_not_any_device() -> None:
    """By the letter of SSF 1.0 two complex subjects without a common member match."""
    assert not matches(complex_of(user=opaque("a")), complex_of(device=opaque("d")))


def test_a_person_is_not_a_complex_subject_of_the_same_person() -> None:
    assert not matches(opaque("a"), complex_of(user=opaque("a")))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"format": "email", "email": "Taro@Pref.Example"}, {"format": "email", "email": "taro@pref.example"}),
        (
            {"format": "phone_number", "phone_number": "+1 206 555 0123"},
            {"format": "phone_number", "phone_number": "+1-206.555(0123)"},
        ),
        (
            {"format": "ip-addresses", "ip-addresses": ["2001:db8:0:0::1", "10.0.0.1"]},
            {"format": "ip-addresses", "ip-addresses": ["10.0.0.1", "2001:DB8::1"]},
        ),
        (
            {"format": "account", "uri": "ACCT:u@Service.Example"},
            {"format": "account", "uri": "acct:u@service.example"},
        ),
    ],
)
def test_two_spellings_are_one_subject(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert read_subject(one) == read_subject(other)


def test_names_that_an_issuer_gave_are_compared_letter_for_letter() -> None:
    assert iss_sub("https://idp.example", "a") != iss_sub("https://idp.example/", "a")
    assert iss_sub("https://idp.example", "a") != iss_sub("https://idp.example", "A")


def test_aliases_match_whom_they_name() -> None:
    aliases = read_subject(
        {"format": "aliases", "identifiers": [email("a@b.example").to_json(), opaque("x").to_json()]}
    )
    assert isinstance(aliases, Aliases)
    assert matches(aliases, opaque("x")) and matches(email("a@b.example"), aliases)
    assert not matches(aliases, opaque("y"))


def test_a_format_that_somebody_agreed_upon_is_taken_and_is_nobody_else() -> None:
    value = {"format": "catalog_item", "catalog_id": "c0384/winter/2354122"}
    subject = read_subject(value)
    assert isinstance(subject, Foreign) and subject.to_json() == value
    nobody = read_subject({"format": "aliases", "identifiers": [value]})
    other = read_subject({"format": "aliases", "identifiers": [{**value, "catalog_id": "other"}]})
    assert not matches(nobody, other), "two lists of names that nobody reads are not the same person"


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        "user",
        {"format": 7, "email": "a@b"},
        {"format": "email", "email": "nobody"},
        {"format": "email", "email": "a b@c"},
        {"format": "email", "email": ["a@b"]},
        {"format": "opaque", "id": ""},
        {"format": "opaque", "id": "a\nb"},
        {"format": "opaque", "id": "x" * 1025},
        {"format": "ip-addresses", "ip-addresses": []},
        {"format": "ip-addresses", "ip-addresses": ["300.1.1.1"]},
        {"format": "ip-addresses", "ip-addresses": [1]},
        {"format": "aliases", "identifiers": [{"format": "opaque", "id": "x"}] * 33},
        {"format": "complex", "user": {"format": "complex", "user": {"format": "opaque", "id": "x"}}},
        {"format": "complex", "user": "u-1"},
        {"format": "complex", **{f"m{n}": {"format": "opaque", "id": "x"} for n in range(17)}},
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(value: Any) -> None:
    for legacy in (False, True):
        with pytest.raises(BadRequestError) as refused:
            read_subject(value, legacy=legacy)
        assert "nobody" not in refused.value.message, "a refusal repeats no value"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["format", "email", "id", "user", "device", "identifiers", "subject_type", "iss", "sub"])
            | st.text(max_size=4),
            inner | st.sampled_from(["email", "opaque", "complex", "aliases", "iss_sub", "iss-sub"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_VALUES, st.booleans())
def test_whatever_is_read_is_read_again_as_the_same(value: Any, legacy: bool) -> None:
    try:
        subject = read_subject(value, legacy=legacy)
    except BadRequestError:
        return
    assert read_subject(subject.to_json()) == subject


@pytest.mark.parametrize(
    "value",
    [
        {"format": "phone_number", "phone_number": "-"},  # nothing is left of it
        {"format": "email", "email": "\u0130" * 600 + "@example.jp"},  # in lower case it has twice as many characters
        {"format": "account", "uri": "x" * MAX_TEXT},  # its scheme gets a colon
    ],
)
def test_a_subject_that_could_not_be_read_again_is_none(value: dict[str, str]) -> None:
    with pytest.raises(BadRequestError):
        read_subject(value)
