"""The stream API and polling, as receivers see them (SSF 1.0 sections 7 and 8, RFC 8936)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import insert

from pdp.directory.changes import change
from pdp.identity.revocations import revoke
from pdp.identity.signing import AHEAD, rotate_keys
from pdp.model.directory import User
from pdp.model.ssf_transmitter import SsfTransmitter
from pdp.ssf.events import ACCOUNT_DISABLED, REQUIRED, SESSION_REVOKED, VERIFICATION, read_event
from pdp.ssf.sending import register
from pdp.ssf.sending.happenings import SUPPORTED
from pdp.ssf.sending.register import MAX_OF_CALLER, MAX_REMOVED
from pdp.ssf.subjects import read_subject
from pdp.store import tables
from tests.unit.ssf.sending.conftest import BASE, Transmitter, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

PUSH, POLL = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
PUSHED = {
    "method": PUSH,
    "endpoint_url": "https://gw.example.jp/events?tenant=1",
    "authorization_header": "Bearer s3cret",
}
ALICE = User("alice", "staff")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def verified(transmitter: Transmitter, token: str, audience: str = "manager") -> dict[str, Any]:
    """The claims, by a library that shares nothing with the one that signed, and the profile's rules for every SET."""
    keys = KeySet.import_key_set((await transmitter.api.get("/ssf/jwks.json")).json())
    found = jwt.decode(token, keys, algorithms=["RS256"])
    assert found.header.keys() == {"alg", "typ", "kid"}
    assert found.header["typ"] == "secevent+jwt"
    claims = found.claims
    assert claims["iss"] == BASE
    assert claims["aud"] == audience
    assert not {"sub", "exp"} & claims.keys()
    assert isinstance(claims["jti"], str)
    assert claims["iat"] <= transmitter.clock().timestamp()
    [(event_type, members)] = claims["events"].items()
    assert set(REQUIRED.get(event_type, ())) <= members.keys()
    read_event(event_type, members)
    read_subject(claims["sub_id"])
    return dict(claims)


def leave(transmitter: Transmitter, *ids: str) -> None:
    with change(transmitter.store, transmitter.clock()) as inside:
        for one in ids:
            inside.put_user(replace(ALICE, id=one, status="ended"))


async def begun(transmitter: Transmitter, *ids: str) -> None:
    """The registers, as the sender saw them first."""
    with change(transmitter.store, transmitter.clock()) as inside:
        for one in ids:
            inside.put_user(replace(ALICE, id=one))
    transmitter.clock.forward(5)

    def seen() -> bool:
        from sqlalchemy import select

        from pdp.store import tables

        with transmitter.store.read() as connection:
            told = set(connection.execute(select(tables.ssf_told.c.key)).scalars())
            at = connection.execute(select(tables.ssf_sender.c.begun_at)).scalar_one()
        return at is not None and set(ids) <= told

    await until(seen, "the sender has not begun")


# Metadata


async def test_the_configuration_names_every_endpoint_and_no_empty_value(transmitter: Transmitter) -> None:
    answer = await transmitter.api.get("/.well-known/ssf-configuration", headers={"authorization": ""})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    told = answer.json()
    assert told["issuer"] == BASE
    assert told["spec_version"] == "1_0"
    assert told["delivery_methods_supported"] == [PUSH, POLL]
    assert told["default_subjects"] == "ALL"
    assert all(told.values())
    assert all(value.startswith(f"{BASE}/") for name, value in told.items() if name.endswith(("_endpoint", "_uri")))


async def test_keys_are_public_and_long_enough(transmitter: Transmitter) -> None:
    answer = await transmitter.api.get("/ssf/jwks.json", headers={"authorization": ""})
    assert answer.status_code == 200
    for key in answer.json()["keys"]:
        assert key["kty"] == "RSA"
        assert key["alg"] == "RS256"
        assert key["use"] == "sig"
        assert len(key["n"]) * 6 >= 2048
        assert not {"d", "p", "q", "dp", "dq", "qi"} & key.keys()


# Streams


async def test_a_stream_without_delivery_is_polled_and_gets_all_that_is_supported(transmitter: Transmitter) -> None:
    made = await transmitter.stream()
    assert made["delivery"] == {"method": POLL, "endpoint_url": f"{BASE}/ssf/poll/{made['stream_id']}"}
    assert made["iss"] == BASE
    assert made["aud"] == "manager"
    assert made["events_delivered"] == made["events_supported"] == list(SUPPORTED)
    answer = await transmitter.api.get("/ssf/stream", params={"stream_id": made["stream_id"]})
    assert answer.json() == made
    assert answer.headers["cache-control"] == "no-store"
    assert (await transmitter.api.get("/ssf/stream")).json() == [made]
    status = await transmitter.api.get("/ssf/status", params={"stream_id": made["stream_id"]})
    assert status.json() == {"stream_id": made["stream_id"], "status": "enabled"}


async def test_a_pushed_stream_keeps_its_url_whole_and_shows_its_secret_to_nobody(transmitter: Transmitter) -> None:
    made = await transmitter.stream(delivery=PUSHED, events_requested=[SESSION_REVOKED, "urn:x"], description="窓口")
    assert made["delivery"] == {"method": PUSH, "endpoint_url": PUSHED["endpoint_url"]}
    assert made["events_requested"] == [SESSION_REVOKED, "urn:x"]
    assert made["events_delivered"] == [SESSION_REVOKED]
    assert made["description"] == "窓口"
    assert "s3cret" not in (await transmitter.api.get("/ssf/stream")).text
    assert register.listed(transmitter.store)[0].wish.authorization_header == "Bearer s3cret"


async def test_a_part_of_a_stream_is_changed_and_the_rest_stays(transmitter: Transmitter) -> None:
    made = await transmitter.stream(delivery=PUSHED, description="a", events_requested=[SESSION_REVOKED])
    asked = {**made, "description": "b", "format": "email"}  # all of it is sent back, ours too
    changed = await transmitter.api.patch("/ssf/stream", json=asked)
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**made, "description": "b", "format": "email"}
    assert register.listed(transmitter.store)[0].wish.authorization_header == "Bearer s3cret"
    changed = await transmitter.api.patch(
        "/ssf/stream", json={"stream_id": made["stream_id"], "events_requested": None}
    )
    assert changed.json()["events_delivered"] == list(SUPPORTED)


async def test_a_stream_is_replaced_whole(transmitter: Transmitter) -> None:
    made = await transmitter.stream(
        delivery=PUSHED, description="a", format="email", events_requested=[SESSION_REVOKED]
    )
    kept = {"stream_id": made["stream_id"], "delivery": made["delivery"]}
    replaced = (await transmitter.api.put("/ssf/stream", json=kept)).json()
    assert "description" not in replaced
    assert replaced["format"] == "iss_sub"
    assert replaced["events_delivered"] == list(SUPPORTED)
    assert register.listed(transmitter.store)[0].wish.authorization_header == "Bearer s3cret"
    polled = (await transmitter.api.put("/ssf/stream", json={"stream_id": made["stream_id"]})).json()
    assert polled["delivery"]["method"] == POLL
    assert register.listed(transmitter.store)[0].wish.authorization_header == ""


async def test_the_secret_of_one_url_never_goes_to_another(transmitter: Transmitter) -> None:
    made = await transmitter.stream(delivery=PUSHED)
    moved = {"method": PUSH, "endpoint_url": "https://gw.example.jp/elsewhere"}
    await transmitter.api.patch("/ssf/stream", json={"stream_id": made["stream_id"], "delivery": moved})
    assert register.listed(transmitter.store)[0].wish.authorization_header == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", "https://elsewhere.example.jp"),
        ("aud", "somebody"),
        ("events_delivered", []),
        ("events_supported", []),
        ("min_verification_interval", 1),
        ("delivery", {"method": POLL, "endpoint_url": "https://elsewhere.example.jp/"}),
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_what_is_ours_to_say_is_not_changed(transmitter: Transmitter, method: str, name: str, value: Any) -> None:
    made = await transmitter.stream()
    answer = await transmitter.api.request(method, "/ssf/stream", json={"stream_id": made["stream_id"], name: value})
    assert answer.status_code == 400
    assert name in answer.json()["error"]["message"]
    assert (await transmitter.api.get("/ssf/stream")).json() == [made]


@pytest.mark.parametrize(
    "asked",
    [
        {"delivery": {"method": "urn:other"}},
        {"delivery": []},
        {"delivery": {"method": PUSH}},
        {"delivery": {"method": PUSH, "endpoint_url": "http://gw.example.jp/"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://gw.example.jp:8443/"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://elsewhere.example.jp/"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://gw.example.jp@169.254.169.254/"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://169.254.169.254/latest"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://gw.example.jp/#x"}},
        {"delivery": {"method": PUSH, "endpoint_url": "https://gw.example.jp/\n"}},
        {"delivery": {**PUSHED, "authorization_header": "a\r\nx: y"}},
        {"delivery": {**PUSHED, "authorization_header": "秘密"}},
        {"events_requested": "all"},
        {"events_requested": [1]},
        {"events_requested": ["urn:x"] * 65},
        {"description": 1},
        {"format": "phone_number"},
    ],
)
async def test_what_a_stream_cannot_be_is_refused_with_its_place(
    transmitter: Transmitter, asked: dict[str, Any]
) -> None:
    answer = await transmitter.api.post("/ssf/stream", json=asked)
    assert answer.status_code == 400, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "at `/" in answer.json()["error"]["message"]
    assert (await transmitter.api.get("/ssf/stream")).json() == []


@pytest.mark.parametrize("body", [b"", b"[]", b'"x"', b"{", b'{"a":1,"a":2}', b"\xff"])
async def test_a_body_that_is_no_object_is_refused(transmitter: Transmitter, body: bytes) -> None:
    for method, path in (("POST", "stream"), ("PATCH", "stream"), ("PUT", "stream"), ("POST", "verify")):
        answer = await transmitter.api.request(method, f"/ssf/{path}", content=body)
        assert answer.status_code == 400, (method, path, answer.text)
    assert (await transmitter.api.post("/ssf/stream", content=b"x" * 100_000)).status_code == 413
    kind = {"content-type": "text/plain"}
    assert (await transmitter.api.post("/ssf/stream", content=b"{}", headers=kind)).status_code == 415


async def test_a_caller_has_so_many_streams_and_no_more(transmitter: Transmitter) -> None:
    for _ in range(MAX_OF_CALLER):
        await transmitter.stream()
    answer = await transmitter.api.post("/ssf/stream", json={})
    assert answer.status_code == 409
    assert answer.json()["error"]["next_step"]


def _calls(stream_id: str) -> list[tuple[str, str, dict[str, Any]]]:
    at, subject = {"stream_id": stream_id}, {"format": "opaque", "id": "x"}
    return [
        ("GET", "/ssf/stream", at),
        ("PATCH", "/ssf/stream", at),
        ("PUT", "/ssf/stream", at),
        ("GET", "/ssf/status", at),
        ("POST", "/ssf/status", {**at, "status": "paused"}),
        ("POST", "/ssf/subjects:add", {**at, "subject": subject}),
        ("POST", "/ssf/subjects:remove", {**at, "subject": subject}),
        ("POST", "/ssf/verify", at),
        ("POST", f"/ssf/poll/{stream_id}", {"returnImmediately": True}),
        ("DELETE", "/ssf/stream", at),
    ]


async def _ask(transmitter: Transmitter, caller: str, call: tuple[str, str, dict[str, Any]]) -> int:
    method, path, asked = call
    said = {"params": asked} if method in ("GET", "DELETE") else {"json": asked}
    headers = {"authorization": f"Bearer {caller}"}
    return (await transmitter.api.request(method, path, headers=headers, **said)).status_code  # type: ignore[arg-type]


async def test_a_stream_of_somebody_else_is_not_there_whatever_is_asked(transmitter: Transmitter) -> None:
    theirs = await transmitter.stream("manager")
    for call in _calls(theirs["stream_id"]):
        assert await _ask(transmitter, "other", call) == 404, call
        assert await _ask(transmitter, "gateway", call) == 403, call
        assert await _ask(transmitter, "stranger", call) == 401, call
        assert await _ask(transmitter, "manager", ("GET", "/ssf/stream", {"stream_id": theirs["stream_id"]})) == 200
    assert (await transmitter.api.get("/ssf/stream", headers={"authorization": "Bearer other"})).json() == []


async def test_who_may_only_read_changes_nothing(transmitter: Transmitter) -> None:
    made = register.create(
        transmitter.store, replace(_stream_of(await transmitter.stream(), transmitter), id="of-reader", caller="reader")
    )
    told = {call: await _ask(transmitter, "reader", one) for one in _calls(made.id) for call in [f"{one[0]} {one[1]}"]}
    assert {call for call, status in told.items() if status == 403} == {
        "PATCH /ssf/stream", "PUT /ssf/stream", "POST /ssf/status", "POST /ssf/subjects:add",
        "POST /ssf/subjects:remove", "DELETE /ssf/stream",
    }  # fmt: skip
    assert {call for call, status in told.items() if status < 300} == {
        "GET /ssf/stream", "GET /ssf/status", "POST /ssf/verify", "POST /ssf/poll/of-reader",
    }  # fmt: skip


def _stream_of(made: dict[str, Any], transmitter: Transmitter) -> Any:
    return register.find(transmitter.store, made["stream_id"], None)


async def test_every_call_without_its_stream_is_a_bad_request(transmitter: Transmitter) -> None:
    for method, path, _ in _calls("x"):
        if "poll" not in path and (method, path) != ("GET", "/ssf/stream"):
            assert await _ask(transmitter, "manager", (method, path, {})) == 400, (method, path)
    for call in _calls("no-such-stream"):
        assert await _ask(transmitter, "manager", call) == 404, call


async def test_a_stream_ends_with_204_and_is_gone(transmitter: Transmitter) -> None:
    made = await transmitter.stream()
    at = {"stream_id": made["stream_id"]}
    assert (await transmitter.api.delete("/ssf/stream", params=at)).status_code == 204
    assert (await transmitter.api.delete("/ssf/stream", params=at)).status_code == 404


async def test_status_is_set_with_its_reason_and_only_to_a_word_that_exists(transmitter: Transmitter) -> None:
    at = {"stream_id": (await transmitter.stream())["stream_id"]}
    asked = {**at, "status": "paused", "reason": "保守"}
    assert (await transmitter.api.post("/ssf/status", json=asked)).json() == asked
    assert (await transmitter.api.post("/ssf/status", json={**at, "status": "asleep"})).status_code == 400
    assert (await transmitter.api.get("/ssf/status", params=at)).json() == asked
    assert (await transmitter.api.post("/ssf/status", json={**at, "status": "enabled"})).json() == {
        **at,
        "status": "enabled",
    }


async def test_a_stream_leaves_out_so_many_subjects_and_no_more(
    transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.ssf.sending.register.MAX_REMOVED", 2)
    assert MAX_REMOVED > 2
    at = {"stream_id": (await transmitter.stream())["stream_id"]}
    said = [{**at, "subject": {"format": "opaque", "id": str(n)}} for n in range(3)]
    assert [(await transmitter.api.post("/ssf/subjects:remove", json=one)).status_code for one in said] == [
        204,
        204,
        429,
    ]


@pytest.mark.parametrize("stored", ['{"format":"phone_number","phone_number":""}', '{"format":"complex"}'])
async def test_a_subject_that_one_caller_left_behind_silences_nobody(transmitter: Transmitter, stored: str) -> None:
    await begun(transmitter, "alice")
    made, other = await transmitter.stream(), await transmitter.stream("other")
    asked = {"stream_id": other["stream_id"], "subject": {"format": "phone_number", "phone_number": "-"}}
    bearer = {"authorization": "Bearer other"}
    assert (await transmitter.api.post("/ssf/subjects:remove", json=asked, headers=bearer)).status_code == 400
    row = {"stream_id": other["stream_id"], "subject_sha256": "0" * 64, "subject": stored}
    with transmitter.store.write() as connection:
        connection.execute(insert(tables.ssf_removed_subjects), {**row, "created_at": transmitter.clock()})
    leave(transmitter, "alice")

    async def sets() -> Any:
        return (await transmitter.poll(made["stream_id"]))["sets"]

    await until(sets, "nobody is told of anything any more")


# Polling


async def test_what_happened_is_fetched_until_it_is_acknowledged(transmitter: Transmitter) -> None:
    await begun(transmitter, "alice")
    made = await transmitter.stream(format="email")
    leave(transmitter, "alice")
    first = (await transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={})).json()  # waits
    assert "moreAvailable" not in first
    claims = [await verified(transmitter, token) for token in first["sets"].values()]
    assert list(first["sets"]) == [one["jti"] for one in claims]
    assert [next(iter(one["events"])) for one in claims] == [ACCOUNT_DISABLED, SESSION_REVOKED]
    assert {one["txn"] for one in claims} == {claims[0]["txn"]}
    assert {json.dumps(one["sub_id"]) for one in claims} == {'{"format": "email", "email": "alice@example.jp"}'}
    members = claims[1]["events"][SESSION_REVOKED]
    assert members["reason_admin"].keys() == members["reason_user"].keys() == {"ja", "en"}
    assert 0 <= members["event_timestamp"] - transmitter.clock().timestamp() < 1
    assert (await transmitter.poll(made["stream_id"])) == first  # given out again, the same
    jtis = list(first["sets"])
    rest = await transmitter.poll(made["stream_id"], ack=jtis[:1])
    assert list(rest["sets"]) == jtis[1:]
    assert await transmitter.poll(made["stream_id"], setErrs={jtis[1]: {"err": "invalid_request"}}) == {"sets": {}}
    held = register.find(transmitter.store, made["stream_id"], None)
    assert (held.delivered, held.refused, held.fault) == (1, 1, "invalid_request")
    assert transmitter.counted("deliveries_total", method="poll", outcome="taken") == 1
    assert transmitter.counted("deliveries_total", method="poll", outcome="refused") == 1


@pytest.mark.parametrize("err", ["invalid_key", "invalid_issuer", "invalid_audience", "authentication_failed", "?"])
async def test_what_is_wrong_between_the_houses_loses_no_event(transmitter: Transmitter, err: str) -> None:
    """A receiver that has another host's keys says `invalid_key` of a revocation, and gets it again later."""
    await begun(transmitter)
    made = await transmitter.stream()
    revoke(transmitter.store, "session", "s-1", at=transmitter.clock(), now=transmitter.clock())

    async def sets() -> Any:
        return (await transmitter.poll(made["stream_id"]))["sets"]

    first = await until(sets, "nothing was told")
    [jti] = first
    fault = {jti: {"err": err, "description": "who are you?"}}
    assert await transmitter.poll(made["stream_id"], setErrs=fault) == {"sets": {}}  # not again at once: it would spin
    assert register.find(transmitter.store, made["stream_id"], None).fault == f"{err}: who are you?"
    assert transmitter.counted("deliveries_total", method="poll", outcome="failed") == 1
    transmitter.clock.forward(61)
    assert list(await sets()) == [jti]
    assert await transmitter.poll(made["stream_id"], ack=[jti]) == {"sets": {}}
    assert register.find(transmitter.store, made["stream_id"], None).fault == ""


async def test_ids_that_no_database_takes_are_nobodys(transmitter: Transmitter) -> None:
    made = await transmitter.stream()
    for asked in ({"ack": ["a\0b"]}, {"setErrs": {"a\0b": {"err": "invalid_key"}}}):
        answer = await transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json=asked)
        assert answer.status_code == 400, answer.text
    assert (await transmitter.api.post("/ssf/poll/a%00b", json={"returnImmediately": True})).status_code == 404


async def test_no_more_is_given_out_than_was_asked_for(transmitter: Transmitter) -> None:
    await begun(transmitter, "a", "b", "c")
    made = await transmitter.stream(events_requested=[ACCOUNT_DISABLED])
    leave(transmitter, "a", "b", "c")

    async def all_wait() -> bool:
        return len((await transmitter.poll(made["stream_id"]))["sets"]) == 3

    await until(all_wait, "three have left, and three events do not wait")
    two = await transmitter.poll(made["stream_id"], maxEvents=2)
    assert len(two["sets"]) == 2
    assert two["moreAvailable"] is True
    none = await transmitter.poll(made["stream_id"], maxEvents=0, ack=list(two["sets"]))
    assert none == {"sets": {}, "moreAvailable": True}
    last = await transmitter.poll(made["stream_id"], maxEvents=5)
    assert len(last["sets"]) == 1
    assert "moreAvailable" not in last


async def test_a_poll_waits_for_what_comes_and_not_for_ever(
    transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(transmitter, "alice")
    made = await transmitter.stream()
    asking = asyncio.create_task(transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={"maxEvents": 0}))
    await asyncio.sleep(0.6)  # the subject: two looks without anything
    assert not asking.done()
    leave(transmitter, "alice")
    assert (await asyncio.wait_for(asking, 25)).json() == {"sets": {}, "moreAvailable": True}


async def test_of_two_polls_of_one_stream_one_waits(transmitter: Transmitter) -> None:
    made = await transmitter.stream()
    asking = asyncio.create_task(transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={}))
    await asyncio.sleep(0.3)
    second = await asyncio.wait_for(transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={}), 20)
    assert second.json() == {"sets": {}}
    assert not asking.done()
    asking.cancel()


async def test_a_poll_of_a_stream_that_is_deleted_meanwhile_ends(transmitter: Transmitter) -> None:
    made = await transmitter.stream()
    asking = asyncio.create_task(transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={}))
    await asyncio.sleep(0.1)
    await transmitter.api.delete("/ssf/stream", params={"stream_id": made["stream_id"]})
    assert (await asyncio.wait_for(asking, 25)).status_code == 404


@pytest.mark.parametrize(
    "asked",
    [
        {"maxEvents": -1}, {"maxEvents": True}, {"maxEvents": "1"}, {"returnImmediately": "yes"}, {"ack": "x"},
        {"ack": [1]}, {"ack": ["x"] * 1_001}, {"setErrs": []}, {"setErrs": {"": {}}},
    ],
)  # fmt: skip
async def test_a_poll_that_cannot_be_is_refused(transmitter: Transmitter, asked: dict[str, Any]) -> None:
    made = await transmitter.stream()
    answer = await transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={**asked})
    assert answer.status_code == 400, answer.text


async def test_a_pushed_stream_is_not_polled(transmitter: Transmitter) -> None:
    made = await transmitter.stream(delivery=PUSHED)
    assert (await transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={})).status_code == 400


async def test_a_verification_echoes_its_state_in_a_paused_stream_too(transmitter: Transmitter) -> None:
    made = await transmitter.stream()
    at = {"stream_id": made["stream_id"]}
    await transmitter.api.post("/ssf/status", json={**at, "status": "paused"})
    assert (await transmitter.api.post("/ssf/verify", json={**at, "state": "VGhpcyBpcw=="})).status_code == 204
    again = await transmitter.api.post("/ssf/verify", json=at)
    assert again.status_code == 429
    assert int(again.headers["retry-after"]) == made["min_verification_interval"]
    [token] = (await transmitter.poll(made["stream_id"]))["sets"].values()
    claims = await verified(transmitter, token)
    assert claims["events"] == {VERIFICATION: {"state": "VGhpcyBpcw=="}}
    assert claims["sub_id"] == {"format": "opaque", "id": made["stream_id"]}
    transmitter.clock.forward(31)
    assert (await transmitter.api.post("/ssf/verify", json=at)).status_code == 204
    told = [await verified(transmitter, one) for one in (await transmitter.poll(made["stream_id"]))["sets"].values()]
    assert told[1]["events"] == {VERIFICATION: {}}


async def test_a_rotated_key_is_published_before_it_signs_and_the_old_one_after(
    transmitter: Transmitter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.identity.signing._LOOK_S", 0.0)
    made = await transmitter.stream()

    async def kid() -> str:
        transmitter.clock.forward(31)
        assert (await transmitter.api.post("/ssf/verify", json={"stream_id": made["stream_id"]})).status_code == 204
        sets = (await transmitter.poll(made["stream_id"]))["sets"]
        for token in sets.values():
            await verified(transmitter, token)
        await transmitter.poll(made["stream_id"], ack=list(sets))
        found: str = json.loads(jwt_head(token))["kid"]
        return found

    async def published() -> list[str]:
        return [key["kid"] for key in (await transmitter.api.get("/ssf/jwks.json")).json()["keys"]]

    old = await kid()
    rotate_keys(tmp_path / "keys.json", transmitter.clock())
    _, new = await published()
    assert await kid() == old
    transmitter.clock.forward(AHEAD.total_seconds())
    assert await kid() == new
    assert await published() == [old, new]
    transmitter.clock.forward(AHEAD.total_seconds())
    assert await published() == [new]
    assert await kid() == new


def jwt_head(token: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(token.partition(".")[0] + "==")


async def test_a_revocation_reaches_a_waiting_receiver_at_once(transmitter: Transmitter) -> None:
    await begun(transmitter, "alice")
    made = await transmitter.stream()
    asking = asyncio.create_task(transmitter.api.post(f"/ssf/poll/{made['stream_id']}", json={}))
    now = transmitter.clock()
    revoke(transmitter.store, "subject", "alice", at=now, now=now)
    sets = (await asyncio.wait_for(asking, 30)).json()["sets"]
    [claims] = [await verified(transmitter, token) for token in sets.values()]
    assert claims["sub_id"] == {"format": "iss_sub", "iss": "https://idp.example.jp", "sub": "alice"}


class TestAudience:
    @pytest.fixture
    def settings(self) -> SsfTransmitter:
        return SsfTransmitter(audiences={"manager": "https://gw.example.jp/ssf"}, issuer=f"{BASE}/tenant-1")

    async def test_audience_and_issuer_are_those_of_the_settings(self, transmitter: Transmitter) -> None:
        answer = await transmitter.api.get("/.well-known/ssf-configuration/tenant-1")
        assert answer.json()["issuer"] == f"{BASE}/tenant-1"
        made = await transmitter.stream()
        assert (made["iss"], made["aud"]) == (f"{BASE}/tenant-1", "https://gw.example.jp/ssf")
        assert (await transmitter.stream("other"))["aud"] == "other"
