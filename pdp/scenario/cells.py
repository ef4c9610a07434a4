"""One cell of a table: what a value is written as, and what a cell means. Pure.

INVARIANT (no formula): no cell begins as a formula does. Spreadsheets run what begins with `=`, `+`, `-` or `@`, and
programs behind them what begins with a tab or a carriage return; such a text is written after an apostrophe, and so is
one that begins with an apostrophe, so that taking one away gives the text back.

A text that a cell would not give back as it is (empty, blanks at its ends, control characters, a marker) is written as
a JSON string. `[]` is the empty list and `{}` the empty object: a blank cell says nothing at all.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["text", "plain", "words", "pairs", "json", "any", "moment", "mark"]
"""`plain`: true, false, a whole number or a word. `any`: a text or JSON. `mark`: it says that there is a row at all."""

MAX_CELL: Final = 32_767  # characters: Excel's own bound
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'", "＝", "＋", "－", "＠")
_MARKERS: Final = frozenset({"[]", "{}"})
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,17})", re.ASCII)
_DAY: Final = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})", re.ASCII)
_PLAIN: Final = str.maketrans("\n\u3000", "  ")  # what a cell holds, and `isprintable` does not take
_SEPARATORS: Final = ";；\n"
_QUOTED: Final = json.JSONDecoder()


class CellError(ValueError):
    """What is wrong with a cell, in Japanese and English."""

    def __init__(self, ja: str, en: str) -> None:
        super().__init__(en)
        self.ja, self.en = ja, en


def guarded(text: str) -> str:
    """As it stands in a file."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def unguarded(text: str) -> str:
    return text.removeprefix("'").replace("\r\n", "\n").strip()


def written(value: Any, kind: Kind) -> str:
    """The text of a cell. Raises CellError for a value that a cell of this kind cannot hold."""
    if kind in ("json", "mark"):
        return _json(value)
    if kind == "any":
        return _text(value) if isinstance(value, str) and not value.startswith(("[", "{")) else _json(value)
    if kind == "words" and isinstance(value, list):
        return "; ".join(_item(word) for word in value) or "[]"
    if kind == "pairs" and isinstance(value, dict):
        return "; ".join(f"{_item(name)}={_pair(each)}" for name, each in value.items()) or "{}"
    if kind == "plain" and isinstance(value, bool | int):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    raise CellError("この値は表に書けない", f"a table cannot hold this value: {type(value).__name__}")


def meant(cell: str, kind: Kind) -> Any:  # noqa: PLR0911  # one for each kind
    """The value of a cell that is not blank. Raises CellError."""
    if len(cell) > MAX_CELL:
        raise CellError(f"{MAX_CELL} 文字を超えている", f"more than {MAX_CELL} characters")
    if kind == "json" or (kind == "any" and cell.startswith(("[", "{"))):
        return _from_json(cell)
    if kind == "mark":
        return None
    if kind == "words":
        return [] if cell == "[]" else [item for item, _ in _items(cell, pairs=False)]
    if kind == "pairs":
        return {} if cell == "{}" else _pairs(cell)
    if cell.startswith('"'):
        return _string(cell)
    if kind == "plain":
        return _plain(cell)
    if kind == "moment" and (day := _DAY.fullmatch(cell)):  # as a spreadsheet writes a day by itself
        year, month, date = (int(part) for part in day.groups())
        return f"{year:04}-{month:02}-{date:02}"
    return cell


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(value: str) -> str:
    odd = (
        not value
        or value != value.strip()
        or value in _MARKERS
        or value.startswith('"')
        or not value.translate(_PLAIN).isprintable()
    )
    return json.dumps(value, ensure_ascii=True) if odd else value


def _item(value: Any) -> str:
    if not isinstance(value, str):
        raise CellError("一覧には語だけを書ける", "a list in a table holds words alone")
    odd = any(sign in value for sign in (*_SEPARATORS, "=")) or _text(value) != value
    return json.dumps(value, ensure_ascii=True) if odd else value


def _pair(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise CellError("この値は表に書けない", "a table cannot hold this value")
    if isinstance(value, int):
        return str(value)
    return json.dumps(value) if _NUMBER.fullmatch(value) else _item(value)


def _plain(cell: str) -> bool | int | str:
    low = cell.lower()
    if low in ("true", "false"):
        return low == "true"
    return int(cell) if _NUMBER.fullmatch(cell) else cell


def _pairs(cell: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in _items(cell, pairs=True):
        if value is None or not name:
            raise CellError("「名前=値」の形で書く", "it is written as `name=value`")
        if name in found:
            raise CellError(f"「{name}」が二度ある", f"`{name}` stands twice")
        found[name] = value
    return found


def _items(cell: str, *, pairs: bool) -> Iterator[tuple[str, Any]]:
    """The items between separators, each a word or a JSON string; of a pair its name and its value."""
    at = 0
    while at <= len(cell):
        name, said, at = _token(cell, at, f"{_SEPARATORS}=" if pairs else _SEPARATORS)
        value: Any = None
        if pairs and at < len(cell) and cell[at] == "=":
            text, quoted, at = _token(cell, at + 1, _SEPARATORS)
            value = text if quoted or not _NUMBER.fullmatch(text) else int(text)
        if at < len(cell) and cell[at] not in _SEPARATORS:
            raise CellError("引用符の後に文字がある", "something stands behind a quoted text")
        if name or said or value is not None:
            yield name, value
        at += 1


def _token(cell: str, at: int, ends: str) -> tuple[str, bool, int]:
    """A word or a JSON string from here: what it says, whether it was quoted, and where it ends."""
    while at < len(cell) and cell[at] in " \u3000":
        at += 1
    if at < len(cell) and cell[at] == '"':
        try:
            text, at = _QUOTED.raw_decode(cell, at)
        except json.JSONDecodeError:
            raise CellError("閉じていない引用符がある", "a quoted text does not end") from None
        while at < len(cell) and cell[at] in " \u3000":
            at += 1
        return str(text), True, at
    end = min((found for sign in ends if (found := cell.find(sign, at)) >= 0), default=len(cell))
    return cell[at:end].strip(), False, end


def _string(cell: str) -> str:
    found = _from_json(cell)
    if not isinstance(found, str):
        raise CellError("引用符が正しくない", "the quotes are wrong")
    return found


def _from_json(cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise CellError("JSON として読めない", "it is not JSON") from None
