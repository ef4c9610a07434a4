"""The console in two languages: gettext's catalogues, Japanese first, and how times and numbers are written.

The texts in templates and modules are English; `locale/ja` has the Japanese, made by `tools/catalogues.py`.
"""

from __future__ import annotations

import gettext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pdp.model.directory import JST

if TYPE_CHECKING:
    from collections.abc import Mapping

Lang = Literal["ja", "en"]
LANGS: Final[tuple[Lang, ...]] = ("ja", "en")
DOMAIN: Final = "console"
LOCALE: Final = Path(__file__).parent / "locale"
_REIWA: Final = 2018  # 令和1年 is 2019
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def N_(text: str) -> str:  # noqa: N802  # gettext's own name for a text that is translated later
    """Marks a text for the catalogue."""
    return text


def catalogue(lang: Lang) -> gettext.NullTranslations:
    """Raises OSError where the catalogue is not installed: a console that lacks its words is not begun."""
    return gettext.translation(DOMAIN, LOCALE, [lang])


CATALOGUES: Final[Mapping[Lang, gettext.NullTranslations]] = {lang: catalogue(lang) for lang in LANGS}


def say(lang: Lang, text: str, **values: Any) -> str:
    """A text in the reader's language, with `%(name)s` filled in."""
    said = CATALOGUES[lang].gettext(text)
    return said % values if values else said


def language(cookie: str | None, accepted: str | None) -> Lang:
    """What was chosen, else the first of the two that the browser wants, else Japanese."""
    if cookie in LANGS:
        return "ja" if cookie == "ja" else "en"
    for part in (accepted or "").split(",")[:16]:
        tag = part.partition(";")[0].strip().lower().partition("-")[0]
        if tag in LANGS:
            return "ja" if tag == "ja" else "en"
    return "ja"


def moment(value: object) -> datetime | None:
    """An instant from what the API wrote; without an offset it is UTC."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def clock_text(value: object) -> str:
    """`2026-11-23 21:04:05` in Japan; what is no time stays as it is."""
    at = moment(value)
    return ("" if value is None else str(value)) if at is None else at.astimezone(JST).strftime("%Y-%m-%d %H:%M:%S")


def date_text(at: datetime, lang: Lang) -> str:
    """A day as official letters write it: 令和8年11月23日（2026年）."""
    day = at.astimezone(JST)
    if lang == "en":
        return f"{day:%A}, {day.day} {day:%B %Y}"
    weekday = "月火水木金土日"[day.weekday()]
    year = day.year - _REIWA
    return f"令和{'元' if year == 1 else year}年{day.month}月{day.day}日（{day.year}年・{weekday}）"


def span_text(seconds: float | None, lang: Lang) -> str:
    """An age in its largest unit, rounded down: `3分`, `2 h`. None: never."""
    if seconds is None:
        return say(lang, N_("never"))
    units = (("日", " d", _DAY), ("時間", " h", _HOUR), ("分", " min", _MINUTE), ("秒", " s", 1))
    for ja, en, size in units:
        if seconds >= size or size == 1:
            return f"{int(seconds // size)}{ja if lang == 'ja' else en}"
    raise AssertionError


def number_text(value: object) -> str:
    """With separators of thousands."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
