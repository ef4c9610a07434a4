"""The drop folder with real files on disk: what is taken, what waits, what is refused, and what a run says."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from connectors.identity.csv_drop import connector
from pdp.errors import ConnectorError, SettingsError
from tests.unit.connectors.identity.csv_drop.drops import HEADING, ORDERS, SUZUKI, YAMADA, Office, _setup

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
async def test_a_roster_is_read_in_every_encoding_that_offices_use(office: Office, encoding):
    office.drop("職員一覧.csv", HEADING + YAMADA + SUZUKI, encoding=encoding)
    run = await office.run(None, "2026-03-20")
    assert run.complete
    assert run.refused == []
    assert run.users["1001"].name == "山田太郎"
    assert run.users["1002"].kind == "fixed_term_staff"
    assert run.users["1002"].employment.end == datetime(2026, 3, 31, 15, tzinfo=UTC)
    assert office.names() == []
    assert len(office.names("done")) == 1


async def test_orders_change_the_story_and_the_same_file_is_told_once(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    again = await office.run(first.cursor, "2026-03-20")
    assert (again.users, again.complete, again.cursor) == ({}, False, first.cursor)
    office.drop("発令.csv", ORDERS + "1001,異動,令和8年4月1日,zaisei,,,\n")
    second = await office.run(first.cursor, "2026-03-21")
    assert [post.department for post in second.users["1001"].posts] == ["soumu", "zaisei"]
    office.drop("発令.csv", ORDERS + "1001,異動,令和8年4月1日,zaisei,,,\n")
    third = await office.run(second.cursor, "2026-03-21")
    assert third.codes() == ["known_file"]
    assert (third.users, third.cursor) == ({}, second.cursor)
    assert office.names() == []


async def test_a_new_day_is_told_anew(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    late = await office.run(first.cursor, "2026-03-20", hour_in_utc=14)  # 23:00 in Japan
    morning = await office.run(first.cursor, "2026-03-20", hour_in_utc=16)  # 01:00 of the next day in Japan
    assert late.users == {}
    assert set(morning.users) == {"1001"}


async def test_a_run_whose_rows_were_not_written_is_told_again(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    again = await office.run(None, "2026-03-20")  # the cursor of the first never came to be
    assert again.users == first.users


async def test_a_new_roster_without_somebody_is_complete_without_them(office: Office):
    office.drop("職員一覧_20260320.csv", HEADING + YAMADA + SUZUKI)
    first = await office.run(None, "2026-03-20")
    office.drop("職員一覧_20260327.csv", HEADING + YAMADA)
    second = await office.run(first.cursor, "2026-03-27")
    assert second.complete
    assert set(second.users) == {"1001"}


async def test_a_roster_of_a_day_ahead_waits_for_its_day(office: Office):
    office.drop("職員一覧_20260320.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    office.drop("職員一覧_20260401.csv", HEADING + YAMADA.replace("soumu", "zaisei"))
    second = await office.run(first.cursor, "2026-03-28")
    assert second.users == {} or second.users["1001"].posts[0].department == "soumu"
    third = await office.run(second.cursor, "2026-04-01")
    assert third.users["1001"].posts[0].department == "zaisei"


async def test_an_older_roster_that_comes_late_changes_nothing(office: Office):
    office.drop("職員一覧_20260327.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-27")
    office.drop("職員一覧_20260320.csv", HEADING + YAMADA + SUZUKI)
    second = await office.run(first.cursor, "2026-03-27")
    assert second.users == {}


async def test_orders_without_any_roster_are_not_everybody(office: Office):
    office.drop("発令.csv", ORDERS + "2001,採用,2026-04-01,soumu,正規職員,新人,\n")
    run = await office.run(None, "2026-03-20")
    assert set(run.users) == {"2001"}
    assert not run.complete


async def test_an_empty_folder_says_nothing(office: Office):
    run = await office.run(None, "2026-03-20")
    assert (run.users, run.complete, run.cursor, run.refused) == ({}, False, None, [])


async def test_a_file_with_one_fault_is_refused_whole_with_a_report_in_both_languages(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    bad = (
        YAMADA
        + "1002,鈴木花子,正規職員,soumu,,令和8年13月1日,,\n１００３,佐藤,正規職員,soumu,,,,\n,田中,正規職員,soumu,,,,\n"
    )
    office.drop("職員一覧.csv", HEADING + bad)
    second = await office.run(first.cursor, "2026-03-20")
    assert (second.users, second.cursor) == ({}, first.cursor)
    assert second.codes() == ["file_refused"]
    assert office.names() == []
    assert len(office.names("done")) == 1
    (report,) = office.reports()
    for text in (
        "3行目「採用日」列",
        "`令和8年13月1日`は日付として読み取れません",
        "line 3, column 採用日",
        "4行目「職員番号」列",
        "5行目「職員番号」列",
        "一行も反映されていません",
        "nothing of this file",
    ):
        assert text in report


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "データの行がありません"),
        (HEADING.encode("utf-8-sig"), "データの行がありません"),
        (b"PK\x03\x04 a spreadsheet under another name", "表計算ファイルまたは圧縮ファイル"),
        ((HEADING + YAMADA).encode("utf-16"), "文字コード"),
        (HEADING.encode() + YAMADA.encode("cp932"), "文字コード"),
        ((HEADING + '1001,"山田\n').encode(), "CSVの行として"),
        ((HEADING + "1001,山田,正規職員\n").encode(), "列の数"),
        ((HEADING.replace("退職日", "退職曰") + YAMADA).encode(), "`退職曰`は対応表にありません"),
        ((HEADING.replace("氏名", "職員番号") + YAMADA).encode(), "二つあります"),
        ((HEADING.replace("所属コード,兼", "氏名２,兼") + YAMADA).encode(), "対応表にありません"),
        (("氏名,職種区分,所属コード\n" + "山田,正規職員,soumu\n").encode(), "必要な列がありません: 職員番号"),
        ((HEADING + YAMADA + YAMADA).encode(), "同じ日付で二つ"),
        ((HEADING + "1001,山田,正規職員,soumu,,2026-04-01,2026-03-31,\n").encode(), "終わりの日が始めの日より前"),
        ((HEADING + "1001,山田,正規職員,soumu,,45000,,\n").encode(), "日付として"),
        ((HEADING + "1001," + "山" * 600 + ",正規職員,soumu,,,,\n").encode(), "長すぎる"),
        ((HEADING + "../etc/passwd,山田,正規職員,so umu,,,,\n").encode(), "番号として使えません"),
    ],
)
async def test_what_cannot_be_used_is_refused_and_said_in_japanese(office: Office, content, code):
    office.drop("職員一覧.csv", content)
    run = await office.run(None, "2026-03-20")
    assert run.users == {}
    assert run.codes() == ["file_refused"]
    assert code in office.reports()[0]


async def test_an_order_of_an_unknown_kind_is_refused_for_it_may_be_a_dismissal(office: Office):
    office.drop("発令.csv", ORDERS + "1001,懲戒免職,2026-04-01,,,,\n")
    assert (await office.run(None, "2026-03-20")).codes() == ["file_refused"]
    assert "発令区分`懲戒免職`は対応表にありません" in office.reports()[0]


async def test_a_file_without_its_marker_waits(office: Office):
    path = office.drop("職員一覧.csv", HEADING + YAMADA, marker=False)
    assert (await office.run(None, "2026-03-20")).users == {}
    assert path.exists()
    (office.folder / "職員一覧.done").touch()
    assert set((await office.run(None, "2026-03-20")).users) == {"1001"}
    assert office.names() == []


async def test_a_file_that_was_written_to_after_its_marker_waits(office: Office):
    path = office.drop("職員一覧.csv", HEADING + YAMADA)
    marker = office.folder / "職員一覧.csv.done"
    os.utime(marker, ns=(1, 1))
    assert (await office.run(None, "2026-03-20")).users == {}
    marker.touch()
    assert path.exists()
    assert set((await office.run(None, "2026-03-20")).users) == {"1001"}


async def test_a_file_that_its_manifest_does_not_describe_waits(tmp_path: Path):
    office = Office(tmp_path, ready="manifest")
    whole = (HEADING + YAMADA).encode()
    (tmp_path / "today.manifest").write_text(f"{sha256(whole).hexdigest()}  職員一覧.csv\n")
    office.drop("職員一覧.csv", whole[:-20], marker=False)
    waiting = await office.run(None, "2026-03-20")
    assert (waiting.users, waiting.codes()) == ({}, ["not_whole"])
    office.drop("職員一覧.csv", whole, marker=False)
    assert set((await office.run(None, "2026-03-20")).users) == {"1001"}


async def test_a_file_that_was_written_to_a_moment_ago_waits_where_quiet_is_the_sign(tmp_path: Path):
    office = Office(tmp_path, ready="quiet", quiet_s=120)
    path = office.drop("職員一覧.csv", HEADING + YAMADA, marker=False)
    noon = datetime(2026, 3, 20, 3, tzinfo=UTC).timestamp()
    os.utime(path, (noon - 119, noon - 119))
    assert (await office.run(None, "2026-03-20")).users == {}
    os.utime(path, (noon - 120, noon - 120))
    assert set((await office.run(None, "2026-03-20")).users) == {"1001"}


async def test_links_pipes_and_second_names_are_not_read(office: Office, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside") / "secret.csv"
    outside.write_text(HEADING + YAMADA)
    (office.folder / "職員一覧1.csv").symlink_to(outside)
    os.link(outside, office.folder / "職員一覧2.csv")
    os.mkfifo(office.folder / "職員一覧3.csv")
    (office.folder / "職員一覧4.csv").mkdir(0o700)
    for number in range(1, 5):
        (office.folder / f"職員一覧{number}.csv.done").touch()
    run = await office.run(None, "2026-03-20")
    assert run.users == {}
    assert run.codes() == ["not_allowed", "not_allowed", "not_allowed", "not_readable"]  # the link is not even opened
    assert office.names("done") == []
    assert outside.exists()


async def test_a_file_that_everybody_may_write_to_is_not_read(office: Office):
    path = office.drop("職員一覧.csv", HEADING + YAMADA)
    path.chmod(0o666)
    assert (await office.run(None, "2026-03-20")).codes() == ["not_allowed"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away: run the tests as root")
async def test_a_file_of_a_foreign_owner_is_not_read(office: Office):
    path = office.drop("職員一覧.csv", HEADING + YAMADA)
    os.chown(path, 12_345, 12_345)
    assert (await office.run(None, "2026-03-20")).codes() == ["not_allowed"]
    allowed = Office(office.folder, owners=[12_345])
    assert set((await allowed.run(None, "2026-03-20")).users) == {"1001"}


async def test_a_folder_that_everybody_may_write_to_is_not_used(office: Office):
    office.folder.chmod(0o777)
    with pytest.raises(ConnectorError, match="everybody may write"):
        await office.run(None, "2026-03-20")


async def test_a_folder_that_is_a_link_or_absent_is_not_used(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name in ("link", "absent"):
        with pytest.raises(ConnectorError, match="cannot be used"):
            await Office(tmp_path / name).run(None, "2026-03-20")


async def test_a_done_folder_that_is_a_link_is_not_written_through(
    office: Office, tmp_path_factory: pytest.TempPathFactory
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (office.folder / "done").symlink_to(elsewhere)
    office.drop("職員一覧.csv", HEADING + YAMADA)
    with pytest.raises(ConnectorError, match="cannot be used"):
        await office.run(None, "2026-03-20")
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("name", ["a..csv", "a\\..\\b.csv", "a\nb.csv", "\u202evsc.csv", "x" * 200 + ".csv"])
async def test_names_that_play_games_are_not_used(office: Office, name):
    office.drop(name, HEADING + YAMADA)
    run = await office.run(None, "2026-03-20")
    assert run.users == {}
    assert "bad_name" in run.codes()
    assert office.names("done") == []


async def test_a_hidden_file_is_somebodys_half_work(office: Office):
    office.drop(".職員一覧.csv.aB3x", HEADING, marker=False)
    run = await office.run(None, "2026-03-20")
    assert (run.users, run.refused) == ({}, [])


async def test_a_name_that_is_not_utf_8_is_not_used(office: Office):
    office.drop(os.fsdecode(b"\xff\xfe.csv"), HEADING + YAMADA)
    assert (await office.run(None, "2026-03-20")).codes() == ["bad_name"]


@pytest.mark.parametrize("name", ["人事.zip", "職員一覧.xlsx", "メモ.txt"])
async def test_other_files_are_left_and_told(office: Office, name):
    office.drop(name, b"x", marker=False)
    assert (await office.run(None, "2026-03-20")).codes() == ["not_csv"]
    assert office.names() == [name]


async def test_a_csv_file_of_no_pattern_is_left_and_told(office: Office):
    office.drop("端末.csv", HEADING + YAMADA)
    assert (await office.run(None, "2026-03-20")).codes() == ["unknown_file"]
    assert "端末.csv" in office.names()


async def test_a_file_that_is_too_large_is_not_read(tmp_path: Path):
    office = Office(tmp_path, max_bytes=1_000)
    office.drop("職員一覧.csv", HEADING + YAMADA * 20)
    assert (await office.run(None, "2026-03-20")).codes() == ["not_allowed"]


async def test_files_that_vanish_from_done_stop_the_source_until_somebody_says_so(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    office.drop("発令.csv", ORDERS + "1001,退職,2026-03-31,,,,\n")
    first = await office.run(None, "2026-03-20")
    gone = next(name for name in office.names("done") if "orders" in name)
    (office.folder / "done" / gone).unlink()
    with pytest.raises(ConnectorError, match="gone from") as raised:
        await office.run(first.cursor, "2026-03-21")
    assert raised.value.fault == "inconsistent"
    assert set((await office.run(None, "2026-03-21")).users) == {"1001"}  # `--full`


async def test_a_file_in_done_that_was_changed_stops_the_source(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    kept = office.folder / "done" / office.names("done")[0]
    kept.write_text(HEADING + YAMADA.replace("soumu", "jinji"))
    with pytest.raises(ConnectorError, match="not what was taken in"):
        await office.run(first.cursor, "2026-03-21")


async def test_files_of_one_run_are_taken_in_the_order_of_their_names(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    office.drop("発令_2.csv", ORDERS + "1001,異動,2026-04-01,jinji,,,\n")
    office.drop("発令_1.csv", ORDERS + "1001,異動,2026-04-01,zaisei,,,\n")
    run = await office.run(None, "2026-03-20")
    assert [post.department for post in run.users["1001"].posts] == ["soumu", "jinji"]


async def test_what_was_taken_in_is_readable_by_no_strangers(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    await office.run(None, "2026-03-20")
    kept = office.folder / "done" / office.names("done")[0]
    assert not stat.S_IMODE(kept.stat().st_mode) & 0o007
    assert not stat.S_IMODE((office.folder / "done").stat().st_mode) & 0o007


async def test_a_mapping_file_gives_columns_and_words(office: Office, tmp_path_factory: pytest.TempPathFactory):
    mapping = tmp_path_factory.mktemp("mapping") / "personnel.yaml"
    mapping.write_text(
        "roster: ['J*.csv']\ncolumns: {社員CD: id, 区分: kind, 部署: department, 備考: ignore}\n"
        "kinds: {'1': staff, '2': fixed_term_staff}\ndepartments: {'010100': soumu}\norganisation: tsu\n",
        encoding="utf-8",
    )
    office = Office(office.folder, mapping_file=str(mapping))
    office.drop("J20260320.csv", "社員CD,区分,部署,備考\n00123,1,010100,x\n00124,9,020200,x\n", encoding="cp932")
    run = await office.run(None, "2026-03-20")
    assert (run.users["00123"].kind, run.users["00123"].organisation) == ("staff", "tsu")
    assert run.users["00123"].posts[0].department == "soumu"
    assert (run.users["00124"].kind, run.users["00124"].posts) == ("unknown", ())
    assert run.codes() == ["unknown_department", "unknown_kind"]
    mapping.write_text(mapping.read_text(encoding="utf-8").replace("'2':", "'9':"), encoding="utf-8")
    again = await office.run(run.cursor, "2026-03-20")
    assert again.users["00124"].kind == "fixed_term_staff"  # another mapping: told anew


@pytest.mark.parametrize(
    "text", ["kinds: {a: boss}", "nonsense: 1", "columns: [a]", "a: [", "kinds: {a: staff, a: staff}"]
)
async def test_a_mapping_file_that_cannot_be_used_fails_the_run(
    office: Office, tmp_path_factory: pytest.TempPathFactory, text
):
    mapping = tmp_path_factory.mktemp("mapping") / "personnel.yaml"
    mapping.write_text(text)
    office.drop("職員一覧.csv", HEADING + YAMADA)
    with pytest.raises(ConnectorError, match="mapping file"):
        await Office(office.folder, mapping_file=str(mapping)).run(None, "2026-03-20")
    assert "職員一覧.csv" in office.names()


def test_settings_that_are_not_known_are_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="quick"):
        connector(_setup({"folder": str(tmp_path), "quick": True}))


async def test_a_prefectures_roster_is_read_within_seconds(office: Office):
    rows = "".join(f"{n:05d},職員{n},正規職員,d-{n % 200:03d},,平成20年4月1日,,\n" for n in range(7_500))
    office.drop("職員一覧.csv", HEADING + rows, encoding="cp932")
    run = await office.run(None, "2026-03-20")
    assert len(run.users) == 7_500


async def test_a_mapping_that_can_no_longer_read_what_was_taken_in_stops_the_source(
    office: Office, tmp_path_factory: pytest.TempPathFactory
):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    mapping = tmp_path_factory.mktemp("mapping") / "personnel.yaml"
    mapping.write_text("columns: {兼務所属コード: id, 職員番号: ignore}")
    with pytest.raises(ConnectorError, match="can no longer be read"):
        await Office(office.folder, mapping_file=str(mapping)).run(first.cursor, "2026-03-20")


async def test_a_mapping_file_that_is_absent_fails_the_run(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    with pytest.raises(ConnectorError, match="mapping file cannot be read"):
        await Office(office.folder, mapping_file="/absent/personnel.yaml").run(None, "2026-03-20")


async def test_more_orders_than_anybody_sends_ask_for_a_roster(office: Office):
    await office.run(None, "2026-03-20")  # makes the folders
    for number in range(501):
        content = (ORDERS + f"1001,異動,2026-04-01,d-{number},,,\n").encode()
        name = f"20260301T000000{number:06d}Z_20260301_{sha256(content).hexdigest()[:32]}_orders_発令.csv"
        (office.folder / "done" / name).write_bytes(content)
    with pytest.raises(ConnectorError) as raised:
        await office.run(None, "2026-03-20")
    assert raised.value.fault == "too_large"
    office.drop("職員一覧.csv", HEADING + YAMADA)
    with pytest.raises(ConnectorError):  # they came less than 400 days before it, and may lie ahead of it
        await office.run(None, "2026-03-20")
    office.drop("職員一覧_20270601.csv", HEADING + SUZUKI)
    assert set((await office.run(None, "2027-06-01")).users) == {"1002"}


async def test_other_files_in_done_are_none_of_ours(office: Office):
    office.drop("職員一覧.csv", HEADING + YAMADA)
    first = await office.run(None, "2026-03-20")
    for name in ("メモ.txt", "20269999T000000000000Z_20260301_" + "0" * 32 + "_orders_x.csv"):
        (office.folder / "done" / name).write_text("x")
    assert (await office.run(first.cursor, "2026-03-20")).users == {}


async def test_roles_come_by_a_table_or_as_they_are(office: Office, tmp_path_factory: pytest.TempPathFactory):
    heading = "職員番号,職種区分,所属コード,役割\n"
    office.drop("職員一覧.csv", heading + "1001,正規職員,soumu,approver；disaster_response\n")
    run = await office.run(None, "2026-03-20")
    assert run.users["1001"].roles == ("approver", "disaster_response")
    mapping = tmp_path_factory.mktemp("mapping") / "personnel.yaml"
    mapping.write_text("roles: {approver: section_manager}")
    other = await Office(office.folder, mapping_file=str(mapping)).run(run.cursor, "2026-03-20")
    assert other.users["1001"].roles == ("section_manager",)


async def test_a_status_that_is_no_word_of_ours_refuses_the_file(office: Office):
    office.drop("職員一覧.csv", "職員番号,職種区分,所属コード,在職状態\n1001,正規職員,soumu,停職\n")
    assert (await office.run(None, "2026-03-20")).codes() == ["file_refused"]
    assert "在職状態`停職`は使えません" in office.reports()[0]


async def test_two_manifests_that_differ_describe_nothing(tmp_path: Path):
    office = Office(tmp_path, ready="manifest")
    office.drop("職員一覧.csv", HEADING + YAMADA, marker=False)
    right = sha256((tmp_path / "職員一覧.csv").read_bytes()).hexdigest()
    (tmp_path / "a.manifest").write_text(f"{right}  職員一覧.csv\n")
    (tmp_path / "b.manifest").write_text(f"{'1' * 64}  職員一覧.csv\nnonsense\n")
    assert (await office.run(None, "2026-03-20")).codes() == ["not_whole"]
