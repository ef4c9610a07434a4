"""An export in the process that asks: batches of the engine, through the veil, as the bytes of a file."""

from __future__ import annotations

from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING

import pyarrow as pa

from pdp.archive.export import FORMATS, Style
from pdp.audit.question import Tail
from pdp.audit.veil import veiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pdp.archive.asking import DecisionSearch, Filters
    from pdp.audit.question import Export
    from pdp.privacy.pseudonym import Pseudonyms


def export(  # noqa: PLR0913, PLR0917  # what is asked, of whom, through which veil, to whom
    search: DecisionSearch,
    ask: Export,
    filters: Filters,
    pseudonyms: Pseudonyms | None,
    begin: Callable[[], None],
    give: Callable[[bytes], None],
) -> Tail:
    """All records that the filters mean, oldest first. `begin` is called once, before the first bytes.

    Raises as `DecisionSearch.stream`, also after the first bytes: then what was given is not the whole.
    """
    rows, digest = 0, sha256()

    def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal rows
        for batch in batches:
            rows += batch.num_rows
            yield batch if pseudonyms is None else _behind(batch, pseudonyms)

    style = Style(heads=ask.lang, utc_offset_min=ask.utc_offset_min)
    with closing(search.stream(filters)) as batches:  # type: ignore[type-var]  # an engine's iterator is a generator
        begun = False
        for chunk in FORMATS[ask.format].chunks(counted(batches), style):
            if not begun:
                begin()
                begun = True
            digest.update(chunk)
            give(chunk)
    return Tail(rows, digest.hexdigest())


def _behind(batch: pa.RecordBatch, pseudonyms: Pseudonyms) -> pa.RecordBatch:
    table = veiled(pa.Table.from_batches([batch]), pseudonyms).combine_chunks()
    found = table.to_batches()
    return found[0] if found else pa.RecordBatch.from_pylist([], schema=table.schema)
