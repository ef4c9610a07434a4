"""A real `opa run` with its decision logs and status pointed at a real `pdp serve`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pdp.declog.layout import Layout
from pdp.declog.reader import records_of
from pdp.declog.record import Record, read_record
from pdp.opa_sink.memory import Memory
from tests.servers import LOOK_AGAIN_S, OpaServer, opa_binary
from tests.system.test_serve import Served, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PATIENCE_S = 40.0
POLICY = 'package authz\n\ndefault allow := false\n\nallow if input.user == "alice"\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    opa_binary()
    with serving(tmp_path_factory.mktemp("sink")) as running:
        running.question()  # it has started
        yield running


def state_of(served: Served) -> Path:
    return next((served.place / "state").glob("**/sekisho.db")).parent


def a_key(served: Served, name: str) -> str:
    """The key of a new caller that may push logs; the service has heard of it."""
    done = subprocess.run(
        [sys.executable, "-m", "pdp.cli", "caller", "add", name, "--json", "--permission", "push_logs"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=served.place,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("PDP_")},
            "PDP_STATE_DIR": str(state_of(served)),
        },
    )
    key: str = json.loads(done.stdout)["key"]
    question = served.question().with_key(key)
    until(lambda: question.ask()[0] != 401, "the new caller was not heard of")
    return key


def ask(opa: OpaServer, user: str) -> str:
    body = json.dumps({"input": {"user": user, "password": "s3cr3t"}}).encode()
    request = urllib.request.Request(f"{opa.url}/v1/data/authz/allow", data=body, method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        decision_id: str = json.load(answer)["decision_id"]
    return decision_id


def received(served: Served) -> dict[str, Record]:
    layout = Layout(state_of(served) / "decisions")
    records: dict[str, Record] = {}
    for path in layout.segments.iterdir():
        if path.suffix not in (".open", ".ndjson"):
            continue
        for _, body in records_of(path):
            record = read_record(body)
            if record.wire == "opa-log" and record.request_id is not None:
                assert record.request_id not in records, "recorded twice"
                records[record.request_id] = record
    return records


def until_received(served: Served, ids: set[str]) -> dict[str, Record]:
    deadline = time.monotonic() + PATIENCE_S
    while not ids <= (found := received(served)).keys():
        assert time.monotonic() < deadline, f"{len(ids & found.keys())} of {len(ids)} arrived"
        time.sleep(LOOK_AGAIN_S)
    return found


def options(served: Served, folder: Path, key: str) -> list[str]:
    (folder / "authz.rego").write_text(POLICY, encoding="utf-8")
    reporting = {"min_delay_seconds": 1, "max_delay_seconds": 1}
    parts = urlsplit(served.question().url)
    config: dict[str, Any] = {
        "services": {"sekisho": {"url": f"{parts.scheme}://{parts.netloc}", "credentials": {"bearer": {"token": key}}}},
        "labels": {"branch": "7"},
        "decision_logs": {"service": "sekisho", "reporting": reporting},
        "status": {"service": "sekisho"},
    }
    (folder / "opa.json").write_text(json.dumps(config), encoding="utf-8")
    return [f"--config-file={folder / 'opa.json'}", str(folder / "authz.rego")]


def test_the_decisions_of_a_real_opa_stand_in_our_log_once_and_without_secrets(served: Served, tmp_path: Path):
    opa = OpaServer(options(served, tmp_path, a_key(served, "opa-branch-7")))
    try:
        users = {ask(opa, user): user for user in ("alice", "bob", "alice", "carol")}
        found = until_received(served, set(users))
    finally:
        opa.close()
    for decision_id, user in users.items():
        record = found[decision_id]
        assert record.caller_id == "opa-branch-7"
        assert (record.outcome, record.path) == ("allow" if user == "alice" else "deny", "authz/allow")
        assert json.loads(bytes(record.input)) == {"user": user, "password": "redacted"}
        assert json.loads(bytes(record.policy_context))["labels"]["branch"] == "7"
    memory = Memory(state_of(served) / "other-opas.db")
    instances = memory.instances()
    memory.close()
    assert [(caller, json.loads(document)["labels"]["branch"]) for caller, _, _, document in instances] == [
        ("opa-branch-7", "7")
    ]
