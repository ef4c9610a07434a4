"""The figures of docs/performance.md as Markdown, region by region, out of one result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench import summary
from bench.table import number, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def _summary_ja(results: dict[str, Any]) -> str:
    most = summary.connections_of(results)[-1]
    rate = summary.figure(results, "warm", "stream", most, "rate")
    rows = [
        ("毎秒の判定数（キャッシュあり、1ワーカー、判定ごとにディスクへ記録）", f"{number(rate, 0)} 件"),
        ("同じポリシーの OPA サーバーとの比", f"{number(summary.ratio(results, 'warm', 'opa', 'stream', most), 1)} 倍"),
        ("キャッシュなしの場合の同じ比", f"{number(summary.ratio(results, 'cold', 'opa', 'stream', most), 2)} 倍"),
        (
            "半分の負荷での応答時間（99パーセンタイル）",
            f"{number(summary.open_figure(results, 'warm', 'p99_ms'), 2)} ミリ秒",
        ),
        ("キャッシュが答えた割合（空の状態から一巡、実測）", percent(summary.measured_hit_share(results))),
        ("起動から受付開始まで（利用者、端末とも全件）", f"{number(summary.start_s(results), 2)} 秒"),
        ("1ワーカーのメモリー（評価用の子プロセスを含む）", f"{number(summary.memory_mb(results, 'warm'), 0)} MB"),
    ]
    machine = results["meta"]["machine"]
    where = f"{results['meta']['at'][:10]}、{machine['cores']}コア（{machine['cpu']}）、{most}接続での測定です。"
    return f"{where}\n\n{_markdown(('項目', '結果'), rows)}"


def _limits(results: dict[str, Any]) -> str:
    said = {True: "holds", False: "**does not hold**", None: "not measured"}
    rows = [
        (
            one["name"],
            f"≥ {one['at_least']:g}" if one["at_least"] is not None else f"≤ {one['at_most']:g}",
            f"{number(one['value'], 2)} {one['unit']}",
            said[one["holds"]],
            " ".join(one["reason"].split()),
        )
        for one in results["limits"]
    ]
    return _markdown(("limit", "bound", "measured", "", "why"), rows)


def _machine(results: dict[str, Any]) -> str:
    meta = results["meta"]
    machine, versions, stream, bundle = meta["machine"], meta["versions"], meta["stream"], meta["bundle"]
    rows = [
        ("machine", f"{machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, {machine['system']}"),
        ("when", f"{meta['at']}, in {meta['took_s']:.0f} s"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("policy", f"revision {bundle['revision']}: {bundle['rules_lines']} lines of rules in {bundle['files']} files"),
        ("directory", f"{meta['directory']['users']:,} people, {meta['directory']['devices']:,} terminals"),
        (
            "stream",
            (
                f"{stream['length']:,} questions, {stream['distinct']:,} of them different, "
                f"by {stream['askers']:,} people (of {stream['people']:,}); seed {stream['seed']}"
            ),
        ),
        (
            "processors",
            "servers on one, load on the other" if meta["pinned"] else "shared by server and load, for all alike",
        ),
    ]
    return _markdown(("", ""), rows)


def _rates(results: dict[str, Any]) -> str:
    tables = []
    for bodies, title in (("stream", "Realistic stream"), ("single", "One body")):
        for connections in summary.connections_of(results):
            rows = [
                _rate_row(results, name, bodies, connections)
                for name in summary.contestants(results)
                if summary.cell(results, name, bodies, connections)
            ]
            head = (
                "",
                "requests/s",
                "× OPA",
                "of echo",
                "p50 ms",
                "p99 ms",
                "p99.9 ms",
                "CPU µs",
                "helpers µs",
                "× OPA, CPU",
                "hits",
            )
            plural = "s" if connections > 1 else ""
            tables.append(f"**{title}, {connections} connection{plural}**\n\n{_markdown(head, rows)}")
    return "\n\n".join(tables)


def _rate_row(results: dict[str, Any], name: str, bodies: str, connections: int) -> list[str]:
    def figure(what: str, digits: int) -> str:
        value = summary.figure(results, name, bodies, connections, what)
        return number(value or None if what == "helpers_cpu_us" else value, digits)

    return [
        results["contestants"][name]["en"],
        figure("rate", 0),
        number(summary.ratio(results, name, summary.against(results, name), bodies, connections), 2),
        percent(summary.ratio(results, name, "echo", bodies, connections)),
        *(figure(what, 2) for what in ("p50_ms", "p99_ms", "p999_ms")),
        *(figure(what, 0) for what in ("cpu_us", "helpers_cpu_us")),
        number(summary.cpu_ratio(results, name, summary.against(results, name), bodies, connections), 2),
        percent(summary.hit_share(results, name, bodies, connections)),
    ]


def _latency(results: dict[str, Any]) -> str:
    what = ("p50_ms", "p99_ms", "p999_ms", "max_ms", "sent_p50_ms", "sent_p99_ms")
    rows = [
        [
            results["contestants"][name]["en"],
            number(summary.open_figure(results, name, "rate"), 0),
            *(number(summary.open_figure(results, name, one), 2) for one in what),
        ]
        for name in summary.contestants(results)
    ]
    return _markdown(
        ("", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "p50 from sending", "p99 from sending"), rows
    )


def _memory(results: dict[str, Any]) -> str:
    rows = []
    for name in summary.contestants(results):
        weights = results["contestants"][name]["memory"]
        parts = ", ".join(f"{part['name']} {part['rss']:.0f}" for part in weights["parts"])
        helpers = ", ".join(f"{part['name']} {part['rss']:.0f}" for part in weights["helpers"])
        rows.append(
            [
                results["contestants"][name]["en"],
                number(weights["rss_mb"], 0),
                number(weights["pss_mb"], 0),
                parts,
                helpers,
            ]
        )
    started = number(summary.start_s(results), 2)
    start = f"Start to ready, alone on the machine: {started} s (median of {len(results['starts'])})."
    return f"{_markdown(('', 'RSS MB', 'PSS MB', 'processes, RSS', 'helpers, RSS'), rows)}\n\n{start}"


def _hits(results: dict[str, Any]) -> str:
    rates = results["hit_rate"]
    rows = [["one pass from empty, measured", percent(summary.measured_hit_share(results)), "-", "-", "-"]]
    for name, said in (("at_once", "one pass from empty, computed"), ("in_an_hour", "an hour from empty, computed")):
        one = rates[name]
        keys = f"{one['footprint_keys']:,} / {one['whole_input_keys']:,}"
        rows.append([said, percent(one["footprint"]), percent(one["whole_input"]), f"{one['requests']:,}", keys])
    return _markdown(("", "key over the footprint", "key over the whole input", "requests", "keys"), rows)


def _boxcar(results: dict[str, Any]) -> str:
    rows = []
    for connections in summary.connections_of(results):
        single = summary.figure(results, "warm", "stream", connections, "rate")
        boxed = summary.boxcar_rate(results, connections)
        ratio = summary.boxcar_ratio(results, connections)
        rows.append([str(connections), number(single, 0), number(boxed, 0), number(ratio, 1)])
    return _markdown(("connections", "decisions/s, single calls", "decisions/s, calls of 100", "ratio"), rows)


def _agreement(results: dict[str, Any]) -> str:
    found = results["agreement"]
    said = (
        f"{found['asked']:,} different questions of the stream, {found['permitted']:,} of them permitted: "
        f"{found['same']:,} answered alike (outcome, reasons, obligations, required level) "
        f"by {', '.join(found['compared'])}."
    )
    if found["cerbos_same"] is not None:
        share = found["cerbos_same"] / found["asked"]
        said += f" Cerbos' reduced policy permits or refuses alike in {found['cerbos_same']:,} of them ({share:.1%})."
    return said


def _profile(results: dict[str, Any]) -> str:
    profile = results.get("profile")
    if not profile:
        return "No profile has been taken yet: `make profile`."
    found = [f"{profile['connections']} connections, realistic stream, {profile['at'][:10]}."]
    profiles = profile["profiles"]
    parts = list(dict.fromkeys(part for one in profiles.values() for part in one["parts_us"]))
    rows = [[part, *(number(one["parts_us"].get(part, 0.0), 1) for one in profiles.values())] for part in parts]
    for key, words in (
        ("log_thread_us", "log thread: writing, fdatasync"),
        ("other_threads_us", "other threads"),
        ("evaluator_us", "evaluator process (another processor, where there is one)"),
    ):
        rows.append([words, *(number(one[key], 1) for one in profiles.values())])
    sums = [
        sum(one["parts_us"].values()) + one["log_thread_us"] + one["other_threads_us"] + one["evaluator_us"]
        for one in profiles.values()
    ]
    rows.append(["**together**", *(f"**{number(one, 1)}**" for one in sums)])
    found.append(_markdown(("CPU of a decision, µs", *profiles), rows))
    steps = list(dict.fromkeys(step for one in profiles.values() for step in one["steps"]))
    rows = [[step, *(_step(one, step) for one in profiles.values())] for step in steps]
    found.append(_markdown(("step of `decide`, µs of waiting and work (share of decisions)", *profiles), rows))
    return "\n\n".join(found)


def _step(profile: dict[str, Any], step: str) -> str:
    took = profile["steps"].get(step)
    return "-" if took is None else f"{took['us']:,.1f} ({took['share']:.0%})"


REGIONS: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "summary-ja": _summary_ja,
    "limits": _limits,
    "machine": _machine,
    "agreement": _agreement,
    "rates": _rates,
    "latency": _latency,
    "hits": _hits,
    "boxcar": _boxcar,
    "memory": _memory,
    "profile": _profile,
}


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    align = [
        "---",
        *["---:" if name and name not in ("", "why", "結果") and len(head) > 2 else "---" for name in head[1:]],
    ]
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(align)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
