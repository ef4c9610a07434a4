from __future__ import annotations

from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from pdp.bundle.dependence import steps_of
from pdp.engine.syntax import parse_modules
from pdp.errors import BadRequestError
from pdp.explain.fact_table import with_values
from pdp.explain.policy import Policy
from pdp.explain.ways_out import WayOut, ways_out
from pdp.model.input import decode_input
from pdp.simulate.hypothetical import changed, proven_minimal, unmet_conditions
from pdp.simulate.probe import probe_of
from tests.unit.commands.conftest import only_json
from tests.unit.simulate.town import engine, policy

pytestmark = pytest.mark.anyio

HOME = Path(__file__).with_name("home.json")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def active():
    bundle = policy()
    running = engine()
    try:
        await running.activate(bundle)
        yield Policy(running, bundle)
    finally:
        await running.close()


def home(*changes: str):
    return changed(decode_input(HOME.read_bytes()), changes)


async def test_every_way_out_permits_and_no_part_of_it_does(active):
    """The property, over refusals drawn by chance."""
    chance = Random(7)
    causes = (
        "device.posture.patch_age_days=40", "device.posture.disk_encrypted=false", "device.takeout=not_permitted",
        "context.path_encrypted=false", "device.posture.edr_risk=medium", "context.underlay=public_wifi",
        "device.state=quarantined", "device.posture.age_hours=30", "device.returned_from_outside=true",
    )  # fmt: skip
    met = 0
    for _ in range(4):
        document = home(*chance.sample(causes, 2))
        (verdict,) = await active([document])
        case = active.case(document, verdict)
        found = (await ways_out(case, limit=400)).found
        minimal = await proven_minimal(case, found)
        assert minimal == list(found)
        for way in minimal:
            met += 1
            assert (await active([_with(document, way.mends)]))[0].permits
            parts = [part for size in range(len(way.mends)) for part in combinations(way.mends, size)]
            assert not any(verdict.permits for verdict in await active([_with(document, part) for part in parts]))
    assert met > 3


def _with(document, mends):
    return with_values(document, {path: value for mend in mends for path, value in mend.changes.items()})


async def test_a_way_with_something_too_much_is_not_minimal(active):
    document = home()
    (verdict,) = await active([document])
    case = active.case(document, verdict)
    (first, *_) = [way for way in (await ways_out(case)).found if len(way.mends) == 1]
    needless = next(
        mend for mend in _mends(case) if mend is not first.mends[0] and not mend.paths & first.mends[0].paths
    )
    wide = WayOut((*first.mends, needless), first.verdict, _with(document, (*first.mends, needless)))
    assert await proven_minimal(case, [first, wide]) == [first]


def _mends(case):
    from pdp.explain.mends import mends_of

    return mends_of(case.document, case.parameters)


async def test_every_unmet_condition_is_told_whatever_group_answers_first():
    bundle = policy()
    steps = steps_of(parse_modules(bundle.modules)[0], bundle.entrypoint)
    running = engine()
    document = home("device.posture.age_hours=40", "device.relation=assigned_to_other", "context.country=unknown")
    try:
        await running.activate(probe_of(bundle, steps))
        found = await unmet_conditions(running, bundle, steps, document)
        fine = await unmet_conditions(running, bundle, steps, home("context.zone=office", "subject.auth_level=2"))
    finally:
        await running.close()
    assert [one.code for one in found] == [
        "DEVICE_OF_OTHER_USER", "POSTURE_STALE", "STEPUP_AUTH_STRENGTH", "COUNTRY_NOT_ALLOWED"
    ]  # fmt: skip
    assert "data.pdp.permits.deny" in found[0].rules
    assert found[0].where.startswith("rules/pdp/permits/device.rego:")
    assert fine == []


@pytest.mark.parametrize("change", ["device.clas=managed_pc", "device.class", "device.class=toaster"])
def test_a_fact_or_a_value_that_there_is_not_is_refused(change):
    with pytest.raises(BadRequestError):
        home(change)


def test_the_command_says_it_in_both_ways():
    from typer.testing import CliRunner

    from pdp.cli import app

    def run(*arguments: str):
        return CliRunner().invoke(app, ["simulate", "request", str(HOME), *arguments])

    refused = run("--json")
    assert refused.exit_code == 1
    told = only_json(refused)
    assert told["outcome"] == "step_up"
    assert [one["code"] for one in told["unmet"]] == ["STEPUP_AUTH_STRENGTH"]
    assert {mend["by"] for way in told["minimal_ways_out"] for mend in way} >= {"user"}
    people = run("--fact", "subject.auth_level=3", "--lang", "ja")
    assert people.exit_code == 0 and "満たしていない条件" in people.stdout
