"""Groups: members that are changed without the group, and everything that could go wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from pdp.scim import limits
from pdp.store import tables
from tests.scim_service import GROUP, ScimService

pytestmark = pytest.mark.anyio


async def members(scim: ScimService, group: str) -> list[str]:
    return [one["value"] for one in (await scim.send("GET", f"/Groups/{group}")).body.get("members", [])]


async def test_a_member_that_stands_twice_is_a_member_once(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    group = await scim.group("g", (id_, id_))
    assert await members(scim, group) == [id_]
    await scim.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": id_}, {"value": id_}]})
    assert await members(scim, group) == [id_]


async def test_a_change_of_nothing_keeps_the_version(scim: ScimService) -> None:
    id_, other = await scim.user("u-1"), await scim.user("u-2")
    group = await scim.group("g", (id_,))
    for operation in (
        {"op": "add", "path": "members", "value": [{"value": id_}]},
        {"op": "remove", "path": f'members[value eq "{other}"]'},
        {"op": "remove", "path": "members", "value": [{"value": other}]},
        {"op": "replace", "path": "members", "value": [{"value": id_}]},
        {"op": "replace", "path": "displayName", "value": "g"},
    ):
        answer = await scim.patch(f"/Groups/{group}", operation)
        assert (answer.status, answer.headers["etag"]) == (204, 'W/"1"'), operation


@pytest.mark.parametrize(
    ("operations", "left"),
    [
        ([{"op": "remove", "path": "members"}], []),
        ([{"op": "replace", "path": "members", "value": []}], []),
        ([{"op": "Remove", "path": "members", "value": [{"value": "{a}"}]}], ["{b}"]),
        ([{"op": "remove", "path": 'members[value eq "{a}" or value eq "{b}"]'}], []),
        ([{"op": "remove", "path": 'members.value eq "{a}"'}], ["{b}"]),
        ([{"op": "remove", "path": "urn:ietf:params:scim:schemas:core:2.0:Group:members"}], []),
        ([{"op": "add", "value": {"members": [{"value": "{c}"}], "displayName": "new"}}], ["{a}", "{b}", "{c}"]),
        ([{"op": "replace", "value": {"Members": [{"Value": "{c}"}]}}], ["{c}"]),
        ([{"op": "add", "path": "members", "value": {"value": "{c}"}}], ["{a}", "{b}", "{c}"]),
        (
            [
                {"op": "add", "path": "members", "value": [{"value": "{c}"}]},
                {"op": "remove", "path": 'members[value eq "{c}"]'},
            ],
            ["{a}", "{b}"],
        ),
        (
            [
                {"op": "remove", "path": "members"},
                {"op": "add", "path": "members", "value": [{"value": "{b}"}]},
            ],
            ["{b}"],
        ),
        (  # through the library: a selection that is no list of ids
            [
                {"op": "add", "path": "members", "value": [{"value": "{c}"}]},
                {"op": "remove", "path": 'members[type eq "User" and value eq "{a}"]'},
            ],
            ["{b}", "{c}"],
        ),
        ([{"op": "remove", "path": 'members[type eq "User"]'}], []),
        ([{"op": "remove", "path": 'members[value sw "0192"]'}], []),
    ],
)
async def test_changes_of_members_have_their_result(scim: ScimService, operations: Any, left: list[str]) -> None:
    ids = {"{a}": await scim.user("u-1"), "{b}": await scim.user("u-2"), "{c}": await scim.user("u-3")}
    group = await scim.group("g", (ids["{a}"], ids["{b}"]))

    def put_in(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: put_in(entry) for name, entry in value.items()}
        if isinstance(value, list):
            return [put_in(entry) for entry in value]
        for name, id_ in ids.items():
            value = value.replace(name, id_)
        return value

    answer = await scim.patch(f"/Groups/{group}", *put_in(operations))
    assert answer.status == 204, answer.body
    assert await members(scim, group) == sorted(put_in(left))


@pytest.mark.parametrize(
    "value",
    [
        [{"value": "0192f000-0000-7000-8000-999999999999"}],
        [{"value": ""}],
        [{"value": 7}],
        [{"display": "nobody"}],
        ["text"],
        "text",
        [None],
        [{"value": "{id}", "type": "Group"}],
        [{"value": "{id}", "type": "Device"}],
        [{"value": "{id}", "role": "owner"}],
        [{"value": "{id}", "display": "x" * 300}],
        [{"value": "{group}"}],
    ],
)
async def test_a_member_that_cannot_be_is_refused_and_nothing_changes(scim: ScimService, value: Any) -> None:
    id_ = await scim.user("u-1")
    group = await scim.group("g")
    if isinstance(value, list):
        known = {"{id}": id_, "{group}": group}
        value = [
            {name: known.get(text, text) if isinstance(text, str) else text for name, text in entry.items()}
            if isinstance(entry, dict)
            else entry
            for entry in value
        ]
    rename = {"op": "replace", "path": "displayName", "value": "renamed"}
    answer = await scim.patch(f"/Groups/{group}", rename, {"op": "add", "path": "members", "value": value})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue"), answer.body
    held = (await scim.send("GET", f"/Groups/{group}")).body
    assert (held["displayName"], held.get("members")) == ("g", None)


async def test_two_groups_may_hold_each_other_without_end(scim: ScimService) -> None:
    one = await scim.group("one")
    other = await scim.group("other", (one,))
    await scim.patch(f"/Groups/{one}", {"op": "add", "path": "members", "value": [{"value": other}]})
    assert await members(scim, one) == [other]
    assert (await scim.send("DELETE", f"/Groups/{one}")).status == 204
    assert await members(scim, other) == []


async def test_a_user_that_leaves_changes_the_version_of_its_groups(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    group = await scim.group("g", (id_,))
    before = (await scim.send("GET", f"/Groups/{group}")).headers["etag"]
    await scim.send("DELETE", f"/Users/{id_}")
    after = await scim.send("GET", f"/Groups/{group}")
    assert after.headers["etag"] != before
    assert (await scim.patch(f"/Groups/{group}", {"op": "remove", "path": "members"}, if_match=before)).status == 412


async def test_whoever_asks_for_attributes_in_the_answer_of_a_patch_sees_the_whole_group(scim: ScimService) -> None:
    id_, other = await scim.user("u-1"), await scim.user("u-2")
    group = await scim.group("g", (id_,))
    add = {"op": "add", "path": "members", "value": [{"value": other}]}
    answer = await scim.patch(f"/Groups/{group}?attributes=members", add)
    assert answer.status == 200
    assert [one["value"] for one in answer.body["members"]] == [id_, other]
    without = await scim.patch(f"/Groups/{group}?excludedAttributes=members", {"op": "remove", "path": "members"})
    assert (without.status, "members" in without.body) == (200, False)


async def test_a_group_can_be_read_without_its_members(scim: ScimService) -> None:
    group = await scim.group("g", (await scim.user("u-1"),))
    for path in (f"/Groups/{group}?excludedAttributes=members", f"/Groups/{group}?attributes=displayName"):
        answer = await scim.send("GET", path)
        assert (answer.body["displayName"], "members" in answer.body) == ("g", False)
    listed = await scim.send("GET", "/Groups?excludedAttributes=urn:ietf:params:scim:schemas:core:2.0:Group:members")
    assert "members" not in listed.body["Resources"][0]


async def test_an_answer_ends_before_it_holds_too_many_members(scim: ScimService) -> None:
    groups = [await scim.group(name) for name in ("a", "b", "c")]
    with scim.store.write() as connection:
        for group in groups:
            rows = [{"group_id": group, "member_id": f"m-{i}", "type": "User"} for i in range(9_000)]
            connection.execute(insert(tables.scim_members), rows)
    first = await scim.send("GET", "/Groups")
    assert (first.body["totalResults"], first.body["itemsPerPage"]) == (3, 2)
    rest = await scim.send("GET", "/Groups?startIndex=3")
    assert [one["displayName"] for one in rest.body["Resources"]] == ["c"]
    without = await scim.send("GET", "/Groups?excludedAttributes=members")
    assert without.body["itemsPerPage"] == 3
    refused = await scim.send("GET", '/Groups?filter=members.display eq "x"')
    assert (refused.status, refused.body["scimType"]) == (400, "tooMany")


async def test_too_many_operations_are_refused_before_they_cost_anything(scim: ScimService) -> None:
    group = await scim.group("g")
    rename = {"op": "replace", "path": "displayName", "value": "x"}
    several = await scim.patch(f"/Groups/{group}", *[rename] * (limits.PATCH_OTHER_OPERATIONS + 1))
    assert (several.status, several.body["scimType"]) == (400, "tooMany")
    many = await scim.patch(f"/Groups/{group}", *[rename] * (limits.PATCH_OPERATIONS + 1))
    assert (many.status, many.body["scimType"]) == (400, "invalidValue")
    user = await scim.user("u-1")
    emails = [{"value": f"{i}@x"} for i in range(500)]
    walking = [{"op": "add", "path": "emails", "value": emails}] + [
        {"op": "replace", "path": 'emails[value eq "1@x"].type', "value": "work"}
    ] * 50
    answer = await scim.patch(f"/Users/{user}", *walking)
    assert (answer.status, answer.body["scimType"]) == (400, "tooMany")


async def test_a_group_without_a_name_or_with_a_hidden_one_is_refused(scim: ScimService) -> None:
    for name in ("", "  ", "a\u200bb", "x" * 257):
        answer = await scim.send("POST", "/Groups", {"schemas": [GROUP], "displayName": name})
        assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
