"""Rows of the store as Arrow tables, and back. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pdp.archive.arrow_schema import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pdp.archive.rows import Row


def table_of(rows: Iterable[Row]) -> pa.Table:
    """Rows as an Arrow table in the in-memory schema."""
    by_column = list(zip(*rows, strict=True)) or [()] * len(IN_MEMORY)
    arrays = [_array(list(values), field.type) for values, field in zip(by_column, IN_MEMORY, strict=True)]
    return pa.Table.from_arrays(arrays, schema=IN_MEMORY)


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, kind)


def complete(table: pa.Table) -> pa.Table:
    """The table with the columns of today; what an older store did not know is NULL, and what is not ours goes."""
    for field in IN_MEMORY:
        if field.name not in table.schema.names:
            table = table.append_column(field.name, pa.nulls(table.num_rows, field.type))
    return table.select(IN_MEMORY.names)


def rows_of(table: pa.Table) -> Iterator[Row]:
    """The rows of a table that has the columns of the store, in its order."""
    names = IN_MEMORY.names
    for batch in complete(table).to_batches(max_chunksize=8_192):
        yield from zip(*(_values(batch.column(name)) for name in names), strict=True)


def _values(array: pa.Array) -> list[Any]:
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if isinstance(array, pa.DictionaryArray):
        words = array.dictionary.to_pylist()
        return [None if at is None else words[at] for at in array.indices.to_pylist()]
    values: list[Any] = array.to_pylist()
    return values
