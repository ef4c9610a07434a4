"""Is the log whole, and is it the one that was signed for? `inspect` names the first thing in each file that is not.

1. every line of every segment against the one before, every segment against the next (`pdp.declog.verify`);
2. what was set aside of torn lines, against the recovery notes; files that are there twice, or are not ours;
3. each node's ledger: its lines, its files, its signed heads (`ledger.py`);
4. the newest head's file and the anchors against the ledger: what they know, it must hold;
5. the keys: the ledger's against the file beside it, or against those that the auditor brought;
6. where the notary goes on from, and the seals of files that are written in place, against the ledger;
7. each segment against every leaf that speaks of it: so many records, with this root, and this recovery note.

What remains unseen: records of the last moment, before the first head over them (`uncovered`); and where the
signing key is known to the forger and no anchor is at hand, a log that was written anew from end to end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pdp.declog.verify import BREAKS, GONE, Finding, verify_segments
from pdp.transparency.anchored import against_anchor
from pdp.transparency.beside import beside
from pdp.transparency.node_inspection import NodeInspection
from pdp.transparency.place import nodes_with_proof

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from pdp.declog.layout import Layout
    from pdp.transparency.follower import Leaves
    from pdp.transparency.note import NoteKey


@dataclass(frozen=True, slots=True)
class SignedLog:
    """One node's tree: `size` counts its leaves, `covered` the records that it speaks for.

    `since`: when it was first signed; `oldest`: when the oldest segment that it speaks of was begun. Both RFC 3339,
    empty where there is none. `of_trail`: of the trail of the auditors' questions, and not of the decisions.
    `begun`: its notary had made the ledger, and signed nothing.
    """

    node: str
    origin: str
    size: int
    covered: int
    since: str = ""
    oldest: str = ""
    of_trail: bool = False
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Inspection:
    """`signed`: of each segment, over how many records the newest head speaks; `held`: how many of them are those."""

    records: int
    findings: tuple[Finding, ...]
    logs: tuple[SignedLog, ...]
    signed: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)

    @property
    def breaks(self) -> int:
        return sum(finding.kind in BREAKS for finding in self.findings)


def inspect(  # noqa: PLR0913  # each is one fact of what is looked at
    layout: Layout,
    *,
    trusted: Sequence[NoteKey] | None = None,
    anchors: Sequence[Path] = (),
    archived: Collection[str] = (),
    restore: Callable[[str], bytes | Leaves | None] = lambda _: None,
    refuge: Layout | None = None,
    expired: Collection[str] = (),
) -> Inspection:
    """Read everything. `archived` are segments whose file may be gone, because their records lie elsewhere; those of
    the `expired` are not kept any more, or not as they were. `refuge` is where the workers spill.

    `restore` gives the file of such a segment again, or its leaves where its records were pseudonymised, to be held
    against its heads; None where neither can be had any more. It may raise RecordDamagedError. Raises OSError.
    """
    records, found = verify_segments(layout, refuge)
    findings = [
        replace(finding, kind="retired") if finding.kind in GONE and finding.segment in archived else finding
        for finding in found
    ]
    findings.extend(beside(layout, archived, expired))
    broken = {finding.segment for finding in findings if finding.kind in BREAKS}
    logs = []
    signed: dict[str, int] = {}
    held: dict[str, int] = {}
    inspections = [NodeInspection(layout, node, trusted, archived, restore) for node in nodes_with_proof(layout.root)]
    for node in inspections:
        # A broken chain names the line; the root of the same file would only say the same with less.
        findings.extend(finding for finding in node.findings() if finding.segment not in broken)
        signed |= {name: leaves[-1][1].records for name, leaves in node.ledger.segments.items()}
        held |= node.held
        logs.append(_signed_log(node))
    for path in anchors:
        findings.extend(against_anchor(path, inspections))
    return Inspection(records, tuple(dict.fromkeys(findings)), tuple(logs), signed, held)


def _signed_log(node: NodeInspection) -> SignedLog:
    return SignedLog(
        node=node.place.node,
        origin=node.ledger.origin,
        size=node.ledger.tree.size,
        covered=node.covered,
        since=node.since,
        oldest=node.oldest,
        begun=node.has_only_begun,
    )
