"""The endpoint of back-channel logout, over a reader that knows one token."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pdp.errors import DirectoryError
from pdp.identity.logout import LoggedOut
from pdp.identity.token import TokenRefusedError
from pdp.wire.backchannel_logout import PATH, BackchannelLogout
from pdp.wire.exchange import HttpAnswer, HttpRequest

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
FORM = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Reader:
    async def read(self, token: str, now: datetime) -> LoggedOut:
        if token != "good":
            raise TokenRefusedError("signature_invalid")
        return LoggedOut("session", "s-1", now, "https://idp.example.jp")

    def forget(self, token: str) -> None: ...


class Marks:
    def __init__(self) -> None:
        self.ended: list[LoggedOut] = []
        self.broken = False

    async def end(self, ended: LoggedOut) -> None:
        if self.broken:
            raise DirectoryError("a secret detail")
        self.ended.append(ended)


async def send(
    marks: Marks, body: bytes, headers: tuple[tuple[str, str], ...] = (FORM,), method: str = "POST"
) -> HttpAnswer:
    return await BackchannelLogout(Reader(), marks.end, lambda: NOW)(HttpRequest(method, PATH, "", headers, body))


async def test_a_logout_is_kept_before_it_is_acknowledged() -> None:
    marks = Marks()
    answer = await send(marks, b"logout_token=good")
    assert (answer.status, answer.body) == (200, b"")
    assert ("cache-control", "no-store") in answer.headers
    assert marks.ended == [LoggedOut("session", "s-1", NOW, "https://idp.example.jp")]


async def test_a_logout_that_cannot_be_kept_is_not_acknowledged_and_tells_nothing() -> None:
    marks = Marks()
    marks.broken = True
    answer = await send(marks, b"logout_token=good")
    assert answer.status == 503
    assert b"secret" not in answer.body


@pytest.mark.parametrize(
    "body", [b"", b"logout_token=bad", b"logout_token=good&logout_token=good", b"token=good", b"\xff", b"a=1&" * 9]
)
async def test_what_is_no_logout_is_400_in_the_form_of_oauth(body: bytes) -> None:
    marks = Marks()
    answer = await send(marks, body)
    assert answer.status == 400
    assert json.loads(answer.body)["error"] == "invalid_request"
    assert marks.ended == []


async def test_another_content_type_or_method_is_refused() -> None:
    marks = Marks()
    assert (await send(marks, b"logout_token=good", (("content-type", "application/json"),))).status == 400
    assert (await send(marks, b"logout_token=good", ())).status == 400
    assert (await send(marks, b"", method="GET")).status == 405
    assert marks.ended == []


class OnceOnly(Reader):
    """As `LogoutTokens`: a token counts once, until it is forgotten."""

    def __init__(self) -> None:
        self.seen: set[str] = set()

    async def read(self, token: str, now: datetime) -> LoggedOut:
        if token in self.seen:
            raise TokenRefusedError("proof_replayed", "jti")
        self.seen.add(token)
        return await super().read(token, now)

    def forget(self, token: str) -> None:
        self.seen.discard(token)


async def test_a_logout_that_could_not_be_kept_is_kept_when_it_is_sent_again() -> None:
    marks = Marks()
    endpoint = BackchannelLogout(OnceOnly(), marks.end, lambda: NOW)
    request = HttpRequest("POST", PATH, "", (FORM,), b"logout_token=good")
    marks.broken = True
    assert (await endpoint(request)).status == 503
    marks.broken = False
    assert (await endpoint(request)).status == 200
    assert marks.ended == [LoggedOut("session", "s-1", NOW, "https://idp.example.jp")]
