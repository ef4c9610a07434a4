"""What a bundle can see of its input, as `pdp bundle inspect` tells it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.bundle.footprint import Explained, Reading
    from pdp.commands.terminal import Terminal

_MAX_PLACES: Final = 3  # of one path, on a terminal; JSON has them all

WHYS: Final[Mapping[str, Text]] = {
    "value": Text(ja="比較や条件で値を使う", en="its value is used"),
    "call": Text(ja="組込み関数に渡す", en="a builtin takes it"),
    "step": Text(ja="配下を計算した名前か番号で引く", en="a computed member of it is read"),
    "loop": Text(ja="要素を順に見る", en="its members are gone through"),
    "collection": Text(ja="配列・集合・オブジェクトに入れる", en="it is put into a collection"),
    "answer": Text(ja="答えの一部になる", en="it is part of the answer"),
    "clash": Text(ja="複数の定義が値を与え得る", en="several definitions may give it"),
    "presence": Text(ja="有無だけが効く", en="only whether it is there counts"),
    "with": Text(ja="`with` で差し替える", en="`with` puts something in a place"),
    "syntax": Text(ja="知らない構文がある", en="syntax that is not known"),
    "name": Text(ja="名前の意味が定まらない", en="a name without a clear meaning"),
    "entrypoint": Text(ja="入口の規則がない", en="no rule at the entry point"),
    "unparsed": Text(ja="構文を解釈できないモジュールがある", en="a module that does not parse"),
    "size": Text(ja="大き過ぎて追えない", en="too much to follow"),
}


def footprint_json(sight: Explained) -> dict[str, Any]:
    """`paths` as lists of their steps: `[[]]` is the whole input, `[]` nothing of it."""
    return {
        "whole": sight.footprint.whole,
        "paths": [list(path) for path in sight.footprint.paths],
        "readings": [
            {"path": list(one.path), "module": one.module or None, "line": one.line or None, "why": one.why}
            for one in sight.readings
        ],
    }


def show_footprint(terminal: Terminal, sight: Explained) -> None:
    """A table of the paths: what is read, why not more narrowly, and where."""
    count = len(sight.footprint.paths)
    terminal.say(
        terminal.pick(f"ポリシーが見る入力: {count} か所", f"paths of the input that the policy can see: {count}")
    )
    columns = ["項目", "理由", "場所"] if terminal.lang == "ja" else ["path", "why", "where"]
    rows = [_row(terminal, path, list(readings)) for path, readings in groupby(sight.readings, lambda one: one.path)]
    terminal.table(columns, rows)


def _row(terminal: Terminal, path: tuple[str, ...], readings: Sequence[Reading]) -> list[str]:
    whys = [terminal.text(WHYS[why]) for why in sorted({one.why for one in readings})]
    places = list(dict.fromkeys(f"{one.module}:{one.line}" if one.line else one.module for one in readings))
    rest = len(places) - _MAX_PLACES
    shown = [place for place in places[:_MAX_PLACES] if place] + ([f"+{rest}"] if rest > 0 else [])
    return [
        ".".join(path) or terminal.pick("（入力の全体）", "(the whole input)"),
        terminal.pick("、", "; ").join(whys),
        ", ".join(shown),
    ]
