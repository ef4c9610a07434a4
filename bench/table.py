"""A run on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from bench import summary

if TYPE_CHECKING:
    from collections.abc import Sequence

_BODIES = {"stream": "realistic stream", "single": "one body"}


def print_tables(results: dict[str, Any]) -> None:
    console = Console(width=max(Console().width, 150))
    meta = results["meta"]
    console.print(
        f"\n{meta['machine']['cores']} cores, {meta['machine']['cpu']}; {meta['at']}; effort {meta['effort']['name']}"
    )
    for bodies in meta["effort"]["kinds"]:
        for connections in summary.connections_of(results):
            console.print(_loads(results, bodies, connections))
    console.print(_half_load(results))
    console.print(_rest(results))


def _loads(results: dict[str, Any], bodies: str, connections: int) -> Table:
    table = _table(
        f"{_BODIES[bodies]}, {connections} connection{'s' * (connections > 1)}, closed loop",
        (
            "requests/s",
            "x OPA",
            "of echo",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "CPU us",
            "helpers' us",
            "x OPA, CPU",
            "hits",
        ),
    )
    for name in summary.contestants(results):
        if summary.cell(results, name, bodies, connections):
            row = [summary.figure(results, name, bodies, connections, what) for what in _LOAD_FIGURES]
            rate, p50, p99, p999, cpu, helpers = row
            table.add_row(
                results["contestants"][name]["en"],
                number(rate, 0),
                number(summary.ratio(results, name, summary.against(results, name), bodies, connections), 2),
                percent(summary.ratio(results, name, "echo", bodies, connections)),
                *(number(one, 2) for one in (p50, p99, p999)),
                number(cpu, 0),
                number(helpers or None, 0),
                number(summary.cpu_ratio(results, name, summary.against(results, name), bodies, connections), 2),
                percent(summary.hit_share(results, name, bodies, connections)),
            )
    return table


_LOAD_FIGURES = ("rate", "p50_ms", "p99_ms", "p999_ms", "cpu_us", "helpers_cpu_us")


def _half_load(results: dict[str, Any]) -> Table:
    table = _table(
        "realistic stream at half of the highest rate, open loop",
        ("requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "sent p50", "sent p99", "RSS MB", "PSS MB"),
    )
    for name in summary.contestants(results):
        figures = [
            summary.open_figure(results, name, what)
            for what in ("rate", "p50_ms", "p99_ms", "p999_ms", "max_ms", "sent_p50_ms", "sent_p99_ms")
        ]
        weights = [summary.memory_mb(results, name, what) for what in ("rss_mb", "pss_mb")]
        table.add_row(
            results["contestants"][name]["en"],
            number(figures[0], 0),
            *(number(one, 2) for one in figures[1:]),
            *(number(one, 0) for one in weights),
        )
    return table


def _rest(results: dict[str, Any]) -> Table:
    table = Table(title="the rest", title_justify="left", show_header=False)
    agreement, rates = results["agreement"], results["hit_rate"]
    cerbos = "" if agreement["cerbos_same"] is None else f"; Cerbos permits alike in {agreement['cerbos_same']}"
    table.add_row(
        "decided alike", f"{agreement['same']} of {agreement['asked']} ({agreement['permitted']} permitted){cerbos}"
    )
    table.add_row("hit rate of the first pass, measured", percent(summary.measured_hit_share(results)))
    for name, said in (("at_once", "computed, all at one instant"), ("in_an_hour", "computed, in an hour")):
        one = rates[name]
        table.add_row(
            f"hit rate {said}",
            f"footprint {percent(one['footprint'])} ({one['footprint_keys']} keys), "
            f"whole input {percent(one['whole_input'])} ({one['whole_input_keys']} keys) of {one['requests']} requests",
        )
    for connections in summary.connections_of(results):
        rate, ratio = summary.boxcar_rate(results, connections), summary.boxcar_ratio(results, connections)
        table.add_row(
            f"boxcars of 100, {connections} connections", f"{number(rate, 0)} decisions/s, x {number(ratio, 1)}"
        )
    table.add_row("start to ready", f"{number(summary.start_s(results), 2)} s")
    return table


def print_limits(checked: Sequence[dict[str, Any]]) -> None:
    table = _table("limits (bench/limits.toml)", ("value", "limit", ""))
    for one in checked:
        bound = f">= {one['at_least']:g}" if one["at_least"] is not None else f"<= {one['at_most']:g}"
        verdict = {True: "holds", False: "DOES NOT HOLD", None: "not measured"}[one["holds"]]
        table.add_row(one["name"], f"{number(one['value'], 2)} {one['unit']}", bound, verdict)
    Console(width=max(Console().width, 120)).print(table)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
