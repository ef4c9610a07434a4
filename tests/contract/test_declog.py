"""What every `DecisionLog` that keeps records promises (`pdp.declog.port`). A new adapter is added to `OPENERS`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import uuid_utils

from pdp.declog.port import DecisionLog
from pdp.declog.record import read_record
from pdp.declog.segments import SegmentLog
from pdp.errors import RecordFailedError
from tests.unit.declog.samples import full_record, wall_clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

Opener = Callable[[Path], DecisionLog]

OPENERS: dict[str, Opener] = {
    "segments, power, deny": lambda root: SegmentLog(
        root, "w0", clock=wall_clock, durability="power", back_pressure="deny"
    ),
    "segments, process, block": lambda root: SegmentLog(
        root, "w0", clock=wall_clock, durability="process", back_pressure="block"
    ),
}


@pytest.fixture(params=OPENERS.values(), ids=OPENERS.keys())
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], DecisionLog]:
    return lambda: request.param(tmp_path / "log")


@pytest.fixture
async def log(open_log: Callable[[], DecisionLog]) -> AsyncIterator[DecisionLog]:
    log = open_log()
    yield log
    await log.close()


def some(count: int) -> dict[str, bytes]:
    ids = [str(uuid_utils.uuid7()) for _ in range(count)]
    return {decision_id: full_record(decision_id) for decision_id in ids}


async def test_what_was_appended_is_found_byte_for_byte(log: DecisionLog):
    records = some(20)
    for decision_id, record in records.items():
        await log.append(record)
        assert log.find(decision_id) == record
        assert read_record(record).id == decision_id
    for decision_id, record in records.items():
        assert log.find(decision_id) == record


async def test_records_of_many_tasks_at_once_are_all_found(log: DecisionLog):
    records = some(500)
    await asyncio.gather(*(log.append(record) for record in records.values()))
    assert {decision_id: log.find(decision_id) for decision_id in records} == records


async def test_what_was_begun_is_found_once_it_is_done(log: DecisionLog):
    records = some(50)
    begun = [log.begin(record) for record in records.values()]
    assert None not in begun
    await asyncio.gather(*(kept for kept in begun if kept is not None))
    assert {decision_id: log.find(decision_id) for decision_id in records} == records


async def test_what_cannot_be_begun_is_refused_and_counted_and_a_closed_log_begins_nothing(log: DecisionLog):
    with pytest.raises(RecordFailedError):
        log.begin(b"")
    assert log.unrecorded == 1
    await log.close()
    try:
        assert log.begin(full_record(str(uuid_utils.uuid7()))) is None
    except RecordFailedError:
        assert log.unrecorded == 2


async def test_an_id_that_was_never_appended_is_not_found(log: DecisionLog):
    for decision_id, record in some(1).items():
        await log.append(record)
        assert log.find(decision_id[:-1] + ("0" if decision_id[-1] != "0" else "1")) is None
    assert log.find(str(uuid_utils.uuid7())) is None
    assert log.find("no id at all") is None


async def test_a_sound_log_is_writable_and_blind_to_nothing(log: DecisionLog):
    assert log.writable()
    assert log.unrecorded == 0
    await log.append(full_record(str(uuid_utils.uuid7())))
    assert log.writable()
    assert log.unrecorded == 0


async def test_a_record_that_would_break_its_line_is_refused_and_counted(log: DecisionLog):
    forged = full_record(str(uuid_utils.uuid7()))
    with pytest.raises(RecordFailedError):
        await log.append(b'{"id":"a"}\n' + forged)
    with pytest.raises(RecordFailedError):
        await log.append(b"")
    assert log.unrecorded == 2
    assert log.writable()


async def test_after_closing_nothing_is_taken_and_everything_is_found(open_log: Callable[[], DecisionLog]):
    records = some(10)
    log = open_log()
    await asyncio.gather(*(log.append(record) for record in records.values()))
    await log.close()
    await log.close()
    assert not log.writable()
    with pytest.raises(RecordFailedError):
        await log.append(full_record(str(uuid_utils.uuid7())))
    again = open_log()
    assert {decision_id: again.find(decision_id) for decision_id in records} == records
    await again.close()


async def test_the_event_loop_is_not_held_while_a_record_is_written(log: DecisionLog):
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count_turns())
    await log.append(full_record(str(uuid_utils.uuid7())))
    counting.cancel()
    assert turns > 0
