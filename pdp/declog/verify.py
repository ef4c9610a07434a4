"""Is the log whole? Every line against the one before, every segment against the one that its header names.

What this cannot see: the newest segments of a worker cut away together, or a chain written anew by
someone who may write the files. For that, heads must be kept where the writer cannot reach.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from pdp.declog.layout import OPEN, segment_name
from pdp.declog.reader import read_lines, records_of, scan_segment
from pdp.declog.recovery import read_recovery

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pdp.declog.layout import Layout, SegmentName
    from pdp.declog.marks import Header, Previous, Recovery
    from pdp.declog.reader import Scan

_PASSED_OVER: Final = 1024  # files that a failing disk kept although their beginning failed; one each second at most

FindingKind = Literal[
    "damaged_line",  # a line that is not what was written there, or does not follow
    "torn_tail",  # an incomplete last line: being written now, or its process died; no answer was given for it
    "missing_header",  # nothing proves where the segment begins
    "unsealed",  # still being written, or its process died and no other has started since
    "shortened",  # ends before the line at which it was sealed or recovered, or which the next header names
    "rewritten",  # holds another line there than the next header names
    "missing_segment",  # the next segment names one that is not here
    "retired",  # the next segment names one whose file was given up: the store has its records, or their time is over
    "in_refuge",  # lies in the directory that `log_spill_dir` names, and will be brought from there
    "refuge_lost",  # was written to the refuge, and is neither here nor there: its disk is gone, or was not named
    "refuge_missed",  # begun while the refuge was not there or could not be read: what it held may be missing
    "written_anew",  # `at` records of it were written anew into the next one after a failed write, and count once
    "unrecorded",  # records that were refused when a write failed: no answer was given for them
    "damaged_torn",  # what was set aside of a torn line is not what its note says, or is gone
    "damaged_note",  # a recovery note that cannot be read, or another than the one that was signed for
    "duplicated",  # a second file of the same segment
    "stray_file",  # a file that this log did not write
    "altered",  # records `at` to `until` hold another than the one that was signed for
    "lengthened",  # records beyond those that stood there when it was sealed
    "missing_ledger",  # of the signed heads: a file that is gone, or all of them
    "unproven_log",  # a node that nobody signs for, and nothing shows whether somebody ever did
    "missing_heads",  # a head is known elsewhere that the ledger does not have: leaves `at` to `until`
    "bad_signature",  # a head that is signed by no key that may, or whose signature does not hold
    "damaged_head",  # the file of the newest head, or of an anchor, is not a signed head of this log
    "bad_timestamp",  # what a time-stamp authority is said to have signed for a head does not hold
    "damaged_keys",  # the file of public keys and the ledger do not name the same keys
    "damaged_policy",  # an archived policy is not what its name says
    "missing_policy",  # a record names one that is not kept: its decision can be recomputed with a copy alone
    "uncovered",  # records, or changes of a file, that no signed head covers yet
    "damaged_standing",  # where the notary goes on from is not what it signed, or is gone
    "damaged_store",  # a file of the store is not what was stored
    "damaged_seal",  # the digest of a file that is written in place is itself not what was written, or is gone
    "damaged_tail",  # what was published of fresh records is not what their segment holds, or is gone
    "damaged_lock",  # a lock file holds something
    "missing_file",  # of the store, or a lock: two processes could now write under one name
    "unsettled",  # a process changes the file now, or died over it: the next round of the compactor settles it
    "unfounded_removal",  # a file of `at` records that the store calls removed, and no event of the trail says so
    "unsigned_removal",  # the trail has such an event, and no signed head is over it
    "unproven_removal",  # no event says so, in a log that nobody signs for at all
    "left_over",  # of a process that died while it stored; it counts for nothing and goes with the next round
]

BREAKS: frozenset[FindingKind] = frozenset(
    {
        "damaged_line",
        "missing_header",
        "shortened",
        "rewritten",
        "missing_segment",
        "refuge_lost",
        "damaged_torn",
        "damaged_note",
        "duplicated",
        "stray_file",
        "altered",
        "lengthened",
        "missing_ledger",
        "missing_heads",
        "bad_signature",
        "bad_timestamp",
        "damaged_head",
        "damaged_keys",
        "damaged_policy",
        "damaged_standing",
        "damaged_store",
        "damaged_seal",
        "damaged_tail",
        "damaged_lock",
        "missing_file",
        "unfounded_removal",
        "unsigned_removal",
    }
)
"""The kinds that a sound log never shows; the others tell of accidents that cost no answered record."""

GONE: Final[frozenset[FindingKind]] = frozenset({"missing_segment", "refuge_lost"})
"""Of a segment whose records lie elsewhere by now, these say nothing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`at` is a line number for `damaged_line`, a number of bytes or records for the kinds that count.

    `segment` is the name of the segment, or of another file of the log. `until` ends a range that begins `at`.
    `seq` and `id` are of the first record that it is about, where that can be said.
    """

    segment: str
    kind: FindingKind
    at: int = 0
    until: int = 0
    seq: int = field(default=0, compare=False)
    id: str = field(default="", compare=False)


def verify_segments(layout: Layout, refuge: Layout | None = None) -> tuple[int, tuple[Finding, ...]]:
    """The number of proven records, and what is not as it should be, in the order of writing. Raises OSError.

    `refuge` is where the workers spill, as far as it can be read here.
    """
    records = 0
    away = _names_in(refuge)
    findings = [Finding(str(name), "in_refuge") for name in sorted(away.difference(layout.names()))]
    unsealed = {str(name) for name in layout.names(OPEN)}
    for _, names in groupby(layout.names(), key=lambda name: name.owner):
        earlier: list[tuple[SegmentName, Scan]] = []
        for name in names:
            scan = scan_segment(_path_of(layout, name))
            records += scan.records
            findings.extend(_within(name, scan, _note_of(layout, name), unsealed=str(name) in unsealed))
            findings.extend(_between(layout, name, scan, earlier, away))
            # One that was begun and at once given up holds nothing, and the next header may pass it over.
            earlier = [*earlier[-_PASSED_OVER:], (name, scan)] if _is_stillborn(scan) else [(name, scan)]
    return records, tuple(findings)


def _names_in(refuge: Layout | None) -> frozenset[SegmentName]:
    """Nothing where it cannot be read: then those that are missed are told as lost."""
    if refuge is None:
        return frozenset()
    try:
        return frozenset(refuge.names())
    except OSError:
        return frozenset()


def _is_stillborn(scan: Scan) -> bool:
    """No record, no end: a disk that failed while it was begun, and kept the file."""
    return scan.records == 0 and scan.footer is None and not scan.damaged


def _path_of(layout: Layout, name: SegmentName) -> Path:
    # A segment goes from its open name to its sealed one and never back.
    path = layout.open_path(name)
    return path if path.exists() else layout.sealed_path(name)


def _note_of(layout: Layout, name: SegmentName) -> Recovery | None:
    try:
        return read_recovery(layout, name)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _within(name: SegmentName, scan: Scan, note: Recovery | None, *, unsealed: bool) -> Iterator[Finding]:
    segment = str(name)
    empty = scan.last is None and not scan.damaged
    begun = not empty or (note is not None and note.chain is not None) or (note is None and not unsealed)
    if begun and (scan.header is None or scan.header.segment != segment):
        yield Finding(segment, "missing_header")
    for number in scan.damaged:
        yield Finding(segment, "damaged_line", number)
    torn = scan.torn_bytes or (0 if note is None else note.torn_bytes)
    if torn:
        yield Finding(segment, "torn_tail", torn)
    if unsealed:
        yield Finding(segment, "unsealed")
    elif note is None and scan.footer is None:
        yield Finding(segment, "shortened")
    if note is not None and note.chain is not None:
        yield from _against(
            segment, scan, note.last_seq, None if scan.last is None else scan.last.chain.hex(), note.chain
        )


def _against(segment: str, scan: Scan, seq: int, found: str | None, named: str) -> Iterator[Finding]:
    """The end of a segment as somebody saw it, against what stands there now."""
    if scan.last is None or scan.last.seq < seq:
        yield Finding(segment, "shortened", seq)
    elif found != named:
        yield Finding(segment, "rewritten", seq)


def _between(
    layout: Layout,
    name: SegmentName,
    scan: Scan,
    earlier: list[tuple[SegmentName, Scan]],
    away: Collection[SegmentName],
) -> Iterator[Finding]:
    previous = None if scan.header is None else scan.header.previous
    if previous is None or scan.header is None:
        return
    named = next((pair for pair in reversed(earlier) if str(pair[0]) == previous.segment), None)
    bypassed = segment_name(previous.segment)
    if named is None and bypassed is not None and _may_be_away(scan.header, bypassed):
        if bypassed in away:
            return
        if not _path_of(layout, bypassed).exists():
            yield Finding(previous.segment, "refuge_lost")
            return
        # What lies between them was in the refuge when this one was begun without it.
        yield Finding(str(name), "refuge_missed")
        named = bypassed, scan_segment(_path_of(layout, bypassed))
    if named is None:
        yield Finding(previous.segment, "missing_segment")
        return
    if previous.chain:  # an empty file has no end to hold it against
        found = _chain_named(layout, named, previous)
        yield from _against(previous.segment, named[1], previous.seq, found, previous.chain)
    again = _standing_twice(layout, named[0], name, scan.header)
    if again:
        yield Finding(previous.segment, "written_anew", again)
    refused = scan.header.last_seq - previous.seq - scan.header.again
    if named[0].epoch == name.epoch and refused > 0:
        yield Finding(previous.segment, "unrecorded", refused)


def _standing_twice(layout: Layout, earlier: SegmentName, name: SegmentName, header: Header) -> int:
    """How many records of the failed group stand in the file that was left, too: asked of the bytes alone."""
    if header.previous is None or header.previous.ended != "abandoned" or not header.again:
        return 0
    anew = {body for _, body in islice(records_of(_path_of(layout, name)), header.again)}
    return sum(body in anew for _, body in records_of(_path_of(layout, earlier)))


def _may_be_away(header: Header, earlier: SegmentName) -> bool:
    """Whether the writer of this header may have had the earlier segment in its refuge, and not at hand.

    A life that found none there, or could not look, has put none there before; only what an earlier one left may be.
    """
    return header.refuge == "waits" or (header.refuge != "" and earlier.epoch != header.epoch)


def _chain_named(layout: Layout, earlier: tuple[SegmentName, Scan], previous: Previous) -> str | None:
    """What stands now where the next header saw the end of this segment, in hex.

    An abandoned file may hold more: lines of the group that failed, even its footer.
    """
    name, scan = earlier
    if previous.ended != "abandoned":
        return None if scan.last is None else scan.last.chain.hex()
    lines = (read.line for read in read_lines(_path_of(layout, name)) if read.line is not None)
    chains = (line.chain.hex() for line in lines if line.seq == previous.seq and line.kind != "footer")
    return next(chains, None)
