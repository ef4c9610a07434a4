"""The push endpoint: RFC 8935 to the letter, and nothing kept for strangers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import SettingsError
from pdp.ssf import events
from pdp.ssf.receiving.push import PREFIX, PushEndpoint
from pdp.ssf.receiving.secret import Secret
from pdp.store.store import Store
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.signal_house import IDP, NOW, TX, House, stream_of, until, working
from tests.ssf_transmitter import TOKEN, signed_set

pytestmark = pytest.mark.anyio
ERRORS = {
    "invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "access_denied",
    "invalid_state",
}  # fmt: skip
PERSON = {"format": "iss_sub", "iss": IDP, "sub": "u-1"}


def a_set(**more: Any) -> str:
    return signed_set(TX, events.SESSION_REVOKED, PERSON, **{"at": NOW.timestamp(), **more})


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> AsyncIterator[House]:
    async with working(store, stream_of(tmp_path)) as made:
        yield made


async def post(house: House, body: str | bytes, name: str = "idp", method: str = "POST", **headers: Any) -> HttpAnswer:
    given: dict[str, Any] = {
        "content-type": "application/secevent+jwt",
        "authorization": f"Bearer {TOKEN}",
        **{key.replace("_", "-"): value for key, value in headers.items()},
    }
    sent = tuple((key, value) for key, value in given.items() if value is not None)
    request = HttpRequest(method, PREFIX + name, "", sent, body.encode() if isinstance(body, str) else body)
    return await PushEndpoint(house.desk, house.incoming)(request)


def said(answer: HttpAnswer) -> str:
    """The code of a refusal, in the shape of the text."""
    headers = dict(answer.headers)
    assert answer.status == 400
    assert headers["content-type"] == "application/json"
    assert headers["content-language"] == "en"
    body = json.loads(answer.body)
    assert set(body) == {"err", "description"} and body["description"]
    assert body["err"] in ERRORS
    return str(body["err"])


async def test_a_set_is_taken_and_so_is_the_same_one_again(house: House) -> None:
    text = a_set()
    for _ in range(2):
        answer = await post(house, text)
        assert (answer.status, answer.body) == (202, b"")
    await until(lambda: house.trail.events)
    assert house.marks() == {("subject", "u-1", IDP)} and len(house.latest()) == 1


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        (None, "idp"),
        ("Bearer wrong-token-0123456789", "idp"),
        (f"Bearer {TOKEN}x", "idp"),
        ("Bearer ", "idp"),
        (f"Basic {TOKEN}", "idp"),
        (TOKEN, "idp"),
        ("Bearer \xff\xfe", "idp"),
        (f"Bearer {TOKEN}", "other"),
        (f"Bearer {TOKEN}", ""),
        (f"Bearer {TOKEN}", "../idp"),
    ],
)
async def test_a_stranger_is_told_nothing_and_costs_nothing(house: House, authorization: str | None, name: str) -> None:
    answer = await post(house, a_set(), name, authorization=authorization)
    assert said(answer) == "authentication_failed"
    assert house.latest() == [] and house.reception().refused == 0


@pytest.mark.parametrize(
    ("body", "kind", "err"),
    [
        (b"", "application/secevent+jwt", "invalid_request"),
        (b"garbage", "application/secevent+jwt", "invalid_request"),
        (b"\xff\xfe", "application/secevent+jwt", "invalid_request"),
        (b"[" * 20_000, "application/secevent+jwt", "invalid_request"),
        (None, "application/json", "invalid_request"),
        (None, None, "invalid_request"),
    ],
)
async def test_what_is_no_set_is_refused(house: House, body: bytes | None, kind: str | None, err: str) -> None:
    assert said(await post(house, a_set() if body is None else body, content_type=kind)) == err
    assert house.latest() == []


async def test_each_refusal_has_the_code_of_the_text(house: House) -> None:
    assert said(await post(house, a_set(iss="https://evil.example"))) == "invalid_issuer"
    assert said(await post(house, a_set(aud="https://evil.example"))) == "invalid_audience"
    assert said(await post(house, a_set(header={"alg": "none"}))) == "invalid_key"
    assert said(await post(house, a_set(exp=1))) == "invalid_request"
    state = signed_set(
        TX, events.VERIFICATION, {"format": "opaque", "id": "stream-1"}, at=NOW.timestamp(), members={"state": "x"}
    )
    assert said(await post(house, state)) == "invalid_state"
    assert house.counted("sekisho_ssf_sets_refused_total", stream="idp", reason="audience_refused") == 1


async def test_media_types_and_schemes_are_not_a_matter_of_letters(house: House) -> None:
    answer = await post(
        house, a_set(), content_type="Application/SecEvent+JWT; charset=utf-8", authorization=f"bearer {TOKEN}"
    )
    assert answer.status == 202


async def test_another_method_is_not_a_delivery(house: House) -> None:
    assert (await post(house, a_set(), method="GET")).status == 405


async def test_a_header_that_stands_twice_is_refused(house: House) -> None:
    headers = (
        ("content-type", "application/secevent+jwt"),
        ("authorization", f"Bearer {TOKEN}"),
        ("authorization", "Bearer x"),
    )
    request = HttpRequest("POST", f"{PREFIX}idp", "", headers, a_set().encode())
    assert said(await PushEndpoint(house.desk, house.incoming)(request)) == "invalid_request"


async def test_what_cannot_be_kept_now_is_asked_for_again(house: House, store: Store) -> None:
    with store.write():  # somebody changes the store, and does not end
        import pdp.ssf.receiving.taking as taking

        taking_s, taking.STORE_S = taking.STORE_S, 0.2  # type: ignore[misc]
        try:
            answer = await post(house, text := a_set())
        finally:
            taking.STORE_S = taking_s  # type: ignore[misc]
    assert answer.status == 503 and dict(answer.headers)["retry-after"]
    assert (await post(house, text)).status == 202


async def test_keys_that_cannot_be_had_are_no_refusal(store: Store, tmp_path: Path) -> None:
    async with working(store, stream_of(tmp_path)) as house:
        (tmp_path / "jwks.json").unlink()
        answer = await post(house, a_set())
        assert answer.status == 503 and house.latest() == []


async def test_a_token_that_is_changed_in_its_file_counts_at_once(house: House, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("another-token-9876543210\n")
    assert said(await post(house, a_set())) == "authentication_failed"
    assert (await post(house, a_set(), authorization="Bearer another-token-9876543210")).status == 202


@pytest.mark.parametrize(
    "text", ["", "short", "two words that are long enough", "x" * 9_000, "日本語日本語日本語日本語"]
)
def test_a_file_without_a_token_that_can_be_one_is_no_setting(tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError):
        Secret(str(tmp_path / "token"), "token_file")
    with pytest.raises(SettingsError):
        Secret(str(tmp_path / "none"), "token_file")


async def test_who_comes_without_the_token_is_counted_and_writes_nothing(house: House) -> None:
    """A transmitter with an old token is to be seen before its silence is; anybody else must not wear out the disk."""
    for name in ("idp", "nobody"):
        assert (
            said(await post(house, a_set(), name, authorization="Bearer of-somebody-else-0123"))
            == "authentication_failed"
        )
    assert house.counted("sekisho_ssf_sets_refused_total", stream="idp", reason="authentication_failed") == 1
    house.desk.wake()
    assert house.reception().refused == 0 and house.latest() == []
