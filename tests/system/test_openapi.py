"""What the OpenAPI document promises, held against a running service by a checker from outside (Schemathesis).

A thousand requests here; `python -m tests.conformance.openapi.runner` asks as many as one likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conformance.openapi.runner import run
from tests.fleet import house, services

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)


def test_no_operation_fails_or_answers_what_the_document_does_not_name(tmp_path: Path) -> None:
    home = house(tmp_path)
    with services(home, {"one": {"log_proof": "off"}}) as started:
        url = f"http://127.0.0.1:{started['one'].port}"
        known = httpx.get(f"{url}/admin/v1/health", headers={"authorization": f"Bearer {home.key}"})
        assert known.status_code == 200  # else every request would end at the door, and nothing be tried
        code, said = run(url, home.key, examples=2, phases="examples,fuzzing", seed=1)
        unforeseen = [line for line in started["one"].log() if line.get("level") in {"error", "critical"}]
    assert code == 0, said
    assert unforeseen == []
