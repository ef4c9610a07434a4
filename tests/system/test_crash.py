"""A small instance of `python -m tests.crash`: kills of the service, and simulated power cuts of a whole log."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.crash import cuts, kills
from tests.crash.journal import Entry
from tests.crash.power import BLOCK, Disk
from tests.crash.shim import NoCompilerError, build

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def _compiler(tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        build(tmp_path_factory.mktemp("compiler"))
    except NoCompilerError as fault:
        pytest.skip(str(fault))
    except subprocess.CalledProcessError as fault:
        pytest.fail(fault.stderr.decode())


@pytest.mark.parametrize(("name", "cuts_made"), [("removed", 5), ("spill", 8)])
def test_a_power_cut_at_any_moment_takes_no_answer_and_leaves_a_whole_log(tmp_path: Path, name: str, cuts_made: int):
    plan = cuts.PLANS[name]
    tally = cuts.campaign(plan, tmp_path, runs=1, cuts=cuts_made, records=160, seed=random.randrange(1 << 30))
    assert (tally.cuts, tally.lost, tally.faults) == (cuts_made, 0, [])
    assert tally.answered > 0


def test_a_disk_that_says_it_has_synced_and_has_not_is_seen_to_lose_answers(tmp_path: Path):
    plan = cuts.PLANS["lying"]
    tally = cuts.campaign(plan, tmp_path, runs=1, cuts=12, records=160, seed=random.randrange(1 << 30))
    assert tally.lost > 0


def test_a_service_killed_in_parts_and_as_a_whole_keeps_every_answer(tmp_path: Path):
    tally = kills.campaign(
        tmp_path, kills=2, workers=1, durability="process", seed=random.randrange(1 << 30), clients=2, pause_s=0.01
    )
    assert (tally.kills.total(), tally.lost, tally.breaks) == (2, [], [])
    assert tally.decisions > 0
    assert tally.records >= tally.decisions


# -- what the simulation itself may lose, and what not ------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def changed(op: str, path: str = "", data: bytes = b"", inode: int = 7, offset: int = 0, token: int = 0) -> Entry:
    return Entry(op, path, data, inode, offset, token)


def made_durably(disk: Disk, root: int) -> None:
    disk.take(changed("C", "file"))
    disk.take(changed("F", inode=root, token=1))
    disk.take(changed("f", inode=root, token=1))


def possible(disk: Disk) -> set[bytes | None]:
    """What the file may be after a cut; None: it is not there."""
    dice = random.Random(1)
    return {disk.after_cut(dice).get("file") for _ in range(300)}


def test_only_a_sync_that_has_ended_keeps_what_was_written_before_it_began(disk: Disk, tmp_path: Path):
    made_durably(disk, tmp_path.stat().st_ino)
    disk.take(changed("W", data=b"one"))
    disk.take(changed("F", token=2))
    disk.take(changed("W", data=b"two", offset=3))
    assert b"" in possible(disk)
    disk.take(changed("f", token=2))
    found = possible(disk)
    assert {b"one", b"onetw", b"onetwo"} <= found
    assert all(content is not None and content.startswith(b"one") for content in found)


def test_a_name_is_lost_until_its_directory_is_synced(disk: Disk, tmp_path: Path):
    disk.take(changed("C", "file"))
    assert possible(disk) == {None, b""}
    root = tmp_path.stat().st_ino
    disk.take(changed("F", inode=root, token=1))
    disk.take(changed("f", inode=root, token=1))
    assert possible(disk) == {b""}
    disk.take(changed("U", "file"))
    assert possible(disk) == {None, b""}


def test_a_later_block_may_be_there_and_an_earlier_one_not(disk: Disk, tmp_path: Path):
    made_durably(disk, tmp_path.stat().st_ino)
    disk.take(changed("W", data=b"a" * BLOCK + b"b" * BLOCK))
    assert bytes(BLOCK) + b"b" * BLOCK in possible(disk)


def test_a_renamed_file_has_one_of_its_names_and_never_both(disk: Disk, tmp_path: Path):
    made_durably(disk, tmp_path.stat().st_ino)
    disk.take(changed("R", "file", b"other"))
    dice = random.Random(1)
    assert {frozenset(disk.after_cut(dice)) for _ in range(50)} == {frozenset({"file"}), frozenset({"other"})}
