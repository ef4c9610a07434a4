from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.port import DeviceReport, Refused
from connectors.posture import hip
from connectors.posture.hip import HipFolder, HipGateways, connector
from connectors.setup import Setup
from pdp.errors import ConnectorError, SettingsError
from tests.http_server import serving
from tests.simulators.pan_os import KEY, PanOs, drives, hip_report, malware

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 7, 1, 0, 5, tzinfo=UTC)


class Hands:
    """What a setup gives, and what was done with it."""

    def __init__(self, **settings: Any) -> None:
        self.slept: list[float] = []
        self.setup = Setup(
            name="hip",
            settings=settings,
            read_secret=lambda _: KEY,
            clock=lambda: NOW,
            sleep=self._sleep,
            http=self._http,
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def _http(self, *, base_url: str = "", verify: Any = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=base_url, timeout=2.0, trust_env=False, follow_redirects=False)


@contextmanager
def gateway(plane: PanOs, **settings: Any) -> Iterator[Hands]:
    with serving(plane) as port:
        yield Hands(gateways=[f"http://127.0.0.1:{port}"], api_key_file="key", **settings)


async def collect(made: HipFolder | HipGateways) -> tuple[list[DeviceReport], list[Refused]]:
    run = await made.run(None, NOW)
    assert run.complete is False
    items: list[DeviceReport] = []
    refused: list[Refused] = []
    async for page in run.pages:
        assert len(page.items) + len(page.refused) <= hip.PAGE
        items += page.items
        refused += page.refused
    return items, refused


def plane_of(count: int) -> PanOs:
    plane = PanOs()
    for number in range(1, count + 1):
        computer = f"PC-{number:04d}"
        plane.add(computer, hip_report(computer, serial=f"5CG{number:04d}"))
    return plane


async def test_the_report_of_everybody_who_is_connected_is_read() -> None:
    plane = plane_of(70)
    with gateway(plane) as hands:
        items, refused = await collect(connector(hands.setup))

    assert sorted(item.names["serial"] for item in items) == [f"5CG{n:04d}" for n in range(1, 71)]
    assert refused == []
    assert {item.posture.source for item in items} == {"hip"}
    assert plane.keys == [KEY] * 71
    assert set(plane.targets) == {"POST /api/?"}  # neither the key nor a person stands in an address


async def test_a_name_with_markup_asks_about_that_name_and_nothing_else() -> None:
    evil = "</user></hip-report></user></show><request><restart/></request>"
    plane = PanOs()
    plane.add("PC-0001", hip_report(), user=evil)
    with gateway(plane) as hands:
        items, _ = await collect(connector(hands.setup))
    assert len(items) == 1
    assert "<restart/>" not in plane.asked[1]


async def test_who_has_gone_or_never_reported_is_counted_and_the_others_are_read() -> None:
    plane = plane_of(2)
    plane.add("PC-GONE")
    plane.add("PC-OTHER", hip_report("PC-9999"))
    plane.add("PC-BROKEN", hip_report("PC-BROKEN", generated="yesterday"))
    with gateway(plane) as hands:
        items, refused = await collect(connector(hands.setup))
    assert len(items) == 2
    assert sorted(one.code for one in refused) == ["malformed", "mismatch", "no_report"]


async def test_a_user_list_that_repeats_itself_asks_once() -> None:
    plane = plane_of(1)
    plane.users *= 3
    with gateway(plane) as hands:
        items, _ = await collect(connector(hands.setup))
    assert len(items) == 1
    assert len(plane.asked) == 2


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        (503, {}, [1.0]),
        (500, {}, [1.0]),
        (429, {"retry-after": "7"}, [7.0]),
        (429, {"retry-after": "Wed, 01 Jul 2026 00:06:00 GMT"}, [1.0]),
        (429, {"retry-after": "-5"}, [1.0]),
    ],
)
async def test_a_busy_gateway_is_asked_again(
    at: int, status: int, headers: dict[str, str], waited: list[float]
) -> None:
    plane = plane_of(1)
    plane.faults = {at: (status, headers, b"busy")}
    with gateway(plane) as hands:
        items, _ = await collect(connector(hands.setup))
    assert len(items) == 1
    assert hands.slept == waited


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ((401, {}, b""), "refused"),
        ((403, {}, b""), "refused"),
        ((404, {}, b""), "malformed"),
        ((302, {"location": "https://elsewhere.example/api/"}, b""), "malformed"),
        ((200, {}, b'<response status="error" code="16"><msg/></response>'), "refused"),
        ((200, {}, b'<response status="error"/>'), "refused"),
        ((200, {}, b"<response/>"), "refused"),
        ((200, {}, b'<response status="success"/>'), "malformed"),
        ((200, {}, b'<response status="success"><result/><result/></response>'), "malformed"),
        ((200, {}, b"<html><body>log in</body></html>"), "malformed"),
        ((200, {}, b'<response status="success"><result>'), "malformed"),
        ((200, {}, b"{}"), "malformed"),
        ((200, {}, b""), "malformed"),
        ((200, {}, b'<!DOCTYPE r [<!ENTITY e "x">]><response status="success"><result/></response>'), "malformed"),
        ((429, {"retry-after": "3600"}, b""), "throttled"),
    ],
)
async def test_an_answer_that_is_none_fails_the_run(at: int, fault: Any, word: str) -> None:
    plane = plane_of(40)
    plane.faults = {at: fault}
    with gateway(plane) as hands, pytest.raises(ConnectorError) as failed:
        await collect(connector(hands.setup))
    assert failed.value.fault == word
    assert KEY not in failed.value.message
    if word == "throttled":
        assert failed.value.retry_after_s == 3600


async def test_a_gateway_that_stays_busy_fails_the_run_after_three_attempts() -> None:
    plane = plane_of(1)
    plane.faults = dict.fromkeys(range(1, 10), (503, {}, b""))
    with gateway(plane) as hands, pytest.raises(ConnectorError) as failed:
        await collect(connector(hands.setup))
    assert failed.value.fault == "throttled"
    assert hands.slept == [1.0, 2.0]


@pytest.mark.parametrize("at", [1, 2])
async def test_a_connection_that_is_cut_is_tried_again_and_half_an_answer_counts_for_nothing(at: int) -> None:
    plane = plane_of(1)
    plane.faults = {at: "cut"}
    with gateway(plane) as hands:
        items, _ = await collect(connector(hands.setup))
    assert len(items) == 1


async def test_nobody_listening_is_unreachable() -> None:
    with gateway(PanOs()) as hands:
        pass
    with pytest.raises(ConnectorError) as failed:
        await collect(connector(hands.setup))
    assert failed.value.fault == "unreachable"


async def test_an_answer_without_end_is_left() -> None:
    plane = plane_of(1)
    plane.faults = {2: (200, {}, b"<response>" + b" " * (2 * 1024 * 1024))}
    with gateway(plane) as hands, pytest.raises(ConnectorError) as failed:
        await collect(connector(hands.setup))
    assert failed.value.fault == "malformed"


async def test_a_run_that_is_cancelled_leaves_no_task_behind() -> None:
    plane = plane_of(8)
    plane.faults = dict.fromkeys(range(2, 20), "silent")
    before = asyncio.all_tasks()
    with gateway(plane) as hands:
        running = asyncio.create_task(collect(connector(hands.setup)))
        assert await asyncio.to_thread(plane.silent.wait, 10)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"folder": "x", "gateways": ["https://gp.example.jp"]},
        {"gateways": ["https://gp.example.jp"]},
        {"gateways": ["http://gp.example.jp"], "api_key_file": "key"},
        {"gateways": ["https://gp.example.jp/api"], "api_key_file": "key"},
        {"gateways": ["https://user:pass@gp.example.jp"], "api_key_file": "key"},
        {"gateways": ["https://gp.example.jp?key=x"], "api_key_file": "key"},
        {"gateways": ["gp.example.jp"], "api_key_file": "key"},
        {"gateways": ["https://gp.example.jp"], "api_key_file": "key", "ca_file": "/no/such/file"},
        {"gateways": ["https://gp.example.jp"] * 33, "api_key_file": "key"},
        {"folder": "x", "utc_offset_minutes": 900},
        {"folder": "x", "foldr": "y"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        connector(Hands(**settings).setup)


async def test_the_reports_of_a_folder_are_read_and_broken_ones_counted(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(hip_report("PC-A"), encoding="utf-8")
    (tmp_path / "b.XML").write_text(hip_report("PC-B"), encoding="utf-8")
    (tmp_path / "half.xml").write_text(hip_report("PC-C")[:300], encoding="utf-8")
    (tmp_path / "bomb.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]><hip-report>&a;</hip-report>', encoding="utf-8")
    (tmp_path / "huge.xml").write_bytes(b"<hip-report>" + b" " * (1024 * 1024))
    (tmp_path / "note.txt").write_text("not one of ours", encoding="utf-8")
    (tmp_path / "below").mkdir()
    items, refused = await collect(connector(Hands(folder=str(tmp_path)).setup))
    assert [item.names["host_name"] for item in items] == ["PC-A", "PC-B"]
    assert [one.detail.partition(":")[0] for one in refused] == ["bomb.xml", "half.xml", "huge.xml"]


async def test_a_folder_that_is_not_there_fails_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError) as failed:
        await collect(connector(Hands(folder=str(tmp_path / "none")).setup))
    assert failed.value.fault == "unreachable"


async def test_the_settings_of_reading_reach_the_reports(tmp_path: Path) -> None:
    text = hip_report(anti_malware=malware(dated=(2026, 6, 1), name="XDR"), encryption=drives(("C:", "encrypted")))
    (tmp_path / "a.xml").write_text(text, encoding="utf-8")
    settings = {"definitions_age_days": 60, "edr_products": ["XDR"], "utc_offset_minutes": 0}
    ((item,), _) = await collect(
        connector(Hands(folder=str(tmp_path), no_missing_patches_means_current=True, **settings).setup)
    )
    assert (item.posture.av_current, item.posture.edr_running, item.posture.patch_age_days) == (True, True, 0)
    assert item.posture.observed_at == datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
