"""Who may come to the desk, what is refused before any work, and what is told afterwards."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pdp.errors import TooManyRequestsError
from pdp.scim import limits
from pdp.scim.desk import Desk
from pdp.store.engine import make_engine
from pdp.store.store import Store
from pdp.wire.exchange import HttpRequest
from tests.scim_service import BULK, CORE, ENTERPRISE, ERROR, PATCH, PREFECTURE, ScimService, new_store

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("key", [None, "nobody", "", "sekisho_0000000000000000_" + "0" * 64])
@pytest.mark.parametrize("path", ["/Users", "/ServiceProviderConfig", "", "/", "/Bulk", "/nothing/here/at/all"])
async def test_a_stranger_is_told_nothing_but_401(scim: ScimService, key: str | None, path: str) -> None:
    answer = await scim.send("GET", path, key=key)
    assert answer.status == 401
    assert answer.body == {"schemas": [ERROR], "status": "401", "detail": "a valid API key is needed"}
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert answer.headers["content-type"] == "application/scim+json"


async def test_a_caller_without_the_permission_and_one_without_a_table_are_refused(scim: ScimService) -> None:
    for key, word in (("gate", "provision"), ("stray", "table")):
        answer = await scim.send("POST", "/Users", {"schemas": [CORE], "userName": "u-1"}, key=key)
        assert (answer.status, answer.body["status"], answer.body["schemas"]) == (403, "403", [ERROR])
        assert word in answer.body["detail"]
    assert scim.person("u-1") is None


async def test_two_credentials_are_refused(scim: ScimService) -> None:
    answer = await scim.send("GET", "/Users", x_api_key="okta")
    assert (answer.status, answer.body["schemas"]) == (400, [ERROR])


async def test_a_body_over_the_limit_is_413_in_scims_form(scim: ScimService) -> None:
    body = json.dumps({"schemas": [CORE], "userName": "u-1", "title": "x" * limits.BODY_BYTES}).encode()
    answer = await scim.send("POST", "/Users", body)
    assert (answer.status, answer.body["status"], answer.body["schemas"]) == (413, "413", [ERROR])


async def test_a_body_far_over_the_limit_is_not_read(scim: ScimService) -> None:
    answer = await scim.send("POST", "/Users", b"x" * (limits.READ_BYTES + 1))
    assert answer.status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/Users/..%2fGroups",
        "/Users/%2e%2e",
        "/Users/../Groups",
        "//Users",
        "/Users//x",
        "/Users/a%00b",
        "/Users/%ff",
        "/Users/a;b=c",
        "/Users/" + "a" * 200,
        "/Users/a/b",
        "/Me/x",
    ],
)
async def test_a_path_that_only_looks_like_ours_is_nothing(scim: ScimService, path: str) -> None:
    request = HttpRequest("GET", f"/scim/v2{path}", "", (("authorization", "Bearer entra"),))
    answer = await scim.desk(request)
    assert answer.status == 404
    assert json.loads(answer.body)["schemas"] == [ERROR]


async def test_me_is_not_implemented_and_an_unknown_method_is_405(scim: ScimService) -> None:
    assert (await scim.send("GET", "/Me")).status == 501
    answer = await scim.send("PUT", "/Users", {})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert (await scim.send("TRACE", "/Users")).status == 405


async def test_a_parameter_that_stands_twice_is_refused(scim: ScimService) -> None:
    answer = await scim.send("GET", '/Users?filter=userName eq "a"&filter=userName pr')
    assert (answer.status, answer.body["scimType"]) == (400, "invalidSyntax")
    assert (await scim.send("GET", "/Users?x=" + "y" * 5_000)).status == 414


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalidSyntax"),
        (b"[]", "invalidSyntax"),
        (b"null", "invalidSyntax"),
        (b'{"userName":"a","userName":"b"}', "invalidSyntax"),
        (b'{"userName":"a","UserName":"b"}', "invalidSyntax"),
        (b'{"userName":"a","emails":[{"value":"x","Value":"y"}]}', "invalidSyntax"),
        (b'{"userName":"a","x":NaN}', "invalidSyntax"),
        (b'{"userName":"\xff"}', "invalidSyntax"),
        (b'{"userName":"\\ud800"}', "invalidSyntax"),
        (b'\xef\xbb\xbf{"userName":"a"}', "invalidSyntax"),
        (b'{"userName":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "invalidSyntax"),
        (b'{"userName":{"a":1}}', "invalidValue"),
        (b'{"schemas":["urn:x:y"],"userName":"a"}', "invalidSyntax"),
    ],
)
async def test_a_body_that_can_be_read_in_two_ways_or_in_none_is_400(scim: ScimService, body: bytes, kind: str) -> None:
    answer = await scim.send("POST", "/Users", body)
    assert (answer.status, answer.body["scimType"], answer.body["status"]) == (400, kind, "400")
    assert (await scim.send("GET", "/Users")).body["totalResults"] == 0


async def test_another_content_type_is_415_and_none_is_json(scim: ScimService) -> None:
    body = {"schemas": [CORE], "userName": "u-1"}
    assert (await scim.send("POST", "/Users", body, content_type="text/xml")).status == 415
    assert (await scim.send("POST", "/Users", body, content_type="application/json; charset=utf-8")).status == 201


async def test_no_match_is_200_and_nothing(scim: ScimService) -> None:
    answer = await scim.send("GET", '/Users?filter=userName eq "nobody"')
    assert (answer.status, answer.body["totalResults"], answer.body.get("Resources", [])) == (200, 0, [])


async def test_locations_are_of_the_public_url_and_never_of_the_host_header(scim: ScimService) -> None:
    answer = await scim.send("POST", "/Users", {"schemas": [CORE], "userName": "u-1"}, host="evil.example")
    assert answer.headers["location"] == answer.body["meta"]["location"]
    assert answer.headers["location"].startswith("https://pdp.example.jp/scim/v2/Users/")


async def test_a_request_id_is_echoed(scim: ScimService) -> None:
    assert (await scim.send("GET", "/Users", x_request_id="r-1")).headers["x-request-id"] == "r-1"


async def test_reading_tells_nobody_and_a_change_of_nothing_neither(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    told = len(scim.told)
    await scim.send("GET", f"/Users/{id_}")
    await scim.send("POST", "/Users/.search", {"schemas": []})
    await scim.patch(f"/Users/{id_}", {"op": "replace", "path": "active", "value": True})
    await scim.patch(
        f"/Users/{id_}", {"op": "replace", "path": "title", "value": "kacho"}
    )  # the directory has no titles
    assert len(scim.told) == told


async def test_a_store_that_does_not_answer_is_503_and_says_nothing_of_itself(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    scim = ScimService(store, {"entra": PREFECTURE})
    store.close()
    (tmp_path / "store.db").write_bytes(b"no database at all" * 100)
    for method, body in (("GET", None), ("POST", {"schemas": [CORE], "userName": "u-1"})):
        answer = await scim.send(method, "/Users", body)
        assert (answer.status, answer.body["schemas"], answer.headers["retry-after"]) == (503, [ERROR], "5")
        assert answer.body["detail"] == "the service cannot do this now; nothing was changed"


class _Broken(Store):
    """A store with a bug: what it raises nobody foresaw."""

    def read(self) -> Any:
        raise RuntimeError("password=hunter2 at /srv/secret")


async def test_a_bug_is_500_in_scims_form_without_its_words(tmp_path: Path, operators_log: io.StringIO) -> None:
    store = _Broken(make_engine(f"sqlite:///{tmp_path}/x.db"))
    answer = await ScimService(store, {"entra": PREFECTURE}).send("GET", "/Users")
    assert answer.status == 500
    assert answer.body == {"schemas": [ERROR], "status": "500", "detail": "the request could not be served"}
    assert "failed unexpectedly" in operators_log.getvalue()
    store.close()


async def test_a_client_that_goes_away_does_not_take_the_news_with_it(scim: ScimService) -> None:
    sending = asyncio.create_task(scim.send("POST", "/Users", {"schemas": [CORE], "userName": "u-1"}))
    await scim.begun.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await scim.heard.wait()
    assert scim.person("u-1") is not None
    assert len(scim.told) == 1


async def test_many_requests_at_once_all_have_their_turn(scim: ScimService) -> None:
    sent = [scim.send("POST", "/Users", {"schemas": [CORE], "userName": f"u-{i}"}) for i in range(20)]
    assert [answer.status for answer in await asyncio.gather(*sent)] == [201] * 20


async def test_changes_on_an_old_version_are_refused(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    first = (await scim.send("GET", f"/Users/{id_}")).headers["etag"]
    assert first == 'W/"1"'
    change = {"op": "replace", "path": "title", "value": "a"}
    assert (await scim.patch(f"/Users/{id_}", change, if_match=first)).status == 204
    for answer in (
        await scim.patch(f"/Users/{id_}", change, if_match=first),
        await scim.send("PUT", f"/Users/{id_}", {"schemas": [], "userName": "u-1"}, if_match=first),
        await scim.send("DELETE", f"/Users/{id_}", if_match=first),
    ):
        assert (answer.status, answer.body["status"]) == (412, "412")
    unchanged = await scim.send("GET", f"/Users/{id_}", if_none_match='W/"2"')
    assert (unchanged.status, unchanged.body) == (304, None)


async def test_of_many_patches_on_one_version_exactly_one_is_done(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    sent = [
        scim.patch(f"/Users/{id_}", {"op": "replace", "path": "title", "value": f"t{i}"}, if_match='W/"1"')
        for i in range(8)
    ]
    statuses = sorted(answer.status for answer in await asyncio.gather(*sent))
    assert statuses == [204] + [412] * 7


async def test_after_too_long_the_rest_of_a_bulk_request_is_refused(scim: ScimService) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": f"b{i}", "data": {"schemas": [CORE], "userName": f"u-{i}"}}
        for i in range(3)
    ]
    body = {"schemas": [BULK], "Operations": operations}
    scim.pace = limits.REQUEST_S / 2 + 1
    answer = await scim.send("POST", "/Bulk", body)
    assert answer.status == 200
    assert [outcome["status"] for outcome in answer.body["Operations"]] == ["201", "503", "503"]


async def test_the_log_has_who_did_what_and_no_word_of_the_person(
    scim: ScimService, operators_log: io.StringIO
) -> None:
    await scim.user("u-1", displayName="山田花子", password="Tr0ub4dor&3")
    await scim.send("POST", "/Users", {"schemas": [CORE], "userName": "u-1", "password": "Tr0ub4dor&3", "x": 1})
    log = operators_log.getvalue()
    assert '"tenant": "entra"' in log
    assert "山田" not in log
    assert "Tr0ub4dor" not in log


async def test_a_password_is_taken_and_never_kept_nor_shown(scim: ScimService) -> None:
    secret = "c0rrect-h0rse"
    id_ = await scim.user("u-1", password=secret)
    await scim.patch(f"/Users/{id_}", {"op": "replace", "path": "password", "value": secret})
    await scim.patch(f"/Users/{id_}", {"op": "add", "value": {"password": secret, "title": "x"}})
    body = {"schemas": [], "userName": "u-1", "password": secret}
    put = await scim.send("PUT", f"/Users/{id_}?attributes=password,userName", body)
    assert put.status == 200
    shown = [put.body, (await scim.send("GET", f"/Users/{id_}?attributes=password")).body]
    assert secret not in json.dumps(shown)
    assert secret.encode() not in scim.everything()
    asked = await scim.send("GET", f'/Users?filter=password eq "{secret}"')
    assert asked.status == 400 or asked.body["totalResults"] == 0


async def test_patch_without_a_schema_list_or_with_garbage_is_400(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    for body in ({"Operations": "x"}, {"schemas": [PATCH], "Operations": [1]}, {"schemas": [PATCH], "Operations": []}):
        assert (await scim.send("PATCH", f"/Users/{id_}", body)).status == 400


async def test_every_operation_of_a_bulk_request_is_told_as_it_is_committed(scim: ScimService) -> None:
    operations = [
        {"method": "POST", "path": "/Users", "bulkId": f"b{i}", "data": {"schemas": [CORE], "userName": f"u-{i}"}}
        for i in range(3)
    ]
    await scim.send("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    assert scim.told == [1, 2, 3]


@pytest.mark.parametrize("path", ["name", "password", f"{ENTERPRISE}:manager", "emails", "active"])
async def test_a_value_of_the_wrong_type_is_refused_without_repeating_it(scim: ScimService, path: str) -> None:
    id_ = await scim.user("u-1")
    answer = await scim.patch(f"/Users/{id_}", {"op": "replace", "path": path, "value": {"x": [["Tr0ub4dor"]]}})
    assert (answer.status, answer.body["scimType"]) in ((400, "invalidValue"), (400, "invalidPath"))
    for word in ("Tr0ub4dor", "pydantic", "input_value", "type=", "\n"):
        assert word not in answer.body["detail"]


class _Held(Store):
    """A store that answers when it is let go."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.let_go = threading.Event()

    @contextmanager
    def read(self) -> Iterator[Any]:
        self.let_go.wait(30)
        with super().read() as connection:
            yield connection


async def test_a_request_that_has_no_turn_in_time_is_503_and_the_others_are_served(tmp_path: Path) -> None:
    new_store(tmp_path).close()
    store = _Held(make_engine(f"sqlite:///{tmp_path / 'store.db'}"))
    scim = ScimService(store, {"entra": PREFECTURE}, wait_s=0.01)
    working = [asyncio.create_task(scim.send("GET", "/Users")) for _ in range(limits.AT_ONCE)]
    while len(scim.desk._running) < limits.AT_ONCE:  # noqa: ASYNC110  # there is no event for the second of two
        await asyncio.sleep(0)
    late = await scim.send("GET", "/Users")
    store.let_go.set()
    assert (late.status, late.headers["retry-after"]) == (503, "5")
    assert [answer.status for answer in await asyncio.gather(*working)] == [200] * limits.AT_ONCE
    assert (await scim.send("GET", "/Users")).status == 200
    store.close()


async def test_strangers_leave_no_line_in_the_log_and_callers_do(scim: ScimService, operators_log: io.StringIO) -> None:
    await scim.send("DELETE", "/Users/x", key="nobody")
    assert "pdp.scim" not in operators_log.getvalue()
    await scim.send("DELETE", "/Users/x", key="gate")
    assert '"tenant": "gate"' in operators_log.getvalue()


class _Busy:
    """A caller that has used up its rate."""

    async def introduce(self, presented: Any) -> Any:
        raise TooManyRequestsError("this caller asks more often than its limit", retry_after_s=7)


async def test_a_caller_beyond_its_rate_is_told_when_to_come_again(scim: ScimService) -> None:
    desk = Desk(replace(scim.place, callers=_Busy()))
    answer = await desk(HttpRequest("GET", "/scim/v2/Users", "", (("authorization", "Bearer entra"),)))
    assert (answer.status, dict(answer.headers)["retry-after"]) == (429, "7")
    assert json.loads(answer.body)["schemas"] == [ERROR]


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ((("authorization", "Bearer entra"), ("authorization", "Bearer okta")), "", 400),
        ((("authorization", "Bearer entra"), ("if-match", "*"), ("if-match", 'W/"1"')), "", 400),
        ((("authorization", "Bearer entra"),), "filter=%ff", 400),
        ((("authorization", "Bearer entra"),), "&".join(f"a{i}=1" for i in range(20)), 400),
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused(
    scim: ScimService, headers: Any, query: str, status: int
) -> None:
    answer = await scim.desk(HttpRequest("GET", "/scim/v2/Users", query, headers))
    assert (answer.status, json.loads(answer.body)["schemas"]) == (status, [ERROR])


@pytest.mark.parametrize(
    "attributes",
    [
        {"externalId": "x" * 257},
        {"externalId": "a\u200bb"},
        {"title": "x" * (limits.DOCUMENT_BYTES + 1)},
        {"emails": [{"value": f"{i}@example.jp"} for i in range(5_000)]},
    ],
)
async def test_a_user_that_is_too_large_to_keep_is_refused(scim: ScimService, attributes: Any) -> None:
    answer = await scim.send("POST", "/Users", {"schemas": [CORE], "userName": "u-1", **attributes})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
    assert scim.person("u-1") is None


async def test_a_path_of_a_patch_that_is_too_long_is_refused(scim: ScimService) -> None:
    id_ = await scim.user("u-1")
    path = "emails[" + " or ".join(['value eq "x"'] * 700) + "]"
    answer = await scim.patch(f"/Users/{id_}", {"op": "remove", "path": path})
    assert (answer.status, answer.body["scimType"]) == (400, "invalidValue")
