from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pdp.directory.difference import Changed
from pdp.directory.files.csv_file import MAX_ROWS
from pdp.directory.files.reading import MAX_BYTES, MAX_FILES, MAX_YAML_BYTES
from pdp.directory.importer import import_directory
from pdp.directory.runs import Counts, FileDigest, latest_runs
from pdp.directory.snapshot import current_epoch, load_snapshot
from pdp.errors import ImportRefusedError
from pdp.model.directory import (
    ALWAYS,
    CatalogueRow,
    Device,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    PostureReport,
    SegmentFrom,
    User,
    WorkPermit,
    period_of_dates,
)
from pdp.store.store import Store
from tests.unit.directory.imports import NOW, bring, brought, places, says

HOUR = timedelta(hours=1)
PEOPLE = "id,kind,name\nu-1,staff,三重 花子\nu-2,fixed_term_staff,津 太郎\n"
TERMINALS = "id,class,owner\nd-1,managed_pc,u-1\nd-2,byod_phone,u-2\nd-3,mobile_pc,\n"
BASE: dict[str, str | bytes] = {"users.csv": PEOPLE, "devices.csv": TERMINALS}


def test_the_japanese_headings_words_and_dates_of_a_personnel_system(store: Store) -> None:
    users = (
        "利用者ID,任用区分,氏名,役割,在職状態,任用開始日,任用終了日,所属,所属開始日,所属終了日\r\n"
        "u-1,正規職員,三重 花子,data_user;disaster_response,在職,平成20年4月1日,,soumu,R5.4.1,\r\n"
        "u-2,会計年度任用職員,津 太郎,,休職,2023/4/1,令和６年３月31日,kankyo,,9999/12/31\r\n"
    )
    devices = (
        "端末ID,端末種別,使用者,共用,持出し,状態\r\nd-1,業務端末,u-1,×,可,使用中\r\nd-2,所属調達端末,,○,不可,隔離\r\n"
    )
    brought(store, {"利用者.csv": users.encode("cp932"), "端末.csv": devices.encode("cp932")})
    found = load_snapshot(store)
    assert found.users["u-1"] == User(
        "u-1",
        "staff",
        posts=(Post("soumu", period_of_dates(date(2023, 4, 1), None)),),
        roles=("data_user", "disaster_response"),
        employment=period_of_dates(date(2008, 4, 1), None),
        name="三重 花子",
    )
    assert found.users["u-2"] == User(
        "u-2",
        "fixed_term_staff",
        posts=(Post("kankyo", ALWAYS),),
        employment=period_of_dates(date(2023, 4, 1), date(2024, 3, 31)),
        status="suspended",
        name="津 太郎",
    )
    assert found.devices["d-1"] == Device("d-1", "managed_pc", owner="u-1", takeout="permitted")
    assert found.devices["d-2"] == Device(
        "d-2", "section_pc", shared=True, takeout="not_permitted", state="quarantined"
    )


def test_every_register_comes_in_from_its_file(store: Store) -> None:
    sha256 = "ab" * 32
    brought(
        store,
        {
            "users.csv": PEOPLE,
            "posts.csv": "user,department,from,until,order\nu-1,kankyo,2023-04-01,,2\nu-1,soumu,2023-04-01,2024-03-31,1\nu-2,kouhou,,,\n",
            "devices.csv": f"id,class,owner,certificate_sha256\nd-1,managed_pc,u-1,{sha256.upper()}\nd-2,byod_phone,u-2,\nd-3,mobile_pc,,\n",
            "posture.csv": "device,observed_at_jst,edr_running,edr_risk,tampered,patch_age_days,source\n"
            "d-1,2023/8/1 9:30,not_managed,低,×,12,edr\nd-2,,,,FALSE,unknown,mdm\n",
            "permits.csv": "device,user,from,until,held\nd-2,u-2,2023-04-01,2024-03-31,true\n",
            "loans.csv": "device,user,from,until_jst\nd-3,u-1,2023-08-01,2023-08-03 17:15\n",
            "work_permits.csv": "id,users,resources,devices,from_jst,until\nR5-012,u-1;u-2,finance,d-1; d-3,2023-08-06 22:00,2023-08-07T02:00+09:00\n",
            "resources.csv": "id,group,ja,segments,from,readonly_from,departments,organisations,sensitivity\n"
            "ledger,庁内業務システム,台帳,lgwan; internet@2023-02-01,2020-04-01,2024-04-01,soumu;kankyo,,3\ndata-tsu,data,,,,,,tsu,\n",
            "emergencies.csv": "from,until,reason\n2023-08-01T06:00:00+09:00,2023-08-04T06:00:00+09:00,台風\n",
        },
    )
    found = load_snapshot(store)
    april = period_of_dates(date(2023, 4, 1), None)
    assert found.users["u-1"].posts == (
        Post("soumu", replace(april, end=datetime(2024, 3, 31, 15, tzinfo=UTC))),
        Post("kankyo", april),
    )
    assert found.users["u-2"].posts == (Post("kouhou"),)
    assert found.devices_by_certificate == {sha256: "d-1"}
    assert found.devices["d-1"].posture == PostureReport(
        edr_running="not_managed",
        edr_risk="low",
        tampered=False,
        patch_age_days=12,
        observed_at=datetime(2023, 8, 1, 0, 30, tzinfo=UTC),
        source="edr",
    )
    assert found.devices["d-2"].posture == PostureReport(tampered=False, source="mdm")
    assert found.permits == {
        "d-2": (Permit("d-2", "u-2", period_of_dates(date(2023, 4, 1), date(2024, 3, 31)), held=True),)
    }
    until = datetime(2023, 8, 3, 8, 15, tzinfo=UTC)
    assert found.loans == {"d-3": (Loan("d-3", "u-1", Period(datetime(2023, 7, 31, 15, tzinfo=UTC), until)),)}
    night = Period(datetime(2023, 8, 6, 13, tzinfo=UTC), datetime(2023, 8, 6, 17, tzinfo=UTC))
    assert found.work_permits == (
        WorkPermit("R5-012", frozenset(("u-1", "u-2")), frozenset(("finance",)), frozenset(("d-1", "d-3")), night),
    )
    assert found.resources["ledger"] == CatalogueRow(
        "ledger",
        "business",
        (SegmentFrom("lgwan"), SegmentFrom("internet", datetime(2023, 1, 31, 15, tzinfo=UTC))),
        service=period_of_dates(date(2020, 4, 1), None),
        readonly_from=datetime(2024, 3, 31, 15, tzinfo=UTC),
        departments=("soumu", "kankyo"),
        sensitivity=3,
        title_ja="台帳",
    )
    assert found.resources["data-tsu"] == CatalogueRow(
        "data-tsu", "data", (SegmentFrom("cloud"),), organisations=("tsu",)
    )
    days = Period(datetime(2023, 7, 31, 21, tzinfo=UTC), datetime(2023, 8, 3, 21, tzinfo=UTC))
    assert found.emergencies == (Emergency(days, "台風"),)


def test_the_narrowest_of_several_ends_counts(store: Store) -> None:
    text = "id,kind,employed_from,employed_until,appointment_until,contract_until\nu-1,contractor,2023-04-01,,2024-03-31,2023-09-30\n"
    brought(store, {"users.csv": text})
    assert load_snapshot(store).users["u-1"].employment == period_of_dates(date(2023, 4, 1), date(2023, 9, 30))


# --- merging and replacing


def test_a_column_that_is_absent_keeps_and_an_empty_cell_clears(store: Store) -> None:
    brought(
        store,
        {
            "users.csv": "id,kind,roles,status,employed_from,employed_until\nu-1,staff,data_user,suspended,2020-04-01,2030-03-31\n"
        },
    )
    report = brought(store, {"users.csv": "id,name,status,employed_until\nu-1,三重 花子,,\n"})
    assert report.differences["users"].changed == (Changed("u-1", ("employment", "status", "name")),)
    start = period_of_dates(date(2020, 4, 1), None)
    assert load_snapshot(store).users["u-1"] == User(
        "u-1", "staff", roles=("data_user",), employment=start, name="三重 花子"
    )


def test_merge_keeps_the_rest_and_replace_takes_it_away(store: Store) -> None:
    brought(store, {"users.csv": "id,kind\n" + "".join(f"u-{n},staff\n" for n in range(20))})
    brought(store, {"users.csv": "id,kind\nu-0,contractor\nu-99,staff\n"})
    assert len(load_snapshot(store).users) == 21
    report = brought(store, {"users.csv": "id,kind\n" + "".join(f"u-{n},staff\n" for n in range(19))}, mode="replace")
    assert report.differences["users"].removed == ("u-19", "u-99")
    assert report.differences["users"].changed == (Changed("u-0", ("kind",)),)
    assert set(load_snapshot(store).users) == {f"u-{n}" for n in range(19)}


def test_replace_touches_only_the_registers_that_are_brought(store: Store) -> None:
    brought(store, BASE)
    report = brought(store, {"permits.csv": "device,user,from,until\n"}, mode="replace")
    assert report.outcome == "unchanged"
    assert len(load_snapshot(store).devices) == 3


def test_a_replacement_that_takes_too_much_away_is_refused_with_its_difference(store: Store) -> None:
    brought(store, {"users.csv": "id,kind\n" + "".join(f"u-{n},staff\n" for n in range(10))})
    half = {"users.csv": "id,kind\n" + "".join(f"u-{n},staff\n" for n in range(5))}
    report = bring(store, half, mode="replace")
    assert report.outcome == "refused"
    assert len(report.differences["users"].removed) == 5
    assert "5 of 10 rows of users would be removed (50 %), and 10 % may be" in says(report)[0]
    assert bring(store, half, mode="replace", allow_removals=49.9).outcome == "refused"
    assert len(load_snapshot(store).users) == 10
    assert bring(store, half, mode="replace", allow_removals=50).outcome == "imported"


def test_half_a_file_of_posts_does_not_strip_the_other_half(store: Store) -> None:
    people = [f"u-{n}" for n in range(10)]
    brought(
        store,
        {
            "users.csv": "id,kind\n" + "".join(f"{id_},staff\n" for id_ in people),
            "posts.csv": "user,department\n" + "".join(f"{id_},soumu\n" for id_ in people),
        },
    )
    half = {"posts.csv": "user,department\n" + "".join(f"{id_},soumu\n" for id_ in people[:5])}
    assert "5 of 10 rows of posts" in says(bring(store, half, mode="replace"))[0]
    assert bring(store, half, mode="merge").outcome == "unchanged"
    brought(store, half, mode="replace", allow_removals=50)
    assert [bool(user.posts) for _, user in sorted(load_snapshot(store).users.items())] == [True] * 5 + [False] * 5


def test_a_person_or_terminal_that_others_name_cannot_be_taken_away(store: Store) -> None:
    brought(store, BASE | {"permits.csv": "device,user,from,until\nd-2,u-2,2023-04-01,2024-03-31\n"})
    report = bring(store, {"users.csv": "id,kind\nu-1,staff\n"}, mode="replace", allow_removals=100)
    assert [(fault.file, fault.column) for fault in report.faults] == [
        ("(the directory)", "owner"),
        ("(the directory)", "user"),
    ]
    assert "devices `d-2` names the user `u-2`, which would be removed" in says(report)[0]


def test_posture_goes_with_its_device(store: Store) -> None:
    brought(store, BASE | {"posture.csv": "device,tampered\nd-3,false\nd-1,false\n"})
    report = brought(
        store, {"devices.csv": TERMINALS.replace("d-3,mobile_pc,\n", "")}, mode="replace", allow_removals=50
    )
    assert report.differences["posture"].removed == ("d-3 asset",)
    assert set(load_snapshot(store).devices) == {"d-1", "d-2"}


def test_an_older_posture_is_not_taken_over_a_newer_one(store: Store) -> None:
    def sheet(at: datetime, edr: str) -> dict[str, str | bytes]:
        return {"posture.csv": f"device,observed_at,edr_running\nd-1,{at.isoformat()},{edr}\n"}

    brought(store, BASE | sheet(NOW, "false"))
    report = brought(store, sheet(NOW - HOUR, "true"))
    assert (report.outcome, report.kept_newer) == ("unchanged", ("d-1",))
    assert load_snapshot(store).devices["d-1"].posture.edr_running is False
    assert brought(store, sheet(NOW - HOUR, "true"), mode="replace").kept_newer == ("d-1",)


def test_a_posture_report_is_taken_whole(store: Store) -> None:
    brought(store, BASE | {"posture.csv": "device,age_hours,tampered,edr_running\nd-1,48,false,true\n"})
    brought(store, {"posture.csv": "device,age_hours,tampered\nd-1,1,false\n"})
    fresh = PostureReport(
        tampered=False, observed_at=NOW - HOUR, source="asset"
    )  # nothing says that the EDR still runs
    assert load_snapshot(store).devices["d-1"].posture == fresh


def test_a_permit_is_extended_by_its_start_and_renewed_by_a_new_one(store: Store) -> None:
    def sheet(start: str, until: str) -> dict[str, str | bytes]:
        return {"permits.csv": f"device,user,from,until\nd-2,u-2,{start},{until}\n"}

    brought(store, BASE | sheet("2023-04-01", "2023-09-30"))
    brought(store, sheet("R5.4.1", "R6.3.31"))
    (permit,) = load_snapshot(store).permits["d-2"]
    assert permit.period == period_of_dates(date(2023, 4, 1), date(2024, 3, 31))
    brought(store, sheet("2024-04-01", "2025-03-31"))
    assert len(load_snapshot(store).permits["d-2"]) == 2


def test_importing_the_same_again_changes_nothing_but_the_journal(store: Store) -> None:
    first = brought(store, BASE)
    again = brought(store, BASE)
    assert (first.outcome, again.outcome) == ("imported", "unchanged")
    assert (first.epoch, again.epoch, current_epoch(store)) == (1, 1, 1)
    runs = latest_runs(store)
    assert [run.counts for run in runs] == [{}, {"users": Counts(added=2), "devices": Counts(added=3)}]
    assert runs[1].files == first.files
    assert {type(file) for file in first.files} == {FileDigest}
    assert (runs[0].actor, runs[0].mode, runs[0].at, runs[0].epoch) == ("operator", "merge", NOW, 1)


def test_a_trial_says_what_would_change_and_changes_nothing(store: Store) -> None:
    brought(store, BASE)
    before = load_snapshot(store)
    changes: dict[str, str | bytes] = {
        "users.csv": "id,kind\nu-2,staff\nu-3,staff\n",
        "posts.csv": "user,department\nu-1,soumu\n",
        "devices.csv": "id,state\nd-1,lost\n",
    }
    trial = brought(store, changes, dry_run=True)
    assert trial.outcome == "dry_run"
    assert (trial.differences["users"].added, trial.differences["users"].removed) == (("u-3",), ())
    assert trial.differences["users"].changed == (Changed("u-1", ("posts",)), Changed("u-2", ("kind",)))
    assert trial.differences["devices"].changed == (Changed("d-1", ("state",)),)
    assert (load_snapshot(store), len(latest_runs(store))) == (before, 1)
    assert brought(store, changes).differences == trial.differences


# --- faults


def test_every_fault_of_every_file_is_named_with_its_place(store: Store) -> None:
    report = bring(
        store,
        {
            "users.csv": "利用者ID,任用区分,氏名,任用開始日,任用終了日\n"
            "u-1,課長,花子,R5.13.1,2024-03-31\n"  # 2: kind, date
            ",正規職員,,,\n"  # 3: no id
            "u 3,正規職員,,2023-04-01,2022-03-31\n"  # 4: id (and so its period is not judged)
            "u-4,正規職員,\n"  # 5: cells
            "u-5,正規職員,,2023-04-01,2022-03-31\n"  # 6: period
            "u-5,正規職員,,,\n",  # 7: twice
            "permits.csv": "device,user,from,until\nd-404,u-404,2023-04-01,\n",  # 2: until, and nobody
        },
    )
    assert places(report) == [
        ("permits.csv", 2, "until"),
        ("permits.csv", 2, "device"),
        ("users.csv", 2, "任用区分"),
        ("users.csv", 2, "任用開始日"),
        ("users.csv", 3, "利用者ID"),
        ("users.csv", 4, "利用者ID"),
        ("users.csv", 5, None),
        ("users.csv", 6, "任用終了日"),
        ("users.csv", 7, None),
    ]
    assert all(fault.next_step for fault in report.faults)
    assert (
        "users.csv:2: 任用区分: `課長` is not one of the words of this column; use one of: staff (正規職員)"
        in says(report)[2]
    )
    assert report.fault_count == len(report.faults)
    assert load_snapshot(store).users == {}


def test_a_refused_report_can_be_raised_with_every_line(store: Store) -> None:
    report = bring(store, {"users.csv": "id,kind\nu-1,boss\nu-2,chief\n"})
    with pytest.raises(ImportRefusedError) as refused:
        report.require()
    assert refused.value.faults == tuple(says(report))
    assert len(refused.value.faults) == 2
    good = brought(store, {"users.csv": "id,kind\nu-1,staff\n"})
    assert good.require() is good


def test_a_thousand_faults_are_told_and_all_are_counted(store: Store) -> None:
    report = bring(store, {"users.csv": "id,kind\n" + "".join(f"u-{n},boss\n" for n in range(1_500))})
    assert (len(report.faults), report.fault_count) == (1_000, 1_500)


@pytest.mark.parametrize(
    ("files", "place", "message"),
    [
        ({"posts.csv": "user,department\nu-404,soumu\n"}, ("posts.csv", 2, "user"), "there is no user `u-404`"),
        ({"posts.csv": "user,department,from\nu-1,a,2023-04-01\nu-1,a,R5.4.1\n"}, ("posts.csv", 3, "department"), "stands twice"),
        ({"devices.csv": "id,class,owner\nd-9,managed_pc,u-404\n"}, ("devices.csv", 2, "owner"), "there is no user `u-404`"),
        ({"posture.csv": "device,tampered\nd-404,false\n"}, ("posture.csv", 2, "device"), "there is no device `d-404`"),
        ({"posture.csv": "device,observed_at\nd-1,2023-08-01T10:06+09:00\n"}, ("posture.csv", 2, "observed_at"), "future"),
        ({"posture.csv": "device,observed_at\nd-1,2023-08-01\n"}, ("posture.csv", 2, "observed_at"), "a day without a time"),
        ({"posture.csv": "device,observed_at\nd-1,2023-08-01 09:00\n"}, ("posture.csv", 2, "observed_at"), "lacks its offset"),
        ({"posture.csv": "device,observed_at,age_hours\nd-1,2023-08-01T09:00Z,1\n"}, ("posture.csv", 2, "age_hours"), "given too"),
        ({"posture.csv": "device,patch_age_days\nd-1,-1\n"}, ("posture.csv", 2, "patch_age_days"), "whole number"),
        ({"permits.csv": "device,user,from,until\nd-1,u-1,2023-04-01,2024-03-31\n"}, ("permits.csv", 2, "device"), "not a private device"),
        ({"permits.csv": "device,user,from,until\nd-2,u-404,2023-04-01,2024-03-31\n"}, ("permits.csv", 2, "user"), "no user"),
        ({"permits.csv": "device,user,from,until\nd-2,u-2,9999-12-31,2024-03-31\n"}, ("permits.csv", 2, "from"), "not a start"),
        ({"permits.csv": "device,user,from\nd-2,u-2,2023-04-01\n"}, ("permits.csv", 2, "until"), "missing, and the row is new"),
        ({"loans.csv": "device,user,from,until\nd-2,u-1,2023-08-01,2023-08-03\n"}, ("loans.csv", 2, "device"), "not a mobile terminal"),
        ({"loans.csv": "device,user,from,until,until_jst\nd-3,u-1,2023-08-01,2023-08-03,2023-08-03 17:00\n"}, ("loans.csv", 2, "until_jst"), "`until` is given too"),
        ({"work_permits.csv": "id,users,resources,devices,from,until\nw,u-404,finance,d-1,2023-08-06,2023-08-07\n"}, ("work_permits.csv", 2, "users"), "no user"),
        ({"work_permits.csv": "id,users,resources,devices,from,until\nw,u-1,games,d-1,2023-08-06,2023-08-07\n"}, ("work_permits.csv", 2, "resources"), "no resource `games`"),
        ({"work_permits.csv": "id,users,resources,devices,from,until\nw,u-1;u-1,finance,d-1,2023-08-06,2023-08-07\n"}, ("work_permits.csv", 2, "users"), "one id twice"),
        ({"resources.csv": "id,group\nx,business\n"}, ("resources.csv", 2, "segments"), "a business system needs its segments"),
        ({"resources.csv": "id,group\nx,unknown\n"}, ("resources.csv", 2, "group"), "not one of the words"),
        ({"resources.csv": "id,group,segments\nx,data,cloud@2023-01-01\n"}, ("resources.csv", 2, "segments"), "not in order"),
        ({"resources.csv": "id,group,segments\nx,data,lgwan;cloud\n"}, ("resources.csv", 2, "segments"), "not in order"),
        ({"resources.csv": "id,group,segments,segment\nx,data,lgwan,cloud\n"}, ("resources.csv", 2, "segment"), "given too"),
        ({"emergencies.csv": "from,until\n2023-08-04T06:00+09:00,2023-08-04T06:00+09:00\n"}, ("emergencies.csv", 2, "until"), "ends before it starts"),
        ({"emergencies.csv": "from,until\n2023-08-04T06:00+09:00,9999-12-31\n"}, ("emergencies.csv", 2, "until"), "there must be one"),
        ({"loans.csv": "device,user,from,until_jst\nd-3,u-1,2023-08-01,9999-12-31\n"}, ("loans.csv", 2, "until_jst"), "there must be one"),
        ({"users.csv": "id,kind,post_from\nu-9,staff,2023-04-01\n"}, ("users.csv", 2, "post_from"), "none is given"),
        ({"users.csv": "id,name\nu-9,x\n"}, ("users.csv", 2, "kind"), "missing, and the row is new"),
        ({"users.csv": "id,kind,roles\nu-9,staff,a; ;b\n"}, ("users.csv", 2, "roles"), "is empty"),
        ({"users.csv": "id,kind\nｕ-9,staff\n"}, ("users.csv", 2, "id"), "full-width"),
        ({"users.csv": "id,kind\nu-9 ,staff\n"}, ("users.csv", 2, "id"), "space"),
        ({"users.csv": "id,kind\nu-9\u200b,staff\n"}, ("users.csv", 2, "id"), "invisible"),
        ({"users.csv": f"id,kind\n{'u' * 129},staff\n"}, ("users.csv", 2, "id"), "longer than 128"),
        ({"users.csv": "id,kind\nu-9,staff \n"}, ("users.csv", 2, "kind"), "not one of the words"),
        ({"users.csv": 'id,kind,name\nu-9,staff,"a\nb"\n'}, ("users.csv", 2, "name"), "line break"),
        ({"devices.csv": "id,class,certificate_sha256\nd-8,managed_pc,abc\n"}, ("devices.csv", 2, "certificate_sha256"), "SHA-256"),
        ({"devices.csv": f"id,class,certificate_sha256\nd-8,managed_pc,{'a' * 64}\nd-9,managed_pc,{'a' * 64}\n"}, ("devices.csv", 3, "certificate_sha256"), "same certificate"),
        ({"devices.csv": "id,class,shared\nd-8,managed_pc,maybe\n"}, ("devices.csv", 2, "shared"), "neither true nor false"),
    ],
)  # fmt: skip
def test_one_fault_is_found_where_it_is(
    store: Store, files: dict[str, str | bytes], place: tuple[str, int, str], message: str
) -> None:
    brought(store, BASE)
    report = bring(store, files, known_resources=("finance",))
    assert places(report) == [place], says(report)
    assert message in says(report)[0]
    assert current_epoch(store) == 1


def test_rows_that_are_not_csv_are_named_and_the_rest_is_still_read(store: Store) -> None:
    text = 'id,kind,name\nu-1,staff,"a"b\nu-2,boss,x\n"u-3,staff,y\nu-4,staff,z\n'
    report = bring(store, {"users.csv": text})
    assert places(report) == [("users.csv", 2, None), ("users.csv", 3, "kind"), ("users.csv", 4, None)]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "no heading"),
        ("\n", 1, "no heading"),
        (",,\nu-1,staff,x\n", 1, "no heading"),
        ("id,任用区分,役割り\n", 1, "write `役割`, or leave the column out"),
        ("id,kind,\n", 1, "column 3 is not known"),
        ("id,利用者ID\n", 1, "stands twice"),
        ("id,kind,ID\n", 1, "column 3 is not known"),
        ("kind,name\n", 1, "the column `id` or `利用者ID` is missing"),
        ("id;kind;name\nu-1;staff;x\n", 1, "column 1 is not known"),
    ],
)
def test_a_heading_that_is_not_understood_is_refused(store: Store, text: str, line: int, message: str) -> None:
    report = bring(store, {"users.csv": text})
    assert {fault.line for fault in report.faults} == {line}
    assert any(message in line for line in says(report)), says(report)


def test_headings_may_be_written_with_full_width_letters_and_either_brackets(store: Store) -> None:
    for number, heading in enumerate(("作業開始日時（日本時間）", "作業開始日時(日本時間)")):
        text = f"申請番号,作業者ＩＤ,対象システム,使用端末,{heading},作業終了日時\nw-{number},u-1,finance,d-1,2023/8/6 22:00,2023/8/7\n"
        brought(store, BASE | {"作業申請.csv": text})
    assert len(load_snapshot(store).work_permits) == 2


def test_the_same_row_in_two_files_names_both_places(store: Store) -> None:
    report = bring(store, {"users-a.csv": "id,kind\nu-1,staff\n", "users-b.csv": "id,kind\n\nu-1,staff\n"})
    assert says(report) == ["users-b.csv:3: `u-1` stands in users-a.csv:2 too; leave one of the two out"]


def test_posts_are_given_in_one_place(store: Store) -> None:
    report = bring(
        store, {"users.csv": "id,kind,department\nu-1,staff,soumu\n", "posts.csv": "user,department\nu-1,kankyo\n"}
    )
    assert "users.csv:2 gives posts of this user too" in says(report)[0]


def test_a_row_that_is_misread_is_not_reported_missing_as_well(store: Store) -> None:
    broken = {
        "users.csv": "id,kind\nu 1,staff\n",
        "posts.csv": "user,department\nu-1,soumu\n",
        "devices.csv": "id,class,owner\nd-1,managed_pc,u-1\n",
    }
    assert places(bring(store, dict(broken))) == [("users.csv", 2, "id")]


# --- files and folders


def test_a_folder_is_read_whole_and_an_unknown_name_is_not_passed_over(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    (folder / "users_2023-08.csv").write_text("id,kind\nu-1,staff\n")
    (folder / "directory.yaml").write_text("devices: [{id: d-1, class: managed_pc, owner: u-1}]")
    (folder / ".hidden").write_text("x")
    (folder / "below").mkdir()
    assert import_directory(store, [folder], now=NOW, actor="operator").outcome == "imported"
    (folder / "userlist.csv").write_text("id\n")
    (folder / "people.xlsx").write_bytes(b"PK")
    report = import_directory(store, [folder], now=NOW, actor="operator")
    assert {Path(fault.file).name for fault in report.faults} == {"userlist.csv", "people.xlsx"}


def test_what_cannot_be_read_is_a_fault_and_not_a_crash(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    report = import_directory(store, [tmp_path / "nowhere.csv", tmp_path / "empty"], now=NOW, actor="operator")
    assert report.outcome == "refused"
    assert len(report.faults) == 2
    assert bring(store, {}).outcome == "refused"


def test_every_limit_of_size_is_a_fault(store: Store, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "users.csv": "id,kind\n" + "\n" * (MAX_ROWS + 1),
        "directory.yaml": b" " * (MAX_YAML_BYTES + 1),
        "devices.csv": "id,class\n" + "d" * 200_000 + ",managed_pc\n",
    }
    messages = " ".join(says(bring(store, files)))
    assert all(
        part in messages for part in ("more than 200000 rows", "larger than 16 MiB", "field larger than field limit")
    )
    for number in range(MAX_FILES + 1):
        (tmp_path / f"users-{number}.csv").write_text("id,kind\n")
    report = import_directory(store, [tmp_path], now=NOW, actor="operator")
    assert "more than 100 files" in says(report)[0]
    with (tmp_path / "users-0.csv").open("wb") as sparse:
        sparse.truncate(MAX_BYTES + 1)
    report = import_directory(store, [tmp_path / "users-0.csv"], now=NOW, actor="operator")
    assert "larger than 64 MiB" in says(report)[0]


@pytest.mark.parametrize(
    "text",
    [
        "work_permits: [{id: w, users: 4, resources: 3, devices: [x], from: 2023-08-01, until: 2023-08-02}]",
        "resources: [{id: r, group: data, segments: 3, from: 2024-01-01, until: 2023-01-01}]",
        "resources: [{id: r, group: data, ja: 3, from: 2024-01-01, until: 2023-01-01}]",
        "users: [{id: u-9, kind: staff, employment: {from: 2024-01-01, until: 2023-01-01}, posts: [{department: a, from: 2024-01-01, until: 2023-01-01}]}]",
        "users: [{id: u-9, kind: staff, roles: [" + ", ".join(f"r{n}" for n in range(201)) + "]}]",
    ],
)
def test_several_faults_of_one_row_are_all_told(store: Store, text: str) -> None:
    report = bring(store, {"directory.yaml": text})
    assert report.fault_count >= (1 if "r200" in text else 2), says(report)
    assert current_epoch(store) == 0
