"""`pdp replay` over a log that the composed service wrote: real policies, both engines, an OPA server."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from bench.documents import request_of
from bench.prefecture import stream_of
from pdp.callers.caller import PERMISSIONS, Caller
from pdp.declog.reader import records_of
from pdp.declog.record import encode_record, read_record
from pdp.declog.segments import SegmentLog
from pdp.directory.demo import write_demonstration
from pdp.main import compose, new_id
from pdp.parts import bundle_archive, open_directory, utc_now
from pdp.settings import Settings, load_settings
from tests.servers import opa_server
from tests.unit.archive.test_store import publish, store_at

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

POLICIES = Path(__file__).parents[2] / "policies"
DECISIONS = 400
RANGE = ("--since", "2026-01-01T00:00:00Z", "--until", "2999-01-01T00:00:00Z")


def changed_policy(place: Path, revision: str, change: tuple[str, str] | None = None) -> Path:
    """A copy of the policies under another revision, and with a fact about the deployment changed."""
    shutil.copytree(POLICIES, place)
    manifest = place / ".manifest"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"revision": revision}))
    if change is not None:
        changed = 0
        for path in place.rglob("*.rego"):
            text = path.read_text()
            changed += change[0] in text
            path.write_text(text.replace(*change))
        assert changed
    return place


async def decide(settings: Settings, count: int) -> None:
    async with compose(settings) as service:
        now = utc_now()
        caller = Caller("gateway-1", PERMISSIONS)
        for question in stream_of(service.directory.current(), now, count).questions:
            await service.checkpoint.decide(request_of(question), caller)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Decisions under two revisions; the first part is stored as Parquet, the second is fresh."""
    place = tmp_path_factory.mktemp("replay")
    state = place / "var"
    settings = load_settings(environ={}, state_dir=str(state), unsafe_no_caller_auth=True, log_proof="off")
    settings = msgspec.structs.replace(settings, decision_table="off")
    store = open_directory(settings)
    write_demonstration(store, utc_now())
    store.close()
    asyncio.run(decide(settings, DECISIONS))
    publish(store_at(state / "decisions"))
    second = changed_policy(place / "second", "second")
    asyncio.run(decide(msgspec.structs.replace(settings, bundle=str(second)), DECISIONS // 2))
    return state


@pytest.fixture(scope="module")
def opa() -> Iterator[str]:
    with opa_server() as server:
        yield server.url


def pdp(*arguments: str | Path) -> Result:
    from pdp.cli import app

    return CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(app, [str(one) for one in arguments])


def test_two_revisions_stored_and_fresh_come_out_the_same_on_both_engines(state: Path, opa: str):
    found = pdp("replay", *RANGE, "--state-dir", state, "--engine", "both", "--opa-url", opa, "--json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert said["engines"] == ["regorus", "opa"]
    assert said["records"] == said["recomputed"]["equal"] == DECISIONS + DECISIONS // 2
    assert said["recomputed"]["engines_disagree"] == 0
    assert {one["revision"] for one in said["bundles"]} == {
        json.loads((POLICIES / ".manifest").read_text())["revision"],
        "second",
    }
    assert said["evaluated"] < said["records"]


def test_each_bundle_that_was_active_is_kept_and_one_decision_is_replayed_from_it(state: Path):
    listed = json.loads(pdp("bundle", "archive", "--state-dir", state, "--json").stdout)
    assert listed[0]["revision"] == "second"
    assert len(listed) == 2 and not any(one["damaged"] for one in listed)
    store = store_at(state / "decisions")
    table = pq.read_table(store.rows_path(store.manifest.files()[0]))
    stored = str(table["id"][0].as_py())
    found = pdp("replay", "--id", stored, "--state-dir", state, "--json")
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["equal"]


def test_a_draft_is_held_against_the_log_and_is_no_failure(state: Path, tmp_path: Path):
    draft = changed_policy(tmp_path / "draft", "draft", ("not path_encrypted", "path_encrypted"))
    out = tmp_path / "changes.jsonl"
    found = pdp("replay", *RANGE, "--state-dir", state, "--against", draft, "--out", out, "--json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert said["against"] == "draft"
    assert sum(said["transitions"].values()) == said["recomputed"]["different"] == len(out.read_text().splitlines()) > 0
    people = pdp("replay", *RANGE, "--state-dir", state, "--against", draft, "--lang", "ja")
    assert "draft" in people.stdout


def test_a_forged_record_is_found_by_both_engines_and_an_absent_policy_is_named(state: Path, opa: str, tmp_path: Path):
    copy = tmp_path / "var"
    shutil.copytree(state, copy)
    records = [
        read_record(body) for path in (copy / "decisions" / "segments").glob("*.ndjson") for _, body in records_of(path)
    ]
    denied = next(record for record in records if record.outcome == "deny" and record.bundle_digest)
    forged = msgspec.structs.replace(denied, id=new_id(), outcome="allow", reasons=["OK"])

    async def forge() -> None:
        log = SegmentLog(copy / "decisions", "w9", clock=lambda: datetime.now(UTC))
        await log.append(encode_record(forged))
        await log.close()

    asyncio.run(forge())
    found = pdp("replay", *RANGE, "--state-dir", copy, "--engine", "both", "--opa-url", opa, "--json")
    assert found.exit_code == 1, found.output
    (difference,) = json.loads(found.stdout)["differences"]
    assert difference["ids"] == [forged.id]
    assert {one["outcome"] for one in difference["recomputed"].values()} == {"deny"}
    people = pdp("replay", *RANGE, "--state-dir", copy)
    assert people.exit_code == 1
    assert "there are decisions that differ" in people.stdout
    second = next(one for one in bundle_archive(load_settings(environ={}, state_dir=str(copy))).entries()
                  if one.revision == "second")  # fmt: skip
    (copy / "bundles" / f"{second.digest}.json").unlink()
    missing = pdp("replay", *RANGE, "--state-dir", copy, "--revision", "second", "--json")
    assert missing.exit_code == 3
    assert json.loads(missing.stdout)["missing_bundles"][0]["digest"] == second.digest


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--id", "019af2c0-6d2e-7a51-9d0c-1f7c3a2b4d5e", *RANGE),
        ("--since", "2026-01-01T00:00:00Z"),
        ("--since", "yesterday", "--until", "today"),
        (*RANGE, "--outcome", "perhaps"),
    ],
)
def test_what_cannot_be_asked_is_told(state: Path, arguments: tuple[str, ...]):
    assert pdp("replay", *arguments, "--state-dir", state).exit_code == 2


def test_a_time_without_decisions_is_equal(state: Path):
    early = datetime(2020, 1, 1, tzinfo=UTC)
    found = pdp(
        "replay", "--since", early.isoformat(), "--until", (early + timedelta(days=1)).isoformat(), "--state-dir", state
    )
    assert found.exit_code == 0, found.output
