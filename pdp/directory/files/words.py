"""The closed words of the registers, in English and Japanese, and how a cell or a YAML value becomes one."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, get_args

from pdp.directory.files.dates import moment
from pdp.directory.files.faults import Wrong, shown
from pdp.directory.registers import id_fault
from pdp.model import input as document
from pdp.model.directory import SegmentFrom, period_of_dates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

Value = Any  # a CSV cell (text), or what a YAML node holds: text, whole number, truth value, list
MAX_TEXT: Final = 500  # of a name, a title or a reason
MAX_WORDS: Final = 200  # in one list

_YES: Final = ("true", "はい", "有", "あり", "○", "〇", "1")
_NO: Final = ("false", "いいえ", "無", "なし", "×", "0")
_UNKNOWN: Final = ("unknown", "不明", "未確認")

KINDS: Final = {
    "正規職員": "staff",
    "会計年度任用職員": "fixed_term_staff",
    "非正規職員": "fixed_term_staff",
    "市町職員": "municipal_staff",
    "受託事業者": "contractor",
    "緊急用アカウント": "emergency_account",
    "共用アカウント": "shared_account",
    "未登録": "unknown",
}
IDENTITY_SOURCES: Final = {"統合認証": "integrated", "所属団体の認証": "federated", "なし": "none"}
EMPLOYMENT: Final = {"任用前": "not_started", "在職": "active", "休職": "suspended", "退職": "ended"}
CLASSES: Final = {
    "業務端末": "managed_pc",
    "一人一台パソコン": "managed_pc",
    "所属調達端末": "section_pc",
    "モバイル端末": "mobile_pc",
    "個人所有スマートフォン": "byod_phone",
    "個人所有タブレット": "byod_tablet",
    "個人所有PC": "byod_pc",
    "保守用貸出端末": "maintenance_pc",
    "市町の端末": "municipal_pc",
    "個人番号利用事務系端末": "mynumber_terminal",
    "種別不明": "unknown",
}
STATES: Final = {
    "使用中": "in_service",
    "紛失": "lost",
    "紛失（発見・未確認）": "lost_unconfirmed_found",
    "隔離": "quarantined",
    "廃棄": "retired",
}
TAKEOUT: Final = {"可": "permitted", "不可": "not_permitted", "不明": "unknown"}
EDR_RISK: Final = {"なし": "none", "低": "low", "中": "medium", "高": "high", "不明": "unknown"}
GROUPS: Final = {
    "コミュニケーション基盤": "communication",
    "業務効率化ツール": "no_code",
    "インターネット閲覧": "internet",
    "庁内業務システム": "business",
    "データ活用基盤": "data",
    "LGWAN接続系": "lgwan",
    "個人番号利用事務系": "mynumber",
    "サーバ管理": "server_admin",
    "アカウント管理": "account_admin",
    "在宅勤務システム": "home_working",
    "移行前システム": "legacy",
    "防災システム": "disaster",
    "端末の回復": "remediation",
}
SEGMENTS: Final = {
    "クラウド": "cloud",
    "インターネット接続系": "internet",
    "LGWAN接続系": "lgwan",
    "個人番号利用事務系": "mynumber",
}


def closed(literal: Any, japanese: Mapping[str, str], *, without: str = "") -> Callable[[Value], Any]:
    """A converter to one of the words of the input document. Exact: a word with a slip is refused, never guessed."""
    english = [word for word in get_args(literal) if word != without]
    meanings: dict[str, str | None] = {**dict.fromkeys(english), **japanese}
    names = {word: "・".join(ja for ja, en in japanese.items() if en == word) for word in english}
    listed = ", ".join(f"{word} ({ja})" if ja else word for word, ja in names.items())

    def convert(value: Value) -> str:
        if isinstance(value, str) and value in meanings:
            return meanings[value] or value
        raise Wrong(f"{shown(value)} is not one of the words of this column", f"use one of: {listed}")

    return convert


kind: Final = closed(document.SubjectKind, KINDS)
identity_source: Final = closed(document.IdentitySource, IDENTITY_SOURCES)
employment: Final = closed(document.Employment, EMPLOYMENT)
device_class: Final = closed(document.DeviceClass, CLASSES)
device_state: Final = closed(document.DeviceState, STATES)
takeout: Final = closed(document.Takeout, TAKEOUT)
edr_risk: Final = closed(document.EdrRisk, EDR_RISK)
resource_group: Final = closed(document.ResourceGroup, GROUPS, without="unknown")
segment: Final = closed(document.Segment, SEGMENTS, without="unknown")


def flag(value: Value) -> bool:
    """True or false; TRUE as a spreadsheet writes it, はい and いいえ, 有 and 無, ○ and ×, 1 and 0."""
    found = _truth(value)
    if found is None:
        raise Wrong(f"{shown(value)} is neither true nor false", "use true or false (はい・いいえ, 有・無, ○・×)")
    return found


def known(value: Value) -> bool | str:
    """A posture fact: true, false or unknown."""
    found = _truth(value)
    if found is not None:
        return found
    if value in _UNKNOWN:
        return "unknown"
    raise Wrong(f"{shown(value)} is not a fact", "use true, false or unknown (○・×・未確認)")


def edr_running(value: Value) -> bool | str:
    return "not_managed" if value in ("not_managed", "管理対象外") else known(value)


def _truth(value: Value) -> bool | None:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    text = value.lower()
    return True if text in _YES else False if text in _NO else None


def identifier(value: Value) -> str:
    """An id, compared byte by byte everywhere: nothing is trimmed or folded, so nothing may need it."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a text", "write the id in quotes")
    fault = _id_fault(value)
    if fault:
        plain = unicodedata.normalize("NFKC", value).strip()
        better = f"write {shown(plain)}, and the same everywhere else" if plain != value else "choose another id"
        raise Wrong(f"{shown(value)} {fault}", better)
    return value


_id_fault: Final = lru_cache(maxsize=65_536)(id_fault)


def identifiers(value: Value) -> tuple[str, ...]:
    """Several ids: a YAML list, or a cell with `;` between them. None twice."""
    if isinstance(value, str):
        parts: list[Value] = [part.strip(" ") for part in value.replace("；", ";").split(";")]
    elif isinstance(value, list):
        parts = value
    else:
        raise Wrong(f"{shown(value)} is not a list", "write [a, b]")
    if len(parts) > MAX_WORDS:
        raise Wrong(f"the list has more than {MAX_WORDS} entries", "use fewer")
    found = tuple(identifier(part) for part in parts)
    if len(set(found)) < len(found):
        raise Wrong(f"{shown(value)} names one id twice", "name each once")
    return found


def text(value: Value) -> str:
    """Free text for people, kept as it is."""
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a text", "write it in quotes")
    if len(value) > MAX_TEXT or any(unicodedata.category(character) == "Cc" for character in value):
        raise Wrong(f"{shown(value)} is too long, or holds a line break", f"use at most {MAX_TEXT} plain characters")
    return value


def sha256_hex(value: Value) -> str:
    found = value.lower().replace(":", "") if isinstance(value, str) else ""
    if len(found) != 64 or not set(found) <= set("0123456789abcdef"):  # noqa: PLR2004  # 256 bits in hex
        raise Wrong(f"{shown(value)} is not a SHA-256 digest", "write its 64 hexadecimal digits")
    return found


def count(most: int) -> Callable[[Value], int]:
    """A whole number from 0 to `most`."""

    def convert(value: Value) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise Wrong(f"{shown(value)} is not a whole number from 0 to {most}", "correct the number")
        return value

    return convert


def count_or_unknown(most: int) -> Callable[[Value], int | None]:
    """A whole number, or None for unknown."""
    number = count(most)
    return lambda value: None if value in _UNKNOWN else number(value)


def start(value: Value) -> date | datetime:
    return _start(moment(_dated(value)), value)


def start_in_japan(value: Value) -> date | datetime:
    """As `start`; a time without an offset is Japan's."""
    return _start(moment(_dated(value), naive_is_jst=True), value)


def end(value: Value) -> date | datetime | None:
    """None for 9999-12-31: no end."""
    return moment(_dated(value))


def end_in_japan(value: Value) -> date | datetime | None:
    return moment(_dated(value), naive_is_jst=True)


def closed_end(value: Value) -> date | datetime:
    """An end that there must be: of a loan, a work window, a declaration of disaster."""
    return _closed(end(value), value)


def closed_end_in_japan(value: Value) -> date | datetime:
    return _closed(end_in_japan(value), value)


def _closed(found: date | datetime | None, value: Value) -> date | datetime:
    if found is None:
        raise Wrong(f"{shown(value)} is no end, and there must be one", "write the last day")
    return found


def instant(value: Value) -> datetime:
    """A time of day, not only a day."""
    return _time_of_day(start(value), value)


def instant_in_japan(value: Value) -> datetime:
    return _time_of_day(start_in_japan(value), value)


def _start(found: date | datetime | None, value: Value) -> date | datetime:
    if found is None:
        raise Wrong(f"{shown(value)} is not a start", "leave it empty where there is none")
    return found


def _time_of_day(found: date | datetime, value: Value) -> datetime:
    if not isinstance(found, datetime):
        raise Wrong(f"{shown(value)} is a day without a time", "write for example 2023-08-06T22:00:00+09:00")
    return found


def _dated(value: Value) -> str:
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a date", "write it in quotes, for example '2023-04-01'")
    return value


def one_segment(value: Value) -> tuple[SegmentFrom, ...]:
    return (SegmentFrom(segment(value)),)


def segments(value: Value) -> tuple[SegmentFrom, ...]:
    """Segments in the order of their dates: `lgwan; internet@2023-02-01`, or YAML's [{segment, from}]."""
    parts = [_segment_part(part) for part in value] if isinstance(value, list) else _segment_cell(value)
    if not parts or len(parts) > MAX_WORDS:
        raise Wrong(f"{shown(value)} names no segment, or too many", "write for example lgwan; internet@2023-02-01")
    starts = [part.start for part in parts]
    later = [start for start in starts[1:] if start is not None]
    if starts[0] is not None or len(later) != len(starts) - 1 or any(a >= b for a, b in pairwise(later)):
        raise Wrong(
            f"{shown(value)} is not in order", "the first segment has no date, and every later one a later date"
        )
    return tuple(parts)


def _segment_cell(value: Value) -> list[SegmentFrom]:
    if not isinstance(value, str):
        raise Wrong(f"{shown(value)} is not a list of segments", "write [{segment: lgwan}]")
    cells = [part.strip(" ").partition("@") for part in value.replace("；", ";").split(";")]
    return [_segment_from(name, day if at else None) for name, at, day in cells]


def _segment_part(part: Value) -> SegmentFrom:
    if isinstance(part, str):
        return SegmentFrom(segment(part))
    if not isinstance(part, dict) or not {"segment"} <= part.keys() <= {"segment", "from"}:
        raise Wrong(f"{shown(part)} is not a segment", "write {segment: internet, from: 2023-02-01}")
    return _segment_from(part["segment"], part.get("from"))


def _segment_from(name: Value, day: Value) -> SegmentFrom:
    return SegmentFrom(segment(name), None if day is None else period_of_dates(start(day), None).start)
