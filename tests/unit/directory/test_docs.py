"""`docs/directory.md` and the code say the same."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from pdp.directory.files import words
from pdp.directory.files.fields import FIELDS, FILE_NAMES, Sheet
from pdp.directory.snapshot import load_snapshot
from pdp.model import input as document
from pdp.store.store import Store
from tests.unit.directory.imports import brought

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "directory.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("sheet", FIELDS)
def test_every_column_stands_in_the_documentation_in_both_languages(sheet: Sheet) -> None:
    section = TEXT.partition(f"### `{sheet}.csv`")[2].partition("\n#")[0]
    listed = [line.split(" | ")[:2] for line in section.splitlines() if line.startswith("| `")]
    want = [(f"| `{field.name}`", "、".join(field.headings) or "–") for field in FIELDS[sheet]]
    assert [(name.removesuffix(" **(key)**"), headings) for name, headings in listed] == want
    assert all(f"{name}.csv" in TEXT for name, of in FILE_NAMES.items() if of == sheet)


def test_every_word_stands_in_the_documentation() -> None:
    for literal in (
        document.SubjectKind,
        document.DeviceClass,
        document.DeviceState,
        document.ResourceGroup,
        document.EdrRisk,
    ):
        assert [word for word in get_args(literal) if f"`{word}`" not in TEXT] == []
    for table in (
        words.KINDS,
        words.CLASSES,
        words.STATES,
        words.GROUPS,
        words.SEGMENTS,
        words.EMPLOYMENT,
        words.TAKEOUT,
    ):
        assert [ja for ja, en in table.items() if f"`{en}` " not in TEXT or ja not in TEXT] == []


def test_the_example_can_be_imported(store: Store) -> None:
    example = TEXT.partition("```yaml\n")[2].partition("```")[0]
    assert brought(store, {"directory.yaml": example}).outcome == "imported"
    assert load_snapshot(store).users["u-1"].name == "三重 花子"
