"""What an operator is shown of a table: the columns of `veil_lists` alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from pdp.audit.veil_lists import PSEUDONYMS, SHOWN

if TYPE_CHECKING:
    from pdp.privacy.pseudonym import Pseudonyms


def veiled(table: pa.Table, pseudonyms: Pseudonyms) -> pa.Table:
    """The table as an operator may see it."""
    names = [name for name in table.column_names if name in PSEUDONYMS or name in SHOWN]
    return pa.table(
        [_veiled(table[name], PSEUDONYMS[name], pseudonyms) if name in PSEUDONYMS else table[name] for name in names],
        names=names,
    )


def _veiled(column: pa.ChunkedArray, kind: str, pseudonyms: Pseudonyms) -> pa.ChunkedArray:
    """Each value once: people repeat."""
    texts = column.cast(pa.string()).combine_chunks()
    array = texts if isinstance(texts, pa.Array) else pa.concat_arrays(texts.chunks)
    coded = array.dictionary_encode()
    words = [pseudonym_of(kind, word, pseudonyms) for word in coded.dictionary.to_pylist()]
    return pa.chunked_array(
        [pa.DictionaryArray.from_arrays(coded.indices, pa.array(words, pa.string())).cast(pa.string())]
    )


def pseudonym_of(kind: str, value: str | None, pseudonyms: Pseudonyms) -> str | None:
    """INVARIANT (ours alone): also what has a pseudonym's form gets one. Anybody may write somebody else's into a
    request as a name, and would stand among that one's decisions.
    """
    return value if value is None else pseudonyms.of(kind, value)


def stands_for(pseudonym: str, kind: str, value: str, pseudonyms: Pseudonyms) -> bool:
    """Whether an operator has seen this value under that name, by the present key or an earlier one."""
    return pseudonym in pseudonyms.all_of(kind, value)
