"""The secret that the workers of one host share."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from pdp.errors import SettingsError
from pdp.main import _shared_key

AT_ONCE = 4


def test_the_key_is_made_once_and_is_the_same_ever_after(tmp_path: Path) -> None:
    path = tmp_path / "state" / "page-token.key"
    first = _shared_key(path)
    assert (len(first), _shared_key(path), path.read_bytes()) == (32, first, first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["page-token.key"], "nothing is left aside"


def test_two_places_have_two_keys(tmp_path: Path) -> None:
    assert _shared_key(tmp_path / "a") != _shared_key(tmp_path / "b")


@pytest.mark.parametrize("held", [b"", b"x" * 31, b"x" * 33])
def test_a_damaged_key_is_told_and_never_used(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "key").write_bytes(held)
    with pytest.raises(SettingsError, match="damaged"):
        _shared_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == held
