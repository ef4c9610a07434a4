from __future__ import annotations

from pathlib import Path

import pytest

from pdp.declog.layout import Layout
from pdp.declog.segments import SegmentLog
from pdp.declog.survey import free_bytes, survey
from tests.unit.declog.logs import writer_at
from tests.unit.declog.samples import START, Clock

pytestmark = pytest.mark.anyio


async def test_a_living_log_is_counted_and_nothing_of_it_is_abandoned(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, "w0", clock=Clock())
    found = survey(tmp_path)
    assert found is not None
    assert (found.open, found.sealed, found.abandoned, found.writable) == (1, 0, (), True)
    assert found.newest is not None and found.newest >= START
    assert found.bytes > 0
    await log.close()
    sealed = survey(tmp_path)
    assert sealed is not None
    assert (sealed.open, sealed.sealed) == (0, 1)


def test_an_open_segment_whose_process_is_gone_is_abandoned(tmp_path: Path) -> None:
    writer_at(tmp_path).open()  # and no lock is held
    found = survey(tmp_path)
    assert found is not None
    assert list(found.abandoned) == [str(name) for name in Layout(tmp_path).names()]
    assert len(found.abandoned) == 1


async def test_looking_leaves_every_lock_free(tmp_path: Path) -> None:
    writer_at(tmp_path).open()
    survey(tmp_path)
    log = SegmentLog(tmp_path, "w0", clock=Clock())
    assert log.writable()
    await log.close()


def test_where_there_is_no_log_there_is_no_survey_and_nothing_is_made(tmp_path: Path) -> None:
    place = tmp_path / "var" / "decisions"
    assert survey(place) is None
    assert free_bytes(place) > 0
    assert not place.exists()
