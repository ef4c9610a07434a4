"""Everybody, before and after a change: another policy, another day, or both.

The order: who is there (`people`), what is asked (`asked`), what each of two policies says of it (`judging`), a sample
of it held against the whole policies, and the difference (`comparing`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from pdp.bundle.dependence import steps_of
from pdp.engine.syntax import parse_modules
from pdp.errors import BadRequestError, BundleError, EngineError
from pdp.facts.document import build_facts
from pdp.facts.reference import Reference, read_reference
from pdp.judging import judge_raw
from pdp.model.authentication import NOT_AUTHENTICATED
from pdp.model.input import encode_input
from pdp.model.request import AccessRequest
from pdp.replaying.answer import answer_of
from pdp.simulate.asked import asked_of, circumstances, resources_of
from pdp.simulate.codes import Numbering, grouped
from pdp.simulate.comparing import Groupings, Side, compare
from pdp.simulate.held import NEEDED, soft_cells
from pdp.simulate.judging import Judging
from pdp.simulate.leaves import leaves_read
from pdp.simulate.people import facts_of, pairs_of
from pdp.simulate.probe import FAULT, answer_in, probe_of
from pdp.simulate.report import Half, Report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.dependence import Step
    from pdp.bundle.syntax import Path
    from pdp.engine.port import Engine
    from pdp.model.directory import Device, Snapshot
    from pdp.replaying.answer import Answer
    from pdp.simulate.asked import Asked
    from pdp.simulate.codes import Codes
    from pdp.simulate.comparing import Grouping
    from pdp.simulate.contexts import Stated
    from pdp.simulate.people import PairFacts, Pairs

CHECKED: Final = 400  # cells that the whole policies judge too; less than a second of two cores
_SEED: Final = 20230401  # the sample is the same each time: what was reported once can be looked at again


@dataclass(frozen=True)
class World:
    """A policy and the directory at a time."""

    bundle: Bundle
    snapshot: Snapshot
    at: datetime


@dataclass(frozen=True)
class Course:
    """How far it is, and whether somebody wants it to end. `done` hears of steps as `begun` has announced them."""

    begun: Callable[[int], None] = lambda _: None
    done: Callable[[int], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False


def later(snapshot: Snapshot, now: datetime, at: datetime) -> Snapshot:
    """The directory as it will be at `at`, as far as it is known; posture as old as now.

    What will be reported by then nobody knows; that everything will have gone stale is not what is asked.
    """
    ahead = at - now

    def moved(device: Device) -> Device:
        seen = device.posture.observed_at
        return device if seen is None else replace(device, posture=replace(device.posture, observed_at=seen + ahead))

    posture, identity = snapshot.posture_until, snapshot.identity_until
    return replace(
        snapshot,
        devices={id_: moved(device) for id_, device in snapshot.devices.items()},
        posture_until=None if posture is None else posture + ahead,
        identity_until=None if identity is None else identity + ahead,
    )


class Simulation:
    """One run. `make` gives an engine with nothing loaded; one is open at a time."""

    def __init__(  # noqa: PLR0913  # two worlds, what is asked, and how much is told of it
        self,
        before: World,
        after: World,
        contexts: Sequence[Stated],
        make: Callable[[], Engine],
        *,
        samples: int = 3,
        warns: bool = False,
    ) -> None:
        """`warns`: count what a time of warning would hold over; both worlds are of the same directory and time."""
        for world in (before, after):
            if world.bundle.profile != "zta":
                raise BadRequestError("everybody can be judged by a policy of profile `zta` only")
        self._before, self._after = before, after
        self._contexts = tuple(contexts)
        self._make = make
        self._samples = samples
        self._warns = warns
        self._people_of = self._people()

    async def run(self, course: Course) -> Report | None:
        """None where it was ended early. Raises BundleError and EngineError."""
        began = time.monotonic()
        halves = [await asyncio.to_thread(_Half.of, world, self._warns) for world in (self._before, self._after)]
        resources = resources_of(self._before.snapshot, *(half.reference for half in halves))
        pairs = await asyncio.to_thread(pairs_of, [(half.world.snapshot, half.world.at) for half in halves])
        course.begun(sum(len(half.steps) for half in halves))
        sides: list[Side] = []
        told: list[Half] = []
        checked, soft = 0, None
        for half in halves:
            facts = await asyncio.to_thread(facts_of, pairs, half.world.snapshot, half.world.at, half.leaves)
            asked = await asyncio.to_thread(self._asked, half, facts, resources)
            async with self._engine(probe_of(half.world.bundle, half.steps)) as engine:
                judged = await Judging(half.steps, facts, asked, engine, course.done, course.stop).run()
            if judged is None:
                return None
            side = Side(facts.row, judged.column, [answer_in(value, half.world.bundle) for value in judged.values])
            checked += await self._second_opinion(half, pairs, side, resources)
            if self._warns:  # of the later one: both see the same facts
                soft = await asyncio.to_thread(soft_cells, facts, asked)
            sides.append(side)
            told.append(Half(half.world.bundle, half.world.at, _distinct(facts, asked), judged.evaluations))
        found = await asyncio.to_thread(
            compare,
            pairs,
            sides[0],
            sides[1],
            self._groupings(pairs, resources),
            np.tile(np.array([one.auth_level for one in self._contexts], np.int64), len(resources)),
            self._samples,
            soft,
        )
        return Report(
            halves=(told[0], told[1]),
            epoch=self._before.snapshot.epoch,
            pairs=pairs,
            resources=resources,
            contexts=self._contexts,
            differences=found,
            roles={user: person.roles for user, person in self._people_of.items()},
            departments={user: person.department for user, person in self._people_of.items()},
            checked=checked,
            seconds=time.monotonic() - began,
        )

    def _asked(self, half: _Half, facts: PairFacts, resources: Sequence[str]) -> Asked:
        world = half.world
        return asked_of(resources, self._contexts, facts, world.snapshot, half.reference, world.at, half.leaves)

    @asynccontextmanager
    async def _engine(self, bundle: Bundle) -> AsyncIterator[Engine]:
        engine = self._make()
        try:
            await engine.activate(bundle)
            yield engine
        finally:
            await engine.close()

    async def _second_opinion(self, half: _Half, pairs: Pairs, side: Side, resources: Sequence[str]) -> int:
        """Hold a sample against the whole policy, from facts that are built the way of a decision.

        Raises EngineError where they differ: then nothing of this can be believed.
        """
        chance = Random(_SEED)  # noqa: S311  # a sample, not a secret
        width = len(resources) * len(self._contexts)
        cells = [(chance.randrange(len(pairs)), chance.randrange(width)) for _ in range(CHECKED)] if len(pairs) else []
        documents = [self._document(half, pairs, pair, question, resources) for pair, question in cells]
        async with self._engine(half.world.bundle) as engine:
            raws = await engine.evaluate(documents)
        for (pair, question), raw in zip(cells, raws, strict=True):
            answer = _judged(raw, half.world.bundle)
            column = side.column
            said = side.answers[column.table[column.of_row[side.row[pair]], column.of_question[question]]]
            if said != answer:
                raise EngineError(
                    f"judged by parts `{pairs.users[pairs.user[pair]]}` gets {said.outcome} {list(said.reasons)}, "
                    f"judged whole {answer.outcome} {list(answer.reasons)}: please report this"
                )
        return len(cells)

    def _document(self, half: _Half, pairs: Pairs, pair: int, question: int, resources: Sequence[str]) -> bytes:
        resource, stated = resources[question // len(self._contexts)], self._contexts[question % len(self._contexts)]
        world = half.world
        request = AccessRequest(
            pairs.users[pairs.user[pair]], resource, stated.action, device_id=pairs.devices[pairs.device[pair]]
        )
        document = build_facts(request, NOT_AUTHENTICATED, world.snapshot, half.reference, world.at).document
        own = document.context
        context = msgspec.structs.replace(
            circumstances(stated, resource, world.snapshot, half.reference, world.at),
            work_permit=own.work_permit,
            work_permit_until=own.work_permit_until,
        )
        subject = msgspec.structs.replace(
            document.subject, auth_level=stated.auth_level, auth_age_min=stated.auth_age_min
        )
        return encode_input(msgspec.structs.replace(document, subject=subject, context=context))

    def _people(self) -> dict[str, _Person]:
        """As they were, or, who was nobody then, as they come."""
        found: dict[str, _Person] = {}
        for world in (self._after, self._before):
            for user in world.snapshot.users.values():
                main = next((post.department for post in user.posts if post.period.holds(world.at)), "")
                if main or user.id not in found:
                    found[user.id] = _Person(main, user.kind, frozenset(user.roles))
        return found

    def _groupings(self, pairs: Pairs, resources: Sequence[str]) -> Groupings:
        people = [self._people_of[user] for user in pairs.users]
        classes = [self._class_of(device) for device in pairs.devices]
        return Groupings(
            of_pair={
                "department": _grouping([person.department for person in people], pairs.user),
                "kind": _grouping([person.kind for person in people], pairs.user),
                "device_class": _grouping(classes, pairs.device),
            },
            of_question={
                "resource": _grouping([resource for resource in resources for _ in self._contexts]),
                "context": _grouping([stated.id for _ in resources for stated in self._contexts]),
            },
        )

    def _class_of(self, device: str) -> str:
        found = self._before.snapshot.devices.get(device) or self._after.snapshot.devices[device]
        return found.class_


class _Person(NamedTuple):
    department: str  # of the main post
    kind: str
    roles: frozenset[str]


def _grouping(words: Sequence[str], of: Codes | None = None) -> Grouping:
    """What each row of `of` is counted under, where `of` gives the places in `words`; without it, each word its row."""
    numbers = Numbering[str]()
    codes = numbers.all(words)
    return (codes if of is None else codes[of]), numbers.values


@dataclass(frozen=True)
class _Half:
    """A world, with what its policy reads."""

    world: World
    reference: Reference
    steps: tuple[Step, ...]
    leaves: tuple[Path, ...]

    @staticmethod
    def of(world: World, warns: bool = False) -> _Half:
        modules, broken = parse_modules(world.bundle.modules)
        if broken:
            raise BundleError(broken[0].message, where=f"{broken[0].name}:{broken[0].line}:{broken[0].column}")
        steps = steps_of(modules, world.bundle.entrypoint)
        leaves = leaves_read(path for step in steps for path in (*step.reads, *(NEEDED if warns else ())))
        return _Half(world, read_reference(world.bundle.data), steps, leaves)


def _distinct(facts: PairFacts, asked: Asked) -> int:
    """How many inputs this policy could tell apart by its footprint, each of which would be one evaluation."""
    rows = grouped([*facts.columns.values(), facts.named_of], len(facts.rows))
    questions = grouped(list(asked.columns.values()), len(asked.questions))
    return len(rows) * len(questions)


def _judged(raw: bytes | EngineError, bundle: Bundle) -> Answer:
    try:
        return answer_of(judge_raw(raw, bundle))
    except EngineError:
        return answer_in(FAULT, bundle)
