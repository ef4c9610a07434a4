"""The same questions through `/audit/v1`: a service of one worker, its asking process, a client on one connection."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx

from bench.contestants import PDP, ROOT, run_pdp
from bench.processes import free_port, start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.log_asking import Question

_DEADLINE_S: Final = 60.0
_ROWS: Final = ("rows", "decisions", "groups")


@contextmanager
def over_http(log: Path, place: Path, asked: list[Question]) -> Iterator[list[Question]]:
    """The questions that are no exports, as they are asked of a service that reads this log as another host's.

    Raises BenchError where it does not start.
    """
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    state = ["--state-dir", str(place)]
    run_pdp("directory", "demo", *state)
    said = json.loads(run_pdp("caller", "add", "auditor", "--permission", "audit_read", "--json", *state))
    port = free_port()
    environment = {
        "PDP_STATE_DIR": str(place),
        "PDP_BUNDLE": str(ROOT / "policies"),
        "PDP_AUDIT_OTHER_LOGS": json.dumps([str(log)]),
    }
    command = [str(PDP), "serve", "--port", str(port), "--log-level", "warning"]
    server = start("pdp", command, port, "/readyz", place / "service", environment=environment)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}/audit/v1",
            headers={"Authorization": f"Bearer {said['key']}"},
            timeout=_DEADLINE_S,
        ) as client:
            yield [replace(one, ask=_asking(client, one)) for one in asked if one.kind != "export"]
    finally:
        server.close()
        shutil.rmtree(place, ignore_errors=True)


def _asking(client: httpx.Client, question: Question) -> Any:
    params: dict[str, str] = dict(question.params)

    def ask() -> int:
        if question.second and "before" not in params:
            params["before"] = _answer(client, question.path, params)["next"]
        found = _answer(client, question.path, params)
        if "count" in found:
            return int(found["count"])
        return next((len(found[name]) for name in _ROWS if name in found), 1)

    return ask


def _answer(client: httpx.Client, path: str, params: dict[str, str]) -> dict[str, Any]:
    answer = client.get(path, params=params)
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found
