"""The audit API of a real `pdp serve`: real callers, real decisions, the processes that ask, the trail on the disk."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest

from pdp.trail.reading import events_of, newest_events, verify_trail
from tests.system.test_serve import Question, Served, serving, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

DECISIONS = 300


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("audit")) as running:
        question = running.question()
        for _ in range(DECISIONS):
            assert question.ask()[0] == 200
        yield running


def state_of(served: Served) -> Path:
    return next((served.place / "state").glob("**/sekisho.db")).parent


def a_key(served: Served, name: str, *permissions: str) -> Question:
    """A new caller with these permissions, of which the service has heard."""
    options = [word for permission in permissions for word in ("--permission", permission)]
    done = subprocess.run(
        [sys.executable, "-m", "pdp.cli", "caller", "add", name, "--json", *options],
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
    question = served.question().with_key(json.loads(done.stdout)["key"])
    until(lambda: question.ask()[0] != 401, "the new caller was not heard of")
    return question


def window() -> dict[str, str]:
    now = datetime.now(UTC)
    return {"since": (now - timedelta(hours=1)).isoformat(), "until": (now + timedelta(hours=1)).isoformat()}


def get(who: Question, path: str, **params: str) -> tuple[int, bytes]:
    origin = urlsplit(who.url)
    url = f"{origin.scheme}://{origin.netloc}/audit/v1{path}?{urlencode(params)}"
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {who.key}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read()


def answer_to(who: Question, path: str, **params: str) -> Any:
    status, body = get(who, path, **params)
    assert status == 200, body
    return json.loads(body)


def trail_of(served: Served) -> Path:
    return state_of(served) / "trail"


def test_an_auditor_and_an_operator_ask_and_both_are_in_the_trail(served: Served) -> None:
    auditor = a_key(served, "auditor", "audit_read", "audit_export", "audit_trail")
    operator = a_key(served, "operator", "audit_operate")
    assert answer_to(auditor, "/decisions/count", **window())["count"] >= DECISIONS
    page = answer_to(auditor, "/decisions", **window(), size="5", outcome="allow")["decisions"]
    veiled = answer_to(operator, "/decisions", **window(), size="5", outcome="allow")["decisions"]
    assert [row["id"] for row in page] == [row["id"] for row in veiled]
    assert not {row["person"] for row in page} & {row["person"] for row in veiled}
    assert get(operator, "/decisions", **window(), person=page[0]["person"])[0] == 403

    until(lambda: get(auditor, f"/decisions/{page[0]['id']}/proof")[0] == 200, "no signed head covers the decision")
    status, file = get(auditor, "/decisions/export", **window(), format="csv")
    assert status == 200
    assert file.startswith(b"\xef\xbb\xbf")
    assert file.count(b"\r\n") > DECISIONS

    events = answer_to(auditor, "/trail", size="1000")["events"]
    said = {(event["actor"]["id"], event["action"], event["outcome"]) for event in events}
    assert said >= {
        ("auditor", "audit.count", "done"),
        ("auditor", "audit.export", "begun"),
        ("auditor", "audit.export", "done"),
        ("operator", "audit.query", "done"),
        ("operator", "audit.query", "refused"),
    }


def test_a_decision_is_found_at_once_by_its_id(served: Served) -> None:
    auditor = a_key(served, "prompt", "audit_read")
    for _ in range(3):
        _, answer = served.question().ask()
        found = answer_to(auditor, f"/decisions/{answer['context']['id']}")
        assert found["record"]["id"] == answer["context"]["id"]


def test_a_client_that_goes_away_ends_its_export(served: Served) -> None:
    exporter = a_key(served, "leaver", "audit_read", "audit_export")
    origin = urlsplit(exporter.url)
    query = urlencode({**window(), "format": "jsonl"})
    with socket.create_connection((origin.hostname, origin.port), timeout=30) as connection:
        connection.sendall(
            f"GET /audit/v1/decisions/export?{query} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {exporter.key}\r\n\r\n".encode()
        )
        assert connection.recv(15).startswith(b"HTTP/1.1 200")

    def told() -> bool:
        mine = [event for event in newest_events(trail_of(served), 1_000) if event.actor.id == "leaver"]
        ends = [event for event in mine if event.of is not None]
        return bool(ends) and ends[0].outcome in ("failed", "done")  # small files may be out before the client goes

    until(told, "nobody wrote down how the export ended")
    # Its place becomes free, right after the end was written down.
    until(lambda: get(exporter, "/decisions/count", **window())[0] == 200, "the place was not given back")
    assert answer_to(exporter, "/decisions/count", **window())["count"] >= DECISIONS


def test_the_trail_survives_a_kill_and_holds(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        running.question().ask()
        auditor = a_key(running, "auditor", "audit_read")
        for _ in range(5):
            answer_to(auditor, "/decisions/count", **window())
        trail = trail_of(running)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(timeout=30)
        counted = [event for event in events_of(trail) if event.action == "audit.count" and event.outcome == "done"]
        assert len(counted) == 5
        _, findings = verify_trail(trail)
        assert {finding.kind for finding in findings} <= {"unsealed"}  # nothing is lost; the next start seals it
