"""The shared vectors: access tokens (RFC 9068, 8725, 7515, 7519), DPoP proofs (RFC 9449), bound tokens (RFC 8705)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pdp.cli import app
from pdp.identity.claims import check_claims
from pdp.identity.dpop import check_proof, thumbprint
from pdp.identity.possession import check_possession
from pdp.identity.replay import ReplayMemory
from pdp.identity.token import REASONS, Confirmation, Presented, TokenRefusedError
from pdp.model.issuer import Issuer

pytestmark = pytest.mark.anyio


def vectors(shared: Path, name: str) -> Any:
    return json.loads((shared / "vectors" / "jose" / name).read_text(encoding="utf-8"))


def test_every_shared_access_token_is_judged_as_it_should_be(shared: Path, tmp_path: Path) -> None:
    """Through the command, as a script would: one line in, one line out, in order."""
    suite = vectors(shared, "at-jwt-cases.json")
    rules, cases = suite["validate_with"], suite["cases"]
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(suite["jwks"]))
    options = ["--jwks", str(jwks), "--issuer", rules["issuer"], "--audience", rules["audience"]]
    tokens = "\n".join(case["token"] for case in cases)
    result = CliRunner().invoke(app, ["token", "check", *options, "--at", str(rules["now"])], input=tokens)
    assert result.exit_code == 0
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(answers) == len(cases) > 30
    wrong = [case["name"] for case, said in zip(cases, answers, strict=True) if said["ok"] != case["accept"]]
    assert not wrong
    for case, said in zip(cases, answers, strict=True):
        assert said.keys() == {"ok", "reason", "claims"}
        assert (said["reason"] == "ok") == said["ok"]
        assert said["ok"] or said["reason"] in REASONS
        assert case["token"][-20:] not in result.stdout
        if said["ok"]:
            assert not {"refused", "not judged"} & set(said["claims"].values())


def test_the_proofs_of_rfc_9449_hold_for_their_own_request_and_at_their_own_time(shared: Path) -> None:
    suite = vectors(shared, "rfc9449-dpop-examples.json")
    access_token = suite["protected_resource_request"]["access_token"]
    for example in suite["proofs"]:
        claims = example["payload"]
        at = datetime.fromtimestamp(claims["iat"], UTC)
        bound = access_token if "ath" in claims else None
        presented = Presented("dpop", dpop=example["proof"], method=claims["htm"], uri=claims["htu"])
        proof = check_proof(presented, at, token=bound)
        assert proof.jkt == example["jkt"] == thumbprint(example["header"]["jwk"])
        for wrong in (
            {"method": "PUT"},
            {"uri": claims["htu"] + "/more"},
            {"uri": "https://other.example/token"},
            {"dpop": example["proof"][:-8] + "AAAAAAAA"},
        ):
            seen = {"dpop": example["proof"], "method": claims["htm"], "uri": claims["htu"], **wrong}
            with pytest.raises(TokenRefusedError):
                check_proof(Presented("dpop", **seen), at, token=bound)
        for late in (timedelta(seconds=61), timedelta(seconds=-61)):
            with pytest.raises(TokenRefusedError):
                check_proof(presented, at + late, token=bound)
        with pytest.raises(TokenRefusedError):
            check_proof(presented, at, token="another")


async def test_the_bound_token_of_rfc_9449_counts_with_its_proof_and_not_without(shared: Path) -> None:
    suite = vectors(shared, "rfc9449-dpop-examples.json")
    text = suite["protected_resource_request"]["access_token"]
    cnf = Confirmation(jkt=suite["bound_access_token"]["claims"]["cnf"]["jkt"])
    example = next(proof for proof in suite["proofs"] if "ath" in proof["payload"])
    at = datetime.fromtimestamp(example["payload"]["iat"], UTC)
    request = suite["protected_resource_request"]
    shown = Presented("dpop", dpop=example["proof"], method=request["method"], uri=request["url"])
    await check_possession(text, cnf, shown, ReplayMemory(), at)
    with pytest.raises(TokenRefusedError, match="proof_required"):
        await check_possession(text, cnf, Presented(), ReplayMemory(), at)


async def test_the_bound_token_of_rfc_8705_counts_with_its_certificate_and_no_other(shared: Path) -> None:
    claims = vectors(shared, "rfc8705-cnf.json")["example_claims"]
    issuer = Issuer(issuer=claims["iss"], audiences=("https://rs.example.com",))
    added = {"aud": "https://rs.example.com", "iat": claims["nbf"], "jti": "j", "client_id": "c"}
    now = datetime.fromtimestamp(claims["nbf"], UTC)
    cnf = check_claims({**claims, **added}, issuer, now).cnf
    assert cnf is not None
    certificate = "6f070ad1eb1cdc0082dc3076639fe5112b1713ca3d96d734e4ef3d8dd37e760d"  # decoded by another program
    assert cnf == Confirmation(certificate_sha256=certificate)
    await check_possession("t", cnf, Presented(certificate_sha256=certificate), ReplayMemory(), now)
    for other, reason in ((None, "proof_required"), ("00" * 32, "certificate_mismatch")):
        with pytest.raises(TokenRefusedError, match=reason):
            await check_possession("t", cnf, Presented(certificate_sha256=other), ReplayMemory(), now)
