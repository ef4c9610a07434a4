"""Foresight, results and exports over a whole worker, with the real child: begun, told, kept, refused."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pdp.callers.keys import add_caller
from pdp.directory.changes import change
from pdp.directory.registers import REGISTERS, registers_of
from pdp.errors import NotFoundError
from pdp.fronts.governing import choices
from pdp.gates.aside import ForesightAside
from pdp.job_child.request import check_seen
from pdp.main import compose
from pdp.parts import utc_now
from pdp.revisions.files import bundle_of
from pdp.revisions.gate import Candidate
from pdp.revisions.results import Finding, Results
from pdp.settings import load_settings
from pdp.trail.keeping import trail_path
from pdp.trail.reading import events_of
from tests.revision_files import WHY, policy
from tests.unit.gates.small import small_files
from tests.unit.governance.test_api import PEOPLE, Api
from tests.unit.simulate.test_hypothetical import HOME
from tests.unit.simulate.town import NOW, town

pytestmark = pytest.mark.anyio

MANAGED = 'input.device["class"] == "managed_pc"'


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def a_house(place: Path) -> AsyncIterator[Api]:
    """A worker whose policy lets managed PCs and private phones in, over a directory of eight people."""
    bundle = place / "bundle"
    for name, text in small_files("configured", 'input.device["class"] != "unknown"').items():
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text)
    bounds: Mapping[str, Any] = {"audit_departments": {"narrow": ["zeimu"]}}
    own = {"state_dir": str(place / "state"), "bundle": str(bundle), "decision_table": "off"}
    settings = load_settings(environ={}, **own, **bounds)
    async with compose(settings) as service:
        snapshot = town()
        registers = registers_of(users=snapshot.users.values(), devices=snapshot.devices.values())
        with change(service.store, utc_now()) as inside:
            for register in REGISTERS:
                inside.add(register, registers.of(register))
        people = {**PEOPLE, "narrow": ["policy_author", "read_directory"], "wide": ["policy_author", "read_directory"]}
        keys = {name: add_caller(service.store, name, may, now=utc_now()) for name, may in people.items()}  # type: ignore[arg-type]
        await service.callers.refresh()  # type: ignore[attr-defined]
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pdp", timeout=60) as client:
            yield Api(service, client, keys)


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with a_house(tmp_path_factory.mktemp("jobs")) as found:
        yield found


async def a_draft(house: Api, condition: str = MANAGED) -> int:
    body = {"files": small_files("draft", condition), "reason": WHY}
    number: int = (await house.good("sato", "POST", "/revisions", body))["number"]
    return number


async def ended(house: Api, job: Mapping[str, Any]) -> Any:
    async with asyncio.timeout(90):
        while (found := await house.good("kansa", "GET", f"/jobs/{job['id']}"))["state"] == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return found


async def test_everybody_is_foreseen_in_a_child_and_the_result_is_kept(house: Api) -> None:
    number = await a_draft(house)
    body = {"kind": "population", "contexts": ["office", "remote"]}
    job = await house.good("sato", "POST", f"/revisions/{number}/jobs", body)
    assert (job["state"], job["by"], job["number"]) == ("running", "caller:sato", number)
    done = await ended(house, job)
    assert (done["state"], done["fault"]) == ("done", None)
    assert done["done"] == done["total"] > 0
    (kept,) = (await house.good("kansa", "GET", f"/revisions/{number}/results?kind=population"))["results"]
    assert (kept["id"], kept["stale"]) == (done["result"], [])
    assert kept["summary"]["users"] == 8
    whole = await house.good("kansa", "GET", f"/results/{kept['id']}")
    assert (
        whole["body"]["people"]["losing"]["first"] == ["u-bare", "u-own", "u-town", "u-two", "u-work"]
        or whole["body"]["people"]["losing"]["users"]
    )
    assert whole["body"]["changes"]["loses"]["device_class"].keys() >= {"byod_phone", "section_pc"}
    assert whole["body"]["contexts"] == ["office", "remote"]
    assert whole["body"]["after"]["distinct_vectors"] > 0
    files = small_files("draft", 'input.device["class"] != "unknown"')
    edit = {"files": files, "reason": WHY, "source_digest": kept["source_digest"]}
    await house.good("sato", "PUT", f"/revisions/{number}/files", edit)
    (kept,) = (await house.good("kansa", "GET", f"/revisions/{number}/results"))["results"]
    assert kept["stale"] == ["contents"]


async def test_what_fails_says_so_and_what_somebody_cancels_ends(house: Api) -> None:
    number = await a_draft(house)
    job = await house.good("suzuki", "POST", f"/revisions/{number}/jobs", {"kind": "replay", "days": 7})
    failed = await ended(house, job)  # nothing was ever decided here
    assert failed["state"] in ("failed", "done")
    job = await house.good("sato", "POST", f"/revisions/{number}/jobs", {"kind": "population"})
    assert (await house.ask("kansa", "POST", f"/jobs/{job['id']}/cancel", {}))[0] == 403
    assert (await house.ask("sato", "POST", f"/jobs/{job['id']}/cancel", {}))[0] in (200, 409)
    assert (await ended(house, job))["state"] in ("cancelled", "done")
    assert (await house.ask("sato", "POST", f"/jobs/{job['id']}/cancel", {}))[0] == 409
    listed = (await house.good("kansa", "GET", f"/revisions/{number}/jobs"))["jobs"]
    assert [one["kind"] for one in listed] == ["population", "replay"]


JOBS: list[tuple[str, str, Any, int]] = [
    ("sato", "/revisions/1/jobs", {"kind": "export"}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "population", "contexts": ["the moon"]}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "population", "at": "2027-04-01T09:00"}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "population", "days": 3}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "population", "warn_days": 14}, 409),
    ("sato", "/revisions/1/jobs", {"kind": "population", "warn_days": 93}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "check", "days": 3}, 400),
    ("sato", "/revisions/77/jobs", {"kind": "check"}, 404),
    ("kansa", "/revisions/1/jobs", {"kind": "check"}, 403),
    ("sato", "/revisions/1/jobs", {"kind": "replay"}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "replay", "days": 93}, 400),
    ("sato", "/revisions/1/jobs", {"kind": "replay", "days": 3, "more": 1}, 400),
    ("sato", "/revisions/77/jobs", {"kind": "population"}, 404),
    ("kansa", "/revisions/1/jobs", {"kind": "population"}, 403),
    ("gateway", "/revisions/1/jobs", {"kind": "population"}, 403),
    ("sato", "/exports", {"target": "matrix"}, 403),
    ("tanaka", "/exports", {"target": "the moon"}, 400),
    ("sato", "/jobs/nothing/cancel", {}, 404),
]


async def test_what_cannot_be_begun_is_refused_before_a_process_is_started(house: Api) -> None:
    await a_draft(house)
    for who, path, body, expected in JOBS:
        status, said = await house.ask(who, "POST", path, body)
        assert status == expected, (path, body, said)
        assert said["error"]["message"]
    for path, expected in (("/jobs/nothing", 404), ("/results/9999", 404), ("/jobs?kind=nonsense", 400)):
        assert (await house.ask("kansa", "GET", path))[0] == expected


async def test_one_request_that_nobody_made_says_what_is_not_met_and_what_would_permit_it(house: Api) -> None:
    number = await a_draft(house)
    path = f"/revisions/{number}/request"
    document = json.loads(HOME.read_bytes())
    asked = {"document": document, "facts": {"device.class": "byod_phone", "device.posture.patch_age_days": 40}}
    told = await house.good("sato", "POST", path, asked)
    assert (told["verdict"]["outcome"], told["of_record"]["outcome"]) == ("deny", "allow")
    assert [one["path"] for one in told["facts"] if one["changed"]] == ["device.class", "device.posture.patch_age_days"]
    assert told["document"]["device"]["class"] == "byod_phone"
    choices = {one["path"]: one["choices"] for one in told["facts"]}
    assert "managed_pc" in choices["device.class"]
    example = await house.good("sato", "POST", path, {"example": 0})
    assert example["document"]["subject"]["id"] == "u-demo-staff"
    for body, expected in (
        ({}, 400),
        ({"document": {"schema": "pdp.input/v1"}}, 400),
        ({"document": document, "facts": {"device.colour": "red"}}, 400),
        ({"document": document, "facts": {"device.class": "toaster"}}, 400),
        ({"example": 999}, 400),
        ({"resource": "mail", "context": "the moon"}, 400),
    ):
        assert (await house.ask("sato", "POST", path, body))[0] == expected, body


async def test_facts_of_a_person_need_the_right_to_the_directory_and_stay_within_ones_departments(house: Api) -> None:
    number = await a_draft(house)
    path = f"/revisions/{number}/request"
    own = {"user": "u-own", "device": "d-own", "resource": "mail"}
    assert (await house.ask("sato", "POST", path, own))[0] == 403
    told = await house.good("wide", "POST", path, own)
    assert told["document"]["subject"]["departments"] == ["soumu"]
    assert (await house.ask("narrow", "POST", path, own))[0] == 404
    written = [
        one for one in events_of(trail_path(house.service.settings.state_path)) if one.action == "policy.request"
    ]
    assert {"user": "u-own", "device": "d-own", "resource": "mail"} in [one.parameters for one in written]


def test_what_is_beyond_ones_departments_reads_as_what_is_not_there() -> None:
    shown = {
        ("u-two", "d-section", ("zeimu",)): True,
        ("u-two", "d-old", ("zeimu",)): True,  # hers, whatever section it is registered for
        ("u-own", None, ("zeimu",)): False,
        ("u-two", "d-lent", ("zeimu",)): False,
        ("u-nobody", None, None): False,
        ("u-own", "d-nothing", None): False,
        ("", "d-own", None): True,
        ("", None, ("zeimu",)): True,
    }
    for (user, device, within), expected in shown.items():
        try:
            check_seen(town(), user, device, None if within is None else list(within))
        except NotFoundError:
            assert not expected, (user, device, within)
        else:
            assert expected, (user, device, within)


async def test_a_result_of_everybody_is_not_for_who_sees_some_departments_alone(house: Api) -> None:
    number = await a_draft(house)
    detail = await house.good("kansa", "GET", f"/revisions/{number}")
    kept = Results(house.service.store).keep(  # type: ignore[attr-defined]
        Finding("population", number, detail["digest"], b'{"users":  8}'), "caller:sato", utc_now()
    )
    assert (await house.ask("narrow", "GET", f"/results/{kept.id}"))[0] == 403
    assert (await house.good("wide", "GET", f"/results/{kept.id}"))["body"] == {"users": 8}
    headers = {"authorization": f"Bearer {house.keys['wide']}"}
    sent = await house.client.get(f"/admin/v1/results/{kept.id}", headers=headers)
    assert b'"body":{"users":  8}' in sent.content, "as it was kept: megabytes are not read beside decisions"


async def test_the_policy_of_record_is_exported_certified_and_taken_away(house: Api) -> None:
    job = await house.good("tanaka", "POST", "/exports", {"target": "matrix"})
    done = await ended(house, job)
    assert (done["state"], done["fault"]) == ("done", None)
    standing = await house.good("kansa", "GET", "/exports")
    assert [one["target"] for one in standing["targets"]] == list(choices(house.service.settings).targets)
    assert standing["deliveries"] == []
    (kept,) = standing["targets"][0]["exports"]
    assert (kept["summary"]["unsound"], kept["stale"]) == ("0", [])
    whole = await house.good("kansa", "GET", f"/results/{kept['id']}")
    assert whole["body"]["certificate"]["target"] == "matrix"
    answer = await house.client.get(
        f"/admin/v1/results/{kept['id']}/files", headers={"authorization": f"Bearer {house.keys['kansa']}"}
    )
    assert answer.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert sorted(names) == sorted(whole["body"]["files"])
    assert "certificate.json" in names


async def test_the_choices_are_those_that_can_be_asked(house: Api) -> None:
    told = await house.good("sato", "GET", "/foresight/choices")
    assert {"office", "remote-screen", "no-posture", "maintenance"} <= {one["id"] for one in told["contexts"]}
    assert all(one["ja"] != one["en"] for one in (*told["contexts"], *told["examples"]))


async def test_the_gate_foresight_judges_in_a_child_and_says_what_it_found(house: Api) -> None:
    files = small_files("draft", MANAGED)
    aside = ForesightAside(house.service.settings, lambda: NOW)
    found = await aside.judge(Candidate(1, files, bundle_of(files)))
    assert (found.name, found.result) == ("foresight", "failed")
    assert [fault["code"] for fault in found.details["faults"]] == ["nobody_protected"]  # none responds to disasters
    plain = policy("x")
    assert (await aside.judge(Candidate(1, plain, bundle_of(plain)))).result == "not_run"
