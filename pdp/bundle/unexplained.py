"""Reason codes that a `zta` policy can give and that have no text: at somebody's access they would be an error.

A code is found where a rule's head puts it into a set or an object (`deny contains "X"`, `step_up["X"] :=`),
which is how reasons are made (docs/scenarios.md, policies/README.md). A code that is built otherwise is
found at the first access that gives it, and denies it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pdp.bundle.fault import Fault
from pdp.model.decision import BAD_INPUT, EVALUATION_ERROR, POLICY_STALE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pdp.bundle.bundle import Bundle

_HEAD: Final = re.compile(
    r'^(?P<rule>[A-Za-z_][\w.]*(?: contains |\[))"(?P<code>[A-Z][A-Z0-9_]+)"', re.MULTILINE | re.ASCII
)
_OURS: Final = (BAD_INPUT, EVALUATION_ERROR, POLICY_STALE)  # the service gives them itself


def unexplained_reasons(bundle: Bundle) -> list[Fault]:
    """A fault for every such code, by file and line; none for a `plain` bundle."""
    if bundle.profile != "zta":
        return []
    return [
        *(_fault(".manifest", 0, 0, code) for code in _OURS if code not in bundle.reasons),
        *(fault for name in sorted(bundle.modules) for fault in _in_module(bundle, name)),
    ]


def _in_module(bundle: Bundle, name: str) -> Iterator[Fault]:
    text = bundle.modules[name]
    for head in _HEAD.finditer(text):
        if head["code"] not in bundle.reasons:
            line_start = text.rfind("\n", 0, head.start()) + 1
            line = text.count("\n", 0, head.start()) + 1
            yield _fault(name, line, head.start("code") - line_start, head["code"])  # the quote, counted from 1


def _fault(file: str, line: int, column: int, code: str) -> Fault:
    return Fault(
        file,
        line,
        column,
        "reason_without_text",
        f"the reason `{code}` has no METADATA with its texts",
        f"理由 `{code}` に文言（METADATA）がない",
    )
