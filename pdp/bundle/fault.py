"""A fault of a bundle, with its place, its stable code and its sentence in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a bundle must not be activated. `line` and `column` count from 1; 0 stands for the whole file."""

    file: str
    line: int
    column: int
    code: str
    message_en: str
    message_ja: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


# Codes are stable: documentation and suppressions refer to them.
_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "syntax_error": ("the module does not parse: {0}", "構文を解釈できない: {0}"),
    "string_interpolation": (
        'regorus has no string interpolation (`$"…"`); use `sprintf` or `concat`',
        'regorus は文字列補間（`$"…"`）を解釈できない。`sprintf` か `concat` を使う',
    ),
    "forbidden_builtin": ("`{0}` is forbidden: {1}", "`{0}` は使えない: {2}"),
    "unlisted_builtin": (
        "`{0}` is not in `capabilities.json`",
        "`{0}` は `capabilities.json` に載っていない",
    ),
    "unknown_function": (
        "`{0}` is neither a builtin nor a function of this bundle",
        "`{0}` は組込み関数でもこのバンドルの関数でもない",
    ),
    "wrong_arity": (
        "`{0}` is called with {1} arguments and takes {2}",
        "`{0}` の引数は {2} 個だが {1} 個で呼ばれている",
    ),
    "walk_without_output": (
        "`walk(x)` finds nothing in regorus where it is assigned; write `walk(x, [path, value])`",
        "`walk(x)` の結果の代入は regorus では空になる。`walk(x, [path, value])` と書く",
    ),
    "pattern_classes": (
        "`{0}` in a pattern matches other characters in regorus than in OPA; write the characters out: `[0-9]`",
        "正規表現の `{0}` が一致する文字は二つのエンジンで異なる。`[0-9]` のように文字を列挙する",
    ),
    "format_verbs": (
        "`sprintf` is alike in both engines for a literal format with `%s`, `%d`, `%v` and `%%` only, not for `{0}`",
        "`sprintf` が二つのエンジンで同じになるのは `%s`、`%d`、`%v`、`%%` だけの定数の書式である（`{0}` は不可）",
    ),
    "undefinable_negation": (
        "`{0}` inside `not` can be undefined: then the rule fires in regorus and not in OPA; negate a helper rule",
        "`not` の中の `{0}` は未定義になり得る。そのとき規則は regorus でだけ成立する。補助規則を作りそれを否定する",
    ),
    "data_in_place_of_rule": (
        "the data have a value at `{0}`, where a rule stands: regorus would answer with it where the rule is undefined",
        "データの `{0}` に規則と同じ場所の値がある。規則が未定義のとき regorus はその値を答える",
    ),
    "unknown_fact": (
        "no `pdp.input/v1` has `{0}`: the condition never holds",
        "`pdp.input/v1` に `{0}` という項目はない。この条件は成立しない",
    ),
    "misspelt_fact": (
        "no `pdp.input/v1` has `{0}`; is `{1}` meant?",
        "`pdp.input/v1` に `{0}` という項目はない。`{1}` の誤りではないか",
    ),
    "impossible_value": (
        "`{0}` is never `{1}`; it is one of: {2}",
        "`{0}` が `{1}` になることはない。取り得る値: {2}",
    ),
    "unknown_data": (
        "there is neither a rule nor a datum at `{0}`",
        "`{0}` には規則もデータもない",
    ),
    "unreachable_rule": (
        "nothing that the entry point asks for ever asks for `{0}`",
        "規則 `{0}` は入口からどこを通っても使われない",
    ),
    "no_entrypoint": ("no rule `{0}` is defined", "規則 `{0}` が定義されていない"),
    "entrypoint_is_function": ("`{0}` is a function, not a rule", "`{0}` は規則ではなく関数である"),
}


def fault_at(file: str, place: tuple[int, int], code: str, *values: object) -> Fault:
    """A fault of this code. `values` fill its sentences."""
    english, japanese = _TEXTS[code]
    return Fault(file, *place, code, english.format(*values), japanese.format(*values))
