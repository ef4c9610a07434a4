"""What a manifest calls removed is gone by retention only where the signed trail says so."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pdp.archive.retention import Terms, batches, carry_out, names_of, naming, plan
from pdp.archive.store import LocalStore
from pdp.commands.wholeness import Wholeness, examine
from pdp.declog.lock import try_lock
from pdp.proving import TRAIL
from pdp.trail.event import Actor, encode_event, event_of
from pdp.trail.reading import newest_events
from pdp.transparency.notary import Notary
from pdp.transparency.seal import read_seal, write_seal
from tests.unit.archive.logs import Worker
from tests.unit.commands.conftest import only_json
from tests.unit.declog.disks import HastyDisk
from tests.unit.declog.samples import START, uuid7_at
from tests.unit.transparency.notaries import ORIGIN, anchored, notary_at, signer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pdp.archive.entries import StoredFile
    from pdp.archive.retention import Step

TERMS = Terms(12, 36)
ASKED = {"apply": True, "hot_months": 12, "archive_months": 36}
LATER = START + timedelta(days=5 * 366)  # retention is due
SOON = START + timedelta(days=30)
GONE = 10  # records


@contextmanager
def notary(root: Path, origin: str) -> Iterator[Notary]:
    made = notary_at(root, key=signer(1, origin), origin=origin)
    try:
        yield made
    finally:
        made.close()


def locked(log: Path, worker: str) -> None:
    for name in ("start.lock", f"local.{worker}.lock"):
        (log / "locks" / name).touch()


@dataclass
class World:
    """A signed decision log with three stored segments in a file each, an anchor that knows its head, and a trail."""

    state: Path

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.state / "decisions", disk=HastyDisk(), rows_per_file=GONE)

    def sign(self, name: str) -> None:
        with notary(self.state / name, ORIGIN if name == "decisions" else ORIGIN + TRAIL) as signing:
            note = signing.turn().note
        (self.state / name / "locks" / "local.proof").touch()
        if name == "decisions":
            anchored(self.state / "anchor", note)

    def tell(self, asked: dict[str, Any], at: datetime = LATER, outcome: Any = "begun") -> None:
        event = event_of(
            uuid7_at(at), at, Actor(kind="os_user", id="cron"), "audit.retention", outcome, parameters=asked
        )
        worker = Worker(self.state / "trail", "c0", at)
        worker.write([encode_event(event)])
        worker.seal()
        locked(self.state / "trail", "c0")

    def named(self, steps: list[Step] | None = None) -> dict[str, Any]:
        return ASKED | {"files": names_of(self.store, steps or plan(self.store, TERMS, LATER))}

    def retain(self) -> None:
        with self.store.held():
            carry_out(self.store, plan(self.store, TERMS, LATER), TERMS, LATER)

    def oldest(self) -> StoredFile:
        return self.store.manifest.files()[-1]

    def change(self, *statements: str) -> None:
        """In the manifest, and its seal again: what somebody with the service's rights can do."""
        store = self.store
        path = store.place.manifest
        seal = read_seal(path)
        assert seal is not None
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        write_seal(store.disk, path, seal.number + 1, "whole")

    def take(self, tier: str = "removed") -> StoredFile:
        """The attack: a retention that never happened."""
        file, store = self.oldest(), self.store
        names = [str(segment.name) for segment in store.manifest.segments_of(file.name)]
        self.change(
            f"UPDATE files SET tier = '{tier}' WHERE name = '{file.name}'",
            f"UPDATE segments SET ndjson_removed_at = 1 WHERE file = '{file.name}'",
        )
        for path in (store.rows_path(file), store.hourly_path(file)):
            path.unlink()
        for name in names:
            for path in store.layout.segments.glob(f"{name}*"):
                path.unlink()
        return file

    def look(self, **others: Any) -> Wholeness:
        anchors = [self.state / "anchor"] if (self.state / "anchor").exists() else []
        return examine(self.state / "decisions", trail=self.state / "trail", anchors=anchors, **others)

    def breaks(self, **others: Any) -> list[tuple[str, str, int]]:
        return [(f.kind, f.segment, f.at) for f in self.look(**others).breaks]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state without and with its signatures."""
    root = tmp_path_factory.mktemp("made")
    filled(World(root / "unsigned"), START)
    shutil.copytree(root / "unsigned", root / "signed")
    signed = World(root / "signed")
    signed.sign("decisions")
    assert signed.breaks() == []
    return root


@pytest.fixture
def unsigned(made: Path, tmp_path: Path) -> World:
    return World(shutil.copytree(made / "unsigned", tmp_path / "state"))


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    return World(shutil.copytree(made / "signed", tmp_path / "state"))


def filled(world: World, start: datetime) -> World:
    worker = Worker(world.state / "decisions", start=start)
    for _ in range(3):
        worker.segment(GONE)
    worker.begin()
    store = world.store
    with store.held():
        store.publish(store.waiting(), start)
    locked(world.state / "decisions", "w0")
    return world


@pytest.mark.parametrize("tier", ["removed", "replaced"])
def test_a_retention_that_never_happened_is_a_break(world: World, tier: str):
    file = world.take(tier)
    assert world.breaks() == [("unfounded_removal", file.name, GONE)]


def test_a_log_without_its_trail_proves_no_removal(world: World):
    world.tell(world.named())
    world.sign("trail")
    world.retain()
    shutil.rmtree(world.state / "trail")
    assert {kind for kind, _, _ in world.breaks()} == {"unfounded_removal"}


def test_a_segment_that_is_called_damaged_and_is_gone_is_missing(world: World):
    """The store gives no damaged segment back, so nothing but its file shows what was in it."""
    name = world.store.manifest.segments_of(world.oldest().name)[0].name
    world.change(f"UPDATE segments SET whole = 0, header = NULL, ndjson_removed_at = 1 WHERE name = '{name}'")
    for path in world.store.layout.segments.glob(f"{name}*"):
        path.unlink()
    assert ("missing_segment", str(name)) in {(kind, which) for kind, which, _ in world.breaks()}


@pytest.mark.parametrize("outcome", ["begun", "done"])
def test_a_retention_that_the_signed_trail_names_is_sound_also_where_it_died_on_its_way(world: World, outcome: str):
    world.tell(world.named(), outcome=outcome)
    world.sign("trail")
    world.retain()
    assert world.store.manifest.files() == []
    assert world.breaks() == []


def test_an_event_that_no_head_is_over_proves_nothing_yet(world: World):
    world.sign("decisions")
    world.tell(world.named())
    world.retain()
    assert {kind for kind, _, _ in world.breaks()} == {"unsigned_removal"}
    world.sign("trail")
    assert world.breaks() == []


def test_beside_a_living_notary_it_is_looked_at_again_once_that_has_signed(world: World):
    world.tell(world.named())
    world.retain()
    lock = try_lock(world.state / "decisions" / "locks" / "local.proof")
    assert lock is not None
    try:
        assert world.breaks(pause=lambda _: world.sign("trail")) == []
    finally:
        lock.release()


def test_an_event_that_was_written_into_a_signed_trail_afterwards_proves_nothing(world: World):
    world.tell({"apply": False})
    world.sign("trail")
    world.tell(world.named(), LATER + timedelta(minutes=1))
    file = world.take()
    assert world.breaks() == [("unsigned_removal", file.name, GONE)]


@pytest.mark.parametrize(
    "asked", [{"apply": False}, {"files": []}, {"files": ["x"]}, {"files": 1}, {"hot_months": "1"}]
)
def test_an_event_that_names_something_else_proves_nothing(world: World, asked: dict[str, Any]):
    world.tell(world.named() | asked)
    world.sign("trail")
    file = world.take()
    assert world.breaks() == [("unfounded_removal", file.name, GONE)]


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_an_event_of_what_did_not_come_to_pass_proves_nothing(world: World, outcome: str):
    world.tell(world.named(), outcome=outcome)
    world.sign("trail")
    file = world.take()
    assert world.breaks() == [("unfounded_removal", file.name, GONE)]


def test_an_event_whose_terms_leave_the_records_where_they_are_proves_nothing(world: World):
    world.tell(world.named(), at=SOON)
    world.sign("trail")
    file = world.take()
    assert world.breaks() == [("unfounded_removal", file.name, GONE)]


def test_no_segment_can_be_moved_into_a_file_that_was_removed_in_truth(world: World):
    steps = plan(world.store, TERMS, LATER)
    world.tell(world.named(steps[:1]))
    world.sign("trail")
    with world.store.held():
        carry_out(world.store, steps[:1], TERMS, LATER)
    assert world.breaks() == []
    victim = world.oldest()
    world.change(f"UPDATE segments SET file = '{steps[0].file.name}' WHERE file = '{victim.name}'")
    assert ("unfounded_removal", steps[0].file.name, 2 * GONE) in world.breaks()


def test_an_event_of_an_earlier_version_proves_what_its_terms_cover(world: World):
    world.tell(ASKED)
    world.sign("trail")
    world.retain()
    assert world.breaks() == []


def test_an_event_of_an_earlier_version_proves_nothing_that_was_younger_than_its_terms(world: World):
    world.tell(ASKED, at=SOON)
    world.sign("trail")
    file = world.take()
    assert world.breaks() == [("unfounded_removal", file.name, GONE)]


def test_what_a_manifest_counts_as_empty_is_covered_by_no_terms(world: World):
    world.tell(ASKED, at=SOON)
    world.sign("trail")
    file = world.take()
    world.change(f"UPDATE segments SET records = 0 WHERE file = '{file.name}'")
    assert world.breaks() == [("unfounded_removal", file.name, GONE)]


def test_where_nobody_signs_a_removal_without_an_event_is_told_and_is_no_break(unsigned: World):
    file = unsigned.take()
    assert unsigned.breaks() == []
    assert ("unproven_removal", file.name) in {(f.kind, f.segment) for f in unsigned.look().findings}
    unsigned.tell(unsigned.named([]) | {"files": [named_again(unsigned, file)]})
    assert "unproven_removal" not in {f.kind for f in unsigned.look().findings}


def named_again(world: World, file: StoredFile) -> str:
    return naming(file.name, (str(segment.name) for segment in world.store.manifest.segments_of(file.name)))


def test_the_command_names_each_file_in_the_trail_before_it_removes_it(pdp, tmp_path: Path):
    (tmp_path / "pdp.toml").write_text('node = "local"\n')
    world = filled(World(tmp_path / "var"), datetime(2020, 1, 1, tzinfo=UTC))
    world.sign("decisions")
    named = set(names_of(world.store, plan(world.store, TERMS, datetime.now(UTC))))
    said = only_json(pdp("audit", "retention", "--apply", "--state-dir", world.state, "--json"))
    assert [step["what"] for step in said["files"]] == ["remove"] * 3
    done, begun = newest_events(world.state / "trail", 2)
    assert (begun.outcome, done.outcome, done.rows) == ("begun", "done", 3 * GONE)
    assert set(begun.parameters["files"]) == named
    world.sign("trail")
    verified = pdp("audit", "verify", "--state-dir", world.state)
    assert verified.exit_code == 0, verified.stdout


def test_the_command_tells_why_a_removal_is_believed_by_nobody(pdp, world: World):
    file = world.take()
    for lang, words in (("en", "no event of the trail"), ("ja", "証跡")):
        result = pdp("audit", "verify", "--state-dir", world.state, "--lang", lang)
        assert result.exit_code == 1
        assert file.name in result.stdout and words in result.stdout


def test_a_long_list_of_removals_is_told_in_several_events(world: World):
    steps = plan(world.store, TERMS, LATER)
    assert batches([], 2) == [[]]
    assert batches(steps, 2) == [steps[:2], steps[2:]]
    assert batches(steps, 3) == [steps]
