"""The models of the community's SDK of Strata Cloud Manager, in a process of their own: what do they refuse?

`tools/install.py` puts them into `.tools/scm`, because the package asks for an older `cryptography` than the project has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TREE: Final = Path(__file__).parents[1] / ".tools" / "scm"
_DEADLINE_S: Final = 60
_SCRIPT: Final = """
import json, sys
from scm.models import objects, security
MODELS = {
    "security-rules": security.SecurityRuleCreateModel,
    "security-rules:move": security.SecurityRuleMoveModel,
    "hip-profiles": objects.HIPProfileCreateModel,
    "schedules": objects.ScheduleCreateModel,
    "external-dynamic-lists": objects.ExternalDynamicListsCreateModel,
    "address-groups": objects.AddressGroupCreateModel,
    "dynamic-user-groups": objects.DynamicUserGroupCreateModel,
    "tags": objects.TagCreateModel,
}
def fault(model, document):
    try:
        model.model_validate(document)
    except ValueError as error:
        return str(error)
asked = json.load(sys.stdin)
json.dump({kind: [fault(MODELS[kind], one) for one in found] for kind, found in asked.items()}, sys.stdout)
"""


def faults(asked: Mapping[str, Sequence[Any]]) -> dict[str, list[str | None]]:
    """For every document of every kind why the SDK refuses it; None where it does not."""
    if not (TREE / "scm").is_dir():
        pytest.skip("no `pan-scm-sdk` in .tools/scm: install it with `make tools`")
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps(asked),
        env={**os.environ, "PYTHONPATH": str(TREE)},
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str | None]] = json.loads(done.stdout)
    return found
