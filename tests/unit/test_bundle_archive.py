from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from pdp.activation import Activation
from pdp.bundle.bundle import bundle_of_canonical, make_bundle, read_bundle
from pdp.bundle_archive import BundleArchive
from pdp.declog.disk import PosixDisk
from pdp.engine.regorus import RegorusEngine
from pdp.errors import BundleError, NotReadyError, RecordDamagedError
from tests.unit.replaying.world import PLAIN, policy

ROOT = Path(__file__).parents[2]


def file_of(root: Path, digest: str) -> Path:
    return root / f"{digest}.json"


@pytest.mark.parametrize("place", ["policies", "tests/conformance/authzen/bundle"])
def test_what_is_kept_decides_as_what_was_kept_and_its_name_is_its_sha256(tmp_path: Path, place: str):
    bundle = read_bundle(ROOT / place)
    archive = BundleArchive(tmp_path / "deep" / "bundles")
    archive.keep(bundle)
    path = file_of(tmp_path / "deep" / "bundles", bundle.digest)
    assert sha256(path.read_bytes()).hexdigest() == bundle.digest
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = archive.load(bundle.digest)
    assert again == replace(bundle, tests={}, capabilities={})
    assert again.canonical == bundle.canonical


def test_it_lists_what_it_keeps_and_says_what_is_damaged(tmp_path: Path):
    archive = BundleArchive(tmp_path)
    assert archive.entries() == []
    assert BundleArchive(tmp_path / "nowhere").entries() == []
    for bundle in (policy("one"), policy("two", least=3), PLAIN):
        archive.keep(bundle)
    path = file_of(tmp_path, PLAIN.digest)
    path.write_bytes(path.read_bytes() + b" ")
    (tmp_path / "notes.json").write_text("{}")
    found = {one.digest: one for one in archive.entries()}
    assert {one.revision for one in found.values()} == {"one", "two", None}
    assert found[PLAIN.digest].damaged
    assert found[policy("one").digest].profile == "zta"


def test_keeping_twice_writes_once(tmp_path: Path):
    archive = BundleArchive(tmp_path)
    archive.keep(policy())
    path = file_of(tmp_path, policy().digest)
    before = path.stat()
    archive.keep(policy())
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_several_workers_at_once_leave_one_whole_file(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(BundleArchive(tmp_path / "bundles").keep, policy()) for _ in range(8)]
    for worker in workers:
        worker.result()
    assert BundleArchive(tmp_path / "bundles").load(policy().digest).revision == "one"
    assert sorted(path.name for path in (tmp_path / "bundles").iterdir()) == [f"{policy().digest}.json", "lock"]


def test_what_a_process_left_that_died_while_it_wrote_is_no_hindrance(tmp_path: Path):
    (tmp_path / f"{policy().digest}.json.tmp").write_bytes(b"half")
    BundleArchive(tmp_path).keep(policy())
    assert BundleArchive(tmp_path).load(policy().digest) == policy()


def test_an_altered_file_is_refused_and_put_aside_when_the_policy_is_kept_again(tmp_path: Path):
    archive = BundleArchive(tmp_path)
    archive.keep(policy())
    path = file_of(tmp_path, policy().digest)
    altered = path.read_bytes().replace(b"auth_level <", b"auth_level >")
    path.write_bytes(altered)
    with pytest.raises(RecordDamagedError, match=policy().digest):
        archive.load(policy().digest)
    archive.keep(policy())
    assert archive.load(policy().digest) == policy()
    (aside,) = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == altered


@pytest.mark.parametrize("digest", ["../../etc/passwd", "", "AB" * 32, "ab" * 31, "a" * 63 + "/"])
def test_a_digest_of_a_record_leads_nowhere_else(tmp_path: Path, digest: str):
    with pytest.raises(NotReadyError):
        BundleArchive(tmp_path).load(digest)


def test_what_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(NotReadyError, match="ab" * 32):
        BundleArchive(tmp_path).load("ab" * 32)


def test_a_digest_that_is_not_that_of_the_contents_is_not_kept(tmp_path: Path):
    with pytest.raises(BundleError):
        BundleArchive(tmp_path).keep(replace(policy(), digest="ab" * 32))
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"manifest":1,"modules":{},"data":{}}', b'{"manifest":{},"modules":{"a":1},"data":{}}',
             b'{"data":{},"manifest":{},"modules":{}}', b"\xff"],
)  # fmt: skip
def test_another_text_is_no_bundle(text: bytes):
    with pytest.raises(BundleError):
        bundle_of_canonical(text)


class FullDisk(PosixDisk):
    def write(self, descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:10])
        raise OSError(28, "No space left on device")


@pytest.mark.anyio
async def test_a_policy_that_cannot_be_archived_does_not_become_active(tmp_path: Path):
    """Nobody could recompute what it decided; the one before it goes on."""
    engine = RegorusEngine(timedelta(seconds=20))
    try:
        archive = BundleArchive(tmp_path)
        activation = Activation(engine, archive)
        await activation.activate(PLAIN)
        full = Activation(engine, BundleArchive(tmp_path, disk=FullDisk()))
        other = make_bundle(manifest=PLAIN.manifest | {"revision": "next"}, modules=PLAIN.modules, data={})
        with pytest.raises(NotReadyError, match="No space left"):
            await full.activate(other)
        assert not full.is_active()
        assert await engine.evaluate([b"{}"], digest=PLAIN.digest) == [b"false"]
        assert [one.revision for one in archive.entries()] == ["plain"]
    finally:
        await engine.close()
