"""The safe order, for any two exports: at no moment more is let through than before and after together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pdp.delivery.plan import states
from pdp.delivery.planning import make_plan
from pdp.delivery.port import Capabilities, Effect, Held, Standing, Thing
from pdp.errors import ExportError
from tests.unit.delivery.toy import ACCESSES, ToyCourier, inert, let_through, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("a", "b", "c", "d")
_MADE_OF = ("g", "h")
_members = st.frozensets(st.sampled_from(sorted(ACCESSES)), min_size=1)


@st.composite
def _export(draw: st.DrawFn, *, ordered: bool) -> tuple[Thing, ...]:
    """Sets, allows that stand alone, and denies around them: leading, trailing, or anywhere where order is none."""
    sets = {name: inert(name, draw(_members)) for name in _NAMES}
    sets |= {name: inert(name, draw(_members), of=draw(st.frozensets(st.sampled_from(_NAMES)))) for name in _MADE_OF}
    found: dict[Effect, list[Thing]] = {"opens": [], "closes": []}
    for effect, names in (("opens", "uvw"), ("closes", "xyz")):
        for name in draw(st.lists(st.sampled_from(names), unique=True)):
            named = draw(st.lists(st.sampled_from((*_NAMES, *_MADE_OF)), min_size=1, max_size=2, unique=True))
            words = draw(st.sampled_from(["", "別の説明"]))
            found[effect].append(rule(name, effect, named, ordered=ordered, words=words))  # type: ignore[arg-type,index]
    leading = draw(st.integers(0, len(found["closes"])))
    rules = [*found["closes"][:leading], *found["opens"], *found["closes"][leading:]]
    used = {need.name for one in rules for need in one.needs}
    used |= {need.name for name in used for need in sets[name].needs}
    return (*(sets[name] for name in sorted(used)), *rules)


@st.composite
def _tenant(draw: st.DrawFn, *, ordered: bool) -> tuple[Held, ...]:
    """What an export left there, and what people did to it: some things are disabled, some stand elsewhere."""
    things = draw(_export(ordered=ordered))
    asleep = draw(st.frozensets(st.sampled_from([one.key.name for one in things] or ["none"]), max_size=1))
    held = [Held(one, one.effect == "inert" or one.key.name not in asleep) for one in things]
    return tuple(draw(st.permutations(held))) if draw(st.booleans()) else tuple(held)


def _never_wider(before: Sequence[Held], wanted: Sequence[Thing], capabilities: Capabilities) -> bool:
    """Whether there is a plan; and then every state of it is looked at."""
    courier = ToyCourier(capabilities)
    try:
        plan = make_plan(
            wanted, Standing(tuple(before)), capabilities, courier.stand_in, vendor="toy", tenant="t", export="e"
        )
    except ExportError as fault:
        assert "no order is safe" in fault.message or "allows behind" in fault.message, fault
        return False
    default_open = capabilities.default_open
    every = [let_through(one, default_open=default_open) for one in states(before, plan.steps)]
    assert every[-1] == let_through([Held(one) for one in wanted], default_open=default_open)
    for allowed in every:
        assert allowed <= every[0] | every[-1]
    for held in states(before, plan.steps):  # nothing names what is not there
        there = {one.thing.key for one in held}
        assert all(need in there for one in held for need in one.thing.needs)
    again = make_plan(
        wanted, Standing(tuple(before)), capabilities, courier.stand_in, vendor="toy", tenant="t", export="e"
    )
    assert again == plan
    last = tuple(states(before, plan.steps))[-1]
    assert not make_plan(
        wanted, Standing(last), capabilities, courier.stand_in, vendor="toy", tenant="t", export="e"
    ).steps
    return True


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans(), st.booleans(), st.booleans())
def test_no_step_lets_through_what_neither_before_nor_after_does(
    data: st.DataObject, ordered: bool, default_open: bool, quiet: bool
) -> None:
    capabilities = Capabilities(
        staging=False, quiet=frozenset({"rule"}) if quiet else frozenset(), default_open=default_open
    )
    _never_wider(data.draw(_tenant(ordered=ordered)), data.draw(_export(ordered=ordered)), capabilities)
