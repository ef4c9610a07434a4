"""What a `[[issuers]]` table may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import SettingsError
from pdp.model.issuer import Issuer
from pdp.settings import load_settings

LEAST = {"issuer": "https://idp.example.jp", "audiences": ["https://pdp.example.jp"]}


def loaded(**members: Any) -> Issuer:
    (issuer,) = load_settings(environ={"PDP_ISSUERS": json.dumps([{**LEAST, **members}])}).issuers
    return issuer


def test_an_issuer_and_an_audience_are_enough_and_strict() -> None:
    issuer = loaded()
    assert (issuer.typ, issuer.algorithms, issuer.leeway_s) == ("at+jwt", ("RS256", "ES256"), 60)
    assert (issuer.subject_claim, issuer.client_claim, issuer.highest_level) == ("sub", "client_id", 3)
    assert issuer.key_hosts == {"idp.example.jp"}


def test_issuers_stand_in_the_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "pdp.toml"
    file.write_text(
        """
        [[issuers]]
        issuer = "https://idp.example.jp/realms/mie"
        audiences = ["https://pdp.example.jp"]
        typ = "jwt"
        access_token_claims = {typ = "Bearer"}
        client_claim = "azp"
        acr_levels = {gold = 3}
        hosts = ["keys.example.net"]
        """,
        encoding="utf-8",
    )
    (issuer,) = load_settings(file, environ={}).issuers
    assert issuer.access_token_claims == {"typ": "Bearer"}
    assert issuer.acr_levels == {"gold": 3}
    assert issuer.key_hosts == {"idp.example.jp", "keys.example.net"}


def test_a_file_of_keys_needs_no_address() -> None:
    assert loaded(issuer="urn:example:offline", jwks_file="keys.json").jwks_file == "keys.json"


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8080/realms/x", "http://[::1]:8080", "http://localhost"])
def test_the_loopback_may_do_without_tls(issuer: str) -> None:
    assert loaded(issuer=issuer).issuer == issuer


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "http://idp.example.jp"},
        {"issuer": "idp.example.jp"},
        {"issuer": ""},
        {"issuer": "https://user:secret@idp.example.jp"},
        {"issuer": "https://"},
        {"issuer": "https://idp.example.jp#x"},
        {"issuer": "https://idp.example.jp:x"},
        {"issuer": "https://idp.example.jp/\u2028"},
        {"audiences": []},
        {"audiences": [""]},
        {"audiences": "https://pdp.example.jp"},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": ["PS256"]},
        {"algorithms": ["EdDSA"]},
        {"typ": "any"},
        {"typ": "jwt"},
        {"leeway_s": 61},
        {"leeway_s": -1},
        {"max_age_s": 0},
        {"max_age_s": 31 * 86_400 + 1},
        {"jwks_ttl_s": 299},
        {"jwks_ttl_s": 3_601},
        {"jwks_uri": "http://idp.example.jp/keys"},
        {"jwks_uri": "file:///keys"},
        {"jwks_uri": "https://idp.example.jp/keys", "jwks_file": "keys.json"},
        {"acr_levels": {"gold": 4}},
        {"highest_level": 4},
        {"identity_sources": ["anybody"]},
        {"audience": "https://pdp.example.jp"},
        {"leeway": 5},
    ],
)
def test_what_would_be_unsafe_or_is_misspelt_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(**members)
    assert "secret" not in str(caught.value)
