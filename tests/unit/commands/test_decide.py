from __future__ import annotations

from datetime import timedelta

import pytest

from tests.unit.commands.conftest import only_json, told
from tests.unit.commands.registers import NOW, fill

QUESTION = ["decide", "--user", "u-1", "--device", "d-1", "--resource", "document-management"]
OUTSIDE = ["--zone", "sase", "--underlay", "public_wifi", "--path-encrypted"]


@pytest.fixture(autouse=True)
def directory(place):
    fill(place / "var")


def test_an_allow_is_fine_and_a_step_up_is_not(pdp):
    assert pdp(*QUESTION, "--zone", "office", "--no-explain").exit_code == 0
    assert pdp(*QUESTION, *OUTSIDE, "--no-explain").exit_code == 1


def test_a_step_up_is_explained_to_people_in_their_language(pdp):
    english = pdp(*QUESTION, *OUTSIDE).stdout
    assert english.startswith("step-up authentication (level 3 is needed)\n")
    assert "authenticate again at level 3 [the user]" in english
    assert "STEPUP_AUTH_STRENGTH" in english
    assert "to be relied on until" in english
    japanese = pdp(*QUESTION, *OUTSIDE, lang="ja").stdout
    assert japanese.startswith("追加認証（認証の強さ 3 が必要）\n")
    assert "再認証して認証の強さを3にする [利用者]" in japanese
    assert "公衆回線のため追加の本人確認が必要です" in japanese
    assert any(line.startswith("●") and "認証の強さ" in line for line in japanese.splitlines())


def test_as_json_the_whole_answer_is_there(pdp):
    said = only_json(pdp(*QUESTION, *OUTSIDE, "--json"))
    assert (said["decision"], said["outcome"], said["required_auth_level"]) == (False, "step_up", 3)
    assert said["reasons"] == ["STEPUP_AUTH_STRENGTH", "UNTRUSTED_NETWORK"]
    assert [text["fix"] for text in said["reason_texts"]] == ["user", "user"]
    assert said["input"]["context"]["underlay"] == "public_wifi"
    ways = said["explanation"]["ways_out"]
    assert {"subject.auth_level": 3} in [way["mends"][0]["changes"] for way in ways]
    assert "context.underlay" in {fact["path"] for fact in said["explanation"]["deciding"] if fact["holds_back"]}


def test_the_instant_of_the_question_is_the_one_that_is_given(pdp):
    later = (NOW + timedelta(hours=24)).isoformat()
    said = only_json(pdp(*QUESTION, "--zone", "office", "--at", later, "--json"))
    assert said["reasons"] == ["POSTURE_STALE"]
    assert said["explanation"]["ways_out"][0]["mends"][0]["by"] == "help_desk"


def test_who_is_not_in_the_directory_is_denied_and_nothing_is_offered(pdp):
    said = only_json(
        pdp("decide", "--user", "nobody", "--device", "d-1", "--resource", "mail", "--zone", "office", "--json")
    )
    assert said["reasons"] == ["IDENTITY_SOURCE_UNKNOWN"]
    assert said["explanation"]["ways_out"] == []


def test_a_question_that_no_gateway_could_ask_is_bad_input(pdp):
    both = pdp(*QUESTION, "--zone", "office", "--source-ip", "10.0.0.1")
    assert both.exit_code == 2
    assert told(both)[0] == "`--zone` and `--source-ip` say the same thing"
    assert pdp(*QUESTION, "--zone", "moon").exit_code == 2
    assert pdp(*QUESTION, "--at", "yesterday").exit_code == 2


def test_a_risk_that_does_not_exist_is_denied_and_the_cause_is_told(pdp):
    result = pdp(*QUESTION, "--zone", "office", "--risk", "bad_mood", "--json")
    assert result.exit_code == 1
    said = only_json(result)
    assert said["reasons"] == ["BAD_INPUT"]
    assert "bad_mood" in said["fault"]
    assert said["explanation"] is None
    assert "cause: " in pdp(*QUESTION, "--zone", "office", "--risk", "bad_mood").stdout


def test_a_plain_bundle_has_no_facts_to_explain(pdp, place):
    bundle = place / "plain"
    bundle.mkdir()
    (bundle / ".manifest").write_text('{"revision": "1", "metadata": {"profile": "plain", "entrypoint": "x/allow"}}')
    (bundle / "x.rego").write_text("package x\n\nallow := true\n")
    result = pdp(*QUESTION, "--bundle", bundle)
    assert result.exit_code == 2
    assert "pdp eval" in told(result)[1]


def test_the_demonstration_needs_no_directory(pdp, place):
    result = pdp("decide", "--demo", "--user", "u-demo-staff", "--device", "d-demo-phone", "--resource", "finance",
                 "--zone", "sase", "--underlay", "carrier", "--path-encrypted", "--state-dir", place / "none", "--json")  # fmt: skip
    assert only_json(result)["reasons"] == ["BYOD_SCOPE"]
    assert not (place / "none").exists()
