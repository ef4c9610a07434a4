"""A burst of deletions disables, and removes no more than its share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pdp.model.provisioning import ScimTenant
from pdp.scim.removals import ALWAYS_ALLOWED
from tests.scim_service import BULK, CORE, ScimService, new_store

pytestmark = pytest.mark.anyio

PEOPLE = ALWAYS_ALLOWED + 5


@pytest.fixture
def scim(tmp_path: Path) -> Iterator[ScimService]:
    store = new_store(tmp_path)
    yield ScimService(store, {"entra": ScimTenant(), "okta": ScimTenant()})
    store.close()


async def people(scim: ScimService, count: int = PEOPLE) -> list[str]:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": f"b{i}", "data": {"schemas": [CORE], "userName": f"u-{i}"}}
        for i in range(count)
    ]
    answer = await scim.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    return [outcome["location"].rpartition("/")[2] for outcome in answer.body["Operations"]]


async def test_a_deletion_beyond_the_bound_disables_and_keeps(scim: ScimService) -> None:
    ids = await people(scim)
    for id_ in ids[:ALWAYS_ALLOWED]:
        assert (await scim.send("DELETE", f"/Users/{id_}")).status == 204
    held = await scim.send("DELETE", f"/Users/{ids[-1]}")
    assert held.status == 429
    assert held.body["status"] == "429"
    assert f"{ALWAYS_ALLOWED} of {PEOPLE}" in held.body["detail"]
    assert int(held.headers["retry-after"]) == 86_401
    kept = await scim.send("GET", f"/Users/{ids[-1]}")
    assert (kept.status, kept.body["active"]) == (200, False)
    assert scim.person(f"u-{PEOPLE - 1}").status == "suspended"
    assert scim.told  # workers hear of it, although the answer is an error


async def test_the_same_deletion_again_changes_nothing_more(scim: ScimService) -> None:
    ids = await people(scim)
    for id_ in ids[:ALWAYS_ALLOWED]:
        await scim.send("DELETE", f"/Users/{id_}")
    first = await scim.send("DELETE", f"/Users/{ids[-1]}")
    version = (await scim.send("GET", f"/Users/{ids[-1]}")).headers["etag"]
    told = len(scim.told)
    again = await scim.send("DELETE", f"/Users/{ids[-1]}")
    assert (first.status, again.status) == (429, 429)
    assert (await scim.send("GET", f"/Users/{ids[-1]}")).headers["etag"] == version
    assert len(scim.told) == told


async def test_after_the_window_there_is_room_again(scim: ScimService) -> None:
    ids = await people(scim)
    for id_ in ids[:ALWAYS_ALLOWED]:
        await scim.send("DELETE", f"/Users/{id_}")
        scim.later(seconds=10)
    held = await scim.send("DELETE", f"/Users/{ids[-1]}")
    assert held.status == 429
    scim.later(seconds=int(held.headers["retry-after"]))
    assert (await scim.send("DELETE", f"/Users/{ids[-1]}")).status == 204
    assert (await scim.send("DELETE", f"/Users/{ids[-2]}")).status == 429


async def test_a_share_of_many_people_is_more_than_the_least(scim: ScimService) -> None:
    ids = await people(scim, 500)
    statuses = [(await scim.send("DELETE", f"/Users/{id_}")).status for id_ in ids[:27]]
    assert statuses == [204] * 25 + [429] * 2


async def test_one_tenants_deletions_do_not_use_up_anothers(scim: ScimService) -> None:
    ids = await people(scim)
    other = await scim.user("o-1", key="okta")
    for id_ in ids[:ALWAYS_ALLOWED]:
        await scim.send("DELETE", f"/Users/{id_}")
    assert (await scim.send("DELETE", f"/Users/{other}", key="okta")).status == 204


async def test_in_a_bulk_request_those_within_the_bound_go_and_the_others_are_disabled(scim: ScimService) -> None:
    ids = await people(scim)
    operations = [{"method": "DELETE", "path": f"/Users/{id_}"} for id_ in ids]
    answer = await scim.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    statuses = [outcome["status"] for outcome in answer.body["Operations"]]
    assert statuses == ["204"] * ALWAYS_ALLOWED + ["429"] * 5
    left = await scim.send("GET", "/Users")
    assert [one["active"] for one in left.body["Resources"]] == [False] * 5
