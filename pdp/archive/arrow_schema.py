"""The columns of `pdp.archive.schema` as Arrow has them. Apart from it, because whoever decides needs no Arrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pdp.archive.schema import COLUMNS

if TYPE_CHECKING:
    from pdp.archive.schema import Kind

_ARROW: Final[dict[Kind, pa.DataType]] = {
    "text": pa.string(),
    "free_text": pa.string(),
    "time": pa.timestamp("us"),
    "uuid": pa.uuid(),
    "digest": pa.binary(32),
    "number": pa.int64(),
    "flag": pa.string(),
    "count": pa.int64(),
    "list": pa.list_(pa.string()),
    "bytes": pa.binary(),
}
_DICTIONARY: Final = pa.dictionary(pa.int32(), pa.string())

STORED: Final = pa.schema([(column.name, _ARROW[column.kind]) for column in COLUMNS])
"""As the columns stand in a file, and as a query sees them."""

IN_MEMORY: Final = pa.schema([(c.name, _DICTIONARY if c.kind in ("text", "flag") else _ARROW[c.kind]) for c in COLUMNS])
"""The same with dictionaries for what repeats: a third of the memory while many rows are sorted."""
