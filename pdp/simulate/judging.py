"""Everybody judged: every row of pairs under every question, rule by rule.

A rule is asked once for each different sight of it: the facts that it reads itself, and what the rules that it asks
have said. What tells two rows apart for a rule need not tell them apart for the next one, so the numbers of rows that
differ stay small: 3 days or 12 since a patch are one to whoever asks only whether it is overdue.

INVARIANT (by parts): see `pdp.bundle.dependence`. `second_opinion` in `population` holds a sample of the outcome
against the whole policy, each time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from pdp.errors import BundleError
from pdp.simulate.codes import Numbering, alike_rows, grouped
from pdp.simulate.leaves import leaves_read
from pdp.simulate.probe import asking_for, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pdp.bundle.dependence import Step
    from pdp.bundle.syntax import Path
    from pdp.engine.port import Engine
    from pdp.simulate.asked import Asked
    from pdp.simulate.codes import Codes
    from pdp.simulate.people import PairFacts

MAX_EVALUATIONS: Final = 300_000  # some two minutes; the shipped policy takes a few thousand
MAX_CELLS: Final = 60_000_000  # of one table of numbers: half a gigabyte


@dataclass(frozen=True)
class Column:
    """The number of a value for each row of pairs and each question: `table[of_row[row], of_question[question]]`."""

    of_row: Codes
    of_question: Codes
    table: Codes


@dataclass
class Judged:
    """What the last step, the entry point, says of each row and question; `values` by the number in the column."""

    column: Column
    values: list[bytes]
    evaluations: int


@dataclass
class Judging:
    """One run over one policy. `ended` is asked between the rounds; `told` hears how many steps are done."""

    steps: Sequence[Step]
    facts: PairFacts
    asked: Asked
    engine: Engine
    told: Callable[[int], None] = lambda _: None
    ended: Callable[[], bool] = lambda: False
    evaluations: int = 0
    _columns: dict[Path, Column] = field(default_factory=dict)
    _facts: dict[Path, Column] = field(default_factory=dict)

    async def run(self) -> Judged | None:
        """None where it was ended early. Raises BundleError for a policy that cannot be judged by parts, EngineError
        where the engine is lost.
        """
        values: list[bytes] = []
        left = dict(enumerate(self.steps))
        while left:
            if self.ended():
                return None
            ready = {n: step for n, step in left.items() if all(path in self._columns for path in step.asks)}
            works = [_Work(number, self._sight(step), self.facts, self.asked) for number, step in ready.items()]
            self.evaluations += sum(len(work) for work in works)
            if self.evaluations > MAX_EVALUATIONS:
                raise BundleError(
                    f"more than {MAX_EVALUATIONS} inputs are different to this policy",
                    next_step="let rules read single facts, not whole objects; `pdp bundle inspect` shows where",
                )
            said = await values_of(self.engine, [document for work in works for document in work.documents()])
            for work in works:
                self._columns[self.steps[work.number].path], values = work.column(said[: len(work)])
                said = said[len(work) :]
                del left[work.number]
            self.told(len(works))
        return Judged(self._columns[self.steps[-1].path], values, self.evaluations)

    def _sight(self, step: Step) -> list[Column]:
        """All that this step can tell rows and questions apart by."""
        return [
            *(self._fact(leaf) for leaf in leaves_read(step.reads)),
            *(self._columns[path] for path in step.asks),
        ]

    def _fact(self, leaf: Path) -> Column:
        if leaf not in self._facts:
            rows, questions = len(self.facts.rows), len(self.asked.questions)
            if leaf in self.facts.columns:
                of = self.facts.columns[leaf]
                self._facts[leaf] = _of_rows(of, questions)
            elif leaf in self.asked.columns:
                of = self.asked.columns[leaf]
                self._facts[leaf] = Column(np.zeros(rows, np.int64), of, np.arange(_most(of)).reshape(1, -1))
            else:
                table = self.asked.between[leaf]
                self._facts[leaf] = Column(self.facts.named_of, np.arange(questions), table)
        return self._facts[leaf]


class _Work:
    """One step: the groups of rows and questions that look different to it, and one document for each pair of them."""

    def __init__(self, number: int, sight: Sequence[Column], facts: PairFacts, asked: Asked) -> None:
        self.number = number
        self._facts, self._asked = facts, asked
        self._rows = grouped([column.of_row for column in sight], len(facts.rows))
        self._questions = grouped([column.of_question for column in sight], len(asked.questions))
        if len(self._rows) * len(self._questions) > MAX_CELLS:
            raise BundleError("this policy tells too many people, terminals and systems apart to judge all of them")
        seen = [
            column.table[np.ix_(column.of_row[self._rows.first], column.of_question[self._questions.first])].ravel()
            for column in sight
        ]
        self._cells = grouped(seen, len(self._rows) * len(self._questions))

    def __len__(self) -> int:
        return len(self._cells)

    def documents(self) -> list[bytes]:
        width = len(self._questions)
        return [
            asking_for(
                self._asked.document(
                    self._facts, int(self._rows.first[at // width]), int(self._questions.first[at % width])
                ),
                self.number,
            )
            for at in self._cells.first.tolist()
        ]

    def column(self, said: Sequence[bytes]) -> tuple[Column, list[bytes]]:
        """The step's own column, in which what it says alike of everything is one."""
        numbers = Numbering[bytes]()
        table = numbers.all(said)[self._cells.of].reshape(len(self._rows), len(self._questions))
        rows = alike_rows(table)
        questions = alike_rows(table[rows.first].T)
        small = table[np.ix_(rows.first, questions.first)]
        column = Column(rows.of[self._rows.of], questions.of[self._questions.of], small)
        return column, numbers.values


def _of_rows(of: Codes, questions: int) -> Column:
    return Column(of, np.zeros(questions, np.int64), np.arange(_most(of)).reshape(-1, 1))


def _most(of: Codes) -> int:
    return int(of.max(initial=0)) + 1
