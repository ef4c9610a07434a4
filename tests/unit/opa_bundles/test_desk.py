"""The bundle that other OPAs pull: who may, entity tags, and waiting for a change."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from pdp.bundle.bundle import Bundle
from pdp.callers.caller import Caller
from pdp.errors import NotAuthenticatedError, NotReadyError
from pdp.opa_bundles.desk import MAX_WAITING, BundleDesk
from pdp.opa_bundles.tarball import pack
from pdp.revisions.files import bundle_of
from pdp.revisions.statement import read_signing_key
from pdp.wire.exchange import HttpAnswer, HttpRequest
from tests.revision_files import key_pair, policy

pytestmark = pytest.mark.anyio

PULLER = Caller("other-opa", frozenset({"read_bundles"}))


class Scene:
    def __init__(self) -> None:
        self.bundle: Bundle | None = bundle_of(policy("v1"))
        self.caller: Caller | None = PULLER
        self.desk = BundleDesk(self.introduce, self.active, lambda: None)

    async def introduce(self, _: HttpRequest) -> Caller:
        if self.caller is None:
            raise NotAuthenticatedError("nobody")
        return self.caller

    def active(self) -> Bundle:
        if self.bundle is None:
            raise NotReadyError("no policy is active")
        return self.bundle

    async def get(self, name: str = "policy.tar.gz", **headers: str) -> HttpAnswer:
        pairs = tuple((key.replace("_", "-"), value) for key, value in headers.items())
        return await self.desk.answer(HttpRequest("GET", f"/bundles/{name}", "", pairs), name)


def header(answer: HttpAnswer, name: str) -> str:
    return dict(answer.headers)[name]


def contents(body: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(body))) as archive:
        found = {}
        for entry in archive.getmembers():
            file = archive.extractfile(entry)
            assert file is not None
            found[entry.name.lstrip("/")] = file.read()
            assert (entry.mtime, entry.uid, entry.uname) == (0, 0, "")
    return found


async def test_what_decides_is_served_without_its_tests_and_is_not_sent_twice() -> None:
    scene = Scene()
    answer = await scene.get()
    assert answer.status == 200
    found = contents(answer.body)
    assert set(found) == {".manifest", "data.json", "house/house.rego"}
    assert json.loads(found[".manifest"])["revision"] == "v1"
    etag = header(answer, "etag")
    for known in (etag, f"W/{etag}", f'"x", {etag}', etag.strip('"')):
        again = await scene.get(if_none_match=known)
        assert (again.status, again.body) == (304, b"")
    scene.bundle = bundle_of(policy("v2"))
    assert (await scene.get(if_none_match=etag)).status == 200


async def test_whoever_may_not_pull_gets_nothing() -> None:
    scene = Scene()
    assert (await scene.get("other.tar.gz")).status == 404
    scene.caller = Caller("x", frozenset({"decide", "policy_read"}))
    assert (await scene.get()).status == 403
    scene.caller = None
    assert (await scene.get()).status == 401
    scene.caller, scene.bundle = PULLER, None
    assert (await scene.get()).status == 503


async def test_a_long_poll_ends_with_the_change_that_it_waits_for() -> None:
    scene = Scene()
    etag = header(await scene.get(), "etag")
    waiting = asyncio.create_task(scene.get(if_none_match=etag, prefer="modes=snapshot,delta;wait=60"))
    await asyncio.sleep(0)
    assert not waiting.done()
    scene.bundle = bundle_of(policy("v2"))
    async with asyncio.timeout(30):
        answer = await waiting
    assert answer.status == 200
    assert header(answer, "content-type") == "application/vnd.openpolicyagent.bundles"


async def test_a_long_poll_without_a_change_ends_and_says_so() -> None:
    scene = Scene()
    etag = header(await scene.get(), "etag")
    assert (await scene.get(if_none_match=etag, prefer="wait=1")).status == 304
    assert (await scene.get(prefer="modes=snapshot;wait=60")).status == 200, "who knows nothing does not wait"


async def test_there_is_an_end_to_how_many_wait() -> None:
    scene = Scene()
    etag = header(await scene.get(), "etag")
    waiting = [asyncio.create_task(scene.get(if_none_match=etag, prefer="wait=60")) for _ in range(MAX_WAITING)]
    for _ in range(5):
        await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert (await scene.get(if_none_match=etag, prefer="wait=60")).status == 304
    scene.bundle = bundle_of(policy("v2"))
    async with asyncio.timeout(30):
        assert {answer.status for answer in await asyncio.gather(*waiting)} == {200}


def test_equal_policies_give_equal_bytes_and_a_signature_names_every_file(tmp_path: Path) -> None:
    bundle = bundle_of(policy("v1"))
    assert pack(bundle, None) == pack(bundle_of(policy("v1")), None)
    (tmp_path / "p256").write_bytes(key_pair("ES256")[0])
    (tmp_path / "ed").write_bytes(key_pair()[0])
    signed = pack(bundle, read_signing_key(str(tmp_path / "p256")))
    assert signed.etag == pack(bundle, read_signing_key(str(tmp_path / "p256"))).etag != pack(bundle, None).etag
    assert set(contents(signed.body)) == {".manifest", ".signatures.json", "data.json", "house/house.rego"}
    assert pack(bundle, read_signing_key(str(tmp_path / "ed"))) == pack(bundle, None), "OPA verifies no Ed25519"
