"""What must hold of a policy for every vector of facts, as data; and the proof of it, or a counterexample.

Two forms. `Never`: nothing with these facts is permitted. `Weaker`: nothing is permitted that would be refused once
a fact is known, or stands better (to know less, to hold less, never opens anything).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from pdp.errors import BadRequestError, SpaceError
from pdp.model.decision import Text
from pdp.plain_yaml import load_one
from pdp.space.facts import DEPARTMENTS, NOBODY, ORGANISATION, UNKNOWN, split_name
from pdp.space.known import known_values

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pdp.space.diagram import Vector
    from pdp.space.facts import Fact, Value
    from pdp.space.space import DecisionSpace

Condition = Mapping[str, tuple["Value", ...]]


@dataclass(frozen=True, slots=True)
class Never:
    """Nothing is permitted where each fact of `when` has one of its values and each of `outside` none of them."""

    id: str
    title: Text
    when: Condition = field(default_factory=dict)
    outside: Condition = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weaker:
    """With a fact's weakest value (`WEAKEST`, `unknown`) nothing is permitted that is refused with a better one."""

    id: str
    title: Text


Invariant = Never | Weaker


@dataclass(frozen=True, slots=True)
class Proof:
    """`counterexample` is None where nothing is against it. `vectors`: how many it speaks of, `violations`: against it.

    `stronger`: of `Weaker`, the same vector with the better value, which is refused. `beside`: of a counterexample, a
    value for each fact that the invariant names and the policy does not look at.
    """

    invariant: Invariant
    vectors: int
    violations: int
    counterexample: Vector | None
    stronger: Vector | None = None
    beside: Mapping[str, Value] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """INVARIANT (an empty set of checks fails): what speaks of no vector is not proven."""
        return self.counterexample is None and self.vectors > 0


_PRIVATE: Final = ("byod_phone", "byod_tablet", "byod_pc")

SHIPPED: Final[tuple[Invariant, ...]] = (
    Never(
        "private_phone_communication_only",
        Text(
            "個人所有のスマートフォンはコミュニケーション基盤のほかに届かない",
            "a private phone reaches nothing but communication",
        ),
        when={"device.class": ("byod_phone",)},
        outside={"resource.group": ("communication",)},
    ),
    Never(
        "private_device_scope",
        Text(
            "個人所有端末はコミュニケーション基盤と（終了まで）在宅勤務システムのほかに届かない",
            "a private device reaches nothing but communication and, until it ends, the home-working system",
        ),
        when={"device.class": _PRIVATE},
        outside={"resource.group": ("communication", "home_working")},
    ),
    Never(
        "private_home_working_by_screen",
        Text(
            "個人所有端末から在宅勤務システムは画面転送だけで使う",
            "a private device uses the home-working system by screen transfer only",
        ),
        when={"device.class": _PRIVATE, "resource.group": ("home_working",)},
        outside={"action.name": ("screen_transfer",)},
    ),
    Never(
        "mynumber_separated",
        Text(
            "個人番号利用事務系には専用端末のほかから届かない",
            "the My Number layer is reached from its own terminals only",
        ),
        when={"resource.group": ("mynumber",)},
        outside={"device.class": ("mynumber_terminal",)},
    ),
    Never(
        "mynumber_terminal_stays",
        Text("専用端末は個人番号利用事務系のほかに届かない", "a My Number terminal reaches nothing else"),
        when={"device.class": ("mynumber_terminal",)},
        outside={"resource.group": ("mynumber",)},
    ),
    Never(
        "nobody_unknown",
        Text("登録のない利用者には何も許可しない", "nothing is permitted to somebody whom no source knows"),
        when={"subject.kind": (UNKNOWN,)},
    ),
    Never(
        "no_shared_account",
        Text("共用アカウントには何も許可しない", "nothing is permitted to a shared account"),
        when={"subject.kind": ("shared_account",)},
    ),
    Never(
        "no_unknown_device",
        Text("登録のない端末には何も許可しない", "nothing is permitted from a device that is not registered"),
        when={"device.registered": (False,)},
    ),
    Never(
        "no_lost_device",
        Text("紛失・廃棄の端末には何も許可しない", "nothing is permitted from a lost or retired device"),
        when={"device.state": ("lost", "lost_unconfirmed_found", "retired")},
    ),
    Never(
        "no_tampered_device",
        Text(
            "改造された端末、改造の有無が未確認の端末には修復窓口のほか何も許可しない",
            "from a tampered device, or one not known to be untampered, nothing but remediation is permitted",
        ),
        when={"device.posture.tampered": (True, UNKNOWN)},
        outside={"resource.group": ("remediation",)},
    ),
    Never(
        "nothing_without_authentication",
        Text("認証のない利用は許可しない", "nothing is permitted without authentication"),
        when={"subject.auth_level": (0,)},
    ),
    Weaker(
        "unknown_never_allows",
        Text(
            "事実が未確認になる・失われることで拒否が許可に変わることはない",
            "unknowing or dropping a fact never turns a deny into an allow",
        ),
    ),
)  # fmt: skip

# The values that a fact falls back to when it is lost, beside `unknown`; and a word of a list that is not there.
WEAKEST: Final[Mapping[str, tuple[Value, ...]]] = {
    "subject.identity_source": ("none",),
    "subject.auth_level": (0,),
    "device.registered": (False,),
    "device.relation": ("none",),
    "device.loan": ("none",),
    "device.permit": ("none",),
    "context.work_permit": ("none",),
}
_LISTS: Final = frozenset({"subject.roles", "context.pep"})  # a signal of risk that is not there is no lost fact
_RELATIONS: Final = {
    DEPARTMENTS: ((NOBODY, ("first", "later", "none")), ("open-nobody", ("open",))),
    ORGANISATION: (("none", ("named",)),),
}


def prove(space: DecisionSpace, invariant: Invariant) -> Proof:
    """Hold one invariant against every vector. Raises SpaceError where it names a fact or a value that is not there."""
    if isinstance(invariant, Never):
        spoken, beside = _spoken_of(space, invariant)
        against = space.diagram.both(spoken, space.permit)
        found = space.find(against)
        vectors, violations = space.count(spoken), 0 if found is None else space.count(against)
        return Proof(invariant, vectors, violations, found, beside={} if found is None else beside)
    violations, worst = 0, None
    for level, fact in space.facts.items():
        for weak, strong in _steps_down(fact):
            against = _opened(space, level, weak, strong)
            found = space.find(against)
            if found is not None:
                violations += space.count(against)
                worst = worst or ({**found, level: weak}, {**found, level: strong})
    return Proof(
        invariant,
        space.count(space.diagram.true),
        violations,
        worst[0] if worst else None,
        worst[1] if worst else None,
    )


def _spoken_of(space: DecisionSpace, invariant: Never) -> tuple[int, dict[str, Value]]:
    """The vectors that it speaks of, and a value for each fact of it that the space does not have.

    The space has only what the verdict depends on. A fact that a draft stopped looking at may have any value: those
    outside of a condition too, or ignoring `device.class` would prove all that is said of it.
    """
    conditions: list[int] = [space.possible]
    beside: dict[str, Value] = {}
    for name in dict.fromkeys([*invariant.when, *invariant.outside]):
        inside, outside = invariant.when.get(name), invariant.outside.get(name, ())
        known = known_values(name, [*(inside or ()), *outside])
        if name in space.levels:
            if inside is not None:
                conditions.append(space.where(name, inside))
            conditions.append(space.diagram.negated(space.where(name, outside)))
            continue
        left = [one for one in (known if inside is None else inside) if not _among(one, outside)]
        conditions.append(space.diagram.true if left else space.diagram.false)
        if left:
            beside[name] = left[0]
    return space.diagram.all_of(conditions), beside


def _among(value: Value, values: Iterable[Value]) -> bool:
    return any(one == value and type(one) is type(value) for one in values)


def _steps_down(fact: Fact) -> list[tuple[int, int]]:
    """Pairs of values: the weaker, and one that must not be refused where the weaker is permitted."""
    place, word = split_name(fact.name)
    if word is not None:
        return [(0, 1)] if place in _LISTS else []
    if fact.name in _RELATIONS:
        steps = _RELATIONS[fact.name]
        return [(fact.values.index(weak), fact.values.index(one)) for weak, better in steps for one in better]
    weakest: tuple[Value, ...] = (UNKNOWN, *WEAKEST.get(fact.name, ()))
    numbers = [n for n, value in enumerate(fact.values) if value in weakest and not isinstance(value, bool | int)]
    numbers += [n for n, value in enumerate(fact.values) if isinstance(value, bool | int) and value in weakest[1:]]
    return [(weak, one) for weak in numbers for one in range(len(fact.values)) if one not in numbers]


def _opened(space: DecisionSpace, level: int, weak: int, strong: int) -> int:
    """The vectors that are permitted with the weaker value and not with the better one."""
    diagram = space.diagram
    less, more = diagram.given(space.permit, {level: weak}), diagram.given(space.permit, {level: strong})
    possible = diagram.given(space.possible, {level: strong})
    return diagram.both(possible, diagram.without(less, more))


def read_invariants(file: Path) -> list[Never]:
    """Invariants from a YAML file: a list of `{id, ja, en, never: {fact: [values]}, outside: {fact: [values]}}`.

    Raises SpaceError.
    """
    try:
        listed = load_one(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, BadRequestError) as fault:
        raise SpaceError(f"the invariants cannot be read: {fault}", where=file.name) from None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise SpaceError("a list of invariants is needed", where=file.name)
    return [_read(one, file.name) for one in listed]


def _read(one: Mapping[str, Any], where: str) -> Never:
    known = {"id", "ja", "en", "never", "outside"}
    if set(one) - known or not all(isinstance(one.get(key), str) for key in ("id", "ja", "en")):
        raise SpaceError("an invariant has `id`, `ja`, `en`, `never` and `outside`, and nothing else", where=where)
    return Never(
        one["id"],
        Text(one["ja"], one["en"]),
        _condition(one.get("never"), where),
        _condition(one.get("outside"), where),
    )


def _condition(given: Any, where: str) -> Condition:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(values, list) for values in given.values()):
        raise SpaceError("a condition maps facts to lists of values", where=where)
    return {str(name): tuple(cast("list[Value]", values)) for name, values in given.items()}
