from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest

from pdp.callers.caller import Caller
from pdp.callers.keys import StoredCallers
from pdp.errors import NotAuthenticatedError
from pdp.store.store import open_store
from tests.unit.commands.conftest import only_json, told


def authenticated(place, key: str) -> Caller:
    """By the table that the service would read."""
    store = open_store(f"sqlite:///{(place / 'var' / 'sekisho.db').resolve()}")
    callers = StoredCallers(store, lambda: datetime.now(UTC))
    try:
        anyio.run(callers.refresh)
        return callers.authenticate(key)
    finally:
        store.close()


def test_the_key_stands_alone_on_stdout_and_opens_the_door(pdp, place):
    result = pdp("caller", "add", "envoy-1", "--permission", "decide", "--permission", "assert_network")
    assert result.exit_code == 0
    key = result.stdout.strip()
    assert "shown once" in result.stderr
    assert authenticated(place, key) == Caller("envoy-1", frozenset({"decide", "assert_network"}))


def test_without_a_word_a_caller_may_only_ask(pdp, place):
    key = only_json(pdp("caller", "add", "gw", "--json"))["key"]
    assert authenticated(place, key).permissions == {"decide"}


def test_a_rotated_key_counts_beside_the_old_one_for_a_while(pdp, place):
    old = only_json(pdp("caller", "add", "gw", "--json"))["key"]
    new = only_json(pdp("caller", "rotate", "gw", "--json"))["key"]
    assert authenticated(place, old) == authenticated(place, new)
    last = only_json(pdp("caller", "rotate", "gw", "--overlap-days", "0", "--json"))["key"]
    authenticated(place, last)
    for ended in (old, new):
        with pytest.raises(NotAuthenticatedError):
            authenticated(place, ended)


def test_a_revoked_caller_is_refused_and_stays_in_the_list(pdp, place):
    key = only_json(pdp("caller", "add", "gw", "--json"))["key"]
    assert pdp("caller", "revoke", "gw").exit_code == 0
    with pytest.raises(NotAuthenticatedError):
        authenticated(place, key)
    (listed,) = only_json(pdp("caller", "list", "--json"))["callers"]
    assert (listed["id"], [one["state"] for one in listed["keys"]]) == ("gw", ["revoked"])
    assert key.rpartition("_")[2] not in pdp("caller", "list").stdout


def test_one_key_is_revoked_by_its_id_and_only_of_the_caller_that_has_it(pdp, place):
    old = only_json(pdp("caller", "add", "gw", "--json"))["key"]
    new = only_json(pdp("caller", "rotate", "gw", "--json"))["key"]
    pdp("caller", "add", "other")
    key_id = old.split("_")[1]
    stranger = pdp("caller", "revoke", "other", "--key", key_id)
    assert stranger.exit_code == 2
    assert pdp("caller", "revoke", "gw", "--key", key_id).exit_code == 0
    with pytest.raises(NotAuthenticatedError):
        authenticated(place, old)
    assert authenticated(place, new).id == "gw"


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "gw", "--permission", "fly"],
        ["add", "no good name"],
        ["rotate", "nobody"],
        ["revoke", "nobody"],
    ],
)
def test_what_does_not_exist_is_bad_input(pdp, arguments):
    result = pdp("caller", *arguments)
    assert result.exit_code == 2
    assert told(result)
    assert result.stdout == ""


def test_a_key_can_have_an_end(pdp, place):
    pdp("caller", "add", "gw", "--expires-in-days", "10")
    (listed,) = only_json(pdp("caller", "list", "--json"))["callers"]
    assert listed["keys"][0]["expires_at"] is not None
    assert "gw" in pdp("caller", "list", lang="ja").stdout
