"""Columns of small numbers: equal numbers, equal values. So a million rows are compared at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

_T = TypeVar("_T", bound="Hashable")
Codes = NDArray[np.int64]


class Groups(NamedTuple):
    """Rows that agree in every column. `of`: the group of each row; `first`: a row of each group."""

    of: Codes
    first: Codes

    def __len__(self) -> int:
        return len(self.first)


class Numbering(Generic[_T]):
    """A number for each different value, in the order of their coming."""

    def __init__(self) -> None:
        self.values: list[_T] = []
        self._numbers: dict[_T, int] = {}

    def of(self, value: _T) -> int:
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = len(self.values)
            self.values.append(value)
        return number

    def all(self, values: Iterable[_T]) -> Codes:
        return np.fromiter((self.of(value) for value in values), np.int64)


def grouped(columns: Sequence[Codes], rows: int) -> Groups:
    """The groups of rows that agree in all columns; without columns all rows are one group."""
    together = np.zeros(rows, np.int64)
    for column in columns:
        _, left = np.unique(together, return_inverse=True)
        _, right = np.unique(column, return_inverse=True)
        together = left.reshape(-1) * (int(right.max(initial=0)) + 1) + right.reshape(-1)
    _, first, of = np.unique(together, return_index=True, return_inverse=True)
    return Groups(of.reshape(-1), first)


def alike_rows(table: Codes) -> Groups:
    """The rows of a table that are equal in every cell."""
    _, first, of = np.unique(table, axis=0, return_index=True, return_inverse=True)
    return Groups(of.reshape(-1), first)
