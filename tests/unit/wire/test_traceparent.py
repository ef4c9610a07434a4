from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pdp.wire.traceparent import trace_id_of

if TYPE_CHECKING:
    from pathlib import Path

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize("header", [f"00-{TRACE}-00f067aa0ba902b7-01", f"cc-{TRACE}-00f067aa0ba902b7-01-later"])
def test_the_trace_is_read(header: str) -> None:
    assert trace_id_of(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01,00-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01\n",
    ],
)
def test_a_broken_trace_is_ignored(header: str | None) -> None:
    assert trace_id_of(header) is None


def test_the_collected_cases_come_out_as_they_say(shared: Path) -> None:
    cases = json.loads((shared / "vectors" / "trace" / "traceparent-cases.json").read_text(encoding="utf-8"))
    assert cases["valid"]
    assert cases["invalid"]
    assert all(trace_id_of(case) == case.split("-")[1] for case in cases["valid"])
    assert [case for case in cases["invalid"] if trace_id_of(case) is not None] == []
