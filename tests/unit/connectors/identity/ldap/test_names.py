"""Distinguished names: equal where a directory says so, and never by a trick of escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity.ldap.names import NameFault, is_under, parse_name


def escaped_value(value: str) -> str:
    """A value for the text of a name (RFC 4514 section 2.4)."""
    out = "".join("\\" + c if c in '",+;<>\\=' else "\\00" if c == "\0" else c for c in value)
    if out[:1] in ("#", " "):
        out = "\\" + out
    return out[:-1] + "\\ " if out.endswith(" ") and not out.endswith("\\ ") else out


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CN=Yamada,OU=Staff,DC=pref", "cn=yamada,ou=staff,dc=PREF"),
        ("cn=a , ou=b", "cn=a,ou=b"),
        ("cn=a  b,ou=c", "cn=A b,ou=c"),
        (r"cn=a\2cb,ou=c", r"cn=a\,b,ou=c"),
        (r"cn=\e4\b8\89\e9\87\8d,ou=c", "cn=三重,ou=c"),
        ("cn=a+uid=1,ou=c", "uid=1+cn=a,ou=c"),
        ("2.5.4.3=a,ou=c", "cn=a,ou=c"),
        (r"cn=\ a,ou=c", r"cn=\20a,ou=c"),
    ],
)
def test_names_that_a_directory_holds_equal_are_equal(one, other):
    assert parse_name(one) == parse_name(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"cn=a\,ou=admins,ou=c", "cn=a,ou=admins,ou=c"),  # an escaped comma is no border between parts
        (r"cn=a\+uid\=1,ou=c", "cn=a+uid=1,ou=c"),
        ("cn=a,ou=b,ou=c", "cn=a,ou=c,ou=b"),
        ("cn=ａ,ou=c", "cn=a,ou=c"),
        (r"cn=\ a,ou=c", "cn=a,ou=c"),
        ("cn=a", "uid=a"),
    ],
)
def test_names_that_only_look_alike_differ(one, other):
    assert parse_name(one) != parse_name(other)


@pytest.mark.parametrize(
    "text", ["", "cn", "=a", "cn=a,", ",cn=a", "cn=a,,ou=b", r"cn=a\zz", "cn=a\\", 'cn="a",ou=b', "cn=<a>", r"cn=\ff", "1cn=a", "x" * 5_000]
)  # fmt: skip
def test_what_is_no_name_is_refused(text):
    with pytest.raises(NameFault):
        parse_name(text)


def test_a_name_is_under_its_unit_and_not_under_one_that_merely_ends_alike():
    unit = parse_name("OU=共用,DC=pref")
    assert is_under(parse_name("cn=a,ou=x,ou=共用,dc=pref"), unit)
    assert is_under(unit, unit)
    assert not is_under(parse_name(r"cn=a\,ou=共用,dc=pref"), unit)
    assert not is_under(parse_name("dc=pref"), unit)
    assert not is_under(unit, ())


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40))
def test_an_escaped_value_stays_one_part(value):
    name = parse_name(f"cn={escaped_value(value)},ou=c")
    assert len(name) == 2
    assert name[1] == (("ou", "c"),)
