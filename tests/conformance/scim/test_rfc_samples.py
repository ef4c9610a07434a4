"""The samples of RFC 7643 and RFC 7644: those that are requests are sent, those that are answers are compared with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.scim_service import BULK, CORE, ENTERPRISE, ERROR, ScimService

pytestmark = pytest.mark.anyio

BARBARA = "2819c223-7f76-453a-919d-413861904646"
JAMES = "08e1d05d-121c-4561-8b96-473d93df9210"


@pytest.fixture
def sample(vectors: Path) -> Any:
    def read(name: str, **ids: str) -> Any:
        text = (vectors / f"{name}.json").read_text(encoding="utf-8")
        for short in ("2819c223-7f76-...413861904646", "2819c223...919d-413861904646", "2819c223...413861904646"):
            text = text.replace(short, BARBARA)
        text = text.replace("08e1d05d...473d93df9210", JAMES)
        for id_, ours in ((BARBARA, ids.get("barbara")), (JAMES, ids.get("james"))):
            text = text.replace(id_, ours or id_)
        return json.loads(text)

    return read


@pytest.mark.parametrize(
    "name", ["7643-8.1-user-minimal", "7643-8.2-user-full", "7643-8.3-enterprise_user", "7644-3.3-user-post_request"]
)
async def test_a_user_of_the_rfc_is_created_and_comes_back_as_it_was(scim: ScimService, sample: Any, name: str) -> None:
    user = sample(f"rfc{name}")
    answer = await scim.send("POST", "/Users", user)
    assert answer.status == 201, answer.body
    shown = (await scim.send("GET", f"/Users/{answer.body['id']}")).body
    for resource in (shown, user):  # the manager's name is read-only, and its place is of this service
        manager = resource.get(ENTERPRISE, {}).get("manager", {})
        manager.pop("displayName", None)
        manager.pop("$ref", None)
    ours = {"id", "meta", "password", "groups", "active"}  # set by the service, or never shown
    assert {k: v for k, v in shown.items() if k not in ours} == {k: v for k, v in user.items() if k not in ours}
    assert shown["active"] is True
    assert "password" not in shown
    assert shown["meta"]["location"] == answer.headers["location"]


async def test_the_creation_and_its_etag_are_answered_as_in_the_rfc(scim: ScimService, sample: Any) -> None:
    answer = await scim.send("POST", "/Users", sample("rfc7644-3.14-user-post_request"))
    expected = sample("rfc7644-3.14-user-post_response")
    assert answer.status == 201
    assert answer.headers["etag"] == answer.body["meta"]["version"]
    assert set(expected) - {"id", "meta"} <= set(answer.body)
    for name in set(expected) - {"id", "meta", "schemas"}:
        assert answer.body[name] == expected[name], name
    assert set(answer.body["meta"]) == set(expected["meta"])


async def test_a_group_of_the_rfc_is_created_with_its_members(scim: ScimService, sample: Any) -> None:
    barbara, mandy = await scim.user("bjensen"), await scim.user("mpepperidge")
    group = sample("rfc7643-8.4-group", barbara=barbara)
    group["members"][1]["value"] = mandy
    answer = await scim.send("POST", "/Groups", group)
    assert answer.status == 201, answer.body
    assert [member["value"] for member in answer.body["members"]] == [barbara, mandy]
    assert answer.body["members"][0]["$ref"] == f"https://pdp.example.jp/scim/v2/Users/{barbara}"
    assert [member["display"] for member in answer.body["members"]] == ["Babs Jensen", "Mandy Pepperidge"]
    of_barbara = (await scim.send("GET", f"/Users/{barbara}")).body["groups"]
    assert [(one["value"], one["display"], one["type"]) for one in of_barbara] == [
        (answer.body["id"], "Tour Guides", "direct")
    ]


async def test_a_replacement_of_the_rfc_keeps_what_is_the_services(scim: ScimService, sample: Any) -> None:
    id_ = await scim.user("bjensen", nickName="Babs")
    answer = await scim.send("PUT", f"/Users/{id_}", sample("rfc7644-3.5.1-user-put_request", barbara=id_))
    expected = sample("rfc7644-3.5.1-user-put_response", barbara=id_)
    assert answer.status == 200
    assert answer.body["id"] == id_
    assert "nickName" not in answer.body  # RFC 7644 section 3.5.1: what is not sent is cleared
    for name in ("userName", "externalId", "name", "emails"):
        assert answer.body[name] == expected[name]


async def test_the_patches_of_users_in_the_rfc(scim: ScimService, sample: Any) -> None:
    emails = [{"value": "a@example.com", "type": "work"}, {"value": "b@example.org", "type": "work"}]
    id_ = await scim.user("bjensen", emails=emails, addresses=[{"type": "work", "locality": "Tsu"}])

    async def patched(name: str) -> Any:
        answer = await scim.send("PATCH", f"/Users/{id_}", sample(f"rfc7644-{name}"))
        assert answer.status == 204, answer.body
        return (await scim.send("GET", f"/Users/{id_}")).body

    user = await patched("3.5.2.1-patch_op-add_emails")
    assert ([one["value"] for one in user["emails"]][-1], user["nickName"]) == ("babs@jensen.org", "Babs")
    user = await patched("3.5.2.2-patch_op-remove_multi_complex_value")
    assert [one["value"] for one in user["emails"]] == ["b@example.org", "babs@jensen.org"]
    user = await patched("3.5.2.3-patch_op-replace_all_email_values")
    assert [one["value"] for one in user["emails"]] == ["bjensen@example.com", "babs@jensen.org"]
    user = await patched("3.5.2.3-patch_op-replace_street_address")
    assert user["addresses"] == [{"type": "work", "locality": "Tsu", "streetAddress": "1010 Broadway Ave"}]
    user = await patched("3.5.2.3-patch_op-replace_user_work_address")
    assert user["addresses"][0]["locality"] == "Hollywood"


async def test_the_patches_of_groups_in_the_rfc(scim: ScimService, sample: Any) -> None:
    ids = {"barbara": await scim.user("bjensen"), "james": await scim.user("jsmith")}
    group = await scim.group("Tour Guides")

    async def patched(name: str) -> list[str]:
        answer = await scim.send("PATCH", f"/Groups/{group}", sample(f"rfc7644-{name}", **ids))
        assert answer.status == 204, answer.body
        members = (await scim.send("GET", f"/Groups/{group}")).body.get("members", [])
        return [member["value"] for member in members]

    barbara, james = ids.values()
    assert await patched("3.5.2.1-patch_op-add_members") == [barbara]
    assert await patched("3.5.2.2-patch_op-remove_and_add_one_member") == [james]
    assert await patched("3.5.2.3-patch_op-replace_all_members") == [barbara, james]
    assert await patched("3.5.2.2-patch_op-remove_one_member") == [james]
    assert await patched("3.5.2.2-patch_op-remove_all_members") == []


async def test_the_searches_of_the_rfc(scim: ScimService, sample: Any) -> None:
    await scim.user("u-1", displayName="Smith, James")
    await scim.group("Smith Family")
    await scim.user("u-2", displayName="Jones")
    answer = await scim.send("POST", "/.search", sample("rfc7644-3.4.3-search_request"))
    expected = sample("rfc7644-3.4.3-list_response-post_query")
    assert (answer.status, answer.body["schemas"]) == (200, expected["schemas"])
    assert answer.body["totalResults"] == 2
    names = sorted(one["displayName"] for one in answer.body["Resources"])
    assert names == ["Smith Family", "Smith, James"]
    partial = await scim.send("GET", "/Users?attributes=userName")
    assert set(partial.body["Resources"][0]) == {"schemas", "id", "userName"}


async def test_bulk_requests_of_the_rfc_with_references_between_their_operations(
    scim: ScimService, sample: Any
) -> None:
    answer = await scim.send("POST", "/Bulk", sample("rfc7644-3.7.2-bulk_request-temporary_identifier"))
    outcomes = answer.body["Operations"]
    assert (answer.status, [one["status"] for one in outcomes]) == (200, ["201", "201"])
    group = (await scim.send("GET", "/Groups")).body["Resources"][0]
    assert group["members"][0]["value"] == outcomes[0]["location"].rpartition("/")[2]
    await scim.send("DELETE", f"/Users/{group['members'][0]['value']}")
    answer = await scim.send("POST", "/Bulk", sample("rfc7644-3.7.2-bulk_request-enterprise_user"))
    assert [one["status"] for one in answer.body["Operations"]] == ["201", "201"]


async def test_a_circle_of_references_in_a_bulk_request_is_refused(scim: ScimService, sample: Any) -> None:
    answer = await scim.send("POST", "/Bulk", sample("rfc7644-3.7.1-bulk_request-circular_conflict"))
    assert [one["status"] for one in answer.body["Operations"]] == ["409", "409"]
    assert (await scim.send("GET", "/Groups")).body["totalResults"] == 0


async def test_the_bulk_request_of_the_rfc_with_every_method(scim: ScimService, sample: Any) -> None:
    body = sample("rfc7644-3.7.3-bulk_request-multiple_operations")
    names = {"b7c14771-226c-4d05-8860-134711653041": "bob", "5d8d29d3-342c-4b5f-8683-a3cb6763ffcc": "dave"}
    names["e9025315-6bea-44e1-899c-1e07454e468b"] = "eve"
    text = json.dumps(body)
    for id_, name in names.items():
        text = text.replace(id_, await scim.user(name, nickName="x"))
    body = json.loads(text)
    body["Operations"][0]["data"]["schemas"] = [CORE]  # the RFC's own slip: the URN of a message
    for operation in body["Operations"][1:]:
        operation["version"] = 'W/"1"'
    answer = await scim.send("POST", "/Bulk", body)
    expected = sample("rfc7644-3.7.3-bulk_response-multiple_operations")
    assert [one["method"] for one in answer.body["Operations"]] == [one["method"] for one in expected["Operations"]]
    assert [one["status"] for one in answer.body["Operations"]] == ["201", "200", "200", "204"]
    assert answer.body["schemas"] == expected["schemas"]


async def test_after_as_many_errors_as_the_client_allows_a_bulk_request_stops(scim: ScimService, sample: Any) -> None:
    body = sample("rfc7644-3.7.3-bulk_request-multiple_operations")
    answer = await scim.send("POST", "/Bulk", body)
    (outcome,) = answer.body["Operations"]
    expected = sample("rfc7644-3.7.3-bulk_response-error_invalid_syntax")["Operations"][0]
    assert (outcome["status"], outcome["response"]["scimType"]) == ("400", expected["response"]["scimType"])
    assert "location" not in outcome


async def test_a_bulk_request_that_is_too_large_or_has_too_many_operations_is_413(scim: ScimService) -> None:
    one = {"method": "DELETE", "path": "/Users/x"}
    answer = await scim.send("POST", "/Bulk", {"schemas": [BULK], "Operations": [one] * 1_001})
    assert (answer.status, answer.body["status"], answer.body["schemas"]) == (413, "413", [ERROR])
    assert (await scim.send("GET", "/Users")).body["totalResults"] == 0


async def test_errors_have_the_form_of_the_rfc(scim: ScimService, sample: Any) -> None:
    missing = await scim.send("GET", "/Users/2819c223-7f76-453a-919d-413861904646")
    expected = sample("rfc7644-3.6-error-not_found")
    assert (missing.status, missing.body["status"], missing.body["schemas"]) == (404, "404", expected["schemas"])
    id_ = await scim.user("u-1")
    refused = await scim.patch(f"/Users/{id_}", {"op": "replace", "path": "id", "value": "x"})
    expected = sample("rfc7644-3.12-error-bad_request")
    assert {name: refused.body[name] for name in ("schemas", "scimType", "status")} == {
        name: expected[name] for name in ("schemas", "scimType", "status")
    }


@pytest.mark.parametrize("name", ["User", "Group"])
async def test_the_resource_types_are_those_of_the_rfc(scim: ScimService, sample: Any, name: str) -> None:
    answer = await scim.send("GET", f"/ResourceTypes/{name}")
    expected = sample(f"rfc7643-8.6-resource_type-{name.lower()}")
    for attribute in ("schemas", "id", "name", "endpoint", "schema", "schemaExtensions"):
        ours, theirs = answer.body.get(attribute), expected.get(attribute)
        assert ours == theirs or attribute == "schemaExtensions", attribute  # the RFC's example calls it required
    assert len((await scim.send("GET", "/ResourceTypes")).body["Resources"]) == 2


@pytest.mark.parametrize("name", ["user", "group", "enterprise_user"])
async def test_the_schemas_have_every_attribute_of_the_rfc(scim: ScimService, sample: Any, name: str) -> None:
    expected = sample(f"rfc7643-8.7.1-schema-{name}")
    answer = await scim.send("GET", f"/Schemas/{expected['id']}")
    assert answer.status == 200
    theirs = {attribute["name"]: attribute for attribute in expected["attributes"]}
    ours = {attribute["name"]: attribute for attribute in answer.body["attributes"]}
    assert set(theirs) == set(ours)
    for attribute, described in theirs.items():
        for facet in ("type", "multiValued", "mutability", "returned"):
            assert ours[attribute].get(facet) == described.get(facet), (attribute, facet)


async def test_the_service_says_what_it_supports(scim: ScimService, sample: Any) -> None:
    answer = await scim.send("GET", "/ServiceProviderConfig")
    expected = sample("rfc7643-8.5-service_provider_configuration")
    for feature in ("patch", "bulk", "filter", "sort", "etag"):
        assert answer.body[feature]["supported"] is True
        assert set(answer.body[feature]) == set(expected[feature])
    assert answer.body["changePassword"]["supported"] is False
    assert answer.body["bulk"]["maxOperations"] == 1_000
    assert answer.body["schemas"] == expected["schemas"]


def test_every_sample_that_is_a_request_is_used_above(vectors: Path) -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    requests = [
        path.stem
        for path in vectors.glob("rfc*.json")
        if ("request" in path.stem or "patch_op" in path.stem) and "error" not in path.stem
    ]
    assert len(requests) == 18
    for stem in requests:
        assert stem in source or stem.removeprefix("rfc7644-") in source or stem.removeprefix("rfc") in source, stem
