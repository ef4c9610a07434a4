"""An English sentence of the API in the reader's language. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.console.refusals.asking import ASKING
from pdp.console.refusals.decisions import DECISIONS
from pdp.console.refusals.judging import JUDGING
from pdp.console.refusals.logins import LOGINS
from pdp.console.refusals.policies import POLICIES
from pdp.console.refusals.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.console.words import Lang

SENTENCES: Final[Mapping[str, str]] = {**ASKING, **POLICIES, **JUDGING, **DECISIONS, **LOGINS, **STEPS}

_MAX: Final = 2_000  # characters that are looked at: a fault of a draft may be as long as the draft
_DEPTH: Final = 2  # sentences within sentences
_JOINT: Final = "; "  # of a fault and its next step, as a job that failed has them
_PLACE: Final = re.compile(r"(?P<said>.*), at `(?P<place>/[^`]*)`", re.DOTALL)
_VALUES: Final[Mapping[str, str]] = {
    "draft": "下書き",
    "checked": "検査済み",
    "in_review": "承認待ち",
    "approved": "承認済み",
    "scheduled": "適用予約済み",
    "active": "適用中",
    "retired": "旧版",
    "discarded": "破棄済み",
    "asked": "申請中",
    "granted": "承認済み",
    "refused": "却下済み",
    "withdrawn": "取下げ済み",
    "ended": "終了済み",
    "create": "作成",
    "edit": "編集",
    "pass": "検査",
    "fail": "検査",
    "submit": "承認の依頼",
    "withdraw": "取下げ",
    "approve": "承認",
    "reject": "差戻し",
    "endorse": "緊急時の承認",
    "schedule": "適用日時の予約",
    "unschedule": "予約の取消し",
    "activate": "適用",
    "rollback": "切り戻し",
    "renew": "再署名",
    "retire": "旧版への移行",
    "discard": "破棄",
    "author": "作成者",
    "approver": "承認者",
    "operator": "オペレーター",
    "auditor": "監査人",
    "administrator": "管理者",
    "person": "利用者",
    "device": "端末",
    "system": "システム",
    "resource": "システム",
}


class Told(NamedTuple):
    """`said`: in the reader's language, as far as it is known. `foreign`: it is English on a page that is not."""

    said: str
    foreign: bool = False


def told(lang: Lang, english: str) -> Told:
    """What is to be shown of a `detail`, a `next_step`, or the fault of a job."""
    if lang == "en" or not english:
        return Told(english)
    found = japanese(english)
    return Told(english, foreign=True) if found is None else Told(found)


def japanese(english: str, depth: int = _DEPTH) -> str | None:
    """None where nobody has said it in Japanese yet."""
    if depth < 0 or len(english) > _MAX:
        return None
    placed = _PLACE.fullmatch(english)
    if placed is not None:
        inner = japanese(placed["said"], depth - 1)
        return None if inner is None else f"{inner}（箇所: {placed['place']}）"
    for pattern, words in _PATTERNS:
        found = pattern.fullmatch(english)
        if found is not None:
            return words.format(*(_Value(value, depth) for value in found.groups()))
    said, joint, step = english.rpartition(_JOINT)
    parts = [japanese(part, depth - 1) for part in (said, step)] if joint else [None]
    return None if None in parts else "".join(f"{part}。" for part in parts)


class _Value:
    """A value within a sentence: as it is, one of our words (`{0:word}`, also several), or a sentence (`{0:said}`)."""

    def __init__(self, text: str, depth: int) -> None:
        self._text = text
        self._depth = depth

    def __format__(self, kind: str) -> str:
        if kind == "word":
            return "、".join(_VALUES.get(word, word) for word in self._text.split(" or "))
        if kind == "said":
            return japanese(self._text, self._depth - 1) or self._text
        return self._text


def pattern_of(sentence: str) -> re.Pattern[str]:
    """`{}` stands for any value."""
    return re.compile("(.*?)".join(map(re.escape, sentence.split("{}"))), re.DOTALL)


# Sentences without a value first, and those with the most words of their own before others.
_PATTERNS: Final = tuple(
    (pattern_of(sentence), words)
    for sentence, words in sorted(SENTENCES.items(), key=lambda one: (one[0].count("{}") > 0, -len(one[0])))
)
