"""Whatever the registers say: no fact changes before the instant that is noted for it. A cached answer stands on this."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pdp.facts.document import Facts, build_facts
from pdp.model.authentication import Authentication
from pdp.model.directory import (
    CatalogueRow,
    Device,
    Emergency,
    Loan,
    Period,
    Permit,
    Post,
    SegmentFrom,
    Snapshot,
    WorkPermit,
    snapshot_of,
)
from tests.unit.facts.worlds import DEVICE, NOW, REFERENCE, REQUEST, USER

STEP = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)

# A coarse grid around the present, and its neighbours: so that borders meet each other and the present itself.
INSTANTS = st.builds(
    lambda hours, steps: NOW + timedelta(hours=hours) + steps * STEP,
    st.integers(-30, 30) | st.sampled_from((-24 * 40, 24 * 40)),
    st.sampled_from((-1, 0, 1)),
)
PERIODS = st.tuples(st.none() | INSTANTS, st.none() | INSTANTS).map(
    lambda ends: Period(*ends) if None in ends else Period(*sorted(ends))  # type: ignore[type-var]
)
PEOPLE = st.sampled_from(("u-1", "u-2"))
SEGMENTS = st.lists(INSTANTS, max_size=2, unique=True).map(
    lambda starts: (SegmentFrom("cloud"), *map(SegmentFrom, ("lgwan", "internet"), sorted(starts)))
)
ROWS = st.builds(
    CatalogueRow,
    st.just("mail"),
    st.just("communication"),
    SEGMENTS,
    service=PERIODS,
    readonly_from=st.none() | INSTANTS,
)
USERS = st.builds(
    lambda posts, employment, status: replace(USER, posts=tuple(posts), employment=employment, status=status),
    st.lists(st.builds(Post, st.sampled_from(("soumu", "kankyo")), PERIODS), max_size=3),
    PERIODS,
    st.sampled_from(("active", "suspended")),
)
# Also from the future, up to the clock skew and beyond it.
AGES = st.none() | st.timedeltas(-10 * MINUTE, timedelta(days=3)) | st.integers(0, 30).map(lambda h: timedelta(hours=h))
WORK_PERMITS = st.builds(
    lambda user, resource, device, period: WorkPermit(
        f"{user}{resource}{device}", frozenset({user}), frozenset({resource}), frozenset({device}), period
    ),
    PEOPLE,
    st.sampled_from(("mail", "ledger")),
    st.sampled_from(("d-1", "d-2")),
    PERIODS,
)


@dataclass(frozen=True)
class World:
    snapshot: Snapshot
    proof: Authentication

    def at(self, now: datetime) -> Facts:
        return build_facts(REQUEST, self.proof, self.snapshot, REFERENCE, now)


def few(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(one, max_size=3)


def device(observed_at: datetime | None) -> Device:
    return replace(DEVICE, posture=replace(DEVICE.posture, observed_at=observed_at))


def worlds(now: datetime) -> st.SearchStrategy[World]:
    devices = AGES.map(lambda age: device(None if age is None else now - age))
    return st.builds(World, snapshots(devices), PROOFS)


def snapshots(devices: st.SearchStrategy[Device]) -> st.SearchStrategy[Snapshot]:
    return st.builds(
        snapshot_of,
        epoch=st.just(1),
        users=st.lists(USERS, max_size=1),
        devices=st.lists(devices, max_size=1),
        permits=few(st.builds(Permit, st.just("d-1"), PEOPLE, PERIODS, st.booleans())),
        loans=few(st.builds(Loan, st.just("d-1"), PEOPLE, PERIODS)),
        work_permits=few(WORK_PERMITS),
        resources=st.lists(ROWS, max_size=1),
        emergencies=few(st.builds(Emergency, PERIODS)),
    )


PROOFS = st.builds(Authentication, st.just(2), st.none() | INSTANTS, st.none() | INSTANTS)
MOMENTS = INSTANTS.flatmap(lambda now: st.tuples(worlds(now), st.just(now)))  # a world and its present


def leaves(document: Any) -> dict[str, Any]:
    """Every fact by its path."""
    found: dict[str, Any] = {}

    def walk(at: Any, path: str) -> None:
        if isinstance(at, dict):
            for name, value in at.items():
                walk(value, f"{path}.{name}" if path else name)
        else:
            found[path] = at

    walk(msgspec.to_builtins(document), "")
    return found


@given(moment=MOMENTS, parts=st.lists(st.floats(0, 1, exclude_max=True), max_size=3))
def test_the_document_is_the_same_until_the_earliest_change(moment: tuple[World, datetime], parts: list[float]) -> None:
    world, now = moment
    built = world.at(now)
    earliest = built.horizon.earliest()
    assert earliest is not None and earliest > now, "the day ends at the latest"
    for instant in (earliest - STEP, *(now + part * (earliest - STEP - now) for part in parts)):
        assert world.at(instant).document == built.document


@given(moment=MOMENTS, later=st.timedeltas(STEP, timedelta(days=60)))
def test_each_fact_is_the_same_until_its_own_border_and_for_ever_where_it_has_none(
    moment: tuple[World, datetime], later: timedelta
) -> None:
    """Stronger than the one above, where a fact that changes every minute hides the slow ones."""
    world, now = moment
    built = world.at(now)
    facts, borders = leaves(built.document), built.horizon.changes
    for instant in {now + later, *(border - STEP for border in borders.values())}:
        then = leaves(world.at(instant).document)
        for path, value in facts.items():
            border = borders.get(path)
            if border is None or instant < border:
                assert then[path] == value, (path, instant, border)
    assert set(borders) <= set(facts)
