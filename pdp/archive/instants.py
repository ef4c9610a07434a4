"""Columns of instants and their RFC 3339 texts, many at once. Pure.

A text has six digits of a second and ends in `Z`: what `pdp.declog.marks.rfc3339` writes.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # times of the store are UTC without an offset
_LENGTH: Final = 27  # 2026-04-01T00:00:00.000000Z
_SECONDS: Final = 19


def micros_of(texts: Sequence[str | None]) -> pa.Array:
    """Instants (UTC, without an offset) of texts. Raises ArrowException or ValueError for what is none, as 24:00."""
    given = pa.array(texts, pa.string())
    instants = given.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us"))
    if texts_of(instants) != [None if text is None else text.encode() for text in texts]:
        raise ValueError("a time does not come back as it was")
    return instants


def texts_of(instants: pa.Array) -> list[bytes | None]:
    """The text of each instant; None for NULL. Raises OverflowError for a year beyond 9999."""
    if instants.null_count == len(instants):
        return [None] * len(instants)
    micros = np.asarray(pc.fill_null(instants.cast(pa.int64()), 0))
    seconds, rest = np.divmod(micros, 1_000_000)
    distinct, at = np.unique(seconds, return_inverse=True)
    heads = b"".join(_head(int(second)) for second in distinct)
    text = np.empty((len(micros), _LENGTH), np.uint8)
    text[:, :_SECONDS] = np.frombuffer(heads, np.uint8).reshape(-1, _SECONDS)[at]
    text[:, _SECONDS] = ord(".")
    for place in range(6):
        rest, digit = np.divmod(rest, 10)
        text[:, _LENGTH - 2 - place] = digit + ord("0")
    text[:, -1] = ord("Z")
    joined = text.tobytes()
    texts: list[bytes | None] = [joined[at : at + _LENGTH] for at in range(0, len(joined), _LENGTH)]
    if instants.null_count:
        valid = instants.is_valid().to_pylist()
        return [text if there else None for text, there in zip(texts, valid, strict=True)]
    return texts


def _head(second: int) -> bytes:
    return (_EPOCH + timedelta(seconds=second)).isoformat(timespec="seconds").encode()
