"""Two judgements of everybody side by side: who gains, who loses, and where.

A cell is one person with one terminal at one system under one context. To lose is that something is refused which was
not before; to be held to more is a new step-up or a new limit. A person loses a system in a context where no terminal
of theirs reaches it any more; a terminal, where nobody reaches it with this terminal any more. A step-up to a level
that the context has already is a refusal: nobody gets past it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from pdp.simulate.codes import grouped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pdp.replaying.answer import Answer
    from pdp.simulate.codes import Codes
    from pdp.simulate.held import Soft
    from pdp.simulate.judging import Column
    from pdp.simulate.people import Pairs

Change = Literal["loses", "gains", "stricter", "easier", "other"]
CHANGES: Final[tuple[Change, ...]] = ("loses", "gains", "stricter", "easier", "other")
MAX_KINDS: Final = 500  # of changes, told one by one; what is beyond is counted
_RANK: Final = {"deny": 0, "step_up": 1, "limit": 2, "allow": 3}
_HIGHEST_LEVEL: Final = 3  # of authentication, `pdp.model.input`
_AT_A_TIME: Final = 20_000  # pairs by some hundred questions: a few megabytes


class Side(NamedTuple):
    """One judgement. `row` gives the row of each pair, `column` the number of the answer in `answers`."""

    row: Codes
    column: Column
    answers: Sequence[Answer]


class Kind(NamedTuple):
    """`change` is by the two answers alone, without the level that the context has."""

    before: Answer
    after: Answer

    @property
    def change(self) -> Change:
        old, new = _RANK[self.before.outcome], _RANK[self.after.outcome]
        if old == new:
            return "other"
        if 0 in (old, new):
            return "loses" if new == 0 else "gains"
        return "stricter" if new < old else "easier"


Grouping = tuple["Codes", "Sequence[str]"]
"""By row the place of a word, and the words."""


@dataclass(frozen=True)
class Sample:
    pair: int
    question: int


class Held(NamedTuple):
    """Refusals that a time of warning would hold over, as cells: those that lose, and new step-ups; of whom.

    `losing`: users who lose a system all the same, with every terminal of theirs, because something of it is hard.
    """

    loses: int
    step_ups: int
    users: Codes
    losing: Codes


@dataclass(frozen=True)
class Differences:
    """Counts of cells, of the changes by who and what; `people` and `terminals` lose or gain a system altogether."""

    kinds: list[tuple[Kind, int, list[Sample]]]
    more: int  # cells that differ in further ways
    transitions: Counter[str]
    spread: dict[Change, dict[str, Counter[str]]]
    cells: Counter[Change]
    touched: dict[Change, Codes]  # users with at least one such cell
    people: dict[Literal["loses", "gains"], NDArray[np.bool_]]  # user by question
    terminals: dict[Literal["loses", "gains"], NDArray[np.bool_]]  # device by question
    held: Held | None  # what a time of warning would hold over, where that was asked
    held_up: Codes  # users with at least one step-up where there was none and nothing was refused
    equal: int


@dataclass(frozen=True)
class Groupings:
    """What each pair and each question is counted under, besides the question's own number."""

    of_pair: Mapping[str, Grouping]
    of_question: Mapping[str, Grouping]


def compare(  # noqa: PLR0913, PLR0917  # two sides, and what is said of them
    pairs: Pairs, before: Side, after: Side, groupings: Groupings, levels: Codes, samples: int, soft: Soft | None = None
) -> Differences:
    """Pure. `levels`: by question, the authentication level stated. `samples`: cells named of each kind of change.

    `soft`: the cells that a time of warning may hold over.
    """
    told_apart = [] if soft is None else [soft.of_pair]
    rows = grouped([before.column.of_row[before.row], after.column.of_row[after.row], *told_apart], len(pairs))
    old = _answers(before, rows.first)
    new = _answers(after, rows.first)
    answers = {answer: number for number, answer in enumerate(dict.fromkeys([*before.answers, *after.answers]))}
    old = np.array([answers[answer] for answer in before.answers], np.int64)[old]
    new = np.array([answers[answer] for answer in after.answers], np.int64)[new]
    weight = np.bincount(rows.of, minlength=len(rows))
    told = list(answers)
    kinds, more = _kinds(old, new, weight, told, rows.first, samples)
    shut_before, shut_after = _refused(old, told, levels), _refused(new, told, levels)
    change = _changes(old, new, told)
    change[shut_before & shut_after & (old != new)] = CHANGES.index("other")
    change[~shut_before & shut_after] = CHANGES.index("loses")
    change[shut_before & ~shut_after] = CHANGES.index("gains")
    permitted = _with(old, told, "allow", "limit")
    held_up = np.asarray((permitted & _with(new, told, "step_up")).any(1), np.bool_)
    spread = {name: _spread(change == at, rows.of, len(rows), groupings) for at, name in enumerate(CHANGES)}
    cells = Counter({name: int(((change == at).sum(1) * weight).sum()) for at, name in enumerate(CHANGES)})
    touched = {
        name: np.unique(pairs.user[(change == at).any(1)[rows.of]]).astype(np.int64) for at, name in enumerate(CHANGES)
    }
    held = None
    if soft is not None:
        kept = permitted & ~_with(new, told, "allow", "limit") & soft.table[soft.of_pair[rows.first]]
        left = _reached(pairs.user, len(pairs.users), ~shut_after | kept, rows.of)
        had = _reached(pairs.user, len(pairs.users), ~shut_before, rows.of)
        held = Held(
            int(((kept & (change == CHANGES.index("loses"))).sum(1) * weight).sum()),
            int(((kept & (change != CHANGES.index("loses"))).sum(1) * weight).sum()),
            np.unique(pairs.user[np.asarray(kept.any(1), np.bool_)[rows.of]]).astype(np.int64),
            np.flatnonzero((had & ~left).any(1)).astype(np.int64),
        )
    by_device = np.argsort(pairs.device, kind="stable")
    of_people = [_reached(pairs.user, len(pairs.users), ~shut, rows.of) for shut in (shut_before, shut_after)]
    of_terminals = [
        _reached(pairs.device[by_device], len(pairs.devices), ~shut, rows.of[by_device])
        for shut in (shut_before, shut_after)
    ]
    return Differences(
        kinds,
        more,
        _transitions(old, new, weight, told),
        spread,
        +cells,
        touched,
        {"loses": of_people[0] & ~of_people[1], "gains": of_people[1] & ~of_people[0]},
        {"loses": of_terminals[0] & ~of_terminals[1], "gains": of_terminals[1] & ~of_terminals[0]},
        held,
        np.unique(pairs.user[held_up[rows.of]]).astype(np.int64),
        int(((old == new).sum(1) * weight).sum()),
    )


def _with(table: Codes, told: Sequence[Answer], *outcomes: str) -> NDArray[np.bool_]:
    return np.array([answer.outcome in outcomes for answer in told], np.bool_)[table]


def _refused(table: Codes, told: Sequence[Answer], levels: Codes) -> NDArray[np.bool_]:
    """By group and question: a deny, or a step-up that asks for what the context has already."""
    asked = np.array([answer.required_auth_level or 0 for answer in told], np.int64)[table]
    beyond_reach = (asked <= levels) | (asked > _HIGHEST_LEVEL)
    return _with(table, told, "deny") | (_with(table, told, "step_up") & beyond_reach)


def _answers(side: Side, pairs: Codes) -> Codes:
    """By group of pairs and question: the number of the answer."""
    column = side.column
    return column.table[np.ix_(column.of_row[side.row[pairs]], column.of_question)]


def _kinds(  # noqa: PLR0913, PLR0917  # two tables and what is said of them
    old: Codes, new: Codes, weight: Codes, told: Sequence[Answer], first: Codes, samples: int
) -> tuple[list[tuple[Kind, int, list[Sample]]], int]:
    at = np.flatnonzero((old != new).ravel())
    together = old.ravel()[at] * len(told) + new.ravel()[at]
    cells = weight[at // old.shape[1]]
    found: list[tuple[Kind, int, list[Sample]]] = []
    which, inverse = np.unique(together, return_inverse=True)
    counts = np.bincount(inverse, weights=cells, minlength=len(which)).astype(np.int64)
    for number in np.argsort(-counts, kind="stable")[:MAX_KINDS].tolist():
        places = at[inverse == number]
        chosen = places[np.linspace(0, len(places) - 1, min(samples, len(places))).astype(np.int64)]  # from afar
        kind = Kind(told[int(which[number]) // len(told)], told[int(which[number]) % len(told)])
        found.append(
            (
                kind,
                int(counts[number]),
                [Sample(int(first[p // old.shape[1]]), int(p % old.shape[1])) for p in chosen.tolist()],
            )
        )
    return found, int(counts.sum()) - sum(count for _, count, _ in found)


def _changes(old: Codes, new: Codes, told: Sequence[Answer]) -> NDArray[np.int8]:
    """By group and question: the number of the change in CHANGES, -1 where nothing changes."""
    number = np.full((len(told), len(told)), -1, np.int8)
    for one, before in enumerate(told):
        for other, after in enumerate(told):
            if one != other:
                number[one, other] = CHANGES.index(Kind(before, after).change)
    return number[old, new]


def _transitions(old: Codes, new: Codes, weight: Codes, told: Sequence[Answer]) -> Counter[str]:
    found: Counter[str] = Counter()
    outcome = np.array([_RANK[answer.outcome] for answer in told], np.int64)
    names = {rank: name for name, rank in _RANK.items()}
    together = outcome[old] * len(_RANK) + outcome[new]
    for number in np.unique(together).tolist():
        cells = int(((together == number).sum(1) * weight).sum())
        found[f"{names[number // len(_RANK)]} → {names[number % len(_RANK)]}"] = cells
    return found


def _spread(hit: NDArray[np.bool_], of: Codes, groups: int, groupings: Groupings) -> dict[str, Counter[str]]:
    """Cells of one change, by what a pair or a question is counted under."""
    found: dict[str, Counter[str]] = {}
    per_group = hit.sum(1)
    weight = np.bincount(of, minlength=groups)
    for name, (which, words) in groupings.of_pair.items():
        counts = np.bincount(which, weights=per_group[of], minlength=len(words))
        found[name] = Counter({word: int(n) for word, n in zip(words, counts, strict=True) if n})
    per_question = weight @ hit
    for name, (which, words) in groupings.of_question.items():
        counts = np.bincount(which, weights=per_question, minlength=len(words))
        found[name] = Counter({word: int(n) for word, n in zip(words, counts, strict=True) if n})
    return found


def _reached(whose: Codes, how_many: int, is_open: NDArray[np.bool_], of: Codes) -> NDArray[np.bool_]:
    """By person (or terminal) and question: is there a pair of theirs with which it is not refused?

    `whose`: of each pair, in ascending order; `of`: its group, a row of `is_open`.
    """
    found = np.zeros((how_many, is_open.shape[1]), np.bool_)
    for start in range(0, len(whose), _AT_A_TIME):
        some = whose[start : start + _AT_A_TIME]
        begins = np.flatnonzero(np.r_[True, some[1:] != some[:-1]])
        found[some[begins]] |= np.logical_or.reduceat(is_open[of[start : start + _AT_A_TIME]], begins, axis=0)
    return found
