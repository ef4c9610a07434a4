from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pdp.declog.disk import PosixDisk
from pdp.declog.layout import OPEN, SEALED, Layout, SegmentName, check_word, instant_of, segment_name, stamp_of
from pdp.errors import SettingsError
from tests.unit.declog.samples import START

STAMP = stamp_of(START)
NAME = SegmentName("mie-1", "w0", STAMP, 3, STAMP)


def test_a_stamp_keeps_the_instant_to_the_microsecond():
    assert instant_of(STAMP) == START
    assert stamp_of(datetime(2026, 4, 1, 9, tzinfo=timezone(timedelta(hours=9)))) == "20260401T000000000000Z"


def test_a_name_is_read_back_from_its_text():
    assert str(NAME) == f"mie-1.w0.{STAMP}.000003.{STAMP}"
    assert segment_name(str(NAME)) == NAME
    assert NAME.created_at == START


@pytest.mark.parametrize("text", ["", "notes", f"mie-1.w0.{STAMP}.3.{STAMP}", f"../w0.{STAMP}.000003.{STAMP}"])
def test_other_files_are_not_taken_for_segments(text: str):
    assert segment_name(text) is None


def test_names_sort_in_the_order_in_which_a_worker_wrote(tmp_path: Path):
    layout = Layout(tmp_path / "log")
    layout.make(PosixDisk())
    later = stamp_of(START + timedelta(days=1))
    names = [
        SegmentName("n", "w0", STAMP, 1, STAMP),
        SegmentName("n", "w0", STAMP, 2, STAMP),
        SegmentName("n", "w0", STAMP, 1_000_000, STAMP),
        SegmentName("n", "w0", later, 1, later),
        SegmentName("n", "w1", STAMP, 1, STAMP),
    ]
    for number, name in enumerate(reversed(names)):
        (layout.open_path(name) if number % 2 else layout.sealed_path(name)).touch()
    (layout.segments / "readme.txt").touch()
    assert layout.names() == names
    assert sorted(layout.names(OPEN) + layout.names(SEALED)) == names


def test_directories_are_for_the_owner_alone(tmp_path: Path):
    layout = Layout(tmp_path / "var" / "log")
    layout.make(PosixDisk())
    layout.make(PosixDisk())
    for path in (layout.root, layout.segments, layout.torn, layout.locks):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


@pytest.mark.parametrize("word", ["", "a.b", "a/b", "..", "é", "w 0", "w\n", "x" * 65])
def test_a_worker_name_that_would_leave_its_place_in_a_file_name_is_refused(word: str):
    with pytest.raises(SettingsError, match="the worker"):
        check_word("worker", word)


def test_instants_are_utc():
    assert instant_of(STAMP).tzinfo is UTC
