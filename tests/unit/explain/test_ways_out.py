from __future__ import annotations

import random
from itertools import chain, combinations

import pytest

from pdp.explain.case import Case
from pdp.explain.fact_table import BY_PATH, with_values
from pdp.explain.mends import mends_of
from pdp.explain.parameters import Parameters, read_parameters
from pdp.explain.ways_out import WayOut, ways_out
from pdp.model.decision import Outcome, Verdict, denied
from pdp.model.input import InputV1, check_input, encode_input
from tests.oracle.documents import random_document
from tests.unit.explain.conftest import Counted, document_of

pytestmark = pytest.mark.anyio

# What nobody can change about an access that is being asked for.
UNMENDABLE = {
    "subject.id", "subject.kind", "subject.organisation", "subject.employment", "subject.auth_age_min",
    "device.id", "device.class", "device.ownership", "device.registered", "device.shared", "device.posture.source",
    "resource.id", "resource.group", "resource.segment", "resource.status", "resource.departments",
    "resource.organisations", "resource.sensitivity", "context.business_day", "context.business_hours",
    "context.risk", "context.work_permit_until", "context.disaster_mode", "context.sources.identity",
}  # fmt: skip


def changes(way: WayOut) -> dict[str, object]:
    return dict(chain.from_iterable(mend.changes.items() for mend in way.mends))


async def test_a_private_phone_has_no_way_to_document_management(case_of):
    case = await case_of("byod_phone", "business", "outside", device__permit="valid")
    assert case.verdict.reasons == ("BYOD_SCOPE",)
    found = await ways_out(case)
    assert found.found == ()
    assert found.complete


async def test_a_stale_posture_is_mended_by_one_check(case_of):
    case = await case_of("managed_pc", "business", device__posture__age_hours=30)
    assert case.verdict.reasons == ("POSTURE_STALE",)
    (way,) = (await ways_out(case)).found
    assert changes(way) == {"device.posture.age_hours": 0}
    assert way.mends[0].by == "help_desk"


async def test_public_wifi_at_level_two_is_mended_by_authenticating_at_level_three(case_of):
    case = await case_of("managed_pc", "business", "outside", context__underlay="public_wifi", subject__auth_level=2)
    assert case.verdict.outcome is Outcome.STEP_UP
    found = (await ways_out(case)).found
    assert {"subject.auth_level": 3} in [changes(way) for way in found]
    (again,) = (way.mends[0] for way in found if "subject.auth_level" in changes(way))
    assert again.by == "user"
    assert again.text.ja == "再認証して認証の強さを3にする"
    assert again.text.en == "authenticate again at level 3"


async def test_the_lowest_level_that_suffices_is_offered_and_no_higher_one(case_of):
    case = await case_of("managed_pc", "communication", subject__auth_level=1)
    levels = [changes(way).get("subject.auth_level") for way in (await ways_out(case)).found]
    assert 2 in levels
    assert 3 not in levels


async def test_a_missing_posture_report_is_one_thing_to_mend(case_of):
    unknown = {
        f"device__posture__{name}": "unknown"
        for name in (
            "certificate",
            "disk_encrypted",
            "edr_running",
            "edr_risk",
            "tampered",
            "patch_age_days",
            "age_hours",
        )
    }
    case = await case_of("managed_pc", "business", **unknown)
    found = (await ways_out(case)).found
    assert [len(way.mends) for way in found] == [1]
    assert found[0].mends[0].by == "help_desk"


async def test_what_three_people_must_do_is_found_as_one_set(case_of):
    case = await case_of(
        "managed_pc",
        "business",
        device__posture__edr_running=False,
        device__posture__patch_age_days=40,
        device__posture__disk_encrypted=False,
    )
    (way,) = (await ways_out(case)).found
    assert sorted(changes(way)) == [
        "device.posture.disk_encrypted",
        "device.posture.edr_running",
        "device.posture.patch_age_days",
    ]
    assert {mend.by for mend in way.mends} == {"section", "user"}


async def test_a_permitted_access_needs_no_way_out_and_costs_no_question(case_of):
    case = await case_of("managed_pc", "communication")
    assert case.verdict.permits
    found = await ways_out(case)
    assert (found.found, found.evaluated, found.complete) == ((), 0, True)


async def test_a_search_that_is_cut_short_says_so(case_of):
    case = await case_of("byod_phone", "business", "outside")
    found = await ways_out(case, limit=5)
    assert found.evaluated == 5
    assert not found.complete


async def test_every_offered_way_really_permits_and_needs_each_of_its_mends(policy, bundle):
    """On random refusals: judged once more, and with each mend left out."""
    rng = random.Random(20261123)
    documents = [check_input(random_document(rng)) for _ in range(120)]
    verdicts = await policy(documents)
    refused = [(d, v) for d, v in zip(documents, verdicts, strict=True) if not v.permits][:30]
    assert len(refused) == 30
    ways = 0
    for document, verdict in refused:
        for way in (await ways_out(policy.case(document, verdict), limit=600)).found:
            ways += 1
            (again,) = await policy([with_values(document, changes(way))])
            assert again.permits and again == way.verdict
            for size in range(len(way.mends)):
                for fewer in combinations(way.mends, size):
                    some = dict(chain.from_iterable(mend.changes.items() for mend in fewer))
                    (without,) = await policy([with_values(document, some)])
                    assert not without.permits, (encode_input(document), some)
    assert ways >= 10


def test_nothing_is_offered_that_nobody_can_change(bundle):
    parameters = read_parameters(bundle.data)
    rng = random.Random(7)
    offered = set()
    for _ in range(400):
        document = check_input(random_document(rng))
        for mend in mends_of(document, parameters):
            assert mend.by != "none"
            assert mend.text.ja and mend.text.en
            assert mend.paths <= set(BY_PATH)
            offered |= mend.paths
            with_values(document, mend.changes)  # such a document can exist
    assert not offered & UNMENDABLE
    assert offered == set(BY_PATH) - UNMENDABLE


def test_a_risk_an_ended_employment_and_an_unknown_person_are_nobodys_to_mend():
    document = document_of(
        "managed_pc", "business", context__risk=["impersonation"], subject__employment="ended", subject__kind="unknown"
    )
    mended = {path for mend in mends_of(document, Parameters()) for path in mend.paths}
    assert not mended & UNMENDABLE


def test_a_retired_terminal_is_not_offered_back_and_a_quarantined_one_is_the_security_offices():
    retired = document_of("managed_pc", "business", device__state="retired")
    assert "device.state" not in {path for mend in mends_of(retired, Parameters()) for path in mend.paths}
    quarantined = document_of("managed_pc", "business", device__state="quarantined")
    (mend,) = [mend for mend in mends_of(quarantined, Parameters()) if "device.state" in mend.changes]
    assert (mend.by, mend.changes) == ("security_office", {"device.state": "in_service"})


async def test_sets_are_asked_by_size_and_none_that_holds_a_found_one():
    """A policy that wants an encrypted path, or else both a screen lock and the office."""

    def judge(document: InputV1) -> Verdict:
        context = document.context
        open_ = context.path_encrypted is True or (
            document.device.posture.screen_lock is True and context.zone == "office"
        )
        return Verdict(Outcome.ALLOW, ("OK",)) if open_ else denied("NO")

    document = document_of(
        "managed_pc", "business", "outside", context__path_encrypted=False, device__posture__screen_lock=False
    )
    evaluate = Counted(judge)
    found = await ways_out(Case(document, denied("NO"), {}, Parameters(), evaluate))
    assert [sorted(changes(way)) for way in found.found] == [
        ["context.path_encrypted"],
        ["context.underlay", "context.zone", "device.posture.screen_lock"],
    ]
    singles = len(mends_of(document, Parameters()))
    assert found.evaluated == len(evaluate.asked)
    assert not any(asked.context.path_encrypted is True for asked in evaluate.asked[singles:])
