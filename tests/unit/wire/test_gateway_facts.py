from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import BadRequestError
from pdp.model.request import AssertedClaims, ClientRequest, Network, UnverifiedToken
from pdp.wire.exchange import HttpRequest
from pdp.wire.gateway_facts import FACTS, PROFILE, access_request, read_headers, strict_path

if TYPE_CHECKING:
    from pdp.bundle.bundle import Profile
    from pdp.model.request import AccessRequest

HASH = "ab" * 32
MUST = (("x-pdp-subject", "u-1"), ("x-pdp-resource", "mail"))


def http(*headers: tuple[str, str]) -> HttpRequest:
    return HttpRequest("GET", "/envoy/x", "", headers)


def asked(*headers: tuple[str, str], hops: int = 0, profile: Profile = "plain") -> AccessRequest:
    read = read_headers(http(*headers))
    return access_request(read, profile=profile, method="POST", path="/x", wire="w", trusted_hops=hops)


def jwt(**claims: object) -> str:
    parts = ({"alg": "ES256"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + ".c2ln"


def test_every_fact_reaches_its_place() -> None:
    request = asked(
        ("x-pdp-subject", "u-1"),
        ("x-pdp-acr", "urn:sekisho:auth-level:2"),
        ("x-pdp-amr", "pwd otp"),
        ("x-pdp-auth-time", "1690851600"),
        ("x-pdp-issuer", "https://idp.example.jp"),
        ("x-pdp-session", "s-1"),
        ("x-pdp-device", "d-1"),
        ("x-forwarded-client-cert", f"Hash={HASH}"),
        ("x-pdp-resource", "mail"),
        ("x-pdp-action", "write"),
        ("x-pdp-tenant", "own"),
        ("x-pdp-organisation", "tsu"),
        ("x-pdp-source-ip", "2001:0DB8::1"),
        ("x-pdp-tunnel", "true"),
        ("x-pdp-underlay", "home"),
        ("x-pdp-country", "JP"),
        ("x-pdp-path-encrypted", "false"),
        ("x-pdp-risk", "bulk_download"),
        ("x-pdp-pep", "clipboard save"),
        ("x-request-id", "r-1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("cookie", "ignored"),
    )
    assert (request.subject_id, request.resource_id, request.action) == ("u-1", "mail", "write")
    assert request.identity == AssertedClaims(
        "urn:sekisho:auth-level:2", ("pwd", "otp"), datetime(2023, 8, 1, 1, tzinfo=UTC), "https://idp.example.jp"
    )
    assert (request.device_id, request.certificate_sha256, request.session_id) == ("d-1", HASH, "s-1")
    assert request.network == Network("2001:db8::1", True, "home", False, "JP")
    assert (request.risk, request.pep) == (("bulk_download",), ("clipboard", "save"))
    assert (request.tenant, request.organisation, request.path) == ("own", "tsu", "/x")
    assert (request.request_id, request.trace_id) == ("r-1", "4bf92f3577b34da6a3ce929d0e0e4736")
    assert request.document == {
        "subject": {"type": "user", "id": "u-1"},
        "action": {"name": "write", "properties": {"method": "POST"}},
        "resource": {
            "type": "application",
            "id": "mail",
            "properties": {"path": "/x", "tenant": "own", "organisation": "tsu"},
        },
        "context": {
            "device": {"id": "d-1", "certificate_sha256": HASH},
            "network": {
                "source_ip": "2001:db8::1",
                "tunnel": True,
                "underlay": "home",
                "path_encrypted": False,
                "country": "JP",
            },
            "risk": ["bulk_download"],
            "pep": ["clipboard", "save"],
        },
    }


def test_what_is_not_said_stays_unsaid() -> None:
    request = asked(*MUST)
    assert request.action == "access"
    assert request.identity == AssertedClaims()
    assert request.network == Network()
    assert (request.device_id, request.certificate_sha256, request.session_id) == (None, None, None)
    assert (request.risk, request.pep, request.tenant, request.organisation) == ((), (), None, None)
    assert (request.request_id, request.trace_id) == (None, None)
    assert request.document["context"] == {"network": {"tunnel": False}, "risk": [], "pep": []}


def test_without_an_asserted_subject_the_token_is_the_question() -> None:
    token = jwt(sub="u-7", iss="x")
    request = asked(("authorization", f"Bearer {token}"), ("x-pdp-resource", "mail"), profile="zta")
    assert request.subject_id == "u-7"
    assert request.identity == UnverifiedToken(token, names_subject=True)
    assert request.client_request is None
    assert token not in repr(request)


def test_a_proof_of_possession_is_about_the_request_that_the_gateway_saw() -> None:
    token = jwt(sub="u-7", iss="x")
    headers = (
        ("authorization", f"DPoP {token}"),
        ("dpop", "a.b.c"),
        ("host", "app.example"),
        ("x-pdp-resource", "mail"),
    )
    request = asked(*headers, profile="zta")
    assert request.identity == UnverifiedToken(token, "dpop", names_subject=True)
    assert request.client_request == ClientRequest("POST", "https://app.example/x", "a.b.c")
    assert token not in repr(request)
    assert "a.b.c" not in repr(request)


@pytest.mark.parametrize(
    ("proof", "host"), [("a.b.c,d.e.f", "app.example"), ("a.b", "app.example"), ("", "app.example"), ("a.b.c", "x/y@z")]
)
def test_a_proof_that_is_not_one_is_refused(proof: str, host: str) -> None:
    headers = (("authorization", f"DPoP {jwt(sub='u-7')}"), ("dpop", proof), ("host", host), ("x-pdp-resource", "mail"))
    with pytest.raises(BadRequestError):
        asked(*headers, profile="zta")


def test_an_asserted_subject_goes_before_the_clients_token() -> None:
    assert asked(*MUST, ("authorization", f"Bearer {jwt(sub='u-7')}")).identity == AssertedClaims()


@pytest.mark.parametrize("claim", ["x-pdp-acr", "x-pdp-amr", "x-pdp-auth-time", "x-pdp-issuer"])
def test_a_claim_without_its_subject_does_not_fall_back_to_the_token(claim: str) -> None:
    with pytest.raises(BadRequestError, match=claim):
        asked((claim, "1"), ("authorization", f"Bearer {jwt(sub='u-7')}"), ("x-pdp-resource", "mail"))


def test_nobody_in_particular_is_refused() -> None:
    with pytest.raises(BadRequestError, match="no subject"):
        asked(("x-pdp-resource", "mail"))
    with pytest.raises(BadRequestError, match="no subject"):
        asked(("x-pdp-resource", "mail"), ("authorization", "Basic dTpw"))


def test_a_route_without_a_resource_is_refused() -> None:
    with pytest.raises(BadRequestError, match="x-pdp-resource"):
        asked(("x-pdp-subject", "u-1"))


@pytest.mark.parametrize("name", sorted(PROFILE - {"accept", "accept-language"}))
def test_a_header_of_the_profile_that_stands_twice_is_refused(name: str) -> None:
    with pytest.raises(BadRequestError, match="more than once"):
        read_headers(http((name, "a"), (name, "a")))


def test_preferences_may_stand_on_several_lines() -> None:
    assert read_headers(http(("accept", "a/b"), ("accept", "c/d"))) == {"accept": "a/b,c/d"}


def test_a_misspelt_fact_is_refused_and_not_ignored() -> None:
    with pytest.raises(BadRequestError, match="x-pdp-risks"):
        read_headers(http(("x-pdp-risks", "malware_alert")))


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("value", ["", "a,b", "a, b", " a", "a ", "a\tb", "\xe3\x81\x82", "a\x00", "a" * 3000])
def test_no_fact_is_empty_or_joined_or_unreadable(name: str, value: str) -> None:
    given_ = {**dict(MUST), name: value}
    with pytest.raises(BadRequestError):
        headers = read_headers(http(*given_.items()))
        access_request(headers, profile="zta", method="GET", path="/x", wire="w", trusted_hops=0)
        strict_path(headers, default=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-pdp-auth-time", "-1"),
        ("x-pdp-auth-time", "1.7e+09"),
        ("x-pdp-auth-time", "1690851600.5"),
        ("x-pdp-auth-time", "999999999999"),
        ("x-pdp-auth-time", "\u0661"),
        ("x-pdp-tunnel", "True"),
        ("x-pdp-tunnel", "1"),
        ("x-pdp-country", "jp"),
        ("x-pdp-country", "JPN"),
        ("x-pdp-source-ip", "10.0.0.1:80"),
        ("x-pdp-source-ip", "010.0.0.1"),
        ("x-pdp-source-ip", "10.1"),
        ("x-pdp-source-ip", "fe80::1%eth0"),
        ("x-pdp-source-ip", "office"),
        ("x-pdp-pep", "clipboard  save"),
        ("x-pdp-pep", " ".join(["a"] * 33)),
        ("x-pdp-risk", "a" * 65),
        ("x-pdp-amr", "Wyd"),
        ("x-pdp-amr", "WyJwd2QiXQ=!"),
        ("x-pdp-amr", base64.b64encode(b'["pwd",1]').decode()),
        ("x-pdp-amr", base64.b64encode(b'["pwd","a b"]').decode()),
        ("x-pdp-amr", base64.b64encode(b'["pwd"').decode()),
        ("x-pdp-amr", base64.b64encode(json.dumps(["a"] * 33, separators=(",", ":")).encode()).decode()),
        ("x-request-id", "a b"),
    ],
)
def test_a_value_that_cannot_be_read_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(*{**dict(MUST), name: value}.items())
    assert value not in refused.value.message


@pytest.mark.parametrize(
    ("value", "methods"),
    [
        ("pwd", ("pwd",)),
        ("pwd otp", ("pwd", "otp")),
        ("WyJwd2QiLCJvdHAiXQ==", ("pwd", "otp")),  # Envoy 1.40 for ["pwd","otp"]
        ("WyJwd2QiLCJvdHAiXQ", ("pwd", "otp")),
        ("W10=", ()),  # Envoy 1.40 for []
    ],
)
def test_the_methods_are_words_or_envoys_encoded_list(value: str, methods: tuple[str, ...]) -> None:
    identity = asked(*MUST, ("x-pdp-amr", value)).identity
    assert isinstance(identity, AssertedClaims)
    assert identity.amr == methods


@pytest.mark.parametrize(
    ("hops", "forwarded", "address"),
    [
        (0, "203.0.113.9", None),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6,,\t203.0.113.9 ", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9,2001:db8::1", "203.0.113.9"),
    ],
)
def test_only_the_hops_that_we_wrote_are_believed(hops: int, forwarded: str, address: str | None) -> None:
    assert asked(*MUST, ("x-forwarded-for", forwarded), hops=hops).network.source_ip == address


@pytest.mark.parametrize(
    ("hops", "forwarded"), [(2, "203.0.113.9"), (1, ""), (1, "a"), (1, "203.0.113.9,"), (1, "1.2.3.4 5.6.7.8")]
)
def test_a_forwarded_address_that_is_missing_or_none_is_refused(hops: int, forwarded: str) -> None:
    with pytest.raises(BadRequestError, match="x-forwarded-for"):
        asked(*MUST, ("x-forwarded-for", forwarded), hops=hops)


def test_the_gateways_own_word_goes_before_the_forwarded_list() -> None:
    headers = (("x-pdp-source-ip", "10.0.0.1"), ("x-forwarded-for", "6.6.6.6"))
    assert asked(*MUST, *headers, hops=1).network.source_ip == "10.0.0.1"


@pytest.mark.parametrize(
    ("said", "default", "strict"),
    [(None, True, True), (None, False, False), ("false", True, False), ("true", False, True)],
)
def test_the_route_may_say_how_strict_paths_are(said: str | None, default: bool, strict: bool) -> None:
    assert strict_path({} if said is None else {"x-pdp-strict-path": said}, default=default) is strict


@given(st.lists(st.tuples(st.sampled_from(sorted(PROFILE)), st.text(st.characters(max_codepoint=255), max_size=40))))
def test_any_headers_are_read_or_refused_and_nothing_else(headers: list[tuple[str, str]]) -> None:
    try:
        request = asked(*headers, hops=1)
    except BadRequestError:
        return
    assert request.subject_id
    assert request.resource_id == dict(headers)["x-pdp-resource"]
