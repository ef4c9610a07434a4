"""`pdp ssf` on streams that are received: how they are, whether a SET would count, what is held."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path

import pytest

from pdp.directory.changes import change
from pdp.directory.holds import Hold, set_hold
from pdp.directory.snapshot import load_snapshot
from pdp.ssf import events
from pdp.store.store import open_store
from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.signal_house import IDP, NOW, TX, House, furnish, stream_of
from tests.ssf_transmitter import TOKEN, Lie, signed_set, transmitting
from tests.tokens import rsa_key
from tests.unit.commands.conftest import Pdp, only_json

PERSON = {"format": "iss_sub", "iss": IDP, "sub": "u-1"}


@pytest.fixture
def ground(place: Path) -> tuple[str | Path, ...]:
    """A state with a directory, and the settings of one stream."""
    stream = stream_of(place)
    (place / "pdp.toml").write_text(
        f"""
        [[signal_streams]]
        name = "idp"
        issuer = "{TX}"
        audiences = ["{stream.audiences[0]}"]
        delivery = "push"
        token_file = "{stream.token_file}"
        jwks_file = "{stream.jwks_file}"
        stream_id = "stream-1"
        effects = ["end_sessions"]
        """
    )
    (place / "state").mkdir()
    with closing(open_store(f"sqlite:///{place / 'state' / 'sekisho.db'}")) as store:
        store.migrate()
        furnish(store)
    return ("--state-dir", place / "state")


def test_a_set_is_checked_by_the_rules_of_its_stream(pdp: Pdp, place: Path, ground: tuple[str | Path, ...]) -> None:
    good, forged = place / "good.jwt", place / "forged.jwt"
    text = signed_set(TX, events.ACCOUNT_DISABLED, PERSON, at=NOW.timestamp(), jti="j-1")
    good.write_text(f"{text}\n")
    forged.write_text(signed_set(TX, events.ACCOUNT_DISABLED, PERSON, at=NOW.timestamp(), key=rsa_key(which=7)))
    at = ("--stream", "idp", "--at", str(NOW.timestamp()), "--json")
    said = only_json(pdp("ssf", "check", good, *at))
    assert said["ok"] and said["subject"] == PERSON and said["event"] == "risc/account-disabled"
    assert said["asks_for"] == ["end_sessions", "hold:account"] and said["allowed"] == ["end_sessions"]
    assert only_json(pdp("ssf", "check", good, *at, "--jwks", place / "jwks.json"))["jti"] == "j-1"
    refused = pdp("ssf", "check", forged, *at)
    assert (refused.exit_code, only_json(refused)["err"]) == (1, "invalid_key")
    early = pdp("ssf", "check", good, "--stream", "idp", "--at", "1", lang="ja")
    assert early.exit_code == 1 and "受け取られない" in early.stdout
    assert pdp("ssf", "check", good, "--stream", "other").exit_code == 2
    assert pdp("ssf", "check", place / "none", "--stream", "idp").exit_code == 2
    assert pdp("ssf", "check", good, *at, "--jwks", place / "none").exit_code == 3
    del ground


def test_streams_and_events_are_shown(pdp: Pdp, place: Path, ground: tuple[str | Path, ...]) -> None:
    assert only_json(pdp("ssf", "status", *ground, "--json"))[0]["trouble"] == "has never been looked at"
    with closing(open_store(f"sqlite:///{place / 'state' / 'sekisho.db'}")) as store:
        house = House(store, stream_of(place))
        asyncio.run(house.take(signed_set(TX, events.SESSION_REVOKED, PERSON, at=NOW.timestamp())))
    (stream,) = only_json(pdp("ssf", "status", *ground, "--json"))
    assert stream["received_at"] and stream["refused"] == 0
    (event,) = only_json(pdp("ssf", "events", *ground, "--json"))
    assert (event["event"], event["result"], event["subject"]) == ("caep/session-revoked", "waiting", PERSON)
    assert "caep/session-revoked" in pdp("ssf", "events", *ground).stdout
    assert "idp" in pdp("ssf", "status", *ground, lang="ja").stdout
    assert [one.action for one in events_of(trail_path(place / "state"))] == ["ssf.events", "ssf.events"]
    said = pdp("doctor", *ground, lang="ja").stdout
    assert "セキュリティイベントの受信" in said


def test_a_hold_is_lifted_by_hand_and_the_trail_says_who(pdp: Pdp, place: Path, ground: tuple[str | Path, ...]) -> None:
    with closing(open_store(f"sqlite:///{place / 'state' / 'sekisho.db'}")) as store:
        with change(store, NOW) as inside:
            set_hold(inside, Hold("users", "u-1", "ssf:idp", "account", held=True, at=NOW, changed_at=NOW))
        (held,) = only_json(pdp("ssf", "holds", *ground, "--json"))
        assert (held["register"], held["id"], held["source"], held["cause"]) == ("users", "u-1", "ssf:idp", "account")
        assert "u-1" in pdp("ssf", "holds", *ground, lang="ja").stdout
        assert pdp("ssf", "lift", "users", "u-2", "--reason", "x", *ground).exit_code == 2
        assert pdp("ssf", "lift", "users", "u-1", *ground).exit_code == 2, "without a reason nobody lifts"
        assert only_json(pdp("ssf", "lift", "users", "u-1", "--reason", "誤検知", *ground, "--json"))["lifted"] == 1
        assert only_json(pdp("ssf", "holds", *ground, "--json")) == []
        assert load_snapshot(store).users["u-1"].status == "active"
    last = list(events_of(trail_path(place / "state")))[-1]
    assert (last.action, last.outcome, last.object, last.reason) == ("ssf.lift", "done", "u-1", "誤検知")


def test_a_transmitter_is_asked_to_verify(pdp: Pdp, place: Path, ground: tuple[str | Path, ...]) -> None:
    with transmitting() as transmitter:
        (place / "pdp.toml").write_text(
            f"""
            [[signal_streams]]
            name = "idp"
            issuer = "{transmitter.url}"
            audiences = ["https://pdp.example.com"]
            delivery = "poll"
            endpoint_url = "{transmitter.url}/poll?stream_id=stream-1"
            token_file = "{place / "token"}"
            stream_id = "stream-1"
            """
        )
        assert only_json(pdp("ssf", "verify", "idp", *ground, "--json")) == {"stream": "idp", "asked": True}
        (asked,) = transmitter.verifications
        assert asked["stream_id"] == "stream-1" and len(asked["state"]) >= 24
        transmitter.lies["/verify"] = Lie(status=404)
        refused = pdp("ssf", "verify", "idp", *ground)
        assert refused.exit_code == 3 and "404" in refused.stderr
    assert pdp("ssf", "verify", "other", *ground).exit_code == 2
    assert TOKEN not in json.dumps([str(one) for one in events_of(trail_path(place / "state"))])
