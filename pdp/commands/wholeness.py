"""Everything that `pdp audit verify` looks at, in one answer.

    decisions/segments, torn, proof   line by line, against the signed heads    pdp.transparency.inspection
    decisions/store                   against the manifest, and that against its seal    pdp.archive.inspection
    decisions/locks                   empty, and there
    trail/                            as a log of its own: what auditors asked, and what retention removed
    bundles/, pseudonyms.key          by the digests that they are named by, or carry

A living log is looked at as it stands. What one look finds and the next does not was on its way from one place to
the other, and is no finding. A log whose locks nobody holds is at rest: one look is enough.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.archive.inspection import inspect_store, lock_findings
from pdp.archive.restoring import expired, removals, restorer
from pdp.commands.absent_proof import NO_CLUES, Clues, Unproven, unproven_of
from pdp.commands.kept_files import policy_findings, pseudonym_findings
from pdp.commands.removals import removal_findings, retentions
from pdp.declog.layout import Layout
from pdp.declog.verify import BREAKS, GONE, Finding
from pdp.errors import NotReadyError
from pdp.proving import TRAIL
from pdp.transparency.anchored import origins_in
from pdp.transparency.inspection import Inspection, SignedLog, inspect
from pdp.transparency.naming import Named, named
from pdp.transparency.note import NoteKey
from pdp.transparency.place import nodes_with_proof

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pdp.commands.removals import Retention

_LOOKS: Final = 3
_SIGNED_WITHIN_S: Final = 1.5  # a living notary signs each second
_BEGUN_WITHIN_S: Final = 5.0  # and the first time a second or two after the first worker is ready
_LOCKS_HELD: Final = Path("/proc/locks")  # proc(5)
_WORD: Final = r"[A-Za-z0-9_-]{1,64}"
_LOCK: Final = re.compile(rf"(?:start|{_WORD}\.{_WORD})\.lock|{_WORD}\.(?:proof|signed)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Wholeness:
    """`records` are those of the segments, `stored` those proven in the store's files. `named` says which record.

    `unproven` are the nodes that nobody signs for, with what shows that somebody did.
    """

    records: int
    stored: int
    findings: tuple[Finding, ...]
    logs: tuple[SignedLog, ...]
    named: dict[Finding, Named] = field(default_factory=dict)
    unproven: tuple[Unproven, ...] = ()

    @property
    def breaks(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.kind in BREAKS)


def examine(
    log: Path,
    *,
    trail: Path | None = None,
    trusted: Sequence[NoteKey] | None = None,
    anchors: Sequence[Path] = (),
    proven: set[object] | None = None,
    refuge: Path | None = None,
    policies: Path | None = None,
    pseudonym_keys: Path | None = None,
    clues: Clues = NO_CLUES,
    pause: Callable[[float], None] = time.sleep,
) -> Wholeness:
    """Read everything; where the log lives, again what the first look finds. Raises OSError, NotReadyError.

    `clues`: where else to look whether there was a proof. `refuge` is the directory that `log_spill_dir` names;
    `policies` the archive of those that decided here. `proven` remembers from one call to the next what was derived
    from which bytes. `pause`: how a living notary is given the moment that it needs to sign for a removal of just now,
    or for the first time, in seconds.
    """
    known: set[object] = set() if proven is None else proven

    def look() -> Wholeness:
        seen = _look(log, trail, trusted, anchors, known, refuge, clues)
        others = [
            *(policy_findings(policies, log) if policies is not None else ()),
            *pseudonym_findings(pseudonym_keys),
        ]
        return replace(seen, findings=(*seen.findings, *others))

    seen = _look_again(look)
    for _ in range(_LOOKS - 1):
        if not seen.breaks or not _lives(log):
            break
        before = {(finding.segment, finding.kind) for finding in seen.breaks}
        if any(one.traces for one in seen.unproven):
            pause(_BEGUN_WITHIN_S)
        elif any(kind == "unsigned_removal" for _, kind in before):
            pause(_SIGNED_WITHIN_S)
        seen = _kept(_look_again(look), before)
        if before == {(finding.segment, finding.kind) for finding in seen.breaks}:
            break
    pairs = list(named(Layout(log), seen.findings))
    records = {finding: record for finding, record in pairs if record is not None}
    return replace(seen, findings=tuple(finding for finding, _ in pairs), named=records)


def _kept(again: Wholeness, before: Collection[tuple[str, str]]) -> Wholeness:
    """Of the breaks, those that were there before."""
    findings = [f for f in again.findings if f.kind not in BREAKS or (f.segment, f.kind) in before]
    return replace(again, findings=tuple(findings))


def _lives(log: Path) -> bool:
    """Whether a process holds a lock here. Asked of the kernel: to try a lock would keep a worker from starting."""
    try:
        held = {line.split()[5].rpartition(":")[2] for line in _LOCKS_HELD.read_text().splitlines() if "FLOCK" in line}
    except (OSError, IndexError):
        return True
    locks = [*(log / "locks").glob("*"), *(log / "store").glob("*.lock")]
    return any(str(path.stat().st_ino) in held for path in locks if path.exists())


def _look_again(look: Callable[[], Wholeness]) -> Wholeness:
    """A file that gets another name while it is looked for is looked for again."""
    for _ in range(_LOOKS * _LOOKS):
        try:
            return look()
        except FileNotFoundError:
            continue
    raise NotReadyError("the decision log changes faster than it can be read")


def _look(
    log: Path,
    trail: Path | None,
    trusted: Sequence[NoteKey] | None,
    anchors: Sequence[Path],
    proven: set[object],
    refuge: Path | None,
    clues: Clues,
) -> Wholeness:
    # The log before its store: a segment that is stored and removed between the two is archived in the second.
    # What it calls removed before the trail: the event stands there before the file is removed.
    archived, restore = restorer(log)
    removed = removals(log)
    away = None if refuge is None else Layout(refuge)
    report = inspect(
        Layout(log),
        trusted=trusted,
        anchors=anchors,
        archived=archived,
        restore=restore,
        refuge=away,
        expired=expired(log),
    )
    stored, of_store = inspect_store(log, proven)
    gone = restorer(log)[0]
    findings = [replace(f, kind="retired") if f.kind in GONE and f.segment in gone else f for f in report.findings]
    findings += [*of_store, *_locks(log)]
    logs = [*report.logs]
    # The proof of the trail in the place of the log's: it holds together by itself, under the same keys.
    findings += [Finding(f"{log.node}.000001.ledger", "rewritten") for log in logs if log.origin.endswith(TRAIL)]
    events: list[Retention] = []
    if trail is not None and (trail / "segments").is_dir():
        other = _trail(trail, trusted, anchors)
        events = retentions(trail, other.held) if removed else []
        ours = {log.origin for log in report.logs}  # an anchor may know the decisions' heads alone
        findings += [f for f in other.findings if f.segment not in ours]
        logs += other.logs
    if trail is not None:
        findings += _unproven_trails(anchors, report.logs, {log.origin for log in logs})
    unproven = tuple(unproven_of(log, trail, archived, logs, clues))
    findings += [one.finding for one in unproven]
    was_signed = bool(report.logs) or any(one.traces and not one.of_trail for one in unproven)
    findings += removal_findings(removed, events, report.signed, signed_log=was_signed)
    return Wholeness(report.records, stored, tuple(dict.fromkeys(findings)), tuple(logs), unproven=unproven)


def _unproven_trails(anchors: Sequence[Path], ours: Sequence[SignedLog], known: set[str]) -> Iterator[Finding]:
    """A trail that an anchor knows and that has no head here: its proof was taken away, or all of it."""
    trails = {f"{log.origin}{TRAIL}" for log in ours} - known
    anchored = frozenset[str]().union(*(origins_in(path) for path in anchors if path.exists()))
    yield from (Finding(origin, "missing_ledger") for origin in sorted(trails & anchored))


def _trail(trail: Path, trusted: Sequence[NoteKey] | None, anchors: Sequence[Path]) -> Inspection:
    """The same keys sign for it, under a name of their own."""
    also = None if trusted is None else [*trusted, *(NoteKey(key.name + TRAIL, key.public) for key in trusted)]
    report = inspect(Layout(trail), trusted=also, anchors=anchors)
    logs = tuple(replace(log, of_trail=True) for log in report.logs)
    return replace(report, findings=(*report.findings, *_locks(trail)), logs=logs)


def _locks(log: Path) -> Iterator[Finding]:
    """A copy of the log may lack them altogether; else each that somebody must have held is there, and is empty."""
    layout = Layout(log)
    if not layout.locks.is_dir():
        return
    names = layout.names()
    needed = {layout.lock_path(*name.owner) for name in names} | {
        layout.locks / f"{node}.proof" for node in nodes_with_proof(log)
    }
    needed |= {layout.locks / "start.lock"} if names else set()
    # Of whoever has segments here: not needed, and at its place. `pdp.transparency` says when a mark is missed.
    nodes = {name.node for name in names}.union(nodes_with_proof(log))
    placed = needed | {layout.locks / f"{node}.{ending}" for node in nodes for ending in ("proof", "signed")}
    for path in sorted(needed.union(layout.locks.iterdir())):
        if _LOCK.fullmatch(path.name) is None:
            yield Finding(path.name, "stray_file")
            continue
        yield from lock_findings(path, needed=path in needed)
        if path not in placed and path.name != "start.lock":
            yield Finding(path.name, "left_over")  # of a worker that has no segment here (any more)
