"""Every shared scenario through `decide()`, on both engines, with every kind of cache; and the runner itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from pdp.bundle.bundle import Bundle, read_bundle
from pdp.engine.footprint_check import bundle_footprint
from pdp.engine.opa_server import OpaServerEngine
from pdp.engine.port import Engine
from pdp.engine.regorus import RegorusEngine
from pdp.errors import ScenarioError
from pdp.scenario.files import read_scenarios
from pdp.scenario.format import Scenario
from pdp.scenario.in_process import InProcess
from pdp.scenario.runner import run_scenario
from pdp.settings import load_settings
from tests.caches import CACHES, cache_of, until_written
from tests.servers import opa_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return read_bundle(load_settings(environ={}).bundle_path)


@pytest.fixture(params=["regorus", pytest.param("opa", marks=pytest.mark.system)])
async def engine(request: pytest.FixtureRequest, bundle: Bundle) -> AsyncIterator[Engine]:
    if request.param == "regorus":
        engine: Engine = RegorusEngine(deadline=timedelta(seconds=20), children=2)
        await engine.activate(bundle)
        yield engine
        await engine.close()
        return
    with opa_server() as opa:
        engine = OpaServerEngine(opa.url, deadline=timedelta(seconds=20))
        await engine.activate(bundle)
        yield engine
        await engine.close()


@pytest.fixture
def stories(shared: Path) -> list[Scenario]:
    return read_scenarios([shared / "scenarios"])


async def told(stories: list[Scenario], way: InProcess) -> tuple[int, list[str]]:
    """How many questions were asked, and every answer that is not the expected one."""
    asked, failed = 0, []
    for story in stories:
        for result in await run_scenario(story, way, way.reference):
            asked += 1
            failed += [f"{story.id}, step {result.step}: {fault}" for fault in result.faults]
    return asked, failed


@pytest.mark.parametrize("kind", CACHES)
async def test_every_shared_scenario_comes_out_as_it_says(engine, bundle, stories, kind):
    """Twice, so that the second time is told from memory."""
    assert len(stories) >= 40
    footprint = bundle_footprint(bundle)
    async with cache_of(kind) as cache:
        way = InProcess(engine, bundle, footprint=footprint, cache=cache)
        for again in (False, True):
            before = None if cache is None else cache.status()
            asked, failed = await told(stories, way)
            assert failed == []
            if cache is None or before is None:
                continue
            now = cache.status()
            hits = now.local_hits + now.shared_hits - before.local_hits - before.shared_hits
            assert again is (hits == asked), "the second telling is from memory, and the first is not"
            await until_written(cache)


STORY = """
id: mail-in-the-office
title: {ja: 庁内からメール, en: mail in the office}
now: 2023-08-01T10:00:00+09:00
directory:
  users: [{id: u-1, kind: staff, posts: [{department: soumu, from: 2023-04-01}]}]
  devices: [{id: d-1, class: managed_pc, owner: u-1, posture: healthy}]
request: {user: u-1, auth_level: 2, device: d-1, resource: mail, action: access, zone: office}
expect: {outcome: deny, reasons: [DEVICE_LOST], obligations: {wipe: request}, required_auth_level: 3}
"""


@pytest.fixture
async def regorus(bundle: Bundle) -> AsyncIterator[Engine]:
    engine = RegorusEngine(deadline=timedelta(seconds=20))
    await engine.activate(bundle)
    yield engine
    await engine.close()


async def test_an_answer_that_is_not_the_expected_one_is_told_part_by_part(regorus, bundle, tmp_path):
    file = tmp_path / "story.yaml"
    file.write_text(STORY, encoding="utf-8")
    way = InProcess(regorus, bundle)
    (result,) = await run_scenario(read_scenarios([file])[0], way, way.reference)
    assert result.faults == (
        "outcome: expected deny, got allow ['OK']",
        "reasons: expected ['DEVICE_LOST'], got ['OK']",
        "obligation `wipe`: expected request, got none",
        "required_auth_level: expected 3, got None",
    )


async def test_the_clock_of_a_step_is_the_steps_own(regorus, bundle, tmp_path):
    file = tmp_path / "story.yaml"
    file.write_text(
        """
id: a-permit-that-ends
directory:
  users: [{id: u-1, kind: staff, posts: [{department: soumu, from: 2023-04-01}]}]
  devices: [{id: d-1, class: byod_phone, owner: u-1, posture: healthy}]
  permits: [{device: d-1, user: u-1, from: 2023-04-01, until: 2023-08-01}]
steps:
  - now: 2023-08-01T23:59:59+09:00
    request: {user: u-1, auth_level: 2, device: d-1, resource: mail, action: access, zone: sase,
                 underlay: carrier, path_encrypted: true, pep: [clipboard, save]}
    expect: {outcome: limit}
  - now: 2023-08-02T00:00:00+09:00
    request: {user: u-1, auth_level: 2, device: d-1, resource: mail, action: access, zone: sase,
              underlay: carrier, path_encrypted: true, pep: [clipboard, save]}
    expect: {outcome: deny, reasons: [PERMIT_EXPIRED]}
""",
        encoding="utf-8",
    )
    way = InProcess(regorus, bundle)
    results = await run_scenario(read_scenarios([file])[0], way, way.reference)
    assert [result.faults for result in results] == [(), ()]


def test_a_plain_bundle_has_no_scenarios(tmp_path):
    from pdp.bundle.bundle import make_bundle

    bundle = make_bundle(
        manifest={"revision": "1", "metadata": {"profile": "plain", "entrypoint": "x/allow"}},
        modules={"x.rego": "package x\n\nallow := true\n"},
        data={},
    )
    with pytest.raises(ScenarioError, match="zta"):
        InProcess(None, bundle)


STEPS = """
id: steps
title: {ja: 手順, en: steps}
directory:
  users: [{id: u-1, kind: staff, posts: [{department: soumu, from: 2023-04-01}]}]
  devices:
    - {id: d-1, class: mobile_pc, department: soumu, posture: healthy}
    - {id: d-2, class: byod_phone, owner: u-1, posture: healthy}
  loans: [{device: d-1, user: u-1, from: 2023-08-01, until: 9999-12-31}]
  permits: [{device: d-2, user: u-1, from: 2023-04-01, until: 2024-03-31, held: true}]
  work_permits:
steps:
  - now: 2023-08-02T10:00:00+09:00
    request: &mobile {user: u-1, auth_level: 2, device: d-1, resource: mail, action: access, zone: office, auth_age_min: 5000}
    expect: {outcome: allow, reasons: [OK_LOAN]}
  - now: 2023-08-02T11:00:00+09:00
    directory: {loans: [{device: d-1, user: u-1, from: 2023-08-01, until: 2023-08-02T10:30:00+09:00}]}
    request: *mobile
    expect: {outcome: deny, reasons: [LOAN_EXPIRED]}
  - now: 2023-08-02T12:00:00+09:00
    request: &phone {<<: *mobile, device: d-2, pep: [clipboard, save]}
    expect: {outcome: deny, reasons: [PERMIT_HELD]}
  - now: 2023-08-02T13:00:00+09:00
    directory: {permits: [{device: d-2, user: u-1, from: 2023-04-01, until: 2024-03-31}]}
    request: *phone
    expect: {outcome: limit, obligations: {clipboard: off, save: off}}
  - now: 2023-01-20T13:00:00+09:00
    directory:
      users: [{id: u-1, kind: staff, posts: [{department: soumu, from: 2020-04-01}]}]
      devices: [{id: d-3, class: managed_pc, owner: u-1, posture: healthy}]
      resources: [{id: new-system, group: business, name: 新しいシステム}]
    request: {user: u-1, auth_level: 2, device: d-3, resource: new-system, action: access, zone: office}
    expect: {outcome: deny, reasons: [SEGMENT_NOT_YET_MOVED]}
  - now: 2023-03-01T13:00:00+09:00
    directory: {resources: [{id: mail, until: 2024-03-31}]}
    request: {user: u-1, auth_level: 2, device: d-3, resource: mail, action: access, zone: office}
    expect: {outcome: deny, reasons: [SERVICE_NOT_STARTED]}
  - now: 2023-08-02T13:00:00+09:00
    directory: {resources: [{id: mail, status: ended}]}
    request: {user: u-1, auth_level: 2, device: d-3, resource: mail, action: access, zone: office}
    expect: {outcome: deny, reasons: [SERVICE_ENDED]}
"""


async def test_stories_may_be_told_in_every_legal_spelling(regorus, bundle, tmp_path):
    file = tmp_path / "story.yaml"
    file.write_text(STEPS, encoding="utf-8")
    way = InProcess(regorus, bundle)
    results = await run_scenario(read_scenarios([file])[0], way, way.reference)
    assert [result.faults for result in results] == [()] * 7


def test_an_alias_may_not_make_a_small_file_large(tmp_path):
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]" for n in range(8)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ScenarioError, match="more than"):
        read_scenarios([tmp_path / "bomb.yaml"])
