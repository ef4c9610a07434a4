"""Small policies and the persons who work on them, for every test of revisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from pdp.revisions.person import Person, Role
from pdp.revisions.revision import GateResult

NOW = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)
WHY = "a reason that says something"
FINE = (GateResult("bundle", "passed", "it loads"), GateResult("tests", "passed", "1 passed, 0 failed"))


def after(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def policy(name: str, *, allow: bool = True, more: str = "") -> dict[str, str]:
    """A `plain` policy that says yes to everybody, or no to everybody, with one test."""
    manifest = {"revision": name, "rego_version": 1, "metadata": {"profile": "plain", "entrypoint": "house/decision"}}
    word = "true" if allow else "false"
    answer = f'{{"decision": {word}, "context": {{"from": "{name}"}}}}'
    return {
        ".manifest": json.dumps(manifest),
        "house/house.rego": f"package house\n\ndecision := {answer}\n{more}",
        "house/house_test.rego": f"package house_test\n\ntest_it if data.house.decision.decision == {word}\n",
    }


def zta_policy(
    name: str, *, allow: bool = True, more: str = "", networks: Sequence[dict[str, str]] = ()
) -> dict[str, str]:
    """A policy of profile `zta` with the data that facts need, which permits everything or nothing."""
    manifest = {"revision": name, "rego_version": 1, "metadata": {"profile": "zta", "entrypoint": "pdp/decision"}}
    data = {
        "zta": {
            "catalogue": [],
            "networks": list(networks),
            "calendar": {"office_hours": {"from": "08:30", "until": "17:15"}, "weekend": [], "closed_dates": {}},
            "parameters": {"own_tenants": ["mie"], "business_cut_over": "2023-02-01"},
        }
    }
    word = "allow" if allow else "deny"
    answer = f'{{"outcome": "{word}", "reasons": ["{word.upper()}"], "obligations": {{}}}}'
    return {
        ".manifest": json.dumps(manifest),
        "pdp.rego": f"package pdp\n\ndecision := {answer}\n{more}",
        "data/zta.json": json.dumps(data),
    }


def person(name: str, *roles: Role) -> Person:
    return Person(name, frozenset(roles))


AUTHOR = person("caller:sato", "author")
APPROVER = person("caller:suzuki", "approver")
OTHER_APPROVER = person("caller:takahashi", "approver")
OPERATOR = person("caller:tanaka", "operator")
AUDITOR = person("caller:kansa", "auditor")
EVERYTHING = person("caller:ito", "author", "approver", "operator", "auditor", "administrator")


def key_pair(kind: str = "Ed25519") -> tuple[bytes, bytes]:
    """(private, public) in PEM."""
    private = Ed25519PrivateKey.generate() if kind == "Ed25519" else generate_private_key(SECP256R1())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), public
