"""The headers of every kind of answer, also by the eyes of somebody else (csp_evaluator)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers import OWN_TOOLS
from tests.unit.console.world import Console

pytestmark = pytest.mark.anyio

EVALUATOR = OWN_TOOLS.parent / "csp" / "package" / "dist"
SCRIPT = Path(__file__).with_name("csp.js")
# `'self'` is only as good as what is served here: our own scripts, from files of the package; nothing is uploaded.
IF_SOMETHING_IS_HOSTED = [
    50,
    "script-src",
    "'self' can be problematic if you host JSONP, AngularJS or user uploaded files.",
]


def evaluated(*policies: str) -> list[Any]:
    node = shutil.which("node")
    if node is None or not EVALUATOR.exists():
        pytest.skip("no `node`, or no csp_evaluator in .tools/csp: install them with `make tools`")
    done = subprocess.run(
        [node, SCRIPT, EVALUATOR], input=json.dumps(policies), capture_output=True, text=True, check=True, timeout=60
    )
    found: list[Any] = json.loads(done.stdout)
    return found


async def test_an_outside_evaluator_finds_nothing_in_the_policies_of_pages(console: Console) -> None:
    author = console.enter("author", "auditor", "operator", "administrator")
    answers = [await console.get(None, "login"), await console.get(author, "me"), await console.get(author, "policies")]
    policies = {answer.headers["content-security-policy"] for answer in answers}
    weak = "default-src *; script-src 'unsafe-inline'"
    *found, of_weak = evaluated(*sorted(policies), weak)
    assert all(one in ([], [IF_SOMETHING_IS_HOSTED]) for one in found), found
    assert len(of_weak) >= 2, "it does look"


@pytest.mark.parametrize(
    "path", ["/", "/console", "/console/", "/console/login", "/console/me", "/console/static/console.css"]
)
async def test_whatever_a_browser_has_first_tells_it_to_stay_with_https(console: Console, path: str) -> None:
    answer = await console.client.get(path)
    assert answer.status_code in (200, 303)
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


async def test_what_a_person_types_leads_to_the_console(console: Console) -> None:
    answer = await console.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
