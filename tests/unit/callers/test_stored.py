"""All the ways to be a caller, held to the same rules, and what they must never do together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from pdp.callers import keys, stored
from pdp.callers.bindings import Bound, bind, bound_certificate, bound_client, bound_name, unbind
from pdp.callers.bounds import CallerBounds, KeyBounds, set_bounds
from pdp.callers.budget import CallerLimits
from pdp.callers.caller import Caller
from pdp.callers.certificate import PeerCertificate
from pdp.callers.credentials import Credentials
from pdp.callers.keys import (
    add_caller,
    further_key,
    register_caller,
    revoke_caller,
    rotate_key,
    set_permissions,
)
from pdp.callers.listing import list_callers
from pdp.callers.stored import StoredCallers
from pdp.errors import BadRequestError, NotAuthenticatedError, TooManyRequestsError
from tests.unit.callers.world import HOUR, ISSUER, NOW, SCOPES, Register

pytestmark = pytest.mark.anyio

CA = "ca" * 32
OTHER_CA = "cb" * 32
FINGERPRINT = "f1" * 32
CERTIFICATE = PeerCertificate(
    FINGERPRINT, NOW - HOUR, NOW + 24 * HOUR, ("subject:CN=gw-1", "dns:gw-1.example.jp"), (CA,)
)
STRANGERS = PeerCertificate("f2" * 32, NOW - HOUR, NOW + 24 * HOUR, CERTIFICATE.names, (OTHER_CA,))
ALL = "sekisho:decide sekisho:batch sekisho:search"


def by_key(register: Register, caller_id: str) -> dict[str, Any]:
    return {"key": add_caller(register.store, caller_id, ["decide", "batch"], now=NOW)}


def by_certificate(register: Register, caller_id: str) -> dict[str, Any]:
    register_caller(register.store, caller_id, ["decide", "batch"], now=NOW)
    bind(register.store, caller_id, bound_certificate(FINGERPRINT), now=NOW)
    return {"certificate": CERTIFICATE}


def by_name(register: Register, caller_id: str) -> dict[str, Any]:
    register_caller(register.store, caller_id, ["decide", "batch"], now=NOW)
    bind(register.store, caller_id, bound_name("dns:GW-1.example.jp", CA), now=NOW)
    return {"certificate": CERTIFICATE}


def by_token(register: Register, caller_id: str) -> dict[str, Any]:
    register_caller(register.store, caller_id, ["decide", "batch"], now=NOW)
    bind(register.store, caller_id, bound_client(ISSUER, "gateway-client"), now=NOW)
    return {"token": register.tokens.add("a.b.c", ALL)}


WAYS = [by_key, by_certificate, by_name, by_token]
Way = Callable[[Register, str], dict[str, Any]]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


# --- what holds for every way


async def test_a_caller_is_known_and_has_what_it_was_granted(register: Register, way: Way) -> None:
    shown = way(register, "gateway-1")
    await register.callers.refresh()
    assert await register.known(**shown) == Caller("gateway-1", frozenset({"decide", "batch"}))
    assert register.refused == []


async def test_nobody_is_known_before_the_first_look(register: Register, way: Way) -> None:
    assert await register.known(**way(register, "gateway-1")) is None


async def test_nothing_shown_is_nobody(register: Register, way: Way) -> None:
    way(register, "gateway-1")
    await register.callers.refresh()
    assert await register.known() is None
    assert register.why() == (None, "credential")


async def test_a_revoked_caller_is_refused_from_the_next_look_on(register: Register, way: Way) -> None:
    shown = way(register, "gateway-1")
    await register.callers.refresh()
    revoke_caller(register.store, "gateway-1", now=NOW)
    assert await register.known(**shown) is not None
    await register.callers.refresh()
    assert await register.known(**shown) is None


async def test_it_counts_from_its_networks_and_from_nowhere_else(register: Register, way: Way) -> None:
    shown = way(register, "gateway-1")
    set_bounds(register.store, "gateway-1", CallerBounds(networks=("10.1.0.0/16", "2001:db8::/32")))
    await register.callers.refresh()
    inside = ["10.1.0.1", "10.1.255.255", "::ffff:10.1.2.3", "2001:db8::1"]
    outside = ["10.2.0.1", "::ffff:10.2.0.1", "2001:db9::1", "", "localhost", "10.1.0.1, 10.9.9.9", None]
    assert [peer for peer in inside if await register.known(**shown, peer=peer) is None] == []
    for peer in outside:
        assert await register.known(**shown, peer=peer) is None, peer
        assert register.why() == ("gateway-1", "network")


async def test_its_profile_and_limits_come_with_it(register: Register, way: Way) -> None:
    shown = way(register, "gateway-1")
    limits = CallerLimits(requests_per_s=5, burst=5, body_bytes=1_000, batch=3)
    set_bounds(register.store, "gateway-1", CallerBounds(profile="plain", limits=limits))
    await register.callers.refresh()
    caller = await register.known(**shown)
    assert caller is not None
    assert (caller.profile, caller.limits) == ("plain", limits)


async def test_it_asks_as_often_as_it_may_and_not_once_more(register: Register, way: Way) -> None:
    shown = way(register, "gateway-1")
    set_bounds(register.store, "gateway-1", CallerBounds(limits=CallerLimits(requests_per_s=1, burst=3)))
    await register.callers.refresh()
    for _ in range(3):
        assert await register.known(**shown) is not None
    with pytest.raises(TooManyRequestsError) as refused:
        await register.known(**shown)
    assert refused.value.retry_after_s == 1
    assert register.why() == ("gateway-1", "rate")
    register.clocks.nanoseconds += 1_000_000_000
    assert await register.known(**shown) is not None


async def test_permissions_are_what_they_are_now(register: Register, way: Way) -> None:
    shown = way(register, "gateway-1")
    set_permissions(register.store, "gateway-1", ["decide"])
    await register.callers.refresh()
    caller = await register.known(**shown)
    assert caller is not None
    assert caller.permissions == {"decide"}


async def test_a_row_that_this_version_cannot_read_makes_nobody_of_the_caller(
    register: Register, way: Way, tmp_path: Path
) -> None:
    shown = way(register, "gateway-1")
    set_bounds(register.store, "gateway-1", CallerBounds(networks=("192.0.2.0/24",), profile="zta"))
    connection = sqlite3.connect(tmp_path / "sekisho.db")
    for change in ("networks = '[\"everywhere\"]'", "networks = '[]', profile = 'newer'"):
        connection.execute(f"UPDATE caller_bounds SET {change}")
        connection.execute("UPDATE caller_meta SET version = version + 1")
        connection.commit()
        await register.callers.refresh()
        assert await register.known(**shown) is None, change
    connection.close()


# --- several callers, several credentials


@pytest.mark.parametrize("other", [by_certificate, by_name], ids=lambda way: way.__name__)
@pytest.mark.parametrize("first", [by_key, by_token], ids=lambda way: way.__name__)
async def test_credentials_of_two_callers_are_refused(register: Register, first: Way, other: Way) -> None:
    shown = first(register, "gateway-1")
    shown |= other(register, "gateway-2")
    await register.callers.refresh()
    assert await register.known(**shown) is None
    assert register.why() == (None, "conflict")


async def test_a_key_and_a_token_in_one_request_are_refused_even_of_one_caller(register: Register) -> None:
    shown = by_key(register, "gateway-1")
    bind(register.store, "gateway-1", bound_client(ISSUER, "gateway-client"), now=NOW)
    shown["token"] = register.tokens.add("a.b.c", ALL)
    await register.callers.refresh()
    assert await register.known(**shown) is None
    assert register.why() == (None, "conflict")


async def test_a_key_with_its_own_callers_certificate_is_one_caller_with_the_keys_rights(register: Register) -> None:
    by_certificate(register, "gateway-1")
    narrow = further_key(register.store, "gateway-1", now=NOW, bounds=KeyBounds(permissions=("decide",)))
    await register.callers.refresh()
    caller = await register.known(key=narrow, certificate=CERTIFICATE)
    assert caller is not None
    assert caller.permissions == {"decide"}


async def test_a_wrong_key_is_not_mended_by_a_good_certificate(register: Register) -> None:
    shown = by_certificate(register, "gateway-1")
    await register.callers.refresh()
    for wrong in ("", "nonsense", f"sekisho_{'0' * 16}_{'0' * 64}"):
        assert await register.known(**shown, key=wrong) is None
    assert await register.known(**shown, token="a.b.c") is None


async def test_a_certificate_that_is_bound_to_nobody_is_no_credential(register: Register) -> None:
    shown = by_key(register, "gateway-1")
    await register.callers.refresh()
    assert await register.known(certificate=CERTIFICATE) is None
    assert await register.known(**shown, certificate=CERTIFICATE) is not None  # as in a service mesh


async def test_a_certificate_with_the_names_of_two_callers_is_neither(register: Register) -> None:
    by_name(register, "gateway-1")
    register_caller(register.store, "gateway-2", ["decide"], now=NOW)
    binding = bind(register.store, "gateway-2", bound_name("subject:CN=gw-1", CA), now=NOW)
    await register.callers.refresh()
    assert await register.known(certificate=CERTIFICATE) is None
    assert register.why() == (None, "conflict")
    unbind(register.store, "gateway-2", binding, now=NOW)
    await register.callers.refresh()
    assert await register.known(certificate=CERTIFICATE) is not None


# --- certificates


async def test_a_name_counts_from_the_authority_that_it_was_bound_with(register: Register) -> None:
    by_name(register, "gateway-1")
    await register.callers.refresh()
    assert await register.known(certificate=STRANGERS) is None
    unsigned = PeerCertificate("f3" * 32, NOW - HOUR, NOW + HOUR, CERTIFICATE.names, ())
    assert await register.known(certificate=unsigned) is None
    both = PeerCertificate("f4" * 32, NOW - HOUR, NOW + HOUR, CERTIFICATE.names, (OTHER_CA, CA))
    assert await register.known(certificate=both) is not None


@pytest.mark.parametrize(
    "name",
    ["dns:gw-1.example.jp.", "dns:gw-1.example.j", "dns:xgw-1.example.jp", "uri:gw-1.example.jp", "dns:*.example.jp"],
)
async def test_only_the_exact_name_counts(register: Register, name: str) -> None:
    by_name(register, "gateway-1")
    await register.callers.refresh()
    assert await register.known(certificate=PeerCertificate("f5" * 32, NOW, NOW + HOUR, (name,), (CA,))) is None


@pytest.mark.parametrize("way", [by_certificate, by_name], ids=lambda way: way.__name__)
async def test_a_connection_that_outlives_its_certificate_is_nobody_with_or_without_a_key(
    register: Register, way: Way
) -> None:
    shown = way(register, "gateway-1")
    key = further_key(register.store, "gateway-1", now=NOW)
    await register.callers.refresh()
    for at in (NOW - 2 * HOUR, NOW + 25 * HOUR):
        register.clocks.now = at
        assert await register.known(**shown) is None
        assert register.why() == ("gateway-1", "certificate")
        assert await register.known(**shown, key=key) is None


# --- access tokens


async def test_scopes_take_away_and_never_add(register: Register) -> None:
    by_token(register, "gateway-1")
    await register.callers.refresh()
    for scopes, expected in [
        ("sekisho:decide", {"decide"}),
        ("sekisho:decide sekisho:bypass_cache sekisho:provision", {"decide"}),
        ("", set()),
        ("decide openid Sekisho:decide sekisho:DECIDE sekisho:", set()),
    ]:
        caller = await register.known(token=register.tokens.add("x.y.z", scopes))
        assert caller is not None
        assert caller.permissions == expected


async def test_a_deployments_own_scopes_give_what_its_settings_say(tmp_path: Path) -> None:
    register = Register(tmp_path, scopes=SCOPES)
    by_token(register, "gateway-1")
    await register.callers.refresh()
    caller = await register.known(token=register.tokens.add("x.y.z", "pdp.all"))
    assert caller is not None
    assert caller.permissions == {"decide", "batch"}  # `search` is not the caller's
    register.store.close()


@pytest.mark.parametrize(
    "said",
    [
        {"subject": "u-staff-1"},  # a person's token, got through the very same client
        {"client_id": "other"},
        {"issuer": ISSUER + "/"},
        {"issuer": "https://id.example.jp/realms/people"},
        {"client_id": "Gateway-Client"},
    ],
)
async def test_a_token_of_anybody_else_is_nobody(register: Register, said: dict[str, str]) -> None:
    by_token(register, "gateway-1")
    await register.callers.refresh()
    assert await register.known(token=register.tokens.add("x.y.z", ALL, **said)) is None
    assert register.why() == (None, "token")


async def test_a_subject_of_its_own_is_bound_with_the_client(register: Register) -> None:
    register_caller(register.store, "gateway-1", ["decide"], now=NOW)
    bind(register.store, "gateway-1", bound_client(ISSUER, "gateway-client", "service-account-1"), now=NOW)
    await register.callers.refresh()
    assert await register.known(token=register.tokens.add("a.b.c", ALL)) is None
    assert await register.known(token=register.tokens.add("a.b.d", ALL, subject="service-account-1")) is not None


async def test_a_bound_token_needs_its_certificate_on_this_very_connection(register: Register) -> None:
    by_token(register, "gateway-1")
    token = register.tokens.add("x.y.z", ALL, certificate=FINGERPRINT)
    await register.callers.refresh()
    assert await register.known(token=token) is None
    assert await register.known(token=token, certificate=STRANGERS) is None
    assert await register.known(token=token, certificate=CERTIFICATE) is not None
    assert register.tokens.asked[-1] == (token, FINGERPRINT, NOW)


async def test_a_token_is_nobody_where_no_issuer_is_configured(register: Register) -> None:
    shown = by_token(register, "gateway-1")
    alone = StoredCallers(register.store, lambda: NOW)
    await alone.refresh()
    with pytest.raises(NotAuthenticatedError):
        await alone.introduce(Credentials(**shown))


def test_a_token_is_not_read_without_waiting(register: Register) -> None:
    with pytest.raises(NotAuthenticatedError):
        register.callers.authenticate(Credentials(token="a.b.c"))


# --- keys


async def test_a_text_alone_is_a_key_from_nowhere(register: Register) -> None:
    key = add_caller(register.store, "anywhere", ["decide"], now=NOW)
    bounded = add_caller(register.store, "bounded", ["decide"], now=NOW, bounds=CallerBounds(("192.0.2.0/24",)))
    await register.callers.refresh()
    assert register.callers.authenticate(key).id == "anywhere"
    with pytest.raises(NotAuthenticatedError):
        register.callers.authenticate(bounded)


async def test_a_key_may_be_narrower_than_its_caller_in_every_way(register: Register) -> None:
    whole = add_caller(
        register.store, "gateway", ["decide", "batch"], now=NOW, bounds=CallerBounds(networks=("192.0.2.0/24",))
    )
    bounds = KeyBounds(permissions=("decide",), networks=("192.0.2.1", "198.51.100.0/24"), profile="plain")
    narrow = further_key(register.store, "gateway", now=NOW, bounds=bounds)
    await register.callers.refresh()
    assert (await register.known(key=whole, peer="192.0.2.9")) is not None
    assert (await register.known(key=narrow, peer="192.0.2.1")) == Caller("gateway", frozenset({"decide"}), "plain")
    assert (await register.known(key=narrow, peer="192.0.2.9")) is None
    assert (await register.known(key=narrow, peer="198.51.100.1")) is None  # the key's network, not the caller's


async def test_a_key_never_has_more_than_its_caller_has_by_now(register: Register) -> None:
    add_caller(register.store, "gateway", ["decide", "batch"], now=NOW)
    narrow = further_key(register.store, "gateway", now=NOW, bounds=KeyBounds(permissions=("batch", "decide")))
    set_permissions(register.store, "gateway", ["decide", "search"])
    await register.callers.refresh()
    caller = await register.known(key=narrow)
    assert caller is not None
    assert caller.permissions == {"decide"}
    set_bounds(register.store, "gateway", CallerBounds(profile="zta"))
    plain = further_key(register.store, "gateway", now=NOW, bounds=KeyBounds(profile="plain"))
    await register.callers.refresh()
    assert await register.known(key=plain) is None  # a profile that the caller does not have


async def test_a_rotated_key_stays_as_narrow_as_the_one_before_it(register: Register) -> None:
    first = add_caller(register.store, "gateway", ["decide", "batch"], now=NOW)
    bounds = KeyBounds(permissions=("decide",), networks=("192.0.2.0/24",))
    narrow = further_key(register.store, "gateway", now=NOW, bounds=bounds)
    with pytest.raises(BadRequestError, match="bounded differently"):
        rotate_key(register.store, "gateway", now=NOW, overlap=HOUR)
    new = rotate_key(register.store, "gateway", now=NOW, overlap=HOUR, key_id=narrow.split("_")[1])
    await register.callers.refresh()
    assert await register.known(key=new) == await register.known(key=narrow)
    register.clocks.now = NOW + HOUR
    assert await register.known(key=narrow) is None
    assert await register.known(key=first) is not None  # was not rotated
    (listed,) = list_callers(register.store)
    assert {key.key_id: key.bounds for key in listed.keys}[new.split("_")[1]] == bounds


async def test_a_rotation_names_a_key_of_this_caller_and_may_be_the_first_key(register: Register) -> None:
    foreign = add_caller(register.store, "other", ["decide"], now=NOW)
    register_caller(register.store, "gateway", ["decide"], now=NOW)
    with pytest.raises(BadRequestError, match="has no key"):
        rotate_key(register.store, "gateway", now=NOW, overlap=HOUR, key_id=foreign.split("_")[1])
    first = rotate_key(register.store, "gateway", now=NOW, overlap=HOUR)
    await register.callers.refresh()
    assert await register.known(key=first) == Caller("gateway", frozenset({"decide"}))


async def test_a_key_that_has_ended_is_not_followed_by_a_wider_one(register: Register) -> None:
    register_caller(register.store, "gateway", ["decide", "batch"], now=NOW)
    bounds = KeyBounds(permissions=("decide",))
    further_key(register.store, "gateway", now=NOW, expires_at=NOW + HOUR, bounds=bounds)
    later = NOW + 2 * HOUR
    register.clocks.now = later
    new = rotate_key(register.store, "gateway", now=later, overlap=timedelta())
    await register.callers.refresh()
    caller = await register.known(key=new)
    assert caller is not None
    assert caller.permissions == {"decide"}


async def test_an_unknown_key_id_is_compared_like_a_wrong_secret(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cost one digest and one comparison, so that no clock tells them apart. Counted, not timed."""
    key = add_caller(register.store, "gateway", ["decide"], now=NOW)
    await register.callers.refresh()
    _, key_id, secret = key.split("_")
    done: list[str] = []

    def counted(what: str, function: Any) -> Any:
        return lambda *arguments: (done.append(what), function(*arguments))[1]

    monkeypatch.setattr(keys, "secret_digest", counted("digest", keys.secret_digest))
    monkeypatch.setattr(stored, "compare_digest", counted("compare", stored.compare_digest))
    for presented in (f"sekisho_{key_id}_{'0' * 64}", f"sekisho_{'0' * 16}_{secret}"):
        done.clear()
        with pytest.raises(NotAuthenticatedError):
            register.callers.authenticate(presented)
        assert sorted(done) == ["compare", "digest"]


async def test_what_a_key_says_is_worked_out_once_and_looked_at_each_time(register: Register) -> None:
    key = add_caller(register.store, "gateway", ["decide"], now=NOW, expires_at=NOW + 2 * HOUR)
    other = keys.shown_key(f"sekisho_{key.split('_')[1]}_{'0' * 64}")
    shown = keys.shown_key(key)
    assert await register.known(key=key, shown=shown) is None  # before the register was read
    await register.callers.refresh()
    assert await register.known(key=key, shown=shown) is not None
    assert await register.known(key=key, shown=other) is None
    register.clocks.now = NOW + 2 * HOUR
    assert await register.known(key=key, shown=shown) is None
    register.clocks.now = NOW
    revoke_caller(register.store, "gateway", now=NOW)
    await register.callers.refresh()
    assert await register.known(key=key, shown=shown) is None
    assert keys.shown_key("sekisho_x") is None


# --- the budget


async def test_a_look_at_the_register_fills_nobodys_budget(register: Register) -> None:
    key = add_caller(register.store, "gateway", ["decide"], now=NOW)
    set_bounds(register.store, "gateway", CallerBounds(limits=CallerLimits(requests_per_s=1, burst=2)))
    await register.callers.refresh()
    assert await register.known(key=key) is not None
    add_caller(register.store, "another", ["decide"], now=NOW)
    assert await register.callers.refresh()
    assert await register.known(key=key) is not None
    with pytest.raises(TooManyRequestsError):
        await register.known(key=key)
    set_bounds(register.store, "gateway", CallerBounds(limits=CallerLimits(requests_per_s=1, burst=5)))
    await register.callers.refresh()  # other limits begin anew
    assert await register.known(key=key) is not None


async def test_all_credentials_of_a_caller_have_one_budget(register: Register) -> None:
    shown = by_certificate(register, "gateway-1")
    key = further_key(register.store, "gateway-1", now=NOW)
    bind(register.store, "gateway-1", bound_client(ISSUER, "gateway-client"), now=NOW)
    token = register.tokens.add("a.b.c", ALL)
    set_bounds(register.store, "gateway-1", CallerBounds(limits=CallerLimits(requests_per_s=1, burst=3)))
    await register.callers.refresh()
    for one in (shown, {"key": key}, {"token": token}):
        assert await register.known(**one) is not None
    for one in (shown, {"key": key}, {"token": token}):
        with pytest.raises(TooManyRequestsError):
            await register.known(**one)


async def test_a_flood_of_many_tasks_gets_the_burst_and_leaves_the_neighbour_alone(register: Register) -> None:
    loud = add_caller(register.store, "loud", ["decide"], now=NOW)
    quiet = add_caller(register.store, "quiet", ["decide"], now=NOW)
    for caller_id in ("loud", "quiet"):
        limits = CallerLimits(requests_per_s=10, burst=100)
        set_bounds(register.store, caller_id, CallerBounds(limits=limits))
    await register.callers.refresh()
    through = {"loud": 0, "quiet": 0}

    async def ask(name: str, key: str, times: int) -> None:
        for _ in range(times):
            await anyio.lowlevel.checkpoint()
            with suppress(TooManyRequestsError):
                through[name] += await register.known(key=key) is not None

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(ask, "loud", loud, 100)
        group.start_soon(ask, "quiet", quiet, 100)
    assert through == {"loud": 100, "quiet": 100}


async def test_who_is_refused_spends_nothing(register: Register) -> None:
    """Or anybody could starve a gateway by presenting its key id with a wrong secret, or from elsewhere."""
    key = add_caller(register.store, "gateway", ["decide"], now=NOW)
    limits = CallerLimits(requests_per_s=1, burst=1)
    set_bounds(register.store, "gateway", CallerBounds(networks=("192.0.2.1",), limits=limits))
    await register.callers.refresh()
    for _ in range(50):
        assert await register.known(key=key[:-64] + "0" * 64) is None
        assert await register.known(key=key, peer="198.51.100.9") is None
    assert await register.known(key=key) is not None


# --- bindings


def test_what_is_bound_is_bound_to_one_caller_at_a_time(register: Register) -> None:
    for caller_id in ("gateway-1", "gateway-2"):
        register_caller(register.store, caller_id, ["decide"], now=NOW)
    bounds = [bound_certificate(FINGERPRINT), bound_name("dns:gw.jp", CA), bound_client(ISSUER, "client")]
    for bound in bounds:
        binding = bind(register.store, "gateway-1", bound, now=NOW)
        for caller_id in ("gateway-1", "gateway-2"):
            with pytest.raises(BadRequestError, match="`gateway-1`"):
                bind(register.store, caller_id, bound, now=NOW)
        with pytest.raises(BadRequestError):
            unbind(register.store, "gateway-2", binding, now=NOW)
        unbind(register.store, "gateway-1", binding, now=NOW)
        bind(register.store, "gateway-2", bound, now=NOW)
    bind(register.store, "gateway-1", bound_client(ISSUER, "client", "another subject"), now=NOW)
    with pytest.raises(BadRequestError):
        bind(register.store, "nobody", bound_certificate("0" * 64), now=NOW)


@pytest.mark.parametrize(
    "make",
    [
        lambda: bound_certificate("f1" * 31),
        lambda: bound_certificate("g1" * 32),
        lambda: bound_certificate("０" * 64),
        lambda: bound_name("gw.example.jp", CA),
        lambda: bound_name("dns:", CA),
        lambda: bound_name("dns:*.example.jp", CA),
        lambda: bound_name("dns:gw*.example.jp", CA),
        lambda: bound_name("dns:gw\u202e.example.jp", CA),
        lambda: bound_name("dns:" + "x" * 512, CA),
        lambda: bound_name("dns:gw.example.jp", "CN=authority"),
        lambda: bound_client("", "client"),
        lambda: bound_client(ISSUER, ""),
        lambda: bound_client(ISSUER, "client", ""),
        lambda: bound_client(ISSUER, "client\n"),
        lambda: bound_client(ISSUER, "x" * 513),
    ],
)
def test_what_cannot_be_bound_is_refused(make: Callable[[], Bound]) -> None:
    with pytest.raises(BadRequestError):
        make()


def test_a_fingerprint_is_read_as_openssl_prints_it() -> None:
    assert bound_certificate(":".join(["F1"] * 32)) == bound_certificate(FINGERPRINT)


@pytest.mark.parametrize(
    "networks", [["10.0.0.1/8"], ["everywhere"], ["0.0.0.0/0"], ["::/0"], [""], ["10.0.0.0/8"] * 65]
)
def test_what_is_no_network_or_no_bound_is_refused(register: Register, networks: list[str]) -> None:
    register_caller(register.store, "gateway", ["decide"], now=NOW)
    with pytest.raises(BadRequestError):
        set_bounds(register.store, "gateway", CallerBounds(networks=tuple(networks)))
    with pytest.raises(BadRequestError):
        further_key(register.store, "gateway", now=NOW, bounds=KeyBounds(networks=tuple(networks)))
    (listed,) = list_callers(register.store)
    assert (listed.bounds, listed.keys) == (CallerBounds(), ())


def test_a_key_cannot_be_made_wider_than_its_caller(register: Register) -> None:
    register_caller(register.store, "gateway", ["decide"], now=NOW)
    for bounds in (KeyBounds(permissions=("decide", "search")), KeyBounds(permissions=())):
        with pytest.raises(BadRequestError):
            further_key(register.store, "gateway", now=NOW, bounds=bounds)
