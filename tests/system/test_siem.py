"""Decisions shipped to a real rsyslog over TLS: whole, in order, and again after it died."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pdp.declog.record import read_record
from pdp.declog.segments import SegmentLog
from pdp.model.decision import Outcome
from tests.certificates import Authority
from tests.rsyslog_server import RsyslogServer, rsyslog_binary
from tests.servers import LOOK_AGAIN_S
from tests.unit.declog.samples import wall_clock
from tests.unit.shipping.records import a_record

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.system

PATIENCE_S = 90.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def rsyslog(tmp_path: Path, authority: Authority) -> Iterator[RsyslogServer]:
    rsyslog_binary()
    server = RsyslogServer(tmp_path, authority.certificate, authority.issue("localhost", "siem", host="localhost"))
    server.start()
    yield server
    server.kill()


def write(state: Path, records: list[bytes]) -> list[str]:
    async def live() -> None:
        log = SegmentLog(state / "decisions", "w0", clock=wall_clock)
        for record in records:
            await log.append(record)
        await log.close()

    asyncio.run(live())
    return [read_record(record).id for record in records]


def settings(folder: Path, authority: Authority, port: int, **options: Any) -> Path:
    client = authority.issue("pdp", "client")
    values = {
        "name": "soc",
        "to": f"tls://localhost:{port}",
        "ca_file": str(authority.certificate),
        "cert_file": str(client.certificate),
        "key_file": str(client.key),
        "batch_records": 50,
        "deadline_s": 5.0,
        **options,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    path = folder / "pdp.toml"
    path.write_text("\n".join(["[[log_targets]]", *lines]) + "\n", encoding="utf-8")
    return path


def command(config: Path, state: Path, *arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("pdp")), *arguments, "--config", str(config), "--state-dir", str(state)]


def ship(config: Path, state: Path) -> subprocess.CompletedProcess[str]:
    run = command(config, state, "audit", "ship", "--once", "--json")
    return subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def until(rsyslog: RsyslogServer, count: int) -> list[list[str]]:
    deadline = time.monotonic() + PATIENCE_S
    while len(taken := rsyslog.taken()) < count:
        assert time.monotonic() < deadline, f"{len(taken)} of {count} arrived"
        time.sleep(LOOK_AGAIN_S)
    return taken


def test_ocsf_over_tls_arrives_whole_and_in_order(tmp_path: Path, authority: Authority, rsyslog: RsyslogServer):
    state = tmp_path / "var"
    ids = write(state, [a_record(outcome) for outcome in Outcome for _ in range(60)])
    done = ship(settings(tmp_path, authority, rsyslog.port), state)
    assert done.returncode == 0, done.stderr
    (target,) = json.loads(done.stdout)["targets"]
    assert (target["shipped"], target["behind_bytes"], target["fault"]) == (240, 0, "")
    taken = until(rsyslog, 240)
    assert [json.loads(fields[5])["metadata"]["uid"] for fields in taken] == ids
    assert {tuple(fields[1:4]) for fields in taken} == {("local", "sekisho", "decision")}
    assert {int(fields[0]) for fields in taken} == {13 * 8 + 6, 13 * 8 + 5, 13 * 8 + 4}
    assert 'sequenceId="1"' in taken[0][4]


def test_cef_with_hostile_words_is_one_message_each(tmp_path: Path, authority: Authority, rsyslog: RsyslogServer):
    state = tmp_path / "var"
    evil = "u\n<13>1 - - - - - - CEF:0|x|y|z|1|forged|10|act=allow"
    write(state, [a_record(changes={"subject_id": evil}) for _ in range(5)])
    done = ship(settings(tmp_path, authority, rsyslog.port, format="cef"), state)
    assert done.returncode == 0, done.stderr
    taken = until(rsyslog, 5)
    assert len(taken) == 5
    assert all(fields[5].lstrip().startswith("CEF:0|Sekisho|") and "act=deny" in fields[5] for fields in taken)
    assert all("suser=u\\n<13>1" in fields[5] for fields in taken)


def test_a_receiver_that_dies_and_comes_back_has_every_record(
    tmp_path: Path, authority: Authority, rsyslog: RsyslogServer
):
    """The receiver is killed in the middle, records are made meanwhile, and the process that ships goes on."""
    state = tmp_path / "var"
    ids = write(state, [a_record() for _ in range(200)])
    config = settings(tmp_path, authority, rsyslog.port)
    errors = (tmp_path / "ship.log").open("wb")
    with errors:
        process = subprocess.Popen(
            command(config, state, "audit", "ship"), stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
        )
    try:
        until(rsyslog, 60)
        rsyslog.stop()  # in order: what it has read it has written, so nothing of it is the shipper's loss
        ids += write(state, [a_record() for _ in range(100)])
        rsyslog.start()
        deadline = time.monotonic() + PATIENCE_S
        while set(arrived(rsyslog)) < set(ids):
            assert process.poll() is None
            assert time.monotonic() < deadline, (tmp_path / "ship.log").read_text()[-2000:]
            time.sleep(LOOK_AGAIN_S)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    # Of a batch that was cut off the receiver may have any part; it was sent again, whole and in order.
    assert list(dict.fromkeys(reversed(arrived(rsyslog))))[::-1] == ids


def arrived(rsyslog: RsyslogServer) -> list[str]:
    return [json.loads(fields[5])["metadata"]["uid"] for fields in rsyslog.taken()]


def test_a_dead_receiver_is_said_in_the_status(tmp_path: Path, authority: Authority, rsyslog: RsyslogServer):
    state = tmp_path / "var"
    write(state, [a_record() for _ in range(3)])
    config = settings(tmp_path, authority, rsyslog.port)
    rsyslog.stop()
    assert ship(config, state).returncode == 3
    told = subprocess.run(
        command(config, state, "audit", "status", "--json"), capture_output=True, text=True, timeout=30, check=False
    )
    assert told.returncode == 3
    (target,) = json.loads(told.stdout)["targets"]
    assert (target["fault"], target["failures"], target["shipped"]) == ("unreachable", 1, 0)
    assert target["behind_bytes"] > 0
    rsyslog.start()
    assert ship(config, state).returncode == 0
    until(rsyslog, 3)
