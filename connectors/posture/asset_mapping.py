"""A mapping file: which column of an asset-management export says which fact. Pure.

Products write other columns, words and dates, and each site chooses its own columns; so the site says once, in YAML,
what its export means. What it does not say is not guessed: a blank cell, and a word that is not in the table of its
column, are unknown.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, get_args

import msgspec

from connectors.port import DeviceReport, NameKind
from pdp.directory.files.dates import moment
from pdp.directory.files.faults import Wrong, shown
from pdp.errors import BadRequestError, SettingsError
from pdp.model.directory import JST, PostureReport
from pdp.plain_yaml import load_one

if TYPE_CHECKING:
    from collections.abc import Mapping as Table

MAX_NAME: Final = 128  # characters
MAX_PATCH_AGE: Final = 36_500  # days; beyond it the cell is no age
_MAX_DIGITS: Final = 6
_KNOWN: Final = (
    "certificate",
    "disk_encrypted",
    "av_current",
    "firewall",
    "screen_lock",
    "tampered",
)
_WORDS: Final[Table[str, tuple[Any, ...]]] = {
    **dict.fromkeys(_KNOWN, (True, False, "unknown")),
    "edr_running": (True, False, "unknown", "not_managed"),
    "edr_risk": ("none", "low", "medium", "high", "unknown"),
}
# What mainboards carry where nobody wrote a serial number: a name of thousands of devices names none.
NO_NAMES: Final = frozenset(
    {
        "-",
        "0",
        "00000000",
        "0123456789",
        "chassis serial number",
        "default string",
        "n/a",
        "na",
        "none",
        "not applicable",
        "not specified",
        "null",
        "system serial number",
        "to be filled by o.e.m.",
        "unknown",
        "不明",
        "なし",
    }
)

_Column = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the mapping file: no other key is accepted."""


class NameColumn(_Closed, frozen=True):
    """`kind`: what the column's cells are to us: `id` is the directory's own id, the others are aliases."""

    kind: NameKind
    column: _Column


class Observed(_Closed, frozen=True):
    """When the product saw the device. A day without a time counts from its beginning."""

    column: _Column
    times: Literal["japan", "offset"] = "japan"  # a time without its offset is Japan's, or is refused


class Fact(_Closed, frozen=True):
    """How cells become a fact: by a table of words, or by a date.

    `columns`: instead of `column`; the fact is true only where every one of them says so. `values`: cell to fact.
    `within_days`: true where the cell's date is at most so many days before the observation. `age`: for
    `patch_age_days`, whether the cell is a number of `days` or a `date` from which they count.
    """

    column: _Column | None = None
    columns: list[_Column] | None = None
    values: dict[str, bool | str] | None = None
    within_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] | None = None
    age: Literal["days", "date"] | None = None

    @property
    def read(self) -> list[str]:
        return [self.column] if self.column is not None else list(self.columns or ())


class Mapping(_Closed, frozen=True):
    """A whole mapping file. `header_line`: where the headings stand; what is above them is passed over."""

    names: Annotated[list[NameColumn], msgspec.Meta(min_length=1, max_length=8)]
    observed_at: Observed
    facts: Annotated[dict[str, Fact], msgspec.Meta(min_length=1)]
    title: str = ""
    delimiter: Literal["comma", "tab", "semicolon"] = "comma"
    header_line: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1

    @property
    def columns(self) -> list[str]:
        """Every column that is read, once."""
        named = [name.column for name in self.names]
        return list(dict.fromkeys([*named, self.observed_at.column, *(c for f in self.facts.values() for c in f.read)]))

    @property
    def separator(self) -> str:
        return {"comma": ",", "tab": "\t", "semicolon": ";"}[self.delimiter]


def read_mapping(text: str, name: str) -> Mapping:
    """The mapping of one YAML file. Raises SettingsError, with the place, for a file that breaks its form."""
    try:
        mapping = msgspec.convert(load_one(text), Mapping, strict=True)
    except (BadRequestError, msgspec.ValidationError) as fault:
        raise SettingsError(f"`{name}`: {fault}") from None
    if len({column.kind for column in mapping.names}) < len(mapping.names):
        raise SettingsError(f"`{name}`: a kind of name stands twice in `names`")
    for fact, rule in mapping.facts.items():
        if wrong := _rule_fault(fact, rule):
            raise SettingsError(f"`{name}`: `facts.{fact}` {wrong}")
    return mapping


def _rule_fault(fact: str, rule: Fact) -> str | None:
    if fact != "patch_age_days" and fact not in _WORDS:
        return f"is not a fact; there are {', '.join([*_WORDS, 'patch_age_days'])}"
    if (rule.column is None) == (not rule.columns):
        return "names one `column`, or `columns`"
    if fact == "patch_age_days":
        good = rule.age is not None and rule.column is not None and rule.values is None and rule.within_days is None
        return None if good else "needs one `column` and `age: days` or `age: date`, and nothing else"
    if rule.age is not None or (rule.values is None) == (rule.within_days is None):
        return "needs `values` or `within_days`"
    if fact not in _KNOWN and (rule.within_days is not None or rule.columns is not None):
        return "is read from one `column` by `values`"
    return _values_fault(rule.values or {}, _WORDS[fact])


def _values_fault(values: Table[str, bool | str], words: tuple[Any, ...]) -> str | None:
    wrong = [word for word in values.values() if not _is_word(word, words)]
    if wrong:
        return f"cannot be {shown(wrong[0])}"
    cells = {plain_text(cell) for cell in values}
    return "has one cell twice in `values`, or an empty one" if len(cells - {""}) < len(values) else None


def _is_word(word: bool | str, words: tuple[Any, ...]) -> bool:
    return any(word is known if isinstance(known, bool) else word == known for known in words)


class Remark(NamedTuple):
    """What was found in a cell, in both languages. `code` is counted."""

    code: Literal["no_name", "bad_date", "unlisted_value", "bad_number"]
    column: str
    ja: str
    en: str


def read_row(mapping: Mapping, cells: Table[str, str], source: str) -> tuple[DeviceReport | None, list[Remark]]:
    """One row as a report; None where it names no device or has no time. `cells` by column."""
    remarks: list[Remark] = []
    names = _names(mapping, cells)
    if not names:
        column = mapping.names[0].column
        remarks.append(Remark("no_name", column, "端末を特定できる値がない", "no cell names the device"))
        return None, remarks
    observed = _observed(mapping.observed_at, cells, remarks)
    if observed is None:
        return None, remarks
    facts: dict[str, Any] = {}
    for fact, rule in mapping.facts.items():
        if fact == "patch_age_days":
            facts[fact] = _age(rule, cells, observed, remarks)
        elif rule.within_days is not None:
            facts[fact] = _together([_recent(rule, c, cells, observed, remarks) for c in rule.read])
        else:
            words = {plain_text(cell): word for cell, word in (rule.values or {}).items()}
            facts[fact] = _together([_word(words, column, cells, remarks) for column in rule.read])
    return DeviceReport(names, PostureReport(**facts, observed_at=observed.astimezone(UTC), source=source)), remarks


def _names(mapping: Mapping, cells: Table[str, str]) -> dict[NameKind, str]:
    found: dict[NameKind, str] = {}
    for name in mapping.names:
        cell = plain_text(cells[name.column])
        if cell and len(cell) <= MAX_NAME and cell.isprintable() and cell.casefold() not in NO_NAMES:
            found[name.kind] = cell
    return found


def _observed(rule: Observed, cells: Table[str, str], remarks: list[Remark]) -> datetime | None:
    text = plain_text(cells[rule.column])
    if not text:
        remarks.append(Remark("bad_date", rule.column, "確認日時が空である", "the time of observation is empty"))
        return None
    found = _moment(rule.column, text, remarks, naive_is_jst=rule.times == "japan")
    if found is None or isinstance(found, datetime):
        return found
    return datetime(found.year, found.month, found.day, tzinfo=JST)  # its beginning: no report looks too fresh


def _moment(column: str, text: str, remarks: list[Remark], *, naive_is_jst: bool) -> date | datetime | None:
    try:
        found = moment(text, naive_is_jst=naive_is_jst)
    except Wrong as wrong:
        remarks.append(Remark("bad_date", column, f"{shown(text)} は日付として読めない", wrong.message))
        return None
    if found is None:
        remarks.append(Remark("bad_date", column, f"{shown(text)} は日付として使えない", f"{shown(text)} is no day"))
    return found


def _days_before(column: str, cells: Table[str, str], observed: datetime, remarks: list[Remark]) -> int | None:
    """Whole days in Japan from the cell's date to the observation; None where that is not known, or negative."""
    text = plain_text(cells[column])
    found = _moment(column, text, remarks, naive_is_jst=True) if text else None
    if found is None:
        return None
    day = found.astimezone(JST).date() if isinstance(found, datetime) else found
    days = (observed.astimezone(JST).date() - day).days
    if days < 0:
        remarks.append(
            Remark(
                "bad_date", column, f"{shown(text)} は確認日時より後である", f"{shown(text)} is after the observation"
            )
        )
        return None
    return days


def _age(rule: Fact, cells: Table[str, str], observed: datetime, remarks: list[Remark]) -> int | None:
    (column,) = rule.read
    if rule.age == "date":
        days = _days_before(column, cells, observed, remarks)
        return days if days is None or days <= MAX_PATCH_AGE else None
    text = plain_text(cells[column])
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS or int(text) > MAX_PATCH_AGE:
        remarks.append(
            Remark("bad_number", column, f"{shown(text)} は日数ではない", f"{shown(text)} is no number of days")
        )
        return None
    return int(text)


def _recent(rule: Fact, column: str, cells: Table[str, str], observed: datetime, remarks: list[Remark]) -> Any:
    days = _days_before(column, cells, observed, remarks)
    return "unknown" if days is None or rule.within_days is None else days <= rule.within_days


def _word(words: Table[str, bool | str], column: str, cells: Table[str, str], remarks: list[Remark]) -> Any:
    text = plain_text(cells[column])
    if not text:
        return "unknown"
    if text not in words:
        remarks.append(
            Remark("unlisted_value", column, f"{shown(text)} は対応表にない", f"{shown(text)} is not in the table")
        )
    return words.get(text, "unknown")


def _together(said: list[Any]) -> Any:
    """One column as it is; of several, true only where all are true, and false where one is."""
    if len(said) == 1:
        return said[0]
    if any(fact is False for fact in said):
        return False
    return True if all(fact is True for fact in said) else "unknown"


def plain_text(text: str) -> str:
    """A cell as it is compared: full-width letters are plain ones, and padding is none."""
    return unicodedata.normalize("NFKC", text).strip()


assert {*_KNOWN, "edr_running", "edr_risk", "patch_age_days"} | {"observed_at", "source"} == {
    *PostureReport.__dataclass_fields__
}, "a fact was added to the model and not here"
assert get_args(NameKind)
