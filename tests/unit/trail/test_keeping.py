from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pdp.errors import RecordFailedError
from pdp.parts import new_id, utc_now
from pdp.settings import Settings
from pdp.trail.event import Actor, event_of
from pdp.trail.keeping import Trail, os_user, record_query, trail_path
from pdp.trail.reading import TrailFilter, events_of, newest_events, verify_trail

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

WRITER = """
import asyncio, sys
from pathlib import Path
from pdp.parts import new_id, utc_now
from pdp.trail.event import Actor, event_of
from pdp.trail.keeping import Trail

async def main():
    trail = Trail(Path(sys.argv[1]), node="local", clock=utc_now)
    while True:
        event = event_of(new_id(), utc_now(), Actor(kind="caller", id="a"), "audit.query", "done")
        await trail.append(event)
        print(event.id, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings(place: Path) -> Settings:
    return Settings(state_dir=str(place), node="local")


def test_what_commands_ask_is_listed_newest_first(tmp_path: Path) -> None:
    first = record_query(settings(tmp_path), "audit.export", {"person": "u-1"}, outcome="begun")
    second = record_query(settings(tmp_path), "audit.export", {"person": "u-1"}, rows=3, of=first)
    events = newest_events(trail_path(tmp_path), 10)
    assert [event.id for event in events] == [second, first]
    assert events[0].of == first
    assert events[0].actor == os_user()
    assert newest_events(trail_path(tmp_path), 10, TrailFilter(before=second)) == events[1:]
    assert verify_trail(trail_path(tmp_path)) == (2, ())


def test_root_behind_sudo_is_the_one_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "yamada")
    assert os_user().id == ("yamada" if os.getuid() == 0 else os_user().id)


def test_where_the_trail_cannot_be_written_nothing_is_answered(tmp_path: Path) -> None:
    (tmp_path / "trail").write_text("in the way")
    with pytest.raises(RecordFailedError):
        record_query(settings(tmp_path), "audit.query", {})


async def test_a_service_that_is_asked_nothing_leaves_no_file(tmp_path: Path) -> None:
    trail = Trail(trail_path(tmp_path), node="local", clock=utc_now)
    await trail.close()
    assert not trail_path(tmp_path).exists()
    assert newest_events(trail_path(tmp_path), 10) == []
    assert verify_trail(trail_path(tmp_path)) == (0, ())


async def test_services_and_commands_write_beside_one_another(tmp_path: Path) -> None:
    one, two = (Trail(trail_path(tmp_path), node="local", clock=utc_now) for _ in range(2))
    try:
        for trail in (one, two):
            event = event_of(new_id(), utc_now(), Actor(kind="caller", id="a"), "audit.query", "done")
            await trail.append(event)
        await asyncio_thread(record_query, settings(tmp_path), "audit.sql", {})
        assert len(list(events_of(trail_path(tmp_path)))) == 3  # also those of segments that are being written
    finally:
        await one.close()
        await two.close()
    assert verify_trail(trail_path(tmp_path)) == (3, ())


async def asyncio_thread(call: object, *values: object) -> object:
    import asyncio

    assert callable(call)
    return await asyncio.to_thread(call, *values)


def test_every_event_that_was_answered_survives_a_kill(tmp_path: Path) -> None:
    place = trail_path(tmp_path)
    answered: list[str] = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            answered += [process.stdout.readline().strip() for _ in range(60)]
            os.kill(process.pid, signal.SIGKILL)
            answered += [line.strip() for line in process.stdout if line.endswith("\n") and len(line) == 37]
    record_query(settings(tmp_path), "audit.query", {})  # whoever comes next recovers what was left
    found = {event.id for event in events_of(place)}
    assert set(answered) <= found
    _, findings = verify_trail(place)
    assert {finding.kind for finding in findings} <= {"torn_tail"}  # an accident, and no break


def test_a_changed_event_a_lost_one_and_a_lost_file_are_found(tmp_path: Path) -> None:
    place = trail_path(tmp_path)
    for n in range(3):
        record_query(settings(tmp_path), "audit.query", {"n": n})
    first, second, third = sorted((place / "segments").iterdir())
    whole = second.read_bytes()
    second.write_bytes(whole.replace(b'"n":1', b'"n":7'))
    assert "damaged_line" in {finding.kind for finding in verify_trail(place)[1]}
    lines = whole.splitlines(keepends=True)
    second.write_bytes(lines[0] + lines[2])
    assert verify_trail(place)[1]
    second.unlink()
    assert "missing_segment" in {finding.kind for finding in verify_trail(place)[1]}
    assert first.exists()
    assert third.exists()
