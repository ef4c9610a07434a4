"""What can be wrong with a file, in both languages: for the report that is laid beside it.

A trouble is a code with its place and the value; the sentences stand here once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pdp.directory.files.faults import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TROUBLES: Final = 1_000  # beyond it the file is of another kind

# code: (what, 何が, what to do, どうするか)
_TEXTS: Final[dict[str, tuple[str, str, str, str]]] = {
    "encoding": (
        "the text cannot be read: {detail}", "文字コードを読み取れません",
        "save the file as CSV UTF-8", "「CSV UTF-8（コンマ区切り）」で保存し直してください",
    ),
    "not_csv": (
        "the row is not CSV", "CSVの行として読み取れません",
        "check the quotation marks", "引用符の対応を確かめてください",
    ),
    "zip": (
        "the file is a spreadsheet or an archive, and no CSV", "表計算ファイルまたは圧縮ファイルで、CSVではありません",
        "save it as CSV", "CSV形式で保存し直してください",
    ),
    "empty": (
        "the file holds no row", "データの行がありません",
        "write the headings into the first line and at least one row below",
        "1行目に見出し、2行目以降にデータを置いてください",
    ),
    "too_many_rows": (
        "the file has too many rows", "行数が上限を超えています", "split the file", "ファイルを分けてください",
    ),
    "cells": (
        "the row has {detail} cells, unlike the heading", "列の数が見出しと違います（{detail}列）",
        "put texts that hold a comma in quotation marks", "コンマを含む値は引用符で囲んでください",
    ),
    "unknown_column": (
        "the column {value} is not known", "見出し{value}は対応表にありません",
        "correct the heading, or let the mapping file ignore it", "見出しを直すか、対応表で ignore としてください",
    ),
    "column_twice": (
        "the column {value} stands twice", "同じ意味の列{value}が二つあります",
        "leave one of them out", "一方を削除してください",
    ),
    "column_missing": (
        "a column is missing: {detail}", "必要な列がありません: {detail}",
        "add the column", "列を追加してください",
    ),
    "missing": (
        "the cell is empty", "値が入っていません", "fill it in", "値を入れてください",
    ),
    "bad_id": (
        "{value} cannot be an id: {detail}", "{value}は番号として使えません",
        "correct it", "正しい番号に直してください",
    ),
    "bad_text": (
        "{value} is too long, or holds a line break", "{value}は長すぎるか、改行などを含みます",
        "correct the text", "文字列を直してください",
    ),
    "bad_date": (
        "{detail}", "{value}は日付として読み取れません",
        "write for example 2026-04-01, 2026/4/1 or 令和8年4月1日",
        "2026-04-01、2026/4/1、令和8年4月1日のように書いてください",
    ),
    "dates_reversed": (
        "the end lies before the start", "終わりの日が始めの日より前です", "correct the dates", "日付を直してください",
    ),
    "unknown_order": (
        "{value} is no kind of order that is known", "発令区分{value}は対応表にありません",
        "correct it, or add it to the mapping file", "正しい区分に直すか、対応表に追加してください",
    ),
    "unknown_status": (
        "{value} is no status that is known", "在職状態{value}は使えません",
        "use 在職, 休職, 退職 or 任用前", "在職・休職・退職・任用前のいずれかにしてください",
    ),
    "person_twice": (
        "{value} stands twice for the same day", "{value}の行が同じ日付で二つあります",
        "leave one row a person and day", "一人につき同じ日付の行は一つにしてください",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trouble:
    """`line` counts from 1; 0 is the file as a whole. `column` as the file writes it."""

    code: str
    line: int = 0
    column: str = ""
    value: str = ""
    detail: str = ""

    def english(self) -> str:
        what, _, step, _ = self._filled()
        place = (f"line {self.line}" if self.line else "the file") + (f", column {self.column}" if self.column else "")
        return f"{place}: {what}; {step}"

    def japanese(self) -> str:
        _, what, _, step = self._filled()
        place = (f"{self.line}行目" if self.line else "ファイル全体") + (f"「{self.column}」列" if self.column else "")
        return f"{place}: {what}。{step}。"

    def _filled(self) -> tuple[str, ...]:
        words = {"value": shown(self.value), "detail": self.detail}
        return tuple(text.format(**words) for text in _TEXTS[self.code])


class Troubles:
    """Collects them; nothing stops at the first."""

    def __init__(self) -> None:
        self.kept: list[Trouble] = []
        self.count = 0

    def add(self, trouble: Trouble) -> None:
        self.count += 1
        if len(self.kept) < MAX_TROUBLES:
            self.kept.append(trouble)

    def __bool__(self) -> bool:
        return self.count > 0


def report(name: str, troubles: Sequence[Trouble], count: int) -> str:
    """The text that is laid beside a refused file."""
    more = count - len(troubles)
    lines = [f"取り込めませんでした: {shown(name)}（{count}件）", "このファイルの内容は一行も反映されていません。"]
    lines += [f"  {trouble.japanese()}" for trouble in troubles]
    lines += [f"  ほか{more}件"] if more else []
    lines += ["", f"not imported: {shown(name)} ({count} faults)", "nothing of this file has taken effect."]
    lines += [f"  {trouble.english()}" for trouble in troubles]
    lines += [f"  and {more} more"] if more else []
    return "\n".join(lines) + "\n"
