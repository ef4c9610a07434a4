"""`pdp audit ship` and `pdp audit status` as a script sees them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from pdp.commands.audit import app
from pdp.declog.segments import SegmentLog
from pdp.errors import SettingsError
from pdp.opa_sink.memory import Memory
from tests.unit.declog.samples import wall_clock
from tests.unit.shipping.records import a_record

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    async def live() -> None:
        log = SegmentLog(tmp_path / "var" / "decisions", "w0", clock=wall_clock)
        await asyncio.gather(*(log.append(a_record()) for _ in range(3)))
        await log.close()

    asyncio.run(live())
    return tmp_path / "var"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "pdp.toml"
    text = f'[[log_targets]]\nname = "a"\nto = "file:{tmp_path}/a.out"\n'
    path.write_text(text + '[[log_targets]]\nname = "b"\nto = "tcp://127.0.0.1:1"\n', encoding="utf-8")
    return path


def told(*words: str, config: Path, state: Path) -> tuple[int, str]:
    done = RUN.invoke(app, [*words, "--config", str(config), "--state-dir", str(state)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def test_one_dead_target_keeps_no_other_and_is_said(config: Path, state: Path, tmp_path: Path):
    code, said = told("ship", "--once", "--json", config=config, state=state)
    answer = json.loads(said.splitlines()[-1])
    assert code == 3
    assert answer["ok"] is False
    assert [(one["name"], one["shipped"], one["fault"]) for one in answer["targets"]] == [
        ("a", 3, ""),
        ("b", 0, "unreachable"),
    ]
    assert len((tmp_path / "a.out").read_bytes().splitlines()) == 3
    assert told("status", "--json", config=config, state=state)[0] == 3
    assert told("status", "a", "--lang", "ja", config=config, state=state)[0] == 0


def test_other_opas_are_shown_also_where_nothing_is_shipped(state: Path, tmp_path: Path):
    memory = Memory(state / "other-opas.db")
    status = {"labels": {"id": "o"}, "bundles": {"authz": {"active_revision": "r1", "code": "bundle_error"}}}
    memory.report("opa-1", "o", 1_800_000_000, json.dumps(status))
    memory.close()
    empty = tmp_path / "empty.toml"
    empty.write_text("", encoding="utf-8")
    code, said = told("status", "--json", config=empty, state=state)
    assert code == 0
    (opa,) = json.loads(said)["opas"]
    assert (opa["caller"], opa["at"], opa["bundles"]["authz"]["code"]) == (
        "opa-1", "2027-01-15T08:00:00+00:00", "bundle_error",
    )  # fmt: skip
    assert "authz=r1" in told("status", config=empty, state=state)[1]


def test_a_target_that_nobody_configured_is_named_with_those_that_are(config: Path, state: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="there are `a`, `b`"):
        told("ship", "--once", "c", config=config, state=state)
    empty = tmp_path / "empty.toml"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="no log target"):
        told("status", config=empty, state=state)
    config.write_text(config.read_text(encoding="utf-8").replace('"b"', '"a"'), encoding="utf-8")
    with pytest.raises(SettingsError, match="same name"):
        told("status", config=config, state=state)


def test_without_a_log_there_is_nothing_to_ship(config: Path, tmp_path: Path):
    with pytest.raises(SettingsError, match="no decision log"):
        told("ship", "--once", config=config, state=tmp_path / "nowhere")
