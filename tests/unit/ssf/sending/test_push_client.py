"""One push: what counts as taken, and where nothing is sent to, whatever a receiver or a name server says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from pdp.errors import SettingsError
from pdp.model.ssf_transmitter import SsfTransmitter, check_issuer
from pdp.ssf.sending.push_client import TAKEN, PushClient
from pdp.ssf.sending.streams import Wish
from tests.simulators.ssf_receiver import Receiver, receiving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def settings(receiver: Receiver, **members: Any) -> SsfTransmitter:
    return SsfTransmitter(**{"push_hosts": (f"127.0.0.1:{receiver.port}",), "http_on_loopback": True, **members})


def wish(receiver: Receiver, url: str = "") -> Wish:
    return Wish("push", url or receiver.url, "Bearer s3cret")


async def test_a_set_is_posted_as_the_standard_says(receiver: Receiver) -> None:
    assert await PushClient(settings(receiver)).push(wish(receiver), "a.eyJ4IjoxfQ.c") == TAKEN
    [(token, headers)] = receiver.seen
    assert token == "a.eyJ4IjoxfQ.c"
    assert headers[":method"] == "POST"
    assert headers[":path"] == "/events?tenant=1"
    assert headers["content-type"] == "application/secevent+jwt"
    assert headers["accept"] == "application/json"
    assert headers["authorization"] == "Bearer s3cret"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    ("mode", "word", "fault"),
    [
        ("ok", "failed", "it answered 200"),
        ("broken", "failed", "it answered 500"),
        ("redirect", "failed", "it answered 307"),
        ("refuse", "refused", "invalid_request: not this one"),
        ("unknown_key", "failed", "invalid_key: who are you?"),
        ("babble", "failed", "it answered 400, with more than an error has to say"),
        ("endless", "failed", "it answered 400, with more than an error has to say"),
        ("gibberish", "failed", "it answered 400, and no error of RFC 8935"),
    ],
)
async def test_whatever_is_not_202_was_not_taken(receiver: Receiver, mode: str, word: str, fault: str) -> None:
    receiver.mode = mode
    outcome = await PushClient(settings(receiver)).push(wish(receiver), "a.e30.c")
    assert (outcome.word, outcome.fault) == (word, fault)
    assert len(receiver.seen) == 1  # and nobody was followed anywhere


async def test_a_receiver_that_never_answers_is_given_up(receiver: Receiver) -> None:
    receiver.mode = "slow"
    outcome = await PushClient(settings(receiver), deadline_s=0.5).push(wish(receiver), "a.e30.c")
    assert (outcome.word, outcome.fault) == ("failed", "it did not answer in time")


async def test_nobody_there_is_a_failure(receiver: Receiver) -> None:
    gone = settings(receiver, push_hosts=("127.0.0.1:1",))
    outcome = await PushClient(gone).push(wish(receiver, "http://127.0.0.1:1/"), "a.e30.c")
    assert outcome.fault == "it cannot be connected to, or its certificate does not hold"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1/",
        "http://localhost:{port}/",
        "https://user@127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/#x",
        "ftp://127.0.0.1:{port}/",
        "https://[::1]:{port}/",
        "https://127.0.0.1:{port}x/",
        "https:///",
        "",
    ],
)
async def test_a_place_that_the_operator_did_not_name_is_never_sent_to(receiver: Receiver, url: str) -> None:
    """Also where the stream was made when the settings still named it."""
    strict = settings(receiver, http_on_loopback=False)
    outcome = await PushClient(strict).push(Wish("push", url.format(port=receiver.port)), "a.e30.c")
    assert outcome.word == "failed"
    assert outcome.fault.startswith("its URL ")
    assert receiver.seen == []


@pytest.mark.parametrize(
    ("addresses", "private", "fault"),
    [
        (["127.0.0.1"], (), "its address is a private one, and `private_hosts` does not name it"),
        (["93.184.216.34", "10.0.0.1"], (), "its address is a private one, and `private_hosts` does not name it"),
        (["::ffff:10.0.0.1"], (), "its address is a private one, and `private_hosts` does not name it"),
        (["169.254.169.254"], ("gw.example.jp",), "its address is a private one, and `private_hosts` does not name it"),
        ([], (), "its name has no address"),
        (["nonsense"], (), "its name cannot be resolved"),
    ],
)
async def test_a_name_that_leads_into_our_own_network_is_not_followed(
    receiver: Receiver, addresses: list[str], private: tuple[str, ...], fault: str
) -> None:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    named = SsfTransmitter(push_hosts=(f"gw.example.jp:{receiver.port}",), private_hosts=private)
    client = PushClient(named, resolve=resolve)
    outcome = await client.push(Wish("push", f"https://gw.example.jp:{receiver.port}/"), "a.e30.c")
    assert (outcome.word, outcome.fault) == ("failed", fault)
    assert receiver.seen == []


async def test_a_name_that_the_operator_calls_private_is_connected_to_at_the_address_that_was_checked(
    receiver: Receiver,
) -> None:
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    named = SsfTransmitter(push_hosts=(f"gw.example.jp:{receiver.port}",), private_hosts=("GW.example.jp",))
    outcome = await PushClient(named, resolve=resolve).push(
        Wish("push", f"https://gw.example.jp:{receiver.port}/"), "a.e30.c"
    )
    assert asked == ["gw.example.jp"]
    # It is there, and speaks no TLS: that is as far as a name without a certificate gets.
    assert outcome.fault == "it cannot be connected to, or its certificate does not hold"


def test_a_file_of_authorities_that_is_none_ends_the_start(receiver: Receiver) -> None:
    with pytest.raises(SettingsError):
        PushClient(settings(receiver, ca_file="/nowhere.pem"))


@pytest.mark.parametrize("hosts", [("gw.example.jp",), ("GW.example.jp:443",)])
def test_a_host_is_named_with_or_without_the_port_of_https(hosts: tuple[str, ...]) -> None:
    named = SsfTransmitter(push_hosts=hosts)
    assert named.push_fault("https://gw.example.jp/x?y") is None
    assert named.push_fault("https://gw.example.jp:443/") is None
    assert named.push_fault("https://gw.example.jp:8443/") is not None
    assert named.push_fault("https://sub.gw.example.jp/") is not None


@pytest.mark.parametrize(
    "url", ["http://pdp.example.jp", "https://pdp.example.jp/", "https://a@b", "https://b?x", "pdp"]
)
def test_an_issuer_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        check_issuer(url)


@pytest.mark.parametrize("url", [" https://gw.example.jp/", "https://gw.example.jp/a b", "https://gw.example.jp/ "])
def test_a_url_with_a_blank_is_refused(url: str) -> None:
    """What reads it for the check leaves a blank before it out, and what connects does not."""
    fault = SsfTransmitter(push_hosts=("gw.example.jp",)).push_fault(url)
    assert fault is not None
    assert "blank" in fault


async def test_a_url_that_only_the_check_can_read_is_a_failure(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SsfTransmitter, "push_fault", lambda *_: None)
    outcome = await PushClient(settings(receiver)).push(Wish("push", "https://[gw.example.jp]/"), "a.e30.c")
    assert (outcome.word, outcome.fault) == ("failed", "its URL cannot be read")
