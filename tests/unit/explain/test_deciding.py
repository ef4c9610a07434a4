from __future__ import annotations

import pytest

from pdp.explain.case import Case
from pdp.explain.deciding import deciding_facts
from pdp.explain.explanation import explain
from pdp.explain.parameters import Parameters
from pdp.explain.report import explanation_json
from pdp.model.decision import Outcome, Verdict, denied
from tests.unit.explain.conftest import Counted, document_of

pytestmark = pytest.mark.anyio


async def test_a_refusal_hangs_on_its_causes_and_names_what_each_would_have_to_be(case_of):
    case = await case_of("managed_pc", "business", device__posture__age_hours=30)
    facts, _ = await deciding_facts(case)
    (age,) = [fact for fact in facts if fact.path == "device.posture.age_hours"]
    assert age.holds_back
    eased = {turn.value for turn in age.turns if turn.effect == "eases"}
    assert eased == {0, 23, 24}


async def test_a_fact_that_would_deny_earlier_is_no_cause_of_a_later_deny(case_of):
    """Any deny turns into `SHARED_ACCOUNT` for another kind of subject; that does not make the kind its cause."""
    case = await case_of("managed_pc", "business", device__posture__age_hours=30)
    explanation = await explain(case)
    assert "subject.kind" in {fact.path for fact in explanation.deciding}
    marked = explanation.marked(permits=False)
    assert "device.posture.age_hours" in marked
    assert not {"subject.kind", "subject.employment", "device.state", "context.zone"} & marked


async def test_a_fact_that_no_rule_reads_never_decides(case_of):
    case = await case_of("managed_pc", "business")
    facts, evaluated = await deciding_facts(case)
    unread = {"subject.id", "device.id", "resource.id", "subject.auth_age_min", "resource.sensitivity",
              "device.posture.av_current", "device.posture.firewall", "device.ownership", "context.sources.identity"}  # fmt: skip
    assert not unread & {fact.path for fact in facts}
    assert evaluated > 100


async def test_a_permission_hangs_on_what_would_take_it_away(case_of):
    case = await case_of("managed_pc", "business")
    explanation = await explain(case)
    marked = explanation.marked(permits=True)
    assert {"device.posture.edr_running", "subject.employment", "resource.group", "context.risk"} <= marked
    assert explanation.ways_out.found == ()


async def test_the_turn_of_a_threshold_is_exact():
    """Above 14 days: 15 turns the answer, 14 does not."""

    def judge(document):
        return denied("OLD") if document.device.posture.patch_age_days > 14 else Verdict(Outcome.ALLOW, ("OK",))

    document = document_of("managed_pc", "business", device__posture__patch_age_days=3)
    case = Case(
        document, Verdict(Outcome.ALLOW, ("OK",)), {}, Parameters(patch_days=(14,)), Counted(judge_known(judge))
    )
    facts, _ = await deciding_facts(case)
    (age,) = facts
    assert [turn.value for turn in age.turns] == ["unknown", 15]


def judge_known(judge):
    def judged(document):
        return denied("UNKNOWN") if document.device.posture.patch_age_days == "unknown" else judge(document)

    return judged


async def test_the_report_is_plain_json(case_of):
    case = await case_of("managed_pc", "business", "outside", subject__auth_level=2)
    report = explanation_json(await explain(case))
    assert report["complete"] is True
    assert report["evaluated"] > 100
    assert report["ways_out"][0] == {
        "mends": [
            {
                "by": "user",
                "text": {"ja": "再認証して認証の強さを3にする", "en": "authenticate again at level 3"},
                "changes": {"subject.auth_level": 3},
            }
        ],
        "outcome": "allow",
        "reasons": ["OK_REMOTE"],
        "obligations": {},
    }
    (level,) = [fact for fact in report["deciding"] if fact["path"] == "subject.auth_level"]
    assert level["value"] == 2
    assert level["holds_back"] is True
