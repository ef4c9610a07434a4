"""Whom an event is about, in each format, and that nobody is left out."""

from __future__ import annotations

from typing import Any

import pytest

from pdp.model.ssf_transmitter import SubjectFormat
from pdp.ssf.sending.naming import About, Account, Names, Person, Session, Terminal, Token
from pdp.ssf.subjects import read_subject

A, B, C = "https://a.example.jp", "https://b.example.jp", "https://c.example.jp"
NAMES = Names(issuers=(A, B, C), by_sub=(A, B), email_domain="example.jp")
BARE = Names()


def said(names: Names, about: About, form: SubjectFormat) -> list[dict[str, Any]]:
    found = [one.to_json() for one in names.subjects(about, form)]
    assert found
    for one in found:
        read_subject(one)  # as any receiver reads it
    return found


def opaque(identifier: str) -> dict[str, str]:
    return {"format": "opaque", "id": identifier}


def iss_sub(issuer: str, sub: str) -> dict[str, str]:
    return {"format": "iss_sub", "iss": issuer, "sub": sub}


def mail(address: str) -> dict[str, str]:
    return {"format": "email", "email": address}


@pytest.mark.parametrize(
    ("names", "about", "form", "expected"),
    [
        (NAMES, Person("u1"), "opaque", [opaque("u1")]),
        (NAMES, Person("u1"), "email", [mail("u1@example.jp")]),
        (NAMES, Person("Taro@Mie.Example.jp"), "email", [mail("taro@mie.example.jp")]),
        (NAMES, Person("u1"), "iss_sub", [iss_sub(A, "u1"), iss_sub(B, "u1")]),
        (NAMES, Person("u1", B), "iss_sub", [iss_sub(B, "u1")]),
        (NAMES, Person("u1", C), "iss_sub", [iss_sub(C, "u1"), opaque("u1")]),  # `sub`, or the directory's id
        (BARE, Person("u1"), "iss_sub", [opaque("u1")]),
        (BARE, Person("u1"), "email", [opaque("u1")]),
        (NAMES, Person("u 1"), "email", [opaque("u 1")]),
        (NAMES, Account("x-1", C), "iss_sub", [iss_sub(C, "x-1")]),
        (NAMES, Account("x-1", C), "email", [iss_sub(C, "x-1")]),
        (NAMES, Account("x@example.jp", C), "email", [mail("x@example.jp")]),
        (NAMES, Account("x-1"), "iss_sub", [iss_sub(A, "x-1"), iss_sub(B, "x-1"), iss_sub(C, "x-1")]),
        (BARE, Account("x-1"), "iss_sub", [opaque("x-1")]),
        (NAMES, Account("x-1", C), "opaque", [opaque("x-1")]),
        (NAMES, Session("s-1"), "email", [{"format": "complex", "session": opaque("s-1")}]),
        (NAMES, Token("t-1", A), "email", [{"format": "jwt_id", "iss": A, "jti": "t-1"}]),
        (NAMES, Token("t-1"), "email", [{"format": "jwt_id", "iss": one, "jti": "t-1"} for one in (A, B, C)]),
        (BARE, Token("t-1"), "email", [opaque("t-1")]),
        (NAMES, Terminal("d-1"), "email", [{"format": "complex", "device": opaque("d-1")}]),
        (
            NAMES,
            Terminal("d-1", "u1"),
            "iss_sub",
            [{"format": "complex", "device": opaque("d-1"), "user": iss_sub(one, "u1")} for one in (A, B)],
        ),
    ],
)
def test_everybody_has_a_name_in_every_format(
    names: Names, about: About, form: SubjectFormat, expected: list[dict[str, Any]]
) -> None:
    assert said(names, about, form) == expected
