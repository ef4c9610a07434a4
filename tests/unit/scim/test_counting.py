"""What an operator can see of provisioners: what they ask, and who has gone silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from pdp.commands.scim_checkup import scim_findings
from pdp.scim.counting import last_writes, resource_at
from pdp.scim.metrics import ScimMetrics
from pdp.scim.reconcile import settings_digest
from tests.scim_service import BULK, CORE, NOW, PREFECTURE, ScimService

pytestmark = pytest.mark.anyio


async def test_each_request_is_counted_with_its_client_its_resource_and_what_became_of_it(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    await scim.group("x", key="okta")
    await scim.send("GET", f"/Users/{id_}")
    await scim.send("POST", "/Users/.search", {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]})
    await scim.send("POST", "/Users", {"schemas": [CORE], "userName": "u-1"})
    operation = {"method": "POST", "path": "/Users", "bulkId": "1", "data": {"schemas": [CORE], "userName": "u-2"}}
    await scim.send("POST", "/Bulk", {"schemas": [BULK], "Operations": [operation]})
    await scim.send("GET", "/ServiceProviderConfig")
    assert scim.counted == [
        ("entra", "Users", "written"),
        ("okta", "Groups", "written"),
        ("entra", "Users", "read"),
        ("entra", "Users", "read"),
        ("entra", "Users", "refused"),
        ("entra", "Bulk", "written"),
        ("entra", "other", "read"),
    ]


async def test_strangers_are_counted_without_a_name_of_their_own(scim: ScimService) -> None:
    for key in (None, "nobody", "gate", "stray"):
        await scim.send("DELETE", "/Users/x", key=key)
    assert scim.counted == [("none", "Users", "refused")] * 4
    assert [resource_at(path) for path in ("/Users/.search", "/users", "", "/../Users", "/Group%73")] == [
        "Users",
        *["other"] * 4,
    ]


async def test_a_deletion_beyond_the_bound_and_a_store_that_is_gone_are_told_apart(scim: ScimService) -> None:
    scim = ScimService(scim.store, {"entra": replace(PREFECTURE, max_removals_percent=0)})
    people = [await scim.user(f"u-{number}") for number in range(21)]
    for id_ in people:
        await scim.send("DELETE", f"/Users/{id_}")
    ends = [outcome for _, _, outcome in scim.counted[21:]]
    assert ends[-1] == "held_back"
    assert set(ends) <= {"written", "held_back"}
    scim.store.close()
    with scim.store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE scim_users")
    await scim.send("GET", "/Users")
    assert scim.counted[-1] == ("entra", "Users", "failed")


async def test_the_last_write_of_each_client_is_that_of_the_store(scim: ScimService) -> None:
    assert last_writes(scim.store, ["entra", "okta"]) == {"entra": None, "okta": None}
    id_ = await scim.user("u-1")
    scim.later(hours=1)
    await scim.group("x")
    await scim.user("u-2", key="okta")
    assert last_writes(scim.store, ["entra", "okta"]) == dict.fromkeys(["entra", "okta"], scim.now)
    scim.later(hours=1)
    await scim.send("GET", f"/Users/{id_}")
    assert last_writes(scim.store, ["entra"]) == {"entra": scim.now - timedelta(hours=1)}
    await scim.send("DELETE", f"/Users/{id_}")
    assert last_writes(scim.store, ["entra"]) == {"entra": scim.now}, "a removal is a change too"


def test_the_gauge_begins_with_what_the_store_knows_and_moves_with_each_write() -> None:
    registry = CollectorRegistry()
    metrics = ScimMetrics(registry)
    metrics.begin({"entra": NOW, "okta": None})
    metrics.count("entra", "Users", "read", NOW + timedelta(hours=1))
    last = "sekisho_scim_last_write_timestamp_seconds"
    assert registry.get_sample_value(last, {"client": "entra"}) == NOW.timestamp()
    assert registry.get_sample_value(last, {"client": "okta"}) == 0
    metrics.count("okta", "Groups", "written", NOW)
    assert registry.get_sample_value(last, {"client": "okta"}) == NOW.timestamp()
    labels = {"client": "entra", "resource": "Users", "outcome": "read"}
    assert registry.get_sample_value("sekisho_scim_requests_total", labels) == 1


async def test_the_doctor_says_who_never_came_and_who_has_gone_silent(scim: ScimService) -> None:
    await scim.user("u-1")
    tenants = {"entra": PREFECTURE, "okta": PREFECTURE}

    def said(**later: float) -> dict[str, str]:
        found = scim_findings(lambda _, en: en, scim.store, tenants, NOW + timedelta(**later))
        return {finding.detail.partition(":")[0]: finding.status for finding in found}

    assert said(hours=168) == {"entra": "ok", "okta": "warn"}
    assert said(hours=169) == {"entra": "warn", "okta": "warn"}
    tenants = {"entra": replace(PREFECTURE, silent_after_h=0)}
    assert said(days=3_650) == {"entra": "ok"}
    (late,) = scim_findings(lambda ja, _: ja, scim.store, {"entra": PREFECTURE}, NOW + timedelta(days=8))
    assert "192 時間" in late.detail
    assert late.next_step


def test_when_somebody_counts_as_silent_maps_nobody_anew() -> None:
    assert settings_digest(PREFECTURE) == settings_digest(replace(PREFECTURE, silent_after_h=1))
