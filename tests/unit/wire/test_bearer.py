from __future__ import annotations

import base64
import json

import pytest

from pdp.errors import BadRequestError
from pdp.model.request import UnverifiedToken
from pdp.wire.bearer import MAX_SUBJECT, MAX_TOKEN, bearer_token, claimed_subject


def jwt(payload: bytes) -> UnverifiedToken:
    return UnverifiedToken("eyJ9." + base64.urlsafe_b64encode(payload).rstrip(b"=").decode() + ".c2ln")


@pytest.mark.parametrize("header", ["Bearer a.b.c", "bearer  a.b.c", "BEARER a.b.c"])
def test_the_scheme_is_read_without_its_case(header: str) -> None:
    assert bearer_token(header) == UnverifiedToken("a.b.c", "bearer", names_subject=True)


@pytest.mark.parametrize("header", ["DPoP a.b.c", "dpop a.b.c"])
def test_a_token_that_comes_with_a_proof_says_so(header: str) -> None:
    assert bearer_token(header) == UnverifiedToken("a.b.c", "dpop", names_subject=True)


@pytest.mark.parametrize("header", [None, "", "Basic dTpw", "GNAP a.b.c"])
def test_another_scheme_is_no_bearer_token(header: str | None) -> None:
    assert bearer_token(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,Bearer b",
        "Bearer a=b",
        "bearerabc",
        "Bearer " + "a" * MAX_TOKEN,
        "DPoP a, DPoP b",
    ],
)
def test_a_malformed_bearer_credential_is_refused(header: str) -> None:
    with pytest.raises(BadRequestError):
        bearer_token(header)


def test_the_subject_is_what_the_token_claims() -> None:
    assert claimed_subject(jwt(b'{"iss":"x","sub":"u-1"}')) == "u-1"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b'"u-1"',
        b'{"sub":""}',
        b'{"sub":1}',
        b'{"sub":null}',
        b'{"sub":["u-1"]}',
        b'{"sub":"u\\n1"}',
        b'{"sub":"u-1","sub":"u-2"}',
        b'{"sub":"u-1","x":NaN}',
        b'{"sub":"\\ud800"}',
        b'{"sub":"\xff"}',
        b'{"sub":"u-1"} x',
        json.dumps({"sub": "u" * (MAX_SUBJECT + 1)}).encode(),
        b'{"sub":"u-1","a":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    ],
)
def test_a_payload_that_names_no_subject_in_one_way_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRequestError) as refused:
        claimed_subject(jwt(payload))
    assert "u-1" not in refused.value.message
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.b.c.d", "a..c", "a.!.c", "a.b=.c", "a.b.c\n", "a.e.c"])
def test_what_is_no_signed_jwt_names_nobody(text: str) -> None:
    with pytest.raises(BadRequestError):
        claimed_subject(UnverifiedToken(text))
