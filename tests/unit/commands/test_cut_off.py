"""`pdp cut-off`: an address with a reason and an end, and who did it."""

from __future__ import annotations

from pathlib import Path

from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.unit.commands.conftest import Pdp, only_json


def test_an_address_is_cut_off_listed_and_lifted_and_the_trail_says_who(pdp: Pdp, place: Path) -> None:
    ground = ("--state-dir", place / "state")
    added = only_json(pdp("cut-off", "add", "203.0.113.7", "--reason", "不審な通信", "--hours", "8", *ground, "--json"))
    assert added["address"] == "203.0.113.7/32"
    assert [one["id"] for one in only_json(pdp("cut-off", "list", *ground, "--json"))] == [added["id"]]
    assert "不審な通信" in pdp("cut-off", "list", *ground, lang="ja").stdout
    assert pdp("cut-off", "add", "0.0.0.0/0", "--reason", "x", "--hours", "8", *ground).exit_code == 2
    assert pdp("cut-off", "lift", added["id"], "--reason", "誤検知", *ground).exit_code == 0
    assert only_json(pdp("cut-off", "list", *ground, "--json")) == []
    assert only_json(pdp("cut-off", "list", "--all", *ground, "--json"))[0]["lifted_by"]
    told = [(one.action, one.outcome, one.reason) for one in events_of(trail_path(place / "state"))]
    assert told == [
        ("cut_off.add", "begun", "不審な通信"),
        ("cut_off.add", "done", "不審な通信"),
        ("cut_off.lift", "begun", "誤検知"),
        ("cut_off.lift", "done", "誤検知"),
    ]
