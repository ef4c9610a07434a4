from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import duckdb
import pytest

from pdp.archive.tail import publish_tails
from pdp.declog.record import Record
from pdp.errors import NotReadyError, RecordDamagedError
from pdp.model.input import encode_input
from pdp.replaying import reading
from pdp.replaying.bulk import Progress
from tests.unit.archive.logs import facts, names
from tests.unit.archive.test_store import publish, store_at
from tests.unit.declog.samples import START
from tests.unit.replaying.world import PLAIN, RULES, Inline, World, policy

pytestmark = pytest.mark.anyio


def some(count: int, **others: object) -> list:
    """Documents of many people that the policy can tell apart in six ways."""
    kinds = [
        {"subject__auth_level": level, "device__class_": class_, "subject__departments": departments}
        for level, class_, departments in (
            (1, "managed_pc", ["tax"]),
            (2, "managed_pc", ["tax"]),
            (2, "byod_pc", ["tax"]),
            (3, "managed_pc", ["roads"]),
            (2, "managed_pc", ["tax", "roads"]),
            (3, "byod_pc", []),
        )
    ]
    return [
        facts(person=f"u-{n:04d}", device=f"d-{n % 9:05d}", subject__auth_age_min=n % 60, **kinds[n % 6] | others)
        for n in range(count)
    ]


async def test_decisions_come_out_as_they_were_recorded_and_alike_ones_are_judged_once(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(60))
    engine = Inline()
    report = await world.replay(engine)
    assert report.equal and report.whole
    assert (report.total, report.tally.records, report.tally.equal) == (60, 60, 60)
    assert report.evaluated == len(engine.asked) == 6
    (bundle,) = report.as_json()["bundles"]
    assert bundle == {"digest": world.bundle.digest, "revision": "one", "decisions": 60, "equal": 60}


async def test_every_input_judges_each_document_that_differs_at_all(tmp_path: Path):
    world = World(tmp_path)
    await world.decide([*some(30), *some(30)])
    engine = Inline()
    report = await world.replay(engine, every_input=True)
    assert report.equal
    assert len(engine.asked) == 30


async def test_a_changed_record_is_found_and_named_among_those_that_are_one_to_the_policy(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(20))
    (forged,) = await world.decide(some(1), outcome="allow", reasons=["OK"], required_auth_level=None)
    await world.decide(some(20))
    out = BytesIO()
    report = await world.replay(out=out)
    assert not report.equal
    assert (report.tally.equal, report.tally.differing) == (40, 1)
    ((kind, found),) = report.by_count()
    assert (found.decisions, found.ids) == (1, [forged])
    assert kind.parts == ("outcome", "reasons", "required_auth_level")
    assert (kind.recorded.outcome, kind.recomputed.outcome) == ("allow", "step_up")
    (line,) = [json.loads(line) for line in out.getvalue().splitlines()]
    assert line["id"] == forged
    assert line["recorded"]["outcome"] == "allow"
    assert line["recomputed"]["engine 0"]["outcome"] == "step_up"
    assert (line["department"], line["resource"], line["device_class"]) == ("tax", "groupware", "managed_pc")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("reasons", ["OK", "NO"]),
        ("obligations", {"save": "off"}),
        ("obligations", {}),
        ("required_auth_level", 1),
        ("outcome", "allow"),
    ],
)
async def test_each_part_of_an_answer_is_compared(tmp_path: Path, part: str, value: object):
    world = World(tmp_path)
    await world.decide([facts(device__class_="byod_pc", subject__auth_level=3)], **{part: value})
    ((kind, _),) = (await world.replay()).by_count()
    assert kind.parts == (part,)


async def test_stored_published_and_fresh_records_are_each_read_once(tmp_path: Path):
    world = World(tmp_path)
    store = store_at(world.log)
    for _ in range(2):
        await world.decide(some(20))
        world.worker.seal()
        publish(store)
    await world.decide(some(10))
    publish_tails(store.layout, store.place, names(world.log), store.disk)
    await world.decide(some(5))
    report = await world.replay()
    assert report.equal
    assert report.tally.records == report.total == 55


async def test_what_is_stored_or_merged_while_it_is_read_is_read_once(tmp_path: Path):
    """The compactor runs on: the tail that was read lies in a file then, and files that are to be read are gone."""
    world = World(tmp_path)
    store = store_at(world.log)
    for _ in range(3):
        await world.decide(some(20))
        world.worker.seal()
        publish(store)
    await world.decide(some(10))
    world.worker.seal()
    reader = world.reader()
    batches = reader.batches(70)
    first = next(batches)
    assert first.num_rows == 10
    assert next(batches) is reading.Mark.DONE
    publish(store)
    with store.held():
        store.merge(store.manifest.files(), START + timedelta(days=1))
    found = [first, *batches]
    assert reading.Mark.LOST in found
    ids = [id_ for table in found if not isinstance(table, reading.Mark) for id_ in table["id"].to_pylist()]
    assert len(ids) == len(set(ids)) == 70


async def test_a_unit_that_was_lost_half_way_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was told of it, also in the file of differences, is taken back."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 2048)
    world = World(tmp_path)
    await world.decide(some(6), outcome="deny", reasons=["NO"], obligations={}, required_auth_level=None)
    world.worker.seal()
    publish(store_at(world.log))
    await world.decide(some(3))

    class Shaky(reading.LogReader):
        def _unit(self, snapshot, name, total):  # type: ignore[no-untyped-def]
            for one in super()._unit(snapshot, name, total):
                if one is reading.Mark.DONE and name != "tail" and not lost:
                    lost.append(name)
                    self._finished.discard(name)
                    self._read.clear()
                    raise duckdb.IOException("gone")
                yield one

    lost: list[str] = []
    whole = reading.take_snapshot([world.log], reading.Scope())
    monkeypatch.setattr(type(whole), "is_whole", lambda _: bool(len(lost) != 1))
    out = BytesIO()
    from pdp.replaying.bulk import Replay

    reader = world.reader()
    shaky = Shaky(reader.logs, reader.filters, reader.limits)
    async with world.court() as court:
        report = await Replay(shaky, court, out=out).run(Progress())
    assert lost
    assert report.tally.records == 9
    assert len(out.getvalue().splitlines()) == report.tally.differing == 5


async def test_each_decision_is_judged_by_the_policy_that_made_it(tmp_path: Path):
    one, two = policy(), policy("two", least=3)
    world = World(tmp_path, one, two)
    await world.decide(some(12))
    world.bundle = two
    await world.decide(some(12))
    report = await world.replay()
    assert report.equal
    assert {bundle["revision"]: bundle["decisions"] for bundle in report.as_json()["bundles"]} == {"one": 12, "two": 12}


async def test_more_policies_than_are_kept_open_are_judged_all_the_same(tmp_path: Path):
    bundles = [policy(str(number), least=number % 4) for number in range(7)]
    world = World(tmp_path, *bundles)
    for bundle in [*bundles, *bundles]:
        world.bundle = bundle
        await world.decide(some(6))
    report = await world.replay()
    assert report.equal
    assert report.tally.equal == 84


async def test_a_policy_that_is_not_in_the_archive_is_named_and_the_others_are_judged(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(12))
    world.bundle = gone = policy("gone", least=1)
    await world.decide(some(6))
    report = await world.replay()
    assert report.tally.equal == 12
    (missing,) = report.as_json()["missing_bundles"]
    assert (missing["digest"], missing["revision"], missing["decisions"]) == (gone.digest, "gone", 6)
    assert gone.digest in missing["why"]


async def test_an_altered_policy_of_the_archive_judges_nobody(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(6))
    file = tmp_path / "bundles" / f"{world.bundle.digest}.json"
    file.write_bytes(file.read_bytes().replace(b"tax", b"fax"))
    with pytest.raises(RecordDamagedError):
        world.archive.load(world.bundle.digest)
    report = await world.replay()
    assert report.tally.equal == 0
    assert "is not its name" in report.as_json()["missing_bundles"][0]["why"]


async def test_records_without_a_judged_input_are_counted_apart_with_why(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(6))
    await world.decide(some(1), input=b_raw(b"null"), outcome="deny", reasons=["BAD_INPUT"], required_auth_level=None)
    await world.decide(some(2), wire="opa-log", bundle_digest=None)
    await world.decide(some(3), kind="refusal", input=b_raw(b"null"), outcome="deny", reasons=["BAD_INPUT"])
    report = await world.replay()
    assert report.equal
    assert report.tally.apart == {"no_input": 1, "other_opa": 2, "refusal": 3}
    assert report.tally.equal == 6


@pytest.mark.parametrize("kind", ["refusal", "decision"])
async def test_a_permit_without_an_input_is_impossible_and_said_so(tmp_path: Path, kind: str):
    """Attack: an allow that hides among the records that nobody judges."""
    world = World(tmp_path)
    await world.decide(some(1), kind=kind, input=b_raw(b"null"), outcome="allow", required_auth_level=None)
    report = await world.replay()
    assert not report.equal
    assert report.tally.apart == {"impossible": 1}


async def test_a_record_that_names_another_revision_than_its_digest_is_said_so(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(2), policy_revision="another")
    report = await world.replay()
    assert not report.equal
    assert report.tally.apart == {"wrong_policy": 2}


async def test_masked_values_count_only_where_the_policy_could_see_them(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(6), masked=["/input/subject/id", "/source_ip"])
    await world.decide(some(3), masked=["/input/subject/departments"])
    await world.decide(some(2), erased=["/"])
    await world.decide(some(1), redacted=["/device/class"])
    await world.decide(some(1), erased=["/input"], input=b_raw(b"null"), outcome="allow", required_auth_level=None)
    report = await world.replay()
    assert report.equal
    assert report.tally.equal == 6
    assert report.tally.apart == {"hidden": 7}


async def test_a_masked_document_that_is_no_input_any_more_is_judged_by_what_is_left(tmp_path: Path):
    world = World(tmp_path)
    text = encode_input(facts(person="u-1")).replace(b'"id":"u-1"', b'"id":null', 1)
    await world.decide([text, text], erased=["/input/subject/id"])
    report = await world.replay()
    assert report.equal
    assert report.tally.equal == 2


async def test_a_decision_that_no_verdict_could_be_had_for_then_is_no_difference(tmp_path: Path):
    world = World(tmp_path)
    failed = {"outcome": "deny", "reasons": ["EVALUATION_ERROR"], "obligations": {}, "required_auth_level": None}
    await world.decide(some(6), **failed, fault="engine_timeout: slow")
    report = await world.replay()
    assert report.equal
    assert report.tally.failed == {"step_up": 1, "allow": 2, "limit": 2, "deny": 1}
    # And without the fault beside it, nobody has failed: the record says what it should not.
    await world.decide(some(1), **failed)
    assert (await world.replay()).tally.differing == 1


async def test_a_policy_that_fails_does_so_again_and_is_equal(tmp_path: Path):
    broken = policy("broken", rules=RULES.replace('default decision := {"outcome": "deny"', 'never := {"outcome": "x"'))
    world = World(tmp_path, broken)
    await world.decide(some(6), fault="engine_error: undefined")
    report = await world.replay()
    assert report.equal
    assert report.tally.equal == 6


async def test_engines_that_disagree_are_named(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(12))
    report = await world.replay(Inline(), Inline(wrong=[b'"class":"byod_pc"']))
    assert not report.equal
    assert report.tally.disagreeing == report.tally.differing == 4
    for difference in report.as_json()["differences"]:
        assert difference["engines_disagree"]
        assert difference["recorded"]["outcome"] == "limit"
        assert difference["recomputed"]["engine 0"]["outcome"] == "limit"
        assert difference["recomputed"]["engine 1"]["outcome"] == "deny"


async def test_what_a_draft_would_change_is_told_by_whom_and_what_it_would_hit(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(60))
    draft = policy("draft", least=3)
    report = await world.replay(draft=draft)
    assert report.against == "draft"
    # Levels of 2 no longer do: two of six kinds were allowed, one was limited.
    assert report.tally.transitions == {"allow → step_up": 20, "limit → step_up": 10}
    spread = report.as_json()["spread"]
    assert spread["device_class"] == {"managed_pc": {"allow → step_up": 20}, "byod_pc": {"limit → step_up": 10}}
    assert spread["department"] == {"tax": {"allow → step_up": 20, "limit → step_up": 10}}
    assert spread["resource"]["groupware"] == {"allow → step_up": 20, "limit → step_up": 10}
    assert all(len(found.ids) == 10 for _, found in report.by_count())


async def test_a_draft_judges_all_revisions_of_its_profile_and_no_other(tmp_path: Path):
    world = World(tmp_path, policy(), PLAIN)
    await world.decide(some(6))
    world.bundle = policy("two", least=1)
    await world.decide(some(6))
    world.bundle = PLAIN
    await world.decide([b'{"weight":2.5}'])
    report = await world.replay(draft=policy("draft"))
    assert report.tally.apart == {"other_profile": 1}
    assert report.tally.equal == 11
    assert report.tally.transitions == {"allow → step_up": 1}


async def test_plain_documents_are_told_apart_by_every_character(tmp_path: Path):
    world = World(tmp_path, PLAIN)
    await world.decide([b'{"weight":2.5}', b'{"weight":1.0}', b'{"weight":1.00}', b'{"weight":2.5}'])
    engine = Inline()
    report = await world.replay(engine)
    assert report.equal
    assert len(engine.asked) == 3


async def test_filters_and_times_bound_what_is_judged(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(60))
    assert (await world.replay(person="u-0003")).tally.equal == 1
    assert (await world.replay(outcomes=("limit",))).tally.equal == 20
    assert (await world.replay(reasons=("STRONGER",))).tally.equal == 10
    assert (await world.replay(since=START + timedelta(seconds=50))).tally.equal == 10


async def test_a_sample_is_the_same_one_each_time_and_about_as_large_as_was_asked(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(1_000))
    first, second = [await world.replay(sample=200) for _ in range(2)]
    assert first.total == 1_000
    assert first.tally.records == second.tally.records
    assert 120 < first.tally.records < 280
    assert (await world.replay(sample=5_000)).tally.records == 1_000


async def test_a_replay_that_is_ended_early_says_what_it_found(tmp_path: Path):
    world = World(tmp_path)
    store = store_at(world.log)
    for _ in range(3):
        await world.decide(some(20))
        world.worker.seal()
        publish(store)
    seen: list[int] = []
    report = await world.replay(progress=Progress(done=seen.append, stop=lambda: sum(seen) >= 20))
    assert not report.whole
    assert 20 <= report.tally.equal < 60


async def test_a_log_that_cannot_be_read_says_so(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(20))
    world.worker.seal()
    store = store_at(world.log)
    publish(store)
    path = store.rows_path(store.manifest.files()[0])
    path.write_bytes(path.read_bytes()[:-200] + bytes(200))
    with pytest.raises((NotReadyError, duckdb.Error)):
        await world.replay()


async def test_an_empty_time_is_equal_and_says_that_nothing_was_there(tmp_path: Path):
    world = World(tmp_path)
    await world.decide(some(2))
    report = await world.replay(since=START + timedelta(days=1))
    assert report.equal
    assert (report.total, report.tally.records) == (0, 0)


def b_raw(text: bytes) -> object:
    return Record.__struct_defaults__[-1] if text == b"null" else None
