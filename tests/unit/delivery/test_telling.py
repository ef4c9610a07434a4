"""What people read of plans, steps and drift, in both languages."""

from __future__ import annotations

import pytest

from pdp.commands.delivery_telling import show_applied, show_drift, show_plan, show_resumed, show_step
from pdp.commands.terminal import Terminal
from pdp.delivery.drift import Difference
from pdp.delivery.journal import Applied
from pdp.delivery.plan import SCHEMA
from pdp.delivery.planning import make_plan
from pdp.delivery.port import Capabilities, Held, Key, Standing
from tests.unit.delivery.toy import ToyCourier, inert, rule

STAGED = Capabilities(staging=True)
HELD = (Held(inert("a", {0})), Held(rule("u", "opens", "a", ordered=True)))
AFTER = (inert("a", {1}), rule("x", "closes", "a", ordered=True), rule("u", "opens", "a", ordered=True))
PLAN = make_plan(
    AFTER,
    Standing(HELD, ((Key("rule", "", "lunch-menu"), True),)),
    STAGED,
    ToyCourier(STAGED).stand_in,
    vendor="toy",
    tenant="pref",
    export="e",
)


def test_a_plan_is_told_by_what_its_steps_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(Terminal("ja", as_json=False), PLAN)
    ja = capsys.readouterr().out
    for said in (
        "拒否を効かせる",
        "許可を減らす",
        "中身を入れ替える",
        "許可を加える",
        "反映",
        "先頭へ",
        "一時的に外れる",
        "lunch-menu",
    ):
        assert said in ja
    assert PLAN.digest in ja
    show_plan(Terminal("en", as_json=False), PLAN)
    en = capsys.readouterr().out
    assert "1 allows are away for a while: rule/u" in en
    assert "no proof has them" in en


def test_nothing_to_do_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    held = tuple(Held(one) for one in AFTER)
    plan = make_plan(
        AFTER, Standing(held), STAGED, ToyCourier(STAGED).stand_in, vendor="toy", tenant="pref", export="e"
    )
    show_plan(Terminal("ja", as_json=False), plan)
    assert "差分なし" in capsys.readouterr().out


def test_an_apply_and_its_end_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("ja", as_json=False)
    show_resumed(terminal, PLAN, 2)
    show_step(terminal, PLAN, PLAN.steps[0])
    show_applied(terminal, PLAN, Applied(SCHEMA, "toy", "pref", "e", "p", "now", HELD))
    told = capsys.readouterr()
    assert "2 済み" in told.err
    assert f"1/{len(PLAN.steps)}" in told.out
    assert "配信済み" in told.out


def test_drift_is_told_with_what_counts_and_what_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    found = (Difference("altered", Key("rule", "", "u"), ("sets",)), Difference("ahead", Key("rule", "", "lunch-menu")))
    show_drift(Terminal("ja", as_json=False), "pref", found)
    ja = capsys.readouterr().out
    assert "違い 1 件" in ja
    assert "rule/u: 内容が違う (sets)" in ja
    show_drift(Terminal("en", as_json=False), "pref", ())
    assert "0 differences" in capsys.readouterr().out
