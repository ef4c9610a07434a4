"""A personnel system, the process that reads it, and a service: who has left is denied, and silence is seen."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pdp.directory.changes import change
from pdp.directory.snapshot import load_snapshot
from pdp.model.directory import JST, Device
from pdp.store.store import open_store
from tests.fleet import ANSWER_S, START_S, House, Service, house, services, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

DOWN_S = 5  # the shortest that a source may be given
WHO = "u-demo-staff"
BODY = json.dumps(
    {
        "subject": {"type": "user", "id": WHO, "properties": {"claims": {"acr": "urn:sekisho:auth-level:2"}}},
        "action": {"name": "access"},
        "resource": {"type": "application", "id": "mail"},
        "context": {"device": {"id": "d-demo-pc"}, "network": {"source_ip": "10.0.0.1"}},
    }
)


def asked(service: Service, home: House) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=ANSWER_S)
    try:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {home.key}"}
        connection.request("POST", "/access/v1/evaluation", BODY, headers)
        answer = connection.getresponse()
        assert answer.status == 200
        found: dict[str, Any] = json.loads(answer.read())
        return found
    finally:
        connection.close()


def roster(folder: Path, retires: str) -> None:
    """Everybody of whom personnel knows, as a file that is whole."""
    day = f"{datetime.now(JST):%Y%m%d}"
    lines = [
        "職員番号,氏名,職種区分,所属コード,採用日,退職日",
        f"{WHO},三重 花子,正規職員,soumu,令和2年4月1日,{retires}",
    ]
    name = f"roster-{day}-{retires or 'none'}.csv"
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / f"{name}.done").touch()


def run_once(home: House) -> dict[str, Any]:
    """`pdp connector run --once` as a process of its own, over the service's database."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PDP_")}
    done = subprocess.run(
        [sys.executable, "-m", "pdp.cli", "connector", "run", "--once", "--json"],
        cwd=home.place,
        env={**clean, "PDP_DATABASE_URL": home.database_url, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        timeout=START_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    (ending,) = json.loads(done.stdout)
    found: dict[str, Any] = ending
    return found


def test_who_has_left_by_the_personnel_file_is_denied_and_a_silent_source_is_down(tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir(mode=0o700)
    (tmp_path / "pdp.toml").write_text(
        f'[[connectors]]\nname = "hr"\nkind = "csv_drop"\nrequired = true\nadopt = true\n'
        f"stale_after_s = {DOWN_S}\ndown_after_s = {DOWN_S}\n"
        f'settings = {{folder = "{drop}"}}\n'
    )
    home = house(tmp_path)
    with services(home, {"one": {}}) as started:
        service = started["one"]
        assert service.details()["sources"] == "none are configured"
        assert asked(service, home)["decision"] is True
        roster(drop, "")
        assert run_once(home)["outcome"] == "applied"
        until(
            lambda: "hr" in service.details()["sources"] or service.details()["sources"] == "1 ok", "no source is seen"
        )
        assert asked(service, home)["decision"] is True
        yesterday = f"{datetime.now(UTC).astimezone(JST) - timedelta(days=2):%Y-%m-%d}"
        roster(drop, yesterday)
        assert run_once(home)["outcome"] == "applied"
        until(lambda: asked(service, home)["decision"] is False, "who has left is let in")
        assert "ACCOUNT_EXPIRED" in json.dumps(asked(service, home))
        until(lambda: service.metrics().get(("source_state", "hr")) == 0, "nobody saw the silence")
        assert service.details()["sources"] == "hr down"


RUNNER = """
import asyncio, sys
from tests.unit.sources.simulated import *
from connectors.port import Page
from pdp.sources.runner import enrol_all
from pdp.store.store import open_store

def everything(days):
    return [Page(tuple(report({"id": f"d-{n}"}, patch_age_days=days, age=timedelta(0)) for n in range(start, start + 500)))
            for start in range(0, 4000, 500)]

async def main():
    store = open_store(sys.argv[1])
    worlds = [everything(days) for days in range(9)]
    source = Source(settings(), "posture", Simulated([worlds[number % 9] for number in range(10_000)]))
    enrol_all(store, [(source.settings, source.brings)], NOW)
    stage = Stage(store)
    stage.clock.now += int(sys.argv[2]) * timedelta(hours=1)
    runner = stage.runner(source, holder=f"runner-{sys.argv[2]}")
    print("ready", flush=True)
    while True:
        await runner.run(source, full=True)

asyncio.run(main())
"""


def test_a_process_that_is_killed_at_any_moment_leaves_whole_runs_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sekisho.db'}"
    store = open_store(url)
    store.migrate()
    with change(store, datetime.now(UTC)) as inside:
        inside.add("devices", {f"d-{n}": Device(f"d-{n}", "managed_pc") for n in range(4_000)})
    chance = random.Random(4)
    epochs: list[int] = []
    try:
        for attempt in range(60):  # six, and on a busy machine as many more as it takes to see runs between kills
            if attempt >= 6 and epochs[-1] > epochs[0] + 3:
                break
            command = [sys.executable, "-c", RUNNER, url, str(attempt)]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            ) as running:
                assert running.stdout is not None
                try:
                    assert running.stdout.readline() == b"ready\n"
                    time.sleep(0.3 + chance.random())  # the moment is what is tried, so no event can stand for it
                finally:
                    running.kill()
            snapshot = load_snapshot(store)
            said = Counter(device.posture.patch_age_days for device in snapshot.devices.values())
            assert len(said) == 1, said
            epochs.append(snapshot.epoch)
            (source,) = snapshot.sources
            assert source.fault is None
        assert epochs == sorted(epochs)
        assert epochs[-1] > epochs[0] + 3, "no run was written between the kills"
    finally:
        store.close()
