"""What the service and `pdp doctor` say of deliveries: from the files that the commands leave behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from pdp.commands.delivery_checkup import delivery_findings
from pdp.delivery.drift import drift
from pdp.delivery.journal import Applied, InHand, Journal, Looked
from pdp.delivery.metrics import DeliveryMetrics
from pdp.delivery.plan import SCHEMA, Plan
from pdp.delivery.port import Held, Key, Standing
from tests.unit.delivery.toy import inert, rule

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def delivered(state: Path, name: str) -> Journal:
    journal = Journal(state, name)
    with journal.locked():
        journal.end(Applied(SCHEMA, "toy", name, "e", "p", NOW.isoformat(), ()))
    return journal


def shown(registry: CollectorRegistry, tenant: str) -> list[float | None]:
    names = ("differences", "look_age_seconds", "unfinished")
    return [registry.get_sample_value(f"sekisho_delivery_{name}", {"tenant": tenant}) for name in names]


def test_a_tenant_that_differs_or_cannot_be_looked_at_is_shown_and_told(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    metrics = DeliveryMetrics(registry, tmp_path)
    metrics.show(NOW)
    journal = delivered(tmp_path, "pref")
    later = NOW + timedelta(minutes=1)
    steps = (
        (None, [-1, -1, 0], "warn"),
        (Looked(NOW.isoformat(), 0), [0, 60, 0], "ok"),
        (Looked(NOW.isoformat(), 3), [3, 60, 0], "warn"),
        (Looked(NOW.isoformat(), None, "timeout"), [-1, 60, 0], "warn"),
    )
    for looked, numbers, status in steps:
        if looked is not None:
            journal.looked(looked)
        fresh = CollectorRegistry()
        DeliveryMetrics(fresh, tmp_path).show(later)
        assert shown(fresh, "pref") == numbers
        (finding,) = delivery_findings(lambda ja, _: ja, tmp_path, later)
        assert finding.status == status
    (old,) = delivery_findings(lambda _, en: en, tmp_path, NOW + timedelta(days=3))
    assert "nobody has looked" in old.detail


def test_an_apply_that_was_cut_off_is_shown_and_told_and_a_damaged_file_too(tmp_path: Path) -> None:
    journal = delivered(tmp_path, "pref")
    plan = Plan(SCHEMA, "toy", "pref", "e", "b", ())
    with journal.locked():
        journal.take(InHand(plan, ()))
    assert (tmp_path / "delivery" / "pref" / "journal.jsonl").read_bytes() == b"", (
        "its name is on the disk with the plan"
    )
    registry = CollectorRegistry()
    DeliveryMetrics(registry, tmp_path).show(NOW)
    assert shown(registry, "pref")[2] == 1
    (finding,) = delivery_findings(lambda _, en: en, tmp_path, NOW)
    assert "cut off" in finding.detail
    (tmp_path / "delivery" / "pref" / "drift.json").write_bytes(b"{")
    (damaged,) = delivery_findings(lambda _, en: en, tmp_path, NOW)
    assert damaged.status == "fail"
    delivered(tmp_path, "second").looked(Looked(NOW.isoformat(), 2))  # by name behind the one that is damaged
    registry = CollectorRegistry()
    DeliveryMetrics(registry, tmp_path).show(NOW)
    assert shown(registry, "second") == [2, 0, 0]
    assert shown(registry, "pref") == [-1, -1, 1]


def test_nothing_is_said_where_nothing_was_delivered(tmp_path: Path) -> None:
    assert delivery_findings(lambda _, en: en, tmp_path, NOW) == []


def test_a_description_and_a_rule_of_others_are_no_drift_and_everything_else_is() -> None:
    had = [
        Held(inert("a", {0})),
        Held(rule("u", "opens", "a", ordered=True)),
        Held(rule("v", "opens", "a", ordered=True)),
    ]
    has = (
        Held(inert("a", {0, 1})),
        Held(rule("v", "opens", "a", ordered=True), live=False),
        Held(rule("u", "opens", "a", ordered=True, words="別の説明")),
        Held(inert("b", {0})),
    )
    found = drift(had, Standing(has, ((Key("rule", "", "lunch"), True), (Key("rule", "", "late"), False))))
    told = {(one.what, one.key.name): one.counts for one in found}
    assert told == {
        ("altered", "a"): True,
        ("silenced", "v"): True,
        ("unknown", "b"): True,
        ("moved", "u"): True,
        ("moved", "v"): True,
        ("reworded", "u"): False,
        ("ahead", "lunch"): False,
    }
    assert drift(had, Standing(tuple(had))) == ()
