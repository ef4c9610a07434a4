from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from pdp.bundle.bundle import make_bundle
from pdp.errors import BadRequestError
from pdp.grace import is_hard
from pdp.model.input import InputV1
from pdp.simulate.asked import resources_of
from pdp.simulate.contexts import USUAL, Stated, read_contexts
from pdp.simulate.held import soft_cells
from pdp.simulate.people import facts_of, pairs_of
from pdp.simulate.population import Course, Simulation, World, _Half, later
from tests.unit.simulate.town import DAY, NOW, changed, engine, policy, small, town

pytestmark = pytest.mark.anyio

FEW = (USUAL[0], USUAL[2], Stated("vpn", "ip_vpn", "carrier", 3, action="administer", business_hours=True))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def simulated(before, after, contexts=FEW, course=Course()):
    return await Simulation(before, after, contexts, engine).run(course)


async def test_a_stricter_draft_takes_exactly_the_stale_terminals_away():
    def stricter(zta):
        zta["parameters"]["posture_stale_hours"] = 12

    report = await simulated(World(policy(), town(), NOW), World(changed(stricter), town(), NOW))
    told = report.as_json()
    assert told["checked"] == 800
    assert told["cells"] == told["pairs"] * told["resources"] * 3
    assert told["changes"]["gains"]["cells"] == told["changes"]["stricter"]["cells"] == 0
    assert told["changes"]["loses"]["users"] == 1
    assert report.losing == []  # other terminals of hers reach everything still
    assert len(told["changes"]["loses"]["resource"]) > 10
    for kind in told["kinds"]:
        assert "POSTURE_STALE" in kind["after"]["reasons"]
        assert {sample["device"] for sample in kind["samples"]} == {"d-old"}
    assert sum(kind["cells"] for kind in told["kinds"]) + told["equal"] == told["cells"]
    assert sum(told["transitions"].values()) == told["cells"]
    for dimension in ("department", "kind", "device_class", "resource", "context"):
        assert sum(told["changes"]["loses"][dimension].values()) == told["changes"]["loses"]["cells"]
    json.dumps(told)


async def test_a_wider_matrix_is_a_gain_and_counts_those_who_held_a_role():
    def wider(zta):
        zta["matrix"]["rows"]["server_admin"]["managed_pc"]["office"] = {"level": 2}

    report = await simulated(World(policy(), town(), NOW), World(changed(wider), town(), NOW))
    told = report.as_json()
    assert set(told["changes"]["gains"]["resource"]) == {
        "consolidated-server-x", "consolidated-server-y", "network-equipment", "remote-maintenance"
    }  # fmt: skip
    assert told["changes"]["loses"]["cells"] == 0
    # Who had the role had it with a stronger log-in: held to less, and no gain.
    assert told["changes"]["easier"]["users"] == 1
    assert "u-own" not in report.gaining
    assert "u-moves" in report.gaining


async def test_a_later_day_has_its_own_posts_permits_and_contracts():
    at = NOW + 70 * DAY
    report = await simulated(World(policy(), town(), NOW), World(policy(), later(town(), NOW, at), at))
    told = report.as_json()
    lost = {sample["device"] for kind in told["kinds"] if kind["change"] == "loses" for sample in kind["samples"]}
    assert "d-phone" in lost  # its permit has ended by then
    assert not any("POSTURE_STALE" in kind["after"]["reasons"] for kind in told["kinds"])
    assert "soumu-ledger" in told["changes"]["loses"]["resource"]  # u-moves has moved to another department
    assert "u-term" in report.losing  # the contract has ended


async def test_whoever_ends_it_gets_no_result():
    world = World(small(_DENY + _ALLOW + "a\n\na if b\n\nb if c\n\nc := true\n"), town(), NOW)
    steps: list[int] = []
    assert await simulated(world, world, course=Course(done=steps.append, stop=lambda: len(steps) > 1)) is None
    assert len(steps) == 2


_DENY = 'default decision := {"outcome": "deny", "reasons": ["NO"], "obligations": {}}\n\n'
_ALLOW = 'decision := {"outcome": "allow", "reasons": ["OK"], "obligations": {}} if '


async def test_a_policy_that_reads_whole_objects_is_judged_all_the_same():
    """Every pair is then one of its own; the result is that of the policy that reads single facts."""
    narrow = small(_DENY + _ALLOW + 'input.device.class == "managed_pc"')
    wide = small(_DENY + _ALLOW + 'object.get(input.device, "class", "") == "managed_pc"')
    told = (await simulated(World(narrow, town(), NOW), World(wide, town(), NOW))).as_json()
    assert told["transitions"]["allow → allow"] > 0
    assert told["equal"] == told["cells"]
    assert told["before"]["evaluations"] < told["after"]["evaluations"]


async def test_a_plain_policy_is_refused():
    bundle = make_bundle(
        manifest={"revision": "p", "metadata": {"profile": "plain", "entrypoint": "a/b"}},
        modules={"a.rego": "package a\n\nb := true\n"},
        data={},
    )
    with pytest.raises(BadRequestError, match="zta"):
        Simulation(World(bundle, town(), NOW), World(bundle, town(), NOW), FEW, engine)


async def test_where_a_rule_fails_everybody_whom_it_fails_for_is_denied():
    fine = small(_DENY + _ALLOW + 'input.device.class == "managed_pc"')
    failing = small(_DENY + _ALLOW + "number == 1\n\nnumber := to_number(input.context.country)\n")
    report = await simulated(World(fine, town(), NOW), World(failing, town(), NOW))
    told = report.as_json()
    assert {code for kind in told["kinds"] for code in kind["after"]["reasons"]} == {"EVALUATION_ERROR"}
    assert told["transitions"] == {
        "deny → deny": told["cells"] - told["changes"]["loses"]["cells"],
        "allow → deny": told["changes"]["loses"]["cells"],
    }
    assert "u-own" in report.losing


def test_contexts_of_a_file_are_checked():
    text = "contexts:\n  - {id: here, zone: office, underlay: office, auth_level: 2}\n"
    (stated,) = read_contexts(text)
    assert stated.path_encrypted is True and stated.action == "access"
    for broken in (
        "contexts: []\n",
        text + text.splitlines()[1] + "\n",
        text.replace("office, u", "attic, u"),
        "a: [\n",
    ):
        with pytest.raises(BadRequestError):
            read_contexts(broken)


def test_posture_stays_as_old_as_it_is_when_time_goes_on():
    moved = later(town(), NOW, NOW + DAY)
    assert moved.devices["d-own"].posture.observed_at == NOW + DAY - timedelta(hours=1)


async def test_a_time_of_warning_holds_over_what_may_be_and_nothing_that_is_hard():
    """The counts by parts, against the rule itself on whole documents."""

    def stricter(zta):
        zta["parameters"]["posture_stale_hours"] = 12

    before, after = World(policy(), town(), NOW), World(changed(stricter), town(), NOW)
    plain = (await simulated(before, after)).as_json()
    report = await Simulation(before, after, FEW, engine, warns=True).run(Course())
    told = report.as_json()
    assert plain["warning"] is None
    assert {name: told[name] for name in ("changes", "transitions", "people")} == {
        name: plain[name] for name in ("changes", "transitions", "people")
    }, "the strict numbers stay as they are"
    warning = told["warning"]
    assert 0 < warning["loses"]["cells"] <= warning["loses"]["of"] == plain["changes"]["loses"]["cells"]
    assert warning["losing"]["users"] <= plain["people"]["losing"]["users"]


async def test_which_cells_are_hard_by_parts_is_what_the_rule_says_of_whole_documents():
    bundle = policy()
    simulation = Simulation(World(bundle, town(), NOW), World(bundle, town(), NOW), FEW, engine, warns=True)
    half = _Half.of(World(bundle, town(), NOW), True)
    resources = resources_of(town(), half.reference)
    pairs = pairs_of([(town(), NOW)])
    facts = facts_of(pairs, town(), NOW, half.leaves)
    asked = simulation._asked(half, facts, resources)
    soft = soft_cells(facts, asked)
    kinds = set()
    for pair in range(len(pairs)):
        for question in range(0, len(asked.questions), 7):
            document = msgspec.json.decode(simulation._document(half, pairs, pair, question, resources), type=InputV1)
            cell = bool(soft.table[soft.of_pair[pair], question])
            assert cell == (not is_hard(document))
            kinds.add(cell)
    assert kinds == {True, False}
