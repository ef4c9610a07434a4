"""The four plots of docs/performance.md, out of one result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bench import summary
from bench.chart import Bar, Chart
from bench.table import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS: Final = 0
_THEIRS: Final = 1
# What `bench.flame` calls the parts, in Japanese; where several share a colour they stand for one thing.
PARTS_JA: Final[Mapping[str, tuple[str, int]]] = {
    "uvloop": ("イベントループとHTTPの解析（C）", 4),
    "uvicorn": ("uvicorn", 1),
    "lane": ("判定用の入口", 5),
    "wire": ("AuthZENの読み書き", 3),
    "record": ("記録（作成とログスレッド）", 2),
    "decide": ("判定の手順、事実、キャッシュ", 0),
    "engine": ("ポリシーの評価", 6),
}


def charts(results: dict[str, Any]) -> dict[str, Chart]:
    """By file name."""
    found = {"rate": _rate(results), "latency": _latency(results), "hits": _hits(results)}
    if results.get("profile"):
        found["microseconds"] = _microseconds(results["profile"])
    return found


def _rate(results: dict[str, Any]) -> Chart:
    most = summary.connections_of(results)[-1]
    bars = []
    for name in summary.contestants(results):
        rate = summary.figure(results, name, "stream", most, "rate")
        if rate is not None:
            about = results["contestants"][name]
            other = summary.against(results, name)
            ratio = summary.ratio(results, name, other, "stream", most)
            figure = number(rate, 0) + ("" if ratio is None or name == other else f" (x {ratio:.1f})")
            bars.append(Bar(about["ja"], about["en"], [(rate, _OURS if about["ours"] else _THEIRS)], figure))
    return Chart(
        f"毎秒の判定数（実際に近い問い合わせ、{most}接続）",
        f"Decisions a second, realistic stream, {most} connections; in brackets: times an OPA server",
        bars,
        legend=[("Sekisho", _OURS), ("比較対象 / others", _THEIRS)],
    )


def _latency(results: dict[str, Any]) -> Chart:
    bars = []
    for name in summary.contestants(results):
        p50, p99 = (summary.open_figure(results, name, what) for what in ("p50_ms", "p99_ms"))
        if p50 is not None and p99 is not None and name != "echo":
            about = results["contestants"][name]
            rate = summary.open_figure(results, name, "rate")
            bars.append(
                Bar(
                    about["ja"],
                    f"{about['en']}, {number(rate, 0)}/s",
                    [(p50, _OURS), (max(0.0, p99 - p50), _THEIRS)],
                    f"{p50:.2f} / {p99:.2f} ms",
                )
            )
    return Chart(
        "最大処理数の半分の負荷での応答時間（中央値と99パーセンタイル）",
        "Latency at half of the highest rate, open loop: median and 99th percentile",
        bars,
        legend=[("中央値 / median", _OURS), ("99パーセンタイルまで / up to the 99th percentile", _THEIRS)],
        limit=(5.0, "5 ms"),
    )


def _hits(results: dict[str, Any]) -> Chart:
    rates, measured = results["hit_rate"], summary.measured_hit_share(results)
    bars = []
    if measured is not None:
        bars.append(
            Bar(
                "実測（空のキャッシュへ一巡）",
                "measured, one pass, empty cache",
                [(measured, _OURS)],
                percent(measured),
            )
        )
    for name, ja, en in (("at_once", "一巡", "one pass"), ("in_an_hour", "一時間", "an hour")):
        own, whole = rates[name]["footprint"], rates[name]["whole_input"]
        bars.append(Bar(f"{ja}、footprint をキーに", f"{en}, key over the footprint", [(own, _OURS)], percent(own)))
        bars.append(
            Bar(f"{ja}、入力全体をキーに", f"{en}, key over the whole input", [(whole, _THEIRS)], percent(whole))
        )
    return Chart(
        "キャッシュが答えられた割合",
        "Share of the decisions that a cache would have known, from empty",
        bars,
        legend=[("footprint", _OURS), ("入力全体 / whole input", _THEIRS)],
    )


def _microseconds(profile: dict[str, Any]) -> Chart:
    bars = []
    for name, ja, en in (("warm", "キャッシュあり", "warm"), ("cold", "キャッシュなし", "cold")):
        one = profile["profiles"].get(name)
        if one:
            groups = grouped(one)
            parts = [(groups[key], PARTS_JA[key][1]) for key in PARTS_JA]
            bars.append(Bar(ja, en, parts, f"{number(sum(groups.values()), 0)} µs"))
    return Chart(
        "一件の判定に使うCPU時間の内訳（マイクロ秒）",
        "CPU of one decision, in microseconds, by what uses it",
        bars,
        legend=[(f"{ja} / {key}", colour) for key, (ja, colour) in PARTS_JA.items()],
    )


def grouped(profile: dict[str, Any]) -> dict[str, float]:
    """The parts of a profile by the keys of PARTS_JA, in microseconds."""
    found = dict.fromkeys(PARTS_JA, 0.0)
    for part, us in profile["parts_us"].items():
        key = part.split(":")[0].split(" ")[0]
        found[key if key in found else "decide"] += us
    found["record"] += profile["log_thread_us"]
    found["engine"] += profile["evaluator_us"]
    found["decide"] += profile["other_threads_us"]
    return found
