"""One worker of a host has a space made by a process of its own; what goes wrong in it hinders nobody."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.errors import EngineError, SpaceError
from pdp.space.keeping import Shelf, dumped, file_of, found_space, key_of, sealed
from pdp.table.keeper import TableKeeper
from pdp.table.making import Order, make
from pdp.table.spaces import KeptSpaces
from tests.spaces import POLICIES
from tests.unit.space.policy import bundle_of
from tests.unit.table.town import OFFICE, Town, bundle, space_with

pytestmark = pytest.mark.anyio

SECRET = b"s" * 32
DEADLINE_S = 60  # of what takes a second on a processor with nothing else to do


class Host:
    """A folder of spaces and its secret; `worker` is one more worker of it."""

    def __init__(self, place: Path, secret: bytes = SECRET) -> None:
        self.refused = 0
        self.secret_file = place / "spaces.key"
        self.secret_file.write_bytes(secret)
        self.shelf = Shelf(place / "spaces", secret, self._refuse)

    def _refuse(self) -> None:
        self.refused += 1

    def worker(self) -> KeptSpaces:
        return KeptSpaces(self.shelf, self.secret_file)

    def keep(self, of: Bundle, text: bytes) -> Path:
        self.shelf.folder.mkdir(exist_ok=True)
        file = file_of(self.shelf, of)
        file.write_bytes(text)
        return file

    def files(self) -> list[str]:
        return sorted(file.name for file in self.shelf.folder.iterdir())


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    yield Host(tmp_path)
    assert making_children() == [], "a process was left behind"


def making_children() -> list[int]:
    """Processes of ours that count a policy out."""
    return children_of(os.getpid(), b"pdp.table.making_child")


def children_of(process: int, program: bytes) -> list[int]:
    found = []
    for one in Path("/proc").iterdir():
        if one.name.isdecimal():
            try:
                parent = int((one / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                command = (one / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == process and program in command:
                found.append(int(one.name))
    return found


def are_there(*processes: int) -> bool:
    return any(Path(f"/proc/{process}").exists() for process in processes)


async def a_making_child() -> int:
    async with asyncio.timeout(DEADLINE_S):
        while not (found := making_children()):  # noqa: ASYNC110  # a process of the system, which tells nobody
            await asyncio.sleep(0.01)
    return found[0]


async def test_two_workers_have_one_space_made_and_both_find_it(host: Host) -> None:
    of = bundle_of('fine if input.context.zone == "office"')
    first = asyncio.create_task(host.worker().space(of))
    await a_making_child()
    assert await host.worker().space(of) is None, "somebody makes it"
    assert len(making_children()) == 1
    made = await first
    found = await host.worker().space(of)
    assert made is not None and found is not None
    assert dumped(made) == dumped(found)
    assert made.outcomes() == {"allow": 1, "deny": 5}
    assert host.files() == sorted([file_of(host.shelf, of).name, "making.lock"])


async def test_a_file_that_is_not_ours_is_noticed_and_the_space_made_anew(host: Host) -> None:
    """Attack: whoever can write into the folder puts a wider policy's answers there."""
    of = bundle("a")
    text, key = dumped(space_with(of, OFFICE)), key_of(of)
    good = sealed(text, key, SECRET)
    host.keep(of, good)
    assert await host.worker().space(of) is not None
    wide = text.replace(b'\\"deny\\"', b'\\"allow\\"')
    assert wide != text
    for forged in (
        b"",
        b"\n",
        text,
        good[:-1],
        good + b" ",
        good + b"\x00" * 1_000_000,
        good.replace(b"deny", b"denY"),
        good[:64] + b"\n" + wide,
        sealed(wide, key, b"o" * 32),
        sealed(text, "0" * 64, SECRET),
        bytes(1_000),
    ):
        host.keep(of, forged)
        before = host.refused
        assert found_space(host.shelf, of) is None
        assert host.refused == before + 1


async def test_a_damaged_file_is_replaced_by_a_space_that_was_made_anew(host: Host) -> None:
    of = bundle_of('fine if input.context.zone == "office"')
    file = host.keep(of, b"0" * 64 + b"\n{}")
    made = await host.worker().space(of)
    assert made is not None and host.refused > 0
    assert file.read_bytes() == sealed(dumped(made), key_of(of), SECRET)


async def test_what_one_worker_doubts_is_thrown_away_and_doubted_by_all_until_the_counting_is_another(
    host: Host,
) -> None:
    of, other = bundle_of('fine if input.context.zone == "office"'), bundle_of('fine if input.context.zone == "sase"')
    await host.worker().space(of)
    assert not await host.worker().doubted(of)
    for _ in range(2):
        host.worker().doubt(of)
    assert not file_of(host.shelf, of).exists()
    assert [await host.worker().doubted(one) for one in (of, other)] == [True, False]


async def test_a_rule_that_cannot_be_counted_out_is_told_with_its_place(host: Host) -> None:
    of = bundle_of("fine if count(input.context.risk) == 2")
    with pytest.raises(SpaceError, match=r"context\.risk") as refused:
        await host.worker().space(of)
    assert refused.value.where == "pdp.rego:6:15"
    assert host.files() == ["making.lock"]


async def test_a_folder_that_cannot_be_written_is_a_fault_of_this_time(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.shelf.folder.write_text("a file in its place")
    with pytest.raises(EngineError, match="cannot be written"):
        await host.worker().space(bundle("a"))
    of = bundle("a")
    good = sealed(dumped(space_with(of, OFFICE)), key_of(of), SECRET)
    host.shelf.folder.unlink()
    host.keep(of, good)
    (host.shelf.folder / "making.lock").mkdir()  # root may write where nobody may: a folder is no lock for anybody
    assert await host.worker().space(of) is not None, "what is kept can be read"
    with pytest.raises(EngineError, match="cannot be written"):
        await host.worker().space(bundle("b"))


async def test_a_secret_that_is_gone_is_a_fault_of_this_time(host: Host) -> None:
    of = bundle_of('fine if input.context.zone == "office"')
    host.secret_file.unlink()
    with pytest.raises(EngineError, match="cannot be kept"):
        await host.worker().space(of)


async def test_a_process_that_is_killed_hinders_the_next_one_in_nothing(host: Host) -> None:
    of = bundle_of('fine if input.context.zone == "office"')
    making = asyncio.create_task(host.worker().space(of))
    os.kill(await a_making_child(), signal.SIGKILL)
    with pytest.raises(EngineError, match="ended without an answer"):
        await making
    assert host.files() == ["making.lock"]
    assert await host.worker().space(of) is not None


async def test_a_process_that_takes_too_long_or_too_much_is_ended(host: Host) -> None:
    of = read_bundle(POLICIES)
    order = Order(of.canonical.decode(), str(host.shelf.folder), str(host.secret_file))
    with pytest.raises(EngineError, match=r"within 0\.05 seconds"):
        await make(order, make_s=0.05)
    assert making_children() == []
    with pytest.raises((EngineError, SpaceError)):
        await make(order, memory_bytes=32 * 1024 * 1024)


async def test_the_end_of_the_service_ends_the_process_and_all_that_it_started(host: Host) -> None:
    of = read_bundle(POLICIES)  # which takes ten seconds
    keeper = TableKeeper(Town(), lambda: of, host.worker(), settled_s=0)
    async with keeper.following():
        child = await a_making_child()
        async with asyncio.timeout(DEADLINE_S):
            while not (evaluators := children_of(child, b"pdp.engine.regorus_child")):  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
    assert making_children() == []
    async with asyncio.timeout(DEADLINE_S):
        while are_there(child, *evaluators):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    assert not [name for name in host.files() if name.endswith(".part")]
    assert keeper.status().state == "making"
