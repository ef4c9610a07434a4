"""The person at the console goes no further than the request that is theirs, over real connections."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from pdp.api.lane import Lane
from pdp.callers.acting import acting
from pdp.callers.caller import Caller
from pdp.callers.credentials import Credentials
from pdp.console.inner import InnerApi
from pdp.console.person import Person
from pdp.errors import NotAuthenticatedError, SekishoError
from pdp.wire.caller_credentials import introducing
from pdp.wire.error_answer import error_answer
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.http_server import serving

WAIT_S = 10.0
PERSON = Person("user:victim", "victim", frozenset({"author"}))
FORWARDED = b"GET /file HTTP/1.1\r\nhost: x\r\n\r\n"
OPEN = b"GET /api/who HTTP/1.1\r\nhost: x\r\n\r\n"
OWN = b"POST /own HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
LAST = b"GET /api/who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


class NoCallers:
    """Nobody has a credential."""

    def authenticate(self, presented: Credentials | str | None) -> Caller:
        raise NotAuthenticatedError("no credential")

    async def introduce(self, presented: Credentials) -> Caller:
        raise NotAuthenticatedError("no credential")


class Service:
    """An API that says who asks it, and `/file`, which is the API's answer to a person at the console."""

    def __init__(self) -> None:
        self._introduce = introducing(NoCallers())
        self.lane = Lane(self._none, exact={"/own": self._who}, prefixes={"/api/": self._who})
        self._inner = InnerApi(self.lane)
        self.at_the_end: list[Caller | None] = []

    async def _who(self, request: HttpRequest) -> HttpAnswer:
        try:
            return HttpAnswer(200, (), (await self._introduce(request)).id.encode())
        except SekishoError as fault:
            return error_answer(fault)

    async def _none(self, *_: Any) -> None:
        raise AssertionError("nothing else is asked")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/file":
            await self.lane(scope, receive, send)
            return
        self.at_the_end.append(acting())
        await self._inner.forward(PERSON, "/api/who", {}, lang="ja", peer=None)(scope, receive, send)


@pytest.mark.parametrize("options", [{}, {"loop": "asyncio"}, {"reset_contextvars": True}], ids=str)
def test_what_is_pipelined_behind_a_persons_file_is_nobodys(options: dict[str, Any]) -> None:
    """Twice over: what the end of the first answer starts, and what comes after it on the same connection."""
    service = Service()
    with serving(service, **options) as port, socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as client:
        client.sendall(FORWARDED + OPEN + OWN + FORWARDED + LAST)
        told = b"".join(iter(lambda: client.recv(65536), b""))
    statuses = [int(part[:3]) for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 401, 401, 200, 401], told
    assert told.count(b"user:victim") == 2
    assert service.at_the_end == [None, None]
