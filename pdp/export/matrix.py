"""The auditor's matrix: every rule as one row, as CSV and as a spreadsheet: who may reach what, from what.

The CSV is read back by its own interpreter, which knows nothing but "any row allows, everything else is denied"; so it
is certified like any vendor's files. Text that a spreadsheet would run is made harmless (a leading apostrophe).
"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import ExportError
from pdp.explain.fact_words import value_words
from pdp.export.building import conditions_words
from pdp.export.port import Exported
from pdp.model.rules import Condition, section_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pdp.export.port import Region, Sieve
    from pdp.model.rules import FactValue, Rule, RuleModel, Section

CSV: Final = "matrix.csv"
XLSX: Final = "matrix.xlsx"
_SECTIONS: Final[tuple[tuple[Section, str], ...]] = (
    ("user", "利用者"), ("device", "端末"), ("posture", "端末の状態"), ("network", "ネットワーク"),
    ("time", "時間・申請"), ("authentication", "認証"), ("action", "操作"), ("risk", "兆候"), ("enforcement", "実施点"),
    ("resource", "テナント"),
)  # fmt: skip
_COLUMNS: Final = (
    "規則 rule", "システム resource", "名称 name", "区分 group", "端末の種類 device class", "場合 mode",
    *(f"{ja} {section}" for section, ja in _SECTIONS),
    "制限 controls", "理由 codes", "組合せ数 vectors", "条件 conditions (machine-readable)",
)  # fmt: skip
_RESOURCE: Final = 1
_CONDITIONS: Final = len(_COLUMNS) - 1
_CONTROLS: Final = _CONDITIONS - 3
_AND: Final = "、"
_NEVER: Final = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # a spreadsheet wants a date of its making


class MatrixTarget:
    """The port `Target`. It needs no mapping."""

    @property
    def name(self) -> str:
        return "matrix"

    def export(self, model: RuleModel) -> Exported:
        """As the port says."""
        rows = list(_rows(model))
        return Exported({CSV: _csv(rows), XLSX: _xlsx(model, rows)})

    def interpreter(self, files: Mapping[str, bytes]) -> _Reading:
        """As the port says."""
        return _Reading(files)


class _Reading:
    """Any row that holds allows its system; everything else is denied."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        try:
            rows = list(csv.reader(io.StringIO(files[CSV].decode("utf-8-sig")), strict=True))
            self._rows = [
                (row[_RESOURCE], _read_conditions(row[_CONDITIONS]), row[_CONTROLS].split(_AND)) for row in rows[1:]
            ]
        except (KeyError, IndexError, ValueError, csv.Error) as fault:
            raise ExportError(f"the matrix cannot be read: {fault}", where=CSV) from None

    @property
    def given(self) -> Mapping[str, FactValue]:
        return {}

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """As the port says."""
        found = sieve.nothing
        for of, conditions, _ in self._rows:
            if of == resource:
                found |= sieve.holding(conditions)
        return found

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """As the port says: the rows that do not say this control with this value."""
        found = sieve.nothing
        for of, conditions, controls in self._rows:
            if of == resource and f"{control}: {value}" not in controls:
                found |= sieve.holding(conditions)
        return found


def _rows(model: RuleModel) -> Iterator[list[str]]:
    yield list(_COLUMNS)
    for rule in model.rules:
        conditions = model.conditions_of(rule)
        resource = model.resource(rule.resource)
        departments = model.profile(rule.users).departments if rule.users else ()
        words = []
        for section, _ in _SECTIONS:
            of = [one for one in conditions if section_of(one.fact) == section and one.fact != "device.class"]
            words.append(conditions_words(of, departments).ja)
        yield [
            rule.id,
            rule.resource,
            resource.title.ja,
            resource.group,
            value_words("device.class", rule.device_class).ja,
            {"ordinary": "通常", "degraded": "確認先の停止中", "disaster": "災害時運用"}[rule.mode],
            *words,
            _AND.join(f"{name}: {value}" for name, value in sorted(rule.controls.items())),
            " ".join(rule.codes),
            rule.vectors,
            _written_conditions(conditions, rule),
        ]


def _written_conditions(conditions: Sequence[Condition], rule: Rule) -> str:
    del rule
    return json.dumps({one.fact: list(one.values) for one in conditions}, ensure_ascii=False, separators=(",", ":"))


def _read_conditions(text: str) -> tuple[Condition, ...]:
    held: Any = json.loads(text)
    if not isinstance(held, dict):
        raise ValueError("the conditions are no object")  # noqa: TRY004  # of the file, not of a caller
    return tuple(Condition(fact, tuple(values)) for fact, values in held.items())


def _harmless(cell: str) -> str:
    """Attack: a name such as `=HYPERLINK(…)` runs where the auditor opens the file."""
    return "'" + cell if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _csv(rows: Sequence[Sequence[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_harmless(cell) for cell in row])
    return out.getvalue().encode("utf-8-sig")  # the mark lets Excel read Japanese


def _xlsx(model: RuleModel, rows: Sequence[Sequence[str]]) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": f"アクセス規則 {model.policy_revision}", "created": _NEVER})
    sheet = book.add_worksheet("規則")
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#DDE7F0"})
    plain = book.add_format({"text_wrap": True, "valign": "top"})
    for at, row in enumerate(rows):
        for column, text in enumerate(row):
            sheet.write_string(at, column, text, head if at == 0 else plain)
    sheet.freeze_panes(1, 3)
    sheet.autofilter(0, 0, len(rows) - 1, len(_COLUMNS) - 1)
    sheet.set_column(0, 5, 18)
    sheet.set_column(6, len(_COLUMNS) - 2, 28)
    sheet.set_column(_CONDITIONS, _CONDITIONS, 60)
    _about(book, model)
    book.close()
    return out.getvalue()


def _about(book: Any, model: RuleModel) -> None:
    sheet = book.add_worksheet("出所")
    for at, (name, value) in enumerate(
        (
            ("ポリシーの版 policy revision", model.policy_revision),
            ("ポリシーのダイジェスト policy digest", model.policy_digest),
            ("基準日時 as of", model.at),
            ("求め方 method", model.method),
            ("規則の数 rules", str(len(model.rules))),
        )
    ):
        sheet.write_string(at, 0, name)
        sheet.write_string(at, 1, value)
    sheet.set_column(0, 1, 44)
