from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pdp.model.input import UNKNOWN_POSTURE, Device, Posture
from pdp.posture.score import CAPS, HIGHEST, LOWEST, Thresholds, caps_of, score, thresholds_of

DEFAULT = Thresholds()
PAGE = Path(__file__).resolve().parents[3] / "docs" / "posture.md"
HEALTHY = Posture(
    certificate=True,
    disk_encrypted=True,
    edr_running=True,
    edr_risk="none",
    av_current=True,
    firewall=True,
    screen_lock=True,
    tampered=False,
    patch_age_days=3,
    age_hours=1,
    source="push:edr",
)


def device(posture: Posture = HEALTHY, **more: Any) -> Device:
    known: dict[str, Any] = {
        "id": "d-1",
        "class_": "managed_pc",
        "ownership": "organisation",
        "registered": True,
        "shared": False,
        "relation": "none",
        "loan": "none",
        "permit": "none",
        "takeout": "unknown",
        "state": "in_service",
        "returned_from_outside": False,
        "posture": posture,
    }
    return Device(**{**known, **more})


def test_a_healthy_device_has_the_highest_score() -> None:
    assert score(device(), DEFAULT) == HIGHEST


@pytest.mark.parametrize(
    ("change", "cap"),
    [
        ({"tampered": True}, "tampered"),
        ({"tampered": "unknown"}, "tampered"),
        ({"edr_risk": "high"}, "edr_risk"),
        ({"edr_risk": "unknown"}, "edr_risk"),
        ({"edr_risk": "medium"}, "edr_risk_medium"),
        ({"edr_running": False}, "edr_running"),
        ({"edr_running": "not_managed"}, "edr_running"),
        ({"edr_running": "unknown"}, "edr_running"),
        ({"age_hours": 25}, "stale"),
        ({"age_hours": "unknown"}, "stale"),
        ({"certificate": False}, "certificate"),
        ({"disk_encrypted": "unknown"}, "disk_encrypted"),
        ({"patch_age_days": 31}, "patch_deny"),
        ({"patch_age_days": "unknown"}, "patch_deny"),
        ({"patch_age_days": 15}, "patch_warn"),
        ({"av_current": "unknown"}, "av_current"),
        ({"firewall": False}, "firewall"),
    ],
)
def test_each_fault_caps_the_score(change: dict[str, Any], cap: str) -> None:
    assert score(device(replace(HEALTHY, **change)), DEFAULT) == CAPS[cap]


@pytest.mark.parametrize(
    "change",
    [
        {"registered": False},
        {"state": "lost"},
        {"state": "lost_unconfirmed_found"},
        {"state": "quarantined"},
        {"state": "retired"},
        {"returned_from_outside": True},
    ],
)
def test_a_device_that_must_not_be_used_has_the_lowest_score_however_healthy(change: dict[str, Any]) -> None:
    assert score(device(**change), DEFAULT) == LOWEST


def test_at_the_limit_itself_nothing_is_capped() -> None:
    posture = replace(HEALTHY, age_hours=24, patch_age_days=14, edr_risk="low")
    assert score(device(posture), DEFAULT) == HIGHEST


def test_of_a_private_device_only_what_the_policy_asks_counts() -> None:
    bare = replace(UNKNOWN_POSTURE, tampered=False, screen_lock=True, age_hours=1)
    private = {"ownership": "private", "class_": "byod_phone"}
    assert score(device(bare, **private), DEFAULT) == HIGHEST
    assert score(device(replace(bare, screen_lock="unknown"), **private), DEFAULT) == CAPS["screen_lock"]
    assert score(device(replace(bare, tampered=True), **private), DEFAULT) == LOWEST


_KNOWN = st.sampled_from([True, False, "unknown"])
_DAYS = st.one_of(st.integers(0, 100), st.just("unknown"))
POSTURES = st.builds(
    Posture,
    certificate=_KNOWN,
    disk_encrypted=_KNOWN,
    edr_running=st.sampled_from([True, False, "unknown", "not_managed"]),
    edr_risk=st.sampled_from(["none", "low", "medium", "high", "unknown"]),
    av_current=_KNOWN,
    firewall=_KNOWN,
    screen_lock=_KNOWN,
    tampered=_KNOWN,
    patch_age_days=_DAYS,
    age_hours=_DAYS,
    source=st.just("push:edr"),
)
_FACTS = [name for name in Posture.__struct_fields__ if name != "source"]


@given(POSTURES, st.sampled_from(["organisation", "private", "unknown"]), st.sampled_from(_FACTS))
def test_not_knowing_a_fact_never_raises_the_score(posture: Posture, ownership: str, fact: str) -> None:
    """INVARIANT (not knowing is no better than the worst)."""
    known = score(device(posture, ownership=ownership), DEFAULT)
    unknown = score(device(replace(posture, **{fact: "unknown"}), ownership=ownership), DEFAULT)
    assert LOWEST <= unknown <= known <= HIGHEST


@given(POSTURES)
def test_the_score_is_the_lowest_cap_that_applies(posture: Posture) -> None:
    caps = caps_of(device(posture), DEFAULT)
    assert score(device(posture), DEFAULT) == min((CAPS[name] for name in caps), default=HIGHEST)


def test_the_thresholds_are_those_of_the_policy() -> None:
    data = {"zta": {"parameters": {"posture_stale_hours": 2, "patch_warn_days": 1, "patch_deny_days": True}}}
    assert thresholds_of(data) == Thresholds(stale_hours=2, patch_warn_days=1, patch_deny_days=30)
    assert thresholds_of({}) == thresholds_of({"zta": []}) == DEFAULT


def test_the_page_has_the_same_table() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(cap) for cap, name in rows} == dict(CAPS)
