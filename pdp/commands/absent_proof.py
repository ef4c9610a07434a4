"""Records that nobody signs for: was there never a notary, or was its proof taken away?

A log without `proof/` looks like one that nobody ever signed for, and whoever takes a proof away leaves no other sign
in the log itself. So other places are asked, each of which says that a notary was at work:

    mark     `locks/NODE.signed`, which its notary makes once it has signed
    lock     `locks/NODE.proof`: a notary of this node held it; asked where it had the time to sign
    trail    the same process signs for the trail, which has its proof (`trail/proof/NODE.…`)
    proof    the trail tells that a proof was handed out (`audit.proof`), and none can be without a signed head
    key      the signing key that the first notary made; asked only where the proof of every node is gone, and not of a
             node whose notary had only begun: its lock is there, no mark, and it had no time to sign
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

from pdp.declog.layout import SEALED, Layout, segment_name
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

Trace = Literal["mark", "lock", "trail", "proof", "key", "anchor", "late"]

TRACES: Final[dict[Trace, Text]] = {
    "mark": Text("署名済みを示す印（locks/*.signed）がある", "the mark of a notary that has signed is there"),
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

    Without `traces` nobody can know whether there was one. `begun`: a notary was at work, and nothing shows that it
    came to sign: the service was killed in its first seconds.
    """

    node: str
    traces: tuple[Trace, ...]
    of_trail: bool = False
    begun: bool = False

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
    there = _signed(log, [one for one in logs if not one.of_trail])
    of_trail = set[str]() if trail is None else _signed(trail, [one for one in logs if one.of_trail])
    handed_out = _nodes_that_proved(trail)
    for node in sorted(_nodes(log, archived) - there):
        place = ProofPlace(log, node)
        mark, lock = place.signed.exists(), place.lock.exists()
        had_time = _had_time(log, node, archived)
        begun = lock and not mark and not had_time
        found: dict[Trace, bool] = {
            "mark": mark,
            "lock": lock and had_time,
            "trail": node in of_trail,
            "proof": node in handed_out,
            "key": not there and not begun and clues.key is not None and clues.key.exists(),
            "anchor": node == clues.node and any(_has(path, clues.origin) for path in clues.heads),
        }
        traces = tuple(trace for trace, is_there in found.items() if is_there)
        yield Unproven(node, traces, begun=begun and not traces)
    yield from _begun_anew(logs)
    if trail is None or not (trail / "segments").is_dir():
        return
    for node in sorted(_nodes(trail, ()) - of_trail):
        place = ProofPlace(trail, node)
        marked = place.signed.exists()
        if marked or node in there:
            begun = place.lock.exists() and not marked
            yield Unproven(node, ("mark",) if marked else (), of_trail=True, begun=begun)


def _signed(log: Path, logs: Sequence[SignedLog]) -> set[str]:
    """The nodes that have a proof. A ledger in which nothing was signed yet is none."""
    return set(nodes_with_proof(log)) - {one.node for one in logs if one.begun}


def _nodes(log: Path, archived: Collection[str]) -> set[str]:
    names = [*Layout(log).names(), *map(segment_name, archived)]
    return {name.node for name in names if name is not None}


def _had_time(log: Path, node: str, archived: Collection[str]) -> bool:
    """Whether a worker of this node ever ended a segment by itself: at its age, or at an orderly end, which is signed.

    Else all that was written was left by processes that were killed, perhaps each in its first second.
    """
    layout = Layout(log)
    ended = [name for name in layout.names(SEALED) if name.node == node and not layout.recovery_path(name).exists()]
    return bool(ended) or any(name is not None and name.node == node for name in map(segment_name, archived))


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
