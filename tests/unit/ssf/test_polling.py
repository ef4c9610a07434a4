"""Polls against a transmitter on loopback that keeps to RFC 8936, and one that does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdp.identity.fetching import FetchError
from pdp.identity.provider import IssuerKeys
from pdp.model.signal_stream import SignalStream
from pdp.ssf.receiving.polling import Poller, PollFaultError, read_answer
from pdp.ssf.receiving.transmitter import read_metadata, well_known
from pdp.ssf.token import SetVerifier
from pdp.store.store import Store
from tests.signal_house import IDP, House, stream_of, until, working
from tests.ssf_transmitter import CAEP, Lie, Transmitter, id_of
from tests.tokens import jwk, rsa_key

pytestmark = pytest.mark.anyio
PERSON = {"format": "iss_sub", "iss": IDP, "sub": "u-1"}
REVOKED = f"{CAEP}session-revoked"


def polled(transmitter: Transmitter, folder: Path, **members: Any) -> SignalStream:
    given = {
        "issuer": transmitter.url,
        "delivery": "poll",
        "endpoint_url": f"{transmitter.url}/poll?stream_id=stream-1",
        "jwks_file": "",
        "poll_wait_s": 1,
    }
    return stream_of(folder, **{**given, **members})


def at_work(store: Store, stream: SignalStream) -> Any:
    import time
    from datetime import UTC, datetime

    made = working(store, stream)

    class Now:
        async def __aenter__(self) -> tuple[House, Poller]:
            house: House = await made.__aenter__()
            house.now = datetime.fromtimestamp(time.time(), UTC)
            return house, Poller(house.incoming["idp"], house.desk)

        async def __aexit__(self, *fault: object) -> None:
            await made.__aexit__(*fault)

    return Now()


async def test_what_is_offered_is_taken_and_acknowledged_with_the_next_poll(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    good, forged = transmitter.set(REVOKED, PERSON), transmitter.set(REVOKED, PERSON, key=rsa_key(which=7))
    transmitter.offer(good, forged)
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        assert (await poller.poll()).sets == 2
        assert [one.jti for one in house.latest()] == [id_of(good)] and transmitter.acked == []
        assert (await poller.poll()).sets == 0
        assert transmitter.acked == [id_of(good)]
        assert transmitter.refused[id_of(forged)]["err"] == "invalid_key"
        await until(house.marks)
        said = transmitter.polls[1]
        assert said["returnImmediately"] is True, "what is to be said is said at once"
        await poller.poll()
        assert "ack" not in transmitter.polls[2] and "setErrs" not in transmitter.polls[2]
        assert transmitter.polls[2]["returnImmediately"] is False, "a long poll while there is nothing to say"


async def test_the_questions_have_the_form_of_the_text(store: Store, tmp_path: Path, transmitter: Transmitter) -> None:
    known = {"maxEvents", "returnImmediately", "ack", "setErrs"}
    transmitter.offer(transmitter.set(REVOKED, PERSON), transmitter.set(REVOKED, PERSON, exp=1))
    async with at_work(store, polled(transmitter, tmp_path)) as (_, poller):
        await poller.poll()
        await poller.poll()
    assert all(set(body) <= known for body in transmitter.polls)
    assert all(set(err) == {"err", "description"} for err in transmitter.polls[1]["setErrs"].values())


def test_the_answers_of_the_text_are_read() -> None:
    assert read_answer(b'{"sets":{"a":"x.y.z"},"moreAvailable":false}') == {"a": "x.y.z"}
    assert read_answer(b'{"sets":{},"moreAvailable":true}') == read_answer(b"{}") == {}


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"[]", b'"x"', b'{"sets":[]}', b'{"sets":{"a":1}}', b'{"sets":{"":"x"}}', b'{"sets":{"a\\n":"x"}}',
        b'{"sets":{"a":"x"},"sets":{}}', b'{"sets":{"a":"x","a":"y"}}', b'{"sets":' + b'{"a":' * 100 + b"}" * 101,
        json.dumps({"sets": {str(n): "x" for n in range(1_001)}}).encode(), json.dumps({"sets": {"x" * 300: "x"}}).encode(),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_fault_and_not_silence(answer: bytes) -> None:
    with pytest.raises(PollFaultError):
        read_answer(answer)


async def test_a_name_that_is_not_the_letters_own_is_refused(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.offered["other"] = transmitter.set(REVOKED, PERSON)
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        await poller.poll()
        await poller.poll()
        assert transmitter.refused["other"]["err"] == "invalid_request" and house.latest() == []


async def test_what_was_not_acknowledged_comes_again_and_counts_once(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.offer(text := transmitter.set(REVOKED, PERSON))
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        await poller.poll()
        another = Poller(house.incoming["idp"], house.desk)  # the first worker is gone, and its memory with it
        await another.poll()
        await another.poll()
        assert transmitter.acked == [id_of(text)] and len(house.latest()) == 1


async def test_one_that_nobody_foresaw_holds_up_no_other(
    store: Store, tmp_path: Path, transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = transmitter.set(REVOKED, PERSON), transmitter.set(REVOKED, {**PERSON, "sub": "u-2"})
    transmitter.offer(bad, good)
    verify = SetVerifier.verify

    async def breaks(self: SetVerifier, text: str, now: Any) -> Any:
        if text == bad:
            raise RuntimeError("nobody thought of it")
        return await verify(self, text, now)

    monkeypatch.setattr(SetVerifier, "verify", breaks)
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        came = await poller.poll()
        assert (came.sets, came.fresh, came.kept_back) == (2, 1, True)
        await poller.poll()
        assert transmitter.acked == [id_of(good)] and transmitter.refused == {}
        assert [one.jti for one in house.latest()] == [id_of(good)]


async def test_what_cannot_be_judged_is_neither_acknowledged_nor_refused(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.lies["/jwks.json"] = Lie(status=500)
    transmitter.offer(text := transmitter.set(REVOKED, PERSON))
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        assert (await poller.poll()).kept_back
        await poller.poll()
        assert transmitter.acked == [] and transmitter.refused == {} and id_of(text) in transmitter.offered
        assert house.latest() == []


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (Lie(status=302, headers={"Location": "http://127.0.0.1:9/elsewhere"}), "it answered 302"),
        (Lie(status=307, headers={"Location": "/poll?stream_id=other"}), "it answered 307"),
        (Lie(status=401), "it answered 401"),
        (Lie(status=500, body=b"x" * 1_000_000), "it answered 500"),
        (Lie(status=204), "it answered 204"),
        (Lie(body=b"<html>"), "strict JSON"),
        (Lie(body=b"{" * 1_000_000), "strict JSON"),
        (Lie(endless=b'{"sets":{"a":"' + b"x" * 65_536), "larger than"),
        (Lie(endless=b" " * 65_536), "larger than"),
        (Lie(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), "encoding"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
async def test_a_transmitter_that_lies_is_a_fault(
    store: Store, tmp_path: Path, transmitter: Transmitter, lie: Lie, fault: str
) -> None:
    transmitter.offer(transmitter.set(REVOKED, PERSON))
    transmitter.lies["/poll"] = lie
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        with pytest.raises(PollFaultError, match=fault):
            await poller.poll()
        assert house.latest() == []
        transmitter.lies.clear()
        assert (await poller.poll()).sets == 1


async def test_a_transmitter_that_does_not_end_its_answer_is_left(
    store: Store, tmp_path: Path, transmitter: Transmitter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdp.ssf.receiving.polling.GRACE_S", 0.3)
    transmitter.lies["/poll"] = Lie(wait_s=3.0)
    async with at_work(store, polled(transmitter, tmp_path, poll_wait_s=0)) as (_, poller):
        with pytest.raises(PollFaultError, match="in time"):
            await poller.poll()


async def test_it_says_when_to_come_again(store: Store, tmp_path: Path, transmitter: Transmitter) -> None:
    transmitter.lies["/poll"] = Lie(status=429, headers={"Retry-After": "77"})
    async with at_work(store, polled(transmitter, tmp_path)) as (_, poller):
        with pytest.raises(PollFaultError) as fault:
            await poller.poll()
    assert fault.value.retry_after_s == 77


async def test_the_token_is_sent_to_the_configured_host_alone(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    """The attack: a transmitter whose configuration points its keys or its verification at a host of our own."""
    for name in ("jwks_uri", "verification_endpoint"):
        document = {**transmitter.metadata(), name: "https://intranet.example/x"}
        transmitter.lies["/.well-known/ssf-configuration"] = Lie(body=json.dumps(document).encode())
        async with at_work(store, polled(transmitter, tmp_path)) as (house, _):
            incoming = house.incoming["idp"]
            with pytest.raises(FetchError, match="host is none"):
                await (
                    incoming.transmitter.keys() if name == "jwks_uri" else incoming.transmitter.ask_verification("s")
                )


async def test_a_verification_is_asked_for_with_its_state(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    async with at_work(store, polled(transmitter, tmp_path)) as (house, _):
        await house.incoming["idp"].transmitter.ask_verification("state-1")
        assert transmitter.verifications == [{"stream_id": "stream-1", "state": "state-1"}]
        transmitter.lies["/verify"] = Lie(status=429)
        with pytest.raises(FetchError, match="429"):
            await house.incoming["idp"].transmitter.ask_verification("state-2")


async def test_what_the_transmitter_calls_critical_is_not_acted_on(
    store: Store, tmp_path: Path, transmitter: Transmitter
) -> None:
    transmitter.critical = ["org_unit", "user"]
    unit = {"format": "complex", "user": PERSON, "org_unit": {"format": "opaque", "id": "soumu"}}
    transmitter.offer(transmitter.set(REVOKED, unit))
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        await poller.poll()
        await until(lambda: house.trail.events)
        assert house.trail.events[0].parameters["result"] == "critical_member" and house.marks() == set()


async def test_a_rotated_key_is_found(store: Store, tmp_path: Path, transmitter: Transmitter) -> None:
    async with at_work(store, polled(transmitter, tmp_path)) as (house, poller):
        transmitter.offer(transmitter.set(REVOKED, PERSON))
        await poller.poll()
        transmitter.keys.append(jwk(rsa_key(which=2), "rsa-2", use="sig", alg="RS256"))
        transmitter.offer(transmitter.set(REVOKED, {**PERSON, "sub": "u-2"}, key=rsa_key(which=2), kid="rsa-2"))
        await poller.poll()
        await until(lambda: len(house.latest()) == 2)
        assert transmitter.key_reads == 2 and isinstance(house.incoming["idp"].keys, IssuerKeys)


@pytest.mark.parametrize(
    ("issuer", "url"),
    [
        ("https://tr.example.com", "https://tr.example.com/.well-known/ssf-configuration"),
        ("https://tr.example.com/", "https://tr.example.com/.well-known/ssf-configuration"),
        ("https://tr.example.com/issuer1", "https://tr.example.com/.well-known/ssf-configuration/issuer1"),
        ("https://tr.example.com:8443/a/b/", "https://tr.example.com:8443/.well-known/ssf-configuration/a/b"),
    ],
)
def test_the_configuration_stands_where_the_text_says(issuer: str, url: str) -> None:
    assert well_known(issuer) == url


def test_the_configuration_of_another_issuer_is_not_believed() -> None:
    for document in (
        b"[]", b"{}", b'{"issuer":"https://tr.example.com/"}', b'{"issuer":"https://tr.example.com","jwks_uri":7}',
        b'{"issuer":"https://tr.example.com","jwks_uri":"http://tr.example.com/k"}',
        b'{"issuer":"https://tr.example.com","critical_subject_members":"user"}',
    ):  # fmt: skip
        with pytest.raises(FetchError):
            read_metadata(document, "https://tr.example.com")
    assert read_metadata(b'{"issuer":"https://tr.example.com"}', "https://tr.example.com").critical == frozenset()


@pytest.mark.parametrize(
    "members",
    [
        {"delivery": "poll", "endpoint_url": ""},
        {"delivery": "poll", "endpoint_url": "http://tx.example.com/poll"},
        {"delivery": "poll", "endpoint_url": "https://user@tx.example.com/poll"},
        {"delivery": "push", "endpoint_url": "https://tx.example.com/poll"},
        {"verification_endpoint": "ftp://tx.example.com"},
        {"effects": ("end_sessions", "end_sessions")},
        {"verify_every_s": 60, "stream_id": ""},
        {"jwks_uri": "https://tx.example.com/k"},
        {"issuer": "http://tx.example.com", "jwks_file": ""},
    ],
)
def test_a_stream_that_cannot_be_is_refused_at_the_start(tmp_path: Path, members: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        stream_of(tmp_path, **members)
