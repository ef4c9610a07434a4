"""From a result to the page, its plots and the table of a profile."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from bench.chart import Bar, Chart
from bench.flame import shares, thread_names
from bench.page import REGIONS
from bench.processes import BenchError
from bench.report import PAGE, fill


def test_the_page_has_a_region_for_every_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in REGIONS:
        assert page.count(f"<!-- bench:{name} -->\n") == 1


def test_a_region_that_nobody_writes_is_refused() -> None:
    with pytest.raises(BenchError, match="unknown"):
        fill("<!-- bench:unknown -->\n<!-- bench:end -->", {})


def test_a_plot_is_well_formed_and_says_its_figures_in_words() -> None:
    bars = [Bar("速い <は>", "fast & small", [(3.0, 0), (1.0, 1)], "4"), Bar("遅い", "slow", [(0.0, 1)], "0")]
    svg = Chart("題", "title", bars, legend=[("a", 0)], limit=(2.0, "2 ms")).svg()
    words = "".join(ET.fromstring(svg).itertext())
    for word in ("速い <は>", "fast & small", "4", "2 ms", "title"):
        assert word in words


def test_a_sample_counts_for_the_innermost_module_that_is_known() -> None:
    main = "thread (7): MainThread;run (asyncio/runners.py:1)"
    stacks = [
        f"{main} 5",
        f"{main};__call__ (pdp/api/lane.py:2);serve (pdp/wire/authzen_call.py:3);encode (msgspec/__init__.py:1) 3",
        f"{main};send (uvicorn/protocols/http/httptools_impl.py:9) 2",
        "thread (8): declog-w0;sync (pdp/declog/disk.py:60) 90",
    ]
    found = shares(stacks)
    assert {part.split(":")[0]: share for part, share in found.items()} == {
        "uvloop and httptools": 0.5,
        "wire": 0.3,
        "uvicorn": 0.2,
    }
    assert thread_names(stacks) == {7: "MainThread", 8: "declog-w0"}


def test_a_profile_without_the_main_thread_is_refused() -> None:
    with pytest.raises(BenchError):
        shares(["thread (8): declog-w0;sync (pdp/declog/disk.py:60) 90"])
