"""What may be fetched, from where, and how much: against resolvers and servers that lie."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.identity.fetching import FetchError, GuardedFetch, allowed
from pdp.identity.keys import MAX_JWKS
from tests.certificates import Authority
from tests.http_server import serving
from tests.tokens import issuer

pytestmark = pytest.mark.anyio

URL = "https://idp.example.com/keys"
PUBLIC = "203.0.114.7"


class Server(httpx.AsyncBaseTransport):
    """Answers every request with what it was told, and keeps the requests."""

    def __init__(self, status: int = 200, body: bytes | AsyncIterator[bytes] = b"{}", **headers: str) -> None:
        self.seen: list[httpx.Request] = []
        self._status, self._body, self._headers = status, body, headers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        headers = {name.replace("_", "-"): value for name, value in self._headers.items()}
        return httpx.Response(self._status, headers=headers, content=self._body)


def resolving(*addresses: str) -> Any:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def fetched(server: Server, *addresses: str, url: str = URL, deadline_s: float = 3.0, **members: Any) -> bytes:
    fetch = GuardedFetch(
        issuer(**members), resolve=resolving(*addresses or (PUBLIC,)), transport=lambda: server, deadline_s=deadline_s
    )
    return await fetch(url)


async def test_the_connection_goes_to_the_address_that_was_checked_and_the_name_stays() -> None:
    server = Server(body=b'{"keys":[]}')
    assert await fetched(server, PUBLIC) == b'{"keys":[]}'
    (request,) = server.seen
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "idp.example.com"
    assert request.extensions["sni_hostname"] == "idp.example.com"
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers


async def test_an_address_of_version_6_is_an_address_too() -> None:
    server = Server()
    await fetched(server, "2606:4700::1111")
    assert server.seen[0].url.host == "2606:4700::1111"


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "::1",
        "::",
        "fc00::1",
        "fe80::1",
        "ff02::1",
        "::ffff:10.0.0.5",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:5",
        "2002:a00:5::",
        "198.51.100.7",
        "255.255.255.255",
        "fe80::1%eth0",
        "not-an-address",
    ],
)
async def test_an_address_of_our_own_network_is_not_connected_to(address: str) -> None:
    server = Server()
    with pytest.raises(FetchError):
        await fetched(server, address)
    with pytest.raises(FetchError):
        await fetched(server, PUBLIC, address)
    assert not server.seen


@pytest.mark.parametrize("address", ["10.0.0.5", "127.0.0.1", "fc00::1", "::ffff:10.0.0.5"])
async def test_a_host_that_the_operator_names_may_be_private(address: str) -> None:
    await fetched(Server(), address, private_hosts=("IDP.example.com",))


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::ffff:169.254.169.254"])
async def test_the_metadata_service_of_a_cloud_is_never_asked(address: str) -> None:
    with pytest.raises(FetchError):
        await fetched(Server(), address, private_hosts=("idp.example.com",))


async def test_the_loopback_is_for_those_whose_name_is_its_own() -> None:
    here: dict[str, Any] = {"issuer": "http://127.0.0.1:8089/realms/x", "url": "http://127.0.0.1:8089/keys"}
    server = Server()
    await fetched(server, "127.0.0.1", **here)
    assert server.seen[0].headers["host"] == "127.0.0.1:8089"
    with pytest.raises(FetchError):
        await fetched(Server(), "10.0.0.1", **here)
    assert allowed(ip_address("127.0.0.1"), private=False, loopback=True)
    assert not allowed(ip_address("10.0.0.1"), private=False, loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/keys",
        "https://idp.example.com.evil.example/",
        "http://idp.example.com/keys",
        "ftp://x/",
        "file:///etc/passwd",
        "https://user@idp.example.com/",
        "https://idp.example.com@evil.example/",
        "",
        "keys",
        "http://127.0.0.1/keys",
        "https://idp.example.com/#x",
        "https://idp.example.com/\n",
        "https://",
    ],
)
async def test_only_the_issuers_own_hosts_are_asked(url: str) -> None:
    server = Server()
    with pytest.raises(FetchError):
        await fetched(server, url=url)
    assert not server.seen


async def test_a_further_host_is_asked_where_the_operator_names_it() -> None:
    await fetched(Server(), url="https://keys.example.net/v3", hosts=("Keys.example.net",))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 204, 206, 401, 404, 500, 503])
async def test_only_200_is_an_answer_and_nobody_is_followed(status: int) -> None:
    server = Server(status, location="https://idp.example.com/elsewhere")
    with pytest.raises(FetchError, match=str(status)):
        await fetched(server)
    assert len(server.seen) == 1


async def test_a_body_without_end_is_cut() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 65_536

    with pytest.raises(FetchError, match="larger"):
        await fetched(Server(body=endless()))
    assert read * 65_536 <= MAX_JWKS + 2 * 65_536


async def test_a_body_that_unpacks_is_not_unpacked() -> None:
    with pytest.raises(FetchError, match="encoding"):
        await fetched(Server(body=gzip.compress(b"0" * 10_000_000), content_encoding="gzip"))


async def test_an_answer_that_never_comes_has_a_deadline() -> None:
    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    with pytest.raises(FetchError, match="in time"):
        await fetched(Server(body=silent()), deadline_s=0.01)


async def test_a_name_that_cannot_be_resolved_is_an_error_of_ours() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError("secret-host is unknown")

    with pytest.raises(FetchError) as caught:
        await GuardedFetch(issuer(), resolve=nowhere, transport=Server)(URL)
    assert "secret" not in str(caught.value)
    with pytest.raises(FetchError, match="no address"):
        await GuardedFetch(issuer(), resolve=_nothing, transport=Server)(URL)


async def _nothing(host: str, port: int) -> Sequence[str]:
    return []


async def test_the_next_address_is_tried_where_one_cannot_be_connected_to() -> None:
    class Half(Server):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.host == PUBLIC:
                raise httpx.ConnectError("refused")
            return await super().handle_async_request(request)

    assert await fetched(Half(), PUBLIC, "203.0.114.8") == b"{}"
    with pytest.raises(FetchError, match="connected"):
        await fetched(Half(), PUBLIC)


async def test_a_server_that_speaks_no_http_is_an_error_of_ours() -> None:
    class Broken(Server):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.RemoteProtocolError("secret bytes")

    with pytest.raises(FetchError) as caught:
        await fetched(Broken())
    assert "secret" not in str(caught.value)


def test_a_file_of_authorities_that_is_none_is_found_at_the_start() -> None:
    with pytest.raises(ValueError, match="ca_file"):
        GuardedFetch(issuer(ca_file=__file__))
    with pytest.raises(ValueError, match="ca_file"):
        GuardedFetch(issuer(ca_file="/does/not/exist"))


async def _application(scope: Any, receive: Any, send: Any) -> None:
    host = dict(scope["headers"])[b"host"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b'{"host":"' + host + b'"}'})


@pytest.mark.parametrize(
    ("named", "trusted", "holds"),
    [("idp.example.com", True, True), ("other.example.com", True, False), ("idp.example.com", False, False)],
)
async def test_the_certificate_is_held_against_the_name_and_not_against_the_address(
    tmp_path: Path, named: str, trusted: bool, holds: bool
) -> None:
    """Over real TLS: the connection goes to an address, and the name is the one in the URL."""
    authority = Authority(tmp_path)
    server = authority.issue(named, "server", host=named)
    (tmp_path / "other").mkdir()
    ca = authority if trusted else Authority(tmp_path / "other")
    files = {"ssl_certfile": str(server.certificate), "ssl_keyfile": str(server.key)}
    with serving(_application, **files) as port:
        configured = issuer(ca_file=str(ca.certificate), private_hosts=("idp.example.com",))
        fetch = GuardedFetch(configured, resolve=resolving("127.0.0.1"))
        url = f"https://idp.example.com:{port}/keys"
        if holds:
            assert await fetch(url) == f'{{"host":"idp.example.com:{port}"}}'.encode()
        else:
            with pytest.raises(FetchError, match="certificate"):
                await fetch(url)
