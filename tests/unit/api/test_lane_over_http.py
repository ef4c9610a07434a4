"""The lane behind a real uvicorn: what a client of sockets meets."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING

import pytest

from pdp.api.app import serve_app
from pdp.api.body import Limits
from pdp.api.surface import Surface
from tests.http_server import serving
from tests.unit.wire.authzen_world import EVALUATION, KNOWN, World, question

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_S = 10.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    limits = Limits(body_s=0.2)
    lane = serve_app(Surface(exact=World().routes, readiness=list, metrics=bytes, limits=limits))
    with serving(lane) as listening:
        yield listening


@pytest.fixture
def client(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_S)
    yield connection
    connection.close()


def raw(port: int, *parts: bytes) -> bytes:
    """Everything that the server says until it closes, or until we do after the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
        for sent in parts:
            connection.sendall(sent)
        said = b""
        while chunk := connection.recv(65_536):
            said += chunk
        return said


def head(*lines: str) -> bytes:
    known = [f"{name}: {value}" for name, value in KNOWN.items()]
    return "\r\n".join([f"POST {EVALUATION} HTTP/1.1", "host: x", *known, *lines, "", ""]).encode()


def test_one_connection_carries_many_decisions(client: http.client.HTTPConnection) -> None:
    for name, permitted in [("u-allow", True), ("u-deny", False), ("u-allow", True)]:
        client.request("POST", EVALUATION, json.dumps(question(name)), KNOWN)
        answer = client.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["decision"] is permitted


@pytest.mark.parametrize("size", [256 * 1024 + 1, 1024 * 1024, 4 * 1024 * 1024])
def test_a_client_that_sends_too_much_hears_413(client: http.client.HTTPConnection, size: int) -> None:
    client.request("POST", EVALUATION, b"x" * size, KNOWN)
    answer = client.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"]["code"] == "payload_too_large"


def test_a_client_that_streams_too_much_hears_413(client: http.client.HTTPConnection) -> None:
    client.request("POST", EVALUATION, iter([b"x" * 65_536] * 8), KNOWN, encode_chunked=True)
    assert client.getresponse().status == 413


def test_a_client_that_waits_for_100_hears_413_first(port: int) -> None:
    said = raw(port, head("content-length: 9000000", "expect: 100-continue"))
    assert said.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_sends_slowly_hears_408_and_the_connection_ends(port: int) -> None:
    said = raw(port, head("content-length: 100"), b"{")
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in said


@pytest.mark.parametrize("lines", [["content-length: 2", "content-length: 3"], ["content-length: -1"]])
def test_two_lengths_are_never_a_decision(port: int, lines: list[str]) -> None:
    said = raw(port, head(*lines, "connection: close"), b"{}x")
    assert said.startswith(b"HTTP/1.1 400 ")


def test_a_client_that_goes_away_leaves_the_others_be(port: int, client: http.client.HTTPConnection) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as leaving:
        leaving.sendall(head("content-length: 100") + b"{")
    client.request("POST", EVALUATION, json.dumps(question()), KNOWN)
    assert client.getresponse().status == 200


def test_two_requests_in_one_packet_are_two_decisions(port: int) -> None:
    def whole(name: str, *lines: str) -> bytes:
        body = json.dumps(question(name)).encode()
        return head(f"content-length: {len(body)}", *lines) + body

    said = raw(port, whole("u-allow") + whole("u-deny", "connection: close"))
    assert said.count(b"HTTP/1.1 200 ") == 2
    assert said.index(b'"decision":true') < said.index(b'"decision":false')


def test_an_escaped_or_longer_path_is_not_ours(client: http.client.HTTPConnection) -> None:
    for path in ("/access/v1/evaluation/", "/access/v1/%65valuation", "//access/v1/evaluation"):
        client.request("POST", path, json.dumps(question()), KNOWN)
        answer = client.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]["code"]) == (404, "not_found")
