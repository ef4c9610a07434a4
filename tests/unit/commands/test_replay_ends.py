"""How a bulk replay ends: in the trail, and in the file that it wrote."""

from __future__ import annotations

import asyncio
import signal
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer import Exit

from pdp.bundle.bundle import Bundle
from pdp.commands.exit_codes import INTERRUPTED
from pdp.commands.replay import engines_of, loader_of
from pdp.commands.replay_many import Asked, replay_many
from pdp.commands.terminal import Terminal
from pdp.settings import Settings, load_settings
from pdp.trail.keeping import trail_path
from pdp.trail.reading import newest_events
from tests.unit.commands.test_replay import decided

__all__ = ["decided"]


def asked(out: Path | None = None) -> Asked:
    now = datetime.now(UTC)
    times = {"since": [(now - timedelta(hours=1)).isoformat()], "until": [(now + timedelta(hours=1)).isoformat()]}
    return Asked(times, None, None, out, every_input=False)


@pytest.fixture
def settings(decided) -> Settings:
    return load_settings(environ={}, unsafe_no_caller_auth=True)


def replay(settings: Settings, question: Asked, load=None) -> None:
    load = load or loader_of(settings, None)
    asyncio.run(replay_many(Terminal("en", as_json=True), settings, question, engines_of(settings, None), load))


def test_a_replay_that_is_interrupted_is_no_done_one_in_the_trail(settings: Settings):
    load = loader_of(settings, None)

    def interrupted(digest: str) -> Bundle:
        signal.raise_signal(signal.SIGINT)
        return load(digest)

    with pytest.raises(Exit) as ended:
        replay(settings, asked(), interrupted)
    assert ended.value.exit_code == INTERRUPTED
    end, begun = newest_events(trail_path(settings.state_path), 2)
    assert (begun.outcome, end.outcome, end.error, end.of) == ("begun", "failed", "ended", begun.id)


def test_a_replay_to_its_end_is_done(settings: Settings):
    replay(settings, asked())
    end, begun = newest_events(trail_path(settings.state_path), 2)
    assert (begun.outcome, end.outcome, end.error, end.rows) == ("begun", "done", None, 4)


def test_a_replay_that_fails_is_written_down_as_failed(settings: Settings):
    class DefectError(Exception):
        pass

    def broken(_: str) -> Bundle:
        raise DefectError

    with pytest.raises(DefectError):
        replay(settings, asked(), broken)
    assert newest_events(trail_path(settings.state_path), 1)[0].outcome == "failed"


def test_a_file_that_others_could_read_is_replaced_by_one_that_they_cannot(settings: Settings, place: Path):
    out = place / "differing.jsonl"
    out.write_text("of before\n")
    out.chmod(0o644)
    with out.open() as held:
        replay(settings, asked(out))
        assert held.read() == "of before\n"
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert out.read_text() == ""
    assert [path.name for path in place.iterdir() if path.name.startswith(".diff")] == []
