"""What provisioning does to the directory: who is somebody, who is denied, who is gone, and whom it cannot touch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pdp.directory.changes import change
from pdp.model.directory import Device, Period, Post, User
from pdp.model.provisioning import GroupRule, ScimTenant
from tests.scim_service import ENTERPRISE, PREFECTURE, ScimService

pytestmark = pytest.mark.anyio

DISABLE = {"op": "replace", "path": "active", "value": False}


def put(scim: ScimService, *rows: User | Device) -> None:
    with change(scim.store, scim.now) as inside:
        for row in rows:
            (inside.put_user if isinstance(row, User) else inside.put_device)(row)


async def test_a_user_becomes_a_person_with_what_the_tables_name(scim: ScimService) -> None:
    await scim.user(
        "u-1",
        userType="Employee",
        name={"familyName": "山田", "givenName": "花子"},
        **{ENTERPRISE: {"department": "総務部", "division": "税務課"}},
    )
    assert scim.person("u-1") == User(
        id="u-1", kind="staff", posts=(Post("soumu"), Post("zeimu")), status="active", name="山田 花子"
    )


async def test_what_no_table_names_gives_nothing(scim: ScimService) -> None:
    id_ = await scim.user(
        "u-1",
        userType="emergency_account",
        roles=[{"value": "server_admin"}],
        entitlements=[{"value": "server_admin"}],
        **{ENTERPRISE: {"department": "soumu"}},
    )
    await scim.group("server_admin", (id_,))
    person = scim.person("u-1")
    assert person is not None
    assert (person.kind, person.posts, person.roles) == ("unknown", (), ())


async def test_a_disabled_user_is_suspended_in_the_very_transaction(scim: ScimService) -> None:
    id_ = await scim.user("u-1", userType="Employee")
    assert (await scim.patch(f"/Users/{id_}", DISABLE)).status == 204
    assert scim.person("u-1").status == "suspended"
    assert scim.told[-1] > scim.told[0]


async def test_an_enabled_user_is_active_again(scim: ScimService) -> None:
    id_ = await scim.user("u-1", active=False)
    assert scim.person("u-1").status == "suspended"
    await scim.patch(f"/Users/{id_}", {"op": "Replace", "path": "active", "value": "True"})
    assert scim.person("u-1").status == "active"


async def test_a_put_without_active_does_not_enable_whom_somebody_disabled(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    await scim.patch(f"/Users/{id_}", DISABLE)
    answer = await scim.send("PUT", f"/Users/{id_}", {"schemas": [], "userName": "u-1", "title": "new"})
    assert (answer.status, answer.body["active"], answer.body["title"]) == (200, False, "new")
    assert scim.person("u-1").status == "suspended"


async def test_removing_active_suspends_and_never_enables(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    await scim.patch(f"/Users/{id_}", {"op": "remove", "path": "active"})
    assert scim.person("u-1").status == "suspended"


async def test_membership_gives_the_role_of_the_table_and_leaving_takes_it(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    group = await scim.group("whatever", (id_,), externalId="g-server")
    assert scim.person("u-1").roles == ("server_admin",)
    await scim.patch(f"/Groups/{group}", {"op": "remove", "path": f'members[value eq "{id_}"]'})
    assert scim.person("u-1").roles == ()


async def test_renaming_or_deleting_a_group_takes_what_it_gave(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    group = await scim.group("災害対策", (id_,))
    assert scim.person("u-1").roles == ("disaster_response",)
    await scim.patch(f"/Groups/{group}", {"op": "replace", "path": "displayName", "value": "忘年会"})
    assert scim.person("u-1").roles == ()
    await scim.patch(f"/Groups/{group}", {"op": "replace", "value": {"displayName": "災害対策"}})
    assert scim.person("u-1").roles == ("disaster_response",)
    assert (await scim.send("DELETE", f"/Groups/{group}")).status == 204
    assert scim.person("u-1").roles == ()


async def test_a_group_inside_a_group_gives_nothing(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    inner = await scim.group("inner", (id_,))
    await scim.group("outer", (inner,), externalId="g-server")
    assert scim.person("u-1").roles == ()


async def test_the_kind_of_a_group_goes_before_the_user_type_and_two_kinds_are_none(scim: ScimService) -> None:
    id_ = await scim.user("u-1", userType="Employee")
    await scim.group("Vendors", (id_,))
    assert scim.person("u-1").kind == "contractor"
    rules = (GroupRule(display_name="Vendors", kind="contractor"), GroupRule(display_name="Staff", kind="staff"))
    both = ScimService(scim.store, {"okta": ScimTenant(groups=rules)})
    other = await both.user("u-2", key="okta")
    await both.group("Vendors", (other,), key="okta")
    await both.group("Staff", (other,), key="okta")
    assert scim.person("u-2").kind == "unknown"


async def test_a_role_from_elsewhere_and_the_dates_of_employment_stay(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    group = await scim.group("x", (id_,), externalId="g-server")
    dates = Period(datetime(2026, 4, 1, tzinfo=UTC), datetime(2027, 4, 1, tzinfo=UTC))
    put(scim, User("u-1", "staff", roles=("data_user", "server_admin"), employment=dates))
    await scim.patch(f"/Users/{id_}", {"op": "replace", "path": "displayName", "value": "花子"})
    person = scim.person("u-1")
    assert (person.roles, person.employment, person.name) == (("data_user", "server_admin"), dates, "花子")
    await scim.send("DELETE", f"/Groups/{group}")
    assert scim.person("u-1").roles == ("data_user",)


async def test_a_person_of_another_source_is_not_taken(scim: ScimService) -> None:
    put(scim, User("u-1", "staff", roles=("server_admin",)))
    answer = await scim.send("POST", "/Users", {"schemas": [], "userName": "u-1", "active": False})
    assert (answer.status, answer.body["scimType"]) == (409, "uniqueness")
    assert scim.person("u-1").status == "active"
    assert (await scim.send("GET", "/Users")).body["totalResults"] == 0


async def test_a_tenant_that_may_adopt_takes_over_whom_nobody_owns(scim: ScimService) -> None:
    adopting = ScimService(scim.store, {"entra": ScimTenant(adopt=True, kinds={"Employee": "staff"})})
    put(scim, User("u-1", "staff", posts=(Post("soumu"),), roles=("data_user",)))
    await adopting.user("u-1", userType="Employee", active=False)
    person = scim.person("u-1")
    assert (person.status, person.roles, person.posts) == ("suspended", ("data_user",), (Post("soumu"),))


async def test_a_tenant_that_may_adopt_does_not_take_the_person_of_another_tenant(scim: ScimService) -> None:
    both = ScimService(scim.store, {"entra": PREFECTURE, "okta": ScimTenant(adopt=True)})
    await both.user("u-1", userType="Employee")
    answer = await both.send("POST", "/Users", {"schemas": [], "userName": "u-1"}, key="okta")
    assert answer.status == 409
    assert scim.person("u-1").kind == "staff"


async def test_tenants_do_not_see_one_another(scim: ScimService) -> None:
    mine = await scim.user("u-1")
    group = await scim.group("災害対策")
    for method, path in (("GET", f"/Users/{mine}"), ("DELETE", f"/Users/{mine}"), ("DELETE", f"/Groups/{group}")):
        assert (await scim.send(method, path, key="okta")).status == 404
    assert (await scim.patch(f"/Users/{mine}", DISABLE, key="okta")).status == 404
    assert (await scim.send("GET", "/Users", key="okta")).body["totalResults"] == 0
    for sought in (f'id eq "{mine}"', 'userName eq "u-1"', f'groups.value eq "{group}"', "userName pr"):
        answer = await scim.send("GET", f"/Users?filter={sought}", key="okta")
        assert answer.body["totalResults"] == 0
    foreign = await scim.send(
        "POST", "/Groups", {"schemas": [], "displayName": "g", "members": [{"value": mine}]}, key="okta"
    )
    assert (foreign.status, foreign.body["scimType"]) == (400, "invalidValue")
    assert scim.person("u-1").status == "active"


async def test_a_deleted_user_is_gone_and_may_come_again(scim: ScimService) -> None:
    id_ = await scim.user("u-1", userType="Employee")
    assert (await scim.send("DELETE", f"/Users/{id_}")).status == 204
    assert scim.person("u-1") is None
    assert (await scim.send("GET", f"/Users/{id_}")).status == 404
    await scim.user("u-1", userType="Employee")
    assert scim.person("u-1").status == "active"


async def test_a_deleted_user_whom_a_device_names_has_ended_and_may_come_again(scim: ScimService) -> None:
    id_ = await scim.user("u-1", userType="Employee")
    group = await scim.group("x", (id_,), externalId="g-server")
    put(scim, Device("d-1", "byod_phone", owner="u-1"))
    assert (await scim.send("DELETE", f"/Users/{id_}")).status == 204
    person = scim.person("u-1")
    assert (person.status, person.roles) == ("ended", ())
    assert (await scim.send("GET", f"/Groups/{group}")).body.get("members") is None
    await scim.user("u-1", userType="Employee")
    assert scim.person("u-1").status == "active"
    answer = await scim.send("POST", "/Users", {"schemas": [], "userName": "u-1"}, key="okta")
    assert answer.status == 409


async def test_a_new_user_name_is_a_new_person_and_the_former_one_is_denied(scim: ScimService) -> None:
    id_ = await scim.user("u-1", userType="Employee")
    put(scim, Device("d-1", "byod_phone", owner="u-1"))
    await scim.patch(f"/Users/{id_}", {"op": "replace", "path": "userName", "value": "u-2"})
    assert (scim.person("u-1").status, scim.person("u-2").status) == ("ended", "active")
    await scim.patch(f"/Users/{id_}", {"op": "replace", "path": "userName", "value": "u-3"})
    assert scim.person("u-2") is None


async def test_the_user_id_may_be_another_attribute(scim: ScimService) -> None:
    other = ScimService(scim.store, {"entra": ScimTenant(user_id="employeeNumber", lower_case_ids=True)})
    await other.user("hanako@example.jp", **{ENTERPRISE: {"employeeNumber": "A-0001"}})
    assert scim.person("a-0001") is not None
    answer = await other.send("POST", "/Users", {"schemas": [], "userName": "taro@example.jp"})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
    assert "employeeNumber" in answer.body["detail"]


@pytest.mark.parametrize("name", ["ＡＢＣ", "ab\u200bc", "a b", " abc", "abc ", "", "   ", "a" * 257, "a\u202eb"])
async def test_a_name_that_looks_like_another_is_no_user_id(scim: ScimService, name: str) -> None:
    answer = await scim.send("POST", "/Users", {"schemas": [], "userName": name})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
    assert (await scim.send("GET", "/Users")).body["totalResults"] == 0


@pytest.mark.parametrize("other", ["BJENSEN", "bJensen", "ｂｊｅｎｓｅｎ"])
async def test_names_that_differ_in_case_or_width_only_are_one_name(scim: ScimService, other: str) -> None:
    by_id = ScimService(scim.store, {"entra": ScimTenant(user_id="externalId")})
    await by_id.user("bjensen", externalId="e-1")
    answer = await by_id.send("POST", "/Users", {"schemas": [], "userName": other, "externalId": "e-2"})
    assert (answer.status, answer.body["scimType"]) == (409, "uniqueness")
    found = await by_id.send("GET", f'/Users?filter=userName eq "{other}"')
    assert found.body["totalResults"] == 1
