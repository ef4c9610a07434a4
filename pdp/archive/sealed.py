"""A sealed segment, read once: its records as rows, its ends, and the digests that the store must give back."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from pdp.archive.columns import body_of, row_of, table_of
from pdp.archive.schema import INDEX
from pdp.declog.line import GENESIS, frame, parse
from pdp.declog.reader import read_lines
from pdp.errors import RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.columns import Row
    from pdp.declog.layout import SegmentName
    from pdp.declog.line import Line


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """What is known of a segment besides its rows.

    `whole`: every line followed from the one before it, so that its file can be written again byte for byte
    from header, records and footer; `sha256` is that of the file. `records_sha256` is over `SEQ:BODY` lines of
    the proven records, and holds for a damaged segment too. `header` and `footer` are their bodies.
    """

    name: SegmentName
    sha256: str
    size: int  # bytes of the file
    records: int
    records_sha256: str
    first_seq: int | None
    last_seq: int | None
    whole: bool
    header: bytes | None
    footer: bytes | None


def read_sealed(name: SegmentName, path: Path) -> tuple[SealedSegment, pa.Table]:
    """The segment and its proven records as a table. Raises OSError; damage is told, not raised."""
    digest, records_digest, size = sha256(), sha256(), 0
    rows: list[Row] = []
    header = footer = None
    whole = True
    with path.open("rb") as file:  # the digest is of the very bytes that lie there, whatever they mean
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            size += len(chunk)
    for read in read_lines(path):
        line = read.line
        if read.state != "proven" or line is None:
            whole = False
            continue
        if line.kind == "record":
            rows.append(row_of(str(name), line.seq, line.body))
            records_digest.update(b"%d:%b\n" % (line.seq, line.body))
        elif line.kind == "header":
            header = line.body
        else:
            footer = line.body
    seqs = [row[INDEX["seq"]] for row in rows]
    segment = SealedSegment(
        name=name,
        sha256=digest.hexdigest(),
        size=size,
        records=len(rows),
        records_sha256=records_digest.hexdigest(),
        first_seq=seqs[0] if seqs else None,
        last_seq=seqs[-1] if seqs else None,
        whole=whole and header is not None and _unbroken(path),
        header=header,
        footer=footer,
    )
    return segment, table_of(rows)


def _unbroken(path: Path) -> bool:
    """A header first and only there, nothing after the footer: else header, records and footer are not the file."""
    before: Line | None = None
    with path.open("rb") as file:
        for raw in file:
            line = parse(raw)
            if line is None or (before is None) != (line.kind == "header"):
                return False
            if before is not None and before.kind == "footer":
                return False
            before = line
    return True


def lines_again(header: bytes, records: Iterable[tuple[int, bytes]], footer: bytes | None) -> Iterator[bytes]:
    """The lines of a whole segment, chain and all. Raises ValueError for a header without its number."""
    first = msgspec.json.decode(header)["last_seq"]
    raw, chain = frame(GENESIS, "header", first, header)
    yield raw
    seq = first
    for number, body in records:
        seq = number
        raw, chain = frame(chain, "record", seq, body)
        yield raw
    if footer is not None:
        yield frame(chain, "footer", seq, footer)[0]


def prove(segment: SealedSegment, rows: Iterable[Row]) -> None:
    """Hold stored rows, in the order of their numbers, against the segment that they came from.

    Raises RecordDamagedError where one byte differs: the chain of a whole segment is derived again.
    """
    bodies = [(row[INDEX["seq"]], body_of(row)) for row in rows]
    records = sha256(b"".join(b"%d:%b\n" % pair for pair in bodies)).hexdigest()
    again = None
    if segment.whole and segment.header is not None:
        digest = sha256()
        for raw in lines_again(segment.header, bodies, segment.footer):
            digest.update(raw)
        again = digest.hexdigest()
    if records != segment.records_sha256 or (segment.whole and again != segment.sha256):
        raise RecordDamagedError(f"the store does not give segment `{segment.name}` back as it was")
