"""The ten reports as an auditor of a Japanese office takes them: on the screen, and as a file for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime
from urllib.parse import unquote

import pyarrow as pa
import pytest

from pdp.archive.meanings import head_of
from pdp.archive.paper import in_order, on_paper, period
from pdp.archive.queries import QUERIES
from pdp.model.words import day_text
from tests.unit.audit.world import DAY, OPERATE, READ, World

pytestmark = pytest.mark.anyio

REPORTS = sorted(name for name in QUERIES if name.startswith("report_"))
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")


def params_of(name: str) -> dict[str, str]:
    given = {**DAY, "person": "tanaka"}
    return {key: given[key] for key in QUERIES[name].params if key in given}


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


async def test_each_report_is_a_file_with_japanese_heads_that_excel_opens(audit: World) -> None:
    who = audit.caller("aud", READ)
    for name in REPORTS:
        answer = await audit.get(who, f"/reports/{name}", **params_of(name), format="csv")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content.startswith(b"\xef\xbb\xbf")  # without it Excel reads another character set
        assert answer.content.count(b"\n") == answer.content.count(b"\r\n")
        head, *rows = rows_of(answer.content.decode("utf-8-sig"))
        assert all(JAPANESE.search(word) for word in head), (name, head)
        assert len(set(head)) == len(head)
        assert all(len(row) == len(head) for row in rows)
        title = unquote(answer.headers["content-disposition"].rpartition("''")[2])
        assert title.startswith(QUERIES[name].title.ja[:4])
        assert not set('\r\n"/\\:*?<>|') & set(title)
        json_answer = (await audit.get(who, f"/reports/{name}", **params_of(name), lang="ja")).json()
        assert len(json_answer["rows"]) == len(rows)
        assert [column["head"] for column in json_answer["columns"]] == head
        english = await audit.get(who, f"/reports/{name}", **params_of(name), format="csv", lang="en")
        assert not JAPANESE.search(rows_of(english.content.decode("utf-8-sig"))[0][0])


async def test_cells_have_words_and_times_of_the_reader_and_numbers_stay_numbers(audit: World) -> None:
    who = audit.caller("aud", READ)
    answer = await audit.get(who, "/reports/report_08_person_day", **params_of("report_08_person_day"), format="csv")
    head, *rows = rows_of(answer.content.decode("utf-8-sig"))
    assert head[:2] == ["日時", "端末"]
    assert head[-1] == "判定番号"
    assert {row[head.index("判定")] for row in rows} == {"許可", "拒否"}
    assert all(re.fullmatch(r"2026-04-01 09:\d\d:\d\d", row[0]) for row in rows)  # Japan; Excel takes it for a time
    utc = await audit.get(
        who, "/reports/report_08_person_day", **params_of("report_08_person_day"), format="csv", utc_offset_min=0
    )
    assert "2026-04-01 00:" in utc.text


async def test_the_period_stands_in_the_japanese_calendar(audit: World) -> None:
    who = audit.caller("aud", READ)
    answer = (await audit.get(who, "/reports/report_03_leavers", **DAY)).json()
    assert answer["period"] == "令和8年4月1日 09:00 から 令和8年4月1日 10:00 まで"
    assert (await audit.get(who, "/reports/report_10_completeness")).json()["period"] is None
    assert day_text(date(2019, 4, 30)) == "平成31年4月30日"
    assert day_text(date(2019, 5, 1)) == "令和元年5月1日"
    assert period(datetime(2026, 3, 31, 15), datetime(2026, 4, 30, 15), 540).ja == (  # UTC, as the store has it
        "令和8年4月1日 00:00 から 令和8年5月1日 00:00 まで"
    )


async def test_a_file_for_an_operator_has_pseudonyms(audit: World) -> None:
    who = audit.caller("op", OPERATE)
    for name in ("report_02_exceptions", "report_09_privileged", "report_05_private_devices", "report_01_denials"):
        answer = await audit.get(who, f"/reports/{name}", **DAY, format="csv")
        assert answer.status_code == 200
        assert not any(person in answer.text for person in ("tanaka", "suzuki", "sato", "kato"))


async def test_what_is_asked_does_not_reach_the_headers_as_it_is(audit: World) -> None:
    who = audit.caller("aud", READ)
    answer = await audit.get(
        who, "/reports/counts", since="20260401\r000000Z", until="2026-04-01\n02:00Z", format="csv"
    )
    assert answer.status_code in (200, 400)
    assert "\r" not in answer.headers.get("content-disposition", "")
    for wrong in ({"format": "xlsx"}, {"utc_offset_min": "x"}, {"utc_offset_min": 900}, {"lang": "de"}):
        assert (await audit.get(who, "/reports/newest", **DAY, **wrong)).status_code == 400


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠A"])
def test_a_name_that_a_spreadsheet_would_compute_is_a_text(value: str) -> None:
    from pdp.archive.export import Style, batches_of, csv_chunks

    table = on_paper(pa.table({"person": [value], "departments": [[value, "x"]], "decisions": [-5]}), "ja", 540)
    (_, row) = rows_of(b"".join(csv_chunks(batches_of(table), Style())).decode("utf-8-sig"))
    assert row[0] == f"'{value}"
    assert row[1].startswith("'")
    assert row[2] == "-5"  # a number of ours stays one


def test_what_is_not_known_is_said_and_what_is_no_time_stays() -> None:
    table = pa.table(
        {
            "out_of_hours": pa.array([None, True, False]),
            "permit_until": ["none", "2026-04-01T00:00:00Z", "unknown"],
            "time": pa.array([datetime(2026, 4, 1, tzinfo=UTC), datetime.max, None], pa.timestamp("us")),
            "work_permit": ["valid", "out_of_window", "a word that nobody knows"],
        }
    )  # fmt: skip
    paper = on_paper(table, "ja", 540).to_pydict()
    assert paper["時間外"] == ["未確認", "はい", "いいえ"]
    assert paper["作業許可の期限"] == ["なし", "2026-04-01 09:00:00", "未確認"]
    assert paper["日時"] == ["2026-04-01 09:00:00", "9999-12-31 23:59:59", None]
    assert paper["作業許可"] == ["有効", "時間帯の外", "a word that nobody knows"]


def test_hours_that_are_local_already_are_not_moved_again() -> None:
    hours = pa.table({"hour": pa.array([datetime(2026, 4, 1, 9)], pa.timestamp("us"))})
    assert on_paper(hours, "ja", 540, local_hours=True).to_pydict() == {"時間": ["2026-04-01 09:00:00"]}
    assert on_paper(hours, "ja", 540).to_pydict() == {"時間": ["2026-04-01 18:00:00"]}


def test_every_column_of_every_question_has_a_head_and_times_come_first() -> None:
    names = ["id", "time", "outcome", "person", "source_ip"]
    assert in_order(names) == ["time", "person", "outcome", "source_ip", "id"]
    assert sorted(in_order(names)) == sorted(names)
    assert all(head_of(name) for name in ("first", "last", "denials", "missing_segments", "out_of_hours"))
