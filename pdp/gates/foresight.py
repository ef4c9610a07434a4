"""Everybody before and after the draft: who is protected loses nothing, and of the others a few at most lose a system;
and a few at most of the terminals, for whoever has two of them loses nothing when one is shut out.

A directory that is empty, whose sources are down or whose posture is old makes every comparison come out equal, since
nobody gets anything before or after: that is a refusal, and no pass.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pdp.directory.freshness import freshness, stale_after
from pdp.facts.context import source_states
from pdp.facts.horizon import Horizon
from pdp.gates.profile import plain_result
from pdp.model.decision import Text
from pdp.revisions.revision import GateResult
from pdp.simulate.contexts import USUAL, Stated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.engine.port import Engine
    from pdp.model.directory import Snapshot
    from pdp.revisions.gate import Candidate
    from pdp.simulate.report import Report

MAX_KINDS: Final = 50  # kinds of changes that are kept beside the revision, of 500 that are counted one by one
MAX_NAMED: Final = 20  # protected people that are named; the others are counted

CONTEXTS: Final[tuple[Stated, ...]] = (
    *USUAL,
    Stated("disaster-remote", "sase", "home", 2, "災害時・在宅・SASE経由", "in a disaster, at home, through the SASE",
           business_day=False, business_hours=False, disaster_mode=True),
    Stated("disaster-mobile", "public", "carrier", 2, "災害時・携帯電話回線", "in a disaster, over a mobile line",
           business_day=False, business_hours=False, disaster_mode=True),
)  # fmt: skip
"""Where people usually sit, and what disaster mode opens to those who respond: nothing else would show its loss."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """`losing_share`: of all people, who lose a system on every terminal of theirs. `stale_share`: of the devices.

    `losing_device_share`: of the devices, with which nobody reaches some system any more.
    """

    losing_share: float
    stale_share: float
    roles: frozenset[str]
    departments: frozenset[str]
    losing_device_share: float


@dataclass(frozen=True, slots=True)
class Ground:
    """What the draft is held against: the policy of record, and the directory as it is now."""

    active: Bundle
    snapshot: Snapshot
    now: datetime


class ForesightGate:
    """Simulates the whole population under `CONTEXTS`; what it found is kept (`pdp.simulation/v1`)."""

    name = "foresight"

    def __init__(
        self,
        look: Callable[[], Ground],
        open_engine: Callable[[], Engine],
        bounds: Bounds,
        expected: Callable[[], Bundle | None] = lambda: None,
    ) -> None:
        """`look` and `expected` read the registers, and block. `open_engine`: a new engine, with nothing loaded."""
        self._look = look
        self._open_engine = open_engine
        self._bounds = bounds
        self._expected = expected

    async def judge(self, candidate: Candidate) -> GateResult:
        """Raises BundleError, DirectoryError, EngineError and BadRequestError."""
        if candidate.bundle.profile != "zta":
            expected = await asyncio.to_thread(self._expected)
            return plain_result(self.name, expected, "only a policy of profile `zta` is asked for people")
        ground = await asyncio.to_thread(self._look)
        blind = blindness(ground, self._bounds)
        if blind:
            return GateResult(self.name, "failed", blind[0]["en"], {"faults": blind})
        from pdp.simulate.population import Course, Simulation, World  # numpy: no decision needs it

        before = World(ground.active, ground.snapshot, ground.now)
        after = World(candidate.bundle, ground.snapshot, ground.now)
        report = await Simulation(before, after, CONTEXTS, self._open_engine).run(Course())
        assert report is not None  # nobody ends it early
        return self._result(report, ground)

    def _result(self, report: Report, ground: Ground) -> GateResult:
        members = protected(ground, self._bounds)
        found = report.differences  # a step-up is no small thing where the stronger log-in is what a disaster took
        touched = {report.pairs.users[at] for some in (found.touched["loses"], found.held_up) for at in some.tolist()}
        hurt = {name: sorted(people & touched) for name, people in members.items()}
        faults = _faults(report, hurt, self._bounds)
        told = {
            "faults": faults,
            "bounds": {
                "losing_share": self._bounds.losing_share,
                "losing_device_share": self._bounds.losing_device_share,
                "stale_share": self._bounds.stale_share,
            },
            "protected": {
                name: {"users": len(people), "losing": len(hurt[name]), "first": hurt[name][:MAX_NAMED]}
                for name, people in members.items()
            },
            "simulation": _kept(report),
        }
        losing, everyone = len(report.losing), len(report.pairs.users)
        shut, terminals = len(report.devices_losing), len(report.pairs.devices)
        summary = (
            f"{losing} of {everyone} people lose a system, {len(report.gaining)} gain one; "
            f"{shut} of {terminals} devices lose one; of the protected {len(set().union(*hurt.values()))} lose anything"
        )
        return GateResult(self.name, "failed" if faults else "passed", summary, told)


def protected(ground: Ground, bounds: Bounds) -> dict[str, set[str]]:
    """The people of each protected role and department, by `role:…` and `department:…`."""
    found: dict[str, set[str]] = {f"role:{name}": set() for name in sorted(bounds.roles)}
    found |= {f"department:{name}": set() for name in sorted(bounds.departments)}
    for user in ground.snapshot.users.values():
        names = [f"role:{role}" for role in user.roles]
        names += [f"department:{post.department}" for post in user.posts if post.period.holds(ground.now)]
        for name in names:
            if name in found:
                found[name].add(user.id)
    return found


def blindness(ground: Ground, bounds: Bounds) -> list[dict[str, Any]]:
    """Why this directory shows nothing, as faults; empty where it can be believed."""
    snapshot = ground.snapshot
    if not snapshot.users or not snapshot.devices:
        return [
            _fault("directory_empty", Text("台帳に利用者か端末がない", "the directory holds no people or no devices"))
        ]
    found: list[dict[str, Any]] = []
    sources = source_states(snapshot, Horizon(ground.now))
    for name, state in (("posture", sources.posture), ("identity", sources.identity)):
        if state != "ok":
            words = Text(f"情報源 {name} が利用できない", f"the source of {name} is unavailable")
            found.append(_fault("source_unavailable", words))
    limit = stale_after(ground.active.data)
    seen = freshness(snapshot, ground.now, limit)
    reported = seen.fresh + seen.stale
    if not seen.fresh or seen.stale > bounds.stale_share * reported:
        hours = limit // timedelta(hours=1)
        words = Text(
            f"端末の状態が古い: 報告のある {reported:,} 台のうち {seen.stale:,} 台が {hours} 時間より前",
            f"posture is stale: of {reported:,} devices that reported, {seen.stale:,} did more than {hours} hours ago",
        )
        found.append(_fault("posture_stale", words))
    for name, people in protected(ground, bounds).items():
        if not people:  # misspelt, or lost in an import: either way it would protect nobody
            words = Text(f"守るべき {name} に当たる利用者がいない", f"nobody is of the protected `{name}`")
            found.append(_fault("nobody_protected", words))
    return found


def _faults(report: Report, hurt: Mapping[str, Sequence[str]], bounds: Bounds) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if all(name.startswith("deny ") for name in report.differences.transitions):
        words = Text("現行のポリシーは誰にも何も許可していない", "the active policy permits nobody anything")
        found.append(_fault("nothing_to_lose", words))
    losing, everyone = len(report.losing), len(report.pairs.users)
    if losing > bounds.losing_share * everyone:
        words = Text(
            f"システムを利用できなくなる利用者が {losing:,} / {everyone:,} 人で、上限 {bounds.losing_share:.2%} 超",
            f"{losing:,} of {everyone:,} people lose a system, more than {bounds.losing_share:.2%}",
        )
        found.append(_fault("too_many_lose", words))
    shut, terminals = len(report.devices_losing), len(report.pairs.devices)
    if shut > bounds.losing_device_share * terminals:
        words = Text(
            f"システムを利用できなくなる端末が {shut:,} / {terminals:,} 台で、上限 {bounds.losing_device_share:.2%} 超",
            f"{shut:,} of {terminals:,} devices lose a system, more than {bounds.losing_device_share:.2%}",
        )
        found.append(_fault("too_many_devices_lose", words))
    for name, people in hurt.items():
        if people:
            shown = ", ".join(people[:MAX_NAMED]) + (", …" if len(people) > MAX_NAMED else "")
            words = Text(
                f"守るべき {name} の {len(people):,} 人が利用の一部を失う: {shown}",
                f"{len(people):,} people of the protected `{name}` lose something: {shown}",
            )
            found.append(_fault("protected_lose", words))
    return found


def _kept(report: Report) -> dict[str, Any]:
    told = report.as_json()
    kinds = told["kinds"]
    told["further_kinds"] += sum(kind["cells"] for kind in kinds[MAX_KINDS:])
    return {**told, "kinds": kinds[:MAX_KINDS]}


def _fault(code: str, words: Text) -> dict[str, Any]:
    return {"where": None, "code": code, "en": words.en, "ja": words.ja}
