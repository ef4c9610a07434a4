from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pdp.callers.caller import PERMISSIONS, Callers
from pdp.callers.keys import (
    KEY,
    add_caller,
    issue_caller,
    revoke_caller,
    revoke_key,
    rotate_key,
    set_permissions,
)
from pdp.callers.listing import list_callers
from pdp.callers.stored import StoredCallers
from pdp.errors import BadRequestError, DirectoryError, NotAuthenticatedError
from pdp.store.store import Store
from tests.empty_store import empty_store

pytestmark = pytest.mark.anyio

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def callers(store: Store, clock: Clock) -> StoredCallers:
    return StoredCallers(store, clock)


def refused(callers: Callers, key: str | None) -> bool:
    try:
        callers.authenticate(key)
    except NotAuthenticatedError as fault:
        assert (
            fault.message == "a valid API key, certificate or access token is needed"
        )  # which fault it was is not told
        return True
    return False


async def test_a_key_belongs_to_its_caller_and_says_nothing_else(store: Store, callers: StoredCallers) -> None:
    key = add_caller(store, "gateway-1", ["decide"], now=NOW)
    other = add_caller(store, "gateway-2", PERMISSIONS, now=NOW)
    await callers.refresh()
    assert (callers.authenticate(key).id, callers.authenticate(other).id) == ("gateway-1", "gateway-2")
    assert callers.authenticate(key).permissions == {"decide"}
    assert callers.authenticate(other).may("bypass_cache")
    assert not callers.authenticate(key).may("batch")


async def test_anything_but_the_whole_key_is_refused(store: Store, callers: StoredCallers) -> None:
    key = add_caller(store, "gateway", ["decide"], now=NOW)
    _, key_id, secret = key.split("_")
    await callers.refresh()
    assert not refused(callers, key)
    wrong = [
        None, "", " ", key + " ", key[:-1], key + "0", key.upper(), f"sekisho_{key_id}_{'0' * 64}",
        f"sekisho_{'0' * 16}_{secret}", f"sekisho_{'0' * 16}_{'0' * 64}", f"sekisho__{secret}", secret, key_id,
        "sekisho_" + "é" * 16 + "_" + secret, key.replace("_", "__"), "x" * 100_000, key + "\n",
    ]  # fmt: skip
    assert [text for text in wrong if not refused(callers, text)] == []


async def test_the_secret_is_long_and_only_its_digest_is_kept(store: Store, tmp_path: Path) -> None:
    keys = {add_caller(store, f"gateway-{n}", ["decide"], now=NOW) for n in range(20)}
    store.close()
    with sqlite3.connect(tmp_path / "sekisho.db") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    secrets = {KEY.fullmatch(key)[2] for key in keys}  # type: ignore[index]
    assert len(secrets) == 20
    assert all(len(bytes.fromhex(secret)) == 32 for secret in secrets)
    assert not [secret for secret in secrets if secret in dump]


async def test_nobody_is_known_before_the_first_look(store: Store, callers: StoredCallers) -> None:
    key = add_caller(store, "gateway", ["decide"], now=NOW)
    assert refused(callers, key)
    assert callers.age() is None


async def test_an_expiry_counts_at_its_instant(store: Store, callers: StoredCallers, clock: Clock) -> None:
    key = add_caller(store, "gateway", ["decide"], now=NOW, expires_at=NOW + HOUR)
    await callers.refresh()
    clock.now = NOW + HOUR - timedelta(microseconds=1)
    assert not refused(callers, key)
    clock.now = NOW + HOUR
    assert refused(callers, key)


async def test_a_rotation_leaves_the_old_key_for_the_overlap_and_never_longer_than_its_own_end(
    store: Store, callers: StoredCallers, clock: Clock
) -> None:
    short = add_caller(store, "gateway", ["decide"], now=NOW, expires_at=NOW + HOUR)
    long = rotate_key(store, "gateway", now=NOW, overlap=5 * HOUR)
    new = rotate_key(store, "gateway", now=NOW, overlap=3 * HOUR)
    await callers.refresh()
    valid = {}
    for hours in (0, 1, 3):
        clock.now = NOW + hours * HOUR
        valid[hours] = [not refused(callers, key) for key in (short, long, new)]
    assert valid == {0: [True, True, True], 1: [False, True, True], 3: [False, False, True]}


async def test_a_rotation_without_overlap_ends_the_old_key_now(store: Store, callers: StoredCallers) -> None:
    old = add_caller(store, "gateway", ["decide"], now=NOW)
    new = rotate_key(store, "gateway", now=NOW, overlap=timedelta())
    await callers.refresh()
    assert (refused(callers, old), refused(callers, new)) == (True, False)


async def test_a_revocation_counts_from_the_next_look_on(store: Store, callers: StoredCallers) -> None:
    first = add_caller(store, "gateway", ["decide"], now=NOW)
    second = rotate_key(store, "gateway", now=NOW, overlap=HOUR)
    await callers.refresh()
    revoke_key(store, first.split("_")[1], now=NOW)
    assert not refused(callers, first)
    assert await callers.refresh()
    assert (refused(callers, first), refused(callers, second)) == (True, False)
    revoke_caller(store, "gateway", now=NOW)
    await callers.refresh()
    assert refused(callers, second)
    (listed,) = list_callers(store)
    assert [key.revoked_at for key in listed.keys] == [NOW, NOW]


async def test_setting_a_caller_up_again_ends_every_key_before_it(store: Store, callers: StoredCallers) -> None:
    old = issue_caller(store, "demo", ["decide", "batch"], now=NOW)
    new = issue_caller(store, "demo", ["decide"], now=NOW)
    await callers.refresh()
    assert refused(callers, old)
    assert callers.authenticate(new).permissions == {"decide"}


async def test_permissions_change_without_a_new_key(store: Store, callers: StoredCallers) -> None:
    key = add_caller(store, "gateway", ["decide"], now=NOW)
    set_permissions(store, "gateway", ["decide", "search"])
    await callers.refresh()
    assert callers.authenticate(key).permissions == {"decide", "search"}


async def test_a_permission_that_only_a_newer_version_knows_gives_nothing(
    store: Store, callers: StoredCallers, tmp_path: Path
) -> None:
    key = add_caller(store, "gateway", ["decide"], now=NOW)
    with sqlite3.connect(tmp_path / "sekisho.db") as connection:
        connection.execute("""UPDATE callers SET permissions = '["decide", "rule_the_world"]'""")
    connection.close()
    await callers.refresh()
    assert callers.authenticate(key).permissions == {"decide"}


async def test_a_store_that_fails_leaves_the_known_callers_and_their_age(
    store: Store, callers: StoredCallers, clock: Clock, tmp_path: Path
) -> None:
    key = add_caller(store, "gateway", ["decide"], now=NOW)
    await callers.refresh()
    with sqlite3.connect(tmp_path / "sekisho.db") as connection:
        connection.execute("DROP TABLE caller_meta")
    connection.close()
    clock.now = NOW + HOUR
    with pytest.raises(DirectoryError):
        await callers.refresh()
    assert callers.authenticate(key).id == "gateway"
    assert callers.age() == HOUR


@pytest.mark.parametrize("name", ["", " ", "a b", "é", "-x", "x" * 129, "x\n", "../x"])
def test_a_caller_has_a_plain_name(store: Store, name: str) -> None:
    with pytest.raises(BadRequestError):
        add_caller(store, name, ["decide"], now=NOW)


def test_what_cannot_be_granted_or_found_is_refused_and_changes_nothing(store: Store) -> None:
    add_caller(store, "gateway", ["decide"], now=NOW)
    before = list_callers(store)
    attempts = [
        lambda: add_caller(store, "gateway", ["decide"], now=NOW),
        lambda: add_caller(store, "other", [], now=NOW),
        lambda: add_caller(store, "other", ["fly"], now=NOW),  # type: ignore[list-item]
        lambda: add_caller(store, "other", ["decide"], now=NOW, expires_at=NOW),
        lambda: add_caller(store, "other", ["decide"], now=NOW, expires_at=datetime(2099, 1, 1)),
        lambda: rotate_key(store, "nobody", now=NOW, overlap=HOUR),
        lambda: rotate_key(store, "gateway", now=NOW, overlap=-HOUR),
        lambda: rotate_key(store, "gateway", now=NOW, overlap=HOUR, expires_at=NOW - HOUR),
        lambda: revoke_key(store, "0" * 16, now=NOW),
        lambda: revoke_caller(store, "nobody", now=NOW),
        lambda: set_permissions(store, "nobody", ["decide"]),
        lambda: set_permissions(store, "gateway", []),
    ]
    for attempt in attempts:
        with pytest.raises(BadRequestError):
            attempt()
    assert list_callers(store) == before
