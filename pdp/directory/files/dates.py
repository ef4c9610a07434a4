"""Dates and times as Japanese offices write them: ISO, 2023/4/1, 2023年4月1日 and 和暦 (令和5年4月1日, R5.4.1).

A date stays a date (`pdp.model.directory.period_of_dates` makes it a whole day in Japan). A time needs its
offset, except where the column says that its times are Japan's.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Final

from pdp.directory.files.faults import Wrong, shown
from pdp.model.directory import JST

EARLIEST: Final = date(1900, 1, 1)
LATEST: Final = date(2999, 12, 31)
OPEN_END: Final = date(9999, 12, 31)  # how personnel systems write "no end"

# Each era: its letter, its first day, its last day (元号法; 明治 and 大正 by the imperial edicts).
_ERAS: Final = {
    "明治": ("M", date(1868, 1, 25), date(1912, 7, 29)),
    "大正": ("T", date(1912, 7, 30), date(1926, 12, 24)),
    "昭和": ("S", date(1926, 12, 25), date(1989, 1, 7)),
    "平成": ("H", date(1989, 1, 8), date(2019, 4, 30)),
    "令和": ("R", date(2019, 5, 1), LATEST),
}
_ERA_OF_LETTER: Final = {letter: name for name, (letter, _, _) in _ERAS.items()}

_WESTERN: Final = re.compile(
    r"(?P<y>\d{4})(?:-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})|/(?P<m2>\d{1,2})/(?P<d2>\d{1,2})"
    r"|年(?P<m3>\d{1,2})月(?P<d3>\d{1,2})日|(?P<m4>\d{2})(?P<d4>\d{2}))(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_JAPANESE: Final = re.compile(
    r"(?:(?P<name>明治|大正|昭和|平成|令和)|(?P<letter>[MTSHRmtshr]))(?P<y>元|\d{1,2})"
    r"(?:年(?P<m1>\d{1,2})月(?P<d1>\d{1,2})日|\.(?P<m2>\d{1,2})\.(?P<d2>\d{1,2})|/(?P<m3>\d{1,2})/(?P<d3>\d{1,2})"
    r"|-(?P<m4>\d{1,2})-(?P<d4>\d{1,2}))(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_TIME: Final = re.compile(
    r"[T ]?(?P<h>\d{1,2})(?::(?P<mi1>\d{2})(?::(?P<s1>\d{2})(?:\.(?P<f>\d{1,6}))?)?|時(?:(?P<mi2>\d{1,2})分)?)"
    r"\s?(?P<offset>[Zz]|[+-]\d{2}:\d{2})?",
    re.ASCII,
)
_SERIAL: Final = re.compile(r"[34]\d{4}(\.\d+)?", re.ASCII)
_HOW: Final = "write for example 2023-04-01, 2023/4/1 or 令和5年4月1日"
_HOW_TIME: Final = "write for example 2023-08-06T22:00:00+09:00"


@lru_cache(maxsize=4096)  # a register of 16,000 rows holds some dozens of dates
def moment(text: str, *, naive_is_jst: bool = False) -> date | datetime | None:
    """The date or the aware time that a text names; None for 9999-12-31, which means no end.

    Full-width digits count as digits. Raises Wrong with what to write instead.
    """
    plain = unicodedata.normalize("NFKC", text)
    if _SERIAL.fullmatch(plain):
        raise Wrong(f"{shown(text)} looks like the number that a spreadsheet keeps for a date", _HOW)
    found = _WESTERN.fullmatch(plain) or _JAPANESE.fullmatch(plain)
    if found is None:
        raise Wrong(f"{shown(text)} is not a date", _HOW)
    day = _day(found, text)
    if not found["rest"]:
        if day == OPEN_END:
            return None
        _in_range(day, text)
        return day
    _in_range(day, text)
    return _with_time(day, found["rest"], text, naive_is_jst=naive_is_jst)


def _day(found: re.Match[str], text: str) -> date:
    parts = found.groupdict()
    month, day = (int(next(parts[f"{part}{n}"] for n in "1234" if parts.get(f"{part}{n}"))) for part in "md")
    if found.re is _JAPANESE:
        era = parts["name"] or _ERA_OF_LETTER[parts["letter"].upper()]
        return _era_day(era, 1 if parts["y"] == "元" else int(parts["y"]), month, day, text)
    try:
        return date(int(parts["y"]), month, day)
    except ValueError:
        raise Wrong(f"{shown(text)} is a day that does not exist", "correct the date") from None


def _era_day(era: str, year: int, month: int, day: int, text: str) -> date:
    """A day of an era. A day before or after the era is refused: it may be a slip of the era's letter."""
    _, first, last = _ERAS[era]
    try:
        meant = date(first.year + year - 1, month, day)
    except ValueError:
        raise Wrong(f"{shown(text)} is a day that does not exist", "correct the date") from None
    if year < 1 or not first <= meant <= last:
        raise Wrong(f"{shown(text)} is not a day of {era}", f"if {meant.isoformat()} is meant, write that")
    return meant


def _in_range(day: date, text: str) -> None:
    if not EARLIEST <= day <= LATEST:
        raise Wrong(
            f"{shown(text)} is outside {EARLIEST.year} to {LATEST.year}",
            "leave it empty or write 9999-12-31 for no end",
        )


def _with_time(day: date, rest: str, text: str, *, naive_is_jst: bool) -> datetime:
    found = _TIME.fullmatch(rest)
    if found is None or (rest[0] not in "T " and "日" not in text):  # `2023-4-110:00` could be two days
        raise Wrong(f"{shown(text)} is not a time", _HOW_TIME)
    hour, minute, second = (int(found[name] or 0) for name in ("h", "mi1", "s1"))
    minute = int(found["mi2"]) if found["mi2"] else minute
    next_day = hour == 24 and minute == second == 0 and not found["f"]  # noqa: PLR2004  # 24:00 ends the day
    micro = int((found["f"] or "0").ljust(6, "0"))
    try:
        clock = time(0 if next_day else hour, minute, second, micro, tzinfo=_offset(found["offset"]))
    except ValueError:
        raise Wrong(f"{shown(text)} is a time that does not exist", _HOW_TIME) from None
    instant = datetime.combine(day, clock) + timedelta(days=next_day)
    if instant.tzinfo is not None:
        return instant
    if not naive_is_jst:
        raise Wrong(
            f"{shown(text)} lacks its offset", f"{_HOW_TIME}, or use the column whose heading says 日本時間 (`…_jst`)"
        )
    return instant.replace(tzinfo=JST)


def _offset(text: str | None) -> timezone | None:
    if text is None:
        return None
    if text in ("Z", "z"):
        return timezone.utc  # noqa: UP017  # beside the other offsets
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 14 or minutes > 59:  # noqa: PLR2004  # no place on earth is further from UTC
        raise ValueError(text)
    delta = timedelta(hours=hours, minutes=minutes)
    return timezone(-delta if text[0] == "-" else delta)
