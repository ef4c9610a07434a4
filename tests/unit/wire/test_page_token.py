from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.errors import BadRequestError
from pdp.wire.page_token import LIFETIME, MAX_TOKEN, PageTokens, mark_of, query_bytes

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
OURS = PageTokens(b"k" * 32)
QUERY = query_bytes("search/subject", "gateway-1", {"action": {"name": "read"}})
MARK = mark_of("u-0001")


def issued() -> str:
    return OURS.issue(10, 5, MARK, QUERY, NOW)


def test_a_token_brings_its_place_back() -> None:
    cursor = OURS.read(issued(), QUERY, NOW)
    assert (cursor.position, cursor.limit, cursor.mark) == (10, 5, MARK)


def test_a_token_is_short_and_says_no_name() -> None:
    token = OURS.issue(2**53, 1_000, mark_of("山田太郎"), QUERY, NOW)
    assert len(token) <= MAX_TOKEN
    assert "山田太郎".encode() not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_is_accepted(at: int, flip: int) -> None:
    token = issued()
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[at % len(raw)] ^= flip
    with pytest.raises(BadRequestError):
        OURS.read(base64.urlsafe_b64encode(raw).decode().rstrip("="), QUERY, NOW)


@given(st.text(max_size=200) | st.binary(max_size=150).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_no_other_text_is_accepted(text: str) -> None:
    with pytest.raises(BadRequestError):
        OURS.read(text, QUERY, NOW)


@pytest.mark.parametrize(
    ("tokens", "query", "now"),
    [
        (PageTokens(b"x" * 32), QUERY, NOW),
        (OURS, query_bytes("search/subject", "gateway-2", {"action": {"name": "read"}}), NOW),
        (OURS, query_bytes("search/resource", "gateway-1", {"action": {"name": "read"}}), NOW),
        (OURS, query_bytes("search/subject", "gateway-1", {"action": {"name": "write"}}), NOW),
        (OURS, QUERY, NOW + LIFETIME + timedelta(seconds=1)),
    ],
)
def test_a_token_of_another_key_caller_endpoint_query_or_time_is_refused(tokens, query, now) -> None:
    with pytest.raises(BadRequestError):
        tokens.read(issued(), query, now)


def test_a_query_is_the_same_in_any_order_and_another_with_any_change() -> None:
    assert query_bytes("e", "c", {"a": 1, "b": {"x": 1, "y": 2}}) == query_bytes(
        "e", "c", {"b": {"y": 2, "x": 1}, "a": 1}
    )
    assert query_bytes("e", "c", {"a": "1"}) != query_bytes("e", "c", {"a": 1})


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PageTokens(b"short")
