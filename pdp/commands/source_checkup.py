"""`pdp doctor` on the sources of people and posture: which are configured, which run, which are ill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdp.commands.finding import ok, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pdp.commands.finding import Finding
    from pdp.model.directory import Snapshot
    from pdp.model.source import SourceSettings


def source_findings(
    pick: Callable[[str, str], str], snapshot: Snapshot, configured: Sequence[SourceSettings], now: datetime
) -> list[Finding]:
    """One line for all that are well, and one for each that is not. A source that never ran is not known to workers."""
    topic = pick("取得元", "sources")
    enrolled = {source.name for source in snapshot.sources}
    missing = [source.name for source in configured if source.name not in enrolled]
    start = pick("`pdp connector run` を動かす", "start `pdp connector run`")
    found = [warn(topic, f"{name}: {pick('一度も動いていない', 'it has never been run')}", start) for name in missing]
    see = pick("`pdp directory status` で確かめる", "see `pdp directory status`")
    for source in snapshot.sources:
        state = source.state(now)
        if state != "ok" or source.fault is not None:
            said = f"{source.name}: {state}" + (f" ({source.fault})" if source.fault else "")
            found.append(warn(topic, said, see))
        if source.pending:
            asks = pick("削除が承認を待っている", "a removal waits for approval")
            found.append(warn(topic, f"{source.name}: {asks}", f"`pdp connector approve {source.name}`"))
    if not found and snapshot.sources:
        return [ok(topic, ", ".join(source.name for source in snapshot.sources))]
    return found
