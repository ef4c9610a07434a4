"""Intune's connector: batches beside the pages, and links that lead elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.http import Limits
from pdp.errors import ConnectorError, SettingsError
from tests.simulators import graph
from tests.simulators.vendor import Fault
from tests.simulators.worlds import outcome, world

pytestmark = pytest.mark.anyio


def identifier(number: int) -> str:
    return str(graph.managed_device(number)["id"])


async def test_the_state_of_defender_comes_in_batches_of_twenty_for_windows_terminals_only() -> None:
    with world("intune", devices=45, page=100) as made:
        simulator: Any = made.simulator
        made.rows[7]["operatingSystem"] = "macOS"
        simulator.protection = {identifier(n): graph.protection_state() for n in range(1, 46) if n != 3}
        found = await outcome(made.connector(protection_state=True))
        batches = [request for request in simulator.requests if request.path.endswith("/$batch")]
        assert len(batches) == 3
        assert [len(request.body.split(b'"method"')) - 1 for request in batches] == [20, 20, 4]
        facts = [report.posture.av_current for report in found.reports]
        assert facts == [True] * 2 + ["unknown"] + [True] * 4 + ["unknown"] + [True] * 37


async def test_a_batch_item_that_is_throttled_is_asked_again_after_its_own_pause() -> None:
    with world("intune", devices=3, page=100) as made:
        simulator: Any = made.simulator
        simulator.protection = {identifier(n): graph.protection_state() for n in range(1, 4)}
        simulator.batch_faults = [
            {"status": 429, "headers": {"Retry-After": "4"}, "body": {}},
            {"status": 429, "headers": {"Retry-After": "9"}, "body": {}},
        ]
        found = await outcome(made.connector(protection_state=True))
        assert [report.posture.av_current for report in found.reports] == [True] * 3
        assert made.hands.pauses == [9.0]


async def test_a_batch_that_never_answers_whole_ends_the_run() -> None:
    with world("intune", devices=3, page=100) as made:
        made.simulator.batch_faults = [{"status": 503} for _ in range(99)]  # type: ignore[attr-defined]
        with pytest.raises(ConnectorError, match="too busy") as caught:
            await outcome(made.connector(protection_state=True))
        assert caught.value.fault == "throttled"


@pytest.mark.parametrize(
    "items",
    [
        [{"status": "200", "body": {}}],
        [{"status": True, "body": {}}],
        [{"status": 403, "body": {}}],
        [{"id": "0", "status": 200, "body": {}}, {"id": "0", "status": 200, "body": {}}],
    ],
    ids=["status as text", "status as boolean", "forbidden", "one answer twice"],
)
async def test_a_batch_answer_that_is_none_ends_the_run(items: list[dict[str, Any]]) -> None:
    with world("intune", devices=3, page=100) as made:
        made.simulator.batch_faults = items  # type: ignore[attr-defined]
        with pytest.raises(ConnectorError):
            await outcome(made.connector(protection_state=True))


async def test_an_answer_that_a_batch_leaves_out_is_asked_for_again() -> None:
    with world("intune", devices=3, page=100) as made:
        simulator: Any = made.simulator
        simulator.protection = {identifier(n): graph.protection_state() for n in range(1, 4)}
        simulator.faults = [Fault(at=2, document=lambda document: {"responses": document["responses"][:1]})]
        found = await outcome(made.connector(protection_state=True))
        assert [report.posture.av_current for report in found.reports] == [True] * 3


async def test_single_settings_of_policies_are_looked_up_where_the_administrator_maps_some() -> None:
    setting = "IosCompliancePolicy.PasscodeRequired"
    with world("intune", devices=2, page=100) as made:
        simulator: Any = made.simulator
        simulator.policies = {
            identifier(1): [{"settingStates": [{"setting": setting, "state": "compliant"}]}, {"settingStates": None}],
            identifier(2): [{"settingStates": [{"setting": setting, "state": "nonCompliant"}]}],
        }
        found = await outcome(made.connector(setting_facts={setting: "screen_lock"}))
        assert [report.posture.screen_lock for report in found.reports] == [True, False]


async def test_a_threat_that_is_reported_between_two_synchronisations_does_not_wait_for_the_next() -> None:
    with world("intune", devices=9, page=3) as made:
        for row in made.rows:
            row["lastSyncDateTime"] = "2026-11-20T00:00:00Z"
        made.rows[1]["lastSyncDateTime"] = "2026-11-23T05:59:00Z"
        made.rows[4]["partnerReportedThreatState"] = "highSeverity"
        made.rows[6]["partnerReportedThreatState"] = "deactivated"
        found = await outcome(made.connector(), "2026-11-23T05:58:00Z")
        assert found.serials == ["SN000002", "SN000005", "SN000007"]
        assert [report.posture.edr_risk for report in found.reports] == ["none", "high", "unknown"]
        assert not found.run.complete
        calm = await outcome(made.connector(threats=False), "2026-11-23T05:58:00Z")
        assert calm.serials == ["SN000002"]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/deviceManagement/managedDevices?$skiptoken=2",
        "http://127.0.0.1:1/v1.0/deviceManagement/managedDevices",
        "{base}/v1.0@evil.example/",
        "{base}/beta/deviceManagement/managedDevices",
        "{base}/v1.0/../beta/x",
        "{base}/v1.0/%2e%2e/beta/x",
        "http://user:pass@{host}/v1.0/x",
        "//evil.example/v1.0/x",
        "/v1.0/deviceManagement/managedDevices",
        "file:///etc/passwd",
        "not a link",
        "",
        17,
        ["x"],
        "{base}/v1.0/" + "x" * 9000,
        "{base}/v1.0/\n",
    ],
)
async def test_a_next_link_out_of_the_api_is_refused_and_nobody_is_asked(link: Any) -> None:
    with world("intune") as made:
        base = made.simulator.base_url
        if isinstance(link, str):
            link = link.replace("{base}", base).replace("{host}", base.removeprefix("http://"))
        made.simulator.faults = [Fault(at=1, document=lambda document: {**document, "@odata.nextLink": link})]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector())
        assert caught.value.fault in ("inconsistent", "malformed")
        assert len(made.simulator.requests) == 1


async def test_next_links_that_lead_in_a_circle_end_the_run() -> None:
    with world("intune", devices=6) as made:
        seen: list[str] = []

        def circle(document: dict[str, Any]) -> dict[str, Any]:
            seen.append(document.get("@odata.nextLink", ""))
            return {**document, "@odata.nextLink": seen[0]}

        made.simulator.faults = [Fault(at=1, times=99, document=circle)]
        with pytest.raises(ConnectorError, match="circle"):
            await outcome(made.connector())
        assert len(made.simulator.requests) == 2


async def test_the_token_is_asked_for_the_api_of_the_same_cloud_with_the_secret_in_the_form() -> None:
    with world("intune") as made:
        await outcome(made.connector())
        (form,) = made.simulator.token_requests
        assert form == {
            "grant_type": "client_credentials",
            "scope": f"{made.simulator.base_url}/.default",
            "client_id": "app",
            "client_secret": graph.SECRET,
        }


async def test_a_run_takes_no_more_requests_than_its_bound() -> None:
    with world("intune", devices=30, page=10) as made, pytest.raises(ConnectorError, match="more than 2 requests"):
        await outcome(made.connector(Limits(exchanges=2)))


@pytest.mark.parametrize(
    "settings",
    [
        {"tenant": "../other"},
        {"tenant": ""},
        {"page_size": 0},
        {"page_size": 1001},
        {"graph_url": "http://graph.microsoft.com/v1.0"},
        {"graph_url": "https://user@graph.microsoft.com/v1.0"},
        {"login_url": "ftp://x"},
        {"setting_facts": {"x": "tampered"}},
        {"unknown": 1},
        {"client_id": 5},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any]) -> None:
    with world("intune") as made, pytest.raises(SettingsError):
        made.connector(**settings)
