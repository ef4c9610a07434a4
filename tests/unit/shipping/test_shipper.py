"""Every record arrives at least once, in order, whatever the receiver and the process do."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from pdp.declog.record import read_record
from pdp.declog.segments import SegmentLog
from pdp.errors import SettingsError
from pdp.shipping.following import bytes_behind
from pdp.shipping.ledger import Ledger, SetAside
from pdp.shipping.metrics import EVERY, ShippingMetrics
from pdp.shipping.port import RefusedError, UndeliveredError
from pdp.shipping.shipper import HEARTBEAT
from tests.unit.declog.samples import QUICK, wall_clock
from tests.unit.shipping.records import a_record, a_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.shipping.port import Event
    from tests.unit.shipping.conftest import Box, World

GAUGES = ("refused", "refused_bytes", "let_go")


def ids(records: Sequence[bytes]) -> list[str]:
    return [read_record(record).id for record in records]


def got(events: Sequence[Event]) -> list[str]:
    return [json.loads(event.body)["record"]["id"] for event in events]


def some(count: int) -> list[bytes]:
    return [a_record(after_us=number) for number in range(count)]


def test_every_record_of_every_life_and_worker_arrives_once_and_in_order(world: World, box: Box):
    first, second, other = some(25), some(5), some(7)
    world.write(first, second, max_segment_bytes=8_192)
    world.write(other, worker="w1")
    shipper = world.shipper(box, batch_records=4)
    assert shipper.once() == ""
    arrived = got(box.taken)
    assert [one for one in arrived if one in set(ids([*first, *second]))] == ids([*first, *second])
    assert [one for one in arrived if one in set(ids(other))] == ids(other)
    assert len(arrived) == 37
    assert max(box.batches) <= 4
    assert shipper.standing.shipped == 37
    assert bytes_behind(world.layout, shipper.standing.positions) == 0


def test_what_was_shipped_is_not_shipped_again_by_the_next_process(world: World, box: Box):
    world.write(some(3))
    world.shipper(box).once()
    more = some(2)
    world.write(more)
    shipper = world.shipper(box)
    shipper.once()
    assert got(box.taken)[3:] == ids(more)
    assert shipper.standing.shipped == 5


def test_a_segment_that_is_being_written_is_followed(world: World, box: Box):
    records = some(6)

    async def live() -> None:
        log = SegmentLog(world.state / "decisions", "w0", clock=wall_clock, limits=QUICK)
        for number, record in enumerate(records, 1):
            await log.append(record)
            world.shipper(box).once()
            assert got(box.taken) == ids(records[:number])
        await log.close()

    asyncio.run(live())
    world.shipper(box).once()
    assert len(box.taken) == 6


def test_an_incomplete_last_line_is_not_shipped_before_it_is_whole(world: World, box: Box):
    world.write(some(2))
    (path,) = [*world.layout.segments.glob("*.ndjson")]
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:40])
    world.shipper(box).once()
    assert len(box.taken) == 1
    path.write_bytes(whole)
    world.shipper(box).once()
    assert len(box.taken) == 2


def test_a_receiver_that_is_dead_costs_nothing_but_delay(world: World, box: Box):
    records = some(10)
    world.write(records)
    box.answers = [None, UndeliveredError("unreachable"), UndeliveredError("unreachable")]
    shipper = world.shipper(box, batch_records=5)
    assert shipper.once() == "unreachable"
    assert (shipper.standing.failures, shipper.standing.shipped) == (1, 5)
    assert world.shipper(box, batch_records=5).standing.fault == "unreachable"  # for `pdp audit status`
    assert shipper.once() == "unreachable"
    assert shipper.once() == ""
    assert got(box.taken) == ids(records)
    assert (shipper.standing.failures, shipper.standing.fault) == (0, "")


def test_a_process_that_dies_after_the_receiver_took_a_batch_ships_it_again(world: World, box: Box):
    world.write(some(4))

    class Dying(type(box)):  # type: ignore[misc]
        def send(self, events: Sequence[Event]) -> None:
            super().send(events)
            raise KeyboardInterrupt

    dying = Dying()
    with pytest.raises(KeyboardInterrupt):
        world.shipper(dying).once()
    assert len(dying.taken) == 4
    world.shipper(box).once()
    assert got(box.taken) == got(dying.taken)


def test_waits_grow_are_bounded_and_follow_what_the_receiver_asks_for(world: World, box: Box):
    world.write(some(1))
    shipper = world.shipper(box)
    box.answers = [UndeliveredError("http_503") for _ in range(9)]
    assert [shipper._pause() for _ in range(9)] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    box.answers = [UndeliveredError("http_429", retry_after_s=200.0), UndeliveredError("x", retry_after_s=1e9)]
    assert [shipper._pause() for _ in range(2)] == [200.0, 3_600.0]
    assert shipper._pause() == 1.0  # shipped, and nothing more is there
    assert len(box.taken) == 1


def test_one_odd_record_is_set_aside_and_the_others_go_on(world: World, box: Box):
    records = some(20)
    world.write(records)
    box.odd, box.refuses = {13}, RefusedError
    shipper = world.shipper(box)
    assert shipper.once() == ""
    assert got(box.taken) == ids([*records[:12], *records[13:]])
    assert (shipper.standing.refused, shipper.standing.shipped) == (1, 19)
    (line,) = (world.state / "shipping" / "siem.refused").read_bytes().splitlines()
    assert json.loads(line)["record"]["id"] == ids(records)[12]


def test_what_is_refused_is_kept_up_to_so_many_bytes_and_counted_beyond(world: World, box: Box):
    ledger = Ledger(world.state / "shipping")
    for at in range(0, 20, 5):
        told = ledger.set_aside("siem", [b"x" * 19] * 5, most=130)
        assert told == SetAside(5, *((0, 100) if at == 0 else (4, 120) if at == 5 else (5, 120)))
    assert (world.state / "shipping" / "siem.refused").stat().st_size == 120


def test_a_shipper_says_how_much_of_what_is_refused_found_no_room(world: World, box: Box):
    world.write(some(20))
    box.odd, box.refuses = {5, 13}, RefusedError
    refused = world.state / "shipping" / "siem.refused"
    refused.write_bytes(b"y" * 65_535 + b"\n")
    shipper = world.shipper(box, refused_bytes=65_536)
    assert shipper.once() == ""
    standing = shipper.standing
    assert (standing.refused, standing.let_go, standing.refused_bytes, standing.shipped) == (2, 2, 65_536, 18)
    assert refused.stat().st_size == 65_536
    assert Ledger(world.state / "shipping").read("siem") == standing
    registry = CollectorRegistry()
    ShippingMetrics(registry, world.ledger, [world.target]).show(datetime(2026, 11, 23, 8, 0, tzinfo=UTC))
    shown = {name: registry.get_sample_value(f"sekisho_shipping_{name}", {"target": "siem"}) for name in GAUGES}
    assert shown == {"refused": 2.0, "refused_bytes": 65_536.0, "let_go": 2.0}


def test_a_file_of_refused_records_that_somebody_moved_away_counts_for_nothing(world: World, box: Box):
    world.write(some(20))
    box.odd, box.refuses = {13}, RefusedError
    shipper = world.shipper(box)
    assert shipper.once() == ""
    assert shipper.standing.refused_bytes > 0
    refused = world.state / "shipping" / "siem.refused"
    refused.rename(refused.with_name("looked-at"))
    box.odd = set()
    world.write(some(3), worker="w1")
    assert shipper.once() == ""
    assert (shipper.standing.refused, shipper.standing.refused_bytes) == (1, 0)


def test_what_a_target_loses_is_counted_from_0_on_and_stays_where_its_position_cannot_be_read(world: World, box: Box):
    """An alert looks for what was added: the first refusal must not be the first value."""
    registry, at = CollectorRegistry(), datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    metrics = ShippingMetrics(registry, world.ledger, [world.target])

    def shown() -> dict[str, float | None]:
        for _ in range(EVERY):
            metrics.show(at)
        names = ("refused", "let_go", "lost", "seen_age_seconds")
        return {name: registry.get_sample_value(f"sekisho_shipping_{name}", {"target": "siem"}) for name in names}

    assert shown() == {"refused": 0.0, "let_go": 0.0, "lost": 0.0, "seen_age_seconds": -1.0}
    world.write(some(20))
    box.odd, box.refuses = {13}, RefusedError
    assert world.shipper(box).once() == ""
    assert shown()["refused"] == 1.0
    (world.state / "shipping" / "siem.json").write_text("not whole")
    assert shown() == {"refused": 1.0, "let_go": 0.0, "lost": 0.0, "seen_age_seconds": -1.0}


@pytest.mark.parametrize("count", [2, 30])
def test_where_everything_is_refused_nothing_is_set_aside(world: World, box: Box, count: int):
    world.write(some(count))
    box.odd, box.refuses = set(range(1, 100)), RefusedError
    shipper = world.shipper(box)
    for _ in range(7):
        assert shipper.once() == "refused"
    assert not (world.state / "shipping" / "siem.refused").exists()
    assert shipper.standing.shipped == shipper.standing.refused == 0
    assert len(box.batches) < 7 * 2 * 12
    box.refuses = None
    assert shipper.once() == ""
    assert len(box.taken) == count


def test_a_single_record_that_is_refused_again_and_again_is_set_aside(world: World, box: Box):
    world.write(some(1))
    box.odd, box.refuses = {1}, RefusedError
    shipper = world.shipper(box)
    assert [shipper.once() for _ in range(6)] == ["refused"] * 5 + [""]
    assert shipper.standing.refused == 1


def test_filters_move_the_position_without_sending(world: World, box: Box):
    world.write([a_refusal(), *some(2)])
    shipper = world.shipper(box, outcomes=["allow"])
    assert shipper.once() == ""
    assert box.batches == []
    assert (shipper.standing.kept_back, shipper.standing.shipped) == (3, 0)
    assert bytes_behind(world.layout, shipper.standing.positions) == 0


def test_a_line_that_was_altered_is_counted_and_not_shipped(world: World, box: Box):
    records = some(6)
    world.write(records)
    (path,) = [*world.layout.segments.glob("*.ndjson")]
    path.write_bytes(path.read_bytes().replace(b"DENY_DEVICE_PATCH", b"DENY_DEVICE_MATCH", 1))
    shipper = world.shipper(box)
    shipper.once()
    assert shipper.standing.damaged == 1
    assert got(box.taken) == ids(records[1:])


def test_a_segment_that_is_removed_before_it_was_shipped_is_said_to_be_missing(world: World, box: Box):
    world.write(some(2))
    world.shipper(box).once()
    world.write(some(2), some(3))
    removed = sorted(world.layout.segments.glob("*.ndjson"))[1]
    removed.unlink()
    shipper = world.shipper(box)
    shipper.once()
    assert shipper.standing.missing == 1
    assert len(box.taken) == 5


def test_segments_that_are_removed_after_they_were_shipped_are_not_missed(world: World, box: Box):
    world.write(some(2))
    world.shipper(box).once()
    for path in world.layout.segments.glob("*.ndjson"):
        path.unlink()
    world.write(some(3))
    shipper = world.shipper(box)
    shipper.once()
    assert len(box.taken) == 5
    assert shipper.standing.missing in (0, 1)  # the first header after a removal may name nothing before it


def test_a_record_of_another_form_is_counted_and_the_others_go_on(world: World, box: Box):
    world.write([b'{"id":"x","schema":"other/v1"}', *some(1)])
    shipper = world.shipper(box)
    shipper.once()
    assert shipper.standing.unreadable == 1
    assert len(box.taken) == 1


def test_a_target_that_begins_with_the_newest_gets_only_what_comes_after(world: World, box: Box):
    world.write(some(3))
    world.shipper(box, start="newest").once()
    assert box.taken == []
    later = some(2)
    world.write(later)
    world.shipper(box, start="newest").once()
    assert got(box.taken) == ids(later)


def test_a_position_that_is_damaged_is_an_error_with_a_way_out(world: World, box: Box):
    world.write(some(1))
    (world.state / "shipping" / "siem.json").write_bytes(b'{"schema":')
    with pytest.raises(SettingsError, match="position") as told:
        world.shipper(box)
    assert "shipped again" in told.value.next_step


def test_two_processes_do_not_ship_to_one_target(world: World):
    held = world.ledger.lock("siem")
    with pytest.raises(SettingsError, match="another process"):
        world.ledger.lock("siem")
    held.release()
    world.ledger.lock("siem").release()


def test_the_service_shows_how_far_behind_a_target_is(world: World, box: Box):
    registry = CollectorRegistry()
    shown = ShippingMetrics(registry, world.ledger, [world.target])
    now = datetime(2026, 11, 23, 8, 0, 30, tzinfo=UTC)

    def value(name: str) -> float | None:
        for _ in range(EVERY):
            shown.show(now)
        return registry.get_sample_value(f"sekisho_shipping_{name}", {"target": "siem"})

    assert (value("behind_bytes"), value("seen_age_seconds")) == (-1, -1)
    world.write(some(3))
    shipper = world.shipper(box)
    box.answers = [UndeliveredError("unreachable")]
    shipper.once()
    assert value("behind_bytes") == sum(path.stat().st_size for path in world.layout.segments.iterdir())
    assert (value("failures"), value("seen_age_seconds")) == (1, 30)
    shipper.once()
    assert (value("behind_bytes"), value("failures")) == (0, 0)
    (world.state / "shipping" / "siem.json").write_bytes(b"?")
    assert value("behind_bytes") == -1


def test_a_shipper_without_news_says_now_and_then_that_it_lives(world: World, box: Box):
    world.write(some(1))
    shipper = world.shipper(box)
    path = world.state / "shipping" / "siem.json"
    written = set()
    for _ in range(HEARTBEAT * 2):
        shipper._pause()
        written.add(path.stat().st_ino)
    assert 2 <= len(written) <= 4


def test_the_loop_ships_what_comes_and_ends_when_told(world: World, box: Box):
    world.write(some(3))
    stop, arrived = threading.Event(), threading.Event()
    take = box.send

    def send(events: Sequence[Event]) -> None:
        take(events)
        if len(box.taken) == 5:
            arrived.set()

    box.send = send  # type: ignore[method-assign]
    thread = threading.Thread(target=world.shipper(box).forever, args=(stop,))
    thread.start()
    world.write(some(2))
    assert arrived.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
