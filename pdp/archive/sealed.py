"""A sealed segment, read once: its records as rows, its ends, and the digests that the store must give back."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from pdp.archive.bodies import bodies_of
from pdp.archive.intake import Intake
from pdp.declog.line import GENESIS, frame, parse
from pdp.errors import RecordDamagedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from pdp.archive.intake import Parts
    from pdp.declog.layout import SegmentName
    from pdp.declog.line import Line


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """What is known of a segment besides its rows.

    `whole`: every line followed from the one before it; `sha256` is that of the file. `records_sha256` is over
    `SEQ:BODY` lines of the proven records that count here, and holds for a damaged segment too. `header` and `footer`
    are their bodies. `has_twins`: some of its records count in another segment (`pdp.archive.twins`), and only its own
    file has them all.
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
    has_twins: bool = False

    @property
    def can_be_given_back(self) -> bool:
        """Whether its file can be written again, byte for byte, from header, stored rows and footer."""
        return self.whole and not self.has_twins and self.header is not None


def read_sealed(
    name: SegmentName, path: Path, parts: Parts | None = None, passed_over: Collection[int] = ()
) -> tuple[SealedSegment, pa.Table]:
    """The segment and its proven records as a table. Raises OSError; damage is told, not raised.

    `parts` are remembered from one segment to the next. `passed_over` are the numbers of records that count in another
    segment (`pdp.archive.twins`).
    """
    digest, records_digest, size = sha256(), sha256(), 0
    intake = Intake(str(name), parts)
    seqs: list[int] = []
    header = footer = None
    whole, has_twins = True, False
    chain: bytes | None = GENESIS
    before: Line | None = None
    with path.open("rb") as file:
        for raw in file:
            digest.update(raw)  # of the very bytes that lie there, whatever they mean
            size += len(raw)
            line = parse(raw)  # None for what has no shape, and for an incomplete last line
            proven = line is not None and line.follows(chain)
            whole = whole and proven and _in_place(line, before)
            chain = None if line is None else line.chain
            before = line
            if line is None or not proven:
                continue
            if line.kind == "record" and seqs and line.seq <= seqs[-1]:
                whole = False  # a copy of lines that stand before it: each follows from the one before it there too
            elif line.kind == "record" and line.seq in passed_over:
                has_twins = True
            elif line.kind == "record":
                intake.add(line.seq, line.body)
                seqs.append(line.seq)
                records_digest.update(b"%d:%b\n" % (line.seq, line.body))
            elif line.kind == "header":
                header = line.body
            else:
                footer = line.body
    segment = SealedSegment(
        name=name,
        sha256=digest.hexdigest(),
        size=size,
        records=len(seqs),
        records_sha256=records_digest.hexdigest(),
        first_seq=seqs[0] if seqs else None,
        last_seq=seqs[-1] if seqs else None,
        whole=whole and header is not None,
        header=header,
        footer=footer,
        has_twins=has_twins,
    )
    return segment, intake.table()


def _in_place(line: Line | None, before: Line | None) -> bool:
    """A header first and only there, nothing after the footer: else header, records and footer are not the file."""
    if line is None or (before is None) != (line.kind == "header"):
        return False
    return before is None or before.kind != "footer"


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


def prove(segment: SealedSegment, table: pa.Table) -> list[tuple[int, bytes]]:
    """Hold stored rows, in the order of their numbers, against the segment that they came from; gives its records.

    Raises RecordDamagedError where one byte differs: the chain of a whole segment is derived again.
    """
    records = list(zip(table["seq"].to_pylist(), bodies_of(table), strict=True))
    digest = sha256()
    if segment.can_be_given_back and segment.header is not None:
        expected = segment.sha256  # of every line, and so of every record
        for raw in lines_again(segment.header, records, segment.footer):
            digest.update(raw)
    else:
        expected = segment.records_sha256
        for pair in records:
            digest.update(b"%d:%b\n" % pair)
    if digest.hexdigest() != expected:
        raise RecordDamagedError(f"the store does not give segment `{segment.name}` back as it was")
    return records
