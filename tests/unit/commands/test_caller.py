from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest

from pdp.callers.caller import Caller
from pdp.callers.certificate import PeerCertificate
from pdp.callers.credentials import Credentials
from pdp.callers.stored import StoredCallers
from pdp.errors import NotAuthenticatedError
from pdp.store.store import open_store
from tests.certificates import Authority
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


# --- bounds and bindings


def shown_by(place, **credentials) -> Caller:
    store = open_store(f"sqlite:///{(place / 'var' / 'sekisho.db').resolve()}")
    callers = StoredCallers(store, lambda: datetime.now(UTC))
    try:
        anyio.run(callers.refresh)
        return callers.authenticate(Credentials(**credentials))
    finally:
        store.close()


def listed(pdp, caller_id: str = "gw"):
    callers = only_json(pdp("caller", "list", "--json"))["callers"]
    return next(one for one in callers if one["id"] == caller_id)


def test_a_caller_is_bounded_from_its_first_moment(pdp, place):
    added = pdp("caller", "add", "gw", "--network", "192.0.2.0/24", "--profile", "plain", "--json")
    key = only_json(added)["key"]
    assert shown_by(place, key=key, peer="192.0.2.1").profile == "plain"
    with pytest.raises(NotAuthenticatedError):
        shown_by(place, key=key, peer="198.51.100.1")


def test_a_caller_may_have_no_key_and_be_known_by_its_certificate(pdp, place, tmp_path):
    issued = Authority(tmp_path).issue("gw", "gw")
    assert only_json(pdp("caller", "add", "gw", "--no-key", "--json"))["key"] is None
    assert "without a key" in pdp("caller", "add", "other", "--no-key").stdout
    bound = only_json(pdp("caller", "bind", "gw", "--certificate", str(issued.certificate), "--json"))
    assert (bound["kind"], bound["value"]) == ("certificate", issued.sha256)
    certificate = PeerCertificate(issued.sha256)
    assert shown_by(place, certificate=certificate).id == "gw"
    assert listed(pdp)["bindings"][0]["state"] == "active"
    assert pdp("caller", "unbind", "gw", bound["binding_id"]).exit_code == 0
    with pytest.raises(NotAuthenticatedError):
        shown_by(place, certificate=certificate)
    assert listed(pdp)["bindings"][0]["state"] == "revoked"


def test_a_name_is_bound_with_its_authority_and_a_client_with_its_issuer(pdp, place, tmp_path):
    authority = Authority(tmp_path)
    pdp("caller", "add", "gw", "--no-key")
    name = ["--certificate-name", "dns:GW.example.jp", "--authority", str(authority.certificate)]
    assert only_json(pdp("caller", "bind", "gw", *name, "--json"))["value"] == "dns:gw.example.jp"
    client = ["--client-id", "gw-client", "--issuer", "https://id.example.jp"]
    assert only_json(pdp("caller", "bind", "gw", *client, "--json"))["subject"] == "gw-client"
    assert only_json(pdp("caller", "bind", "gw", *client, "--subject", "s-1", "--json"))["subject"] == "s-1"
    shown = pdp("caller", "list").stdout
    assert "dns:gw.example.jp" in shown
    assert "gw-client" in shown
    pdp("caller", "revoke", "gw")
    assert {one["state"] for one in listed(pdp)["bindings"]} == {"revoked"}


def test_what_cannot_be_bound_is_bad_input_and_changes_nothing(pdp, place, tmp_path):
    authority = Authority(tmp_path)
    two = tmp_path / "two.pem"
    two.write_bytes(authority.certificate.read_bytes() * 2)
    ca, sha256 = str(authority.certificate), "0" * 64
    pdp("caller", "add", "gw", "--no-key")
    for wrong in (
        [],
        ["--certificate", ca, "--certificate-sha256", sha256],
        ["--certificate", str(two)],
        ["--certificate", str(tmp_path / "gone.pem")],
        ["--certificate", __file__],
        ["--certificate-sha256", "0" * 63],
        ["--certificate-sha256", sha256, "--authority", ca],
        ["--certificate-sha256", sha256, "--issuer", "https://id.example.jp"],
        ["--certificate-name", "dns:gw.example.jp"],
        ["--certificate-name", "dns:*.example.jp", "--authority", ca],
        ["--client-id", "gw"],
        ["--issuer", "https://id.example.jp"],
    ):
        result = pdp("caller", "bind", "gw", *wrong)
        assert (result.exit_code, bool(told(result)), result.stdout) == (2, True, ""), wrong
    assert pdp("caller", "bind", "nobody", "--certificate-sha256", sha256).exit_code == 2
    assert pdp("caller", "unbind", "gw", "0" * 16).exit_code == 2
    assert listed(pdp)["bindings"] == []


def test_limits_are_shown_changed_and_given_back(pdp, place):
    pdp("caller", "add", "gw")
    changes = ["--requests-per-s", "10", "--batch", "5", "--network", "192.0.2.1", "--profile", "zta"]
    changed = only_json(pdp("caller", "limits", "gw", *changes, "--json"))["bounds"]
    assert (changed["requests_per_s"], changed["batch"], changed["burst"]) == (10, 5, 50_000)
    assert (changed["networks"], changed["profile"]) == (["192.0.2.1/32"], "zta")
    further = only_json(pdp("caller", "limits", "gw", "--burst", "20", "--permission", "search", "--json"))
    assert further["bounds"] == {**changed, "burst": 20}
    assert further["permissions"] == ["search"]
    assert only_json(pdp("caller", "limits", "gw", "--json")) == further
    assert listed(pdp)["bounds"] == further["bounds"]
    people = pdp("caller", "limits", "gw", lang="ja").stdout
    assert "192.0.2.1/32" in people
    assert "毎秒" in people
    back = only_json(pdp("caller", "limits", "gw", "--any-network", "--profile", "any", "--default-limits", "--json"))
    assert back["bounds"] == {
        "networks": [],
        "profile": None,
        "requests_per_s": 50_000,
        "burst": 50_000,
        "body_bytes": 262_144,
        "batch": 100,
    }


@pytest.mark.parametrize(
    "options",
    [
        ["--requests-per-s", "0"],
        ["--burst", "-1"],
        ["--batch", "101"],
        ["--body-bytes", "262145"],
        ["--network", "everywhere"],
        ["--network", "0.0.0.0/0"],
        ["--profile", "other"],
    ],
)
def test_limits_that_are_none_are_bad_input(pdp, place, options):
    pdp("caller", "add", "gw")
    assert pdp("caller", "limits", "gw", *options).exit_code == 2
    assert listed(pdp)["bounds"]["requests_per_s"] == 50_000
    assert pdp("caller", "limits", "nobody").exit_code == 2


def test_one_more_key_may_be_narrower_and_is_rotated_alone(pdp, place):
    pdp("caller", "add", "gw", "--permission", "decide", "--permission", "batch")
    narrow = only_json(pdp("caller", "key", "gw", "--permission", "decide", "--network", "192.0.2.1", "--json"))["key"]
    assert shown_by(place, key=narrow, peer="192.0.2.1").permissions == {"decide"}
    assert pdp("caller", "rotate", "gw").exit_code == 2  # which of the two would it follow?
    new = only_json(pdp("caller", "rotate", "gw", "--key", narrow.split("_")[1], "--overlap-days", "0", "--json"))[
        "key"
    ]
    assert shown_by(place, key=new, peer="192.0.2.1").permissions == {"decide"}
    for key, peer in ((narrow, "192.0.2.1"), (new, "192.0.2.2")):
        with pytest.raises(NotAuthenticatedError):
            shown_by(place, key=key, peer=peer)
    assert pdp("caller", "key", "gw", "--permission", "search").exit_code == 2  # its caller has none of it
    kept = next(key for key in listed(pdp)["keys"] if key["key_id"] == new.split("_")[1])
    assert (kept["permissions"], kept["networks"]) == (["decide"], ["192.0.2.1/32"])
