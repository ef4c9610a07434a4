"""Controls are carried out with their values, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.sase import cloudflare, entra, envoy, prisma, zpa
from connectors.sase.controls import carried_out, lacking, refuse_controls
from pdp.errors import SettingsError
from pdp.export.checking import MODEL, check
from pdp.export.controls import END_OF_WINDOW
from pdp.export.exporting import export
from pdp.model.rules import encode
from tests import entra_files
from tests.spaces import shipped_model, shipped_space
from tests.unit.connectors.sase import cloudflare_tenant, prisma_tenant, test_envoy, zpa_tenant

TARGETS = {
    "cloudflare": (cloudflare.target, cloudflare_tenant.mapping),
    "entra": (entra.target, entra_files.mapping),
    "envoy": (envoy.target, test_envoy.mapping),
    "prisma": (prisma.target, prisma_tenant.mapping),
    "zpa": (zpa.target, zpa_tenant.mapping),
}


@pytest.mark.parametrize(
    ("value", "enforces", "holds"),
    [
        (60, ["session_max_minutes=60"], True),
        (60, ["session_max_minutes=30"], True),
        (60, ["session_max_minutes=61"], False),
        (60, ["session_max_minutes"], False),
        (60, ["session_max_minutes=0"], False),
        (60, ["session_max_minutes=6٠"], False),
        (60, [], False),
    ],
)
def test_a_session_is_carried_out_by_one_that_is_no_longer(value: int, enforces: list[str], holds: bool) -> None:
    assert carried_out("session_max_minutes", value, enforces) is holds


def test_words_and_ends_of_windows_are_carried_out_by_their_own_name_alone() -> None:
    assert carried_out("print", "off", ["print"])
    assert not carried_out("print", "off", ["save"])
    assert not carried_out("print", 3, ["print"])
    assert carried_out("end_at", END_OF_WINDOW, ["end_at=work_permit_until"])
    assert not carried_out("end_at", END_OF_WINDOW, ["end_at"])
    assert not carried_out("end_at", "2027-01-01T00:00:00Z", ["end_at=work_permit_until"])
    assert lacking({"print": "off", "session_max_minutes": 60}, ["print"]) == ["session_max_minutes"]


@pytest.mark.parametrize(
    "wrong",
    ["session_max_minutes", "session_max_minutes=", "session_max_minutes=x", "end_at", "end_at=17:15", "print=off"],
)
def test_a_control_without_the_value_that_it_needs_is_refused(wrong: str) -> None:
    with pytest.raises(SettingsError, match="enforces"):
        refuse_controls([wrong])


@pytest.mark.parametrize("name", TARGETS)
def test_every_mapping_has_to_say_what_ends_with_the_window_of_a_work_permit(name: str) -> None:
    make, mapping = TARGETS[name]
    with pytest.raises(SettingsError, match="work_permit_until"):
        make(mapping(enforces=["end_at"]))


@pytest.mark.parametrize("name", ["envoy", "prisma", "zpa", "entra"])
def test_a_longer_session_than_the_policys_leaves_its_rules_out(name: str) -> None:
    make, mapping = TARGETS[name]
    said = {
        minutes: {
            one.rule
            for one in make(mapping(enforces=["record_session", "alert", f"session_max_minutes={minutes}"]))
            .export(shipped_model())
            .left_out
            if one.what == "session_max_minutes"
        }
        for minutes in (60, 61)
    }
    assert said[60] == set()
    assert said[61]


def test_rules_that_nobody_carries_the_controls_of_are_unsound_however_they_came_into_the_files() -> None:
    """Attack: files of a gateway that records sessions, and a mapping of one that does not."""
    files = {**envoy.target(test_envoy.mapping()).export(shipped_model()).files, MODEL: encode(shipped_model())}
    other = envoy.target(test_envoy.mapping(enforces=["alert"], given={"context.pep∋record_session": True}))
    report = check(shipped_space(), shipped_model(), other.interpreter(files))
    assert not report.sound
    assert {name for one in report.counterexamples for name in one.controls} == {"record_session"}


# Cloudflare says two controls in its own files.


def cloudflare_files(change: Any, *controls: str) -> Any:
    made = cloudflare.target(cloudflare_tenant.mapping(enforces=["record_session", "alert", *controls]))
    files = {**made.export(shipped_model()).files, MODEL: encode(shipped_model())}
    policies = json.loads(files[cloudflare.POLICIES])
    touched = [policy for policy in policies if change(policy)]
    assert touched
    files[cloudflare.POLICIES] = json.dumps(policies).encode()
    return check(shipped_space(), shipped_model(), made.interpreter(files))


def test_a_cloudflare_session_that_is_longer_than_the_policys_is_found() -> None:
    def lengthen(policy: dict[str, Any]) -> bool:
        if policy.get("session_duration") != "60m" or policy["decision"] != "allow":
            return False
        policy["session_duration"] = "61m"
        return True

    report = cloudflare_files(lengthen, "session_max_minutes")
    assert not report.sound
    assert {json.dumps(one.controls) for one in report.counterexamples} == {'{"session_max_minutes": 60}'}


def test_a_cloudflare_policy_without_the_isolation_that_carries_out_browser_only_is_found() -> None:
    report = cloudflare_files(
        lambda policy: policy.pop("isolation_required", False),
        "clipboard", "save", "print", "download", "browser_only", "session_max_minutes",
    )  # fmt: skip
    assert not report.sound
    assert {name for one in report.counterexamples for name in one.controls} == {"browser_only"}


def test_cloudflare_says_sessions_and_isolation_itself() -> None:
    made = cloudflare.target(cloudflare_tenant.mapping(enforces=cloudflare_tenant.EVERY_CONTROL))
    finished = export(shipped_space(), shipped_model(), made)
    assert "session_max_minutes" not in {one.what for one in finished.exported.left_out}
