"""The secrets that the workers of one host share, each in a file that the first of them makes."""

from __future__ import annotations

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from pdp.errors import SettingsError
from pdp.parts import shared_key
from pdp.privacy import pseudonym
from pdp.transparency import signer

AT_ONCE = 4
TRIES = 25  # a race that is lost half of the time is not won so often


def test_the_key_is_made_once_and_is_the_same_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "state" / "page-token.key"
    first = shared_key(path)
    assert (len(first), shared_key(path), path.read_bytes()) == (32, first, first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path], "nothing is left aside"


@pytest.mark.parametrize("make", [shared_key, pseudonym.make_key_file, signer.make_key_file])
def test_a_key_that_is_there_is_read_and_nothing_is_written(make: Callable[[Path], object], tmp_path: Path) -> None:
    """A start on a disk that is full."""
    make(tmp_path / "key")
    first, before = (tmp_path / "key").read_bytes(), tmp_path.stat().st_mtime_ns
    make(tmp_path / "key")
    assert ((tmp_path / "key").read_bytes(), tmp_path.stat().st_mtime_ns) == (first, before)


def test_two_places_have_two_keys(tmp_path: Path) -> None:
    assert shared_key(tmp_path / "a") != shared_key(tmp_path / "b")


@pytest.mark.parametrize("held", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_key_is_told_and_never_used(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "key").write_bytes(held)
    with pytest.raises(SettingsError, match="damaged"):
        shared_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == held


def test_starts_at_the_same_moment_get_one_key(tmp_path: Path) -> None:
    """Workers of one host, and containers that share the state directory: there every process id is 1."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(TRIES):
            together, path = Barrier(AT_ONCE), tmp_path / str(number)

            def start(_: int, together: Barrier = together, path: Path = path) -> bytes:
                together.wait()
                return shared_key(path)

            assert len(set(pool.map(start, range(AT_ONCE)))) == 1
