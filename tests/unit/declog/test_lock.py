"""A lock that is waited for: had when it is free, and a word of the caller's where it is not in time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pdp.declog.lock import held_lock, try_lock
from pdp.errors import NotReadyError

LATE = NotReadyError("somebody else is at it")


def test_a_lock_that_is_held_for_too_long_is_refused_in_the_words_of_whoever_waits(tmp_path: Path) -> None:
    with held_lock(tmp_path / "lock", wait_s=0.0, late=LATE):
        for wait_s in (0.0, 0.05):
            with (
                pytest.raises(NotReadyError, match="somebody else is at it"),
                held_lock(tmp_path / "lock", wait_s=wait_s, late=LATE),
            ):
                raise AssertionError
    with held_lock(tmp_path / "lock", wait_s=0.0, late=LATE):
        assert try_lock(tmp_path / "lock") is None


def test_a_lock_is_had_as_soon_as_it_is_free_and_let_go_of_whatever_happens(tmp_path: Path) -> None:
    first = try_lock(tmp_path / "lock")
    assert first is not None
    release = threading.Timer(0.05, first.release)
    release.start()
    with pytest.raises(KeyError), held_lock(tmp_path / "lock", wait_s=60.0, late=LATE):
        raise KeyError
    release.join()
    again = try_lock(tmp_path / "lock")
    assert again is not None
    again.release()
