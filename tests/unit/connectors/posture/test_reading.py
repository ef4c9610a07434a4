"""The parts of which every mapping is made."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.port import DeviceReport
from connectors.posture.cursor import OVERLAP, next_cursor, since, written
from connectors.posture.reading import (
    Options,
    RecordRefusedError,
    all_true,
    any_known,
    as_old_as,
    day,
    instant,
    inverse,
    named,
    only_bad_news,
    patch_age,
    platform,
    release_age,
    usable_name,
    with_checks,
)
from connectors.posture.sweep import NewestFirst
from connectors.posture.tally import MAX_DEVICES, MAX_REFUSED, Tally, records_of
from pdp.errors import ConnectorError
from pdp.model.directory import PostureReport

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
facts = st.sampled_from([True, False, "unknown"])


@pytest.mark.parametrize(
    ("written_as", "moment"),
    [
        ("2026-11-23T06:00:00Z", NOW),
        ("2026-11-23t06:00:00z", NOW),
        ("2026-11-23 06:00:00Z", NOW),
        ("2026-11-23T15:00:00+09:00", NOW),
        ("2026-11-23T06:00:00.1234567Z", NOW + timedelta(microseconds=123456)),
        ("2026-11-23T06:00:00.5Z", NOW + timedelta(milliseconds=500)),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("2000-01-01T00:00:00Z", None),
        ("2026-11-23T06:00:00", None),
        ("2026-11-23", None),
        ("2026-W47-1T06:00:00Z", None),
        ("2026-11-23T06:00:60Z", None),
        ("2026-11-23T24:00:00Z", None),
        ("2026-02-29T06:00:00Z", None),
        ("2026-11-23T06:00:00+99:00", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("２０２６-11-23T06:00:00Z", None),
        ("2026-11-23T06:00:00Z\n", None),
        ("", None),
        (1795413600, None),
        (None, None),
    ],
)
def test_a_vendors_time_is_rfc_3339_or_none(written_as: Any, moment: datetime | None) -> None:
    assert instant(written_as) == moment


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading_of_times_and_days(text: str) -> None:
    found = instant(text)
    assert found is None or found.tzinfo is UTC
    assert day(text) is None or isinstance(day(text), date)


@given(st.lists(facts, max_size=5))
def test_together_facts_are_never_better_than_the_worst_of_them(several: list[Any]) -> None:
    together = all_true(several)
    assert (together is True) == (bool(several) and all(fact is True for fact in several))
    assert (together is False) == (False in several)
    either = any_known(several)
    assert (either is True) == (True in several and False not in several)
    assert inverse(inverse(either)) == either


@given(facts, st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))))
def test_an_older_look_can_only_take_a_good_fact_away(fact: Any, at: datetime | None) -> None:
    found = as_old_as(fact, at, NOW, lag=timedelta(hours=24))
    assert found in (fact, "unknown")
    assert not (fact is False and found != fact)
    fresh = at is not None and NOW - at <= timedelta(hours=24)
    assert (found is True) == (fact is True and fresh)


@pytest.mark.parametrize(
    ("released", "age"),
    [
        (date(2026, 11, 23), 0),
        (date(2026, 11, 1), 22),
        (date(2026, 12, 5), 0),
        (date(2026, 12, 25), None),
        (date(2006, 12, 31), None),
        (None, None),
    ],
)
def test_the_age_of_patches(released: date | None, age: int | None) -> None:
    assert patch_age(released, NOW) == age
    assert patch_age(released, None) is None


def test_a_version_that_is_not_in_the_table_has_no_age() -> None:
    options = Options("x", os_releases={"1.0": date(2026, 11, 1)})
    assert release_age("1.0", options, NOW) == 22
    assert release_age("1.0 ", options, NOW) is None
    assert release_age(["1.0"], options, NOW) is None
    assert release_age("1.0", Options("x"), NOW) is None


@pytest.mark.parametrize("name", ["SN1", "PC 12", "端末-12", "ab" * 64])
def test_a_makers_name_is_kept_without_the_blanks_around_it(name: str) -> None:
    assert usable_name(f" {name} ") == name


def test_what_makers_write_into_every_device_is_no_serial_number_and_may_be_an_asset_tag() -> None:
    found = named((("serial", "1111"), ("udid", "none"), ("asset_tag", "1111")), Options("x"))
    assert found == {"asset_tag": "1111"}


@given(
    st.builds(
        PostureReport,
        certificate=facts,
        disk_encrypted=facts,
        edr_running=st.sampled_from([True, False, "unknown", "not_managed"]),
        edr_risk=st.sampled_from(["none", "low", "medium", "high", "unknown"]),
        av_current=facts,
        firewall=facts,
        screen_lock=facts,
        tampered=facts,
        patch_age_days=st.one_of(st.none(), st.integers(0, 100)),
    ),
    st.lists(
        st.tuples(st.sampled_from(["firewall", "disk_encrypted", "edr_running", "not_tampered"]), facts), max_size=4
    ),
)
def test_bad_news_stays_whatever_is_done_to_a_report(report: PostureReport, checks: Any) -> None:
    after = only_bad_news(with_checks(report, checks))
    assert (after.tampered is True) >= (report.tampered is True)
    for fact in ("certificate", "disk_encrypted", "edr_running", "av_current", "firewall", "screen_lock"):
        assert (getattr(after, fact) is False) >= (getattr(report, fact) is False)
        assert getattr(after, fact) in (False, "unknown")
    assert after.tampered is not False
    assert after.edr_risk in ("medium", "high", "unknown")
    for name, passed in checks:
        if passed is False:
            assert after.tampered is True if name == "not_tampered" else getattr(after, name) is False


def test_the_cursor_goes_back_by_the_overlap_and_never_over_our_clock() -> None:
    assert since(written(NOW), NOW) == NOW - OVERLAP
    assert since(written(NOW + timedelta(seconds=1)), NOW) is None
    assert next_cursor(None, None, NOW) is None
    assert next_cursor("2026-11-23T05:00:00Z", None, NOW) == "2026-11-23T05:00:00Z"
    assert next_cursor("2026-11-23T05:00:00Z", NOW - timedelta(hours=2), NOW) == "2026-11-23T05:00:00Z"
    assert next_cursor("2031-01-01T00:00:00Z", NOW - timedelta(hours=2), NOW) == "2026-11-23T04:00:00Z"
    assert next_cursor(None, NOW + timedelta(days=9), NOW) == written(NOW)


def test_a_sweep_ends_at_the_first_old_record_of_an_ordered_list_only() -> None:
    def row(at: str) -> dict[str, str]:
        return {"t": at}

    sweep = NewestFirst("t", NOW)
    sweep.look([row("2026-11-23T07:00:00Z"), row("2026-11-23T06:30:00Z"), {}, None])
    assert not sweep.done
    sweep.look([row("2026-11-23T05:00:00Z")])
    assert sweep.done
    unordered = NewestFirst("t", NOW)
    unordered.look([row("2026-11-23T05:00:00Z"), row("2026-11-23T07:00:00Z"), row("2026-11-23T04:00:00Z")])
    assert not unordered.done


def tally(read: Any = None) -> Tally:
    return Tally(
        lambda record: record.get("id"),
        read or (lambda record: DeviceReport({"serial": record["id"]}, PostureReport(observed_at=NOW))),
    )


def test_a_record_that_comes_again_is_left_out_and_a_nameless_one_is_counted() -> None:
    count = tally()
    page = count.page([{"id": "a"}, {"id": "b"}, {"id": "a"}, {}, 5])
    assert [report.names["serial"] for report in page.items] == ["a", "b"]
    assert [refused.code for refused in page.refused] == ["no_id", "not_an_object"]
    assert (count.devices, count.nameless, count.latest) == (2, 2, NOW)


def test_a_page_that_is_repeated_again_and_again_ends_the_run_and_a_short_overlap_does_not() -> None:
    count = tally()
    for _ in range(3):
        count.page([{"id": "a"}])
    with pytest.raises(ConnectorError, match="repeats"):
        count.page([{"id": "a"}])
    overlapping = tally()
    for number in range(20):
        overlapping.page([{"id": str(number // 2)}])
        overlapping.page([])


def test_a_report_without_a_name_and_a_refused_record_keep_their_id_in_the_count() -> None:
    def read(record: dict[str, Any]) -> DeviceReport:
        if record["id"] == "bad":
            raise RecordRefusedError("odd")
        return DeviceReport({}, PostureReport())

    page = tally(read).page([{"id": "bad"}, {"id": "x"}])
    assert [(refused.code, refused.key) for refused in page.refused] == [("odd", "bad"), ("no_name", "x")]


def test_more_devices_than_a_source_can_have_end_the_run() -> None:
    count = tally()
    with pytest.raises(ConnectorError, match=str(MAX_DEVICES)):
        count.page([{"id": str(number)} for number in range(MAX_DEVICES + 1)])


def test_up_to_a_few_refused_records_are_borne_whatever_their_share() -> None:
    assert len(tally().page([None] * MAX_REFUSED).refused) == MAX_REFUSED
    with pytest.raises(ConnectorError):
        tally().page([None] * (MAX_REFUSED + 1))


def test_a_list_that_is_absent_is_empty_only_where_the_vendor_leaves_it_out() -> None:
    assert records_of({}, "devices", required=False) == []
    assert records_of({"devices": None}, "devices", required=False) == []
    with pytest.raises(ConnectorError):
        records_of({}, "devices", required=True)
    with pytest.raises(ConnectorError):
        records_of({"devices": {}}, "devices", required=False)


@pytest.mark.parametrize(
    ("value", "word"), [("Windows", "windows"), (" iOS ", "ios"), (None, ""), (5, ""), ("x" * 129, ""), ("a\nb", "")]
)
def test_the_platform_is_the_vendors_word_in_small_letters(value: Any, word: str) -> None:
    assert platform(value) == word
