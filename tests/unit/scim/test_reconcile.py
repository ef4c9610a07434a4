"""A change of the settings reaches everybody, once, or nobody."""

from __future__ import annotations

import pytest

from pdp.directory.snapshot import load_snapshot
from pdp.errors import SettingsError
from pdp.model.provisioning import GroupRule, ScimTenant
from pdp.scim.reconcile import reconcile, settings_digest
from tests.scim_service import ENTERPRISE, NOW, PREFECTURE, ScimService

pytestmark = pytest.mark.anyio


async def test_a_role_that_leaves_the_table_leaves_its_people(scim: ScimService) -> None:
    id_ = await scim.user("u-1", userType="Employee")
    await scim.group("x", (id_,), externalId="g-server")
    reconcile(scim.store, {"entra": PREFECTURE}, NOW)
    assert scim.person("u-1").roles == ("server_admin",)
    assert reconcile(scim.store, {"entra": ScimTenant(kinds={"Employee": "contractor"})}, NOW) == ("entra",)
    assert (scim.person("u-1").roles, scim.person("u-1").kind) == ((), "contractor")


async def test_the_same_settings_change_nothing(scim: ScimService) -> None:
    await scim.user("u-1", userType="Employee")
    assert reconcile(scim.store, {"entra": PREFECTURE}, NOW) == ("entra",)
    before = load_snapshot(scim.store, loaded_at=NOW).epoch
    assert reconcile(scim.store, {"entra": PREFECTURE}, NOW) == ()
    assert load_snapshot(scim.store, loaded_at=NOW).epoch == before


async def test_settings_that_fit_nobody_change_nobody(scim: ScimService) -> None:
    await scim.user("u-1", userType="Employee", **{ENTERPRISE: {"employeeNumber": "1"}})
    await scim.user("u-2", userType="Employee")
    with pytest.raises(SettingsError, match="employeeNumber"):
        reconcile(scim.store, {"entra": ScimTenant(user_id="employeeNumber")}, NOW)
    assert scim.person("u-1").kind == scim.person("u-2").kind == "staff"
    assert scim.person("1") is None


async def test_another_attribute_as_the_user_id_moves_everybody(scim: ScimService) -> None:
    await scim.user("u-1", userType="Employee", externalId="e-1")
    await scim.user("u-2", externalId="e-2")
    reconcile(scim.store, {"entra": ScimTenant(user_id="externalId")}, NOW)
    assert [scim.person(one) for one in ("u-1", "u-2")] == [None, None]
    assert scim.person("e-1").status == "active"


async def test_people_who_would_exchange_their_ids_stay_who_they_are(scim: ScimService) -> None:
    await scim.user("u-1", userType="Employee", externalId="u-2")
    await scim.user("u-2", userType="Employee", externalId="e-2", active=False)
    with pytest.raises(SettingsError, match="exchange"):
        reconcile(scim.store, {"entra": ScimTenant(user_id="externalId")}, NOW)
    assert (scim.person("u-1").status, scim.person("u-2").status) == ("active", "suspended")


async def test_other_tenants_are_left_alone(scim: ScimService) -> None:
    await scim.user("o-1", userType="Employee", key="okta")
    reconcile(scim.store, {"entra": PREFECTURE}, NOW)
    assert scim.person("o-1").kind == "staff"


@pytest.mark.parametrize(
    "wrong",
    [ScimTenant(organisation="mie ken"), ScimTenant(departments={"総務部": "総 務"}), ScimTenant(organisation="")],
)
async def test_an_id_that_is_none_is_refused(scim: ScimService, wrong: ScimTenant) -> None:
    with pytest.raises(SettingsError, match=r"scim\.entra"):
        reconcile(scim.store, {"entra": wrong}, NOW)


def test_the_digest_follows_the_settings_and_not_their_order() -> None:
    one = ScimTenant(kinds={"a": "staff", "b": "contractor"})
    other = ScimTenant(kinds={"b": "contractor", "a": "staff"})
    assert settings_digest(one) == settings_digest(other)
    assert settings_digest(one) != settings_digest(ScimTenant(groups=(GroupRule(external_id="a", role="b"),)))
