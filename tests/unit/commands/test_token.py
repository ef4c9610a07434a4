from __future__ import annotations

import json
from pathlib import Path

import pytest

from pdp.identity.jws import MAX_TOKEN
from pdp.identity.token import REASONS
from tests.tokens import AUDIENCE, EPOCH, ISSUER, b64, jwk, jwks, rsa_key, token
from tests.unit.commands.conftest import only_json, process, told


@pytest.fixture
def keys(place: Path) -> Path:
    path = place / "jwks.json"
    path.write_text(json.dumps(jwks()))
    return path


def checked(keys: Path, tokens: bytes, *options: str, at: int = EPOCH) -> list[dict]:
    """In a process of its own: standard input is bytes there, and no helper's."""
    given = ["--jwks", keys, "--issuer", ISSUER, "--audience", AUDIENCE, "--at", str(at)]
    result = process("token", "check", *given, *options, stdin=tokens)
    assert (result.returncode, result.stderr) == (0, b"")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_every_line_has_its_answer_in_order(keys):
    good = token().encode()
    lines = [
        good,
        b"",
        b" " + good,
        good + b"\r",
        b"\xff\xfe",
        b"x" * 100_000,
        b"a" * MAX_TOKEN,
        token(exp=1).encode(),
        good,
    ]
    answers = checked(keys, b"\n".join(lines))
    assert [answer["reason"] for answer in answers] == [
        "ok",
        "malformed",
        "malformed",
        "malformed",
        "malformed",
        "too_large",
        "malformed",
        "expired",
        "ok",
    ]
    assert all(answer["reason"] == "ok" or answer["reason"] in REASONS for answer in answers)
    assert checked(keys, good + b"\n") == answers[:1]
    assert checked(keys, b"") == []


def test_a_token_as_long_as_the_limit_and_one_longer(keys):
    assert [
        answer["reason"] for answer in checked(keys, b"x" * MAX_TOKEN + b"\n" + b"x" * (MAX_TOKEN + 1) + b"\nz")
    ] == [
        "malformed",
        "too_large",
        "malformed",
    ]


def test_each_claim_says_how_it_was_accounted_for_and_nothing_says_what_it_holds(keys):
    text = token(sub="secret-subject", email="secret@mail", zzz="secret-value")
    (answer,) = checked(keys, text.encode())
    assert answer["claims"]["email"] == "ignored: directory"
    assert answer["claims"]["zzz"] == "ignored: unknown"
    assert "secret" not in json.dumps(answer)
    (refused,) = checked(keys, token(exp=1, email="secret@mail").encode())
    assert (refused["claims"]["exp"], refused["claims"]["iss"]) == ("refused", "not judged")
    assert refused["claims"]["email"] == "ignored: directory"


def test_a_bound_token_is_not_one_that_can_be_shown_like_this(keys):
    (answer,) = checked(keys, token(cnf={"jkt": b64(bytes(32))}).encode())
    assert (answer["ok"], answer["reason"], answer["claims"]["cnf"]) == (False, "proof_required", "refused")


def test_the_options_are_the_settings_of_an_issuer(keys):
    keycloak = token({"typ": "JWT"}, typ="Bearer", azp="web", uid="u-9", without="client_id").encode()
    options = ["--typ", "jwt", "--access-token-claim", "typ=Bearer", "--client-claim", "azp", "--subject-claim", "uid"]
    assert [answer["reason"] for answer in checked(keys, keycloak)] == ["typ_refused"]
    (answer,) = checked(keys, keycloak, *options)
    assert (answer["reason"], answer["claims"]["uid"], answer["claims"]["azp"]) == (
        "ok",
        "mapped: user id",
        "mapped: client",
    )
    assert checked(keys, keycloak, *options, "--client", "other")[0]["reason"] == "client_refused"
    assert checked(keys, token(aud="second").encode(), "--audience", "second")[0]["ok"]
    assert checked(keys, token().encode(), "--alg", "ES256")[0]["reason"] == "alg_refused"
    assert checked(keys, token(exp=EPOCH - 1).encode(), "--leeway", "0")[0]["reason"] == "expired"
    old = token(iat=1_000_000_000).encode()
    assert checked(keys, old)[0]["ok"], "without a word on it, only `exp` ends a token"
    assert checked(keys, old, "--max-age", "3600")[0]["reason"] == "expired"


def test_the_keys_of_another_issuer_verify_nothing(place):
    path = place / "other.json"
    path.write_text(json.dumps({"keys": [jwk(rsa_key(2048, 1), "rsa-1")]}))
    assert checked(path, token().encode())[0]["reason"] == "signature_invalid"


@pytest.mark.parametrize("content", ["", "[]", '{"keys":1}', '{"keys":[],"keys":[]}', "not json"])
def test_a_file_that_is_no_set_of_keys_is_bad_input(pdp, place, content):
    (place / "jwks.json").write_text(content)
    result = pdp("token", "check", "--jwks", "jwks.json", "--issuer", ISSUER, "--audience", AUDIENCE)
    assert result.exit_code == 2
    told(result)


@pytest.mark.parametrize(
    "options",
    [
        ["--issuer", "", "--audience", AUDIENCE],
        ["--issuer", ISSUER, "--audience", AUDIENCE, "--alg", "none"],
        ["--issuer", ISSUER, "--audience", AUDIENCE, "--alg", "HS256"],
        ["--issuer", ISSUER, "--audience", AUDIENCE, "--typ", "jwt"],
        ["--issuer", ISSUER, "--audience", AUDIENCE, "--at", "1e300"],
    ],
)
def test_options_that_make_no_issuer_are_bad_input(pdp, keys, options):
    result = pdp("token", "check", "--jwks", keys, *options)
    assert result.exit_code == 2
    told(result)


# --- Revocations -----------------------------------------------------------------------------------------------------


def test_what_is_revoked_is_listed_and_can_be_lifted(pdp):
    assert pdp("token", "revoke", "--subject", "u-1").exit_code == 0
    made = only_json(pdp("token", "revoke", "--session", "s-1", "--json"))
    assert (made["kind"], made["id"]) == ("session", "s-1")
    assert pdp("token", "revoke", "--token", "j-1", lang="ja").stdout.startswith("トークン j-1")
    listed = only_json(pdp("token", "revocations", "--json"))["revocations"]
    assert {(one["kind"], one["id"]) for one in listed} == {("subject", "u-1"), ("session", "s-1"), ("token", "j-1")}
    assert "u-1" in pdp("token", "revocations").stdout
    assert pdp("token", "lift", "--subject", "u-1").exit_code == 0
    assert len(only_json(pdp("token", "revocations", "--json"))["revocations"]) == 2


def test_a_mark_may_be_that_of_one_configured_issuer(pdp, place):
    issuer = "https://idp.example.jp"
    (place / "pdp.toml").write_text(f'[[issuers]]\nissuer = "{issuer}"\naudiences = ["sekisho"]\n')
    assert only_json(pdp("token", "revoke", "--session", "s-1", "--issuer", issuer, "--json"))["issuer"] == issuer
    assert pdp("token", "revoke", "--session", "s-1").exit_code == 0
    listed = only_json(pdp("token", "revocations", "--json"))["revocations"]
    assert {one["issuer"] for one in listed} == {issuer, None}
    assert issuer in pdp("token", "revocations").stdout
    misspelt = pdp("token", "revoke", "--session", "s-1", "--issuer", f"{issuer}/")
    assert misspelt.exit_code == 2, "it would end nothing"
    assert pdp("token", "lift", "--session", "s-1", "--issuer", issuer).exit_code == 0
    assert [one["issuer"] for one in only_json(pdp("token", "revocations", "--json"))["revocations"]] == [None]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--subject", "u-1", "--token", "j-1"],
        ["--subject", ""],
        ["--subject", "u-1", "--at", "99999999999"],
        ["--subject", "u-1", "--at", "1"],
        ["--token", "eyJhbGciOi.eyJzdWIi.c2ln"],
    ],
)
def test_what_cannot_be_revoked_is_bad_input_and_changes_nothing(pdp, arguments):
    result = pdp("token", "revoke", *arguments)
    assert result.exit_code == 2
    error, _ = told(result)
    assert "eyJ" not in error
    assert only_json(pdp("token", "revocations", "--json"))["revocations"] == []
