"""Whatever is brought: the importer never crashes, writes all or nothing, and gives back what was written out."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from pdp.directory.files.faults import MAX_FAULTS
from pdp.directory.files.fields import FIELDS, SHEETS
from pdp.directory.files.reading import SourceFile
from pdp.directory.importer import ImportPlan, ImportReport, import_sources
from pdp.directory.registers import Registers, registers_of
from pdp.directory.snapshot import load_snapshot
from pdp.model import input as words
from pdp.model.directory import Device, Loan, Period, Permit, Post, PostureReport, User
from pdp.store.store import Store, open_store
from tests.sheets import csv_text, japanese, rows_of

NOW = datetime(2023, 8, 1, 1, 0, tzinfo=UTC)
PLAN = ImportPlan(NOW, "operator")
NAMES = (*(f"{sheet}.csv" for sheet in SHEETS), "directory.yaml", "notes.txt")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('import') / 'sekisho.db'}")
    opened.migrate()
    yield opened
    opened.close()


def bring(store: Store, files: list[tuple[str, bytes]], plan: ImportPlan = PLAN) -> ImportReport:
    return import_sources(store, [SourceFile(name, content) for name, content in files], plan)


def hold(store: Store, files: list[tuple[str, bytes]]) -> None:
    """All or nothing, and a report that says which."""
    before = load_snapshot(store)
    report = bring(store, files)
    after = load_snapshot(store)
    assert (report.outcome == "refused") == bool(report.faults) == (report.fault_count > 0)
    assert len(report.faults) == min(report.fault_count, MAX_FAULTS)
    assert (after == before) == (report.outcome in ("refused", "unchanged"))
    assert report.epoch == after.epoch
    assert all(str(fault) and "\n" not in str(fault) for fault in report.faults)


relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@relaxed
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=200)), max_size=4))
@example([("directory.yaml", b"[" * 50_000)])
@example([("directory.yaml", b"users: [{id: " + b"9" * 5_000 + b"}]")])
@example([("users.csv", b'id,kind\n"u-1')])
def test_any_bytes_are_judged_and_never_crash(store: Store, files: list[tuple[str, bytes]]) -> None:
    hold(store, files)


CELLS = st.one_of(
    st.sampled_from(
        ["", "u-1", "u-2", "d-1", "staff", "正規職員", "managed_pc", "mobile_pc", "byod_phone", "2023-04-01", "R5.4.1", "9999-12-31",
         "2023-08-01T09:00+09:00", "2023-08-01 09:00", "true", "×", "unknown", "lgwan;internet@2023-02-01", "a;b", "-1", "3", "high",
         "data", "a" * 64, "active", "\u3000", '"', "x,y", "x\ny"]
    ),
    st.text(max_size=12),
)  # fmt: skip


@st.composite
def sheets(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file with real headings and any cells, as any program might have encoded it."""
    sheet = draw(st.sampled_from(SHEETS))
    fields = draw(st.lists(st.sampled_from(FIELDS[sheet]), min_size=1, max_size=6, unique_by=lambda field: field.name))
    headings = [draw(st.sampled_from((field.name, *field.headings))) for field in fields]
    rows = draw(st.lists(st.lists(CELLS, min_size=len(fields), max_size=len(fields)), max_size=4))
    text = csv_text(headings, rows)
    return f"{sheet}.csv", text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "cp932"])), "replace")


@relaxed
@given(st.lists(sheets(), max_size=4))
def test_any_rows_are_taken_whole_or_not_at_all(store: Store, files: list[tuple[str, bytes]]) -> None:
    hold(store, files)


YAML_KEYS = st.sampled_from(
    [field.name for sheet in SHEETS for field in FIELDS[sheet]] + ["posts", "employment", "posture"]
)
YAML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | CELLS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(YAML_KEYS, inner, max_size=4),
    max_leaves=12,
)


@relaxed
@given(
    st.dictionaries(
        st.sampled_from(
            ["users", "devices", "permits", "loans", "work_permits", "resources", "disaster", "emergencies"]
        ),
        YAML_VALUES,
    )
)
def test_any_yaml_is_taken_whole_or_not_at_all(store: Store, document: dict[str, object]) -> None:
    import json

    hold(store, [("directory.yaml", json.dumps(document, ensure_ascii=False).encode("utf-8", "replace"))])


IDS = st.integers(1, 5)
INSTANTS = st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
PERIODS = st.builds(
    lambda start, days: Period(start, start + timedelta(days=days)), INSTANTS, st.integers(1, 900)
) | st.builds(Period, INSTANTS)
OPEN = PERIODS | st.just(Period())
PLAIN = st.text(st.characters(codec="cp932", categories=["L", "Nd"], exclude_characters="¢£¬‖−〜"), max_size=8)
KNOWN = st.sampled_from([True, False, "unknown"])


def word(literal: object) -> st.SearchStrategy[str]:
    return st.sampled_from(get_args(literal))


@st.composite
def registers(draw: st.DrawFn) -> Registers:
    users = [
        User(
            f"u-{number}", draw(word(words.SubjectKind)), identity_source=draw(word(words.IdentitySource)),
            posts=tuple({(p.department, p.period.start): p for p in draw(st.lists(st.builds(Post, st.sampled_from("abc"), OPEN), max_size=3))}.values()),
            roles=tuple(draw(st.lists(st.sampled_from(["data_user", "server_admin"]), unique=True))),
            employment=draw(OPEN), status=draw(word(words.Employment)), name=draw(PLAIN),
        )
        for number in draw(st.sets(IDS, min_size=1))
    ]  # fmt: skip
    owner = st.sampled_from([user.id for user in users])
    reports = st.builds(
        PostureReport, certificate=KNOWN, disk_encrypted=KNOWN, edr_running=KNOWN | st.just("not_managed"),
        edr_risk=word(words.EdrRisk), av_current=KNOWN, firewall=KNOWN, screen_lock=KNOWN, tampered=KNOWN,
        patch_age_days=st.none() | st.integers(0, 900), observed_at=st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2023, 8, 1), timezones=st.just(UTC)),
        source=st.sampled_from(["edr", "mdm"]),
    )  # fmt: skip
    devices = [
        Device(
            f"d-{number}", draw(word(words.DeviceClass)), owner=draw(st.none() | owner), department=draw(st.none() | st.sampled_from("abc")),
            shared=draw(st.booleans()), state=draw(word(words.DeviceState)), takeout=draw(word(words.Takeout)),
            returned_from_outside=draw(st.booleans()), certificate_sha256=draw(st.none() | st.just(f"{number:064x}")), posture=draw(reports),
        )
        for number in draw(st.sets(IDS))
    ]  # fmt: skip
    private = [device.id for device in devices if device.class_.startswith("byod_")]
    mobile = [device.id for device in devices if device.class_ == "mobile_pc"]
    closed = PERIODS.filter(lambda period: period.end is not None)
    return registers_of(
        users=users,
        devices=devices,
        permits=[Permit(id_, draw(owner), draw(closed), held=draw(st.booleans())) for id_ in private],
        loans=[Loan(id_, draw(owner), draw(closed)) for id_ in mobile],
    )


@relaxed
@given(registers(), st.booleans(), st.sampled_from(["utf-8", "utf-8-sig", "cp932"]))
def test_a_directory_that_is_written_out_comes_back_the_same(
    store: Store, wanted: Registers, in_japanese: bool, encoding: str
) -> None:
    empty = [(f"{sheet}.csv", ",".join(headings).encode()) for sheet, (headings, _) in rows_of(registers_of()).items()]
    everything = ImportPlan(NOW, "operator", "replace", allow_removals=100)
    assert bring(store, empty, everything).outcome != "refused"
    files = [
        (f"{sheet}.csv", csv_text(japanese(sheet, headings) if in_japanese else headings, rows).encode(encoding))
        for sheet, (headings, rows) in rows_of(wanted).items()
    ]
    report = bring(store, files, everything)
    # A few bytes may be a word in both encodings; then the importer asks rather than guesses.
    assume(not any("could be UTF-8 or CP932" in fault.message for fault in report.faults))
    assert report.faults == (), [str(fault) for fault in report.faults]
    assert load_snapshot(store) == wanted.snapshot(report.epoch)
    assert bring(store, files, everything).outcome == "unchanged"


def test_a_byte_order_mark_is_no_part_of_the_first_heading(store: Store, tmp_path: Path) -> None:
    assert bring(store, [("users.csv", codecs.BOM_UTF8 + b"id,kind\nu-bom,staff\n")]).outcome == "imported"
