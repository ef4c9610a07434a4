"""Searches: what the store narrows down is what the library would find; pages hold still; nothing explodes."""

from __future__ import annotations

import time

import pytest
from scim2_models import ScimFilter

from pdp.scim import limits
from pdp.scim.provider import COMPARING, model_of
from tests.scim_service import ENTERPRISE, ScimService

pytestmark = pytest.mark.anyio

FILTERS = [
    'userName eq "U-1"',
    'USERNAME Eq "u-1"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName eq "u-2"',
    'externalId eq "e-1"',
    'externalId eq "E-1"',
    'id eq "{u-1}"',
    'id eq "nobody"',
    'groups.value eq "{g}"',
    'groups[value eq "{g}"]',
    'groups eq "{g}"',
    'userName eq "u-1" and active eq true',
    'userName eq "u-1" and externalId eq "e-2"',
    'userName eq "u-1" or userName eq "u-2"',
    'not (userName eq "u-1")',
    "active eq false",
    'userName sw "u" and emails[type eq "work" and value co "@example"]',
    'emails[type eq "work"].value eq "a@example.jp"',
    f'{ENTERPRISE}:department eq "総務部"',
    'meta.created ge "2026-01-01T00:00:00Z"',
    "title pr",
    'userName ne "u-1"',
    "userName eq null",
    'groups.display eq "Group"',
]


async def some(scim: ScimService) -> dict[str, str]:
    one = await scim.user("u-1", externalId="e-1", emails=[{"value": "a@example.jp", "type": "work"}], title="kacho")
    two = await scim.user("u-2", externalId="e-2", active=False, **{ENTERPRISE: {"department": "総務部"}})
    await scim.user("u-3")
    return {"{u-1}": one, "{u-2}": two, "{g}": await scim.group("Group", (one,))}


@pytest.mark.parametrize("text", FILTERS)
async def test_the_store_narrows_nothing_away_and_lets_nothing_in(scim: ScimService, text: str) -> None:
    for name, id_ in (await some(scim)).items():
        text = text.replace(name, id_)
    found = await scim.send("POST", "/Users/.search", {"schemas": [], "filter": text})
    assert found.status == 200, found.body
    model = model_of("User")
    everybody = (await scim.send("GET", "/Users")).body["Resources"]
    with COMPARING:
        wanted = ScimFilter[model](text)
        matching = [one for one in everybody if wanted.match(model.model_validate(one))]
    assert found.body["Resources"] == matching


async def test_groups_are_found_by_name_and_by_member(scim: ScimService) -> None:
    ids = await some(scim)
    for text in (
        'displayName eq "GROUP"',
        f'members.value eq "{ids["{u-1}"]}"',
        f'members[value eq "{ids["{u-1}"]}"]',
        f'displayName eq "group" and members.value eq "{ids["{u-1}"]}"',
        f'members[value eq "{ids["{u-1}"]}" and type eq "User"]',
    ):
        answer = await scim.send("GET", f"/Groups?filter={text}")
        assert [one["displayName"] for one in answer.body["Resources"]] == ["Group"], text
    assert (await scim.send("GET", '/Groups?filter=members.value eq "nobody"')).body["totalResults"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "userName",
        'userName eq "a',
        'userName eq "a" and',
        "not (" * 100 + 'userName eq "a"' + ")" * 100,
        " or ".join(['a eq "b"'] * 90),
        " and ".join(['userName eq "b"'] * (limits.FILTER_TERMS + 1)),
        'nonsuch eq "a"',
        "active gt true",
        'userName eq "' + "a" * limits.FILTER_CHARACTERS + '"',
        "'; DROP TABLE scim_users; --",
    ],
)
async def test_a_filter_that_is_none_or_too_much_is_refused_at_once(scim: ScimService, text: str) -> None:
    await some(scim)
    began = time.monotonic()
    answer = await scim.send("POST", "/Users/.search", {"schemas": [], "filter": text})
    assert (answer.status, answer.body["scimType"]) in ((400, "invalidFilter"), (400, "invalidValue")), answer.body
    assert time.monotonic() - began < 5
    assert (await scim.send("GET", "/Users")).body["totalResults"] == 3


async def test_what_looks_like_sql_is_a_text(scim: ScimService) -> None:
    await some(scim)
    for text in ("u-1' OR '1'='1", "%", "_", "u-1\\u0000"):
        answer = await scim.send("POST", "/Users/.search", {"schemas": [], "filter": f'userName eq "{text}"'})
        assert answer.body["totalResults"] == 0


async def test_pages_by_index_hold_everybody_once(scim: ScimService) -> None:
    ids = [await scim.user(f"u-{i}") for i in range(7)]
    seen: list[str] = []
    for start in (1, 4, 7):
        answer = await scim.send("GET", f"/Users?startIndex={start}&count=3")
        assert (answer.body["totalResults"], answer.body["startIndex"]) == (7, start)
        seen += [one["id"] for one in answer.body["Resources"]]
    assert seen == ids
    assert (await scim.send("GET", "/Users?count=0")).body["totalResults"] == 7
    beyond = await scim.send("GET", "/Users?startIndex=100")
    assert (beyond.body["totalResults"], beyond.body["Resources"]) == (7, [])
    assert (await scim.send("GET", "/Users?startIndex=-5&count=2")).body["startIndex"] == 1
    assert len((await scim.send("GET", "/Users?count=999999")).body["Resources"]) == 7
    assert (await scim.send("GET", "/Users?count=ten")).status == 400


@pytest.mark.parametrize("query", ["", "&sortBy=userName", "&sortBy=userName&sortOrder=descending", "&sortBy=title"])
async def test_pages_by_cursor_go_on_where_they_were_though_people_come_and_go(scim: ScimService, query: str) -> None:
    titles = {2: "b", 5: "a"}
    ids = [await scim.user(f"u-{i}", **({"title": titles[i]} if i in titles else {})) for i in range(7)]
    seen: list[str] = []
    cursor = ""
    for turn in range(9):
        answer = await scim.send("GET", f"/Users?count=2&cursor={cursor}{query}")
        assert answer.status == 200, answer.body
        seen += [one["id"] for one in answer.body["Resources"]]
        if "nextCursor" not in answer.body:
            break
        cursor = answer.body["nextCursor"]
        if turn == 0:
            await scim.send("DELETE", f"/Users/{seen[0]}")
    assert sorted(seen) == sorted(ids)


async def test_a_cursor_goes_back_too_and_is_of_one_query(scim: ScimService) -> None:
    for i in range(5):
        await scim.user(f"u-{i}")
    first = await scim.send("GET", "/Users?count=2&cursor=")
    second = await scim.send("GET", f"/Users?count=2&cursor={first.body['nextCursor']}")
    back = await scim.send("GET", f"/Users?count=2&cursor={second.body['previousCursor']}")
    assert back.body["Resources"] == first.body["Resources"]
    stolen = await scim.send("GET", f"/Users?count=2&cursor={first.body['nextCursor']}&sortBy=title")
    assert (stolen.status, stolen.body["scimType"]) == (400, "invalidCursor")
    assert (await scim.send("GET", "/Users?count=2&cursor=forged")).status == 400


async def test_sorting_is_by_value_without_case_and_those_without_come_last(scim: ScimService) -> None:
    for name, title in (("u-1", "b"), ("u-2", None), ("u-3", "A"), ("u-4", "c")):
        await scim.user(name, **({} if title is None else {"title": title}))
    ascending = (await scim.send("GET", "/Users?sortBy=title")).body["Resources"]
    assert [one["userName"] for one in ascending] == ["u-3", "u-1", "u-4", "u-2"]
    assert (await scim.send("GET", "/Users?sortBy=nonsuch")).status in (200, 400)


async def test_names_of_attributes_are_read_in_any_case(scim: ScimService) -> None:
    id_ = await scim.made("/users", {"SCHEMAS": [], "USERNAME": "u-1", "Emails": [{"VALUE": "a@x", "Primary": "True"}]})
    shown = (await scim.send("GET", f"/USERS/{id_}?attributes=USERNAME,EMAILS.VALUE")).body
    assert shown["userName"] == "u-1"
    assert shown["emails"] == [{"value": "a@x"}]
    patched = await scim.patch(f"/users/{id_}", {"OP": "Replace", "PATH": "DISPLAYNAME", "VALUE": "x"})
    assert patched.status == 204, patched.body
    assert (await scim.send("GET", f"/Users/{id_}")).body["displayName"] == "x"
