"""The seal: what one secret closed for one key opens with that secret for that key, and nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.cache import seal as module
from pdp.cache.entry import Entry
from pdp.cache.seal import MAX_SEALED_BYTES, Seal
from pdp.errors import SettingsError
from pdp.model.decision import Outcome, Verdict

SECRET = bytes(range(100, 132))
KEY = bytes(range(32))
UNTIL = datetime(2026, 4, 1, 9, 30, 0, 123456, tzinfo=UTC)
DENY = Entry(Verdict(Outcome.DENY, ("DEVICE_LOST", "POSTURE_STALE")), UNTIL)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
verdicts = st.builds(
    Verdict,
    outcome=st.sampled_from(Outcome),
    reasons=st.lists(st.text(), max_size=5).map(tuple),
    obligations=st.dictionaries(st.text(), st.text() | st.integers(), max_size=5),
    required_auth_level=st.none() | st.integers(1, 3),
    context=st.none() | st.dictionaries(st.text(), json_values, max_size=4),
)
entries = st.builds(
    Entry,
    verdict=verdicts,
    until=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)),  # the strategy adds UTC
)


def in_order(value: Any) -> Any:
    """`value` with every order in it made visible to `==`, and whole numbers told from floats and booleans."""
    if isinstance(value, dict):
        return [(key, in_order(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [in_order(inner) for inner in value]
    return type(value), repr(value)


def sealed_by_hand(body: bytes, *, version: bytes = b"\x01", key: bytes = KEY, secret: bytes = SECRET) -> bytes:
    """A value with a right MAC over any body, as only the holder of the secret could make it."""
    keyed = blake2b(secret, digest_size=64, person=b"sekisho verdict").digest()
    mac = blake2b(
        version + len(key).to_bytes(4, "big") + key + body, digest_size=32, key=keyed, person=b"sekisho verdict"
    )
    return version + mac.digest() + body


@given(entries, st.binary(max_size=64))
def test_what_was_closed_opens_as_it_was_to_the_last_order(entry: Entry, key: bytes) -> None:
    opened = Seal(SECRET).open(key, Seal(SECRET).close(key, entry))
    assert opened == entry
    for name in ("outcome", "reasons", "obligations", "required_auth_level", "context"):
        assert in_order(getattr(opened.verdict, name)) == in_order(getattr(entry.verdict, name))


def test_an_end_in_another_time_zone_is_the_same_instant() -> None:
    tokyo = UNTIL.astimezone(timezone(timedelta(hours=9)))
    opened = Seal(SECRET).open(KEY, Seal(SECRET).close(KEY, Entry(DENY.verdict, tokyo)))
    assert opened == DENY


@given(st.integers(min_value=0))
def test_no_bit_can_be_changed(bit: int) -> None:
    seal = Seal(SECRET)
    sealed = bytearray(seal.close(KEY, DENY))
    bit %= len(sealed) * 8
    sealed[bit // 8] ^= 1 << bit % 8
    assert seal.open(KEY, bytes(sealed)) is None


def test_no_byte_can_be_cut_or_added() -> None:
    seal = Seal(SECRET)
    sealed = seal.close(KEY, DENY)
    for length in range(len(sealed)):
        assert seal.open(KEY, sealed[:length]) is None
        assert seal.open(KEY, sealed[length + 1 :]) is None
    assert seal.open(KEY, sealed + b" ") is None


@given(st.binary(max_size=200))
def test_nothing_that_was_made_up_opens(made_up: bytes) -> None:
    assert Seal(SECRET).open(KEY, made_up) is None
    assert Seal(SECRET).open(KEY, b"\x01" + made_up) is None


@given(st.binary(max_size=40))
def test_a_value_of_another_key_does_not_open(other: bytes) -> None:
    assert other == KEY or Seal(SECRET).open(other, Seal(SECRET).close(KEY, DENY)) is None


def test_no_byte_moves_between_key_and_value() -> None:
    seal = Seal(SECRET)
    sealed = seal.close(KEY, DENY)
    head, body = sealed[:33], sealed[33:]
    assert seal.open(KEY + body[:1], head + body[1:]) is None
    assert seal.open(KEY[:-1], head + KEY[-1:] + body) is None


@pytest.mark.parametrize("other", [SECRET[:-1] + b"x", SECRET + b"\x00", SECRET * 2, bytes(32)])
def test_another_secret_opens_nothing(other: bytes) -> None:
    assert Seal(other).open(KEY, Seal(SECRET).close(KEY, DENY)) is None


@pytest.mark.parametrize("version", [b"\x00", b"\x02", b"[", b""])
def test_a_value_of_another_version_opens_as_nothing_even_with_the_right_mac(version: bytes) -> None:
    body = Seal(SECRET).close(KEY, DENY)[33:]
    assert sealed_by_hand(body) == Seal(SECRET).close(KEY, DENY)
    assert Seal(SECRET).open(KEY, sealed_by_hand(body, version=version)) is None


@pytest.mark.parametrize(
    "fields",
    [
        ["2026-04-01T09:30:00", "deny", ["NO"], {}, None, None],
        ["tomorrow", "deny", ["NO"], {}, None, None],
        [1_775_000_000, "deny", ["NO"], {}, None, None],
        [None, "deny", ["NO"], {}, None, None],
        ["2026-04-01T09:30:00Z", "permit", ["NO"], {}, None, None],
        ["2026-04-01T09:30:00Z", None, ["NO"], {}, None, None],
        ["2026-04-01T09:30:00Z", "deny", "NO", {}, None, None],
        ["2026-04-01T09:30:00Z", "deny", [1], {}, None, None],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], {"minutes": True}, None, None],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], {"minutes": 1.5}, None, None],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], [], None, None],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], {}, "2", None],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], {}, None, []],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], {}, None],
        ["2026-04-01T09:30:00Z", "deny", ["NO"], {}, None, None, "more"],
        {"until": "2026-04-01T09:30:00Z", "outcome": "deny"},
        [],
        None,
    ],
)
def test_a_body_that_is_no_entry_opens_as_nothing_even_with_the_right_mac(fields: Any) -> None:
    assert Seal(SECRET).open(KEY, sealed_by_hand(msgspec.json.encode(fields))) is None


@pytest.mark.parametrize(
    "body", [b"", b"[", b"\xff\xfe", b"[" * 100_000, b'["2026-04-01T09:30:00Z","deny",["\xff"],{},null,null]']
)
def test_a_body_that_is_no_json_opens_as_nothing_even_with_the_right_mac(body: bytes) -> None:
    assert Seal(SECRET).open(KEY, sealed_by_hand(body)) is None


def test_deep_json_in_a_context_opens_as_nothing_even_with_the_right_mac() -> None:
    deep = b'["2026-04-01T09:30:00Z","deny",[],{},null,{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}]"
    assert Seal(SECRET).open(KEY, sealed_by_hand(deep)) is None


def test_a_value_beyond_the_limit_is_not_even_looked_at() -> None:
    large = Entry(Verdict(Outcome.ALLOW, (), context={"text": "x" * MAX_SEALED_BYTES}), UNTIL)
    sealed = Seal(SECRET).close(KEY, large)
    assert len(sealed) > MAX_SEALED_BYTES
    assert Seal(SECRET).open(KEY, sealed) is None


def test_an_end_without_a_time_zone_is_not_sealed() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Seal(SECRET).close(KEY, Entry(DENY.verdict, UNTIL.replace(tzinfo=None)))


@pytest.mark.parametrize("length", [0, 1, 31])
def test_a_short_secret_is_refused_and_not_repeated(length: int) -> None:
    with pytest.raises(SettingsError) as refused:
        Seal(b"s" * length)
    assert "s" * 5 not in refused.value.message


def test_the_secret_of_the_seal_serves_nothing_else() -> None:
    """A MAC that another part of the service might make with the same secret is not the seal's."""
    body = Seal(SECRET).close(KEY, DENY)[33:]
    message = b"\x01" + len(KEY).to_bytes(4, "big") + KEY + body
    for other in (blake2b(message, digest_size=32, key=SECRET), blake2b(message + SECRET, digest_size=32)):
        assert Seal(SECRET).open(KEY, b"\x01" + other.digest() + body) is None


def test_the_mac_has_256_bits() -> None:
    assert module._MAC_BYTES == 32
