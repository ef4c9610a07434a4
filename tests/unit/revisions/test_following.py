"""How a worker follows what is of record: real registers, and an engine that can refuse."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from pdp.activation import Former
from pdp.bundle.bundle import Bundle
from pdp.bundle_archive import BundleArchive
from pdp.errors import BundleError, ConflictError, DirectoryError, EngineError, NotReadyError, SekishoError
from pdp.model.directory import Emergency, Period, snapshot_of
from pdp.revisions.activations import Activations
from pdp.revisions.files import bundle_of
from pdp.revisions.following import CONFIRM, Ground, PolicyFollower
from pdp.revisions.instances import Instances
from pdp.revisions.last_good import LastGood
from pdp.revisions.lease import Lease
from pdp.revisions.loading import RETRY
from pdp.revisions.person import People
from pdp.revisions.register import Revisions
from pdp.revisions.sealing import Sealing
from pdp.revisions.statement import read_keys, read_signing_key
from pdp.revisions.warning import Served
from pdp.store import tables
from pdp.store.store import Store, open_store
from tests.revision_files import APPROVER, AUTHOR, FINE, NOW, OPERATOR, WHY, key_pair, policy, zta_policy

pytestmark = pytest.mark.anyio

CONFIGURED = bundle_of(policy("configured"))
HOUR = timedelta(hours=1)


@dataclass
class Engine:
    """Simulates `pdp.activation.Activation`: keeps what it activates, and can refuse by name."""

    archive: BundleArchive
    refuses: dict[str, SekishoError] = field(default_factory=dict)
    served: list[str] = field(default_factory=list)
    former: Former | None = None
    beside: SekishoError | None = None  # why no second engine can be had

    async def activate(self, bundle: Bundle, former: Former | None = None) -> None:
        if bundle.revision in self.refuses:
            raise self.refuses[bundle.revision]
        if former is not None and self.beside is not None:
            raise self.beside
        self.former = former
        await asyncio.to_thread(self.archive.keep, bundle)
        self.served.append(bundle.revision)


class Scene:
    def __init__(self, place: Path, store: Store, *, signed: bool = False) -> None:
        self.place, self.store = place, store
        self.now = NOW
        private, public = key_pair()
        (place / "key.pem").write_bytes(private)
        (place / "key.pub").write_bytes(public)
        self.sealing = Sealing()
        if signed:
            key = read_signing_key(str(place / "key.pem"))
            self.sealing = Sealing(lambda: read_keys([str(place / "key.pub")]), lambda: key)
        people = People()
        self.revisions = Revisions(store, people, self.sealing, warn_max_days=31)
        self.activations = Activations(store, people, self.sealing, warn_max_days=31)
        self.instances = Instances(store)
        self.failed: list[str] = []
        self.engine = Engine(BundleArchive(place / "bundles"))
        self.lease = Lease(HOUR)

    def follower(self, name: str = "node-1/1", **changes: Any) -> PolicyFollower:
        ground = Ground(
            activations=self.activations,
            instances=self.instances,
            activator=self.engine,
            archive=self.engine.archive,
            last_good=LastGood(self.place / "policy"),
            keys=self.sealing.keys,
            clock=lambda: self.now,
            lease=self.lease,
            instance=name,
            failed=self.failed.append,
        )
        return PolicyFollower(replace(ground, **changes))

    async def started(self, **changes: Any) -> PolicyFollower:
        follower = self.follower(**changes)
        await follower.start(lambda: CONFIGURED)
        return follower

    def activate(self, name: str, **policies: Any) -> int:
        made = self.revisions.create(AUTHOR, policy(name, **policies), WHY, self.now)
        self.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, self.now)
        self.revisions.submit(AUTHOR, made.number, WHY, self.now)
        self.revisions.approve(APPROVER, made.number, WHY, self.now)
        self.activations.activate(OPERATOR, made.number, WHY, self.now)
        return made.number

    def tamper(self, **values: Any) -> None:
        table = tables.policy_activations
        epoch = self.activations.look(self.now)[0]
        with self.store.write() as connection:
            connection.execute(update(table).where(table.c.epoch == epoch).values(**values))

    def later(self, **by: int) -> datetime:
        self.now += timedelta(**by)
        return self.now


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "sekisho.db"
    store = open_store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    return path


@pytest.fixture
def store(tmp_path: Path, template: Path) -> Iterator[Store]:
    shutil.copy(template, tmp_path / "sekisho.db")
    store = open_store(f"sqlite:///{tmp_path / 'sekisho.db'}")
    yield store
    store.close()


@pytest.fixture
def scene(tmp_path: Path, store: Store) -> Scene:
    return Scene(tmp_path, store)


@pytest.fixture
def signed(tmp_path: Path, store: Store) -> Scene:
    return Scene(tmp_path, store, signed=True)


async def test_where_nobody_has_activated_anything_the_configured_bundle_decides_and_nothing_is_written(
    scene: Scene,
) -> None:
    follower = await scene.started()
    await follower.refresh()
    scene.later(days=30)
    await follower.refresh()
    assert scene.engine.served == ["configured"]
    assert follower.status.epoch == 0
    assert not follower.is_over()
    assert not (scene.place / "policy").exists()
    assert scene.instances.all() == ()


async def test_a_worker_follows_every_activation_and_tells_what_it_serves(scene: Scene) -> None:
    follower = await scene.started()
    number = scene.activate("2026.4")
    await follower.refresh()
    assert (follower.status.name, follower.status.number, follower.status.epoch) == ("2026.4", number, 1)
    scene.activate("2026.5")
    await follower.refresh()
    scene.activations.rollback(OPERATOR, number, WHY, scene.now)
    await follower.refresh()
    assert scene.engine.served == ["configured", "2026.4", "2026.5", "2026.4"]
    (instance,) = scene.instances.all()
    assert (instance.epoch, instance.name, instance.fault) == (3, "2026.4", None)


async def test_a_worker_that_starts_takes_what_is_of_record_and_not_what_is_configured(scene: Scene) -> None:
    scene.activate("2026.4")
    follower = await scene.started()
    assert scene.engine.served == ["2026.4"]
    assert follower.status.epoch == 1


async def test_a_look_that_finds_nothing_new_loads_nothing(scene: Scene) -> None:
    scene.activate("2026.4")
    follower = await scene.started()
    for _ in range(3):
        scene.later(seconds=1)
        await follower.refresh()
        assert follower.status.confirmed_at == scene.now
    assert scene.engine.served == ["2026.4"]


async def test_a_revision_that_does_not_load_is_refused_and_the_former_one_goes_on(scene: Scene) -> None:
    scene.activate("good")
    follower = await scene.started()
    scene.engine.refuses["bad"] = BundleError("it calls `http.send`, which is not there")
    scene.activate("bad")
    await follower.refresh()
    fault = follower.status.fault
    assert fault is not None
    assert (fault.why, fault.epoch) == ("bundle_refused", 2)
    assert "http.send" in fault.message
    assert (follower.status.name, follower.status.epoch) == ("good", 1)
    assert scene.failed == ["bundle_refused"]
    (instance,) = scene.instances.all()
    assert instance.name == "good"
    assert instance.fault is not None
    assert "http.send" in instance.fault


async def test_a_refused_revision_is_tried_again_after_a_while_and_another_one_at_once(scene: Scene) -> None:
    good = scene.activate("good")
    follower = await scene.started()
    scene.engine.refuses["bad"] = BundleError("no")
    scene.activate("bad")
    await follower.refresh()
    del scene.engine.refuses["bad"]
    await follower.refresh()
    assert follower.status.name == "good", "not before its time"
    scene.now += RETRY
    await follower.refresh()
    assert (follower.status.name, follower.status.fault) == ("bad", None)
    scene.engine.refuses["worse"] = BundleError("no")
    scene.activate("worse")
    await follower.refresh()
    scene.activations.rollback(OPERATOR, good, WHY, scene.now)
    await follower.refresh()
    assert (follower.status.name, follower.status.fault) == ("good", None), "a roll-back waits for nothing"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"signatures": "[]"}, "signature"),
        ({"signatures": '[{"key":"0123456789abcdef","alg":"Ed25519","value":"AAAA"}]'}, "signature"),
        ({"digest": "a" * 64}, "record_damaged"),
        ({"statement": "{}"}, "statement"),
        ({"name": "another"}, "statement"),
    ],
)
async def test_what_was_altered_in_the_database_is_refused_with_its_reason(
    signed: Scene, change: dict[str, Any], why: str
) -> None:
    signed.activate("good")
    follower = await signed.started()
    signed.activate("forged", allow=False)
    signed.tamper(**change)
    await follower.refresh()
    assert follower.status.fault is not None
    assert follower.status.fault.why == why
    assert signed.engine.served == ["good"]


async def test_a_truncated_policy_is_refused(signed: Scene) -> None:
    signed.activate("good")
    follower = await signed.started()
    number = signed.activate("cut")
    digest = signed.revisions.detail(number).revision.digest
    texts = tables.policy_texts
    with signed.store.write() as connection:
        connection.execute(update(texts).where(texts.c.digest == digest).values(body=b'{"manifest":'))
    await follower.refresh()
    assert follower.status.fault is not None
    assert follower.status.fault.why == "damaged"
    assert follower.status.name == "good"


async def test_an_activation_of_the_past_is_not_taken_again_also_after_a_restart(signed: Scene) -> None:
    signed.activate("old")
    signed.activate("new")
    follower = await signed.started()
    with signed.store.write() as connection:  # somebody restores an old copy, whose signatures are all good
        connection.execute(delete(tables.policy_activations).where(tables.policy_activations.c.epoch == 2))
        connection.execute(update(tables.policy_meta).values(epoch=1))
        for number, state in ((1, "active"), (2, "approved")):
            table = tables.policy_revisions
            connection.execute(update(table).where(table.c.number == number).values(state=state))
    await follower.refresh()
    assert follower.status.fault is not None
    assert follower.status.fault.why == "replayed"
    again = await signed.started()
    assert (again.status.name, again.status.epoch) == ("new", 2), "from this host's own disk"
    assert again.status.fault is not None
    signed.activations.renew(OPERATOR, WHY, signed.now, epoch=3)
    await again.refresh()
    assert (again.status.name, again.status.epoch, again.status.fault) == ("old", 3, None)


async def test_a_database_that_has_forgotten_everything_does_not_bring_the_configured_bundle_back(
    signed: Scene,
) -> None:
    signed.activate("of record")
    await signed.started()
    with signed.store.write() as connection:
        connection.execute(delete(tables.policy_activations))
        connection.execute(update(tables.policy_meta).values(epoch=0))
    follower = await signed.started()
    assert signed.engine.served == ["of record", "of record"]
    await follower.refresh()
    assert follower.status.fault is not None
    assert follower.status.fault.why == "replayed"


async def test_a_start_goes_on_with_the_last_good_one_where_what_is_of_record_is_damaged(signed: Scene) -> None:
    signed.activate("good")
    await signed.started()
    signed.activate("next")
    signed.tamper(signatures="[]")
    follower = await signed.started()
    assert follower.status.name == "good"
    assert follower.status.fault is not None
    signed.later(minutes=1)
    await follower.refresh()
    assert follower.status.name == "good"


async def test_a_start_without_anything_that_can_be_trusted_does_not_happen(signed: Scene) -> None:
    signed.activate("good")
    signed.tamper(signatures="[]")
    with pytest.raises(BundleError, match="signed"):
        await signed.started()
    assert signed.engine.served == []


async def test_the_disk_is_no_authority_either(signed: Scene) -> None:
    signed.activate("good")
    await signed.started()
    place = signed.place / "policy" / "last-good.json"
    said = json.loads(place.read_text())
    place.write_text(json.dumps({**said, "signatures": "[]"}))
    signed.tamper(signatures="[]")
    with pytest.raises(BundleError, match="signed"):
        await signed.started()
    place.write_text("{")
    with pytest.raises(NotReadyError):
        await signed.started()


async def test_a_scheduled_revision_is_fired_by_whoever_sees_its_time_come(scene: Scene) -> None:
    scene.activate("now")
    made = scene.revisions.create(AUTHOR, policy("april"), WHY, scene.now)
    scene.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, scene.now)
    scene.revisions.submit(AUTHOR, made.number, WHY, scene.now)
    scene.revisions.approve(APPROVER, made.number, WHY, scene.now)
    one, other = await scene.started(), await scene.started(name="node-1/2")
    scene.activations.schedule(OPERATOR, made.number, scene.now + timedelta(minutes=5), WHY, scene.now)
    scene.later(minutes=4)
    await one.refresh()
    assert one.status.name == "now"
    scene.later(minutes=1)
    await asyncio.gather(one.refresh(), other.refresh())
    await asyncio.gather(one.refresh(), other.refresh())
    assert {one.status.name, other.status.name} == {"april"}
    assert {one.status.epoch, other.status.epoch} == {2}


async def test_the_lease_is_renewed_by_a_confirmation_and_by_nothing_else(signed: Scene) -> None:
    good = signed.activate("good")
    follower = await signed.started()
    signed.later(minutes=50)
    await follower.refresh()
    signed.later(minutes=50)
    assert not follower.is_over()
    signed.activate("forged")
    signed.tamper(signatures="[]")
    await follower.refresh()
    signed.later(minutes=11)
    await follower.refresh()
    assert follower.is_over()
    snapshot = snapshot_of(epoch=1)
    assert follower.denies(snapshot, signed.now)
    declared = snapshot_of(
        epoch=1, emergencies=[Emergency(Period(signed.now - HOUR, signed.now + HOUR), "an earthquake")]
    )
    assert not follower.denies(declared, signed.now)
    over = snapshot_of(epoch=1, emergencies=[Emergency(Period(None, signed.now), "over")])
    assert follower.denies(over, signed.now)
    with pytest.raises(ConflictError, match="trusted"):
        signed.activations.renew(OPERATOR, WHY, signed.now)  # what is of record was never signed
    signed.activations.rollback(OPERATOR, good, WHY, signed.now)
    await follower.refresh()
    assert not follower.is_over()


async def test_a_restart_renews_no_lease(signed: Scene) -> None:
    signed.activate("good")
    follower = await signed.started()
    signed.later(hours=3)
    signed.tamper(digest="0" * 64)
    assert follower.denies(None, signed.now)
    again = await signed.started(name="node-1/2")
    assert again.status.name == "good"
    assert again.denies(None, signed.now)
    signed.lease = Lease(4 * HOUR)
    assert not (await signed.started()).denies(None, signed.now), "it counts from the confirmation"
    (signed.place / "policy" / "confirmed.json").unlink()
    assert (await signed.started()).denies(None, signed.now), "what nobody wrote down was never confirmed"


async def test_a_confirmation_is_written_down_once_in_a_while_and_holds_over_a_restart(signed: Scene) -> None:
    signed.activate("good")
    follower = await signed.started()
    file = LastGood(signed.place / "policy")
    first = signed.now
    signed.now = first + CONFIRM / 2
    await follower.refresh()
    assert file.confirmed_at(1) == first
    signed.later(minutes=50)
    await follower.refresh()
    assert file.confirmed_at(1) == signed.now
    assert file.confirmed_at(2) is None
    signed.tamper(signatures="[]")
    signed.later(minutes=50)
    again = await signed.started()
    assert not again.is_over()
    signed.later(minutes=11)
    assert again.is_over()


async def test_a_confirmation_from_times_to_come_counts_as_one_of_now(signed: Scene) -> None:
    signed.activate("good")
    await signed.started()
    LastGood(signed.place / "policy").confirm(1, signed.now + 100 * HOUR)
    signed.tamper(signatures="[]")
    again = await signed.started()
    signed.later(hours=2)
    assert again.is_over()


@pytest.mark.parametrize(("end", "denied"), [("deny", True), ("deny_unless_disaster", False), ("keep", False)])
async def test_what_a_lease_that_is_over_leads_to_is_a_setting(scene: Scene, end: Any, denied: bool) -> None:
    scene.activate("good")
    scene.lease = Lease(HOUR, end)
    follower = await scene.started()
    scene.later(hours=2)
    declared = snapshot_of(epoch=1, emergencies=[Emergency(Period(None, scene.now + HOUR))])
    assert follower.denies(declared, scene.now) is denied
    assert follower.denies(None, scene.now) is (end != "keep")
    assert follower.is_over()


async def test_a_lease_of_nothing_never_ends(scene: Scene) -> None:
    scene.activate("good")
    scene.lease = Lease(timedelta(0))
    follower = await scene.started()
    scene.later(days=1_000)
    assert not follower.denies(None, scene.now)


async def test_a_database_that_cannot_be_read_changes_nothing(scene: Scene) -> None:
    scene.activate("good")
    follower = await scene.started()
    broken = open_store("postgresql+psycopg://x@127.0.0.1:1/x")
    lost = scene.follower(activations=Activations(broken, People(), scene.sealing))
    with pytest.raises(DirectoryError):
        await lost.refresh()
    broken.close()
    assert follower.status.name == "good"


async def test_news_make_a_worker_look_at_once(scene: Scene) -> None:
    scene.activate("2026.4")
    follower = scene.follower(poll_s=60)
    await follower.start(lambda: CONFIGURED)
    scene.engine.served.clear()
    async with follower.following():
        scene.activate("2026.5")
        await follower.nudge()
        async with asyncio.timeout(30):
            while follower.status.name != "2026.5":  # noqa: ASYNC110  # nothing to be awaited from outside
                await asyncio.sleep(0.01)
    assert scene.instances.all() == (), "who ends takes itself off the list"


def warned(scene: Scene, name: str, days: int, **policies: Any) -> int:
    made = scene.revisions.create(AUTHOR, zta_policy(name, **policies), WHY, scene.now)
    scene.revisions.keep_gates(AUTHOR, made.number, made.source_digest, FINE, scene.now)
    scene.revisions.submit(AUTHOR, made.number, WHY, scene.now, warn_days=days)
    scene.revisions.approve(APPROVER, made.number, WHY, scene.now)
    scene.activations.activate(OPERATOR, made.number, WHY, scene.now)
    return made.number


MONTH = timedelta(days=31)


@pytest.mark.parametrize("kind", ["plain", "signed"])
async def test_a_revision_that_warns_comes_with_the_one_before_it_and_an_end(
    kind: str, request: pytest.FixtureRequest
) -> None:
    scene: Scene = request.getfixturevalue("scene" if kind == "plain" else "signed")
    warned(scene, "before", 0)
    follower = await scene.started(warn_max=MONTH)
    assert follower.status.warning is None
    warned(scene, "newer", 14, allow=False)
    await follower.refresh()
    former = scene.engine.former
    assert former is not None
    assert (former.bundle.revision, former.until) == ("before", NOW + timedelta(days=14))
    assert follower.status.warning == Served(former.bundle.digest, former.until)
    again = await scene.started(warn_max=MONTH)
    assert again.status.warning == follower.status.warning
    scene.later(days=14)
    late = await scene.started(warn_max=MONTH)
    assert (late.status.name, late.status.warning, scene.engine.former) == ("newer", None, None)


async def test_a_worker_never_warns_for_longer_than_its_own_settings_allow(scene: Scene) -> None:
    warned(scene, "before", 0)
    warned(scene, "newer", 14, allow=False)
    follower = await scene.started(warn_max=timedelta(days=3))
    assert follower.status.warning is not None
    assert follower.status.warning.until == NOW + timedelta(days=3)
    none = await scene.started()
    assert (none.status.warning, scene.engine.former) == (None, None)


async def test_where_the_former_policy_cannot_be_had_every_refusal_counts_and_it_is_tried_again(scene: Scene) -> None:
    warned(scene, "before", 0)
    warned(scene, "newer", 14, allow=False)
    scene.engine.beside = EngineError("no memory for a second engine")
    follower = await scene.started(warn_max=MONTH)
    assert (follower.status.name, scene.engine.former, scene.failed) == ("newer", None, ["former"])
    assert follower.status.warning is not None
    assert follower.status.warning.fault == "no memory for a second engine"
    scene.engine.beside = None
    await follower.refresh()
    assert scene.engine.former is None, "not four times a second"
    scene.later(seconds=15)
    await follower.refresh()
    assert scene.engine.former is not None
    assert follower.status.warning.fault is None


async def test_a_time_of_warning_is_kept_by_a_renewal_and_ended_by_one_that_enforces(scene: Scene) -> None:
    warned(scene, "before", 0)
    warned(scene, "newer", 14, allow=False)
    follower = await scene.started(warn_max=MONTH)
    scene.later(days=1)
    scene.activations.renew(OPERATOR, WHY, scene.now)
    await follower.refresh()
    assert follower.status.warning is not None
    assert follower.status.warning.until == NOW + timedelta(days=14)
    scene.activations.renew(OPERATOR, WHY, scene.now, enforce=True)
    await follower.refresh()
    assert (follower.status.warning, scene.engine.former, scene.engine.served[-1]) == (None, None, "newer")


async def test_a_roll_back_in_a_time_of_warning_ends_it(scene: Scene) -> None:
    first = warned(scene, "before", 0)
    warned(scene, "newer", 14, allow=False)
    follower = await scene.started(warn_max=MONTH)
    scene.activations.rollback(OPERATOR, first, WHY, scene.now)
    await follower.refresh()
    assert (follower.status.name, follower.status.warning, scene.engine.former) == ("before", None, None)


async def test_a_counter_that_was_put_back_confirms_nothing_and_is_told(scene: Scene) -> None:
    """Attack: after a roll-back the counter is set to what it was, before every worker has looked."""
    scene.activate("bad")
    follower = await scene.started()
    scene.activate("good", allow=False)
    with scene.store.write() as connection:
        connection.execute(update(tables.policy_meta).values(epoch=1))
    scene.later(minutes=59)
    await follower.refresh()
    fault = follower.status.fault
    assert fault is not None
    assert (fault.why, "put back" in fault.message, follower.status.confirmed_at) == ("replayed", True, NOW)
    assert [one.fault is not None for one in scene.instances.all()] == [True]
    scene.later(minutes=2)
    await follower.refresh()
    assert follower.is_over(), "its lease ran out"
    with pytest.raises(SekishoError, match="put back"):
        await scene.follower(last_good=LastGood(scene.place / "another-host")).start(lambda: CONFIGURED)
    scene.activations.renew(OPERATOR, WHY, scene.now)
    await follower.refresh()
    assert (follower.status.fault, follower.is_over(), follower.status.name) == (None, False, "good")
