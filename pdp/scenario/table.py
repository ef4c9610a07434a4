"""Scenarios as the rows of a table, which people edit in a spreadsheet: what both ways of it share. Pure.

One row says one step: when, who asks for what, what is expected, and beside it the first person, terminal, permit and
so on of the directory. Whatever there is more of stands in further rows below, in its own columns; a blank `id` means
the scenario above. Rows without a step number are the story's own; steps are numbered from 1.

A round trip loses nothing that the format holds: the scenarios read from the table (`from_table`) are equal to those
that were written (`to_table`). What a table cannot hold is refused, with its scenario and column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pdp.errors import ScenarioError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ROWS: Final = 20_000
REPORTED: Final = "reported"  # in the column `device.posture`: the facts stand in the columns after it


class TableFault(NamedTuple):
    """What is wrong, and where: `row` as a spreadsheet counts, `column` the heading; 0 and empty: nowhere in it."""

    row: int
    column: str
    ja: str
    en: str

    def __str__(self) -> str:
        where = f"row {self.row}" if self.row else "the table"
        return f"{where}{f', column {self.column}' if self.column else ''}: {self.en}"

    @property
    def in_japanese(self) -> str:
        where = f"{self.row} 行目" if self.row else "表"
        return f"{where}{f'「{self.column}」' if self.column else ''}: {self.ja}"


class TableError(ScenarioError):
    """A table that holds no scenarios, or scenarios that no table can hold; all that was found is told."""

    def __init__(self, faults: Sequence[TableFault]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults[:3]) or "the table holds no scenario")
        self.faults = tuple(faults)
