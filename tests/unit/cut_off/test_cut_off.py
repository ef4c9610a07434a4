"""What gateways pull: addresses with an end, lost devices and whose they are; entity tags; who may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pdp.callers.caller import Caller
from pdp.cut_off.desk import NAMES, CutOffDesk
from pdp.cut_off.entries import NOBODY, CutOff, addresses, canonical
from pdp.cut_off.register import cut_off, entries, lift
from pdp.errors import BadRequestError, NotAuthenticatedError, NotFoundError, NotReadyError
from pdp.model.directory import Device, Snapshot, snapshot_of
from pdp.store.store import Store
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.empty_store import empty_store

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
GATEWAY = Caller("prisma", frozenset({"read_cut_off"}))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = empty_store(tmp_path)
    yield opened
    opened.close()


class Scene:
    def __init__(self, store: Store) -> None:
        self.now = NOW
        self.caller: Caller | None = GATEWAY
        self.snapshot: Snapshot | None = snapshot_of(epoch=1)
        self.stale = False
        self.desk = CutOffDesk(self.introduce, store, self, lambda: self.now)

    async def introduce(self, _: HttpRequest) -> Caller:
        if self.caller is None:
            raise NotAuthenticatedError("nobody")
        return self.caller

    def current(self) -> Snapshot:
        if self.snapshot is None:
            raise NotReadyError("no directory has been read yet")
        return self.snapshot

    def is_stale(self) -> bool:
        return self.stale

    async def get(self, name: str, known: str | None = None) -> HttpAnswer:
        headers = () if known is None else (("if-none-match", known),)
        return await self.desk.answer(HttpRequest("GET", f"/edl/{name}", "", headers), name)


def entry(number: int, address: str, hours: int = 1) -> CutOff:
    return CutOff(f"c{number}", address, "不審な通信", "sato", NOW, NOW + timedelta(hours=hours))


async def test_an_address_is_on_the_list_at_once_and_off_it_at_its_end(store: Store) -> None:
    scene = Scene(store)
    before = await scene.get("cut-off")
    assert before.body == f"{NOBODY}\n".encode()
    cut_off(store, entry(1, "203.0.113.7"))
    cut_off(store, entry(2, "203.0.113.0/24", hours=2))
    cut_off(store, entry(3, "2001:db8::7", hours=2))
    during = await scene.get("cut-off", known=dict(before.headers)["etag"])
    assert (during.status, during.body) == (200, b"203.0.113.0/24\n2001:db8::7/128\n")
    scene.now = NOW + timedelta(hours=2)
    assert (await scene.get("cut-off")).body == before.body


async def test_what_is_known_is_not_sent_again(store: Store) -> None:
    scene = Scene(store)
    tag = dict((await scene.get("cut-off")).headers)["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await scene.get("cut-off", known=known)
        assert (answer.status, answer.body) == (304, b"")
        assert dict(answer.headers)["etag"] == tag
    cut_off(store, entry(1, "203.0.113.7"))
    assert (await scene.get("cut-off", known=tag)).status == 200


async def test_lost_devices_their_certificates_and_their_people_follow_the_directory(store: Store) -> None:
    scene = Scene(store)
    assert (await scene.get("cut-off-devices")).body == b""
    scene.snapshot = snapshot_of(
        epoch=2,
        devices=[
            Device("PC-1", "managed_pc", owner="u1", state="lost", certificate_sha256="ab" * 32),
            Device("PC-2", "managed_pc", owner="u2"),
            Device("PC-3", "byod_phone", owner="u1", state="lost_unconfirmed_found"),
            Device("PC-4\nPC-2", "managed_pc", owner="u 3\r", state="lost"),
        ],
    )
    assert (await scene.get("cut-off-devices")).body == b"PC-1\nPC-3\n"  # an id of two lines is no entry
    assert (await scene.get("cut-off-certificates")).body == b"ab" * 32 + b"\n"
    assert (await scene.get("cut-off-people")).body == b"u1\n"


async def test_a_list_that_cannot_be_made_is_an_error_and_never_an_empty_list(store: Store) -> None:
    scene = Scene(store)
    scene.snapshot = None
    assert (await scene.get("cut-off-devices")).status == 503
    assert (await scene.get("cut-off")).status == 200


async def test_a_directory_that_nobody_could_confirm_is_an_error_and_never_not_modified(store: Store) -> None:
    """Attack: of two workers the one that lost its database answers an older list, or that nothing has changed."""
    scene = Scene(store)
    scene.snapshot = snapshot_of(devices=[Device("PC-1", "managed_pc", state="lost")], epoch=2)
    tag = dict((await scene.get("cut-off-devices")).headers)["etag"]
    scene.stale = True
    for known in (None, tag):
        assert (await scene.get("cut-off-devices", known)).status == 503
    assert (await scene.get("cut-off")).status == 200, "the addresses come from the store itself"


async def test_whoever_may_not_pull_gets_nothing(store: Store) -> None:
    scene = Scene(store)
    scene.caller = Caller("other", frozenset({"decide"}))
    assert [(await scene.get(name)).status for name in NAMES] == [403] * len(NAMES)
    scene.caller = None
    assert (await scene.get("cut-off")).status == 401
    scene.caller = GATEWAY
    assert (await scene.get("../secret")).status == 404


def test_who_lifts_an_address_stands_beside_who_cut_it_off(store: Store) -> None:
    cut_off(store, entry(1, "203.0.113.7"))
    lift(store, "c1", "suzuki", NOW)
    assert entries(store, NOW) == []
    (kept,) = entries(store)
    assert (kept.by, kept.lifted_by, kept.lifted_at) == ("sato", "suzuki", NOW)
    with pytest.raises(NotFoundError):
        lift(store, "c1", "suzuki", NOW)


@pytest.mark.parametrize(
    "address",
    ["", "0.0.0.0/0", "10.0.0.0/8", "::/0", "203.0.113.1/24", "127.0.0.1", "224.0.0.1", "pc.example.jp", "1.2.3"],
)
def test_what_is_no_address_or_cuts_off_too_many_is_refused(address: str) -> None:
    with pytest.raises(BadRequestError):
        canonical(address)


@pytest.mark.parametrize(
    "broken",
    [
        CutOff("c", "203.0.113.7", " ", "sato", NOW, NOW + timedelta(hours=1)),
        CutOff("c", "203.0.113.7", "x", "sato", NOW, NOW),
        CutOff("c", "203.0.113.7", "x", "sato", NOW, NOW + timedelta(days=400)),
    ],
)
def test_an_entry_has_a_reason_and_an_end(store: Store, broken: CutOff) -> None:
    with pytest.raises(BadRequestError):
        cut_off(store, broken)
    assert entries(store) == []


def test_networks_that_lie_within_another_are_not_listed_twice() -> None:
    held = [
        entry(1, "203.0.113.0/24"),
        entry(2, "203.0.113.128/25"),
        entry(3, "203.0.114.1/32"),
        entry(4, "2001:db8::/48"),
    ]
    assert addresses(held, NOW) == ["203.0.113.0/24", "203.0.114.1/32", "2001:db8::/48"]
