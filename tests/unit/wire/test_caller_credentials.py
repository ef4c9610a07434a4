from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.callers.caller import Caller
from pdp.callers.certificate import PeerCertificate
from pdp.callers.credentials import Credentials
from pdp.errors import BadRequestError
from pdp.wire.bearer import MAX_TOKEN
from pdp.wire.caller_credentials import CREDENTIAL_HEADERS, introducing, read_credentials, read_gateway_credentials
from pdp.wire.exchange import HttpRequest

KEY_ID, SECRET = "0123456789abcdef", "ab" * 32
KEY = f"sekisho_{KEY_ID}_{SECRET}"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJndyJ9.c2lnbmF0dXJl"
CERTIFICATE = PeerCertificate("f1" * 32)


def basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def read(**headers: str) -> Credentials:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return read_credentials(named, HttpRequest("POST", "/", "", (), b"", "192.0.2.1", CERTIFICATE))


def test_every_form_of_a_key_is_the_same_key() -> None:
    expected = Credentials(KEY, None, CERTIFICATE, (), "192.0.2.1")
    for authorization in (
        f"Bearer {KEY}",
        f"bearer {KEY}",
        f"BEARER   {KEY}  ",
        KEY,
        f"Basic {basic(KEY_ID, SECRET)}",
        f"bAsIc  {basic(KEY_ID, SECRET)}",
    ):
        assert read(authorization=authorization) == expected, authorization
    assert read(x_api_key=KEY) == expected
    assert read(x_api_key=KEY, authorization=f"Basic {basic(KEY_ID, SECRET)}") == expected


def test_a_token_is_told_from_a_key_by_its_form() -> None:
    assert read(authorization=f"Bearer {TOKEN}") == Credentials(None, TOKEN, CERTIFICATE, (), "192.0.2.1")
    for odd in ("a.b", "a.b.c.d", f"{KEY}.a.b"):
        read_as = read(authorization=f"Bearer {odd}")
        assert (read_as.key, read_as.token) == (odd, None)
    long = "a" * MAX_TOKEN + ".b.c"
    assert (read(authorization=f"Bearer {long}").key, read(authorization=f"Bearer {long}").token) == ("", None)


@pytest.mark.parametrize(
    "authorization",
    [
        "", "Basic", "Basic ", f"Basic {KEY}", f"Basic {SECRET}", "Basic !!!!", "Basic é", "Digest a=b", "Negotiate x",
        f"Basic {basic(KEY_ID.upper(), SECRET)}", f"Basic {basic(KEY_ID, SECRET.upper())}",
        f"Basic {basic(KEY_ID, SECRET + ' ')}", f"Basic {basic('', SECRET)}", f"Basic {basic(KEY_ID, '')}",
        f"Basic {basic(KEY_ID, SECRET)[:-2]}", f"Basic {basic(KEY_ID, SECRET)}==", f"Basic {basic(KEY_ID, SECRET)} x",
        f"Basic {basic('%30' + KEY_ID[1:], SECRET)}", f"Basic {basic(KEY_ID + ':', SECRET)}",
        "Basic " + "A" * 100_000, f"Basic {basic(KEY_ID, SECRET)}\n".replace("=\n", "=\x0b"), "DPoP " + TOKEN, "Bearer",
        "Bearer ",
    ],
)  # fmt: skip
def test_what_is_no_credential_is_none(authorization: str) -> None:
    found = read(authorization=authorization)
    assert found.key in (None, "Bearer", "Basic")  # a scheme alone reads as a key that nobody has
    assert found.token is None


@pytest.mark.parametrize("other", ["another", "", TOKEN, KEY + " ", KEY.upper()])
def test_two_headers_with_two_credentials_are_refused(other: str) -> None:
    for authorization in (f"Bearer {KEY}", f"Basic {basic(KEY_ID, SECRET)}", KEY):
        with pytest.raises(BadRequestError) as refused:
            read(authorization=authorization, x_api_key=other)
        assert SECRET not in refused.value.message
        assert TOKEN not in refused.value.message


def test_a_certificate_in_a_header_is_carried_and_not_believed() -> None:
    found = read(client_cert=":AAAA:", ssl_client_verify="SUCCESS", x_forwarded_client_cert="Hash=0")
    assert found.certificate == CERTIFICATE
    assert dict(found.forwarded) == {
        "client-cert": ":AAAA:",
        "ssl-client-verify": "SUCCESS",
        "x-forwarded-client-cert": "Hash=0",
    }
    assert set(dict(found.forwarded)) < CREDENTIAL_HEADERS  # each of them is refused where it stands twice


def gateway(*headers: tuple[str, str]) -> Credentials:
    return read_gateway_credentials(HttpRequest("GET", "/", "", headers, b"", "192.0.2.1", CERTIFICATE))


def test_of_a_gateways_request_nothing_is_read_that_its_client_can_write() -> None:
    """nginx hands all of its client's headers on: a certificate, a key or a token among them is the client's."""
    client = (
        ("authorization", f"Bearer {KEY}"),
        ("x-api-key", KEY),
        ("client-cert", ":AAAA:"),
        ("x-forwarded-client-cert", "Hash=" + "f1" * 32),
        ("ssl-client-cert", "x"),
        ("ssl-client-verify", "SUCCESS"),
        ("authorization", f"Bearer {TOKEN}"),
    )
    assert gateway(*client) == Credentials(None, None, CERTIFICATE, (), "192.0.2.1")
    assert gateway(*client, ("x-pdp-key", KEY)) == Credentials(KEY, None, CERTIFICATE, (), "192.0.2.1")
    assert gateway(("x-pdp-key", TOKEN)) == Credentials(None, TOKEN, CERTIFICATE, (), "192.0.2.1")


@pytest.mark.parametrize("second", [KEY, "", "another"])
def test_a_gateways_key_that_stands_twice_is_none(second: str) -> None:
    assert gateway(("x-pdp-key", KEY), ("x-pdp-key", second)).key is None


def test_nothing_of_it_shows_in_a_traceback() -> None:
    shown = repr(Credentials(KEY, TOKEN, CERTIFICATE, (("client-cert", "x"),), "192.0.2.1"))
    assert shown == "Credentials(peer='192.0.2.1')"


@given(st.text(st.characters(max_codepoint=255), max_size=300), st.text(st.characters(max_codepoint=255), max_size=80))
def test_whatever_stands_in_the_headers_is_read_or_refused(authorization: str, api_key: str) -> None:
    try:
        found = read_credentials(
            {"authorization": authorization, "x-api-key": api_key}, HttpRequest("POST", "/", "", ())
        )
    except BadRequestError:
        return
    assert found.key is None or found.token is None
    assert found.key in (None, "", api_key) or found.token == api_key


@pytest.mark.anyio
async def test_whoever_asks_in_its_own_name_is_introduced_by_one_credential() -> None:
    class Desk:
        def __init__(self) -> None:
            self.shown: list[Credentials] = []

        def authenticate(self, presented: Credentials | str | None) -> Caller:
            raise AssertionError("a token could not be read")

        async def introduce(self, presented: Credentials) -> Caller:
            self.shown.append(presented)
            return Caller("gateway-1", frozenset())

    desk = Desk()
    introduce = introducing(desk)
    headers = (("host", "x"), ("authorization", f"Bearer {TOKEN}"), ("host", "y"))
    assert (await introduce(HttpRequest("GET", "/", "", headers, b"", "192.0.2.1", CERTIFICATE))).id == "gateway-1"
    assert desk.shown == [Credentials(None, TOKEN, CERTIFICATE, (), "192.0.2.1")]
    for name in CREDENTIAL_HEADERS:
        with pytest.raises(BadRequestError, match=f"`{name}`"):
            await introduce(HttpRequest("GET", "/", "", ((name, "a"), (name, "a"))))
    assert len(desk.shown) == 1
