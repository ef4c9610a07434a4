"""What only one of the other clouds has: counts, sweeps by time, users and partners beside devices."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from pdp.errors import ConnectorError, SettingsError
from tests.simulators import google_apis, jamf_pro
from tests.simulators.vendor import Fault
from tests.simulators.worlds import PRIVATE_KEY, outcome, world

pytestmark = pytest.mark.anyio


async def test_jamf_brings_computers_and_mobile_devices_in_one_run() -> None:
    with world("jamf", devices=3) as made:
        made.simulator.mobiles = [jamf_pro.mobile_device(n) for n in (1, 2, 3)]  # type: ignore[attr-defined]
        found = await outcome(made.connector(mobile_devices=True))
        assert len({report.names["vendor_id"] for report in found.reports}) == 6
        assert found.run.cursor.value == "2026-11-23T05:10:00Z"


async def test_jamf_asks_only_for_the_sections_that_are_read() -> None:
    with world("jamf", devices=1) as made:
        await outcome(made.connector())
        await outcome(made.connector(attributes={"EDR": {"fact": "edr_running", "yes": ["Running"]}}))
        plain, extended = (request.all("section") for request in made.simulator.requests)
        assert plain == ["GENERAL", "HARDWARE", "OPERATING_SYSTEM", "DISK_ENCRYPTION", "SECURITY"]
        assert extended == [*plain, "EXTENSION_ATTRIBUTES"]


async def test_a_deletion_while_jamf_is_read_ends_the_run_because_a_device_may_have_been_missed() -> None:
    with world("jamf", devices=6) as made:
        made.simulator.faults = [Fault(at=2, document=lambda document: {**document, "totalCount": 5})]
        with pytest.raises(ConnectorError, match="deleted") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "inconsistent"


async def test_an_enrolment_while_jamf_is_read_is_read_too() -> None:
    with world("jamf", devices=4) as made:
        original = made.simulator.answer

        def answer(request: Any) -> Any:
            if len(made.simulator.requests) == 2 and len(made.rows) == 4:
                made.rows.append(jamf_pro.computer(5))
            return original(request)

        made.simulator.answer = answer  # type: ignore[method-assign]
        found = await outcome(made.connector())
        assert len(found.serials) == 5


async def test_a_page_that_jamf_repeats_is_found_by_the_count() -> None:
    with world("jamf", devices=6) as made:
        first: list[Any] = []

        def repeat(document: dict[str, Any]) -> dict[str, Any]:
            first.append(document)
            return first[0]

        made.simulator.faults = [Fault(at=1, times=2, document=repeat)]
        with pytest.raises(ConnectorError, match="says 6 devices and showed 4"):
            await outcome(made.connector())


@pytest.mark.parametrize("total", [None, "5", True, -1, 2.5])
async def test_a_total_that_is_no_number_ends_the_run(total: Any) -> None:
    with world("jamf") as made:
        made.simulator.faults = [Fault(at=1, document=lambda document: {**document, "totalCount": total})]
        with pytest.raises(ConnectorError, match="totalCount"):
            await outcome(made.connector())


async def test_a_token_of_one_minute_is_renewed_before_it_ends() -> None:
    with world("jamf", devices=6) as made:
        made.simulator.token_life_s = 60
        made.simulator.faults = [Fault(at=2, status=429, headers=(("retry-after", "50"),))]
        found = await outcome(made.connector())
        assert len(found.serials) == 6
        assert len(made.simulator.token_requests) == 2
        assert [request.authorization for request in made.simulator.requests][-1] == "Bearer t-2"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(at=1, document=lambda document: {**document, "token_type": "mac"}),
        Fault(at=1, document=lambda document: {**document, "access_token": "a b"}),
        Fault(at=1, document=lambda document: {**document, "access_token": "t\r\nX: y"}),
        Fault(at=1, document=lambda document: {**document, "access_token": "t" * 20_000}),
        Fault(at=1, document=lambda document: {**document, "access_token": None}),
        Fault(at=1, document=lambda document: {**document, "expires_in": 0}),
        Fault(at=1, document=lambda document: {**document, "expires_in": "soon"}),
        Fault(at=1, document=lambda document: {**document, "expires_in": True}),
        Fault(at=1, content_type="text/html"),
        Fault(at=1, text=lambda body: body[:10]),
    ],
)
async def test_a_token_answer_that_is_none_ends_the_run(fault: Fault) -> None:
    with world("jamf") as made:
        made.simulator.token_faults = [fault]
        with pytest.raises(ConnectorError) as caught:
            await outcome(made.connector())
        assert caught.value.fault == "malformed"
        assert made.simulator.requests == []


@pytest.mark.parametrize("life", ["3599", None, 10**9])
async def test_a_lifetime_as_text_or_none_or_too_long_is_a_token_all_the_same(life: Any) -> None:
    with world("jamf") as made:
        made.simulator.token_faults = [Fault(at=1, document=lambda document: {**document, "expires_in": life})]
        assert len((await outcome(made.connector())).serials) == 5


async def test_a_throttled_token_endpoint_is_waited_for() -> None:
    with world("jamf") as made:
        made.simulator.token_faults = [Fault(at=1, status=429, headers=(("retry-after", "3"),))]
        assert len((await outcome(made.connector())).serials) == 5
        assert made.hands.pauses == [3.0]


async def test_a_host_deleted_while_fleet_is_read_hides_no_other() -> None:
    with world("fleet", devices=6) as made:
        original = made.simulator.answer

        def answer(request: Any) -> Any:
            if len(made.simulator.requests) == 2 and made.rows[0]["id"] == 1:
                del made.rows[0]
            return original(request)

        made.simulator.answer = answer  # type: ignore[method-assign]
        found = await outcome(made.connector())
        assert {report.names["vendor_id"] for report in found.reports} >= {f"{n}" for n in range(2, 7)}


async def test_fleet_counting_more_hosts_than_it_showed_ends_the_run() -> None:
    with world("fleet") as made:
        made.simulator.counted = 9  # type: ignore[attr-defined]
        with pytest.raises(ConnectorError, match="counts 9 hosts and showed 5") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "inconsistent"


async def test_a_fleet_server_that_does_not_go_on_after_the_last_host_ends_the_run() -> None:
    with world("fleet", devices=6) as made:
        hosts = [made.device(2), made.device(3)]
        made.simulator.faults = [Fault(at=2, document=lambda document: {"hosts": hosts})]
        with pytest.raises(ConnectorError, match="did not go on") as caught:
            await outcome(made.connector())
        assert caught.value.fault == "inconsistent"


async def test_a_fleet_server_that_shows_one_page_of_changes_for_ever_ends_the_run() -> None:
    with world("fleet", devices=6) as made:
        page = {"hosts": [made.device(n, detail_updated_at="2026-11-23T05:59:00Z") for n in (1, 2)]}
        made.simulator.faults = [Fault(at=1, times=99_999, document=lambda _: page)]
        with pytest.raises(ConnectorError, match="repeats the same page"):
            await outcome(made.connector(), "2026-11-23T05:58:00Z")
        assert len(made.simulator.requests) == 4


async def test_policies_are_asked_for_only_where_some_are_mapped_and_then_swept_by_their_own_time() -> None:
    with world("fleet", devices=30, page=10) as made:
        for row in made.rows:
            row["detail_updated_at"] = row["policy_updated_at"] = "2026-11-20T00:00:00Z"
        made.rows[25]["policy_updated_at"] = "2026-11-23T05:59:30Z"
        made.rows[25]["detail_updated_at"] = "2026-11-23T05:00:00Z"
        mapped = {"1": "edr_running"}
        found = await outcome(made.connector(policies=mapped), "2026-11-23T05:58:00Z")
        assert [report.names["vendor_id"] for report in found.reports].count("26") == 2
        assert all(request.param("populate_policies") == "true" for request in made.simulator.requests)
        await outcome(made.connector(), "2026-11-23T05:58:00Z")
        assert made.simulator.requests[-1].param("populate_policies") == ""


async def test_a_fleet_token_file_with_something_else_in_it_is_refused() -> None:
    with world("fleet") as made:
        made.hands.secrets["fleet"] = "two words"
        with pytest.raises(SettingsError, match="something else"):
            made.connector()


async def test_users_are_joined_to_their_devices_in_a_full_run_and_asked_for_one_by_one_in_an_incremental_one() -> None:
    with world("google", devices=30, page=10) as made:
        simulator: Any = made.simulator
        simulator.users = [google_apis.device_user(n) for n in range(1, 31)]
        simulator.users[4]["passwordState"] = "PASSWORD_NOT_SET"
        for row in made.rows:
            row["lastSyncTime"] = "2026-11-20T00:00:00Z"
        made.rows[4]["lastSyncTime"] = "2026-11-23T05:59:00Z"
        full = await outcome(made.connector(device_users=True))
        assert [report.posture.screen_lock for report in full.reports] == [True] * 4 + [False] + [True] * 25
        simulator.requests.clear()
        some = await outcome(made.connector(device_users=True), "2026-11-23T05:58:00Z")
        changed = next(report for report in some.reports if report.names["vendor_id"] == "dev000005")
        assert changed.posture.screen_lock is False
        assert not some.run.complete
        assert len(simulator.requests) == 11, "one page of ten devices, and the users of each"


async def test_an_order_that_google_does_not_keep_is_read_to_the_end() -> None:
    with world("google", devices=30, page=10) as made:
        made.simulator.keeps_order = False  # type: ignore[attr-defined]
        for number, row in enumerate(made.rows):
            row["lastSyncTime"] = f"2026-11-20T00:00:{number:02d}Z"
        found = await outcome(made.connector(), "2026-11-23T05:58:00Z")
        assert len(found.serials) == 30


async def test_the_named_partners_scores_give_the_risk_and_make_every_run_a_full_one() -> None:
    with world("google", devices=4) as made:
        simulator: Any = made.simulator
        simulator.states = [
            google_apis.client_state(1),
            google_apis.client_state(2, healthScore="VERY_POOR"),
            google_apis.client_state(3, partner="somebody-else"),
        ]
        found = await outcome(made.connector(edr_partner=google_apis.PARTNER), "2026-11-23T05:58:00Z")
        assert found.run.complete
        assert [report.posture.edr_risk for report in found.reports] == ["none", "high", "unknown", "unknown"]
        assert all(report.posture.edr_running == "unknown" for report in found.reports)


async def test_pages_of_users_that_lead_in_a_circle_end_the_run() -> None:
    with world("google") as made:
        page = {"deviceUsers": [google_apis.device_user(1)], "nextPageToken": "p0"}
        made.simulator.faults = [Fault(at=1, times=99_999, document=lambda _: page)]
        with pytest.raises(ConnectorError, match="circle") as caught:
            await outcome(made.connector(device_users=True))
        assert caught.value.fault == "inconsistent"
        assert len(made.simulator.requests) == 2


@pytest.mark.parametrize("kind", ["google", "android_management"])
@pytest.mark.parametrize("token", [5, ["x"], "x" * 5000])
async def test_a_page_token_that_is_none_ends_the_run(kind: str, token: Any) -> None:
    with world(kind) as made:
        made.simulator.faults = [Fault(at=1, document=lambda document: {**document, "nextPageToken": token})]
        with pytest.raises(ConnectorError, match="page token"):
            await outcome(made.connector())


@pytest.mark.parametrize("kind", ["google", "android_management"])
async def test_the_assertion_is_signed_by_the_accounts_key_and_names_what_it_may(kind: str) -> None:
    with world(kind) as made:
        await outcome(made.connector())
        (form,) = made.simulator.token_requests
        public = RSAKey.import_key(PRIVATE_KEY.public_key())
        token = jwt.decode(form["assertion"], public, algorithms=["RS256"])
        assert token.header["kid"] == "k1"
        claims = token.claims
        assert claims.pop("jti")
        expected = {"iss": "pdp@project.iam.example", "aud": f"{made.simulator.base_url}/token", "iat": 1795413600}
        assert {name: claims[name] for name in expected} == expected
        assert claims["exp"] == claims["iat"] + 600
        assert claims.get("sub") == (google_apis.ADMINISTRATOR if kind == "google" else None)
        assert claims["scope"].startswith("https://www.googleapis.com/auth/")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "authorized_user"},
        {"client_email": None},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----"},
        {"private_key": ""},
        {"token_uri": "http://tokens.example/token"},
        {"token_uri": "https://user:pw@tokens.example/token"},
    ],
)
def test_a_key_file_that_cannot_be_used_is_refused_without_its_content(change: dict[str, Any]) -> None:
    with world("google") as made:
        document = json.loads(made.hands.secrets["google"]) | change
        made.hands.secrets["google"] = json.dumps(document)
        with pytest.raises(SettingsError) as caught:
            made.connector()
        assert "nonsense" not in str(caught.value)
        assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("jamf", {"url": "http://jamf.example"}),
        ("jamf", {"page_size": 2001}),
        ("jamf", {"inventory": "v9"}),
        ("jamf", {"attributes": {"EDR": {"fact": "edr_risk", "yes": []}}}),
        ("fleet", {"url": "https://fleet.example/?x=1"}),
        ("fleet", {"page_size": 0}),
        ("fleet", {"policies": {"1": "tampered"}}),
        ("google", {"administrator": "nobody"}),
        ("google", {"customer": "C01"}),
        ("android_management", {"enterprise": "LC00"}),
        ("android_management", {"enterprise": "enterprises/../x"}),
        ("android_management", {"url": "https://"}),
    ],
)
def test_settings_that_cannot_be_used_are_refused(kind: str, settings: dict[str, Any]) -> None:
    with world(kind) as made, pytest.raises(SettingsError):
        made.connector(**settings)


def test_what_a_connector_holds_does_not_show_its_secrets() -> None:
    with world("google") as made:
        held = {name: value for name, value in vars(made.connector()).items() if name != "_setup"}
        shown = repr(held) + repr(vars(held["_grant"]))
        private = json.loads(made.hands.secrets["google"])["private_key"].splitlines()[1]
        assert private not in shown
