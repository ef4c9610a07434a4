from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pdp.directory.freshness import DEFAULT_LIMIT, freshness, stale_after
from pdp.model.directory import Device, PostureReport, snapshot_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)


def device(id_: str, age: timedelta | None, state: str = "in_service") -> Device:
    seen = None if age is None else NOW - age
    return Device(id_, "managed_pc", state=state, posture=PostureReport(observed_at=seen))


def test_devices_are_fresh_stale_or_unknown_and_retired_ones_do_not_count() -> None:
    snapshot = snapshot_of(
        epoch=1,
        devices=[
            device("d-1", timedelta(hours=24)),
            device("d-2", timedelta(hours=24, seconds=1)),
            device("d-3", None),
            device("d-4", timedelta(minutes=1)),
            device("d-5", None, state="retired"),
        ],
    )
    seen = freshness(snapshot, NOW, timedelta(hours=24))
    assert (seen.devices, seen.fresh, seen.stale, seen.unknown) == (4, 2, 1, 1)
    assert (seen.newest, seen.oldest) == (NOW - timedelta(minutes=1), NOW - timedelta(hours=24, seconds=1))


def test_an_empty_directory_has_nothing_to_be_stale() -> None:
    seen = freshness(snapshot_of(epoch=0), NOW, DEFAULT_LIMIT)
    assert (seen.devices, seen.fresh, seen.newest, seen.oldest) == (0, 0, None, None)


def test_the_limit_is_the_policys_own() -> None:
    assert stale_after({"zta": {"parameters": {"posture_stale_hours": 8}}}) == timedelta(hours=8)
    for data in ({}, {"zta": 1}, {"zta": {"parameters": {"posture_stale_hours": True}}}):
        assert stale_after(data) == DEFAULT_LIMIT
