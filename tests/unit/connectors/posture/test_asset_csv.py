from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.port import DeviceReport, Refused
from connectors.posture import asset_csv
from connectors.posture.asset_csv import connector, read_export
from connectors.posture.asset_mapping import Mapping, read_mapping
from connectors.setup import Setup
from pdp.errors import ConnectorError, SettingsError
from pdp.model.directory import PostureReport

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
JST = timezone(timedelta(hours=9))
EXAMPLES = Path(asset_csv.__file__).parent / "asset_mappings"

MAPPING = """
names:
  - {kind: id, column: 端末ID}
  - {kind: serial, column: シリアル番号}
observed_at: {column: 最終接続日時}
facts:
  disk_encrypted: {columns: [C, D], values: {済: true, 未: false, なし: true}}
  av_current: {column: 定義, within_days: 7}
  edr_running: {column: EDR, values: {常駐: true, 停止: false, 対象外: not_managed}}
  edr_risk: {column: 危険, values: {高: high, なし: none}}
  patch_age_days: {column: パッチ, age: date}
"""
HEAD = "端末ID,備考,シリアル番号,最終接続日時,C,D,定義,EDR,危険,パッチ"


def mapping(text: str = MAPPING) -> Mapping:
    return read_mapping(text, "mapping.yaml")


def read(
    *rows: str, head: str = HEAD, encoding: str = "utf-8", text: str = MAPPING
) -> tuple[list[DeviceReport], list[Refused]]:
    return read_export("export.csv", "\r\n".join([head, *rows, ""]).encode(encoding), mapping(text), "skysea")


def row(**cells: str) -> str:
    usual = {
        "id": "d-1",
        "note": "",
        "serial": "5CG0001",
        "seen": "2026/7/1 9:00",
        "c": "済",
        "d": "なし",
        "av": "2026/6/28",
        "edr": "常駐",
        "risk": "なし",
        "patch": "R8.6.28",
    }
    return ",".join({**usual, **cells}.values())


def fact(name: str, **cells: str) -> Any:
    ((report,), _) = read(row(**cells))
    return getattr(report.posture, name)


def test_a_row_becomes_a_report() -> None:
    ((report,), refused) = read(row())
    assert dict(report.names) == {"id": "d-1", "serial": "5CG0001"}
    assert report.posture == PostureReport(
        disk_encrypted=True,
        av_current=True,
        edr_running=True,
        edr_risk="none",
        patch_age_days=3,
        observed_at=datetime(2026, 7, 1, 9, 0, tzinfo=JST),
        source="skysea",
    )
    assert refused == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_the_encoding_is_recognised(encoding: str) -> None:
    ((report,), _) = read(row(), encoding=encoding)
    assert report.posture.disk_encrypted is True


@pytest.mark.parametrize(
    ("cells", "name", "expected"),
    [
        ({"c": ""}, "disk_encrypted", "unknown"),
        ({"c": "", "d": "未"}, "disk_encrypted", False),
        ({"c": "済 ", "d": "　済"}, "disk_encrypted", True),
        ({"c": "暗号化中"}, "disk_encrypted", "unknown"),
        ({"av": "2026/6/24"}, "av_current", True),
        ({"av": "2026/6/23"}, "av_current", False),
        ({"av": ""}, "av_current", "unknown"),
        ({"av": "2026/7/2"}, "av_current", "unknown"),
        ({"av": "昨日"}, "av_current", "unknown"),
        ({"edr": "対象外"}, "edr_running", "not_managed"),
        ({"edr": "常駐中"}, "edr_running", "unknown"),
        ({"risk": "高"}, "edr_risk", "high"),
        ({"risk": ""}, "edr_risk", "unknown"),
        ({"patch": "令和8年6月1日"}, "patch_age_days", 30),
        ({"patch": "2026-07-02"}, "patch_age_days", None),
        ({"patch": "46200"}, "patch_age_days", None),
        ({"patch": "令和1年1月1日"}, "patch_age_days", None),
        ({"patch": "1900-01-01"}, "patch_age_days", None),
        ({"patch": "9999-12-31"}, "patch_age_days", None),
        ({"patch": ""}, "patch_age_days", None),
        ({"seen": "2026/7/1"}, "observed_at", datetime(2026, 7, 1, tzinfo=JST)),
        ({"seen": "令和8年7月1日 8時"}, "observed_at", datetime(2026, 7, 1, 8, tzinfo=JST)),
        ({"seen": "2026-07-01T00:00:00Z"}, "observed_at", datetime(2026, 7, 1, tzinfo=UTC)),
    ],
)
def test_cells_become_facts_and_what_is_not_said_is_unknown(cells: dict[str, str], name: str, expected: Any) -> None:
    assert fact(name, **cells) == expected


@pytest.mark.parametrize(
    ("cells", "code", "ja", "en"),
    [
        ({"edr": "?"}, "unlisted_value", "対応表にない", "not in the table"),
        ({"patch": "昨日"}, "bad_date", "日付として読めない", "is not a date"),
        ({"patch": "2026-07-02"}, "bad_date", "確認日時より後", "after the observation"),
        ({"seen": ""}, "bad_date", "確認日時が空", "is empty"),
        ({"seen": "46200"}, "bad_date", "日付として読めない", "spreadsheet"),
        ({"id": "", "serial": "To be filled by O.E.M."}, "no_name", "特定できる値がない", "names the device"),
    ],
)
def test_what_is_amiss_is_told_with_line_and_column_in_both_languages(
    cells: dict[str, str], code: str, ja: str, en: str
) -> None:
    _, (one,) = read(row(id="d-0", serial="5CG0000"), row(**cells))
    assert one.code == code
    assert one.detail.startswith("export.csv:3 列 `")
    assert ja in one.detail
    assert en in one.detail


def test_a_row_without_a_name_or_a_time_is_no_report() -> None:
    items, refused = read(row(id="", serial="-"), row(seen="いつか"), row(id="d-2", serial="S2"))
    assert [item.names["id"] for item in items] == ["d-2"]
    assert [one.code for one in refused] == ["no_name", "bad_date"]


def test_a_name_that_two_devices_share_finds_neither_of_them() -> None:
    items, refused = read(
        row(id="d-1", serial="SAME"),
        row(id="d-2", serial="SAME"),
        row(id="", serial="SAME"),
        row(id="d-4", serial="S4"),
    )
    assert [dict(item.names) for item in items] == [{"id": "d-1"}, {"id": "d-2"}, {"id": "d-4", "serial": "S4"}]
    assert [one.code for one in refused] == ["ambiguous_name"] * 3


def test_one_device_on_two_days_is_two_reports_of_it() -> None:
    items, refused = read(row(), row(seen="2026/6/30 9:00"))
    assert [dict(item.names) for item in items] == [{"id": "d-1", "serial": "5CG0001"}] * 2
    assert refused == []


@pytest.mark.parametrize(
    "bad",
    ["d-2,cut", 'd-2,"unclosed', "d-2," + "x" * 200_000 + ",", "d-2"],
)
def test_a_row_that_is_cut_is_counted_and_the_others_are_read(bad: str) -> None:
    items, refused = read(row(), bad)
    assert [item.names["id"] for item in items] == ["d-1"]
    assert refused
    assert {one.code for one in refused} <= {"bad_row"}


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (HEAD.replace("EDR", "ＥＤＲ稼働"), "EDR"),
        (HEAD + ",EDR", "twice"),
        ("", "missing"),
        ("端末ID;備考;シリアル番号", "missing"),
    ],
)
def test_a_heading_that_is_not_the_mappings_fails_the_whole_file(head: str, says: str) -> None:
    with pytest.raises(ConnectorError, match=says) as failed:
        read(row(), head=head)
    assert failed.value.fault == "malformed"
    assert "export.csv:1" in failed.value.message
    assert "見出し" in failed.value.message


@pytest.mark.parametrize(
    "content", [HEAD.encode("utf-16"), HEAD.encode() + "\n端末".encode("cp932") + "\n端末".encode()]
)
def test_an_encoding_that_is_none_fails_the_whole_file(content: bytes) -> None:
    with pytest.raises(ConnectorError, match="文字コード"):
        read_export("export.csv", content, mapping(), "skysea")


def test_full_width_headings_are_the_same_headings_and_lines_above_them_are_passed_over() -> None:
    text = MAPPING + "header_line: 3\ndelimiter: tab\n"
    head = "資産一覧\r\n出力日: 2026/07/01\r\n" + HEAD.replace("EDR", "ＥＤＲ").replace(",", "\t")
    ((report,), _) = read(row().replace(",", "\t"), head=head, text=text)
    assert report.posture.edr_running is True


@pytest.mark.parametrize(
    "change",
    [
        ("names:", "nmaes:"),
        ("kind: serial", "kind: id"),
        ("kind: serial", "kind: mac_address"),
        ("edr_risk:", "compliance:"),
        ("{高: high", "{高: severe"),
        ("{常駐: true", "{常駐: 1"),
        ("{済: true", "{済: not_managed"),
        ("{済: true, 未: false", "{済: true, 済: false"),
        ("{済: true", "{'済 ': true, 済: true"),
        ("{済: true", "{'': true"),
        ("within_days: 7", "within_days: -1"),
        ("within_days: 7", "within_days: 7, values: {a: true}"),
        ("within_days: 7", "{}"),
        ("{column: 危険,", "{column: 危険, columns: [危険],"),
        ("{column: 危険,", "{columns: [危険],"),
        ("column: 危険, values: {高: high, なし: none}", "column: 危険, within_days: 3"),
        ("age: date", "age: months"),
        ("age: date", "values: {'1': true}"),
        ("observed_at: {column: 最終接続日時}", "observed_at: {column: 最終接続日時, times: utc}"),
        ("facts:", "facts: {}\nmore:"),
        ("names:", "names: &a"),
    ],
)
def test_a_mapping_file_that_breaks_its_form_is_refused(change: tuple[str, str]) -> None:
    assert change[0] in MAPPING
    with pytest.raises(SettingsError, match=r"mapping\.yaml"):
        mapping(MAPPING.replace(change[0], change[1], 1))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_example_is_a_mapping_and_says_that_it_is_only_one(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    read = read_mapping(text, path.name)
    assert "not the vendor's own format" in text
    assert "style" in read.title
    cells = dict.fromkeys(read.columns, "")
    cells |= {name.column: f"N{at}123" for at, name in enumerate(read.names)}
    cells[read.observed_at.column] = "令和8年7月1日 9:00"
    for rule in read.facts.values():
        good = next((cell for cell, word in (rule.values or {}).items() if word is not False), "2026/06/30")
        cells |= dict.fromkeys(rule.read, "3" if rule.age == "days" else good)
    csv = ",".join(cells) + "\r\n" + ",".join(cells.values()) + "\r\n"
    ((report,), refused) = read_export(path.stem + ".csv", csv.encode("cp932"), read, "assets")
    assert refused == []
    assert report.posture.disk_encrypted is True
    assert report.posture.patch_age_days is not None


@given(st.lists(st.text(alphabet='dS1,"\r\n済未常駐2026/7 -高', max_size=60), max_size=6))
def test_whatever_the_rows_are_nothing_is_better_than_its_cells(rows: list[str]) -> None:
    items, _ = read(*rows)
    for item in items:
        assert item.names
        assert item.posture.observed_at is not None
        assert item.posture.edr_running is not True or "常駐" in "".join(rows)
        assert item.posture.disk_encrypted is not True or "済" in "".join(rows)


# --- the connector


def setup(folder: Path, text: str = MAPPING, **more: Any) -> Setup:
    mapping_file = folder.parent / "mapping.yaml"
    mapping_file.write_text(text, encoding="utf-8")
    settings = {"folder": str(folder), "mapping": str(mapping_file), **more}

    def no_network(**_: Any) -> Any:
        raise AssertionError("a folder needs no network")

    async def no_sleep(_: float) -> None:
        raise AssertionError("a folder is not waited for")

    return Setup("skysea", settings, lambda _: "", lambda: NOW, no_sleep, no_network)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exports"
    made.mkdir()
    return made


def put(folder: Path, name: str, *rows: str, age_s: int = 600) -> None:
    path = folder / name
    path.write_text("\n".join([HEAD, *rows, ""]), encoding="utf-8")
    os.utime(path, (NOW.timestamp() - age_s,) * 2)


async def collect(made: asset_csv.AssetCsv) -> tuple[bool, list[DeviceReport], list[Refused]]:
    run = await made.run(None, NOW)
    pages = [page async for page in run.pages]
    assert all(len(page.items) <= asset_csv.PAGE for page in pages)
    return run.complete, [i for page in pages for i in page.items], [r for page in pages for r in page.refused]


async def test_every_settled_file_of_the_folder_is_read(folder: Path) -> None:
    put(folder, "a.csv", row())
    put(folder, "b.csv", row(id="d-2", serial="S2"), row(id="d-3", serial="S3", edr="?"))
    put(folder, "c.txt", "not ours")
    complete, items, refused = await collect(connector(setup(folder)))
    assert complete is False
    assert [item.names["id"] for item in items] == ["d-1", "d-2", "d-3"]
    assert [one.code for one in refused] == ["unlisted_value"]


async def test_a_file_that_may_still_be_written_is_left_and_the_run_is_not_complete(folder: Path) -> None:
    put(folder, "a.csv", row())
    put(folder, "b.csv", row(id="d-2", serial="S2"), age_s=10)
    assert await collect(connector(setup(folder, complete=True))) == (False, [*read(row())[0]], [])


async def test_a_complete_export_says_so_and_an_empty_folder_does_not(folder: Path) -> None:
    assert (await collect(connector(setup(folder, complete=True))))[0] is False
    put(folder, "a.csv", row())
    assert (await collect(connector(setup(folder, complete=True))))[0] is True


async def test_one_file_of_another_kind_fails_the_run(folder: Path) -> None:
    put(folder, "a.csv", row())
    (folder / "b.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    os.utime(folder / "b.csv", (0, 0))
    with pytest.raises(ConnectorError, match="見出し"):
        await collect(connector(setup(folder)))


async def test_a_folder_that_is_gone_fails_the_run(folder: Path) -> None:
    made = connector(setup(folder / "none"))
    with pytest.raises(ConnectorError) as failed:
        await collect(made)
    assert failed.value.fault == "unreachable"


async def test_too_many_files_fail_the_run(folder: Path) -> None:
    for number in range(asset_csv.MAX_FILES + 1):
        put(folder, f"{number}.csv", row())
    with pytest.raises(ConnectorError):
        await collect(connector(setup(folder)))


async def test_a_register_of_sixteen_thousand_rows_comes_in_pages(folder: Path) -> None:
    put(folder, "a.csv", *(row(id=f"d-{n}", serial=f"S{n}") for n in range(16_000)))
    _, items, refused = await collect(connector(setup(folder)))
    assert len(items) == 16_000
    assert refused == []


@pytest.mark.parametrize("text", [b"\xff\xfe", b"names: [", b"x" * 300_000])
def test_a_mapping_that_cannot_be_read_is_a_fault_of_the_settings(folder: Path, text: bytes) -> None:
    made = setup(folder)
    Path(made.settings["mapping"]).write_bytes(text)
    with pytest.raises(SettingsError):
        connector(made)
