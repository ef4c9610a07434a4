"""The five cloud connectors over their simulators: a whole right run, or a fault and nothing."""

from __future__ import annotations

import pytest

from connectors.http import Limits
from pdp.errors import ConnectorError
from tests.simulators.vendor import Fault
from tests.simulators.worlds import NOW, outcome, world

pytestmark = pytest.mark.anyio

KINDS = ("intune", "jamf", "fleet", "google", "android_management")
PLATFORM = {"intune": "windows", "fleet": "windows", "jamf": "macos"}
HASTY = Limits(exchange_s=0.25, tries=2)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_full_run_brings_every_device_once_and_says_that_it_is_complete(kind: str) -> None:
    with world(kind) as made:
        found = await outcome(made.connector())
    assert found.run.complete
    assert len(found.serials) == len(set(found.serials)) == 5
    assert all(report.posture.source == kind for report in found.reports)
    assert all(report.posture.disk_encrypted is True for report in found.reports)
    assert {report.platform for report in found.reports} == {PLATFORM.get(kind, "android")}
    assert found.pages >= 3


async def test_an_empty_source_is_a_complete_run_of_nothing(kind: str) -> None:
    with world(kind, devices=0) as made:
        found = await outcome(made.connector())
    assert found.run.complete
    assert found.reports == []


async def test_a_token_that_expires_in_the_middle_is_renewed_and_nothing_is_lost(kind: str) -> None:
    if kind == "fleet":
        return  # its token is made by hand and has no successor
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, expire=True)]
        found = await outcome(made.connector())
        assert len(found.serials) == 5
        assert len(made.simulator.token_requests) == 2


async def test_a_token_that_is_refused_again_and_again_ends_the_run(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, times=99, expire=True)]
        with pytest.raises(ConnectorError, match="401") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "refused"
        assert len(made.simulator.requests) <= 4


@pytest.mark.parametrize(
    ("header", "pause"), [("7", 7.0), ("Mon, 23 Nov 2026 06:00:30 GMT", 30.0), ("soon", 1.0), ("-3", 1.0)]
)
async def test_throttling_is_waited_out_as_long_as_it_asks(kind: str, header: str, pause: float) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, status=429, headers=(("retry-after", header),))]
        found = await outcome(made.connector())
        assert len(found.serials) == 5
        assert made.hands.pauses == [pause]


@pytest.mark.parametrize("header", ["121", "3600"])
async def test_throttling_for_longer_than_a_run_waits_ends_it_and_says_when_to_come_again(
    kind: str, header: str
) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, status=429, headers=(("retry-after", header),))]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector())
        assert (caught.value.fault, caught.value.retry_after_s) == ("throttled", float(header))
        assert made.hands.pauses == []


async def test_all_pauses_of_a_run_together_are_bounded(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [
            Fault(at=number, times=3, status=429, headers=(("retry-after", "100"),)) for number in (1, 5)
        ]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector(Limits(waits_s=500)))
        assert caught.value.fault == "throttled"
        assert made.hands.pauses == [100.0] * 5


async def test_a_server_error_that_passes_costs_a_pause_and_nothing_else(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, times=2, status=500)]
        found = await outcome(made.connector())
        assert len(found.serials) == 5
        assert made.hands.pauses == [1.0, 2.0]


async def test_a_server_error_that_stays_ends_the_run_after_a_bounded_number_of_tries(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, times=99, status=503)]
        with pytest.raises(ConnectorError, match="503") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "unreachable"
        assert made.hands.pauses == [1.0, 2.0, 4.0, 8.0]


async def test_a_connection_cut_in_the_body_is_tried_again(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, cut_at=20)]
        found = await outcome(made.connector())
        assert len(found.serials) == 5
        assert made.hands.pauses == [1.0]


async def test_connections_that_are_always_cut_end_the_run(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, times=99, cut_at=20)]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector())
        assert caught.value.fault == "unreachable"


async def test_a_body_that_stops_half_way_meets_the_deadline(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, times=99, hang_at=20)]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector(HASTY))
        assert caught.value.fault == "timeout"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(at=2, text=lambda body: body[: len(body) // 2]),
        Fault(at=2, text=lambda body: b'{"value":[],' + body[1:-1] + b',"value":[]}'),
        Fault(at=2, text=lambda body: b"\xef\xbb\xbf" + body),
        Fault(at=2, text=lambda body: body.replace(b":", b":\xff", 1)),
        Fault(at=2, text=lambda _: b""),
        Fault(at=2, text=lambda _: b"[]"),
        Fault(at=2, text=lambda _: b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
        Fault(at=2, text=lambda _: b'{"a":NaN}'),
        Fault(at=2, text=lambda _: b'{"a":1e999}'),
        Fault(at=2, text=lambda body: body + b"{}"),
        Fault(at=2, content_type="text/html"),
        Fault(at=2, headers=(("content-encoding", "gzip"),)),
    ],
    ids=[
        "truncated",
        "duplicate member",
        "byte order mark",
        "not utf-8",
        "empty",
        "not an object",
        "deep",
        "nan",
        "infinity",
        "something after",
        "content type",
        "compressed",
    ],
)
async def test_an_answer_that_is_not_strict_json_ends_the_run(kind: str, fault: Fault) -> None:
    if kind != "intune" and fault.text is not None and b'"value":[]' in fault.text(b"{}"):
        fault = Fault(at=2, text=lambda body: body[:-1] + b"," + body[1:])
    with world(kind) as made:
        made.simulator.faults = [fault]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector())
        assert caught.value.fault == "malformed"
        assert made.hands.pauses == []


async def test_a_page_larger_than_the_bound_is_not_read_to_its_end(kind: str) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, text=lambda _: b" " * 3_000_000)]
        with pytest.raises(ConnectorError, match="larger than 1000000 bytes") as caught:
            await outcome(made.connector(Limits(body_bytes=1_000_000)))
        assert caught.value.fault == "malformed"


@pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 404, 410, 204])
async def test_any_other_status_ends_the_run_and_a_redirection_is_not_followed(kind: str, status: int) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, status=status, headers=(("location", "/elsewhere"),))]
        with pytest.raises(ConnectorError, match=str(status)) as caught:
            await outcome(made.connector())
        assert caught.value.fault == "refused"
        assert all(request.path != "/elsewhere" for request in made.simulator.requests)


async def test_a_source_that_shows_one_page_for_ever_ends_the_run(kind: str) -> None:
    with world(kind, devices=6) as made:
        first: list[dict[str, object]] = []

        def again(document: dict[str, object]) -> dict[str, object]:
            first.append(document)
            return first[0]

        made.simulator.faults = [Fault(at=1, times=99_999, document=again)]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector())
        assert caught.value.fault == "inconsistent"
        assert len(made.simulator.requests) <= 6


async def test_a_page_without_its_list_ends_the_run(kind: str) -> None:
    if kind in ("google", "android_management", "fleet"):
        wrong: dict[str, object] = {"devices": {}, "hosts": {}, "nextPageToken": ""}
    else:
        wrong = {"totalCount": 5}
    with world(kind) as made:
        made.simulator.faults = [Fault(at=2, document=lambda _: wrong)]
        with pytest.raises(ConnectorError, match="no list") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "malformed"


async def test_a_few_records_that_cannot_be_read_are_counted_and_the_others_come(kind: str) -> None:
    with world(kind, devices=30, page=10) as made:
        nameless = made.device(99)
        for name in ("id", "name", "mobileDeviceId"):
            nameless.pop(name, None)
        made.simulator.faults = [
            Fault(at=1, document=lambda document: _with_records(document, [nameless, "not a record", None]))
        ]
        found = await outcome(made.connector())
        assert len(found.serials) == 30
        assert sorted(refused.code for refused in found.refused) == ["no_id", "not_an_object", "not_an_object"]


async def test_records_that_are_mostly_unreadable_end_the_run(kind: str) -> None:
    with world(kind, devices=30, page=10) as made:
        made.simulator.faults = [Fault(at=1, document=lambda document: _with_records(document, [None] * 25))]
        with pytest.raises(ConnectorError, match="not what its documents describe") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "malformed"


async def test_wrong_credentials_are_told_by_their_word_and_without_the_secret(kind: str) -> None:
    if kind == "fleet":
        return
    with world(kind) as made:
        made.simulator.admits = lambda form: False  # type: ignore[method-assign]
        with pytest.raises(ConnectorError, match=r"401 \(invalid_client\)") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "refused"
        assert not any(secret in str(caught.value) for secret in made.hands.secrets.values())
        assert "secret details" not in str(caught.value)


async def test_an_incremental_run_brings_what_changed_and_no_more_than_it_must(kind: str) -> None:
    with world(kind, devices=40, page=10) as made:
        for row in made.rows:
            _set_time(row, made.time_at, "2026-11-22T00:00:00Z")
        full = await outcome(made.connector())
        assert full.run.cursor.value == (None if kind == "android_management" else "2026-11-22T00:00:00Z")
        _set_time(made.rows[17], made.time_at, "2026-11-23T05:59:00Z")
        _set_time(made.rows[18], made.time_at, "2026-11-22T10:00:00Z")
        before = len(made.simulator.requests)
        found = await outcome(made.connector(), "2026-11-22T09:00:00Z")
        asked = len(made.simulator.requests) - before
    if kind == "android_management":
        assert found.run.complete
        assert len(found.serials) == 40
        return
    assert not found.run.complete
    assert asked <= (5 if kind == "intune" else 2), "Intune looks through its whole list for threats"
    names = [report.names["vendor_id"] for report in found.reports]
    wanted = {name for report in full.reports[17:19] for name in [report.names["vendor_id"]]}
    assert wanted <= set(names)
    assert found.run.cursor.value == "2026-11-23T05:59:00Z"


@pytest.mark.parametrize("cursor", ["nonsense", "", "2031-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
async def test_a_cursor_that_cannot_be_true_asks_for_everything(kind: str, cursor: str) -> None:
    with world(kind) as made:
        found = await outcome(made.connector(), cursor)
        assert found.run.complete
        assert len(found.serials) == 5


async def test_a_device_whose_clock_is_ahead_does_not_move_the_cursor_beyond_the_run(kind: str) -> None:
    if kind == "android_management":
        return
    with world(kind) as made:
        _set_time(made.rows[3], made.time_at, "2032-01-01T00:00:00Z")
        found = await outcome(made.connector())
        assert found.run.cursor.value == "2026-11-23T06:00:00Z"
        ahead = [report for report in found.reports if (report.posture.observed_at or NOW) > NOW]
        assert len(ahead) == 1, "the runner refuses it; the connector does not hide it"


async def test_two_devices_with_one_serial_come_as_two_reports_with_names_of_their_own(kind: str) -> None:
    with world(kind) as made:
        made.rows[1] = _with_serial(made.device(2), made.rows[0])
        found = await outcome(made.connector())
        twins = [report for report in found.reports if report.names["serial"] == found.reports[0].names["serial"]]
        assert len(twins) == 2
        assert len({report.names["vendor_id"] for report in twins}) == 2


async def test_leaving_a_run_in_the_middle_closes_its_connection(kind: str) -> None:
    with world(kind) as made:
        run = await made.connector().run(None, NOW)
        pages = run.pages.__aiter__()
        await pages.__anext__()
        await pages.aclose()  # type: ignore[attr-defined]
        assert run.cursor.value is None
        assert len(made.simulator.requests) <= 2


def _with_records(document: dict[str, object], records: list[object]) -> dict[str, object]:
    """More records in the list of a page; Jamf counts them."""
    changed = dict(document)
    for name in ("value", "results", "hosts", "devices"):
        if isinstance(changed.get(name), list):
            changed[name] = [*records, *changed[name]]  # type: ignore[misc]
    return changed


def _set_time(row: dict[str, object], path: tuple[str, ...], value: str) -> None:
    target = row
    for name in path[:-1]:
        target = target[name]  # type: ignore[assignment]
    target[path[-1]] = value


def _with_serial(row: dict[str, object], other: dict[str, object]) -> dict[str, object]:
    for holder in ("hardware", "hardwareInfo"):
        if holder in row:
            return {**row, holder: other[holder]}
    name = "hardware_serial" if "hardware_serial" in row else "serialNumber"
    return {**row, name: other[name]}
