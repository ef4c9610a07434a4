"""`pdp ssf stream` and `pdp ssf keys`: what an operator sees and does, and that the trail says who did it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.callers.keys import add_caller
from pdp.identity.signing import SigningKeys
from pdp.settings import load_settings
from pdp.ssf.sending import outbox, register
from pdp.ssf.sending.streams import Stream, Wish
from pdp.store.store import Store, open_store
from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.unit.commands.conftest import Pdp, only_json

NOW = datetime.now(UTC)
PUSHED = Wish("push", "https://gw.example.jp/events", "Bearer s3cret", subject_format="opaque")


@pytest.fixture
def store(place: Path) -> Iterator[Store]:
    (place / "pdp.toml").write_text('state_dir = "state"\n[ssf_transmitter]\n', encoding="utf-8")
    settings = load_settings(place / "pdp.toml", {})
    settings.state_path.mkdir()
    opened = open_store(settings.store_url)
    opened.migrate()
    register.create(opened, Stream("s-1", "sase", "sase", PUSHED, NOW, NOW))
    yield opened
    opened.close()


def listed(pdp: Pdp) -> Any:
    [row] = only_json(pdp("ssf", "stream", "list", "--json"))
    return row


def test_an_operator_pauses_verifies_resumes_and_deletes_a_stream(pdp: Pdp, place: Path, store: Store) -> None:
    paused = only_json(pdp("ssf", "stream", "pause", "s-1", "--reason", "保守", "--json"))
    assert (paused["status"], paused["reason"], paused["held"], paused["waiting"]) == ("paused", "保守", True, 1)
    assert only_json(pdp("ssf", "stream", "verify", "s-1", "--json"))["waiting"] == 2
    shown = pdp("ssf", "stream", "list", lang="ja").stdout
    assert "保守" in shown
    assert "s3cret" not in shown
    assert only_json(pdp("ssf", "stream", "resume", "s-1", "--json"))["held"] is False
    assert only_json(pdp("ssf", "stream", "disable", "s-1", "--reason", "誤設定", "--json"))["status"] == "disabled"
    assert pdp("ssf", "stream", "delete", "s-1", "--reason", "廃止").exit_code == 0
    assert only_json(pdp("ssf", "stream", "list", "--json")) == []
    assert pdp("ssf", "stream", "pause", "s-1", "--reason", "x").exit_code == 2
    assert register.listed(store) == ()
    told = [(one.action, one.outcome, one.object) for one in events_of(trail_path(place / "state"))]
    assert told == [
        (f"ssf.stream.{action}", outcome, "s-1")
        for action, end in (
            ("status", "done"), ("verify", "done"), ("status", "done"), ("status", "done"), ("delete", "done"),
            ("status", "failed"),
        )
        for outcome in ("begun", end)
    ]  # fmt: skip


def test_the_list_and_the_doctor_say_whose_receiver_does_not_take_events(pdp: Pdp, store: Store) -> None:
    with store.write() as connection:
        outbox.failed(connection, "s-1", "it answered 500", NOW - timedelta(hours=1))
    assert "s-1 (sase): its caller was revoked, or lacks the permission" in pdp("doctor").stdout
    add_caller(store, "sase", ["ssf_read"], now=NOW)
    row = listed(pdp)
    assert (row["failures"], row["fault"]) == (1, "it answered 500")
    assert "it answered 500" in pdp("ssf", "stream", "list").stdout
    assert "s-1 (sase): its receiver does not take events: it answered 500" in pdp("doctor").stdout


def test_the_keys_are_listed_and_rotated_and_their_private_parts_shown_to_nobody(
    pdp: Pdp, place: Path, store: Store
) -> None:
    assert store.is_current()
    assert pdp("ssf", "keys", "list").exit_code == 2  # there are none before the service has started
    SigningKeys(place / "state" / "ssf-keys.json", lambda: NOW, lambda: 0.0)
    [old] = only_json(pdp("ssf", "keys", "list", "--json"))["keys"]
    rotated = only_json(pdp("ssf", "keys", "rotate", "--json"))["keys"]
    assert rotated[0]["kid"] == old["kid"]
    assert len(rotated) == 2
    assert "PRIVATE" not in pdp("ssf", "keys", "list").stdout


def test_without_a_transmitter_a_stream_cannot_be_operated(pdp: Pdp, place: Path, store: Store) -> None:
    assert register.listed(store)
    (place / "pdp.toml").write_text('state_dir = "state"\n', encoding="utf-8")
    done = pdp("ssf", "stream", "pause", "s-1", "--reason", "x")
    assert done.exit_code != 0
    assert "ssf_transmitter" in done.stderr + done.stdout
    assert register.find(store, "s-1", None).status == "enabled"
