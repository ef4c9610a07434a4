"""One worker of a host has a table made by a process of its own; what goes wrong in it hinders nobody, nor for ever."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.errors import EngineError, SpaceError
from pdp.space.keeping import Shelf, key_of, sealed
from pdp.space.keeping import dumped as dumped_space
from pdp.table import laid, making
from pdp.table.keeper import TableKeeper
from pdp.table.kept import KeptTables, _alone, found_table, keep_table, key_of_table
from pdp.table.making import Order, make
from pdp.table.marks import Attempt
from tests.spaces import POLICIES
from tests.unit.space.policy import bundle_of
from tests.unit.table.town import OFFICE, Town, bundle, document, space_with

pytestmark = pytest.mark.anyio

SECRET = b"s" * 32
DEADLINE_S = 60  # of what takes a second on a processor with nothing else to do
ZONED = 'fine if input.context.zone == "office"'


class Host:
    """A folder of tables and its secret; `worker` is one more worker of it."""

    def __init__(self, place: Path, secret: bytes = SECRET) -> None:
        self.refused = 0
        self.secret = secret
        self.shelf = Shelf(place / "spaces", secret, self._refuse)
        self.folder = self.shelf.folder
        self.now = time.time()

    def _refuse(self) -> None:
        self.refused += 1

    def worker(self) -> KeptTables:
        return KeptTables(self.folder, self.secret, clock=lambda: self.now)

    def file(self, of: Bundle, kind: str = "table") -> Path:
        return self.folder / f"{key_of_table(of.digest)}.{kind}"

    def keep(self, of: Bundle, text: bytes) -> Path:
        self.folder.mkdir(exist_ok=True)
        self.file(of).write_bytes(text)
        return self.file(of)

    def good(self, of: Bundle) -> bytes:
        """A kept table, as it stands in its file."""
        keep_table(self.shelf, space_with(of, OFFICE))
        return self.file(of).read_bytes()

    def order(self, of: Bundle) -> Order:
        return Order(of.canonical.decode(), str(self.folder), self.secret)

    def files(self) -> list[str]:
        return sorted(file.name for file in self.folder.iterdir())

    def kinds(self) -> list[str]:
        return sorted(file.suffix for file in self.folder.iterdir())


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


# Made once, found by all.


async def test_two_workers_have_one_table_made_and_both_find_it(host: Host) -> None:
    of = bundle_of(ZONED)
    first = asyncio.create_task(host.worker().table(of))
    await a_making_child()
    assert await host.worker().table(of) is None, "somebody makes it"
    assert len(making_children()) == 1
    made = await first
    found = await host.worker().table(of)
    assert made is not None and found is not None
    assert made.documents == found.documents
    assert made.table.digest == found.table.digest == of.digest
    told = made.table.answer(document("office"))
    assert told is not None and json.loads(told)["outcome"] == "allow"
    assert [made.table.answer(one) for one in made.documents] == [found.table.answer(one) for one in made.documents]
    assert host.kinds() == [".json", ".lock", ".table"], "the space for `pdp bundle prove`; no attempt is noted"


async def test_two_services_without_a_common_lock_make_it_twice_and_neither_reads_half_of_it(host: Host) -> None:
    """As in two containers whose lock file somebody removed in between: same names, same process numbers."""
    of = bundle_of(ZONED)
    first = asyncio.create_task(host.worker().table(of))
    await a_making_child()
    for left in ("making.lock", host.file(of, "attempt").name):
        (host.folder / left).unlink()
    second = await host.worker().table(of)
    made = await first
    assert made is not None and second is not None
    assert made.documents == second.documents
    assert [name for name in host.files() if name.endswith(".part")] == []


async def test_whoever_is_cancelled_while_it_waits_for_the_disk_does_not_keep_the_lock(host: Host) -> None:
    async def take() -> bool:
        async with _alone(host.folder) as alone:
            return alone

    for _ in range(20):
        taking = asyncio.create_task(take())
        await asyncio.sleep(0)  # a thread has it now, and nobody hears of it
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
        async with asyncio.timeout(DEADLINE_S):
            while not await take():  # noqa: ASYNC110  # another process's view of it: nobody tells
                await asyncio.sleep(0.01)


async def test_whoever_is_cancelled_while_it_takes_the_lock_does_not_keep_it(host: Host) -> None:
    of, worker = bundle_of(ZONED), host.worker()
    for turns in range(12):
        taking = asyncio.create_task(worker.table(of))
        for _ in range(turns):
            await asyncio.sleep(0.002)
        taking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await taking
    async with asyncio.timeout(DEADLINE_S):
        found = None
        while found is None:
            try:
                found = await worker.table(of)
            except EngineError:  # it was noted that an attempt did not come to its end
                host.now += 3600


# What stands in the folder.


async def test_a_file_that_is_not_ours_is_noticed(host: Host) -> None:
    """Attack: whoever can write into the folder puts a wider policy's answers there."""
    of = bundle("a")
    good = host.good(of)
    assert await host.worker().table(of) is not None
    text, key = good.partition(b"\n")[2], key_of_table(of.digest)
    wide = text.replace(b'\\"deny\\"', b'\\"allow\\"')
    assert wide != text
    space = dumped_space(space_with(of, OFFICE))
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
        sealed(text, key_of_table("0" * 64), SECRET),
        sealed(host.good(bundle("b")).partition(b"\n")[2], key, SECRET),
        sealed(space, key_of(of), SECRET),
        sealed(space, key, SECRET),
        sealed(msgspec.json.encode({"digest": of.digest}), key, SECRET),
        bytes(1_000),
    ):
        host.keep(of, forged)
        before = host.refused
        assert found_table(host.shelf, of.digest) is None
        assert host.refused == before + 1


async def test_a_table_of_another_architecture_has_the_same_bytes(host: Host) -> None:
    """Nothing in it depends on the machine: text and whole numbers, and the same in each run."""
    assert host.good(bundle("a")).partition(b"\n")[2].isascii()
    assert host.good(bundle("a")) == host.good(bundle("a"))


@pytest.mark.parametrize("what", ["pipe", "folder", "link to itself", "link to the endless", "huge", "unreadable"])
async def test_what_is_no_file_of_ours_holds_nobody_up_and_is_replaced_where_it_can_be(
    host: Host, what: str, operators_log: io.StringIO
) -> None:
    of = bundle_of(ZONED)
    file = host.keep(of, b"")
    file.unlink()
    if what == "pipe":
        os.mkfifo(file)
    elif what == "folder":
        file.mkdir()
    elif what == "link to itself":
        file.symlink_to(file)
    elif what == "link to the endless":
        file.symlink_to("/dev/zero")
    elif what == "huge":
        with file.open("wb") as huge:
            huge.truncate(1 << 40)
    else:
        file.write_bytes(host.good(of))
        file.chmod(0)
    async with asyncio.timeout(DEADLINE_S):
        if what == "folder":
            with pytest.raises(EngineError, match="cannot be kept: Is a directory"):
                await host.worker().table(of)
            assert [name for name in host.files() if name.endswith(".part")] == []
        else:
            assert await host.worker().table(of) is not None
            assert file.is_file() and not file.is_symlink()
    if what != "unreadable" or os.geteuid() != 0:
        assert "was not sealed here" in operators_log.getvalue()


async def test_a_file_that_is_replaced_cut_or_removed_under_a_worker_concerns_it_no_more(host: Host) -> None:
    """No page of it is mapped: there is no SIGBUS."""
    of = bundle("a")
    host.good(of)
    found = await host.worker().table(of)
    os.truncate(host.file(of), 10)
    assert found is not None and all(found.table.answer(one) for one in found.documents)
    host.file(of).unlink()
    assert found.table.answer(document("office")) is not None


async def test_a_table_that_is_too_wide_for_every_worker_is_refused_where_it_is_laid_out(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = bundle("a")
    for limit, value in (("MAX_NODES", 2), ("MAX_BYTES", 1_000)):
        with monkeypatch.context() as narrow:
            narrow.setattr(laid, limit, value)
            with pytest.raises(SpaceError, match=rf"the table would have \d+ (nodes|bytes), and .*{value}"):
                host.good(of)
    assert not host.folder.exists()
    assert host.good(of)


async def test_what_was_left_behind_is_removed_and_the_newest_tables_are_kept(host: Host) -> None:
    host.folder.mkdir()
    now = time.time()
    for name, age in (("a.1.part", 7_200), ("b.2.part", -7_200), ("c.3.part", 10), ("x.doubted", 10**8)):
        (host.folder / name).write_bytes(b"x" * 100)
        os.utime(host.folder / name, (now - age, now - age))
    policies = [bundle(f"p{number}") for number in range(12)]
    for number, one in enumerate(policies):
        host.good(one)
        os.utime(host.file(one), (now - 1_000 + number, now - 1_000 + number))
        if number >= 1:
            assert await host.worker().table(policies[1]) is not None, "what is used stays"
    left = [number for number, one in enumerate(policies) if host.file(one).exists()]
    assert left == [1, 5, 6, 7, 8, 9, 10, 11]
    assert [name for name in host.files() if not name.endswith(".table")] == ["c.3.part", "x.doubted"]


# Doubts.


async def test_what_one_worker_doubts_is_thrown_away_and_doubted_by_all_until_the_counting_is_another(
    host: Host,
) -> None:
    of, other = bundle("a"), bundle("b")
    host.good(of)
    assert not await host.worker().doubted(of.digest)
    for _ in range(2):
        await host.worker().doubt(of.digest)
    assert not host.file(of).exists()
    assert [await host.worker().doubted(one.digest) for one in (of, other)] == [True, False]


async def test_a_doubt_is_marked_where_the_folder_was_removed_or_says_that_it_cannot_be(host: Host) -> None:
    of = bundle("a")
    await host.worker().doubt(of.digest)
    assert await host.worker().doubted(of.digest)
    host.file(of, "doubted").unlink()
    host.folder.rmdir()
    host.folder.write_text("a file in its place")
    with pytest.raises(EngineError, match="cannot be written"):
        await host.worker().doubt(of.digest)


# What goes wrong while it is made, and when it is tried again.


async def test_a_rule_that_cannot_be_counted_out_is_told_with_its_place_to_every_worker_and_counted_once(
    host: Host,
) -> None:
    of = bundle_of("fine if count(input.context.risk) == 2")
    for _ in range(3):
        with pytest.raises(SpaceError, match=r"context\.risk") as refused:
            await host.worker().table(of)
        assert refused.value.where == "pdp.rego:6:15"
        made = host.file(of, "attempt").stat().st_mtime_ns
    assert host.kinds() == [".attempt", ".lock"]
    host.now += 3_600
    with pytest.raises(SpaceError):
        await host.worker().table(of)
    assert host.file(of, "attempt").stat().st_mtime_ns == made, "not each hour"


async def test_a_folder_that_cannot_be_written_is_a_fault_of_this_time(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.folder.write_text("a file in its place")
    with pytest.raises(EngineError, match="cannot be written"):
        await host.worker().table(bundle("a"))
    host.folder.unlink()
    host.good(bundle("a"))
    (host.folder / "making.lock").mkdir()  # root may write where nobody may: a folder is no lock for anybody
    assert await host.worker().table(bundle("a")) is not None, "what is kept can be read"
    with pytest.raises(EngineError, match="cannot be written"):
        await host.worker().table(bundle("b"))


async def test_a_process_that_is_killed_at_any_instant_hinders_the_next_one_in_nothing(host: Host) -> None:
    of = bundle_of(ZONED)
    for wait_s in (0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2):
        attempt = asyncio.create_task(host.worker().table(of))
        child = await a_making_child()
        await asyncio.sleep(wait_s)
        try:
            os.kill(child, signal.SIGKILL)
        except ProcessLookupError:
            break
        try:
            assert await attempt is not None, "it had just kept it"
            break
        except EngineError as fault:
            assert fault.message == "the process that counts out ended without an answer, by SIGKILL"
        if host.file(of).exists():
            break  # it had kept it, and could not say so
        with pytest.raises(EngineError, match="by SIGKILL"):  # to each worker of the host
            await KeptTables(host.folder, SECRET).table(of)
        host.now += 3_600
    assert await host.worker().table(of) is not None
    assert [name for name in host.files() if name.endswith((".part", ".attempt"))] == []


async def test_failures_are_held_back_for_the_whole_host_and_ever_longer(host: Host) -> None:
    made = 0

    async def failing(order: Order) -> None:
        nonlocal made
        made += 1
        raise EngineError("no memory")

    workers = [KeptTables(host.folder, SECRET, clock=lambda: host.now, making=failing) for _ in range(4)]
    begun, tried = host.now, []
    while host.now < begun + 15_000:
        for worker in workers:
            before = made
            with pytest.raises(EngineError, match="no memory"):
                await worker.table(bundle("a"))
            if made > before:
                tried.append(host.now - begun)
                os.utime(host.file(bundle("a"), "attempt"), (host.now, host.now))
        host.now += 30
    assert tried == [0, 30, 90, 210, 450, 930, 1890, 3810, 7410, 11010, 14610]


async def test_a_clock_that_was_ahead_holds_nobody_back_for_longer(host: Host) -> None:
    of = bundle_of(ZONED)
    host.folder.mkdir()
    host.file(of, "attempt").write_bytes(msgspec.json.encode(Attempt(1, "once")))
    later = host.now + 10**8
    os.utime(host.file(of, "attempt"), (later, later))
    assert await host.worker().table(of) is not None


@pytest.mark.parametrize("noted", [b"", b"{}", b"{", b'{"tries":0}', b'{"tries":1e9}', b'{"tries":99,"lasting":1}'])
async def test_a_note_that_nobody_of_us_wrote_holds_nobody_back(host: Host, noted: bytes) -> None:
    of = bundle_of(ZONED)
    host.folder.mkdir()
    host.file(of, "attempt").write_bytes(noted)
    assert await host.worker().table(of) is not None


def a_service(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A process of ours that is no part of this one."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


async def test_a_container_that_is_ended_with_all_its_processes_decides_next_time_before_it_tries_again(
    host: Host,
) -> None:
    """A kernel that ends a whole container for its memory would otherwise do so at each start."""
    of = read_bundle(POLICIES)
    service = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from pdp.bundle.bundle import read_bundle\n"
        "from pdp.table.kept import KeptTables\n"
        f"asyncio.run(KeptTables(Path({str(host.folder)!r}), {SECRET!r}).table(read_bundle(Path({str(POLICIES)!r}))))\n"
    )
    with a_service(service) as process:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not (children := children_of(process.pid, b"pdp.table.making_child")):  # noqa: ASYNC110  # as above
                    await asyncio.sleep(0.01)
        finally:
            process.kill()
    async with asyncio.timeout(DEADLINE_S):
        while are_there(*children):  # noqa: ASYNC110  # as above
            await asyncio.sleep(0.01)
    with pytest.raises(EngineError, match="was ended together with the service"):
        await host.worker().table(of)
    assert making_children() == []
    assert host.kinds() == [".attempt", ".lock"]


async def test_a_process_that_takes_too_long_or_too_much_is_ended(host: Host) -> None:
    order = host.order(read_bundle(POLICIES))
    with pytest.raises(EngineError, match=r"within 0\.05 seconds"):
        await make(order, make_s=0.05)
    assert making_children() == []
    with pytest.raises((EngineError, SpaceError)):
        await make(order, memory_bytes=32 * 1024 * 1024)


async def test_a_process_that_hangs_is_ended_at_its_time_and_the_reason_is_told_to_all(host: Host) -> None:
    async def impatient(order: Order) -> None:
        await make(order, make_s=1.0)

    of = read_bundle(POLICIES)
    attempt = asyncio.create_task(KeptTables(host.folder, SECRET, making=impatient).table(of))
    os.kill(await a_making_child(), signal.SIGSTOP)
    with pytest.raises(EngineError, match="within 1 seconds"):
        await attempt
    assert making_children() == []
    with pytest.raises(EngineError, match="within 1 seconds"):
        await host.worker().table(of)


async def test_a_full_disk_is_told_and_leaves_nothing_behind(host: Host) -> None:
    """Here a limit on the size of files; the process that counts out has it from its parent."""
    of = bundle_of(ZONED)
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "import asyncio\n"
        "from pathlib import Path\n"
        "from pdp.table.making import Order, make\n"
        "from pdp.errors import EngineError\n"
        "try:\n"
        "    asyncio.run(make(Order(sys.argv[2], sys.argv[1], b's' * 32)))\n"
        "except EngineError as fault:\n"
        "    print(fault.message)\n"
    )
    with a_service(program, str(host.folder), of.canonical.decode()) as process:
        told, _ = await asyncio.to_thread(process.communicate, timeout=DEADLINE_S)
    assert told.decode().strip() == "the table cannot be kept: File too large"
    assert host.files() == []


async def test_the_process_is_the_first_to_go_where_memory_is_short(host: Host) -> None:
    attempt = asyncio.create_task(host.worker().table(read_bundle(POLICIES)))
    child = await a_making_child()
    score = Path(f"/proc/{child}/oom_score_adj")
    async with asyncio.timeout(DEADLINE_S):
        while score.read_text(encoding="ascii") != "1000\n":  # noqa: ASYNC110, ASYNC240  # as above
            await asyncio.sleep(0.01)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt


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
    assert host.files() == ["making.lock"], "and the next start tries at once"
    assert keeper.status().state == "making"
    assert making.NICE == 19
