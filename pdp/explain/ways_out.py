"""The smallest sets of mends that turn a deny or a step-up into an allow or a limit.

Breadth first: single mends, then pairs, then threes. A set that contains one that already suffices is
not asked about, so every set that is found is minimal: each of its mends is needed. Every one of them was
evaluated by the policy itself; nothing is concluded from reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import TYPE_CHECKING, Final

from pdp.errors import BadRequestError
from pdp.explain.fact_table import with_values
from pdp.explain.mends import mends_of
from pdp.explain.standing import effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pdp.explain.case import Case
    from pdp.explain.mends import Mend
    from pdp.model.decision import Verdict
    from pdp.model.input import InputV1

MOST_MENDS: Final = 3  # who needs four things done asks a person
MOST_EVALUATIONS: Final = 2_000  # some two seconds of one core
_BATCH: Final = 200  # so that a found set prunes what is still to be asked


@dataclass(frozen=True, slots=True)
class WayOut:
    """Do all of `mends`, and the answer is `verdict`, which permits. `document` is the one that was judged."""

    mends: tuple[Mend, ...]
    verdict: Verdict
    document: InputV1


@dataclass(frozen=True, slots=True)
class WaysOut:
    """Smallest first. `complete` is false where `MOST_EVALUATIONS` ended the search: there may be more."""

    found: tuple[WayOut, ...]
    evaluated: int
    complete: bool


@dataclass(slots=True)
class _Search:
    case: Case
    limit: int
    found: list[WayOut] = field(default_factory=list)
    evaluated: int = 0
    complete: bool = True
    promising: dict[int, int] = field(default_factory=dict)  # id of a mend: 0 where it alone brings nearer


async def ways_out(case: Case, *, most: int = MOST_MENDS, limit: int = MOST_EVALUATIONS) -> WaysOut:
    """The minimal sets of at most `most` mends; none where the verdict already permits."""
    search = _Search(case, limit)
    if not case.verdict.permits:
        mends = mends_of(case.document, case.parameters)
        for size in range(1, most + 1):
            await _try(search, _sets(search, mends, size))
    found = [way for way in search.found if not any(_lighter(other, way) for other in search.found)]
    return WaysOut(tuple(found), search.evaluated, search.complete)


def _sets(search: _Search, mends: Sequence[Mend], size: int) -> list[tuple[Mend, ...]]:
    """Every set of this size whose mends change different facts; those of promising mends first."""
    sets = [chosen for chosen in combinations(mends, size) if _compatible(chosen)]
    return sorted(sets, key=lambda chosen: sum(search.promising.get(id(mend), 1) for mend in chosen))


def _compatible(chosen: tuple[Mend, ...]) -> bool:
    paths = [path for mend in chosen for path in mend.changes]
    return len(paths) == len(set(paths))


async def _try(search: _Search, sets: Iterable[tuple[Mend, ...]]) -> None:
    open_sets = _documents(search, sets)
    while True:
        room = min(_BATCH, search.limit - search.evaluated)
        batch = list(islice(open_sets, max(room, 1)))
        if not batch:
            return
        if room <= 0:
            search.complete = False
            return
        verdicts = await search.case.evaluate([document for _, document in batch])
        search.evaluated += len(batch)
        for (chosen, document), verdict in zip(batch, verdicts, strict=True):
            if verdict.permits:
                search.found.append(WayOut(chosen, verdict, document))
            elif len(chosen) == 1 and effect(search.case.verdict, verdict, search.case.reasons) == "eases":
                search.promising[id(chosen[0])] = 0


def _documents(search: _Search, sets: Iterable[tuple[Mend, ...]]) -> Iterator[tuple[tuple[Mend, ...], InputV1]]:
    """Lazily, so that what one batch found prunes the next."""
    for chosen in sets:
        if any(_within(way.mends, chosen) for way in search.found):
            continue
        changes = {path: value for mend in chosen for path, value in mend.changes.items()}
        try:
            yield chosen, with_values(search.case.document, changes)
        except BadRequestError:
            continue  # no such document can exist


def _within(smaller: tuple[Mend, ...], larger: tuple[Mend, ...]) -> bool:
    return all(any(mend is other for other in larger) for mend in smaller)


def _lighter(one: WayOut, other: WayOut) -> bool:
    """The same but for one mend, which changes the same facts with less effort: level 2 where 3 would do too."""
    if len(one.mends) != len(other.mends) or one is other:
        return False
    pairs = [(a, b) for a, b in zip(one.mends, other.mends, strict=True) if a is not b]
    return all(a.paths == b.paths for a, b in pairs) and any(a.effort < b.effort for a, b in pairs)
