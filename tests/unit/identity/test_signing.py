"""Our signing keys: one file, one key set for all workers, rotated without a moment in which nobody can verify."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from jose import jwk, jwt

from pdp.errors import SettingsError
from pdp.identity.signing import AHEAD, SigningKeys, rotate_keys

NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Clock:
    """Monotonic seconds that a test moves, so that the file is looked at again."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def opened(path: Path, clock: Clock | None = None) -> SigningKeys:
    return SigningKeys(path, lambda: NOW, clock or Clock())


def verified(token: str, keys: SigningKeys, at: datetime) -> bool:
    """Whether somebody who fetched our key set at `at` can verify."""
    kid = jwt.get_unverified_header(token)["kid"]
    fitting = [key for key in keys.published(at) if key["kid"] == kid]
    return len(fitting) == 1 and jwt.decode(token, jwk.construct(fitting[0]), algorithms=["RS256"])["a"] == 1


def test_a_first_start_makes_one_key_that_signs_at_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys.json"
    keys = opened(path)
    assert verified(keys.sign({"a": 1}, NOW), keys, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]
    assert all(set(key) == {"kid", "use", "alg", "e", "kty", "n"} for key in keys.published(NOW)), "nothing private"


def test_starts_at_the_same_moment_have_the_same_key(tmp_path: Path) -> None:
    together = Barrier(3)

    def start(_: int) -> str:
        together.wait()
        return opened(tmp_path / "keys.json").published(NOW)[0]["kid"]

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(start, range(3)))) == 1


def test_through_a_rotation_every_answer_can_be_verified_with_an_older_key_set(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.json", Clock()
    keys = opened(path, clock)
    before = keys.published(NOW)[0]["kid"]
    old, new = rotate_keys(path, NOW)
    assert (old.kid, new.signs_from) == (before, NOW + AHEAD)
    clock.seconds += 2
    at = NOW
    for _ in range(20):
        token = keys.sign({"a": 1}, at)
        fetched = max(NOW, at - timedelta(minutes=10))
        assert verified(token, keys, fetched), at
        at += timedelta(minutes=10)
    assert [key["kid"] for key in keys.published(at)] == [new.kid]


def test_threads_that_sign_around_a_rotation_never_mix_a_key_and_the_name_of_another(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.json", Clock()
    keys = opened(path, clock)
    rotate_keys(path, NOW)
    clock.seconds += 2
    keys.sign({"a": 1}, NOW + AHEAD)
    new = keys._read_key

    class Meanwhile(tuple[str, Any]):
        """Another thread signs with the new key, just as this one has looked at the name of the old."""

        __slots__ = ()

        def __getitem__(self, at: Any) -> Any:
            keys._read_key = new
            return super().__getitem__(at)

    keys.sign({"a": 1}, NOW)
    assert keys._read_key is not None
    keys._read_key = Meanwhile(keys._read_key)
    assert verified(keys.sign({"a": 1}, NOW), keys, NOW)


def test_a_rotation_is_known_without_a_restart_and_not_asked_for_at_each_signature(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.json", Clock()
    keys = opened(path, clock)
    rotate_keys(path, NOW)
    assert len(keys.published(NOW)) == 1
    clock.seconds += 2
    assert len(keys.published(NOW)) == 2


def test_a_second_rotation_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    opened(path)
    rotate_keys(path, NOW)
    with pytest.raises(SettingsError, match="waiting"):
        rotate_keys(path, NOW + AHEAD / 2)
    assert len(rotate_keys(path, NOW + 3 * AHEAD)) == 2, "the first key is gone, the third waits"


@pytest.mark.parametrize(
    "held", [b"", b"{}", b'{"keys":[]}', b'{"keys":[{"kid":"x","pem":"secret","signs_from":"2026-01-01T00:00:00Z"}]}']
)
def test_a_damaged_file_is_told_without_its_content_and_kept(tmp_path: Path, held: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(held)
    with pytest.raises(SettingsError) as told:
        opened(path)
    assert "secret" not in str(told.value)
    assert path.read_bytes() == held


@pytest.mark.parametrize("harm", ["remove", "damage"])
def test_a_file_that_is_lost_while_serving_leaves_the_keys_in_memory(tmp_path: Path, harm: str) -> None:
    path, clock = tmp_path / "keys.json", Clock()
    keys = opened(path, clock)
    path.unlink()
    if harm == "damage":
        path.write_bytes(b"{")
    clock.seconds += 2
    assert verified(keys.sign({"a": 1}, NOW), keys, NOW)


def test_a_clock_that_was_set_back_still_signs(tmp_path: Path) -> None:
    keys = opened(tmp_path / "keys.json")
    assert verified(keys.sign({"a": 1}, NOW - timedelta(days=1)), keys, NOW)
