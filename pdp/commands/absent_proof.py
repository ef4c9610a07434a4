"""Records that nobody signs for: was there never a notary, or was its proof taken away?

A log without `proof/` looks like one that nobody ever signed for, and whoever takes a proof away leaves no other sign
in the log itself. So other places are asked, each of which says that a notary was at work:

    lock     `locks/NODE.proof`: a notary of this node held it
    trail    the same process signs for the trail, which has its proof (`trail/proof/NODE.…`)
    proof    the trail tells that a proof was handed out (`audit.proof`), and none can be without a signed head
    key      the signing key that the first notary made; asked only where the proof of every node is gone
    anchor   a file of `log_anchors` has heads of this log

With any of them the log is not whole. Without all of them nothing shows that there was a proof, and nothing that there
was none: whoever may remove files may have removed these too. Only a head that is kept elsewhere (`--anchor`) tells.

A proof that is taken away is begun anew by the next start, over whatever lies there then. The trail's own tells of
that: one process signs for both, so a log that was there all the time is not signed for much later than the trail.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pdp.declog.layout import Layout, segment_name
from pdp.declog.verify import Finding
from pdp.errors import NotReadyError
from pdp.model.decision import Text
from pdp.proving import signing_of
from pdp.trail.reading import placed_events
from pdp.transparency.anchored import origins_in
from pdp.transparency.place import ProofPlace, nodes_with_proof

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pdp.settings import Settings
    from pdp.transparency.inspection import SignedLog

Trace = Literal["lock", "trail", "proof", "key", "anchor", "late"]

TRACES: Final[dict[Trace, Text]] = {
    "lock": Text("署名プロセスのロックが残っている", "the lock that its notary held is there"),
    "trail": Text("同じプロセスが署名する証跡には署名がある", "the trail, which the same process signs, has its proof"),
    "proof": Text("証跡に証明の発行が記録されている", "the trail tells of proofs that were handed out"),
    "key": Text("署名プロセスが作った鍵がある", "the key that a notary made is there"),
    "anchor": Text("外部の保管先にこのログの署名済みヘッドがある", "an anchor of the settings has heads of this log"),
    "late": Text(
        "証跡への署名のほうが1時間以上早く始まっている（ログの署名が作り直された疑い）",
        "the trail was signed for more than an hour before: the proof of the log was begun anew",
    ),
}
_LATE: Final = timedelta(hours=1)  # a notary that cannot read the log at once can read it at its next turns


@dataclass(frozen=True, slots=True)
class Clues:
    """Where else to look. `key`: a file that only a notary makes. `heads`: files that heads of `origin` are sent to.

    `node` is the one of the settings, to which `origin` belongs.
    """

    node: str = ""
    origin: str = ""
    key: Path | None = None
    heads: Sequence[Path] = ()


NO_CLUES: Final = Clues()
_FILE: Final = "file:"


def clues_of(settings: Settings) -> Clues:
    """The key that a notary makes by itself, and the anchors that are files of this host."""
    signing = signing_of(settings)
    heads = [Path(to.removeprefix(_FILE)) for to in settings.log_anchors if to.startswith(_FILE)]
    return Clues(settings.node, signing.origin, signing.key if signing.made else None, heads)


@dataclass(frozen=True, slots=True)
class Unproven:
    """A node whose proof is not there, or not from the beginning. `of_trail`: of the trail, and not of the decisions.

    Without `traces` nobody can know whether there was one.
    """

    node: str
    traces: tuple[Trace, ...]
    of_trail: bool = False

    @property
    def finding(self) -> Finding:
        name = f"{'trail/' if self.of_trail else ''}{self.node}.000001.ledger"
        if "late" in self.traces:
            return Finding(name, "rewritten")
        return Finding(name, "missing_ledger" if self.traces else "unproven_log")


def unproven_of(
    log: Path, trail: Path | None, archived: Collection[str], logs: Sequence[SignedLog], clues: Clues = NO_CLUES
) -> Iterator[Unproven]:
    """Every node of the log and of its trail that has segments, and no proof or a later one.

    `archived` are segments whose files went into the store; `logs` what is signed for, the trail's own among them.
    Raises OSError.
    """
    there = nodes_with_proof(log)
    of_trail = [] if trail is None else nodes_with_proof(trail)
    handed_out = _nodes_that_proved(trail)
    for node in sorted(_nodes(log, archived) - set(there)):
        found: dict[Trace, bool] = {
            "lock": ProofPlace(log, node).lock.exists(),
            "trail": node in of_trail,
            "proof": node in handed_out,
            "key": not there and clues.key is not None and clues.key.exists(),
            "anchor": node == clues.node and any(_has(path, clues.origin) for path in clues.heads),
        }
        yield Unproven(node, tuple(trace for trace, is_there in found.items() if is_there))
    yield from _begun_anew(logs)
    if trail is None or not (trail / "segments").is_dir():
        return
    for node in sorted(_nodes(trail, ()) - set(of_trail)):
        lock = ProofPlace(trail, node).lock.exists()
        if lock or node in there:
            yield Unproven(node, ("lock",) if lock else (), of_trail=True)


def _nodes(log: Path, archived: Collection[str]) -> set[str]:
    names = [*Layout(log).names(), *map(segment_name, archived)]
    return {name.node for name in names if name is not None}


def _nodes_that_proved(trail: Path | None) -> frozenset[str]:
    """By whose segments of the trail a proof was handed out."""
    if trail is None:
        return frozenset()
    try:
        found = placed_events(trail, "audit.proof")
        names = {segment_name(segment) for segment, _, event in found if event.outcome == "done"}
    except NotReadyError:  # who looks at the trail says so
        return frozenset()
    return frozenset(name.node for name in names if name is not None)


def _has(path: Path, origin: str) -> bool:
    try:
        return origin in origins_in(path)
    except OSError:  # another mount, which may be away
        return False


def _begun_anew(logs: Sequence[SignedLog]) -> Iterator[Unproven]:
    begun = {log.node: _instant(log.since) for log in logs if log.of_trail and log.since}
    for log in logs:
        if log.of_trail or log.node not in begun or not log.since or not log.oldest:
            continue
        since = _instant(log.since) - _LATE
        if begun[log.node] < since and _instant(log.oldest) < since:
            yield Unproven(log.node, ("late",))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
