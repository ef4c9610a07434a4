"""One worker's start and end as uvicorn sees them, and what workers leave behind for one another."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pdp.server import Worker, _share_metrics
from pdp.settings import load_settings

pytestmark = pytest.mark.anyio


async def started(worker: Worker) -> list[dict[str, Any]]:
    """What the worker tells the server about its start; the server then asks it to end."""
    told: list[dict[str, Any]] = []
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        return next(asked)

    async def send(message: Any) -> None:
        told.append(message)

    await worker({"type": "lifespan"}, receive, send)
    return told


async def test_a_start_that_fails_is_told_in_one_line_with_its_next_step(
    tmp_path: Path, operators_log: io.StringIO
) -> None:
    settings = load_settings(environ={}, bundle=str(tmp_path / "none"), state_dir=str(tmp_path / "state"))
    (told,) = await started(Worker(settings))
    assert told["type"] == "lifespan.startup.failed" and "is not a directory" in told["message"]
    (line,) = [json.loads(line) for line in operators_log.getvalue().splitlines()]
    assert (line["event"], line["code"], line["level"]) == ("the service cannot start", "bundle_refused", "error")
    assert line["next"] and "exception" not in line


async def test_a_worker_starts_and_ends(tmp_path: Path, operators_log: io.StringIO) -> None:
    settings = load_settings(environ={}, state_dir=str(tmp_path), unsafe_no_caller_auth=True)
    told = await started(Worker(settings))
    assert [one["type"] for one in told] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_counts_of_an_earlier_run_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")  # so that it is put back
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").write_bytes(b"old")
    _share_metrics(load_settings(environ={}, state_dir=str(tmp_path)))
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(tmp_path / "metrics")
    assert list((tmp_path / "metrics").iterdir()) == []
