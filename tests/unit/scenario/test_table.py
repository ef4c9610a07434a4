"""Scenarios as tables: nothing is lost on the way there and back, nothing runs in a spreadsheet, faults name their cell."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pdp.cli import app
from pdp.scenario import sheet
from pdp.scenario.cells import CellError, guarded, meant, unguarded, written
from pdp.scenario.files import read_all
from pdp.scenario.format import Scenario, checked
from pdp.scenario.from_table import from_rows
from pdp.scenario.sheet import read_table, write_table
from pdp.scenario.table import MAX_ROWS, TableError
from pdp.scenario.to_table import to_rows

SHARED = Path(__file__).parents[3] / "../shared/scenarios"
NAMES = ("scenarios.csv", "scenarios.xlsx")
REQUEST = {"user": "u-1", "auth_level": 2, "resource": "mail", "action": "access", "zone": "office"}
STORY: dict[str, Any] = {
    "id": "一つ目",
    "title": {"ja": "改行\nのある　題名", "en": "=1+1"},
    "directory": {
        "users": [
            {
                "id": "u-1",
                "kind": "staff",
                "name": "@山田",
                "posts": [
                    {"department": "soumu", "from": "2023-04-01"},
                    {"department": "zeimu", "until": "2024-03-31"},
                ],
                "roles": ["a;b", "c"],
            },
            {"id": "007", "kind": "contractor", "employment": {"status": "active"}, "roles": []},
        ],
        "devices": [
            {"id": "d-1", "class": "managed_pc", "posture": "healthy", "owner": "u-1"},
            {"id": "d-2", "class": "byod_phone", "posture": {"tampered": False, "patch_age_days": "unknown"}},
            {"id": "d-3", "class": "section_pc", "posture": {}},
        ],
        "permits": [{"device": "d-2", "user": "u-1", "held": True}],
        "resources": [
            {"id": "mail", "departments": [], "name": "true", "title": {"ja": "メール"}},
            {
                "id": "x",
                "group": "business",
                "segments": [{"segment": "lgwan"}, {"segment": "internet", "from": "2023-02-01"}],
            },
        ],
        "disaster": {},
    },
    "steps": [
        {"now": "2023-08-01T10:00:00+09:00", "request": REQUEST, "expect": {"outcome": "allow", "obligations": {}}},
        {
            "now": "2023-08-02T10:00:00+09:00",
            "directory": {"users": [{"id": "u-2", "kind": "staff"}], "disaster": [{"from": "2023-08-01"}, {}]},
            "request": {**REQUEST, "risk": ["bulk_download"], "path_encrypted": True, "tenant": ""},
            "expect": {
                "reasons": ["OK"],
                "obligations": {"end_at": "2023-01-01", "session_max_minutes": 60, "save": "60"},
            },
        },
    ],
}


def plain(scenario: Scenario) -> Any:
    return msgspec.to_builtins(msgspec.structs.replace(scenario, where=""))


def there_and_back(name: str, *documents: dict[str, Any]) -> list[Any]:
    rows = read_table(name, write_table(name, to_rows(documents)))
    return [plain(checked(told.document)) for told in from_rows(rows)]


@pytest.mark.parametrize("name", NAMES)
def test_a_story_with_everything_comes_back_equal(name: str) -> None:
    other = {"id": "two", "now": "2023-08-01T10:00:00+09:00", "request": REQUEST, "expect": {"outcome": "deny"}}
    assert there_and_back(name, STORY, other) == [plain(checked(STORY)), plain(checked(other))]


@pytest.mark.parametrize("name", NAMES)
def test_every_shared_scenario_comes_back_equal_and_runs_from_the_table(name: str, tmp_path: Path) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/scenarios is not there")
    done = CliRunner().invoke(app, ["scenario", "to-csv", str(SHARED), "--out", str(tmp_path / name)])
    assert done.exit_code == 0, done.output
    before, after = (read_all([path]) for path in (SHARED, tmp_path / name))
    assert [_even(one) for one in after] == [_even(one) for one in before]
    done = CliRunner().invoke(
        app, ["scenario", "from-csv", str(tmp_path / name), "--out", str(tmp_path / "again.yaml")]
    )
    assert done.exit_code == 0, done.output
    assert [_even(one) for one in read_all([tmp_path / "again.yaml"])] == [_even(one) for one in before]


def _even(scenario: Any) -> Any:
    """A list of one disaster is that disaster."""
    assert isinstance(scenario, Scenario), scenario
    told = plain(scenario)
    for part in (told, *told["steps"]):
        spans = part["directory"].get("disaster")
        if isinstance(spans, list) and len(spans) == 1:
            part["directory"]["disaster"] = spans[0]
    return told


@given(
    texts=st.lists(st.text(max_size=12), max_size=4),
    pairs=st.dictionaries(st.text(max_size=6), st.integers() | st.text(max_size=8), max_size=3),
    text=st.text(max_size=30),
)
@settings(max_examples=150)
def test_every_text_list_and_pair_is_given_back_by_its_cell_and_none_begins_as_a_formula(
    texts: list[str], pairs: dict[str, Any], text: str
) -> None:
    pairs = {
        name: value
        for name, value in pairs.items()
        if name and abs(int(value) if isinstance(value, int) else 0) < 10**17
    }
    for value, kind in ((text, "text"), (text, "any"), (texts, "words"), (pairs, "pairs"), ({"a": [text]}, "json")):
        cell = guarded(written(value, kind))  # type: ignore[arg-type]
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert meant(unguarded(cell), kind) == value  # type: ignore[arg-type]


def test_no_cell_of_a_file_begins_as_a_formula() -> None:
    rows = to_rows([STORY])
    cells = [cell for row in csv.reader(io.StringIO(write_table("a.csv", rows).decode("utf-8-sig"))) for cell in row]
    assert "'=1+1" in cells and "'@山田" in cells
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    book = openpyxl.load_workbook(io.BytesIO(write_table("a.xlsx", rows)))
    assert {cell.data_type for row in book.worksheets[0].iter_rows() for cell in row if cell.value} == {"s"}


def test_what_a_spreadsheet_makes_of_words_by_itself_is_understood() -> None:
    head = to_rows([STORY])[0]
    row = dict.fromkeys(head, "")
    row |= {
        "シナリオ [id]": "x", "日時 [now]": "2023-08-01T10:00:00+09:00", "期待する判定 [expect.outcome]": "deny",
        "要求する利用者 [request.user]": "u-1", "認証レベル [request.auth_level]": "2", "通信の暗号化 [request.path_encrypted]": "TRUE",
        "要求のシステム [request.resource]": "mail", "操作 [request.action]": "access", "接続元 [request.zone]": "office",
        "利用者 [user.id]": "u-1", "利用者の区分 [user.kind]": "staff", "所属 [post.department]": "soumu",
        "所属開始 [post.from]": "2023/4/1", "役割 [user.roles]": "a；b ; c",
    }  # fmt: skip
    (told,) = from_rows([head, list(row.values())])
    user = told.document["directory"]["users"][0]
    assert (user["posts"], user["roles"]) == ([{"department": "soumu", "from": "2023-04-01"}], ["a", "b", "c"])
    assert told.document["request"]["path_encrypted"] is True


@pytest.mark.parametrize(
    ("cell", "column", "said"),
    [
        ("tomorrow", "日時 [now]", "lacks its offset|is not a time"),
        ("2023-08-01T10:00:00", "日時 [now]", "offset"),
        ("perhaps", "期待する判定 [expect.outcome]", "Invalid enum value 'perhaps'"),
        ("many", "認証レベル [request.auth_level]", "Expected `int`"),
        ('"open', "題名（日本語） [title.ja]", "not JSON"),
        ("save", "期待する制限 [expect.obligations]", "name=value"),
        ("7", "手順 [step]", "numbered from 1"),
        ("x", "端末の種類 [device.class]", "Invalid enum value 'x'"),
    ],
)
def test_a_fault_names_its_row_and_its_column_in_both_languages(
    cell: str, column: str, said: str, tmp_path: Path
) -> None:
    rows = to_rows([{**STORY, "id": "a"}, {**STORY, "id": "b"}])
    at = next(n for n, row in enumerate(rows) if row[0] == "b")
    rows[at + (column in ("日時 [now]", "期待する判定 [expect.outcome]", "認証レベル [request.auth_level]",
                          "期待する制限 [expect.obligations]")) * 3][rows[0].index(column)] = cell  # fmt: skip
    (tmp_path / "t.csv").write_bytes(write_table("t.csv", rows))
    done = CliRunner().invoke(app, ["scenario", "from-csv", str(tmp_path / "t.csv"), "--lang", "en"])
    assert done.exit_code == 1
    import re

    assert re.search(rf"row \d+, column {re.escape(column)}: .*({said})", " ".join(done.output.split())), done.output
    done = CliRunner().invoke(app, ["scenario", "from-csv", str(tmp_path / "t.csv"), "--lang", "ja"])
    assert f"行目「{column}」" in "".join(done.output.split("\n")), done.output


@pytest.mark.parametrize(
    "rows",
    [
        [["シナリオ [id]", "端末"], ["a", "x"]],
        [["id", "id"], ["a", "b"]],
        [["id", "now"]],
        [["id"], ["a"], ["b"], ["a"]],
        [["id", "step"], ["", "1"]],
        [["id", "post.department"], ["a", "soumu"]],
        [["id"], ["a", "more"]],
        [["id", "step"], ["a", "1"], ["a", "3"]],
        [["id", "device.posture", "device.posture.tampered"], ["a", "healthy", "true"]],
        [["id", "now"], ["a", "2023-08-01T10:00:00+09:00"], ["a", "2023-08-01T10:00:00+09:00"]],
        [["id"]] * (MAX_ROWS + 1),
        [],
    ],
)
def test_a_table_that_says_nothing_clear_is_refused(rows: list[list[str]]) -> None:
    with pytest.raises(TableError) as caught:
        from_rows(rows)
    assert caught.value.faults


@pytest.mark.parametrize(
    ("change", "said"),
    [({"title": {"ja": "a", "fr": "b"}}, "no `fr`"), ({"directory": {"users": [{"id": 7, "kind": "staff"}]}}, "`a`")],
)
def test_what_a_table_cannot_hold_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=said):
        to_rows([{**STORY, "id": "a", **change}])
    with pytest.raises(TableError, match="two scenarios"):
        to_rows([STORY, STORY])


def _book(sheet_xml: str, **parts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", '<workbook xmlns:r="r"><sheets><sheet r:id="r1"/></sheets></workbook>')
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            '<Relationships><Relationship Id="r1" Target="worksheets/s.xml"/></Relationships>',
        )
        file.writestr("xl/worksheets/s.xml", sheet_xml)
        for name, text in parts.items():
            file.writestr(name, text)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a workbook"),
        (b"PK\x03\x04 no", "not a workbook"),
        (_book("<sheet"), "not XML"),
        (_book('<!DOCTYPE x [<!ENTITY a "b">]><s/>'), "document type"),
        (_book('<s><row r="1"><c r="A1"><f>1+1</f><v>2</v></c></row></s>'), "formula"),
        (_book('<s><row r="1"><c r="A1" t="e"><v>#REF!</v></c></row></s>'), "error value"),
        (_book('<s><row r="1"><c r="A1" t="s"><v>3</v></c></row></s>'), "text is not there"),
        (_book('<s><row r="99999999"><c r="A1"><v>1</v></c></row></s>'), "rows"),
        (_book('<s><row r="1"><c r="ZZZ1"><v>1</v></c></row></s>'), "columns"),
        (_book('<s><row r="x"/></s>'), "not XML"),
    ],
)
def test_a_workbook_that_is_none_or_more_than_values_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(TableError, match=said):
        read_table("a.xlsx", content)


def test_a_workbook_that_grows_without_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MAX_UNPACKED", 1_000)  # the bound is the module's own value
    with pytest.raises(TableError, match="unpacked"):
        read_table("a.xlsx", _book("<s>" + " " * 2_000 + "</s>"))
    with pytest.raises(TableError, match="larger than"):
        read_table("a.csv", b"x" * (sheet.MAX_BYTES + 1))


def test_numbers_and_truths_of_a_workbook_are_read_as_people_see_them() -> None:
    cells = '<c r="A1"><v>2.0</v></c><c r="C1" t="b"><v>1</v></c><c r="D1" t="inlineStr"><is><t>文</t></is></c>'
    assert read_table("a.xlsx", _book(f'<s><row r="2">{cells}</row></s>')) == [[], ["2", "", "true", "文"]]


def test_what_excel_in_japan_saves_by_itself_is_read_too() -> None:
    assert read_table("a.csv", 'シナリオ [id]\r\n"改行\r\nあり"\r\n'.encode("cp932")) == [
        ["シナリオ [id]"],
        ["改行\nあり"],
    ]
    for content, said in ((b"\xff\xfe\x00a", "neither"), (b'id\r\n"open', "not CSV")):
        with pytest.raises(TableError, match=said):
            read_table("a.csv", content)
    with pytest.raises(CellError):
        meant("x" * 40_000, "text")
