from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from pdp.model.source import SourceHealth
from pdp.source_metrics import SourceMetrics

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def health(name: str = "mdm", **values: Any) -> SourceHealth:
    given = {"kind": "intune", "brings": "posture", "required": True, "stale_after": HOUR, "down_after": 12 * HOUR}
    return SourceHealth(**{"name": name} | given | values)  # type: ignore[arg-type]


def test_each_source_shows_its_age_its_state_and_what_it_could_not_use() -> None:
    registry = CollectorRegistry()
    metrics = SourceMetrics(registry)

    def shown(name: str, source: str = "mdm", **labels: str) -> float | None:
        return registry.get_sample_value(f"sekisho_source_{name}", {"source": source, **labels})

    metrics.show(
        (
            health(
                last_attempt_at=NOW, last_success_at=NOW - 2 * HOUR, fault="throttled", rows=9, unmatched=2, refused=1
            ),
            health("ldap", last_attempt_at=NOW, last_success_at=NOW, pending=True, faults={"timeout": 3}),
            health("new"),
        ),
        NOW,
    )
    assert [shown(name) for name in ("state", "age_seconds", "last_run_ok", "rows", "unmatched", "refused")] == [
        1, 7200, 0, 9, 2, 1,
    ]  # fmt: skip
    assert [shown(name, "ldap") for name in ("state", "last_run_ok", "removals_pending")] == [2, 1, 1]
    assert shown("failed_runs", "ldap", code="timeout") == 3
    assert [shown(name, "new") for name in ("state", "age_seconds", "last_run_ok")] == [0, -1, 0]
    metrics.show((health(last_attempt_at=NOW, last_success_at=NOW),), NOW)
    assert [shown(name, "ldap") for name in ("state", "age_seconds", "removals_pending")] == [-1, -1, -1]
    assert shown("state") == 2


def test_a_source_is_well_stale_and_down_at_its_own_limits() -> None:
    source = health(last_success_at=NOW)
    at = [(timedelta(0), "ok"), (HOUR - timedelta(seconds=1), "ok"), (HOUR, "stale"), (12 * HOUR, "down")]
    assert [source.state(NOW + age) for age, _ in at] == [state for _, state in at]
    assert source.state(NOW - HOUR) == "ok"  # a clock that was set back makes nobody old
    assert source.down_at == NOW + 12 * HOUR
    assert health().down_at is None
