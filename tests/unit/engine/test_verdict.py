"""The one door: every answer that is not a well-formed verdict is an error, and so a deny."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdp.engine.verdict import read_verdict
from pdp.errors import EngineError
from pdp.model.decision import Outcome

ALLOW = {"outcome": "allow", "reasons": ["OK"], "obligations": {}}
LIMIT = {"outcome": "limit", "reasons": ["OK"], "obligations": {"clipboard": "off"}}
STEP_UP = {"outcome": "step_up", "reasons": ["LEVEL"], "obligations": {}, "required_auth_level": 2}
DENY = {"outcome": "deny", "reasons": ["NO"], "obligations": {}}


def zta(answer):
    return read_verdict(json.dumps(answer).encode(), "zta")


def plain(answer):
    return read_verdict(json.dumps(answer).encode(), "plain")


@pytest.mark.parametrize(
    ("answer", "outcome", "permits"),
    [
        (ALLOW, Outcome.ALLOW, True),
        ({**ALLOW, "obligations": {"warn": "PATCH"}}, Outcome.ALLOW, True),
        (LIMIT, Outcome.LIMIT, True),
        ({**LIMIT, "obligations": {"session_minutes": 30}}, Outcome.LIMIT, True),
        (STEP_UP, Outcome.STEP_UP, False),
        (DENY, Outcome.DENY, False),
        ({**DENY, "reasons": ["A", "B"]}, Outcome.DENY, False),
    ],
)
def test_a_well_formed_verdict_is_read(answer, outcome, permits):
    verdict = zta(answer)
    assert (verdict.outcome, verdict.permits) == (outcome, permits)
    assert verdict.reasons == tuple(answer["reasons"])
    assert verdict.obligations == answer["obligations"]
    assert verdict.required_auth_level == answer.get("required_auth_level")


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "allow",
        "<undefined>",
        1,
        [],
        [ALLOW],
        {},
        {"result": ALLOW},
        {"allow": True},
        {"decision": True},
        {**ALLOW, "outcome": "ALLOW"},
        {**ALLOW, "outcome": "permit"},
        {**ALLOW, "outcome": None},
        {**ALLOW, "outcome": True},
        {**ALLOW, "outcome": ["allow"]},
        {**ALLOW, "reasons": []},
        {**ALLOW, "reasons": ["OK", "OK"]},
        {**ALLOW, "reasons": "OK"},
        {**ALLOW, "reasons": [1]},
        {**ALLOW, "reasons": None},
        {**ALLOW, "reasons": {"OK": True}},
        {**ALLOW, "obligations": None},
        {**ALLOW, "obligations": []},
        {**ALLOW, "obligations": {"clipboard": "off"}},
        {**ALLOW, "obligations": {"warn": True}},
        {**ALLOW, "obligations": {"warn": None}},
        {**ALLOW, "obligations": {"warn": 1.5}},
        {**ALLOW, "obligations": {"warn": {"a": 1}}},
        {**ALLOW, "required_auth_level": 2},
        {**ALLOW, "more": 1},
        {**LIMIT, "obligations": {}},
        {**LIMIT, "obligations": {"warn": "PATCH"}},
        {**LIMIT, "required_auth_level": 1},
        {key: value for key, value in STEP_UP.items() if key != "required_auth_level"},
        {**STEP_UP, "required_auth_level": None},
        {**STEP_UP, "required_auth_level": 0},
        {**STEP_UP, "required_auth_level": 4},
        {**STEP_UP, "required_auth_level": "2"},
        {**STEP_UP, "required_auth_level": 2.5},
        {**STEP_UP, "required_auth_level": True},
        {**DENY, "required_auth_level": 2},
        *({key: value for key, value in ALLOW.items() if key != left_out} for left_out in ALLOW),
    ],
)
def test_every_malformed_verdict_is_an_error(answer):
    with pytest.raises(EngineError):
        zta(answer)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"allow",
        b"\xff",
        b'{"outcome": "allow", "reasons": ["OK"], "obligations": {}} {}',
        b'{"outcome": "allow", "reasons": ["\xff"], "obligations": {}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
@pytest.mark.parametrize("profile", ["zta", "plain"])
def test_what_is_not_json_is_an_error(raw, profile):
    with pytest.raises(EngineError):
        read_verdict(raw, profile)


@pytest.mark.parametrize(
    ("answer", "outcome", "context"),
    [
        (True, Outcome.ALLOW, None),
        (False, Outcome.DENY, None),
        ({"decision": True}, Outcome.ALLOW, None),
        ({"decision": False, "context": {"reason": "x"}}, Outcome.DENY, {"reason": "x"}),
        ({"decision": True, "context": None, "more": 1}, Outcome.ALLOW, None),
    ],
)
def test_a_plain_verdict_is_a_boolean_or_an_object_with_one(answer, outcome, context):
    verdict = plain(answer)
    assert (verdict.outcome, verdict.context, verdict.reasons) == (outcome, context, ())


@pytest.mark.parametrize(
    "answer",
    [
        None,
        1,
        0,
        "true",
        [],
        [True],
        {},
        {"allow": True},
        {"decision": "true"},
        {"decision": 1},
        {"decision": None},
        {"decision": [True]},
        {"decision": True, "context": "x"},
        {"decision": True, "context": [1]},
        {"result": True},
        {"outcome": "allow", "reasons": ["OK"], "obligations": {}},
    ],
)
def test_every_malformed_plain_verdict_is_an_error(answer):
    with pytest.raises(EngineError):
        plain(answer)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
near_verdicts = st.fixed_dictionaries(
    {},
    optional={
        "outcome": st.sampled_from(["allow", "limit", "step_up", "deny", "Allow", ""]) | json_values,
        "reasons": st.lists(st.sampled_from(["A", "B"]), max_size=3) | json_values,
        "obligations": st.dictionaries(st.sampled_from(["warn", "clipboard"]), st.text(max_size=3)) | json_values,
        "required_auth_level": st.integers(-1, 5) | json_values,
        "decision": json_values,
    },
)


@given(near_verdicts | json_values)
def test_whatever_an_engine_says_is_an_error_or_keeps_every_rule_of_a_verdict(answer):
    try:
        verdict = zta(answer)
    except EngineError:
        return
    limits = set(verdict.obligations) - {"warn"}
    assert verdict.reasons
    assert len(set(verdict.reasons)) == len(verdict.reasons)
    assert (verdict.required_auth_level is not None) == (verdict.outcome is Outcome.STEP_UP)
    assert verdict.outcome is not Outcome.ALLOW or not limits
    assert verdict.outcome is not Outcome.LIMIT or limits


@given(json_values)
def test_only_true_itself_permits_in_the_plain_profile(answer):
    try:
        verdict = plain(answer)
    except EngineError:
        return
    said = answer if isinstance(answer, bool) else answer["decision"]
    assert verdict.permits is said
